//! What is hidden from whoever blocks somebody: live, missed, in history, and when the block is taken back (I10).

use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::socket::Socket;
use serde_json::{Value, json};
use uuid::Uuid;

/// The next message of the room as it comes: its number, and its text unless it is hidden.
async fn next(socket: &mut Socket) -> (u64, Option<String>) {
    loop {
        let changes = socket.push("changes").await;
        let mut messages = changes["items"].as_array().expect("items").iter().filter_map(|item| item.get("message"));
        if let Some(message) = messages.next_back() {
            return (message["seq"].as_u64().expect("a seq"), message["text"].as_str().map(str::to_owned));
        }
    }
}

async fn block(who: &Person, whom: &Person) {
    who.put(&format!("me/blocks/{}", whom.id), json!({})).await.ok();
}

/// The texts of a room's history, hidden ones as none.
async fn texts(who: &Person, room: &str) -> Vec<Option<String>> {
    let page = who.get(&format!("rooms/{room}/messages")).await.ok();
    page["messages"].as_array().expect("messages").iter().map(|message| message["text"].as_str().map(str::to_owned)).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The next news of a block; what else is new of hers may come before it, also in the same frame.
async fn relation(socket: &mut Socket) -> Value {
    loop {
        let news = socket.push("user_changes").await;
        let mut relations = news["items"].as_array().expect("items").iter().map(|item| &item["relation"]);
        if let Some(relation) = relations.find(|relation| !relation.is_null()) {
            return relation.clone();
        }
    }
}

#[tokio::test]
async fn who_blocks_somebody_sees_stubs_of_them_live_and_in_history_and_everybody_else_sees_them() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let (mut hers, mut his) = (ann.connect().await, bob.connect().await);
    hers.subscribe(room).await;
    his.subscribe(room).await;
    bob.say(room, "before").await;
    assert_eq!(next(&mut hers).await, (1, some("before")));
    block(ann, bob).await;
    // With the news of the block the socket is told, and from there on shows nothing of Bob.
    assert_eq!(relation(&mut hers).await["rooms"], json!([room]));
    bob.say(room, "after").await;
    ann.say(room, "mine").await;
    assert_eq!(next(&mut hers).await, (2, None));
    assert_eq!(next(&mut hers).await, (3, some("mine")));
    assert_eq!(texts(ann, room).await, [None, None, some("mine")]);
    assert_eq!(texts(bob, room).await, [some("before"), some("after"), some("mine")]);
    let one = ann.get(&format!("rooms/{room}/messages/1")).await.ok();
    assert_eq!((&one["hidden"], &one["text"], &one["author"]), (&json!(true), &Value::Null, &Value::Null), "{one}");
    ann.delete(&format!("me/blocks/{}", bob.id)).await.ok();
    relation(&mut hers).await;
    bob.say(room, "again").await;
    assert_eq!(next(&mut hers).await, (4, some("again")));
    assert_eq!(texts(ann, room).await, [some("before"), some("after"), some("mine"), some("again")]);
}

#[tokio::test]
async fn what_was_missed_comes_with_stubs_over_socket_and_rest() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    block(ann, bob).await;
    let head = ann.get(&format!("rooms/{room}")).await.ok()["head"].clone();
    bob.say(room, "psst").await;
    ann.say(room, "mine").await;
    bob.put(&format!("rooms/{room}/messages/2/reactions/👍"), json!({})).await.ok();
    let missed = ann.get(&format!("rooms/{room}/changes?after={head}")).await.ok();
    let items = missed["changes"]["items"].as_array().expect("items").clone();
    assert_eq!((&items[0]["message"]["hidden"], &items[1]["message"]["text"]), (&json!(true), &json!("mine")), "{missed}");
    assert!(items[1]["message"]["reactions"].is_null(), "{missed}");
    let mut socket = ann.connect().await;
    socket.ask("subscribe", json!({"rooms": [{"room": room, "cursor": head}]})).await;
    let pushed = socket.push("changes").await;
    assert_eq!(pushed["items"], missed["changes"]["items"]);
    assert_eq!(pushed["to"], missed["head"], "no gap");
}

#[tokio::test]
async fn reactions_and_forwarded_words_of_the_blocked_are_hidden_too() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let eve = Person::register(&scene.server, "eve").await;
    eve.join(room).await;
    ann.say(room, "mine").await;
    let mut hers = ann.connect().await;
    block(ann, bob).await;
    // From the news of the block on.
    relation(&mut hers).await;
    hers.subscribe(room).await;
    bob.put(&format!("rooms/{room}/messages/1/reactions/👍"), json!({})).await.ok();
    eve.put(&format!("rooms/{room}/messages/1/reactions/👍"), json!({})).await.ok();
    let [hidden, shown] = [hers.push("changes").await, hers.push("changes").await];
    assert_eq!((&hidden["items"], &shown["items"][0]["reaction"]["user"]), (&json!([]), &json!(eve.id)), "{hidden} {shown}");
    assert_eq!(hidden["to"], shown["from"], "no gap");
    let one = ann.get(&format!("rooms/{room}/messages/1")).await.ok();
    assert_eq!(one["reactions"], json!([{"emoji": "👍", "users": [eve.id]}]));
    bob.say(room, "psst").await;
    let forward = json!({"client_id": Uuid::now_v7(), "forward": {"room": room, "seq": 2}});
    eve.post(&format!("rooms/{room}/messages"), forward).await.ok();
    assert_eq!(texts(ann, room).await, [some("mine"), None, None]);
    let mine = json!({"client_id": Uuid::now_v7(), "forward": {"room": room, "seq": 2}});
    assert_eq!(
        ann.post(&format!("rooms/{room}/messages"), mine).await.code(),
        "not_found",
        "nor does one forward what one does not see"
    );
    bob.put(&format!("rooms/{room}/messages/2/pin"), json!({})).await.code();
    ann.put(&format!("rooms/{room}/messages/2/pin"), json!({})).await.ok();
    let pins = ann.get(&format!("rooms/{room}/pins")).await.ok();
    assert_eq!((&pins["messages"][0]["seq"], &pins["messages"][0]["hidden"]), (&json!(2), &json!(true)));
}

#[tokio::test]
async fn old_direct_messages_of_the_blocked_stay_as_stubs() {
    let scene = Scene::start().await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    let direct = json!({"client_id": Uuid::now_v7(), "text": "psst"});
    let direct = bob.post(&format!("direct/{}/messages", ann.id), direct).await.ok();
    let room = direct["room"].as_str().expect("a room").to_owned();
    ann.say(&room, "yes?").await;
    block(ann, bob).await;
    assert_eq!(texts(ann, &room).await, [None, some("yes?")]);
    assert_eq!(texts(bob, &room).await, [some("psst"), some("yes?")]);
    ann.delete(&format!("me/blocks/{}", bob.id)).await.ok();
    assert_eq!(texts(ann, &room).await, [some("psst"), some("yes?")]);
}

#[tokio::test]
async fn a_block_and_its_end_name_rooms_that_have_only_forwarded_words_of_the_blocked() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let cid = Person::register(&scene.server, "cid").await;
    cid.join(room).await;
    bob.say(room, "hear, hear").await;
    let club = ann.make_room("Club", "public").await;
    cid.join(&club).await;
    let copy = json!({"client_id": Uuid::now_v7(), "forward": {"room": room, "seq": 1}});
    cid.post(&format!("rooms/{club}/messages"), copy).await.ok();
    let mut hers = ann.connect().await;
    let mut concerned = Vec::new();
    for blocked in [true, false] {
        let path = format!("me/blocks/{}", bob.id);
        let shown = if blocked {
            ann.put(&path, json!({})).await.ok();
            None
        } else {
            ann.delete(&path).await.ok();
            some("hear, hear")
        };
        let news = relation(&mut hers).await;
        let rooms = news["rooms"].as_array().expect("rooms");
        concerned.push(rooms.contains(&json!(room)) && rooms.contains(&json!(club)));
        assert_eq!(texts(ann, &club).await, [shown], "as a fresh client sees it");
    }
    assert_eq!(concerned, [true, true]);
}
