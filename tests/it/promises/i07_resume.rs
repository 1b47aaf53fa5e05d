//! I7: resume.

use crate::support::checks;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use serde_json::json;

/// Bob leaves his socket, `count` posts later he is back: nothing of them is missing.
async fn away_for(count: usize) {
    let scene = Scene::start().await;
    let mut stayed = Viewer::fresh(&scene.ann, &scene.room).await;
    let mut away = Viewer::fresh(&scene.bob, &scene.room).await;
    away.socket.leave().await;
    for done in (0..count).step_by(64) {
        scene.pipeline(&scene.ann, (count - done).min(64)).await;
    }
    let start = away.resume(&scene.bob).await;
    assert_eq!(start["status"], if count == 0 { "live" } else { "resuming" }, "{start}");
    scene.pipeline(&scene.ann, 3).await;
    for viewer in [&mut stayed, &mut away] {
        scene.catch_up(viewer).await;
    }
    assert_eq!(checks::same(&away, &stayed), [""; 0]);
    assert_eq!(checks::shown(&away, &scene.history().await), [""; 0]);
}

#[tokio::test]
async fn after_nothing_missed() {
    away_for(0).await;
}

#[tokio::test]
async fn after_one_missed() {
    away_for(1).await;
}

#[tokio::test]
async fn after_a_thousand_missed() {
    away_for(1000).await;
}

#[tokio::test]
async fn after_changes_of_all_sorts_and_a_restart_of_the_server() {
    let mut scene = Scene::start().await;
    let mut away = Viewer::fresh(&scene.bob, &scene.room).await;
    let mut stayed = Viewer::fresh(&scene.ann, &scene.room).await;
    away.socket.leave().await;
    let room = format!("rooms/{}", scene.room);
    scene.pipeline(&scene.ann, 3).await;
    scene.ann.patch(&room, json!({"name": "Pantry"})).await.ok();
    let cid = crate::support::person::Person::register(&scene.server, "cid").await;
    cid.join(&scene.room).await;
    scene.ann.patch(&format!("{room}/members/{}", cid.id), json!({"role": "moderator"})).await.ok();
    scene.ann.patch(&room, json!({"topic": "jam"})).await.ok();
    cid.delete(&format!("{room}/members/me")).await.ok();
    scene.catch_up(&mut stayed).await;
    scene.restart().await;
    away.resume(&scene.bob).await;
    scene.catch_up(&mut away).await;
    assert_eq!(checks::same(&away, &stayed), [""; 0]);
}

#[tokio::test]
async fn a_cursor_that_cannot_be_continued_is_reset_with_its_reason() {
    let scene = Scene::start_with(&[("resume.max_changes", "10")]).await;
    let room = &scene.room;
    let (_, welcome) = scene.bob.connect_with(json!({})).await;
    let epoch = welcome["epoch"].clone();
    let head = scene.bob.head(room).await;
    let ask = async |epoch: &serde_json::Value, cursor: u64| {
        let hello = json!({"epoch": epoch, "rooms": [{"room": room, "cursor": cursor}]});
        let start = scene.bob.connect_with(hello).await.1["rooms"][0].clone();
        (start["status"].as_str().unwrap_or("none").to_owned(), start["reason"].as_str().unwrap_or("none").to_owned())
    };
    let reset = |reason: &str| ("reset".to_owned(), reason.to_owned());
    assert_eq!(ask(&epoch, head).await.0, "live");
    assert_eq!(ask(&epoch, head + 1).await, reset("above_head"));
    assert_eq!(ask(&json!(uuid::Uuid::now_v7()), head).await, reset("epoch"));
    scene.pipeline(&scene.ann, 10).await;
    assert_eq!(ask(&epoch, head).await.0, "resuming");
    scene.pipeline(&scene.ann, 1).await;
    assert_eq!(ask(&epoch, head).await, reset("too_far"));
    let now = scene.bob.head(room).await;
    scene.bob.delete(&format!("rooms/{room}/members/me")).await.ok();
    scene.bob.join(room).await;
    assert_eq!(ask(&epoch, now).await, reset("rejoined"));
}

#[tokio::test]
async fn whoever_was_kicked_while_away_is_refused_and_whoever_was_added_is_told() {
    let scene = Scene::start().await;
    let mut away = Viewer::fresh(&scene.bob, &scene.room).await;
    away.socket.leave().await;
    scene.end("kicked").await;
    let start = away.resume(&scene.bob).await;
    assert_eq!((&start["status"], &start["error"]["code"]), (&json!("refused"), &json!("not_member")));

    // Known from the user stream: what was missed of one's own comes without asking.
    let (mut socket, welcome) = scene.bob.connect_with(json!({})).await;
    let (epoch, known) = (welcome["epoch"].clone(), welcome["user_head"].as_u64().expect("a head"));
    socket.leave().await;
    let other = scene.ann.make_room("Attic", "private").await;
    scene.ann.put(&format!("rooms/{other}/invitations/{}", scene.bob.id), json!({})).await.ok();
    let (mut socket, _) = scene.bob.connect_with(json!({"epoch": epoch, "user_cursor": known})).await;
    let changes = socket.push("user_changes").await;
    assert_eq!(changes["from"], known);
    let membership = &changes["items"][0]["membership"];
    assert_eq!((&membership["state"], &membership["room"]["id"]), (&json!("invited"), &json!(other)));
}

#[tokio::test]
async fn rest_gives_what_a_socket_gives() {
    let scene = Scene::start().await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let from = viewer.cursor;
    scene.pipeline(&scene.bob, 10).await;
    scene.catch_up(&mut viewer).await;
    let (items, head) = scene.ann.changes(&scene.room, from).await;
    assert_eq!(head, viewer.cursor);
    let messages: Vec<_> = items.into_iter().filter_map(|item| item.get("message").cloned()).collect();
    assert_eq!(messages, viewer.came);
}
