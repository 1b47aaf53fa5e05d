//! What people do to rooms and to each other there, over a socket: the same as over REST.

use crate::support::person::Person;
use crate::support::server::Server;
use crate::support::socket::Socket;
use chrono::TimeDelta;
use hubbub::domain::time::Clock;
use serde_json::{Value, json};
use uuid::Uuid;

fn later() -> Value {
    json!(Clock::system().now() + TimeDelta::hours(1))
}

async fn code(socket: &mut Socket, name: &str, body: Value) -> String {
    let reply = socket.ask(name, body).await;
    match reply.get("ok") {
        Some(ok) if *ok == json!({}) => "ok".to_owned(),
        _ => reply["error"]["code"].as_str().unwrap_or_else(|| panic!("{name}: {reply}")).to_owned(),
    }
}

/// A person and a socket of theirs.
async fn connected(server: &Server, name: &str) -> (Person, Socket) {
    let person = Person::register(server, name).await;
    let socket = person.connect().await;
    (person, socket)
}

#[tokio::test]
async fn every_command_about_a_room_succeeds_again_and_changes_nothing() {
    let server = Server::start().await;
    let ((ann, mut anns), (bob, mut bobs)) = (connected(&server, "ann").await, connected(&server, "bob").await);
    let (cem, mut cems) = connected(&server, "cem").await;
    let room = ann.make_room("Kitchen", "private").await;
    let of = |user: &str| json!({"room": room, "user": user});
    let why = |user: &str| json!({"room": room, "user": user, "reason": "noise"});
    let here = || json!({"room": room});
    let settings = json!({"room": room, "settings": {"name": "Hall", "topic": "news", "slow_mode_s": 5, "posting": "moderator"}});
    let role = json!({"room": room, "user": bob.id, "role": "moderator"});
    let silence = json!({"room": room, "user": bob.id, "until": later(), "reason": "noise"});
    // Who, what, and the notice that it leaves.
    let steps: Vec<(u8, &str, Value, &str)> = vec![
        (0, "change_room", settings, "posting_changed"),
        (0, "invite", of(&bob.id), "invited"),
        (0, "uninvite", of(&bob.id), "invitation_ended"),
        (0, "invite", of(&bob.id), "invited"),
        (1, "join", here(), "joined"),
        (0, "silence", silence, "silenced"),
        (0, "unsilence", of(&bob.id), "unsilenced"),
        (0, "set_role", role, "role_changed"),
        (1, "invite", of(&cem.id), "invited"),
        (2, "decline", here(), "invitation_ended"),
        (1, "leave", here(), "left"),
        (0, "invite", of(&bob.id), "invited"),
        (1, "join", here(), "joined"),
        (0, "kick", why(&bob.id), "kicked"),
        (0, "ban", why(&bob.id), "banned"),
        (0, "unban", of(&bob.id), "unbanned"),
        (0, "invite", of(&cem.id), "invited"),
        (2, "join", here(), "joined"),
        (0, "transfer", of(&cem.id), "transferred"),
    ];
    for (who, name, body, notice) in steps {
        let before = ann.head(&room).await;
        let socket = [&mut anns, &mut bobs, &mut cems].into_iter().nth(who.into()).expect("one of three");
        assert_eq!(code(socket, name, body.clone()).await, "ok", "{name} {body}");
        let (items, head) = ann.changes(&room, before).await;
        let last = items.iter().rev().find_map(|item| item["notice"]["kind"].as_str());
        assert_eq!(last, Some(notice), "{name}");
        assert_eq!(code(socket, name, body.clone()).await, "ok", "{name} again");
        assert_eq!(ann.head(&room).await, head, "{name} acted twice");
    }
    assert_eq!(code(&mut cems, "delete_room", here()).await, "ok");
    assert_eq!(code(&mut cems, "delete_room", here()).await, "ok");
    assert_eq!(cem.get(&format!("rooms/{room}")).await.code(), "not_found");
}

#[tokio::test]
async fn a_command_about_a_room_is_refused_as_rest_refuses_it() {
    let server = Server::start().await;
    let ((ann, _), (bob, mut bobs)) = (connected(&server, "ann").await, connected(&server, "bob").await);
    let (_, mut strangers) = connected(&server, "eve").await;
    let unknown = json!(Uuid::now_v7());
    let hidden = ann.make_room("Attic", "private").await;
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    let commands = |room: &Value| {
        let of = || json!({"room": room, "user": ann.id});
        [
            ("join", json!({ "room": room })),
            ("leave", json!({ "room": room })),
            ("decline", json!({ "room": room })),
            ("invite", of()),
            ("uninvite", of()),
            ("kick", of()),
            ("ban", of()),
            ("unban", of()),
            ("silence", json!({"room": room, "user": ann.id, "until": later()})),
            ("unsilence", of()),
            ("set_role", json!({"room": room, "user": ann.id, "role": "member"})),
            ("transfer", of()),
            ("change_room", json!({"room": room, "settings": {"topic": "mine"}})),
            ("delete_room", json!({ "room": room })),
            ("typing", json!({ "room": room })),
        ]
    };
    for (name, body) in commands(&json!(hidden)) {
        let nowhere = commands(&unknown).into_iter().find(|(other, _)| *other == name).expect("the same command").1;
        let expected = strangers.ask(name, nowhere).await["error"].clone();
        assert_eq!(expected["code"], "not_found", "{name}");
        assert_eq!(strangers.ask(name, body).await["error"], expected, "{name} tells a hidden room from none");
    }
    for (name, body) in commands(&json!(room)) {
        let expected = match name {
            // Ann is the owner already.
            "join" | "decline" | "invite" | "typing" | "transfer" => "ok",
            _ => "not_allowed",
        };
        if name != "leave" {
            assert_eq!(code(&mut bobs, name, body).await, expected, "{name} by a member about the owner");
        }
    }
    // What is no reason, role or setting is refused before anybody is asked.
    let long = "x".repeat(251);
    for (name, body, expected) in [
        ("kick", json!({"room": room, "user": ann.id, "reason": long}), "text_too_long"),
        ("silence", json!({"room": room, "user": ann.id}), "bad_request"),
        ("set_role", json!({"room": room, "user": ann.id, "role": "king"}), "bad_request"),
        ("change_room", json!({"room": room, "settings": {"colour": "red"}}), "bad_request"),
        ("change_room", json!({"room": room, "settings": {"slow_mode_s": 21601}}), "bad_request"),
    ] {
        assert_eq!(code(&mut bobs, name, body).await, expected, "{name}");
    }
}

#[tokio::test]
async fn commands_about_rooms_count_as_commands() {
    let server = Server::start_with(&[("rates.commands_per_account", "3/1h")]).await;
    let (ann, mut anns) = connected(&server, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;
    let codes = [
        code(&mut anns, "join", json!({ "room": room })).await,
        code(&mut anns, "typing", json!({ "room": room })).await,
        code(&mut anns, "unban", json!({"room": room, "user": ann.id})).await,
        code(&mut anns, "typing", json!({ "room": room })).await,
    ];
    assert_eq!(codes, ["ok", "ok", "ok", "busy"]);
}
