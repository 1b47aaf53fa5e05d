//! History and changes over REST, and posting the same way as a socket.

use crate::support::person::Person;
use crate::support::server::Server;
use serde_json::{Value, json};
use uuid::Uuid;

fn seqs(page: &Value) -> Vec<u64> {
    let messages = page["messages"].as_array().unwrap_or_else(|| panic!("no messages: {page}"));
    messages.iter().filter_map(|message| message["seq"].as_u64()).collect()
}

async fn room_with(server: &Server, messages: usize) -> (Person, String) {
    let ann = Person::register(server, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;
    for number in 1..=messages {
        ann.say(&room, &format!("message {number}")).await;
    }
    (ann, room)
}

#[tokio::test]
async fn pages_lie_before_after_and_around_a_message() {
    let server = Server::start().await;
    let (ann, room) = room_with(&server, 9).await;
    let page = async |query: &str| ann.get(&format!("rooms/{room}/messages?{query}")).await.ok();
    let cases = [
        ("limit=3", vec![7, 8, 9], true, false),
        ("before=4&limit=2", vec![2, 3], true, true),
        ("before=3&limit=9", vec![1, 2], false, true),
        ("after=7&limit=9", vec![8, 9], true, false),
        ("after=0&limit=2", vec![1, 2], false, true),
        ("around=5&limit=4", vec![3, 4, 5, 6], true, true),
    ];
    for (query, expected, before, after) in cases {
        let page = page(query).await;
        assert_eq!(seqs(&page), expected, "{query}");
        assert_eq!((&page["more_before"], &page["more_after"]), (&json!(before), &json!(after)), "{query}");
    }
    let one = ann.get(&format!("rooms/{room}/messages/5")).await.ok();
    assert_eq!((&one["seq"], &one["text"]), (&json!(5), &json!("message 5")));
    assert_eq!(ann.get(&format!("rooms/{room}/messages/10")).await.code(), "not_found");
}

#[tokio::test]
async fn who_joined_later_sees_only_what_the_rooms_rule_shows() {
    let server = Server::start().await;
    let (ann, room) = room_with(&server, 3).await;
    ann.patch(&format!("rooms/{room}"), json!({"history": "since_joining"})).await.ok();
    let bob = Person::register(&server, "bob").await;
    bob.join(&room).await;
    ann.say(&room, "welcome").await;
    assert_eq!(bob.texts(&room).await, ["welcome"]);
    assert_eq!(bob.get(&format!("rooms/{room}/messages/3")).await.code(), "not_found");
    let around = bob.get(&format!("rooms/{room}/messages?around=2&limit=10")).await.ok();
    assert_eq!(seqs(&around), [4]);
    let changes = bob.get(&format!("rooms/{room}/changes?after=0")).await.ok();
    assert_eq!(changes["reset"], json!("rejoined"));
}

#[tokio::test]
async fn a_repeated_post_answers_the_first_and_another_text_is_refused() {
    let server = Server::start().await;
    let (ann, room) = room_with(&server, 0).await;
    let id = Uuid::now_v7().to_string();
    let first = ann.say_as(&room, "hello", &id).await;
    assert_eq!(first.status.as_u16(), 201);
    let again = ann.say_as(&room, "hello", &id).await;
    assert_eq!(again.status.as_u16(), 200);
    let (first, again) = (first.ok(), again.ok());
    assert_eq!((&first["seq"], &again["seq"], &again["repeat"]), (&json!(1), &json!(1), &json!(true)));
    let mut socket = ann.connect().await;
    let reply = socket.ask("post", json!({"room": room, "client_id": id, "text": "hello"})).await;
    assert_eq!((&reply["ok"]["seq"], &reply["ok"]["repeat"]), (&json!(1), &json!(true)), "{reply}");
    assert_eq!(ann.say_as(&room, "other", &id).await.code(), "client_id_reused");
    assert_eq!(ann.texts(&room).await, ["hello"]);
}

#[tokio::test]
async fn a_post_that_is_too_long_or_empty_is_refused() {
    let server = Server::start_with(&[("limits.text_max", "16B")]).await;
    let (ann, room) = room_with(&server, 0).await;
    for (text, code) in [("", "text_empty"), (" \n", "text_empty"), ("seventeen letters", "text_too_long")] {
        assert_eq!(ann.say_as(&room, text, &Uuid::now_v7().to_string()).await.code(), code, "{text:?}");
    }
    ann.say(&room, "sixteen letters!").await;
}

#[tokio::test]
async fn changes_by_rest_come_to_what_the_socket_showed() {
    let server = Server::start().await;
    let (ann, room) = room_with(&server, 0).await;
    let mut socket = ann.connect().await;
    let start = socket.subscribe(&room).await;
    for number in 1..=7 {
        ann.say(&room, &format!("message {number}")).await;
    }
    ann.patch(&format!("rooms/{room}"), json!({"topic": "news"})).await.ok();
    let mut live = Vec::new();
    let mut at = start;
    while at < start + 8 {
        let changes = socket.push("changes").await;
        assert_eq!(changes["from"], json!(at), "live revisions are dense");
        at = changes["to"].as_u64().expect("a revision");
        live.extend(changes["items"].as_array().cloned().unwrap_or_default());
    }
    let (mut read, mut after) = (Vec::new(), start);
    loop {
        let page = ann.get(&format!("rooms/{room}/changes?after={after}&limit=3")).await.ok();
        let changes = &page["changes"];
        assert_eq!(changes["from"], json!(after));
        read.extend(changes["items"].as_array().cloned().unwrap_or_default());
        after = changes["to"].as_u64().expect("a revision");
        if json!(after) == page["head"] {
            break;
        }
    }
    assert_eq!((after, &read), (at, &live));
}

#[tokio::test]
async fn a_cursor_that_cannot_be_continued_is_reset() {
    let server = Server::start_with(&[("resume.max_changes", "3"), ("resume.page_rows", "3")]).await;
    let (ann, room) = room_with(&server, 6).await;
    let reset = async |query: String| ann.get(&format!("rooms/{room}/changes?{query}")).await.ok()["reset"].clone();
    assert_eq!(reset("after=1000".to_owned()).await, json!("above_head"));
    assert_eq!(reset("after=1".to_owned()).await, json!("too_far"));
    assert_eq!(reset(format!("after=5&epoch={}", Uuid::now_v7())).await, json!("epoch"));
    let epoch = ann.get(&format!("rooms/{room}/changes?after=1000")).await.ok()["epoch"].clone();
    let epoch = epoch.as_str().expect("an epoch");
    assert_eq!(reset(format!("after=5&epoch={epoch}")).await, Value::Null);
}

#[tokio::test]
async fn a_page_that_leaves_timeline_lines_out_says_so_and_the_rest_can_be_read() {
    let server = Server::start().await;
    let (ann, room) = room_with(&server, 1).await;
    for name in ["bob", "cem", "dan"] {
        Person::register(&server, name).await.join(&room).await;
    }
    let read = async |path: String| {
        let page = ann.get(&format!("rooms/{room}/{path}")).await.ok();
        let lines = page["notices"].as_array().unwrap_or_else(|| panic!("no lines: {page}"));
        let revisions: Vec<_> = lines.iter().filter_map(|line| line["revision"].as_u64()).collect();
        (revisions, page["more_notices"].clone())
    };
    // The room's making, the message, and three who came.
    assert_eq!(read("messages?limit=2".to_owned()).await, (vec![4, 5], json!(true)));
    assert_eq!(read("notices?before=4&limit=1".to_owned()).await, (vec![3], json!(true)));
    assert_eq!(read("notices?before=3&limit=1".to_owned()).await, (vec![1], json!(false)));
    assert_eq!(read("messages?limit=4".to_owned()).await, (vec![1, 3, 4, 5], json!(false)));
}
