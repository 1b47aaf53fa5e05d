//! I4: a room's mailbox is bounded, and the one queue that is not says how long it is.

use crate::arm::{ALWAYS, Turn};
use crate::support::eventually;
use crate::support::scene::Scene;
use crate::support::viewer::text;
use futures_util::future::join_all;
use uuid::Uuid;

#[tokio::test]
async fn a_full_mailbox_of_a_room_answers_busy_and_the_room_goes_on() {
    let mut turn = Turn::take().await;
    let scene = Scene::start_with(&[("room.mailbox", "4"), ("database.commit_deadline", "20s")]).await;
    scene.pipeline(&scene.bob, 1).await;
    // Its thread stands still for a while, which nothing in the server does by itself.
    turn.arm("room.block", 1);
    let answers = join_all((0..40).map(|_| async {
        let client_id = Uuid::now_v7().to_string();
        let answer = scene.bob.say_as(&scene.room, &client_id, &client_id).await;
        (client_id, answer.body)
    }))
    .await;
    let stored: Vec<String> = scene.history().await.iter().map(|message| text(&message["client_id"])).collect();
    let (busy, kept): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, answer)| answer["code"] == "busy");
    assert!(!busy.is_empty() && !kept.is_empty(), "{} busy, {} kept", busy.len(), kept.len());
    for (client_id, answer) in busy {
        assert!(answer["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{answer}");
        assert!(!stored.contains(client_id), "refused as busy and stored");
    }
    for (client_id, answer) in kept {
        assert!(answer["seq"].is_u64() && stored.contains(client_id), "{answer}");
    }
    for (client_id, _) in &answers {
        scene.bob.say_as(&scene.room, client_id, client_id).await.ok();
    }
    assert_eq!(scene.history().await.len(), 41);
}

#[tokio::test]
async fn messages_that_wait_until_people_are_notified_are_told_by_a_metric() {
    let mut turn = Turn::take().await;
    let scene = Scene::start_with(&[("notify.refresh", "50ms"), ("notify.check", "50ms")]).await;
    let waiting = async |number: &str| {
        let line = format!("hubbub_notify_waiting {number}");
        let told = async || scene.ann.get_text("/metrics").await.lines().any(|told| told == line).then_some(());
        eventually(&line, told).await;
    };
    turn.arm("notify.wait", ALWAYS);
    for _ in 0..3 {
        scene.ann.say(&scene.room, "@bob").await;
    }
    waiting("3").await;
    turn.disarm();
    waiting("0").await;
}
