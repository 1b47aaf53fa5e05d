//! What people say of themselves, over REST and socket: who sets it, who sees it, how long it holds, what becomes of it.

use crate::support::eventually;
use crate::support::person::{PASSWORD, Person};
use crate::support::server::Server;
use crate::support::socket::Socket;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

fn now() -> DateTime<Utc> {
    hubbub::domain::time::Clock::system().now()
}

/// All that somebody may say of themselves.
fn everything() -> Value {
    json!({
        "about": "Gardener\nof many trees",
        "status": {"text": "Away", "emoji": "🌴"},
        "time_zone": "Europe/Berlin",
    })
}

/// What of an answer somebody says of themselves.
fn said(shown: &Value) -> Value {
    let fields = ["about", "status", "time_zone"].into_iter();
    fields.filter_map(|name| Some((name.to_owned(), shown.get(name)?.clone()))).collect::<serde_json::Map<_, _>>().into()
}

/// The person as `asking` sees them: alone, in a list, found by name, over a socket. Everywhere the same.
async fn seen(asking: &Person, socket: &mut Socket, user: &Person) -> Value {
    let one = asking.get(&format!("users/{}", user.id)).await.ok();
    let prefix = &user.name;
    let mut ways = Vec::new();
    for path in [format!("users?ids={}", user.id), format!("users?prefix={prefix}")] {
        ways.push(asking.get(&path).await.ok()["items"].clone());
    }
    for ask in [json!({"users": [user.id]}), json!({"prefix": prefix})] {
        ways.push(socket.ask("people", ask).await["ok"]["items"].clone());
    }
    for found in ways {
        assert_eq!(found, json!([one]), "{}", asking.name);
    }
    assert_eq!((&one["id"], &one["name"]), (&json!(user.id), &json!(user.name)));
    one
}

/// Somebody's own profile as their stream tells it at this revision.
async fn told(socket: &mut Socket, revision: &Value) -> Value {
    loop {
        let push = socket.push("user_changes").await;
        let items = push["items"].as_array().cloned().unwrap_or_default();
        let profile = items.iter().filter_map(|item| item.get("profile")).find(|profile| profile["revision"] == *revision);
        if let Some(profile) = profile {
            return profile.clone();
        }
    }
}

#[tokio::test]
async fn what_somebody_says_of_themselves_is_set_by_rest_and_socket_and_told_to_all_their_devices() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let (mut here, mut there) = (ann.connect().await, ann.connect().await);
    let set = ann.patch("me", everything()).await.ok();
    assert_eq!(said(&set), everything());
    assert_eq!(told(&mut there, &set["revision"]).await, set);
    assert_eq!(ann.get("me").await.ok(), set);

    let part = json!({"about": null, "time_zone": "asia/tokyo", "display_name": "Ann Lee"});
    assert_eq!(here.ask("change_profile", part).await["ok"], json!({}));
    let expected = json!({"status": everything()["status"], "time_zone": "Asia/Tokyo"});
    let changed = ann.get("me").await.ok();
    assert_eq!((said(&changed), &changed["user"]["display_name"]), (expected, &json!("Ann Lee")));
    assert_eq!(changed["revision"].as_u64(), set["revision"].as_u64().map(|revision| revision + 1));
    assert_eq!(told(&mut there, &changed["revision"]).await, changed);

    let (mut late, _) = ann.connect_with(json!({})).await;
    assert_eq!(told(&mut late, &changed["revision"]).await, changed, "who was away is told the same");
    here.ask("change_profile", json!({"status": null, "time_zone": null})).await;
    assert_eq!(said(&ann.get("me").await.ok()), json!({}));
}

#[tokio::test]
async fn what_nobody_may_say_of_themselves_is_refused_alike_by_rest_and_socket() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let mut socket = ann.connect().await;
    ann.patch("me", everything()).await.ok();
    let before = ann.get("me").await.ok();
    let until = |days| json!({"text": "Away", "until": now() + TimeDelta::days(days)});
    let refused = [
        (json!({"about": "x".repeat(501)}), "text_too_long"),
        (json!({"about": "a\u{202e}b"}), "bad_request"),
        (json!({"about": "a\u{7}b"}), "bad_request"),
        (json!({"about": 7}), "bad_request"),
        (json!({"status": {"text": "x".repeat(101)}}), "text_too_long"),
        (json!({"status": {"text": "one\ntwo"}}), "text_too_long"),
        (json!({"status": {"text": " "}}), "text_empty"),
        (json!({"status": {}}), "text_empty"),
        (json!({"status": {"text": "Away", "emoji": "palm"}}), "bad_request"),
        (json!({"status": {"text": "Away", "emoji": "🌴🌴"}}), "bad_request"),
        (json!({"status": {"text": "Away", "more": 1}}), "bad_request"),
        (json!({"status": until(0)}), "bad_request"),
        (json!({"status": until(367)}), "bad_request"),
        (json!({"time_zone": "Mars/Olympus"}), "bad_request"),
        (json!({"time_zone": "+02:00"}), "bad_request"),
        (json!({"display_name": ""}), "name_invalid"),
        // One bad part refuses all of it.
        (json!({"about": "fine", "time_zone": ""}), "bad_request"),
    ];
    for (body, code) in refused {
        assert_eq!(ann.patch("me", body.clone()).await.code(), code, "{body}");
        assert_eq!(socket.ask("change_profile", body.clone()).await["error"]["code"], code, "{body}");
    }
    assert_eq!(ann.get("me").await.ok(), before);
    let longest = json!({"about": "é".repeat(500), "status": {"text": "é".repeat(100), "until": now() + TimeDelta::days(365)}});
    let kept = ann.patch("me", longest.clone()).await.ok();
    assert_eq!((&kept["about"], &kept["status"]), (&longest["about"], &longest["status"]), "to the microsecond");
}

#[tokio::test]
async fn what_is_wrong_with_a_profile_is_said_by_field() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let mut socket = ann.connect().await;
    let advice = [
        (json!({"time_zone": "Mars/Olympus"}), "time_zone is a name of IANA's list of time zones, such as Europe/Berlin."),
        (json!({"about": "a\u{7}b"}), "about is lines of text: no control characters, and none that turn text around."),
        (json!({"status": {"emoji": "palm"}}), "status.emoji is one emoji, such as 🌴."),
        (json!({"status": {"text": "Away", "until": now()}}), "status.until is to come, and at most 366 days ahead."),
    ];
    for (body, message) in advice {
        assert_eq!(ann.patch("me", body.clone()).await.body["message"], message, "{body}");
        assert_eq!(socket.ask("change_profile", body.clone()).await["error"]["message"], message, "{body}");
    }
}

#[tokio::test]
async fn only_who_shares_a_room_and_is_not_blocked_sees_more_than_names() {
    let server = Server::start().await;
    let [ann, bob, cem] = ["ann", "bob", "cem"].map(|name| Person::register(&server, name));
    let (ann, bob, cem) = (ann.await, bob.await, cem.await);
    let (mut anns, mut bobs, mut cems) = (ann.connect().await, bob.connect().await, cem.connect().await);
    ann.patch("me", everything()).await.ok();
    bob.patch("me", json!({"about": "Bob"})).await.ok();
    assert_eq!(said(&seen(&ann, &mut anns, &ann).await), everything(), "oneself");
    assert_eq!(said(&seen(&bob, &mut bobs, &ann).await), json!({}), "a stranger");

    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    assert_eq!(said(&seen(&bob, &mut bobs, &ann).await), everything());
    assert_eq!(said(&seen(&cem, &mut cems, &ann).await), json!({}), "who has not joined");

    // With the answer to the block it holds; one's own sight of the other stays.
    ann.put(&format!("me/blocks/{}", bob.id), json!({})).await.ok();
    let shown = seen(&bob, &mut bobs, &ann).await;
    assert_eq!(said(&shown), json!({}));
    assert_eq!(shown, bob.get(&format!("users/{}", ann.id)).await.ok());
    let unsaid = seen(&bob, &mut bobs, &cem).await;
    let names = |person: &Value| person.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&shown), names(&unsaid), "it looks as if nothing was said");
    assert_eq!(said(&seen(&ann, &mut anns, &bob).await), json!({"about": "Bob"}));
    ann.delete(&format!("me/blocks/{}", bob.id)).await.ok();
    assert_eq!(said(&seen(&bob, &mut bobs, &ann).await), everything());

    bob.delete(&format!("rooms/{room}/members/me")).await.ok();
    assert_eq!(said(&seen(&bob, &mut bobs, &ann).await), json!({}), "strangers again");
    // A conversation is as good as a room.
    let hello = json!({"user": bob.id, "client_id": uuid::Uuid::now_v7(), "text": "hello"});
    assert!(anns.ask("post_direct", hello).await["ok"].is_object());
    assert_eq!(said(&seen(&bob, &mut bobs, &ann).await), everything());
    assert_eq!(said(&seen(&cem, &mut cems, &ann).await), json!({}));
}

#[tokio::test]
async fn a_status_that_has_ended_is_shown_nowhere() {
    let server = Server::start_with(&[("rates.requests_per_account", "off"), ("rates.requests_per_address", "off")]).await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    let mut bobs = bob.connect().await;
    let until = now() + TimeDelta::seconds(3);
    let set = ann.patch("me", json!({"about": "Gardener", "status": {"text": "Lunch", "until": until}})).await.ok();
    assert_eq!(set["status"]["text"], "Lunch");
    eventually("the end of the status", async || ann.get("me").await.ok().get("status").is_none().then_some(())).await;
    assert!(now() >= until, "it held until then");
    assert_eq!(said(&seen(&bob, &mut bobs, &ann).await), json!({"about": "Gardener"}));
    // Nothing has changed, and who comes now is told of none.
    let (mut device, welcome) = ann.connect_with(json!({})).await;
    let told = told(&mut device, &set["revision"]).await;
    assert_eq!(said(&told), json!({"about": "Gardener"}));
    assert_eq!(welcome["user_head"].as_u64(), ann.connect_with(json!({})).await.1["user_head"].as_u64());
}

#[tokio::test]
async fn people_are_looked_at_and_found_over_a_socket_as_by_rest() {
    let server = Server::start_with(&[("limits.page_default", "2"), ("limits.page_max", "3")]).await;
    let ann = Person::register(&server, "ann").await;
    for name in ["anna", "anton", "bob"] {
        Person::register(&server, name).await;
    }
    let mut socket = ann.connect().await;
    let first = socket.ask("people", json!({"prefix": " AN "})).await["ok"].clone();
    let rest = ann.get("users?prefix=AN").await.ok();
    assert_eq!(first["items"], rest["items"]);
    assert_eq!(socket.ask("people", json!({"prefix": "an"})).await["ok"], first, "asked again, and in other letters");
    let second = socket.ask("people", json!({"prefix": "AN", "after": first["next"], "limit": 3})).await["ok"].clone();
    assert_eq!((&second["items"][0]["name"], second["items"].as_array().map(Vec::len)), (&json!("anton"), Some(1)));
    assert_eq!(second["next"], Value::Null);
    let unknown = uuid::Uuid::now_v7();
    let looked = socket.ask("people", json!({"users": [ann.id, unknown]})).await["ok"]["items"].clone();
    assert_eq!((&looked[0]["id"], looked.as_array().map(Vec::len)), (&json!(ann.id), Some(1)));
    let bad = [
        json!({}),
        json!({"users": [ann.id], "prefix": "a"}),
        json!({"users": [ann.id], "limit": 1}),
        json!({"users": [ann.id, ann.id, ann.id, ann.id]}),
        json!({"prefix": " "}),
        json!({"prefix": "x".repeat(65)}),
        json!({"prefix": "a\nb"}),
        json!({"prefix": "a", "limit": 4}),
        json!({"prefix": "a", "after": "forged"}),
    ];
    for body in bad {
        assert_eq!(socket.ask("people", body.clone()).await["error"]["code"], "bad_request", "{body}");
    }
}

#[tokio::test]
async fn searches_count_over_socket_and_rest_together() {
    let server = Server::start_with(&[("rates.people_search_per_account", "2/1h")]).await;
    let ann = Person::register(&server, "ann").await;
    let mut socket = ann.connect().await;
    assert!(socket.ask("people", json!({"prefix": "a"})).await["ok"].is_object());
    ann.get("users?prefix=a").await.ok();
    assert_eq!(socket.ask("people", json!({"prefix": "a"})).await["error"]["code"], "busy");
    assert_eq!(ann.get("users?prefix=a").await.code(), "busy");
    assert!(socket.ask("people", json!({"users": [ann.id]})).await["ok"].is_object(), "a look at somebody is no search");
}

#[tokio::test]
async fn nothing_that_a_deleted_person_said_of_themselves_is_left() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    let mut bobs = bob.connect().await;
    ann.patch("me", everything()).await.ok();
    assert_eq!(said(&seen(&bob, &mut bobs, &ann).await), everything());
    ann.request(Method::DELETE, "me", Some(json!({"password": PASSWORD}))).await.ok();
    let left = bob.get(&format!("users/{}", ann.id)).await.ok();
    assert_eq!(left, json!({"id": ann.id, "name": "", "display_name": "", "deleted": true}));
    assert_eq!(bobs.ask("people", json!({"users": [ann.id]})).await["ok"]["items"], json!([left]));
    assert_eq!(bobs.ask("people", json!({"prefix": "ann"})).await["ok"]["items"], json!([]));
}

async fn root(server: &Server) -> Person {
    server.user_command(&["add", "root1", "--admin"], PASSWORD).await;
    Person::log_in(server, "root1").await
}

#[tokio::test]
async fn what_may_be_said_nowhere_nobody_is_called_or_says_of_themselves() {
    let server = Server::start().await;
    let (root, ann) = (root(&server).await, Person::register(&server, "ann").await);
    let mut socket = ann.connect().await;
    let said_before = json!({"about": "I like spam"});
    ann.patch("me", said_before.clone()).await.ok();
    root.post("admin/filters", json!({"kind": "word", "pattern": "spam", "action": "refuse"})).await.ok();
    root.post("admin/filters", json!({"kind": "link", "pattern": "bad.example", "action": "refuse"})).await.ok();
    let before = ann.patch("me", said_before).await.ok();
    let refused = [
        json!({"display_name": "Spam!"}),
        json!({"about": "More SP\u{c1}M"}),
        json!({"about": "see https://bad.example/x"}),
        json!({"status": {"text": "eating spam", "emoji": "🌴"}}),
        json!({"status": {"text": "away"}, "display_name": "Spam"}),
    ];
    for body in refused {
        assert_eq!(ann.patch("me", body.clone()).await.code(), "filtered", "{body}");
        assert_eq!(socket.ask("change_profile", body.clone()).await["error"]["code"], "filtered", "{body}");
    }
    assert_eq!(ann.get("me").await.ok(), before);
    ann.patch("me", json!({"status": {"text": "spammer"}})).await.ok();
    let nobody = Person::anonymous(&server.base());
    for (name, shown) in [("spam", json!("Eve")), ("eve", json!("Spam")), ("spam", Value::Null)] {
        let account = json!({"name": name, "display_name": shown, "password": PASSWORD});
        assert_eq!(nobody.post("accounts", account.clone()).await.code(), "filtered", "{account}");
    }
}

#[tokio::test]
async fn who_is_suspect_for_what_they_say_of_themselves_is_reported_to_administrators() {
    let server = Server::start().await;
    let (root, ann) = (root(&server).await, Person::register(&server, "ann").await);
    root.post("admin/filters", json!({"kind": "word", "pattern": "odd", "action": "report"})).await.ok();
    assert_eq!(ann.patch("me", json!({"about": "an odd one"})).await.ok()["about"], "an odd one");
    ann.patch("me", json!({"about": "odder, and odd"})).await.ok();
    let account = json!({"name": "bob", "display_name": "Odd Bob", "password": PASSWORD});
    let bob = Person::anonymous(&server.base()).post("accounts", account).await.ok()["user"]["id"].clone();
    let reports = root.get("reports?state=open").await.ok();
    let of = |report: &Value| [&report["user"], &report["reason"], &report["text"], &report["reporter"]].map(Value::clone);
    let found: Vec<_> = reports["items"].as_array().unwrap().iter().map(of).collect();
    let expected = [(json!(ann.id), "odd\nan odd one\nodd\nodder, and odd"), (bob, "odd\nOdd Bob")];
    assert_eq!(found, expected.map(|(user, text)| [user, json!("filter"), json!(text), Value::Null]));
}

#[tokio::test]
async fn an_administrator_takes_away_what_somebody_says_of_themselves() {
    let server = Server::start().await;
    let (root, ann, bob) = (root(&server).await, Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let mut device = ann.connect().await;
    let set = ann.patch("me", everything()).await.ok();
    told(&mut device, &set["revision"]).await;
    let path = format!("admin/users/{}/profile", ann.id);
    assert_eq!(bob.delete(&path).await.code(), "not_allowed");
    assert_eq!(ann.get("me").await.ok(), set);
    assert_eq!(root.delete(&format!("admin/users/{}/profile", uuid::Uuid::now_v7())).await.code(), "not_found");
    for _again in 0..2 {
        root.delete(&path).await.ok();
    }
    let left = ann.get("me").await.ok();
    assert_eq!(left["revision"].as_u64(), set["revision"].as_u64().map(|revision| revision + 1), "one change");
    assert_eq!((said(&left), &left["user"]), (json!({"time_zone": "Europe/Berlin"}), &set["user"]));
    assert_eq!(told(&mut device, &left["revision"]).await, left);
    let logged = root.get(&format!("admin/audit?action=profile_cleared&subject={}", ann.id)).await.ok();
    let actors: Vec<_> = logged["items"].as_array().unwrap().iter().map(|entry| &entry["actor"]).collect();
    assert_eq!(actors, [&json!(root.id)]);
}
