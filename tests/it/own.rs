//! What is a person's own, over REST and socket: repeats, and the stream that tells all devices of it.

use crate::support::person::Person;
use crate::support::server::Server;
use reqwest::Method;
use serde_json::{Value, json};

/// The head of somebody's stream.
async fn head(person: &Person) -> Value {
    person.connect_with(json!({})).await.1["user_head"].clone()
}

#[tokio::test]
async fn what_is_a_persons_own_is_set_again_without_a_revision() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let user = &bob.id;
    let (kitchen, garden) = (ann.make_room("Kitchen", "public").await, ann.make_room("Garden", "public").await);
    for room in [&kitchen, &garden] {
        ann.say(room, "one").await;
        ann.say(room, "two").await;
    }
    let routes = [
        (Method::PUT, format!("me/blocks/{user}"), json!({})),
        (Method::DELETE, format!("me/blocks/{user}"), Value::Null),
        (Method::PUT, format!("me/mutes/{user}"), json!({})),
        (Method::DELETE, format!("me/mutes/{user}"), Value::Null),
        (Method::PUT, format!("rooms/{kitchen}/read"), json!({"seq": 1})),
        (Method::PUT, format!("rooms/{garden}/read"), json!({"seq": 2, "delivered": 2})),
        (Method::PUT, "me/read".to_owned(), json!({})),
        (Method::PUT, format!("rooms/{kitchen}/preferences"), json!({"muted_until": "2030-01-01T00:00:00.1234567Z"})),
        (Method::PUT, format!("rooms/{kitchen}/threads/1/preferences"), json!({"following": "no"})),
        (Method::PATCH, "me/preferences".to_owned(), json!({"keywords": ["b", "a", "A"], "quiet": {"from": 0, "until": 60}})),
        (Method::PUT, format!("me/drafts/{kitchen}?thread=1"), json!({"text": "so far"})),
        (Method::DELETE, format!("me/drafts/{kitchen}?thread=1"), Value::Null),
    ];
    for (method, path, body) in routes {
        let before = head(&ann).await;
        let ask = async || ann.request(method.clone(), &path, Some(body.clone()).filter(|body| !body.is_null())).await.ok();
        let first = ask().await;
        let after = head(&ann).await;
        assert_eq!(after.as_u64(), before.as_u64().map(|head| head + 1), "{method} {path}");
        assert_eq!((ask().await, head(&ann).await), (first, after), "{method} {path}");
    }
    for room in [&kitchen, &garden] {
        ann.say(room, "three").await;
    }
    let mut socket = ann.connect().await;
    let commands = [
        ("block", json!({"user": user})),
        ("unblock", json!({"user": user})),
        ("mute", json!({"user": user})),
        ("unmute", json!({"user": user})),
        ("read", json!({"room": kitchen, "seq": 3})),
        ("read_all", json!({})),
        ("set_room_preferences", json!({"room": kitchen, "muted_until": "forever", "notify": "all"})),
        ("set_thread_preferences", json!({"room": kitchen, "thread": 2, "following": "yes"})),
        ("set_preferences", json!({"quiet": null, "receipts": false})),
        ("set_draft", json!({"room": garden, "text": "so far"})),
    ];
    for (name, body) in commands {
        let before = head(&ann).await;
        let first = socket.ask(name, body.clone()).await["ok"].clone();
        let after = head(&ann).await;
        assert_eq!(after.as_u64(), before.as_u64().map(|head| head + 1), "{name}");
        assert_eq!((socket.ask(name, body).await["ok"].clone(), head(&ann).await), (first, after), "{name}");
    }
    // What is received is no news to oneself.
    ann.say(&kitchen, "four").await;
    let before = head(&ann).await;
    for _ in 0..2 {
        assert_eq!(socket.ask("delivered", json!({"room": kitchen, "seq": 4})).await["ok"], json!({}));
    }
    assert_eq!(head(&ann).await, before);
}
