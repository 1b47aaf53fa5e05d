//! Who has read and received a room up to where.

use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::socket::Socket;
use serde_json::{Value, json};

async fn looking(person: &Person, room: &str) -> Socket {
    let mut socket = person.connect().await;
    socket.subscribe(room).await;
    socket
}

async fn receipts(person: &Person, room: &str) -> Value {
    person.get(&format!("rooms/{room}/receipts")).await.ok()["receipts"].clone()
}

async fn read(person: &Person, room: &str, seq: u64) {
    person.put(&format!("rooms/{room}/read"), json!({ "seq": seq })).await.ok();
}

/// Pushes of receipts up to the message `last`.
async fn heard_until(socket: &mut Socket, last: &str) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        let push = socket.any_push().await;
        if let Some(receipts) = push["receipts"]["receipts"].as_array() {
            heard.extend(receipts.iter().cloned());
        }
        let items = push["changes"]["items"].as_array().cloned().unwrap_or_default();
        if items.iter().any(|item| item["message"]["text"] == last) {
            return heard;
        }
    }
}

#[tokio::test]
async fn the_others_who_look_are_told_and_who_comes_later_asks() {
    let scene = Scene::start_with(&[("accounts.read_mark_flush", "10ms")]).await;
    let (room, ann, bob) = (&scene.room, &scene.ann, &scene.bob);
    let mut anns = looking(ann, room).await;
    for text in ["one", "two"] {
        ann.say(room, text).await;
    }
    assert_eq!(receipts(ann, room).await, json!([]));
    let mut bobs = bob.connect().await;
    assert_eq!(bobs.ask("delivered", json!({"room": room, "seq": 2})).await["ok"], json!({}));
    let received = json!({"user": bob.id, "read": 0, "delivered": 2});
    assert_eq!(anns.push("receipts").await, json!({"room": room, "receipts": [received]}));
    read(bob, room, 1).await;
    let read_one = json!({"user": bob.id, "read": 1, "delivered": 2});
    assert_eq!(anns.push("receipts").await["receipts"], json!([read_one]));
    assert_eq!(receipts(ann, room).await, json!([read_one]));
    assert_eq!(receipts(bob, room).await, json!([]), "not one's own");
}

#[tokio::test]
async fn reading_everything_tells_the_rooms_of_it() {
    let scene = Scene::start().await;
    let mut anns = looking(&scene.ann, &scene.room).await;
    scene.ann.say(&scene.room, "one").await;
    scene.bob.put("me/read", json!({})).await.ok();
    assert_eq!(anns.push("receipts").await["receipts"][0]["read"], 1);
}

#[tokio::test]
async fn between_blocker_and_blocked_nothing_is_told_either_way() {
    let scene = Scene::start_with(&[("accounts.read_mark_flush", "10ms")]).await;
    let (room, ann, bob) = (&scene.room, &scene.ann, &scene.bob);
    let cem = Person::register(&scene.server, "cem").await;
    cem.join(room).await;
    cem.say(room, "one").await;
    ann.put(&format!("me/blocks/{}", bob.id), json!({})).await.ok();
    let (mut anns, mut bobs, mut cems) = (looking(ann, room).await, looking(bob, room).await, looking(&cem, room).await);
    read(ann, room, 1).await;
    assert_eq!(cems.push("receipts").await["receipts"][0]["user"], json!(ann.id));
    read(bob, room, 1).await;
    assert_eq!(cems.push("receipts").await["receipts"][0]["user"], json!(bob.id));
    cem.say(room, "end").await;
    for (socket, who) in [(&mut anns, ann), (&mut bobs, bob)] {
        assert_eq!(heard_until(socket, "end").await, [Value::Null; 0], "{}", who.name);
        assert_eq!(receipts(who, room).await, json!([]), "{}", who.name);
    }
    assert_eq!(receipts(&cem, room).await.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn who_wants_no_receipts_neither_sends_nor_sees_any_live_and_does_again_once_they_do() {
    let scene = Scene::start_with(&[("accounts.read_mark_flush", "10ms")]).await;
    let (room, ann, bob) = (&scene.room, &scene.ann, &scene.bob);
    let cem = Person::register(&scene.server, "cem").await;
    cem.join(room).await;
    let (mut anns, mut bobs, mut cems) = (looking(ann, room).await, looking(bob, room).await, looking(&cem, room).await);
    for (text, wanted) in [("one", true), ("two", false), ("three", true)] {
        let seq = cem.say(room, text).await["seq"].as_u64().expect("a number");
        bob.patch("me/preferences", json!({ "receipts": wanted })).await.ok();
        read(bob, room, seq).await;
        read(ann, room, seq).await;
        let of_ann = json!({"user": ann.id, "read": seq, "delivered": seq});
        let of_bob = json!({"user": bob.id, "read": seq, "delivered": seq});
        // Behind Bob's, if there was to be one.
        while cems.push("receipts").await["receipts"] != json!([of_ann]) {}
        if wanted {
            while anns.push("receipts").await["receipts"] != json!([of_bob]) {}
            while bobs.push("receipts").await["receipts"] != json!([of_ann]) {}
        }
        cem.say(room, "end").await;
        for (socket, who) in [(&mut anns, "Ann"), (&mut bobs, "Bob")] {
            assert_eq!(heard_until(socket, "end").await, [Value::Null; 0], "{who}, {text}");
        }
        let lists = [receipts(ann, room).await, receipts(bob, room).await].map(|list| list != json!([]));
        assert_eq!(lists, [wanted; 2], "as when they ask, {text}");
    }
}

#[tokio::test]
async fn large_rooms_have_no_receipts_but_groups_and_direct_rooms_do() {
    let scene = Scene::start_with(&[("room.receipts_members_max", "1")]).await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    assert_eq!(ann.get(&format!("rooms/{}/receipts", scene.room)).await.code(), "not_allowed");
    let direct = json!({"client_id": uuid::Uuid::now_v7(), "text": "psst"});
    let direct = bob.post(&format!("direct/{}/messages", ann.id), direct).await.ok()["room"].clone();
    let room = direct.as_str().expect("an id");
    let mut bobs = looking(bob, room).await;
    read(ann, room, 1).await;
    assert_eq!(bobs.push("receipts").await["receipts"][0]["user"], json!(ann.id));
    assert_eq!(receipts(bob, room).await[0]["read"], 1);
    let group = ann.post("groups", json!({"users": [bob.id]})).await.ok()["id"].clone();
    assert_eq!(receipts(ann, group.as_str().expect("an id")).await, json!([]));
}
