//! What posts may name: messages to quote and to answer, and everybody at once.

use crate::support::person::Person;
use crate::support::scene::Scene;
use serde_json::{Value, json};
use uuid::Uuid;

/// A post that names a message, as `quote` or `thread`.
fn naming(how: &str, seq: u64) -> Value {
    json!({"client_id": Uuid::now_v7(), "text": format!("{how} {seq}"), how: seq})
}

/// How the post is answered over REST, and then the like of it over a socket: the code of each, or nothing if it was taken.
async fn answered(person: &Person, room: &str, how: &str, seq: u64) -> [Option<String>; 2] {
    let over_rest = person.post(&format!("rooms/{room}/messages"), naming(how, seq)).await;
    let over_rest = (!over_rest.status.is_success()).then(|| over_rest.code().to_owned());
    let mut post = naming(how, seq);
    post["room"] = json!(room);
    let reply = person.connect().await.ask("post", post).await;
    [over_rest, reply["error"]["code"].as_str().map(str::to_owned)]
}

#[tokio::test]
async fn a_post_quotes_and_answers_only_what_is_there_for_its_author() {
    let scene = Scene::start().await;
    let (ann, room) = (&scene.ann, &scene.room);
    ann.patch(&format!("rooms/{room}"), json!({"history": "since_joining"})).await.ok();
    ann.say(room, "before Cem came").await;
    let cem = Person::register(&scene.server, "cem").await;
    cem.join(room).await;
    for text in ["seen by all", "deleted", "deleted as well"] {
        ann.say(room, text).await;
    }
    for seq in [3, 4] {
        ann.delete(&format!("rooms/{room}/messages/{seq}")).await.ok();
    }
    let not_found = || [Some("not_found".to_owned()), Some("not_found".to_owned())];
    let before = cem.texts(room).await;
    let mut taken = Vec::new();
    for (how, seq, what) in [
        ("quote", 1, "below sight"),
        ("thread", 1, "below sight"),
        ("quote", 3, "deleted"),
        ("quote", 99, "never said"),
        ("thread", 99, "never said"),
    ] {
        let answers = answered(&cem, room, how, seq).await;
        if answers != not_found() {
            taken.push(format!("{how} of what is {what}: {answers:?}"));
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
    assert_eq!(cem.texts(room).await, before, "nothing of it is stored");
    // What is there may be named by whoever sees it; and a thread goes on when its first message is deleted.
    for (who, how, seq) in [(&cem, "quote", 2), (&cem, "thread", 2), (&cem, "thread", 4), (ann, "quote", 1), (ann, "thread", 1)] {
        assert_eq!(answered(who, room, how, seq).await, [None, None], "{how} {seq} by {}", who.name);
    }
    let first = ann.get(&format!("rooms/{room}/messages/5")).await.ok();
    assert_eq!((&first["quote"], &first["text"]), (&json!(2), &json!("quote 2")), "{first}");
    let shown = cem.get(&format!("rooms/{room}/messages/1")).await;
    assert_eq!(shown.code(), "not_found", "named by others it stays below sight");
}

#[tokio::test]
async fn who_is_online_is_mentioned_by_those_alone_who_may_mention_everybody() {
    for (least, allowed) in [("moderator", false), ("member", true)] {
        let scene = Scene::start_with(&[("conversation.mention_all_role", least)]).await;
        let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
        let cem = Person::register(&scene.server, "cem").await;
        cem.join(room).await;
        let _online = cem.connect().await;
        crate::support::eventually("Cem, online", || async {
            let shown = bob.get(&format!("presence?users={}", cem.id)).await.ok();
            (shown["users"][0]["state"] == "online").then_some(())
        })
        .await;
        let mentions = async |seq: u64| ann.get(&format!("rooms/{room}/messages/{seq}")).await.ok()["mentions"].clone();
        bob.say(room, "@online").await;
        // By an edit no less.
        bob.say(room, "nobody").await;
        bob.patch(&format!("rooms/{room}/messages/2"), json!({"text": "@online @room"})).await.ok();
        scene.server.everybody_is_notified().await;
        let told = cem.get("me/notifications").await.ok()["items"].as_array().map_or(0, Vec::len);
        if allowed {
            assert_eq!((mentions(1).await, mentions(2).await), (json!({"online": true}), json!({"room": true, "online": true})));
            // An edit notifies nobody.
            assert_eq!(told, 1);
        } else {
            assert_eq!((mentions(1).await, mentions(2).await), (Value::Null, Value::Null));
            assert_eq!(told, 0, "nobody is notified");
            ann.say(room, "@online").await;
            assert_eq!(mentions(3).await, json!({"online": true}), "an owner may");
        }
    }
}
