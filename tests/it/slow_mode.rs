//! Rooms in which members wait between posts, and rooms in which only some post.

use crate::support::eventually;
use crate::support::person::{Answer, Person};
use crate::support::scene::Scene;
use serde_json::{Value, json};
use uuid::Uuid;

async fn set(scene: &Scene, settings: Value) -> Value {
    scene.ann.patch(&format!("rooms/{}", scene.room), settings).await.ok()
}

async fn post(person: &Person, room: &str) -> Answer {
    person.say_as(room, "hello", &Uuid::now_v7().to_string()).await
}

/// The rest of the pause that an answer tells.
fn rest(body: &Value) -> u64 {
    assert_eq!(
        (&body["code"], &body["retry"], &body["stored"]),
        (&json!("slow_mode"), &json!(true), &json!("no")),
        "no refusal of slow mode: {body}"
    );
    body["retry_after_ms"].as_u64().expect("a time to wait")
}

#[tokio::test]
async fn the_pause_is_one_for_rest_and_sockets_and_outlasts_a_restart() {
    let mut scene = Scene::start().await;
    let shown = set(&scene, json!({"slow_mode_s": 3600})).await;
    assert_eq!(shown["slow_mode_s"], 3600);
    post(&scene.bob, &scene.room).await.ok();
    let mut socket = scene.bob.connect().await;
    let first = rest(&socket.say(&scene.room, "again").await["error"]);
    assert!((3_500_000..=3_600_000).contains(&first), "{first}");
    let second = rest(&post(&scene.bob, &scene.room).await.body);
    assert!(second <= first, "{second} after {first}");
    scene.restart().await;
    let third = rest(&post(&scene.bob, &scene.room).await.body);
    assert!(third <= second, "{third} after {second}");
    // The owner does not wait, nor does a moderator.
    for _ in 0..2 {
        post(&scene.ann, &scene.room).await.ok();
    }
    scene.ann.patch(&format!("rooms/{}/members/{}", scene.room, scene.bob.id), json!({"role": "moderator"})).await.ok();
    for _ in 0..2 {
        post(&scene.bob, &scene.room).await.ok();
    }
}

#[tokio::test]
async fn who_waits_as_long_as_told_may_post() {
    let scene = Scene::start().await;
    set(&scene, json!({"slow_mode_s": 1})).await;
    post(&scene.bob, &scene.room).await.ok();
    let refused = post(&scene.bob, &scene.room).await;
    if !refused.status.is_success() {
        assert!(rest(&refused.body) <= 1000);
    }
    eventually("the end of the pause", || async { post(&scene.bob, &scene.room).await.status.is_success().then_some(()) }).await;
}

#[tokio::test]
async fn a_repeat_is_answered_in_slow_mode() {
    let scene = Scene::start().await;
    set(&scene, json!({"slow_mode_s": 3600})).await;
    let once = Uuid::now_v7().to_string();
    let first = scene.bob.say_as(&scene.room, "once", &once).await.ok();
    let again = scene.bob.say_as(&scene.room, "once", &once).await.ok();
    assert_eq!((&again["seq"], &again["repeat"]), (&first["seq"], &json!(true)));
    let mut socket = scene.bob.connect().await;
    let post = json!({"room": scene.room, "client_id": once, "text": "once"});
    assert_eq!(socket.ask("post", post).await["ok"]["seq"], first["seq"]);
}

#[tokio::test]
async fn posts_behind_one_in_slow_mode_are_refused_with_it() {
    let scene = Scene::start().await;
    set(&scene, json!({"slow_mode_s": 3600})).await;
    let mut socket = scene.bob.connect().await;
    let (mut sent, mut waiting) = (Vec::<String>::new(), Vec::new());
    for number in 0..4 {
        let after = sent.last().map(String::as_str);
        let (reference, client_id) = socket.pipeline(&scene.room, &number.to_string(), after).await;
        waiting.push(reference);
        sent.push(client_id);
    }
    let mut codes = Vec::new();
    for reference in waiting {
        codes.push(socket.reply(reference).await["error"]["code"].as_str().unwrap_or("ok").to_owned());
    }
    assert_eq!(codes, ["ok", "slow_mode", "previous_refused", "previous_refused"]);
    assert_eq!(scene.history().await.len(), 1);
}

#[tokio::test]
async fn a_pause_of_more_than_six_hours_is_refused() {
    let scene = Scene::start().await;
    set(&scene, json!({"slow_mode_s": 6 * 3600})).await;
    let path = format!("rooms/{}", scene.room);
    assert_eq!(scene.ann.patch(&path, json!({"slow_mode_s": 6 * 3600 + 1})).await.code(), "bad_request");
    assert_eq!(scene.ann.patch(&path, json!({"slow_mode_s": -1})).await.code(), "bad_request");
}

#[tokio::test]
async fn in_a_read_only_room_only_those_of_the_role_post_and_everybody_is_told_the_rule() {
    let scene = Scene::start().await;
    let (room, bob) = (&scene.room, &scene.bob);
    let mut socket = bob.connect().await;
    socket.subscribe(room).await;
    set(&scene, json!({"posting": "moderator"})).await;
    let changes = socket.push("changes").await;
    let told: Vec<&Value> = changes["items"].as_array().into_iter().flatten().collect();
    assert!(told.iter().any(|item| item["room"]["posting"] == "moderator"), "{changes}");
    assert!(told.iter().any(|item| item["notice"]["kind"] == "posting_changed" && item["notice"]["text"] == "moderator"));
    assert_eq!(post(bob, room).await.code(), "not_allowed");
    assert_eq!(socket.say(room, "hello").await["error"]["code"], "not_allowed");
    assert_eq!(socket.ask("typing", json!({"room": room})).await["error"]["code"], "not_allowed");
    post(&scene.ann, room).await.ok();
    scene.ann.patch(&format!("rooms/{room}/members/{}", bob.id), json!({"role": "moderator"})).await.ok();
    post(bob, room).await.ok();
    set(&scene, json!({"posting": "owner"})).await;
    assert_eq!(post(bob, room).await.code(), "not_allowed");
    set(&scene, json!({"posting": "member"})).await;
    post(bob, room).await.ok();
}
