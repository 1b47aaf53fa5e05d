//! I7: resume.

use crate::support::checks;
use crate::support::histories::client::Client;
use crate::support::histories::model::Known;
use crate::support::histories::play::settle;
use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::socket::Socket;
use crate::support::viewer::{Viewer, number, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

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
    let cid = Person::register(&scene.server, "cid").await;
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
    let ask = async |epoch: &Value, cursor: u64| {
        let hello = json!({"epoch": epoch, "rooms": [{"room": room, "cursor": cursor}]});
        let start = scene.bob.connect_with(hello).await.1["rooms"][0].clone();
        (start["status"].as_str().unwrap_or("none").to_owned(), start["reason"].as_str().unwrap_or("none").to_owned())
    };
    let reset = |reason: &str| ("reset".to_owned(), reason.to_owned());
    assert_eq!(ask(&epoch, head).await.0, "live");
    assert_eq!(ask(&epoch, head + 1).await, reset("above_head"));
    assert_eq!(ask(&json!(Uuid::now_v7()), head).await, reset("epoch"));
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

/// Comes with what is known, stays until nothing more is to come (or everything that `goal` knows has), and goes.
async fn knows_then(person: &Person, known: Known, goal: Option<&Known>) -> Known {
    let mut client = Client::come(person, known).await.expect("a client");
    settle(&person.name, &mut client, goal).await.expect("as docs/PROTOCOL.md says");
    client.go(false).await
}

/// Subscribes to rooms one has just learnt of and reads them, as a `reset` asks for: cursor and messages by room.
async fn begin(person: &Person, socket: &mut Socket, rooms: &[&str]) -> BTreeMap<String, (u64, Vec<Value>)> {
    let asked: Vec<_> = rooms.iter().map(|room| json!({"room": room})).collect();
    let reply = socket.ask("subscribe", json!({"rooms": asked})).await;
    let mut begun = BTreeMap::new();
    for start in reply["ok"]["rooms"].as_array().unwrap_or_else(|| panic!("{reply}")) {
        assert_eq!((&start["status"], &start["reason"]), (&json!("reset"), &json!("no_cursor")), "{start}");
        let room = text(&start["room"]);
        let messages = person.history(&room).await;
        begun.insert(room, (number(&start["head"]), messages));
    }
    begun
}

#[tokio::test]
async fn whoever_was_put_into_a_group_and_written_to_for_the_first_time_while_away_is_in_both_on_return() {
    let scene = Scene::start().await;
    let (ann, bob, cid) = (&scene.ann, &scene.bob, Person::register(&scene.server, "cid").await);
    let known = knows_then(bob, Known::default(), None).await;
    assert!(known.rooms.keys().eq([&scene.room]), "Bob knows of one room");

    let group = text(&ann.post("groups", json!({"users": [bob.id, cid.id]})).await.ok()["id"]);
    let first = json!({"client_id": Uuid::now_v7(), "text": "between us"});
    let direct = text(&cid.post(&format!("direct/{}/messages", bob.id), first).await.ok()["room"]);
    for n in 0..3 {
        for (person, room) in [(ann, &group), (&cid, &group), (&cid, &direct), (ann, &scene.room)] {
            person.say(room, &format!("{} {n}", person.name)).await;
        }
    }

    // The user stream tells of both, from where it was known.
    let kitchen = json!({"room": scene.room, "cursor": known.rooms[&scene.room].cursor});
    let hello = json!({"epoch": known.epoch, "user_cursor": known.cursor, "rooms": [kitchen]});
    let (mut socket, welcome) = bob.connect_with(hello).await;
    assert_eq!((&welcome["user_reset"], &welcome["rooms"][0]["status"]), (&json!(false), &json!("resuming")));
    let told = socket.push("user_changes").await;
    // He may be notified of more meanwhile.
    assert!(told["from"] == json!(known.cursor) && number(&told["to"]) >= number(&welcome["user_head"]), "{told}");
    let memberships = told["items"].as_array().expect("items").iter().filter_map(|item| item.get("membership"));
    let memberships: BTreeMap<_, _> =
        memberships.map(|row| (text(&row["room"]["id"]), json!([row["room"]["kind"], row["state"]]))).collect();
    let both = [(group.clone(), json!(["group", "joined"])), (direct.clone(), json!(["direct", "joined"]))];
    assert_eq!(memberships, BTreeMap::from(both));

    // History and what comes live show every message, and each once.
    let mut shown = begin(bob, &mut socket, &[&group, &direct]).await;
    ann.say(&group, "welcome back").await;
    cid.say(&direct, "welcome back").await;
    let mut live = 0;
    while live < shown.len() {
        let changes = socket.push("changes").await;
        let Some((cursor, messages)) = shown.get_mut(&text(&changes["room"])) else { continue };
        assert_eq!(changes["from"], *cursor, "{changes}");
        *cursor = number(&changes["to"]);
        messages.extend(changes["items"].as_array().expect("items").iter().filter_map(|item| item.get("message").cloned()));
        live += 1;
    }
    let other_device = Person::log_in(&scene.server, "bob").await;
    for (room, count) in [(&group, 7), (&direct, 5)] {
        let (cursor, messages) = &shown[room];
        assert!(messages.iter().map(|message| number(&message["seq"])).eq(1..=count), "{messages:?}");
        assert_eq!(*messages, other_device.history(room).await);
        assert_eq!(*cursor, other_device.head(room).await);
    }

    // So does a client that keeps all its rooms by the rules: it ends with what a fresh one sees.
    scene.server.everybody_is_notified().await;
    let fresh = knows_then(bob, Known::default(), None).await;
    let back = knows_then(bob, known, Some(&fresh)).await;
    assert_eq!(back.broken, [""; 0]);
    assert_eq!(back.rooms.len(), 3);
    assert_eq!(back.render(), fresh.render());
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
