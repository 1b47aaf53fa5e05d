//! I4: full queues answer busy, keep what they took, and let nobody starve.

use crate::support::eventually;
use crate::support::lock::Lock;
use crate::support::scene::Scene;
use crate::support::viewer::{number, text};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

/// One writer, so that all rooms share its queue, and long enough a deadline that what waits is not refused for its age.
const PATIENT: [(&str, &str); 2] = [("database.writers", "1"), ("database.commit_deadline", "20s")];

async fn gauge(scene: &Scene, name: &str) -> f64 {
    let metrics = scene.ann.get_text("/metrics").await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
    value.trim().parse().expect("a number")
}

/// Posts at once, each over its own connection; the client ids with the answers.
async fn crowd(scene: &Scene, count: usize) -> Vec<(String, Value)> {
    let posts = (0..count).map(|_| async {
        let client_id = Uuid::now_v7().to_string();
        let answer = scene.bob.say_as(&scene.room, &client_id, &client_id).await;
        if answer.body["code"] == "busy" {
            assert_eq!(answer.status.as_u16(), 429);
            assert!(answer.body["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{answer:?}");
            assert_eq!((&answer.body["retry"], &answer.body["stored"]), (&json!(true), &json!("no")));
        }
        (client_id, answer.body)
    });
    join_all(posts).await
}

/// What was acknowledged is stored, what was refused is not, and later all of it can be.
async fn kept_and_refused(scene: &Scene, answers: &[(String, Value)]) {
    let stored: Vec<String> = scene.history().await.iter().map(|message| text(&message["client_id"])).collect();
    for (client_id, answer) in answers {
        match answer["code"].as_str() {
            None => assert!(stored.contains(client_id), "acknowledged and not stored: {answer}"),
            Some("busy") => assert!(!stored.contains(client_id), "refused as busy and stored"),
            Some(other) => panic!("answered {other}"),
        }
    }
    for (client_id, _) in answers {
        scene.bob.say_as(&scene.room, client_id, client_id).await.ok();
    }
    assert_eq!(scene.history().await.len(), answers.len());
}

#[tokio::test]
async fn a_full_persistence_queue_answers_busy_and_stores_nothing_of_it() {
    let scene = Scene::start_with(&[&PATIENT[..], &[("database.queue_max", "10")]].concat()).await;
    let lock = Lock::take(&scene.server).await;
    let release = async {
        // As much as may wait does; never more.
        eventually("a full queue", || async {
            let waiting = gauge(&scene, "hubbub_queue_writes ").await;
            assert!(waiting <= 10.0, "{waiting} writes wait");
            (waiting >= 9.0).then_some(())
        })
        .await;
        lock.release().await;
    };
    let (answers, ()) = tokio::join!(crowd(&scene, 60), release);
    let busy = answers.iter().filter(|(_, answer)| answer["code"] == "busy").count();
    assert!((1..=50).contains(&busy), "{busy} of 60 were refused");
    kept_and_refused(&scene, &answers).await;
    eventually("an empty queue", || async { (gauge(&scene, "hubbub_queue_writes ").await == 0.0).then_some(()) }).await;
}

#[tokio::test]
async fn a_queue_that_is_full_of_bytes_answers_busy_too() {
    let bytes = [("database.queue_max_bytes", "64KiB"), ("database.batch_max_bytes", "16KiB")];
    let scene = Scene::start_with(&[&PATIENT[..], &bytes].concat()).await;
    let lock = Lock::take(&scene.server).await;
    let long = |n: usize| format!("{n} {}", "x".repeat(8_000));
    let waiting = AtomicUsize::new(0);
    let posts = join_all((0..40).map(|n| {
        let (scene, waiting) = (&scene, &waiting);
        async move {
            let answer = scene.bob.say_as(&scene.room, &long(n), &Uuid::now_v7().to_string()).await;
            if answer.body["code"] == "busy" {
                waiting.fetch_add(1, Ordering::Relaxed);
            }
            answer
        }
    }));
    let release = async {
        eventually("a refusal", || async { (waiting.load(Ordering::Relaxed) > 0).then_some(()) }).await;
        assert!(gauge(&scene, "hubbub_queue_bytes ").await <= 65_536.0);
        lock.release().await;
    };
    let (answers, ()) = tokio::join!(posts, release);
    let acknowledged = answers.iter().filter(|answer| answer.status.is_success()).count();
    assert!(answers.iter().all(|answer| answer.status.is_success() || answer.body["code"] == "busy"), "{answers:?}");
    assert_eq!(scene.history().await.len(), acknowledged);
    assert!((1..40).contains(&acknowledged), "{acknowledged}");
}

#[tokio::test]
async fn a_room_with_much_to_store_does_not_keep_others_waiting() {
    let scene = Scene::start_with(&[&PATIENT[..], &[("database.batch_max_messages", "5")]].concat()).await;
    let quiet = scene.ann.make_room("Library", "public").await;
    let (lock, done) = (Lock::take(&scene.server).await, AtomicUsize::new(0));
    let crowd = join_all((0..150).map(|n| {
        let (scene, done) = (&scene, &done);
        async move {
            scene.bob.say_as(&scene.room, &format!("one of many {n}"), &Uuid::now_v7().to_string()).await.ok();
            done.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let other = async {
        // Behind all of them.
        eventually("a long queue", || async { (gauge(&scene, "hubbub_queue_writes ").await >= 140.0).then_some(()) }).await;
        let (posted, ()) = tokio::join!(scene.ann.say(&quiet, "one of few"), async {
            eventually("one more", || async { (gauge(&scene, "hubbub_queue_writes ").await >= 145.0).then_some(()) }).await;
            lock.release().await;
        });
        (number(&posted["seq"]), done.load(Ordering::Relaxed))
    };
    let (_, (seq, before)) = tokio::join!(crowd, other);
    assert_eq!(seq, 1);
    assert!(before < 75, "{before} of 150 posts that came earlier to another room were stored first");
}

#[tokio::test]
async fn more_posts_in_flight_than_one_socket_may_have_are_busy() {
    let scene = Scene::start_with(&[&PATIENT[..], &[("limits.posts_in_flight", "5")]].concat()).await;
    let mut socket = scene.bob.connect().await;
    let lock = Lock::take(&scene.server).await;
    let mut sent = Vec::new();
    for n in 0..9 {
        // Not named in `after`: each stands for itself.
        sent.push(socket.pipeline(&scene.room, &format!("{n}"), None).await);
    }
    for (reference, _) in &sent[5..] {
        let reply = socket.reply(*reference).await;
        assert_eq!(reply["error"]["code"], "busy", "{reply}");
        assert!(reply["error"]["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{reply}");
    }
    lock.release().await;
    for (reference, _) in &sent[..5] {
        assert!(socket.reply(*reference).await.get("ok").is_some());
    }
    assert_eq!(scene.ann.texts(&scene.room).await, ["0", "1", "2", "3", "4"]);
    assert!(socket.say(&scene.room, "5").await.get("ok").is_some());
}

#[tokio::test]
async fn more_rooms_than_may_be_awake_are_busy_and_those_awake_are_served() {
    let scene = Scene::start_with(&[("limits.rooms_awake", "2"), ("room.idle_after", "1s")]).await;
    let (one, two) = (scene.ann.make_room("Library", "public").await, scene.ann.make_room("Cellar", "public").await);
    let mut socket = scene.ann.connect().await;
    let mut awake = Vec::new();
    for room in [&scene.room, &one, &two] {
        let reply = socket.ask("subscribe", json!({"rooms": [{"room": room}]})).await;
        awake.push((room.clone(), reply["ok"]["rooms"][0].clone()));
    }
    let (served, refused): (Vec<_>, Vec<_>) = awake.into_iter().partition(|(_, start)| start["status"] != "refused");
    assert_eq!((served.len(), refused.len()), (2, 1), "{served:?} {refused:?}");
    assert_eq!(refused[0].1["error"]["code"], "busy");
    for (room, _) in &served {
        assert!(socket.say(room, "awake").await.get("ok").is_some());
    }
    // As soon as one of them is put to sleep there is a place.
    socket.ask("unsubscribe", json!({"rooms": [served[0].0]})).await;
    eventually("a place", || async {
        scene.ann.say_as(&refused[0].0, "x", &Uuid::now_v7().to_string()).await.status.is_success().then_some(())
    })
    .await;
}
