//! I5: no actor waits.

use crate::support::lock::Lock;
use crate::support::person::{PASSWORD, Person};
use crate::support::scene::Scene;
use crate::support::{checks, eventually};
use futures_util::future::join_all;
use serde_json::json;
use std::cell::Cell;
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

#[tokio::test]
async fn while_logins_keep_the_hashing_busy_posts_are_answered_before_any_of_them() {
    // One hash takes some hundred milliseconds and the posts of a round some ten; only their order is looked at.
    let settings = [
        ("accounts.bcrypt_cost", "13"),
        ("accounts.bcrypt_threads", "1"),
        ("accounts.bcrypt_queue_max", "2"),
        ("rates.login_per_address", "off"),
        ("rates.login_per_account", "off"),
    ];
    let scene = Scene::start_with(&settings).await;
    let (mut ann, mut bob) = (scene.ann.connect().await, scene.bob.connect().await);
    let stranger = Person::anonymous(&scene.server.base());
    let (done, refused) = (Cell::new(0), Cell::new(0));
    let logins = join_all((0..8).map(|_| async {
        let answer = stranger.post("logins", json!({"name": "ann", "password": PASSWORD, "device": "another"})).await;
        let count = if answer.status.is_success() { &done } else { &refused };
        assert!(answer.status.is_success() || answer.code() == "busy", "{answer:?}");
        count.set(count.get() + 1);
    }));
    let posts = async {
        // One is refused: a hash is being made, and as many wait as may.
        eventually("a full queue of hashes", || async { (refused.get() > 0).then_some(()) }).await;
        let mut rounds = 0;
        loop {
            let (one, other) = tokio::join!(ann.say(&scene.room, "still here"), bob.say(&scene.room, "so am I"));
            assert!(one.get("ok").is_some() && other.get("ok").is_some(), "{one} {other}");
            if done.get() > 0 {
                return rounds;
            }
            rounds += 1;
        }
    };
    let (_, rounds) = tokio::join!(logins, posts);
    eprintln!("{rounds} rounds of posts were answered before the first login was");
    assert!(rounds >= 3, "posts waited for a login: {rounds} rounds of them were answered before it");
}
