//! I9: the database may go away.

use crate::arm::{ALWAYS, Turn};
use crate::support::checks;
use crate::support::eventually;
use crate::support::lock::Lock;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// Two seconds, and some for a busy machine.
const IN_TIME: Duration = Duration::from_millis(2500);
pub const NOTHING: [&str; 0] = [];

/// Posts during an outage are answered in time and truly; after it, without anybody's help, posts are stored again.
pub async fn through_an_outage(scene: &Scene, begin: impl AsyncFnOnce(), end: impl AsyncFnOnce()) {
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    scene.pipeline(&scene.bob, 2).await;
    // Opened before: a hello asks the database.
    let (mut bob, mut ann) = (scene.bob.connect().await, scene.ann.connect().await);
    begin().await;
    let patience = Duration::from_secs(10);
    let (first, second) = tokio::join!(scene.timed_post_over(&mut bob, patience), scene.timed_post_over(&mut ann, patience));
    let third = scene.timed_post_over(&mut bob, patience).await;
    let over_rest = scene.bob.say_as(&scene.room, "by another way", &Uuid::now_v7().to_string()).await;
    // Live state stays: sockets open, people are seen.
    assert!(viewer.socket.ask("ping", json!({})).await.get("ok").is_some());
    end().await;
    let text = Uuid::new_v4().to_string();
    let client_id = Uuid::now_v7().to_string();
    eventually("a post after the outage", || async {
        scene.bob.say_as(&scene.room, &text, &client_id).await.status.is_success().then_some(())
    })
    .await;
    scene.catch_up(&mut viewer).await;
    let history = scene.history().await;
    let posts = [first, second, third];
    assert_eq!(checks::answered(&posts, IN_TIME, &history), NOTHING);
    for (_, _, reply) in &posts {
        let reply = reply.as_ref().expect("an answer");
        assert_eq!(reply["error"]["retry"], true, "{reply}");
        // So that nobody hammers at a database that is away.
        assert!(reply["error"]["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{reply}");
    }
    let wait = over_rest.body["retry_after_ms"].as_u64().unwrap_or_else(|| panic!("no time: {}", over_rest.body));
    let header = over_rest.headers.get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    assert_eq!((over_rest.status.as_u16(), header), (503, Some(wait.div_ceil(1000).to_string())));
    assert_eq!(checks::order(&history, &[]), NOTHING);
    assert_eq!(checks::shown(&viewer, &history), NOTHING);
}

#[tokio::test]
async fn posts_while_somebody_else_holds_the_lock_are_unavailable_in_time_and_work_after_it() {
    let _turn = Turn::take().await;
    let scene = Scene::start().await;
    let lock = std::cell::Cell::new(None);
    let begin = async || lock.set(Some(Lock::take(&scene.server).await));
    let end = async || lock.take().expect("held").release().await;
    through_an_outage(&scene, begin, end).await;
}

#[tokio::test]
async fn posts_while_the_database_is_away_are_unavailable_in_time_and_work_after_it() {
    let turn = std::cell::RefCell::new(Turn::take().await);
    let scene = Scene::start().await;
    let begin = async || turn.borrow_mut().arm("persistence.before_commit", ALWAYS);
    let end = async || turn.borrow_mut().disarm();
    through_an_outage(&scene, begin, end).await;
}

#[tokio::test]
async fn commits_whose_answers_stay_away_are_unknown_and_the_repeat_tells() {
    let mut turn = Turn::take().await;
    let scene = Scene::start().await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    scene.pipeline(&scene.bob, 1).await;
    turn.arm("persistence.after_commit", ALWAYS);
    let client_id = Uuid::now_v7().to_string();
    let answer = scene.bob.say_as(&scene.room, "perhaps", &client_id).await;
    assert_eq!(answer.code(), "outcome_unknown");
    turn.disarm();
    let again = eventually("the repeat", || async {
        let again = scene.bob.say_as(&scene.room, "perhaps", &client_id).await;
        again.status.is_success().then_some(again.body)
    })
    .await;
    assert_eq!(again["repeat"], true);
    scene.catch_up(&mut viewer).await;
    assert_eq!(checks::shown(&viewer, &scene.history().await), NOTHING);
}
