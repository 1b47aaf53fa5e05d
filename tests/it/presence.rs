//! Who is online, over sockets and REST: only for those who share a room (I10).

use crate::support::eventually;
use crate::support::person::Person;
use crate::support::server::Server;
use crate::support::socket::Socket;
use serde_json::{Value, json};

async fn quick() -> Server {
    Server::start_with(&[
        ("presence.coalesce", "50ms"),
        ("presence.offline_after", "300ms"),
        ("presence.last_active_flush", "100ms"),
    ])
    .await
}

/// Ann and Bob, who share a room, and the room.
async fn pair(server: &Server) -> (Person, Person, String) {
    let (ann, bob) = (Person::register(server, "ann").await, Person::register(server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    (ann, bob, room)
}

/// Waits until `socket` hears that `user` is in `state`.
async fn hears(socket: &mut Socket, user: &Person, state: &str) -> Value {
    loop {
        let presence = socket.push("presence").await;
        let users = presence["users"].as_array().cloned().unwrap_or_default();
        if let Some(found) = users.into_iter().find(|one| one["user"] == json!(user.id) && one["state"] == json!(state)) {
            return found;
        }
    }
}

async fn watch(socket: &mut Socket, users: &[&Person]) -> Value {
    let ids: Vec<_> = users.iter().map(|user| &user.id).collect();
    // A session the tracker has not heard of yet is told to try again.
    loop {
        let reply = socket.ask("watch_presence", json!({"users": ids})).await;
        if reply["error"]["code"] != json!("unavailable") {
            return reply;
        }
    }
}

#[tokio::test]
async fn who_comes_goes_away_and_leaves_is_seen_by_who_watches() {
    let server = quick().await;
    let (ann, bob, _) = pair(&server).await;
    let mut anns = ann.connect().await;
    assert!(watch(&mut anns, &[&bob]).await["ok"].is_object());
    hears(&mut anns, &bob, "offline").await;
    let mut bobs = bob.connect().await;
    let online = hears(&mut anns, &bob, "online").await;
    let active: chrono::DateTime<chrono::Utc> = online["last_active"].as_str().expect("a time").parse().expect("RFC 3339");
    assert_eq!(active.timestamp() % 60, 0, "to the minute");
    bobs.ask("set_presence", json!({"state": "away"})).await;
    hears(&mut anns, &bob, "away").await;
    drop(bobs);
    hears(&mut anns, &bob, "offline").await;
}

#[tokio::test]
async fn strangers_presence_is_not_shown_over_any_way() {
    let server = quick().await;
    let (ann, bob, _) = pair(&server).await;
    let eve = Person::register(&server, "eve").await;
    let (_bobs, mut eves) = (bob.connect().await, eve.connect().await);
    watch(&mut eves, &[&bob, &eve]).await;
    let presence = eves.push("presence").await;
    assert_eq!(presence["users"].as_array().map(Vec::len), Some(1), "only oneself: {presence}");
    let asked = eve.get(&format!("presence?users={},{}", ann.id, bob.id)).await.ok();
    assert_eq!(asked["users"], json!([]));
}

#[tokio::test]
async fn a_kick_ends_the_watch_both_ways() {
    let server = quick().await;
    let (ann, bob, room) = pair(&server).await;
    let (mut anns, mut bobs) = (ann.connect().await, bob.connect().await);
    watch(&mut anns, &[&bob]).await;
    watch(&mut bobs, &[&ann]).await;
    hears(&mut anns, &bob, "online").await;
    hears(&mut bobs, &ann, "online").await;
    ann.delete(&format!("rooms/{room}/members/{}", bob.id)).await.ok();
    // The last word is what a stranger would see.
    assert!(hears(&mut anns, &bob, "offline").await["last_active"].is_null());
    assert!(hears(&mut bobs, &ann, "offline").await["last_active"].is_null());
    let asked = ann.get(&format!("presence?users={}", bob.id)).await.ok();
    assert_eq!(asked["users"], json!([]));
}

#[tokio::test]
async fn the_invisible_look_offline_to_everybody() {
    let server = quick().await;
    let (ann, bob, _) = pair(&server).await;
    let (mut anns, _bobs) = (ann.connect().await, bob.connect().await);
    watch(&mut anns, &[&bob]).await;
    hears(&mut anns, &bob, "online").await;
    bob.patch("me", json!({"invisible": true})).await.ok();
    assert!(hears(&mut anns, &bob, "offline").await["last_active"].is_null());
    let asked = ann.get(&format!("presence?users={}", bob.id)).await.ok();
    assert_eq!(asked["users"][0], json!({"user": bob.id, "state": "offline"}));
    bob.patch("me", json!({"invisible": false})).await.ok();
    hears(&mut anns, &bob, "online").await;
}

#[tokio::test]
async fn one_session_watches_only_so_many() {
    let server = Server::start_with(&[("limits.watches_per_session", "1")]).await;
    let (ann, bob, _) = pair(&server).await;
    let mut anns = ann.connect().await;
    assert!(watch(&mut anns, &[&bob]).await["ok"].is_object());
    assert_eq!(watch(&mut anns, &[&ann]).await["error"]["code"], json!("limit_reached"));
    anns.ask("unwatch_presence", json!({"users": [bob.id]})).await;
    assert!(watch(&mut anns, &[&ann]).await["ok"].is_object());
}

#[tokio::test]
async fn when_somebody_was_last_active_survives_a_restart() {
    let mut server = quick().await;
    let (ann, bob, _) = pair(&server).await;
    let bobs = bob.connect().await;
    let path = format!("presence?users={}", bob.id);
    eventually("Bob is online", async || {
        let asked = ann.get(&path).await.ok();
        (asked["users"][0]["state"] == json!("online")).then_some(())
    })
    .await;
    // Written with the next round; the restart loses nothing that was.
    let database = server.config();
    eventually("it is written", async || {
        let store = hubbub::store::Store::open(&database.database, server.folder.path()).await.ok()?;
        let user = bob.id.parse().ok()?;
        let stored = store.read(move |db| Box::pin(async move { hubbub::store::presence::of(db, &[user]).await })).await.ok()?;
        stored.first()?.last_active
    })
    .await;
    drop(bobs);
    server.restart().await;
    let asked = ann.moved_to(&server).get(&path).await.ok();
    assert_eq!(asked["users"][0]["state"], json!("offline"));
    assert!(asked["users"][0]["last_active"].is_string(), "{asked}");
}

#[tokio::test]
async fn the_end_of_a_room_ends_the_watches_of_those_who_shared_only_it() {
    let server = quick().await;
    let (ann, bob, room) = pair(&server).await;
    let cem = Person::register(&server, "cem").await;
    let other = ann.make_room("Garden", "public").await;
    cem.join(&other).await;
    let (mut anns, mut bobs, mut cems) = (ann.connect().await, bob.connect().await, cem.connect().await);
    watch(&mut anns, &[&bob]).await;
    hears(&mut anns, &bob, "online").await;
    watch(&mut anns, &[&cem]).await;
    hears(&mut anns, &cem, "online").await;
    watch(&mut bobs, &[&ann]).await;
    hears(&mut bobs, &ann, "online").await;
    ann.delete(&format!("rooms/{room}")).await.ok();
    assert!(hears(&mut anns, &bob, "offline").await["last_active"].is_null());
    assert!(hears(&mut bobs, &ann, "offline").await["last_active"].is_null());
    // Whoever shares another room is watched on.
    cems.ask("set_presence", json!({"state": "away"})).await;
    hears(&mut anns, &cem, "away").await;
}

#[tokio::test]
async fn the_end_of_an_account_ends_the_watches_of_it() {
    // Going offline by itself takes longer than the test waits.
    let server = Server::start_with(&[("presence.coalesce", "50ms"), ("presence.offline_after", "10m")]).await;
    let (ann, bob, _) = pair(&server).await;
    let (mut anns, _bobs) = (ann.connect().await, bob.connect().await);
    watch(&mut anns, &[&bob]).await;
    hears(&mut anns, &bob, "online").await;
    bob.request(reqwest::Method::DELETE, "me", Some(json!({"password": crate::support::person::PASSWORD}))).await.ok();
    assert!(hears(&mut anns, &bob, "offline").await["last_active"].is_null());
}

#[tokio::test]
async fn a_block_hides_each_from_the_other_at_once_and_an_unblock_shows_them_again() {
    let server = quick().await;
    let (ann, bob, _) = pair(&server).await;
    let (mut anns, mut bobs) = (ann.connect().await, bob.connect().await);
    watch(&mut anns, &[&bob]).await;
    watch(&mut bobs, &[&ann]).await;
    hears(&mut anns, &bob, "online").await;
    hears(&mut bobs, &ann, "online").await;
    assert!(anns.ask("block", json!({"user": bob.id})).await["ok"].is_object());
    assert!(hears(&mut anns, &bob, "offline").await["last_active"].is_null());
    assert!(hears(&mut bobs, &ann, "offline").await["last_active"].is_null());
    for (who, whom) in [(&ann, &bob), (&bob, &ann)] {
        assert_eq!(who.get(&format!("presence?users={}", whom.id)).await.ok()["users"], json!([]));
    }
    watch(&mut bobs, &[&ann]).await;
    assert!(anns.ask("unblock", json!({"user": bob.id})).await["ok"].is_object());
    watch(&mut bobs, &[&ann]).await;
    hears(&mut bobs, &ann, "online").await;
}
