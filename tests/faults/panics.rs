//! I8: let it crash. For each kind of actor what docs/ARCHITECTURE.md says of its panic.

use crate::arm::Turn;
use crate::support::checks;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(1);
const NOTHING: [&str; 0] = [];

/// Posts through the panic; the answer, which must come soon, and then the same post again, which must be stored once.
async fn post_through(turn: &mut Turn, fault: &'static str) -> (Value, Value) {
    let scene = Scene::start().await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let mut other = scene.ann.connect().await;
    let quiet = scene.ann.make_room("Library", "public").await;
    scene.pipeline(&scene.bob, 1).await;
    let mut socket = scene.bob.connect().await;
    let post = json!({"room": scene.room, "client_id": Uuid::now_v7(), "text": "through it"});
    turn.arm(fault, 1);
    let begun = std::time::Instant::now();
    let answer = socket.ask("post", post.clone()).await;
    assert!(begun.elapsed() <= SOON, "{fault}: answered after {:?}", begun.elapsed());
    // Another room does not notice.
    let begun = std::time::Instant::now();
    assert!(other.say(&quiet, "calm").await.get("ok").is_some());
    assert!(begun.elapsed() <= SOON, "{fault}: another room took {:?}", begun.elapsed());
    // Sockets stay; the actor is back.
    let again = socket.ask("post", post).await;
    assert!(again.get("ok").is_some(), "{fault}: {again}");
    scene.pipeline(&scene.bob, 3).await;
    scene.catch_up(&mut viewer).await;
    let history = scene.history().await;
    assert_eq!(checks::shown(&viewer, &history), NOTHING, "{fault}");
    assert_eq!(checks::order(&history, &[]), NOTHING, "{fault}");
    assert_eq!(history.len(), 5, "{fault}");
    (answer, again)
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or("ok")
}

#[tokio::test]
async fn a_room_that_panics_on_a_post_says_unavailable_and_sockets_stay() {
    let mut turn = Turn::take().await;
    let (answer, again) = post_through(&mut turn, "room.panic").await;
    assert_eq!(code(&answer), "unavailable");
    assert_eq!(again["ok"]["repeat"], false);
}

#[tokio::test]
async fn a_room_that_panics_after_the_commit_says_unknown_and_the_repeat_finds_it() {
    let mut turn = Turn::take().await;
    let (answer, again) = post_through(&mut turn, "room.panic_after_commit").await;
    assert_eq!(code(&answer), "outcome_unknown");
    assert_eq!(again["ok"]["repeat"], true);
}

#[tokio::test]
async fn what_a_filter_reports_is_reported_though_the_room_panics_after_the_commit() {
    let mut turn = Turn::take().await;
    let scene = Scene::start().await;
    let odd = json!({"kind": "word", "pattern": "odd", "action": "report"});
    scene.ann.post(&format!("rooms/{}/filters", scene.room), odd).await.ok();
    let reported = async || scene.ann.get("reports").await.ok()["items"].as_array().map_or(0, Vec::len);
    // By then the room knows its filters.
    let seq = scene.bob.say(&scene.room, "fine").await["seq"].clone();
    turn.arm("room.panic_after_commit", 1);
    let answer = scene.bob.say_as(&scene.room, "how odd", &Uuid::now_v7().to_string()).await;
    assert_eq!((answer.code(), reported().await), ("outcome_unknown", 1));
    turn.arm("room.panic_after_commit", 1);
    let edit = scene.bob.patch(&format!("rooms/{}/messages/{seq}", scene.room), json!({"text": "odd, too"})).await;
    assert_eq!((edit.code(), reported().await), ("outcome_unknown", 2));
}

#[tokio::test]
async fn persistence_that_panics_says_unavailable_and_comes_back() {
    let mut turn = Turn::take().await;
    let (answer, _) = post_through(&mut turn, "persistence.panic").await;
    assert!(["unavailable", "outcome_unknown"].contains(&code(&answer)), "{answer}");
}

#[tokio::test]
async fn persistence_that_panics_after_the_commit_loses_nothing() {
    let mut turn = Turn::take().await;
    let (answer, again) = post_through(&mut turn, "persistence.panic_after_commit").await;
    assert_eq!(code(&answer), "ok");
    assert_eq!(again["ok"]["repeat"], true);
}

#[tokio::test]
async fn a_task_of_the_store_that_panics_is_run_again() {
    let mut turn = Turn::take().await;
    let (answer, _) = post_through(&mut turn, "store.panic").await;
    assert_eq!(code(&answer), "ok");
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_stored() {
    let mut turn = Turn::take().await;
    let (answer, again) = post_through(&mut turn, "persistence.after_commit").await;
    assert!(answer["ok"]["seq"].is_number(), "{answer}");
    assert_eq!(again["ok"]["seq"], answer["ok"]["seq"]);
}

#[tokio::test]
async fn a_directory_that_panics_leaves_rooms_that_are_awake_alone() {
    let mut turn = Turn::take().await;
    let scene = Scene::start().await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let mut socket = scene.bob.connect().await;
    let (one, two) = (scene.ann.make_room("Library", "public").await, scene.ann.make_room("Cellar", "public").await);
    scene.bob.join(&one).await;
    turn.arm("directory.panic", 1);
    let body = json!({"client_id": Uuid::now_v7(), "text": "psst"});
    let direct = scene.bob.post(&format!("direct/{}/messages", scene.ann.id), body.clone()).await;
    assert!(["outcome_unknown", "unavailable"].contains(&direct.code()), "{direct:?}");
    assert!(socket.say(&scene.room, "still here").await.get("ok").is_some());
    viewer.until(scene.ann.head(&scene.room).await).await;
    assert_eq!(viewer.texts(), ["still here"]);
    scene.bob.post(&format!("direct/{}/messages", scene.ann.id), body).await.ok();
    assert!(socket.say(&one, "and here").await.get("ok").is_some());
    scene.ann.say(&two, "and here").await;
}

#[tokio::test]
async fn a_relay_that_panics_closes_its_threads_sockets_which_resume_without_loss() {
    let mut turn = Turn::take().await;
    let scene = Scene::start_with(&[("server.workers", "1")]).await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    scene.bob.say(&scene.room, "before").await;
    scene.catch_up(&mut viewer).await;
    turn.arm("relay.panic", 1);
    scene.bob.say(&scene.room, "into the panic").await;
    let closed = tokio::time::timeout(SOON, viewer.until_closed()).await.expect("noticed within a second");
    assert_eq!(closed, Some(4002));
    assert_eq!(viewer.resume(&scene.ann).await["status"], "resuming");
    scene.bob.say(&scene.room, "after").await;
    scene.catch_up(&mut viewer).await;
    assert_eq!(viewer.texts(), ["before", "into the panic", "after"]);
    assert_eq!(checks::shown(&viewer, &scene.history().await), NOTHING);
}

#[tokio::test]
async fn a_session_that_panics_closes_its_own_socket_only() {
    let mut turn = Turn::take().await;
    let scene = Scene::start_with(&[("server.workers", "1")]).await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let mut stayed = Viewer::fresh(&scene.bob, &scene.room).await;
    turn.arm("session.panic", 1);
    viewer.socket.command("ping", json!({})).await;
    let closed = tokio::time::timeout(SOON, viewer.until_closed()).await.expect("noticed within a second");
    assert_eq!(closed, Some(1011));
    scene.bob.say(&scene.room, "nobody else felt it").await;
    scene.catch_up(&mut stayed).await;
    viewer.resume(&scene.ann).await;
    scene.catch_up(&mut viewer).await;
    assert_eq!(checks::same(&viewer, &stayed), NOTHING);
}

#[tokio::test]
async fn a_presence_tracker_that_panics_costs_no_socket_and_knows_again_who_is_there() {
    let mut turn = Turn::take().await;
    let scene = Scene::start_with(&[("presence.coalesce", "50ms"), ("presence.offline_after", "100ms")]).await;
    let (mut ann, bob) = (scene.ann.connect().await, scene.bob.connect().await);
    ann.ask("watch_presence", json!({"users": [scene.bob.id]})).await;
    let state = |push: &Value| push["users"][0]["state"].as_str().unwrap_or("none").to_owned();
    while state(&ann.push("presence").await) != "online" {}
    turn.arm("presence.tick", 1);
    // What happens meanwhile makes it tick.
    drop(scene.bob.connect().await);
    crate::support::eventually("the panic", || async { (!hubbub::faults::is_armed("presence.tick")).then_some(()) }).await;
    drop(bob);
    while state(&ann.push("presence").await) != "offline" {}
    let _back = scene.bob.connect().await;
    while state(&ann.push("presence").await) != "online" {}
}

#[tokio::test]
async fn an_accounts_keeper_that_panics_still_hears_what_another_process_did() {
    let mut turn = Turn::take().await;
    let scene = Scene::start().await;
    let mut socket = scene.bob.connect().await;
    turn.arm("accounts.panic", 1);
    crate::support::eventually("the panic", || async { (!hubbub::faults::is_armed("accounts.panic")).then_some(()) }).await;
    scene.server.user_command(&["disable", "bob"], "").await;
    let closed = tokio::time::timeout(2 * SOON, socket.closed()).await.expect("felt soon");
    assert_eq!(closed, Some(4200));
}

#[tokio::test]
async fn a_moderation_keeper_that_panics_still_hears_of_filters_of_another_process() {
    let mut turn = Turn::take().await;
    let scene = Scene::start_with(&[("moderation.filters_check", "50ms")]).await;
    turn.arm("moderation.panic", 1);
    crate::support::eventually("the panic", || async { (!hubbub::faults::is_armed("moderation.panic")).then_some(()) }).await;
    let id = Uuid::now_v7().simple();
    let made = format!(
        "INSERT INTO filters (id, room, kind, pattern, action, created_by, created_at) \
         VALUES (x'{id}', NULL, 0, 'spam', 1, x'{id}', '2026-11-23 10:00:00'); INSERT INTO filter_set (one, revision) VALUES (1, 1)"
    );
    scene.server.database.tamper(scene.server.folder.path(), &made).await;
    let refused = || async {
        let posted = scene.bob.say_as(&scene.room, "spam", &Uuid::now_v7().to_string()).await;
        (!posted.status.is_success() && posted.code() == "filtered").then_some(())
    };
    crate::support::eventually("a refusal", refused).await;
}

/// `lost` envelopes go astray on their way to the relay after `before` have arrived, and `after` arrive then.
async fn made_up_for(before: usize, lost: u64, after: usize) {
    let mut turn = Turn::take().await;
    let scene = Scene::start_with(&[("room.head_check_interval", "200ms")]).await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    scene.pipeline(&scene.bob, before).await;
    scene.catch_up(&mut viewer).await;
    turn.arm("relay.drop_envelope", lost);
    for _ in 0..=after {
        scene.pipeline(&scene.bob, 1).await;
    }
    scene.catch_up(&mut viewer).await;
    assert!(!hubbub::faults::is_armed("relay.drop_envelope"), "as many were lost as were to be");
    assert_eq!(checks::shown(&viewer, &scene.history().await), NOTHING);
}

#[tokio::test]
async fn the_very_first_event_that_is_lost_on_its_way_to_a_relay_is_made_up_for() {
    made_up_for(0, 1, 1).await;
}

#[tokio::test]
async fn a_later_event_that_is_lost_on_its_way_to_a_relay_is_made_up_for() {
    made_up_for(1, 1, 1).await;
}

#[tokio::test]
async fn the_last_event_that_is_lost_on_its_way_to_a_relay_is_made_up_for_by_the_comparison_of_heads() {
    made_up_for(1, 1, 0).await;
}

#[tokio::test]
async fn a_room_that_had_a_single_event_and_lost_it_on_its_way_to_a_relay_makes_up_for_it() {
    made_up_for(0, 1, 0).await;
}

#[tokio::test]
async fn a_last_event_whose_refill_is_lost_too_is_made_up_for_by_the_next_comparison() {
    made_up_for(1, 3, 0).await;
}

#[tokio::test]
async fn a_room_that_panicked_is_shown_with_its_restarts_and_what_its_panic_said() {
    // As `serve` does: it is the hook that knows the place.
    hubbub::supervision::panic::install_hook();
    let mut turn = Turn::take().await;
    let scene = Scene::start().await;
    scene.server.user_command(&["promote", "ann"], "").await;
    turn.arm("room.panic", 1);
    assert_eq!(code(&scene.bob.connect().await.say(&scene.room, "into the panic").await), "unavailable");
    let shown = crate::support::eventually("the room runs again and Ann administers", || async {
        let answer = scene.ann.get("admin/actors?kind=room").await;
        answer.status.is_success().then(|| answer.ok()).filter(|answer| answer["items"][0]["state"] == "running")
    })
    .await;
    let room = &shown["items"][0];
    assert!(room["path"].as_str().is_some_and(|path| path.ends_with(&scene.room)), "{room}");
    assert_eq!((room["kind"].as_str(), room["restarts"].as_u64()), (Some("room"), Some(1)));
    let panic = &room["last_panic"];
    assert!(panic["location"].as_str().is_some_and(|place| place.contains("src/")), "{room}");
    assert_eq!(room["mailbox_depth"], 0);
    assert!(room["mailbox_capacity"].as_u64().is_some_and(|capacity| capacity > 0), "{room}");
    let sum = shown["kinds"].as_array().unwrap().iter().find(|kind| kind["kind"] == "room").unwrap();
    assert_eq!(sum["restarts"], 1);
}

#[tokio::test]
async fn a_fault_of_the_server_is_in_the_log_under_the_id_that_was_answered() {
    let log = crate::support::log::Log::capture();
    let mut turn = Turn::take().await;
    let scene = Scene::start().await;
    let mut socket = scene.bob.connect().await;
    turn.arm("store.panic", crate::arm::ALWAYS);
    let answer = socket.say(&scene.room, "never stored").await;
    turn.disarm();
    assert_eq!(code(&answer), "internal");
    let id = answer["error"]["request_id"].as_str().expect("an id").to_owned();
    let text = log.text();
    let lines: Vec<_> = text.lines().filter(|line| line.contains(&id)).collect();
    assert!(lines.iter().any(|line| line.contains("a transaction failed") && line.contains(&scene.room)), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("session=") && line.contains(&scene.bob.id)), "{lines:?}");
}
