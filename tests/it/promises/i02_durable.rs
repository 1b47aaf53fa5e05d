//! I2: durable before visible.

use crate::support::checks;
use crate::support::scene::Scene;
use crate::support::viewer::{Viewer, number};

#[tokio::test]
async fn what_is_acknowledged_or_shown_can_be_read_at_once() {
    let scene = Scene::start().await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let mut socket = scene.bob.connect().await;
    for n in 0..10 {
        let reply = socket.say(&scene.room, &n.to_string()).await;
        let (seq, revision) = (number(&reply["ok"]["seq"]), number(&reply["ok"]["revision"]));
        scene.bob.get(&format!("rooms/{}/messages/{seq}", scene.room)).await.ok();
        viewer.until(revision).await;
        scene.ann.get(&format!("rooms/{}/messages/{seq}", scene.room)).await.ok();
    }
    assert_eq!(checks::shown(&viewer, &scene.history().await), [""; 0]);
}

#[tokio::test]
async fn what_was_seen_is_there_after_a_restart() {
    let mut scene = Scene::start().await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let talk = scene.pipeline(&scene.bob, 50).await;
    viewer.until(talk.head()).await;
    scene.restart().await;
    let history = scene.history().await;
    assert_eq!(checks::shown(&viewer, &history), [""; 0]);
    assert_eq!(checks::once(&talk.answers, &history), [""; 0]);
}
