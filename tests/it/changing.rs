//! Messages that change: over REST and socket alike, live and missed.

use crate::support::eventually;
use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::socket::Socket;
use serde_json::{Value, json};
use uuid::Uuid;

/// The next item of the room, with its name.
async fn item(socket: &mut Socket) -> (String, Value) {
    let changes = socket.push("changes").await;
    let items = changes["items"].as_array().expect("items").clone();
    assert_eq!(items.len(), 1, "{changes}");
    let (name, row) = items[0].as_object().and_then(|item| item.iter().next()).expect("an item has a name");
    (name.clone(), row.clone())
}

async fn ask(socket: &mut Socket, name: &str, body: Value) -> Value {
    let answer = socket.ask(name, body).await;
    assert_eq!(answer["ok"], json!({}), "{name}: {answer}");
    answer
}

fn at(room: &str, seq: u64) -> Value {
    json!({"room": room, "seq": seq})
}

fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

#[tokio::test]
async fn of_several_edits_on_their_way_the_last_one_stays_though_an_earlier_one_takes_longer() {
    let scene = Scene::start().await;
    let (ann, room) = (&scene.ann, &scene.room);
    let mut socket = ann.connect().await;
    socket.say(room, "the first text").await;
    for turn in 0..10 {
        // For the name the store is asked.
        let slow = socket.command("edit", with(at(room, 1), "text", format!("@bob, {turn}"))).await;
        let fast = socket.command("edit", with(at(room, 1), "text", format!("nobody, {turn}"))).await;
        for reference in [slow, fast] {
            assert_eq!(socket.reply(reference).await["ok"], json!({}));
        }
        assert_eq!(ann.texts(room).await, [format!("nobody, {turn}")]);
    }
}

#[tokio::test]
async fn a_message_is_edited_and_deleted_and_everybody_sees_it_change_in_its_place() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let (mut hers, mut his) = (ann.connect().await, bob.connect().await);
    his.subscribe(room).await;
    hers.say(room, "Good morning").await;
    assert_eq!(his.message().await.0, 1);
    ask(&mut hers, "edit", with(at(room, 1), "text", "Good evening")).await;
    let (name, edited) = item(&mut his).await;
    assert_eq!((name.as_str(), &edited["seq"], &edited["text"]), ("message", &json!(1), &json!("Good evening")));
    assert!(edited["edited_at"].is_string(), "{edited}");
    let refused = bob.patch(&format!("rooms/{room}/messages/1"), json!({"text": "No"})).await;
    assert_eq!(refused.code(), "not_allowed");
    let edits = ann.get(&format!("rooms/{room}/messages/1/edits")).await.ok();
    assert_eq!(edits["texts"][0]["text"], "Good morning");
    ann.delete(&format!("rooms/{room}/messages/1")).await.ok();
    let (_, deleted) = item(&mut his).await;
    assert_eq!((&deleted["text"], &deleted["deleted"]["by"]), (&json!(""), &json!(ann.id)), "{deleted}");
    assert!(deleted["edited_at"].is_null());
    assert_eq!(ann.get(&format!("rooms/{room}/messages/1/edits")).await.ok()["texts"], json!([]), "earlier texts are gone too");
    assert_eq!(ann.patch(&format!("rooms/{room}/messages/1"), json!({"text": "Back"})).await.code(), "not_found");
    assert_eq!(bob.get(&format!("rooms/{room}/messages/1")).await.ok()["text"], "");
}

#[tokio::test]
async fn each_person_reacts_once_with_each_emoji_and_who_was_away_gets_them_with_the_message() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    ann.say(room, "Cake!").await;
    let mut his = bob.connect().await;
    his.subscribe(room).await;
    let head = bob.get(&format!("rooms/{room}")).await.ok()["head"].as_u64().expect("a head");
    ann.put(&format!("rooms/{room}/messages/1/reactions/🎂"), json!({})).await.ok();
    let (name, came) = item(&mut his).await;
    assert_eq!(
        (name.as_str(), &came["emoji"], &came["on"], &came["user"]),
        ("reaction", &json!("🎂"), &json!(true), &json!(ann.id))
    );
    ask(&mut his, "react", with(at(room, 1), "emoji", "🎂")).await;
    ask(&mut his, "react", with(at(room, 1), "emoji", "👍")).await;
    ask(&mut his, "unreact", with(at(room, 1), "emoji", "👍")).await;
    let expected = json!([{"emoji": "🎂", "users": [ann.id, bob.id]}]);
    assert_eq!(bob.get(&format!("rooms/{room}/messages/1")).await.ok()["reactions"], expected);
    let missed = ann.get(&format!("rooms/{room}/changes?after={head}")).await.ok();
    let items = missed["changes"]["items"].as_array().expect("items").clone();
    assert_eq!((items.len(), &items[0]["message"]["reactions"]), (1, &expected), "{missed}");
    assert_eq!(items[0]["message"]["revision"], missed["head"]);
    assert_eq!(ann.put(&format!("rooms/{room}/messages/1/reactions/cake"), json!({})).await.code(), "bad_request");
}

#[tokio::test]
async fn a_thread_grows_and_shrinks_and_is_read_in_pages() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    ann.say(room, "Where do we eat?").await;
    let mut his = bob.connect().await;
    his.subscribe(room).await;
    for number in 0..3 {
        let reply = json!({"client_id": Uuid::now_v7(), "text": format!("reply {number}"), "thread": 1});
        ann.post(&format!("rooms/{room}/messages"), reply).await.ok();
    }
    let changes = his.push("changes").await;
    let items = changes["items"].as_array().expect("items");
    assert_eq!((&items[0]["message"]["thread"], &items[1]["thread"]["seq"]), (&json!(1), &json!(1)), "{changes}");
    assert_eq!((&items[1]["thread"]["count"], &items[1]["thread"]["last"]), (&json!(1), &json!(2)));
    assert_eq!(items[0]["message"]["revision"], items[1]["thread"]["revision"], "one revision for both");
    let page = bob.get(&format!("rooms/{room}/messages/1/thread?limit=2")).await.ok();
    let texts: Vec<_> = page["messages"].as_array().expect("messages").iter().map(|message| message["text"].clone()).collect();
    assert_eq!((texts, &page["more_after"]), (vec![json!("reply 0"), json!("reply 1")], &json!(true)));
    assert_eq!(page["first"]["replies"], json!({"count": 3, "last": 4}));
    let rest = bob.get(&format!("rooms/{room}/messages/1/thread?after=3")).await.ok();
    assert_eq!((rest["messages"].as_array().map(Vec::len), &rest["more_after"]), (Some(1), &json!(false)));
    ann.delete(&format!("rooms/{room}/messages/3")).await.ok();
    let first = bob.get(&format!("rooms/{room}/messages/1")).await.ok();
    assert_eq!(first["replies"], json!({"count": 2, "last": 4}));
    let nested = json!({"client_id": Uuid::now_v7(), "text": "deeper", "thread": 2});
    assert_eq!(bob.post(&format!("rooms/{room}/messages"), nested).await.code(), "bad_request");
    let nowhere = json!({"client_id": Uuid::now_v7(), "text": "lost", "thread": 99});
    assert_eq!(bob.post(&format!("rooms/{room}/messages"), nowhere).await.code(), "not_found");
}

#[tokio::test]
async fn names_mention_members_and_everybody_is_mentioned_by_moderators_only() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let eve = Person::register(&scene.server, "eve").await;
    let text = format!("@{} and @{}: `@{}` @room ann@example.org", bob.name.to_uppercase(), eve.name, ann.name);
    bob.say(room, &text).await;
    ann.say(room, &text).await;
    let mentions = async |seq: u64| bob.get(&format!("rooms/{room}/messages/{seq}")).await.ok()["mentions"].clone();
    assert_eq!(mentions(1).await, json!({"users": [bob.id]}), "a member mentions members");
    assert_eq!(mentions(2).await, json!({"users": [bob.id], "room": true}), "an owner everybody, too");
    ann.patch(&format!("rooms/{room}/messages/2"), json!({"text": "never mind"})).await.ok();
    assert_eq!(mentions(2).await, Value::Null, "an edit mentions anew");
}

#[tokio::test]
async fn a_forwarded_text_names_where_it_comes_from_and_outlives_it() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let other = bob.make_room("Other", "private").await;
    ann.say(room, "psst @bob").await;
    let forward = |room: &str, seq: u64| json!({"client_id": Uuid::now_v7(), "forward": {"room": room, "seq": seq}});
    let first = forward(room, 1);
    let posted = bob.post(&format!("rooms/{other}/messages"), first.clone()).await.ok();
    ann.delete(&format!("rooms/{room}/messages/1")).await.ok();
    let again = bob.post(&format!("rooms/{other}/messages"), first).await.ok();
    assert_eq!((&again["seq"], &again["repeat"]), (&posted["seq"], &json!(true)), "a repeat is one, though its source is gone");
    let copy = bob.get(&format!("rooms/{other}/messages/1")).await.ok();
    assert_eq!((&copy["text"], &copy["origin"]), (&json!("psst @bob"), &json!({"room": room, "seq": 1, "author": ann.id})));
    assert!(copy["mentions"].is_null());
    assert_eq!(bob.patch(&format!("rooms/{other}/messages/1"), json!({"text": "no"})).await.code(), "not_allowed");
    assert_eq!(bob.post(&format!("rooms/{other}/messages"), forward(room, 1)).await.code(), "not_found", "it was deleted");
    let hidden = ann.post(&format!("rooms/{room}/messages"), forward(&other, 1)).await;
    assert_eq!(hidden.code(), "not_found", "nobody forwards what they may not read");
    let both = with(forward(room, 1), "text", "mine");
    assert_eq!(bob.post(&format!("rooms/{other}/messages"), both).await.code(), "bad_request");
}

#[tokio::test]
async fn pinned_messages_are_listed_and_a_line_tells_of_each() {
    let server = Server::start_with(&[("conversation.pins_per_room", "2")]).await;
    let ann = Person::register(&server, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;
    for text in ["one", "two", "three"] {
        ann.say(&room, text).await;
    }
    for seq in [1, 3] {
        ann.put(&format!("rooms/{room}/messages/{seq}/pin"), json!({})).await.ok();
    }
    assert_eq!(ann.put(&format!("rooms/{room}/messages/2/pin"), json!({})).await.code(), "limit_reached");
    let seqs = async || {
        let pins = ann.get(&format!("rooms/{room}/pins")).await.ok();
        pins["messages"].as_array().expect("messages").iter().filter_map(|message| message["seq"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(seqs().await, [3, 1]);
    let lines = ann.get(&format!("rooms/{room}/notices")).await.ok();
    let last = lines["notices"].as_array().and_then(|lines| lines.last()).cloned().expect("a line");
    assert_eq!((&last["kind"], &last["text"]), (&json!("pinned"), &json!("3")));
    ann.delete(&format!("rooms/{room}/messages/3/pin")).await.ok();
    ann.delete(&format!("rooms/{room}/messages/1")).await.ok();
    assert_eq!(seqs().await, [0_u64; 0], "a deleted message is not pinned");
}

#[tokio::test]
async fn what_belongs_to_a_message_has_limits() {
    let settings = [
        ("conversation.reactions_per_message", "3"),
        ("conversation.emoji_per_message", "2"),
        ("conversation.edits_kept", "2"),
        ("conversation.mentions_per_message", "1"),
        ("conversation.edit_within", "1ms"),
    ];
    let server = Server::start_with(&settings).await;
    let [ann, bob] = [Person::register(&server, "ann").await, Person::register(&server, "bob").await];
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    ann.say(&room, "0").await;
    let react = async |who: &Person, emoji: &str| who.put(&format!("rooms/{room}/messages/1/reactions/{emoji}"), json!({})).await;
    react(&ann, "👍").await.ok();
    react(&ann, "🎂").await.ok();
    assert_eq!(react(&ann, "🎉").await.code(), "limit_reached", "a third emoji");
    react(&bob, "👍").await.ok();
    assert_eq!(react(&bob, "🎂").await.code(), "limit_reached", "a fourth reaction");
    for text in ["1", "2", "3", "@ann @bob"] {
        ann.patch(&format!("rooms/{room}/messages/1"), json!({"text": text})).await.ok();
    }
    let edits = ann.get(&format!("rooms/{room}/messages/1/edits")).await.ok();
    let kept: Vec<_> = edits["texts"].as_array().expect("texts").iter().map(|edit| edit["text"].clone()).collect();
    assert_eq!(kept, [json!("2"), json!("3")], "the newest are kept");
    assert_eq!(ann.get(&format!("rooms/{room}/messages/1")).await.ok()["mentions"]["users"], json!([ann.id]));
    bob.say(&room, "mine").await;
    // The pause after which a member may not edit any more is over once the clock has moved on, which the next request makes sure of.
    let late = async || bob.patch(&format!("rooms/{room}/messages/2"), json!({"text": "changed"})).await.status.is_success();
    while late().await {}
    assert_eq!(bob.patch(&format!("rooms/{room}/messages/2"), json!({"text": "again"})).await.code(), "too_late");
}

fn code(reply: &Value) -> Option<String> {
    reply["error"]["code"].as_str().map(str::to_owned)
}

/// Says something and asks to have it changed by `ask`, until that comes too late: the clock moves on between the two.
async fn until_too_late(who: &Person, room: &str, ask: impl AsyncFn(u64) -> Option<String>) {
    let refused = eventually("the end of the time", async || {
        let seq = who.say(room, "once").await["seq"].as_u64().expect("a number");
        ask(seq).await
    });
    assert_eq!(refused.await, "too_late", "{}", who.name);
}

#[tokio::test]
async fn how_long_a_member_may_delete_is_set_and_moderators_always_do() {
    let scene = Scene::start_with(&[("conversation.delete_within", "1ms")]).await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let path = |seq: u64| format!("rooms/{room}/messages/{seq}");
    until_too_late(bob, room, async |seq| {
        let answer = bob.delete(&path(seq)).await;
        (!answer.status.is_success()).then(|| answer.code().to_owned())
    })
    .await;
    until_too_late(bob, room, async |seq| code(&bob.connect().await.ask("delete", at(room, seq)).await)).await;
    let (his, hers) = (bob.history(room).await, ann.say(room, "hers").await["seq"].clone());
    let late = his.iter().filter(|message| message["deleted"].is_null()).map(|message| message["seq"].clone());
    for seq in late.chain([hers]) {
        ann.delete(&path(seq.as_u64().expect("a number"))).await.ok();
    }
}

#[tokio::test]
async fn how_long_a_moderator_may_edit_is_set_by_itself() {
    let scene = Scene::start_with(&[("conversation.edit_within_moderator", "1ms")]).await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let path = |seq: u64| format!("rooms/{room}/messages/{seq}");
    until_too_late(ann, room, async |seq| {
        let answer = ann.patch(&path(seq), json!({"text": "twice"})).await;
        (!answer.status.is_success()).then(|| answer.code().to_owned())
    })
    .await;
    until_too_late(ann, room, async |seq| code(&ann.connect().await.ask("edit", with(at(room, seq), "text", "twice")).await))
        .await;
    let seq = bob.say(room, "once").await["seq"].as_u64().expect("a number");
    bob.patch(&path(seq), json!({"text": "a member may for longer"})).await.ok();
}

#[tokio::test]
async fn an_edit_is_no_longer_than_a_post_may_be_over_either_way() {
    let scene = Scene::start_with(&[("limits.text_max", "16B")]).await;
    let (ann, room) = (&scene.ann, &scene.room);
    ann.say(room, "short").await;
    let mut socket = ann.connect().await;
    // In bytes, not in characters.
    for (text, fits) in [("x".repeat(16), true), ("x".repeat(17), false), ("\u{e9}".repeat(8), true), ("\u{e9}".repeat(9), false)]
    {
        let before = ann.texts(room).await;
        let over_rest = ann.patch(&format!("rooms/{room}/messages/1"), json!({"text": text})).await;
        let reply = socket.ask("edit", with(at(room, 1), "text", text.as_str())).await;
        if fits {
            over_rest.ok();
            assert_eq!(reply["ok"], json!({}), "{text}");
            assert_eq!(ann.texts(room).await, [text]);
        } else {
            assert_eq!((over_rest.code(), &reply["error"]["code"]), ("text_too_long", &json!("text_too_long")), "{text}");
            assert_eq!(ann.texts(room).await, before);
        }
    }
}

#[tokio::test]
async fn what_changes_a_message_succeeds_again_and_changes_nothing() {
    let scene = Scene::start().await;
    let (ann, room) = (&scene.ann, &scene.room);
    ann.say(room, "once").await;
    let mut socket = ann.connect().await;
    let head = async || ann.get(&format!("rooms/{room}")).await.ok()["head"].clone();
    let thumb = |seq| with(at(room, seq), "emoji", "👍");
    let steps = [
        ("edit", with(at(room, 1), "text", "twice"), "patch", "", json!({"text": "twice"})),
        ("react", thumb(1), "put", "/reactions/👍", json!({})),
        ("unreact", thumb(1), "delete", "/reactions/👍", Value::Null),
        ("pin", at(room, 1), "put", "/pin", json!({})),
        ("unpin", at(room, 1), "delete", "/pin", Value::Null),
        ("delete", at(room, 1), "delete", "", Value::Null),
    ];
    for (command, body, method, path, rest) in steps {
        ask(&mut socket, command, body.clone()).await;
        let after = head().await;
        ask(&mut socket, command, body).await;
        let path = format!("rooms/{room}/messages/1{path}");
        let method = method.to_uppercase().parse().expect("a method");
        ann.request(method, &path, (!rest.is_null()).then_some(rest)).await.ok();
        assert_eq!(head().await, after, "{command} acted twice");
    }
}

#[tokio::test]
async fn nobody_is_called_what_mentions_everybody() {
    let server = Server::start().await;
    for name in ["room", "Online", "r\u{43e}om"] {
        let account = json!({"name": name, "password": "correct horse battery", "display_name": "x", "device": "test"});
        assert_eq!(Person::anonymous(&server.base()).post("accounts", account).await.code(), "name_taken", "{name}");
    }
}

#[tokio::test]
async fn the_threads_one_follows_are_listed_page_by_page_with_what_is_unread() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    for text in ["first", "second"] {
        ann.say(room, text).await;
    }
    let path = format!("rooms/{room}/messages");
    let mut said = Vec::new();
    for thread in [1, 2] {
        let reply = json!({"client_id": Uuid::now_v7(), "text": "re", "thread": thread});
        said.push(bob.post(&path, reply).await.ok());
    }
    let of = |thread: usize| {
        let reply = &said[thread - 1];
        json!({"room": room, "thread": thread, "replies": 1, "last": reply["seq"], "last_at": reply["created_at"], "unread": 1})
    };
    let newest = ann.get("me/threads?limit=1").await.ok();
    assert_eq!(newest["items"], json!([of(2)]));
    let rest = ann.get(&format!("me/threads?limit=1&page={}", newest["next"].as_str().expect("another page"))).await.ok();
    assert_eq!((&rest["items"], &rest["next"]), (&json!([of(1)]), &json!(null)));
    ann.put("me/read", json!({})).await.ok();
    assert_eq!(ann.get("me/threads").await.ok()["items"][0]["unread"], 0);
}
