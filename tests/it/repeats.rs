//! What a repeat does, command by command (I3): the table of docs/PROTOCOL.md §10, which `documents.rs` holds to the routes and commands.

use crate::support::person::{Answer, PASSWORD, Person};
use crate::support::scene::Scene;
use crate::support::server::Server;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Does the same twice; both must succeed with the same answer, and the room must stand where it stood after the first.
async fn twice(watching: &Person, room: &str, who: &Person, method: &Method, path: &str, body: Option<Value>) {
    let what = format!("{} {method} {path}", who.name);
    let head = async || watching.get(&format!("rooms/{room}")).await.body["head"].clone();
    let ask = async || who.request(method.clone(), path, body.clone()).await;
    let first = ask().await;
    assert!(first.status.is_success(), "{what}: {}", first.body);
    let after_first = head().await;
    let again = ask().await;
    assert_eq!((again.status, again.body), (first.status, first.body), "{what}");
    assert_eq!(head().await, after_first, "{what} acted twice");
}

async fn root(server: &Server) -> Person {
    server.user_command(&["add", "root1", "--admin"], PASSWORD).await;
    Person::log_in(server, "root1").await
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}")).to_owned()
}

#[tokio::test]
async fn what_sets_a_state_of_a_room_succeeds_again_and_changes_nothing() {
    let server = Server::start().await;
    let [ann, bob, cem, dan] = ["ann", "bob", "cem", "dan"].map(|name| Person::register(&server, name));
    let (ann, bob, cem, dan) = (ann.await, bob.await, cem.await, dan.await);
    for kind in ["public", "private"] {
        let room = ann.make_room("Kitchen", kind).await;
        let link = ann.post(&format!("rooms/{room}/links"), json!({})).await.ok();
        let at = |path: &str| format!("rooms/{room}{path}");
        let of = |path: &str, person: &Person| format!("rooms/{room}/{path}/{}", person.id);
        let (put, patch, delete) = (Method::PUT, Method::PATCH, Method::DELETE);
        let why = || Some(json!({"reason": "noise"}));
        let steps = [
            (&ann, &patch, at(""), Some(json!({"name": "Hall", "topic": "news", "history": "since_joining"}))),
            (&ann, &put, of("invitations", &bob), None),
            (&bob, &put, at("/members/me"), None),
            (&ann, &patch, of("members", &bob), Some(json!({"role": "moderator"}))),
            (&bob, &put, of("invitations", &cem), None),
            (&bob, &delete, of("invitations", &cem), None),
            (&ann, &put, of("invitations", &cem), None),
            (&cem, &delete, format!("me/invitations/{room}"), None),
            (&bob, &delete, at("/members/me"), None),
            (&ann, &put, of("invitations", &bob), None),
            (&bob, &put, at("/members/me"), None),
            (&ann, &delete, of("members", &bob), why()),
            (&ann, &put, of("bans", &bob), why()),
            (&ann, &delete, of("bans", &bob), None),
            (&ann, &delete, at(&format!("/links/{}", text(&link, "id"))), None),
            (&ann, &put, of("invitations", &dan), None),
            (&dan, &put, at("/members/me"), None),
            (&ann, &put, at("/owner"), Some(json!({"user": dan.id}))),
            (&dan, &patch, at(""), Some(json!({"archived": true}))),
            (&dan, &delete, at(""), None),
        ];
        for (who, method, path, body) in steps {
            twice(&ann, &room, who, method, &path, body).await;
        }
    }
}

#[tokio::test]
async fn an_administrator_who_deletes_a_public_room_again_is_told_that_it_is_gone() {
    let scene = Scene::start().await;
    let root = root(&scene.server).await;
    let path = format!("rooms/{}", scene.room);
    root.delete(&path).await.ok();
    root.delete(&path).await.ok();
    assert_eq!(scene.bob.delete(&path).await.code(), "not_found", "only to who may have deleted it");
    let hidden = scene.ann.make_room("Attic", "private").await;
    scene.ann.delete(&format!("rooms/{hidden}")).await.ok();
    assert_eq!(root.delete(&format!("rooms/{hidden}")).await.code(), "not_found");
}

#[tokio::test]
async fn who_came_in_by_the_last_use_of_a_link_and_asks_again_is_in() {
    let server = Server::start().await;
    let (ann, bob, cem) =
        (Person::register(&server, "ann").await, Person::register(&server, "bob").await, Person::register(&server, "cem").await);
    let room = ann.make_room("Kitchen", "private").await;
    let link = ann.post(&format!("rooms/{room}/links"), json!({"max_uses": 1})).await.ok();
    let redeem = async |person: &Person| person.post("links/redeem", json!({"secret": text(&link, "secret")})).await;
    let first = redeem(&bob).await.ok();
    // Another link does not push the used one out.
    ann.post(&format!("rooms/{room}/links"), json!({})).await.ok();
    assert_eq!(redeem(&bob).await.ok(), first);
    assert_eq!(ann.get(&format!("rooms/{room}/links")).await.ok()["items"][0]["uses"], 1);
    // Whoever is not in learns nothing from it, whatever became of the room.
    let unknown = ann.post("links/redeem", json!({"secret": "nonsense"})).await.but_its_id();
    assert_eq!(redeem(&cem).await.but_its_id(), unknown);
    ann.patch(&format!("rooms/{room}"), json!({"archived": true})).await.ok();
    assert_eq!(redeem(&cem).await.but_its_id(), unknown);
    bob.delete(&format!("rooms/{room}/members/me")).await.ok();
    assert_eq!(redeem(&bob).await.but_its_id(), unknown, "it lets nobody in again");
    ann.delete(&format!("rooms/{room}")).await.ok();
    assert_eq!(redeem(&cem).await.but_its_id(), unknown);
}

#[tokio::test]
async fn an_invitation_to_register_asked_for_twice_under_one_key_is_one() {
    let server = Server::start_with(&[("accounts.registration", "invite")]).await;
    let root = root(&server).await;
    let make = async |key: &str, body: Value| root.post_with_key("admin/registrations", body, key).await;
    let body = json!({"max_uses": 1, "admin": true});
    let (first, again) = tokio::join!(make("once", body.clone()), make("once", body.clone()));
    let (first, again) = (first.ok(), again.ok());
    assert_eq!(first, again);
    assert_eq!(make("once", json!({"max_uses": 2, "admin": true})).await.code(), "key_reused");
    assert_eq!(root.get("admin/registrations").await.ok()["items"].as_array().map(Vec::len), Some(1));
    // The code works, once.
    let mut eve = Person::anonymous(&server.base());
    let account = |name: &str| json!({"name": name, "password": PASSWORD, "invitation": text(&first, "code")});
    let made = eve.post("accounts", account("eve")).await.ok();
    assert_eq!(made["admin"], true);
    eve.adopt(&made);
    assert_eq!(make("once", body.clone()).await.ok()["uses"], 1);
    // Taken back, it is not made again, and taking it back again is no error.
    let path = format!("admin/registrations/{}", text(&first, "id"));
    root.delete(&path).await.ok();
    root.delete(&path).await.ok();
    assert_eq!(make("once", body.clone()).await.code(), "not_found");
    assert_ne!(make("another", body).await.ok()["code"], first["code"]);
}

#[tokio::test]
async fn a_new_password_set_again_is_set_and_counts_as_no_guess() {
    let server = Server::start_with(&[("rates.login_per_account", "2/1h")]).await;
    let ann = Person::register(&server, "ann").await;
    let change = async || ann.put("me/password", json!({"old": PASSWORD, "new": "another fine phrase"})).await;
    for _ in 0..5 {
        change().await.ok();
    }
    ann.get("me").await.ok();
    let wrong = async || ann.put("me/password", json!({"old": PASSWORD, "new": "guessed at random"})).await;
    assert_eq!((wrong().await.code(), wrong().await.code()), ("credentials_wrong", "credentials_wrong"));
    assert_eq!(change().await.code(), "busy", "a guess at either counts");
}

#[tokio::test]
async fn what_sets_a_state_of_an_account_succeeds_again_and_changes_nothing() {
    let server = Server::start().await;
    let (ann, root) = (Person::register(&server, "ann").await, root(&server).await);
    let other = Person::log_in(&server, "ann").await;
    let listed = ann.get("logins").await.ok();
    let logins = listed["items"].as_array().expect("logins");
    let others = logins.iter().find(|login| login["current"] == false).expect("another login");
    let room = ann.make_room("Kitchen", "public").await;
    let profile = json!({
        "display_name": "Ann Lee", "invisible": true, "about": "Gardener", "time_zone": "Asia/Tokyo",
        "status": {"text": "Away", "emoji": "🌴", "until": in_a_day()},
    });
    let steps = [
        (&ann, Method::PATCH, "me".to_owned(), Some(profile)),
        (&ann, Method::DELETE, format!("logins/{}", text(others, "id")), None),
        (&ann, Method::DELETE, "logins?others=true".to_owned(), None),
        (&root, Method::PATCH, format!("admin/users/{}", ann.id), Some(json!({"admin": true}))),
    ];
    for (who, method, path, body) in steps {
        twice(&ann, &room, who, &method, &path, body).await;
    }
    assert_eq!(other.get("me").await.code(), "unauthenticated");
    let mut socket = ann.connect().await;
    let status = json!({"about": null, "status": {"text": "Lunch", "until": in_a_day()}});
    assert_eq!(socket.ask("change_profile", status.clone()).await["ok"], json!({}));
    let changed = ann.get("me").await.ok();
    assert_eq!(socket.ask("change_profile", status).await["ok"], json!({}));
    assert_eq!(ann.get("me").await.ok(), changed);
}

/// More exactly than it is kept.
fn in_a_day() -> String {
    let day = hubbub::domain::time::Clock::system().now() + chrono::TimeDelta::days(1);
    day.format("%Y-%m-%dT%H:%M:%S%.6f789Z").to_string()
}

#[tokio::test]
async fn what_ends_the_login_it_is_asked_with_is_unauthenticated_when_repeated() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let goodbyes = [
        ("logins/current", None),
        ("logins", None),
        // The last one: nobody logs in any more.
        ("me", Some(json!({"password": PASSWORD}))),
    ];
    for (path, body) in goodbyes {
        let here = Person::log_in(&server, "ann").await;
        here.request(Method::DELETE, path, body.clone()).await.ok();
        assert_eq!(here.request(Method::DELETE, path, body).await.code(), "unauthenticated", "{path}");
    }
    assert_eq!(ann.get("me").await.code(), "unauthenticated");
}

#[tokio::test]
async fn registering_again_is_refused_and_logging_in_again_is_another_login() {
    let server = Server::start_with(&[("accounts.registration", "invite")]).await;
    let root = root(&server).await;
    let made = root.post("admin/registrations", json!({"max_uses": 2})).await.ok();
    let account = json!({"name": "ann", "password": PASSWORD, "invitation": text(&made, "code")});
    let mut ann = Person::anonymous(&server.base());
    let first = ann.post("accounts", account.clone()).await.ok();
    assert_eq!(ann.post("accounts", account).await.code(), "name_taken");
    assert_eq!(root.get("admin/registrations").await.ok()["items"][0]["uses"], 1, "a refusal uses nothing up");
    ann.adopt(&first);
    let log_in = async || ann.post("logins", json!({"name": "ann", "password": PASSWORD})).await.ok();
    let (one, two) = (log_in().await, log_in().await);
    assert_ne!(one["login"], two["login"]);
    assert_eq!(ann.get("logins").await.ok()["items"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_group_made_twice_under_one_key_is_one_group() {
    let scene = Scene::start().await;
    let make = async |key: &str| scene.ann.post_with_key("groups", json!({"users": [scene.bob.id]}), key).await;
    let (first, again): (Answer, Answer) = tokio::join!(make("once"), make("once"));
    let (first, again) = (first.ok(), again.ok());
    assert_eq!((&first["id"], &first["head"]), (&again["id"], &again["head"]));
    assert_ne!(make("another").await.ok()["id"], first["id"]);
}

#[tokio::test]
async fn every_command_of_a_socket_may_be_repeated_but_hello() {
    let scene = Scene::start().await;
    let (bob, room) = (&scene.bob, &scene.room);
    let mut socket = bob.connect().await;
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let commands = [
        ("subscribe", json!({"rooms": [{"room": room}]})),
        ("post", json!({"room": room, "client_id": one, "text": "once"})),
        ("post_direct", json!({"user": scene.ann.id, "client_id": two, "text": "once"})),
        ("unsubscribe", json!({"rooms": [room]})),
        ("watch_presence", json!({"users": [scene.ann.id]})),
        ("unwatch_presence", json!({"users": [scene.ann.id]})),
        ("set_presence", json!({"state": "away"})),
        ("renew", json!({"token": bob.token})),
        ("ping", json!({})),
    ];
    for (name, body) in commands {
        let (first, again) = (socket.ask(name, body.clone()).await, socket.ask(name, body).await);
        let (mut first, mut again) = (first["ok"].clone(), again["ok"].clone());
        assert!(first.is_object() && again.is_object(), "{name}: {first} {again}");
        // A post says that it is one; else the answers are the same.
        let repeats: Vec<_> = [&mut first, &mut again].map(|answer| answer.as_object_mut().unwrap().remove("repeat")).into();
        assert_eq!(first, again, "{name}");
        if name.starts_with("post") {
            assert_eq!(repeats, [Some(json!(false)), Some(json!(true))], "{name}");
        }
    }
    assert_eq!(scene.history().await.len(), 1);
    assert_eq!(socket.ask("hello", json!({"token": bob.token})).await["error"]["code"], "hello_twice");
    socket.ask("ping", json!({})).await;
}
