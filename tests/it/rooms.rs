//! Rooms over REST: make, find, change, people, ends.

use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::server::Server;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Names of the items of a list.
fn names(page: &Value, field: &str) -> Vec<String> {
    let items = page["items"].as_array().unwrap_or_else(|| panic!("no items: {page}"));
    items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}

/// All items of a list, page by page.
async fn all(person: &Person, path: &str, field: &str) -> Vec<String> {
    let (mut found, mut next) = (Vec::new(), String::new());
    loop {
        let page = person.get(&format!("{path}{next}")).await.ok();
        found.extend(names(&page, field));
        match page["next"].as_str() {
            Some(token) => next = format!("&page={token}"),
            None => return found,
        }
    }
}

async fn make_under_key(person: &Person, key: &str, room: Value) -> (u16, Value) {
    let request = Client::new().post(format!("{}/api/v1/rooms", person.base)).bearer_auth(&person.token);
    let response = request.header("Idempotency-Key", key).json(&room).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_room_made_twice_under_one_key_is_one_room() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = json!({"name": "Kitchen", "kind": "public"});
    let (first, again) = tokio::join!(make_under_key(&ann, "k1", room.clone()), make_under_key(&ann, "k1", room.clone()));
    assert_eq!((first.0, again.0), (201, 201), "{first:?} {again:?}");
    assert_eq!(first.1["id"], again.1["id"]);
    let (status, other) = make_under_key(&ann, "k1", json!({"name": "Cellar", "kind": "public"})).await;
    assert_eq!((status, other["code"].as_str()), (409, Some("key_reused")));
    let (_, bobs) = make_under_key(&bob, "k1", room.clone()).await;
    assert_ne!(bobs["id"], first.1["id"], "keys of different people have nothing to do with each other");
    let (_, second) = make_under_key(&ann, "k2", room).await;
    assert_ne!(second["id"], first.1["id"]);
}

#[tokio::test]
async fn public_rooms_are_found_by_name_in_pages_and_private_ones_are_not() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    for name in ["Garden east", "Garden north", "Garden west", "Attic"] {
        ann.make_room(name, "public").await;
    }
    ann.make_room("Garden secret", "private").await;
    assert_eq!(all(&bob, "rooms?q=gARden&limit=2", "name").await, ["Garden east", "Garden north", "Garden west"]);
    assert_eq!(all(&bob, "rooms?limit=1", "name").await, ["Attic", "Garden east", "Garden north", "Garden west"]);
}

#[tokio::test]
async fn settings_change_and_an_archived_room_is_closed_until_it_is_opened() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;
    let path = format!("rooms/{room}");
    let changed = ann.patch(&path, json!({"name": "Cellar", "topic": "dark", "history": "since_joining"})).await.ok();
    assert_eq!(
        (&changed["name"], &changed["topic"], &changed["history"]),
        (&json!("Cellar"), &json!("dark"), &json!("since_joining"))
    );
    ann.patch(&path, json!({"archived": true})).await.ok();
    assert_eq!(ann.say_as(&room, "late", &uuid::Uuid::now_v7().to_string()).await.code(), "room_archived");
    ann.patch(&path, json!({"archived": false})).await.ok();
    ann.say(&room, "open").await;
    assert_eq!(ann.texts(&room).await, ["open"]);
}

#[tokio::test]
async fn a_deleted_room_is_not_found_by_anybody() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    ann.delete(&format!("rooms/{room}")).await.ok();
    for person in [&ann, &bob] {
        assert_eq!(person.get(&format!("rooms/{room}")).await.code(), "not_found");
        assert_eq!(person.get(&format!("rooms/{room}/messages")).await.code(), "not_found");
        assert!(names(&person.get("me/rooms").await.ok(), "state").is_empty());
    }
}

#[tokio::test]
async fn a_kicked_member_may_come_back_and_a_banned_one_may_not() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    let (member, ban) = (format!("rooms/{room}/members/{}", bob.id), format!("rooms/{room}/bans/{}", bob.id));
    ann.request(Method::DELETE, &member, Some(json!({"reason": "noise"}))).await.ok();
    assert_eq!(bob.get(&format!("rooms/{room}/messages")).await.code(), "not_member");
    bob.join(&room).await;
    ann.put(&ban, json!({"reason": "more noise"})).await.ok();
    assert_eq!(bob.put(&format!("rooms/{room}/members/me"), json!({})).await.code(), "banned");
    let bans = ann.get(&format!("rooms/{room}/bans")).await.ok();
    assert_eq!((names(&bans, "name"), names(&bans, "reason")), (vec!["bob".to_owned()], vec!["more noise".to_owned()]));
    ann.delete(&ban).await.ok();
    bob.join(&room).await;
}

#[tokio::test]
async fn why_somebody_is_put_out_stands_in_the_body_and_never_in_the_address() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    let (member, ban) = (format!("rooms/{room}/members/{}", bob.id), format!("rooms/{room}/bans/{}", bob.id));
    for (method, path) in [(Method::DELETE, &member), (Method::PUT, &ban)] {
        let ask = async |query: &str, body: Option<Value>| ann.request(method.clone(), &format!("{path}{query}"), body).await;
        assert_eq!(ask("?reason=noise", None).await.code(), "bad_request");
        assert_eq!(ask("", Some(json!({"why": "noise"}))).await.code(), "bad_request");
        assert_eq!(ask("", Some(json!({"reason": "x".repeat(251)}))).await.code(), "text_too_long");
    }
    assert_eq!(bob.texts(&room).await, [""; 0], "nothing of it was done");
    ann.request(Method::DELETE, &member, Some(json!({"reason": "noise"}))).await.ok();
    let lines = ann.get(&format!("rooms/{room}/messages")).await.ok()["notices"].clone();
    let kicked = lines.as_array().and_then(|lines| lines.last()).cloned().unwrap_or_default();
    assert_eq!((&kicked["kind"], &kicked["text"]), (&json!("kicked"), &json!("noise")));
}

#[tokio::test]
async fn the_last_owner_leaves_only_after_a_transfer() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    assert_eq!(ann.delete(&format!("rooms/{room}/members/me")).await.code(), "last_owner");
    ann.put(&format!("rooms/{room}/owner"), json!({"user": bob.id})).await.ok();
    ann.delete(&format!("rooms/{room}/members/me")).await.ok();
    let members = bob.get(&format!("rooms/{room}/members")).await.ok();
    assert_eq!((names(&members, "name"), names(&members, "role")), (vec!["bob".to_owned()], vec!["owner".to_owned()]));
}

#[tokio::test]
async fn members_are_listed_once_in_pages_highest_role_first() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;
    for name in ["bob", "cem", "dan", "eve"] {
        Person::register(&server, name).await.join(&room).await;
    }
    let mut listed = all(&ann, &format!("rooms/{room}/members?limit=2"), "name").await;
    assert_eq!(listed[0], "ann");
    listed.sort();
    assert_eq!(listed, ["ann", "bob", "cem", "dan", "eve"]);
}

#[tokio::test]
async fn malformed_input_is_a_problem_document_and_never_half_believed() {
    let server = Server::start_with(&[("server.request_body_max", "2KiB"), ("limits.text_max", "256B")]).await;
    let ann = Person::register(&server, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;
    let other = ann.get("rooms?limit=1").await.ok();
    assert!(other["next"].is_null());
    let refused = [
        (ann.post("rooms", json!({"name": "x", "kind": "public", "colour": "red"})).await, "bad_request"),
        (ann.post("rooms", json!({"name": "x"})).await, "bad_request"),
        (ann.post("rooms", json!({"name": "x", "kind": "direct"})).await, "bad_request"),
        (ann.post("rooms", json!({"name": "", "kind": "public"})).await, "name_invalid"),
        (ann.post("rooms", json!({"name": "x".repeat(4096), "kind": "public"})).await, "too_large"),
        (ann.get("rooms?colour=red").await, "bad_request"),
        (ann.get("rooms?limit=0").await, "bad_request"),
        (ann.get("rooms?limit=201").await, "bad_request"),
        (ann.get("rooms?page=nonsense").await, "bad_request"),
        (ann.get("rooms/kitchen").await, "bad_request"),
        (ann.get(&format!("rooms/{room}/messages?before=1&after=1")).await, "bad_request"),
        (ann.get(&format!("rooms/{room}/members?state=banned")).await, "bad_request"),
        (ann.get("nothing").await, "not_found"),
        (ann.request(reqwest::Method::POST, "me/rooms", None).await, "method_not_allowed"),
    ];
    for (answer, code) in refused {
        assert_eq!(answer.code(), code, "{}", answer.body);
        assert_eq!(answer.body["status"], json!(answer.status.as_u16()));
    }
    assert_eq!(all(&ann, "rooms?limit=9", "name").await, ["Kitchen"], "nothing of it was done");
}

#[tokio::test]
async fn a_join_is_told_to_who_is_there_and_to_the_person() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    let (mut anns, mut bobs) = (ann.connect().await, bob.connect().await);
    anns.subscribe(&room).await;
    bob.join(&room).await;
    let changes = anns.push("changes").await;
    let items = changes["items"].as_array().expect("items");
    assert!(items.iter().any(|item| item["member"]["user"] == json!(bob.id)), "{changes}");
    assert!(items.iter().any(|item| item["notice"]["kind"] == json!("joined")), "{changes}");
    loop {
        let mine = bobs.push("user_changes").await;
        let items = mine["items"].as_array().expect("items");
        if items.iter().any(|item| item["membership"]["room"]["id"] == json!(room)) {
            break;
        }
    }
}

/// The next membership of a room in somebody's stream.
async fn membership(socket: &mut crate::support::socket::Socket, room: &str) -> Value {
    loop {
        let changes = socket.push("user_changes").await;
        let mut found = changes["items"].as_array().into_iter().flatten().map(|item| &item["membership"]);
        if let Some(membership) = found.rfind(|membership| membership["room"]["id"] == room) {
            return membership.clone();
        }
    }
}

#[tokio::test]
async fn a_deleted_room_is_left_by_all_who_were_in_it_or_invited_wherever_they_are() {
    let scene = Scene::start_with(&[("room.head_check_interval", "200ms")]).await;
    let eve = Person::register(&scene.server, "eve").await;
    let den = scene.ann.make_room("Den", "private").await;
    for person in [&scene.bob, &eve] {
        scene.ann.put(&format!("rooms/{den}/invitations/{}", person.id), json!({})).await.ok();
    }
    scene.bob.join(&den).await;
    // Both are connected and receive nothing of the room.
    let (mut bob, mut invited) = (scene.bob.connect().await, eve.connect().await);
    assert_eq!(membership(&mut bob, &den).await["state"], "joined");
    assert_eq!(membership(&mut invited, &den).await["state"], "invited");
    scene.ann.delete(&format!("rooms/{den}")).await.ok();
    for (socket, person) in [(&mut bob, &scene.bob), (&mut invited, &eve)] {
        let ended = membership(socket, &den).await;
        assert_eq!((&ended["state"], &ended["room"]["name"]), (&json!("left"), &json!("")), "{ended}");
        let by_rest = person.get("me/rooms?state=left").await.ok();
        let by_rest = by_rest["items"].as_array().unwrap().iter().find(|left| left["room"]["id"] == *den).unwrap();
        assert_eq!(*by_rest, ended, "socket and REST agree");
        for state in ["joined", "invited"] {
            let still = person.get(&format!("me/rooms?state={state}")).await.ok();
            assert!(still["items"].as_array().unwrap().iter().all(|row| row["room"]["id"] != *den), "{still}");
        }
    }
    // Who was away, and who never knew anything, learn the same.
    let (mut fresh, _) = scene.ann.connect_with(json!({})).await;
    assert_eq!(membership(&mut fresh, &den).await["state"], "left");
}
