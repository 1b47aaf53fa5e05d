//! I5: no actor waits.

use crate::support::checks;
use crate::support::lock::Lock;
use crate::support::scene::Scene;
use std::time::Duration;

#[tokio::test]
async fn while_the_store_takes_no_write_everything_else_goes_on() {
    let scene = Scene::start().await;
    let quiet = scene.ann.make_room("Library", "public").await;
    scene.pipeline(&scene.bob, 3).await;
    let lock = Lock::take(&scene.server).await;
    let (times, post) = tokio::join!(scene.look_around(&quiet), scene.timed_post(&scene.bob, Duration::from_secs(10)));
    lock.release().await;
    assert_eq!(checks::prompt(&times, Duration::from_secs(1)), [""; 0]);
    assert_eq!(post.2.expect("an answer")["error"]["code"], "unavailable", "the post did meet the lock");
}
