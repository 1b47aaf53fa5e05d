//! Text that is no command, and commands at the wrong time.

use super::{Dice, goes_on};
use crate::support::calm::Calm;
use crate::support::scene::Scene;
use crate::support::wire::{Said, TEXT, Wire};
use serde_json::{Value, json};
use uuid::Uuid;

/// Every command, as it should be.
fn commands(scene: &Scene) -> Vec<(&'static str, Value)> {
    let (room, user, id) = (&scene.room, &scene.ann.id, Uuid::now_v7());
    vec![
        ("subscribe", json!({"rooms": [{"room": room, "cursor": 1}]})),
        ("unsubscribe", json!({"rooms": [room]})),
        ("post", json!({"room": room, "client_id": id, "text": "x", "after": id})),
        ("post_direct", json!({"user": user, "client_id": id, "text": "x"})),
        ("watch_presence", json!({"users": [user]})),
        ("unwatch_presence", json!({"users": [user]})),
        ("set_presence", json!({"state": "away"})),
        ("renew", json!({"token": scene.bob.token})),
        ("ping", json!({})),
    ]
}

#[tokio::test]
async fn a_command_that_was_tampered_with_is_answered_with_its_error() {
    let (calm, scene, mut dice) =
        (Calm::watch(), Scene::start_with(&[("session.bad_frames_max", "100000")]).await, Dice(0x5EED_0003));
    let mut wire = Wire::greeted(&scene.server, &scene.bob).await;
    for (name, body) in commands(&scene) {
        for _ in 0..40 {
            let mut text = json!({"ref": 7, name: body}).to_string().into_bytes();
            for _ in 0..1 + dice.roll(3) {
                let at = dice.roll(text.len());
                match dice.roll(3) {
                    0 => drop(text.remove(at)),
                    1 => text.insert(at, b"{}[]\",:0x\\ "[dice.roll(11)]),
                    _ => text[at] = b' ' + u8::try_from(dice.roll(94)).expect("printable"),
                }
            }
            wire.send(TEXT, &text).await;
        }
    }
    // Whatever became of each, the socket is as good as before.
    wire.command(8, "ping", json!({})).await;
    assert!(wire.reply(8).await.get("ok").is_some());
    goes_on(&scene, &calm).await;
}

#[tokio::test]
async fn frames_that_are_no_commands_name_their_error_and_too_many_close() {
    let (calm, scene) = (Calm::watch(), Scene::start_with(&[("session.bad_frames_max", "30")]).await);
    let mut wire = Wire::greeted(&scene.server, &scene.bob).await;
    let (room, deep) = (&scene.room, format!("{{\"ref\":1,\"ping\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000)));
    let malformed = [
        (json!(1), "\"fly\":{}", "unknown_command"),
        (json!(null), "\"ping\":{}", "bad_request"),
        (json!(2), "\"Post\":{}", "unknown_command"),
        (json!(3), "\"ping\":{\"fast\":true}", "bad_request"),
        (json!(4), "\"ping\":null", "bad_request"),
        (json!(5), "\"post\":{}", "bad_request"),
        (json!(6), "\"post\":{\"room\":7}", "bad_request"),
        (json!(7), "\"subscribe\":{\"rooms\":[{\"room\":\"no id\"}]}", "bad_request"),
        (json!(8), "\"set_presence\":{\"state\":\"asleep\"}", "bad_request"),
        (json!(9), "\"ping\":{},\"renew\":{\"token\":\"\"}", "bad_request"),
        (json!(-1), "\"ping\":{}", "bad_request"),
        (json!(1.5), "\"ping\":{}", "bad_request"),
        (json!("1"), "\"ping\":{}", "bad_request"),
        (json!(1_u64 << 53), "\"ping\":{}", "bad_request"),
    ];
    for (reference, rest, expected) in &malformed {
        wire.send(TEXT, format!("{{\"ref\":{reference},{rest}}}").as_bytes()).await;
        let reply = error(&mut wire).await;
        assert_eq!(reply["error"]["code"], json!(expected), "{rest}: {reply}");
        assert_eq!(reply["error"]["retry"], json!(false));
        if reference.as_u64().is_some_and(|reference| reference < 1 << 53) {
            assert_eq!(&reply["ref"], reference, "{reply}");
        }
    }
    let negative = format!("{{\"ref\":1,\"subscribe\":{{\"rooms\":[{{\"room\":\"{room}\",\"cursor\":-1}}]}}}}");
    for text in ["", " ", "null", "[]", "7", "\"ping\"", "{", "{}", "{\"ref\":1}", "{\"ping\":{}}", "\u{0}", &negative, &deep] {
        wire.send(TEXT, text.as_bytes()).await;
        assert_eq!(error(&mut wire).await["error"]["code"], json!("bad_request"), "{}", text.get(..40).unwrap_or(text));
    }
    for _ in malformed.len() + 13..30 {
        wire.send(TEXT, b"{}").await;
    }
    assert_eq!(wire.closed().await, Some(4201));
    goes_on(&scene, &calm).await;
}

/// The next error reply.
async fn error(wire: &mut Wire) -> Value {
    loop {
        match wire.next().await {
            Said::Text(text) if text.contains("\"error\"") => return serde_json::from_str(&text).expect("JSON"),
            Said::Text(_) | Said::Ping(_) | Said::Pong(_) => {}
            other => panic!("{other:?} instead of an error"),
        }
    }
}

#[tokio::test]
async fn ids_that_name_nothing_are_answered_with_their_fault() {
    let (calm, scene) = (Calm::watch(), Scene::start().await);
    let mut wire = Wire::greeted(&scene.server, &scene.bob).await;
    let nobody = Uuid::nil();
    for (reference, name, body, expected) in [
        (10, "post", json!({"room": nobody, "client_id": nobody, "text": "x"}), "not_found"),
        (11, "post_direct", json!({"user": nobody, "client_id": nobody, "text": "x"}), "not_found"),
        (12, "post", json!({"room": scene.room, "client_id": nobody, "text": "   "}), "text_empty"),
    ] {
        wire.command(reference, name, body).await;
        assert_eq!(wire.reply(reference).await["error"]["code"], json!(expected), "{name}");
    }
    // The largest numbers there are.
    let far = json!({"rooms": [{"room": scene.room, "cursor": u64::MAX}, {"room": scene.room, "cursor": i64::MAX}]});
    wire.command(13, "subscribe", far).await;
    let reply = wire.reply(13).await;
    assert!(reply.get("ok").is_some() || reply["error"]["code"] == "bad_request", "{reply}");
    goes_on(&scene, &calm).await;
}

#[tokio::test]
async fn a_command_before_hello_is_refused_and_closed() {
    let (calm, scene) = (Calm::watch(), Scene::start().await);
    for (name, body) in commands(&scene) {
        let mut wire = Wire::open(&scene.server).await;
        wire.command(5, name, body).await;
        assert_eq!(wire.reply(5).await["error"]["code"], json!("hello_first"), "{name}");
        assert_eq!(wire.closed().await, Some(4101), "{name}");
    }
    assert_eq!(scene.history().await.len(), 0);
    goes_on(&scene, &calm).await;
}

#[tokio::test]
async fn a_second_hello_is_refused_and_the_first_holds() {
    let (calm, scene) = (Calm::watch(), Scene::start().await);
    let mut wire = Wire::greeted(&scene.server, &scene.bob).await;
    wire.command(2, "hello", json!({"token": scene.ann.token})).await;
    assert_eq!(wire.reply(2).await["error"]["code"], json!("hello_twice"));
    wire.command(3, "post", json!({"room": scene.room, "client_id": Uuid::now_v7(), "text": "still Bob"})).await;
    assert!(wire.reply(3).await.get("ok").is_some());
    assert_eq!(scene.history().await[0]["author"], json!(scene.bob.id));
    goes_on(&scene, &calm).await;
}

#[tokio::test]
async fn a_hello_that_comes_too_late_finds_a_closed_socket() {
    let (calm, scene) = (Calm::watch(), Scene::start_with(&[("server.hello_timeout", "200ms")]).await);
    let mut wire = Wire::open(&scene.server).await;
    let mut code = None;
    while code.is_none() {
        if let Said::Close(closed, _) = wire.next().await {
            code = closed;
        }
    }
    assert_eq!(code, Some(4102));
    wire.command(1, "hello", json!({"token": scene.bob.token})).await;
    assert_eq!(wire.next().await, Said::End);
    goes_on(&scene, &calm).await;
}
