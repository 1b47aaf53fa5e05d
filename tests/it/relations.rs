//! Blocking and muting a person: what it does at once, over REST and socket.

use crate::support::person::{Answer, PASSWORD, Person};
use crate::support::server::Server;
use crate::support::socket::Socket;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

async fn whisper(from: &Person, to: &Person, text: &str) -> Answer {
    from.post(&format!("direct/{}/messages", to.id), json!({"client_id": Uuid::now_v7(), "text": text})).await
}

async fn block(who: &Person, whom: &Person) {
    who.put(&format!("me/blocks/{}", whom.id), json!({})).await.ok();
}

async fn unblock(who: &Person, whom: &Person) {
    who.delete(&format!("me/blocks/{}", whom.id)).await.ok();
}

/// The next item of this kind in the person's stream.
async fn item(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let changes = socket.push("user_changes").await;
        let items = changes["items"].as_array().cloned().unwrap_or_default();
        if let Some(found) = items.iter().find_map(|item| item.get(kind)) {
            return found.clone();
        }
    }
}

async fn three(server: &Server) -> [Person; 3] {
    let register = |name| Person::register(server, name);
    [register("ann").await, register("bob").await, register("cem").await]
}

#[tokio::test]
async fn in_their_direct_room_neither_writes_after_a_block_and_both_do_after_the_unblock() {
    let server = Server::start().await;
    let [ann, bob, _] = three(&server).await;
    let room = whisper(&bob, &ann, "hello").await.ok()["room"].as_str().expect("a room").to_owned();
    let mut bobs = bob.connect().await;
    bobs.subscribe(&room).await;
    block(&ann, &bob).await;
    // With the answer it holds: on every way in, for both.
    assert_eq!(bobs.say(&room, "again").await["error"]["code"], "not_allowed");
    assert_eq!(whisper(&bob, &ann, "again").await.code(), "not_allowed");
    let post = bobs.ask("post_direct", json!({"user": ann.id, "client_id": Uuid::now_v7(), "text": "again"})).await;
    assert_eq!(post["error"]["code"], "not_allowed");
    assert_eq!(ann.say_as(&room, "you", &Uuid::now_v7().to_string()).await.code(), "not_allowed");
    assert_eq!(bob.texts(&room).await, ["hello"], "what was said stays");
    unblock(&ann, &bob).await;
    assert!(bobs.say(&room, "thanks").await["ok"].is_object());
    ann.say(&room, "well").await;
}

#[tokio::test]
async fn a_repeat_of_a_post_from_before_the_block_is_answered_with_its_number() {
    let server = Server::start().await;
    let [ann, bob, _] = three(&server).await;
    let post = json!({"client_id": Uuid::now_v7(), "text": "hello"});
    let path = format!("direct/{}/messages", ann.id);
    let first = bob.post(&path, post.clone()).await.ok();
    block(&ann, &bob).await;
    let again = bob.post(&path, post).await.ok();
    assert_eq!((&again["seq"], &again["repeat"]), (&first["seq"], &json!(true)));
}

#[tokio::test]
async fn who_is_blocked_makes_no_direct_room_no_group_and_no_invitation() {
    let server = Server::start().await;
    let [ann, bob, cem] = three(&server).await;
    block(&ann, &bob).await;
    assert_eq!(whisper(&bob, &ann, "psst").await.code(), "not_allowed");
    assert_eq!(whisper(&ann, &bob, "psst").await.code(), "not_allowed", "who blocks does not write either");
    assert_eq!(bob.post("groups", json!({"users": [cem.id, ann.id]})).await.code(), "not_allowed");
    let room = bob.make_room("Shed", "private").await;
    assert_eq!(bob.put(&format!("rooms/{room}/invitations/{}", ann.id), json!({})).await.code(), "not_allowed");
    bob.put(&format!("rooms/{room}/invitations/{}", cem.id), json!({})).await.ok();
    unblock(&ann, &bob).await;
    bob.put(&format!("rooms/{room}/invitations/{}", ann.id), json!({})).await.ok();
    whisper(&bob, &ann, "psst").await.ok();
}

#[tokio::test]
async fn commands_and_routes_do_the_same_and_the_list_shows_it() {
    let server = Server::start().await;
    let [ann, bob, cem] = three(&server).await;
    let mut socket = ann.connect().await;
    for (command, who) in [("block", &bob), ("mute", &bob), ("mute", &cem)] {
        assert_eq!(socket.ask(command, json!({"user": who.id})).await["ok"], json!({}), "{command}");
    }
    let listed = ann.get("me/relations?limit=1").await.ok();
    let next = listed["next"].as_str().expect("another page");
    let rest = ann.get(&format!("me/relations?page={next}")).await.ok();
    let mut found = [&listed, &rest].map(|page| page["items"][0].clone());
    found.sort_by_key(|item| item["revision"].as_u64());
    let flags = found.map(|item| (item["user"].clone(), item["blocked"].clone(), item["muted"].clone()));
    assert_eq!(flags, [(json!(bob.id), json!(true), json!(true)), (json!(cem.id), json!(false), json!(true))]);
    for (route, who) in [("blocks", &bob), ("mutes", &bob)] {
        ann.delete(&format!("me/{route}/{}", who.id)).await.ok();
    }
    assert_eq!(socket.ask("unmute", json!({"user": cem.id})).await["ok"], json!({}));
    ann.put(&format!("me/mutes/{}", bob.id), json!({})).await.ok();
    assert_eq!(socket.ask("unblock", json!({"user": bob.id})).await["ok"], json!({}), "nothing to take back is no error");
    let listed = ann.get("me/relations").await.ok();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!((&listed["items"][0]["user"], &listed["items"][0]["muted"]), (&json!(bob.id), &json!(true)));
    assert_eq!(bob.get("me/relations").await.ok()["items"], json!([]), "nobody else is told");
}

#[tokio::test]
async fn oneself_nobody_and_more_than_the_limit_are_refused() {
    let server = Server::start_with(&[("limits.blocks_per_user", "1"), ("limits.mutes_per_user", "1")]).await;
    let [ann, bob, cem] = three(&server).await;
    let mut socket = ann.connect().await;
    let nobody = Uuid::now_v7();
    for (route, command) in [("blocks", "block"), ("mutes", "mute")] {
        assert_eq!(ann.put(&format!("me/{route}/{}", ann.id), json!({})).await.code(), "bad_request");
        assert_eq!(ann.put(&format!("me/{route}/{nobody}"), json!({})).await.code(), "not_found");
        ann.put(&format!("me/{route}/{}", bob.id), json!({})).await.ok();
        assert_eq!(socket.ask(command, json!({"user": cem.id})).await["error"]["code"], "limit_reached");
    }
    cem.request(Method::DELETE, "me", Some(json!({"password": PASSWORD}))).await.ok();
    assert_eq!(socket.ask("block", json!({"user": cem.id})).await["error"]["code"], "not_found");
}

#[tokio::test]
async fn all_devices_of_a_person_hear_of_a_block_with_the_rooms_to_fetch_again_and_so_does_one_that_was_away() {
    let server = Server::start().await;
    let [ann, bob, cem] = three(&server).await;
    let kitchen = ann.make_room("Kitchen", "public").await;
    let garden = ann.make_room("Garden", "public").await;
    bob.join(&kitchen).await;
    cem.join(&garden).await;
    let (mut phone, welcome) = ann.connect_with(json!({})).await;
    let (epoch, known) = (welcome["epoch"].clone(), welcome["user_head"].clone());
    let known_from = known.as_u64().expect("a revision");
    let mut desk = ann.connect_with(json!({"epoch": epoch, "user_cursor": known})).await.0;
    assert!(phone.ask("block", json!({"user": bob.id})).await["ok"].is_object());
    let live = item(&mut desk, "relation").await;
    assert_eq!(live, json!({"revision": known_from + 1, "user": bob.id, "blocked": true, "muted": false, "rooms": [kitchen]}));
    ann.put(&format!("me/mutes/{}", cem.id), json!({})).await.ok();
    assert_eq!(item(&mut desk, "relation").await["rooms"], Value::Null, "a mute hides nothing");
    unblock(&ann, &bob).await;
    let back = item(&mut desk, "relation").await;
    assert_eq!((&back["blocked"], &back["rooms"]), (&json!(false), &json!([kitchen])));

    for from in known_from..known_from + 3 {
        let mut late = ann.connect_with(json!({"epoch": epoch, "user_cursor": from})).await.0;
        let changes = late.push("user_changes").await;
        assert_eq!((&changes["from"], &changes["to"]), (&json!(from), &json!(known_from + 3)));
        let newest = changes["items"].as_array().expect("items").last().expect("the unblock").clone();
        assert_eq!(newest["relation"], back, "from {from}");
    }
}

#[tokio::test]
async fn more_rooms_than_a_page_holds_are_all_to_be_fetched_again_live_and_when_resuming() {
    let server = Server::start_with(&[("resume.page_rows", "2")]).await;
    let [ann, bob, cem] = three(&server).await;
    for name in ["Kitchen", "Garden", "Shed"] {
        let room = ann.make_room(name, "public").await;
        bob.join(&room).await;
        if name == "Shed" {
            cem.join(&room).await;
        }
    }
    let (mut desk, welcome) = ann.connect_with(json!({})).await;
    let known = json!({"epoch": welcome["epoch"], "user_cursor": welcome["user_head"]});
    let all = |relation: &Value| (relation["blocked"].clone(), relation["every_room"].clone(), relation["rooms"].clone());
    for (blocked, change) in [(true, Method::PUT), (false, Method::DELETE)] {
        ann.request(change, &format!("me/blocks/{}", bob.id), None).await.ok();
        let every = (json!(blocked), json!(true), Value::Null);
        assert_eq!(all(&item(&mut desk, "relation").await), every, "live");
        let mut late = ann.connect_with(known.clone()).await.0;
        assert_eq!(all(&item(&mut late, "relation").await), every, "missed");
    }
    block(&ann, &cem).await;
    let few = item(&mut desk, "relation").await;
    assert_eq!((few["rooms"].as_array().map(Vec::len), few.get("every_room")), (Some(1), None), "what fits is named: {few}");
}

#[tokio::test]
async fn a_block_holds_over_a_restart_and_in_a_room_that_slept() {
    let mut server = Server::start().await;
    let [ann, bob, _] = three(&server).await;
    let room = whisper(&bob, &ann, "hello").await.ok()["room"].as_str().expect("a room").to_owned();
    block(&ann, &bob).await;
    server.restart().await;
    let (ann, bob) = (ann.moved_to(&server), bob.moved_to(&server));
    assert_eq!(bob.say_as(&room, "again", &Uuid::now_v7().to_string()).await.code(), "not_allowed");
    unblock(&ann, &bob).await;
    bob.say(&room, "thanks").await;
}

#[tokio::test]
async fn what_is_gone_is_kept_for_as_many_changes_as_a_device_may_miss() {
    let server = Server::start_with(&[("resume.max_changes", "2")]).await;
    let [ann, bob, cem] = three(&server).await;
    let room = ann.make_room("Kitchen", "public").await;
    let rows = async |table| server.database.rows(server.folder.path(), table).await;
    for other in [&bob, &cem] {
        ann.put(&format!("me/mutes/{}", other.id), Value::Null).await.ok();
        ann.delete(&format!("me/mutes/{}", other.id)).await.ok();
    }
    assert_eq!(rows("relations").await, 1, "the last one that was taken back");
    for draft in [format!("me/drafts/{room}"), format!("me/drafts/{}", bob.make_room("Hall", "public").await)] {
        ann.put(&format!("rooms/{}/members/me", draft.trim_start_matches("me/drafts/")), Value::Null).await.ok();
        ann.put(&draft, json!({"text": "so far"})).await.ok();
        ann.delete(&draft).await.ok();
    }
    assert_eq!(rows("drafts").await, 1, "the last one that was thrown away");
}
