//! Direct messages and groups over REST.

use crate::support::person::Person;
use crate::support::server::Server;
use serde_json::{Value, json};
use std::collections::HashSet;
use uuid::Uuid;

async fn whisper(from: &Person, to: &str, text: &str) -> crate::support::person::Answer {
    from.post(&format!("direct/{to}/messages"), json!({"client_id": Uuid::now_v7(), "text": text})).await
}

#[tokio::test]
async fn two_people_have_one_room_whoever_writes_first() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let (one, other) = tokio::join!(whisper(&ann, &bob.id, "from Ann"), whisper(&bob, &ann.id, "from Bob"));
    let (one, other) = (one.ok(), other.ok());
    assert_eq!(one["room"], other["room"]);
    let seqs: HashSet<_> = [&one, &other].iter().filter_map(|posted| posted["seq"].as_u64()).collect();
    assert_eq!(seqs, [1, 2].into());
    let room = one["room"].as_str().expect("a room");
    assert_eq!(ann.texts(room).await.len(), 2);
    let mine = bob.get("me/rooms").await.ok();
    assert_eq!(mine["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(mine["items"][0]["people"][0]["name"], json!("ann"), "a direct room is called after the other one");
}

#[tokio::test]
async fn a_repeated_first_message_is_one_message() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let message = json!({"client_id": Uuid::now_v7(), "text": "psst"});
    let path = format!("direct/{}/messages", bob.id);
    let (first, again) = (ann.post(&path, message.clone()).await.ok(), ann.post(&path, message).await.ok());
    assert_eq!((&first["seq"], &again["seq"], &again["repeat"]), (&json!(1), &json!(1), &json!(true)));
    assert_eq!(first["room"], again["room"]);
}

#[tokio::test]
async fn the_first_message_mentions_the_two_of_the_room_and_nobody_else() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let eve = Person::register(&server, "eve").await;
    let direct = whisper(&ann, &bob.id, "@eve cannot hear us, @bob; nor can @room").await.ok();
    let message = bob.get(&format!("rooms/{}/messages/1", direct["room"].as_str().expect("a room"))).await.ok();
    assert_eq!(message["mentions"], json!({"users": [bob.id], "room": true}));
    let alone = whisper(&ann, &eve.id, "not for @bob").await.ok();
    let message = eve.get(&format!("rooms/{}/messages/1", alone["room"].as_str().expect("a room"))).await.ok();
    assert_eq!(message["mentions"], Value::Null);
}

#[tokio::test]
async fn words_are_forwarded_to_somebody_never_written_to() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let eve = Person::register(&server, "eve").await;
    let room = ann.make_room("Kitchen", "private").await;
    ann.say(&room, "hear, hear").await;
    let forward = |seq: u64| json!({"client_id": Uuid::now_v7(), "forward": {"room": room, "seq": seq}});
    let with = |mut post: Value, field: &str, value: Value| {
        post[field] = value;
        post
    };
    let path = format!("direct/{}/messages", bob.id);
    for (bad, code) in [
        (forward(2), "not_found"),
        (with(forward(1), "text", json!("mine")), "bad_request"),
        (with(forward(1), "quote", json!(1)), "bad_request"),
        (with(forward(1), "thread", json!(1)), "bad_request"),
        (json!({"client_id": Uuid::now_v7()}), "bad_request"),
    ] {
        assert_eq!(ann.post(&path, bad.clone()).await.code(), code, "{bad}");
    }
    let not_hers = eve.post(&path, forward(1)).await;
    assert_eq!(not_hers.code(), "not_found", "nobody forwards what they may not read");
    assert_eq!(bob.get("me/rooms").await.ok()["items"], json!([]), "no room was made for what was refused");

    let first = forward(1);
    let posted = ann.post(&path, first.clone()).await.ok();
    ann.delete(&format!("rooms/{room}/messages/1")).await.ok();
    let again = ann.post(&path, first).await.ok();
    assert_eq!((&again["seq"], &again["repeat"]), (&posted["seq"], &json!(true)), "a repeat is one, though its source is gone");
    let direct = posted["room"].as_str().expect("a room").to_owned();
    let origin = json!({"room": room, "seq": 1, "author": ann.id});
    let copy = bob.get(&format!("rooms/{direct}/messages/1")).await.ok();
    assert_eq!((&copy["text"], &copy["origin"]), (&json!("hear, hear"), &origin));

    let mut socket = bob.connect().await;
    let on = json!({"user": eve.id, "client_id": Uuid::now_v7(), "forward": {"room": direct, "seq": 1}});
    let posted = socket.ask("post_direct", on).await["ok"].clone();
    let copy = eve.get(&format!("rooms/{}/messages/1", posted["room"].as_str().expect("a room"))).await.ok();
    assert_eq!((&copy["text"], &copy["origin"]["author"]), (&json!("hear, hear"), &json!(ann.id)), "of whoever said it first");
}

#[tokio::test]
async fn nobody_writes_to_themselves_or_to_nobody_and_a_direct_room_is_nobody_elses() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let eve = Person::register(&server, "eve").await;
    assert_eq!(whisper(&ann, &ann.id, "me").await.code(), "bad_request");
    assert_eq!(whisper(&ann, &Uuid::now_v7().to_string(), "who").await.code(), "not_found");
    let direct = whisper(&ann, &bob.id, "psst").await.ok();
    let room = direct["room"].as_str().expect("a room");
    for path in [format!("rooms/{room}"), format!("rooms/{room}/messages"), format!("rooms/{room}/members")] {
        assert_eq!(eve.get(&path).await.code(), "not_found");
    }
    assert_eq!(ann.delete(&format!("rooms/{room}/members/me")).await.code(), "not_allowed");
    assert_eq!(ann.put(&format!("rooms/{room}/invitations/{}", eve.id), json!({})).await.code(), "not_allowed");
}

#[tokio::test]
async fn a_group_names_those_who_are_in_it_or_asked_to_be() {
    let server = Server::start().await;
    let mut people = Vec::new();
    for name in ["ann", "bob", "cem", "dan"] {
        people.push(Person::register(&server, name).await);
    }
    let [ann, bob, cem, dan] = &people[..] else { panic!("four") };
    let group = ann.post("groups", json!({"users": [bob.id, cem.id]})).await.ok();
    let group = group["id"].as_str().expect("a room");
    ann.put(&format!("rooms/{group}/invitations/{}", dan.id), json!({})).await.ok();
    bob.delete(&format!("rooms/{group}/members/me")).await.ok();
    let mine = ann.get("me/rooms").await.ok();
    let mut named: Vec<&str> =
        mine["items"][0]["people"].as_array().expect("people").iter().filter_map(|person| person["name"].as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, ["cem", "dan"]);
}

#[tokio::test]
async fn each_group_is_a_new_one_and_all_are_in_it() {
    let server = Server::start_with(&[("limits.group_members_max", "4")]).await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let cem = Person::register(&server, "cem").await;
    let people = json!({"users": [bob.id, cem.id]});
    let (first, second) = (ann.post("groups", people.clone()).await.ok(), ann.post("groups", people).await.ok());
    assert_ne!(first["id"], second["id"]);
    let group = first["id"].as_str().expect("a room");
    cem.say(group, "all here").await;
    assert_eq!(bob.texts(group).await, ["all here"]);
    assert_eq!(ann.post("groups", json!({"users": []})).await.code(), "bad_request");
    let many: Vec<Value> = (0..5).map(|_| json!(Uuid::now_v7())).collect();
    assert_eq!(ann.post("groups", json!({"users": many})).await.code(), "limit_reached");
}

/// As docs/OPERATIONS.md says of `limits.rooms_per_user`.
#[tokio::test]
async fn a_direct_message_reaches_somebody_who_is_in_as_many_rooms_as_may_be_and_counts_for_them() {
    let server = Server::start_with(&[("limits.rooms_per_user", "2")]).await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let cem = Person::register(&server, "cem").await;
    let open = ann.make_room("Open", "public").await;
    for name in ["one", "two"] {
        bob.make_room(name, "private").await;
    }
    assert_eq!(bob.put(&format!("rooms/{open}/members/me"), json!({})).await.code(), "limit_reached");
    assert_eq!(whisper(&bob, &cem.id, "may I").await.code(), "limit_reached", "who writes first is held to it");
    whisper(&ann, &bob.id, "psst").await.ok();
    whisper(&cem, &bob.id, "psst").await.ok();
    let mine = bob.get("me/rooms").await.ok();
    assert_eq!(mine["items"].as_array().map(Vec::len), Some(4));
    assert_eq!(bob.put(&format!("rooms/{open}/members/me"), json!({})).await.code(), "limit_reached");
}
