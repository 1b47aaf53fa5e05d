//! How far people have read: marks, what is unread, and how reports are gathered.

use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::socket::Socket;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a person's list says of a room.
async fn place(person: &Person, room: &str) -> Value {
    let mine = person.get("me/rooms").await.ok();
    let found = mine["items"].as_array().into_iter().flatten().find(|item| item["room"]["id"] == room);
    let found = found.unwrap_or_else(|| panic!("not in the list: {mine}"));
    json!([found["read_seq"], found["unread"], found["mentions"], found["first_unread"]])
}

/// The next mark in the person's stream.
async fn mark(socket: &mut Socket) -> Value {
    loop {
        let changes = socket.push("user_changes").await;
        let items = changes["items"].as_array().cloned().unwrap_or_default();
        if let Some(mark) = items.iter().find_map(|item| item.get("read_mark")) {
            return mark.clone();
        }
    }
}

#[tokio::test]
async fn what_is_read_on_one_device_is_read_on_all_and_counted_in_the_list() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    for n in 1..=4 {
        ann.say(room, &n.to_string()).await;
    }
    assert_eq!(place(bob, room).await, json!([0, 4, 0, 1]));
    let (mut phone, welcome) = bob.connect_with(json!({})).await;
    let known = json!({"epoch": welcome["epoch"], "user_cursor": welcome["user_head"]});
    let mut desk = bob.connect_with(known.clone()).await.0;
    assert_eq!(phone.ask("read", json!({"room": room, "seq": 3})).await["ok"], json!({}));
    let told = mark(&mut desk).await;
    assert_eq!((&told["room"], &told["seq"]), (&json!(room), &json!(3)));
    assert_eq!(place(bob, room).await, json!([3, 1, 0, 4]));
    // It only rises, and not beyond the end.
    phone.ask("read", json!({"room": room, "seq": 1})).await;
    bob.put(&format!("rooms/{room}/read"), json!({"seq": 99})).await.ok();
    assert_eq!(mark(&mut desk).await["seq"], 4);
    assert_eq!(place(bob, room).await, json!([4, 0, 0, null]));
    // A device that was away hears the newest.
    let mut late = bob.connect_with(known).await.0;
    assert_eq!(mark(&mut late).await["seq"], 4);
    assert_eq!(place(ann, room).await, json!([0, 4, 0, 1]), "each reads for themselves");
}

#[tokio::test]
async fn everything_is_read_with_one_command_over_either_way() {
    let scene = Scene::start().await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    let other = ann.make_room("Garden", "public").await;
    bob.join(&other).await;
    let mut socket = bob.connect().await;
    for round in 1..=2 {
        for room in [&scene.room, &other] {
            ann.say(room, "hello").await;
            assert_eq!(place(bob, room).await[1], 1);
        }
        match round {
            1 => assert_eq!(socket.ask("read_all", json!({})).await["ok"], json!({})),
            _ => drop(bob.put("me/read", json!({})).await.ok()),
        }
        for room in [&scene.room, &other] {
            assert_eq!(place(bob, room).await, json!([round, 0, 0, null]));
        }
    }
}

#[tokio::test]
async fn unread_begins_where_history_does_and_only_rooms_that_are_joined_have_a_place() {
    let scene = Scene::start().await;
    let (ann, room) = (&scene.ann, &scene.room);
    ann.patch(&format!("rooms/{room}"), json!({"history": "since_joining"})).await.ok();
    ann.say(room, "before").await;
    let cem = Person::register(&scene.server, "cem").await;
    cem.join(room).await;
    assert_eq!(place(&cem, room).await, json!([0, 0, 0, null]));
    ann.say(room, "after").await;
    assert_eq!(place(&cem, room).await, json!([0, 1, 0, 2]));
    cem.delete(&format!("rooms/{room}/members/me")).await.ok();
    let left = cem.get("me/rooms?state=left").await.ok();
    assert_eq!(left["items"][0].get("unread"), None, "{left}");
    assert_eq!(cem.put(&format!("rooms/{room}/read"), json!({"seq": 2})).await.code(), "not_member");
    let nothing = scene.bob.put(&format!("rooms/{room}/read"), json!({})).await;
    assert_eq!(nothing.code(), "bad_request");
}

#[tokio::test]
async fn reports_that_follow_each_other_are_answered_together_at_the_end_of_the_time() {
    let server = Server::start_with(&[("accounts.read_mark_flush", "2s")]).await;
    let ann = Person::register(&server, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;
    for n in 1..=9 {
        ann.say(&room, &n.to_string()).await;
    }
    let (mut socket, welcome) = ann.connect_with(json!({})).await;
    let head = welcome["user_head"].as_u64().expect("a revision");
    let first = Instant::now();
    socket.ask("read", json!({"room": room, "seq": 1})).await;
    let answered = Instant::now();
    let mut waiting = Vec::new();
    for seq in 2..=9 {
        waiting.push(socket.command("read", json!({"room": room, "seq": seq})).await);
    }
    for reference in waiting {
        assert_eq!(socket.reply(reference).await["ok"], json!({}));
    }
    let gap = Duration::from_millis(1900);
    assert!(first.elapsed() >= gap, "the first was answered after {:?}, all after {:?}", answered - first, first.elapsed());
    let after = ann.connect_with(json!({})).await.1["user_head"].as_u64();
    assert_eq!(after, Some(head + 2), "two writes");
}

#[tokio::test]
async fn a_report_that_is_gathered_is_written_when_the_server_stops() {
    let mut scene = Scene::on(Server::start_with(&[("accounts.read_mark_flush", "10m")]).await).await;
    scene.ann.say(&scene.room, "one").await;
    scene.ann.say(&scene.room, "two").await;
    let room = scene.room.clone();
    let mut socket = scene.bob.connect().await;
    socket.ask("read", json!({"room": room, "seq": 1})).await;
    socket.command("read", json!({"room": room, "seq": 2})).await;
    // Taken in before what follows is answered.
    socket.ask("ping", json!({})).await;
    // The socket waits for the answers to posts only; the mark is stored whether it hears of it or not.
    let (closed, stopped) = tokio::join!(socket.closed(), scene.server.stop());
    assert_eq!((closed, stopped), (Some(1001), Some(hubbub::app::Stopped::InOrder)));
    scene.restart().await;
    assert_eq!(place(&scene.bob, &room).await, json!([2, 0, 0, null]));
}
