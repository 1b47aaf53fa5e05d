//! What people prefer, and what they have begun to write: over REST and socket, on all devices.

use crate::support::person::{Answer, Person};
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::socket::Socket;
use serde_json::{Value, json};
use uuid::Uuid;

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

/// Two devices of one person, both at the head of the stream.
async fn devices(person: &Person) -> (Socket, Socket, Value) {
    let (phone, welcome) = person.connect_with(json!({})).await;
    let known = json!({"epoch": welcome["epoch"], "user_cursor": welcome["user_head"]});
    (phone, person.connect_with(known.clone()).await.0, known)
}

#[tokio::test]
async fn a_room_is_muted_for_a_while_or_for_good_on_every_device_and_over_either_way() {
    let scene = Scene::start().await;
    let (bob, room) = (&scene.bob, &scene.room);
    let (mut phone, mut desk, known) = devices(bob).await;
    let path = format!("rooms/{room}/preferences");
    let before = bob.get(&path).await.ok();
    assert_eq!(before, json!({"revision": 0, "room": room, "notify": "default"}));
    let wanted = json!({"room": room, "muted_until": "2030-01-01T12:00:00+02:00", "notify": "mentions"});
    assert_eq!(phone.ask("set_room_preferences", wanted).await["ok"], json!({}));
    let told = item(&mut desk, "room_preferences").await;
    assert_eq!((&told["muted_until"], &told["notify"]), (&json!("2030-01-01T10:00:00Z"), &json!("mentions")));
    assert_eq!(bob.get(&path).await.ok(), told);
    let set = bob.put(&path, json!({"muted_until": "forever"})).await.ok();
    assert_eq!((&set["muted_until"], &set["notify"]), (&json!("forever"), &json!("default")), "all of it is set");
    assert_eq!(item(&mut desk, "room_preferences").await, set);
    let open = bob.put(&path, json!({})).await.ok();
    assert_eq!(open.get("muted_until"), None);
    let mut late = bob.connect_with(known).await.0;
    assert_eq!(item(&mut late, "room_preferences").await, open, "who was away hears the newest");
    for bad in [json!({"muted_until": "tomorrow"}), json!({"muted_until": 7}), json!({"notify": "maybe"}), json!({"mute": true})]
    {
        assert_eq!(bob.put(&path, bad.clone()).await.code(), "bad_request", "{bad}");
    }
}

#[tokio::test]
async fn a_thread_is_followed_and_muted_by_those_who_may_read_it() {
    let scene = Scene::start().await;
    let (bob, room) = (&scene.bob, &scene.room);
    scene.ann.say(room, "one").await;
    let (mut phone, mut desk, _) = devices(bob).await;
    let path = format!("rooms/{room}/threads/1/preferences");
    assert_eq!(bob.get(&path).await.ok(), json!({"revision": 0, "room": room, "thread": 1, "following": "default"}));
    let wanted = json!({"room": room, "thread": 1, "following": "yes", "muted_until": "forever"});
    assert_eq!(phone.ask("set_thread_preferences", wanted).await["ok"], json!({}));
    let told = item(&mut desk, "thread_preferences").await;
    assert_eq!((&told["following"], &told["muted_until"], &told["thread"]), (&json!("yes"), &json!("forever"), &json!(1)));
    let set = bob.put(&path, json!({"following": "no"})).await.ok();
    assert_eq!((&set["following"], set.get("muted_until")), (&json!("no"), None));
    assert_eq!(bob.get(&path).await.ok(), set);
    assert_eq!(bob.put(&format!("rooms/{room}/threads/9/preferences"), json!({})).await.code(), "not_found");
}

#[tokio::test]
async fn so_many_threads_have_preferences_and_a_reply_has_none() {
    let scene = Scene::start_with(&[("limits.thread_preferences_per_user", "1")]).await;
    let (bob, room) = (&scene.bob, &scene.room);
    scene.ann.say(room, "one").await;
    scene.ann.say(room, "two").await;
    let reply = json!({"client_id": Uuid::now_v7(), "text": "re", "thread": 1});
    bob.post(&format!("rooms/{room}/messages"), reply).await.ok();
    let path = |thread: u64| format!("rooms/{room}/threads/{thread}/preferences");
    assert_eq!(bob.put(&path(3), json!({"following": "yes"})).await.code(), "bad_request");
    bob.put(&path(1), json!({"following": "yes"})).await.ok();
    let mut socket = bob.connect().await;
    let more = json!({"room": room, "thread": 2, "muted_until": "forever"});
    assert_eq!(socket.ask("set_thread_preferences", more.clone()).await["error"]["code"], "limit_reached");
    assert_eq!(bob.put(&path(2), json!({"following": "no"})).await.code(), "limit_reached");
    bob.put(&path(1), json!({})).await.ok();
    assert_eq!(socket.ask("set_thread_preferences", more).await["ok"], json!({}));
}

#[tokio::test]
async fn general_preferences_begin_with_what_is_usual_and_change_by_what_is_named() {
    let server = Server::start_with(&[("limits.keywords_per_user", "3"), ("limits.keyword_max", "8")]).await;
    let ann = Person::register(&server, "ann").await;
    let (mut phone, mut desk, _) = devices(&ann).await;
    let usual = json!({"revision": 0, "receipts": true, "direct": "everyone", "notify": "default", "keywords": []});
    assert_eq!(ann.get("me/preferences").await.ok(), usual);
    let wanted = json!({"receipts": false, "quiet": {"from": 1320, "until": 420}, "keywords": ["Rust", "tea", "RUST"]});
    assert_eq!(phone.ask("set_preferences", wanted).await["ok"], json!({}));
    let told = item(&mut desk, "preferences").await;
    assert_eq!((&told["receipts"], &told["quiet"]), (&json!(false), &json!({"from": 1320, "until": 420})));
    assert_eq!(told["keywords"], json!(["Rust", "tea"]));
    let changed = ann.patch("me/preferences", json!({"quiet": null, "direct": "nobody"})).await.ok();
    assert_eq!((changed.get("quiet"), &changed["direct"], &changed["receipts"]), (None, &json!("nobody"), &json!(false)));
    assert_eq!(changed["keywords"], json!(["Rust", "tea"]));
    for (bad, code) in [
        (json!({"keywords": ["a", "b", "c", "d"]}), "limit_reached"),
        (json!({"keywords": ["much too long"]}), "text_too_long"),
        (json!({"keywords": [" "]}), "text_empty"),
        (json!({"keywords": ["+-?"]}), "bad_request"),
        (json!({"quiet": {"from": 5, "until": 5}}), "bad_request"),
        (json!({"quiet": {"from": 0, "until": 1440}}), "bad_request"),
        (json!({"direct": "friends"}), "bad_request"),
    ] {
        assert_eq!(ann.patch("me/preferences", bad.clone()).await.code(), code, "{bad}");
    }
    assert_eq!(phone.ask("set_preferences", json!({"keywords": ["much too long"]})).await["error"]["code"], "text_too_long");
    let advice = "keywords are one to eight words each, with no control characters; signs alone are no word.";
    assert_eq!(ann.patch("me/preferences", json!({"keywords": ["a", "++"]})).await.body["message"], advice);
    assert_eq!(phone.ask("set_preferences", json!({"keywords": ["++"]})).await["error"]["message"], advice);
    assert_eq!(ann.get("me/preferences").await.ok(), changed, "nothing of what was refused was done");
}

#[tokio::test]
async fn closed_direct_messages_answer_as_a_block_does() {
    let scene = Scene::start().await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    let cem = Person::register(&scene.server, "cem").await;
    let whisper = async |from: &Person| -> Answer {
        from.post(&format!("direct/{}/messages", ann.id), json!({"client_id": Uuid::now_v7(), "text": "psst"})).await
    };
    ann.patch("me/preferences", json!({"direct": "shared_rooms"})).await.ok();
    let closed = whisper(&cem).await;
    assert_eq!(closed.code(), "not_allowed");
    let closed = closed.but_its_id();
    whisper(bob).await.ok();
    ann.patch("me/preferences", json!({"direct": "nobody"})).await.ok();
    whisper(bob).await.ok();
    ann.patch("me/preferences", json!({"direct": "everyone"})).await.ok();
    ann.put(&format!("me/blocks/{}", cem.id), json!({})).await.ok();
    assert_eq!(whisper(&cem).await.but_its_id(), closed, "nobody learns from it that they are blocked");
}

#[tokio::test]
async fn a_draft_goes_from_device_to_device_until_it_is_sent() {
    let scene = Scene::start().await;
    let (bob, room) = (&scene.bob, &scene.room);
    scene.ann.say(room, "one").await;
    let (mut phone, mut desk, known) = devices(bob).await;
    assert_eq!(phone.ask("set_draft", json!({"room": room, "text": "I was"})).await["ok"], json!({}));
    let told = item(&mut desk, "draft").await;
    assert_eq!((&told["room"], &told["text"], told.get("thread")), (&json!(room), &json!("I was"), None));
    let reply = bob.put(&format!("me/drafts/{room}?thread=1"), json!({"text": "Two"})).await.ok();
    assert_eq!(reply["thread"], 1);
    let first = bob.get("me/drafts?limit=1").await.ok();
    let rest = bob.get(&format!("me/drafts?page={}", first["next"].as_str().expect("more"))).await.ok();
    assert_eq!((&first["items"][0], &rest["items"]), (&told, &json!([reply])));
    bob.delete(&format!("me/drafts/{room}?thread=1")).await.ok();
    assert_eq!(phone.ask("set_draft", json!({"room": room, "text": ""})).await["ok"], json!({}));
    assert_eq!(bob.get("me/drafts").await.ok()["items"], json!([]));
    let mut late = bob.connect_with(known).await.0;
    let missed = late.push("user_changes").await;
    let texts: Vec<_> = missed["items"].as_array().expect("items").iter().map(|item| item["draft"]["text"].clone()).collect();
    assert_eq!(texts, [json!(""), json!("")], "that they are gone is told, too");
    assert_eq!(scene.ann.get("me/drafts").await.ok()["items"], json!([]), "nobody else sees them");
}

#[tokio::test]
async fn drafts_are_as_long_as_messages_so_many_and_in_rooms_one_is_in() {
    let scene = Scene::start_with(&[("limits.drafts_per_user", "1"), ("limits.text_max", "8B")]).await;
    let (bob, room) = (&scene.bob, &scene.room);
    let other = bob.make_room("Shed", "private").await;
    let mut socket = bob.connect().await;
    assert_eq!(bob.put(&format!("me/drafts/{room}"), json!({"text": "123456789"})).await.code(), "text_too_long");
    bob.put(&format!("me/drafts/{room}"), json!({"text": "12345678"})).await.ok();
    assert_eq!(socket.ask("set_draft", json!({"room": other, "text": "more"})).await["error"]["code"], "limit_reached");
    let hidden = scene.ann.make_room("Attic", "private").await;
    assert_eq!(socket.ask("set_draft", json!({"room": hidden, "text": "x"})).await["error"]["code"], "not_found");
    assert_eq!(bob.put(&format!("me/drafts/{room}?thread=0"), json!({"text": "x"})).await.code(), "bad_request");
    bob.delete(&format!("me/drafts/{hidden}")).await.ok();
}
