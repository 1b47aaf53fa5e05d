//! Who is typing: told to those who look at the room, and kept nowhere.

use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::socket::Socket;
use crate::support::viewer::Viewer;
use serde_json::{Value, json};

async fn looking(person: &Person, room: &str) -> Socket {
    let mut socket = person.connect().await;
    socket.subscribe(room).await;
    socket
}

/// What a socket was pushed up to the message `last`, by kind.
async fn heard_until(socket: &mut Socket, last: &str) -> Vec<Value> {
    let mut typing = Vec::new();
    loop {
        let push = socket.any_push().await;
        if push.get("typing").is_some() {
            typing.push(push["typing"].clone());
        }
        let items = push["changes"]["items"].as_array().cloned().unwrap_or_default();
        if items.iter().any(|item| item["message"]["text"] == last) {
            return typing;
        }
    }
}

#[tokio::test]
async fn those_who_look_at_the_room_are_told_by_socket_and_rest_but_not_the_one_who_types() {
    let scene = Scene::start_with(&[("room.typing_for", "7s")]).await;
    let (room, ann, bob) = (&scene.room, &scene.ann, &scene.bob);
    let (mut anns, mut bobs, mut bobs_other) = (looking(ann, room).await, looking(bob, room).await, looking(bob, room).await);
    let mut elsewhere = ann.connect().await;
    let cem = Person::register(&scene.server, "cem").await;
    cem.join(room).await;
    // The line of his coming.
    anns.push("changes").await;
    bob.say(room, "a thread").await;
    assert_eq!(bobs.ask("typing", json!({"room": room})).await["ok"], json!({}));
    assert_eq!(anns.push("typing").await, json!({"room": room, "user": bob.id, "for_ms": 7000}));
    cem.post(&format!("rooms/{room}/typing"), json!({"thread": 1})).await.ok();
    assert_eq!(anns.push("typing").await, json!({"room": room, "user": cem.id, "thread": 1, "for_ms": 7000}));
    bob.say(room, "end").await;
    for socket in [&mut bobs, &mut bobs_other] {
        let heard = heard_until(socket, "end").await;
        assert_eq!(heard.iter().map(|typing| &typing["user"]).collect::<Vec<_>>(), [&json!(cem.id)], "not of oneself");
    }
    elsewhere.ask("ping", json!({})).await;
    assert!(elsewhere.heard().iter().all(|push| push.get("typing").is_none()), "who does not look is not told");
}

#[tokio::test]
async fn typing_is_passed_on_once_in_a_pause() {
    let scene = Scene::start_with(&[("room.typing_pause", "1h"), ("room.typing_for", "2h")]).await;
    let (room, bob) = (&scene.room, &scene.bob);
    let (mut anns, mut bobs) = (looking(&scene.ann, room).await, bob.connect().await);
    for _ in 0..3 {
        assert_eq!(bobs.ask("typing", json!({"room": room})).await["ok"], json!({}));
        bob.post(&format!("rooms/{room}/typing"), json!({})).await.ok();
    }
    bob.say(room, "end").await;
    assert_eq!(heard_until(&mut anns, "end").await.len(), 1);
    // Another person has a pause of their own.
    let mut bobs = looking(bob, room).await;
    scene.ann.post(&format!("rooms/{room}/typing"), json!({})).await.ok();
    assert_eq!(bobs.push("typing").await["user"], json!(scene.ann.id));
}

#[tokio::test]
async fn typing_is_not_resumed_and_takes_no_revision() {
    let scene = Scene::start().await;
    let (room, bob) = (&scene.room, &scene.bob);
    let mut away = Viewer::fresh(&scene.ann, room).await;
    away.socket.leave().await;
    let head = scene.ann.head(room).await;
    bob.post(&format!("rooms/{room}/typing"), json!({})).await.ok();
    assert_eq!(scene.ann.head(room).await, head);
    away.resume(&scene.ann).await;
    bob.say(room, "end").await;
    assert_eq!(heard_until(&mut away.socket, "end").await, [Value::Null; 0]);
}

#[tokio::test]
async fn who_may_not_post_may_not_type_and_a_thread_that_is_not_there_is_not_found() {
    let scene = Scene::start().await;
    let room = &scene.room;
    let stranger = Person::register(&scene.server, "eve").await;
    let path = format!("rooms/{room}/typing");
    assert_eq!(stranger.post(&path, json!({})).await.code(), "not_member");
    for thread in [0, 1] {
        assert_eq!(scene.bob.post(&path, json!({ "thread": thread })).await.code(), "not_found");
    }
    scene.ann.patch(&format!("rooms/{room}"), json!({"archived": true})).await.ok();
    assert_eq!(scene.bob.post(&path, json!({})).await.code(), "room_archived");
    scene.ann.put(&format!("rooms/{room}/bans/{}", scene.bob.id), json!({})).await.ok();
    assert_eq!(scene.bob.post(&path, json!({})).await.code(), "banned");
}

#[tokio::test]
async fn whom_one_blocks_is_not_told_that_one_types() {
    let scene = Scene::start_with(&[("room.typing_pause", "1ms")]).await;
    let (room, ann, bob) = (&scene.room, &scene.ann, &scene.bob);
    let cem = Person::register(&scene.server, "cem").await;
    cem.join(room).await;
    let (mut bobs, mut cems) = (looking(bob, room).await, looking(&cem, room).await);
    ann.put(&format!("me/blocks/{}", bob.id), json!({})).await.ok();
    ann.post(&format!("rooms/{room}/typing"), json!({})).await.ok();
    assert_eq!(cems.push("typing").await["user"], json!(ann.id));
    cem.say(room, "between").await;
    assert_eq!(heard_until(&mut bobs, "between").await, [Value::Null; 0]);
    ann.delete(&format!("me/blocks/{}", bob.id)).await.ok();
    ann.post(&format!("rooms/{room}/typing"), json!({})).await.ok();
    assert_eq!(bobs.push("typing").await["user"], json!(ann.id));
}
