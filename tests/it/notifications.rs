//! Who is notified of what: on the person's stream and in their list, whatever crashes meanwhile.

use crate::support::eventually;
use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::socket::Socket;
use serde_json::{Value, json};
use uuid::Uuid;

/// The next notification in the person's stream.
async fn item(socket: &mut Socket) -> Value {
    loop {
        let changes = socket.push("user_changes").await;
        let items = changes["items"].as_array().cloned().unwrap_or_default();
        if let Some(found) = items.iter().find_map(|item| item.get("notification")) {
            return found.clone();
        }
    }
}

/// Kinds and messages of the person's list, the oldest first.
async fn kinds(person: &Person, path: &str) -> Vec<(String, u64)> {
    let list = person.get(path).await.ok();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let one = |item: &Value| (item["kind"].as_str().unwrap_or_default().to_owned(), item["seq"].as_u64().unwrap_or_default());
    items.iter().rev().map(one).collect()
}

/// Waits until the last thing the person was notified of is this, and says everything they were. Messages are worked on in their order.
async fn up_to(person: &Person, last: (&str, u64)) -> Vec<(String, u64)> {
    let last = (last.0.to_owned(), last.1);
    let what = format!("{}, notified of {last:?}", person.name);
    eventually(&what, || async {
        let found = kinds(person, "me/notifications").await;
        (found.last() == Some(&last)).then_some(found)
    })
    .await
}

fn some(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(kind, seq)| ((*kind).to_owned(), *seq)).collect()
}

async fn reply(person: &Person, room: &str, thread: u64, text: &str) {
    let body = json!({"client_id": Uuid::now_v7(), "text": text, "thread": thread});
    person.post(&format!("rooms/{room}/messages"), body).await.ok();
}

async fn whisper(from: &Person, to: &Person) {
    from.post(&format!("direct/{}/messages", to.id), json!({"client_id": Uuid::now_v7(), "text": "psst"})).await.ok();
}

#[tokio::test]
async fn who_is_mentioned_gets_a_fact_without_the_text_on_every_device_and_in_the_list() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let (mut phone, welcome) = bob.connect_with(json!({})).await;
    let known = json!({"epoch": welcome["epoch"], "user_cursor": welcome["user_head"]});
    ann.say(room, "an ordinary message").await;
    ann.say(room, "a secret for @bob").await;
    let told = item(&mut phone).await;
    assert_eq!((&told["room"], &told["seq"], &told["kind"]), (&json!(room), &json!(2), &json!("mention")));
    assert_eq!((&told["author"], &told["quiet"], told.get("gone")), (&json!(ann.id), &json!(false), None));
    assert!(!told.to_string().contains("secret"), "{told}");
    let mut late = bob.connect_with(known).await.0;
    assert_eq!(item(&mut late).await, told);
    assert_eq!(bob.get("me/notifications").await.ok()["items"], json!([told]));
    assert!(kinds(ann, "me/notifications").await.is_empty(), "nobody is notified of what they wrote");
    // What is read is no news any more, and is not thrown away.
    bob.put(&format!("rooms/{room}/read"), json!({"seq": 2})).await.ok();
    assert!(kinds(bob, "me/notifications?unread=true").await.is_empty());
    assert_eq!(kinds(bob, "me/notifications").await, some(&[("mention", 2)]));
}

#[tokio::test]
async fn the_list_comes_in_pages() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    for _ in 0..3 {
        ann.say(room, "@bob").await;
    }
    up_to(bob, ("mention", 3)).await;
    let first = bob.get("me/notifications?limit=2").await.ok();
    let seqs = |page: &Value| page["items"].as_array().expect("items").iter().map(|item| item["seq"].clone()).collect::<Vec<_>>();
    assert_eq!(seqs(&first), [3, 2]);
    let rest = bob.get(&format!("me/notifications?page={}", first["next"].as_str().expect("more"))).await.ok();
    assert_eq!((seqs(&rest), rest.get("next")), (vec![json!(1)], None));
}

#[tokio::test]
async fn threads_keywords_direct_messages_and_rooms_of_which_one_wants_everything_notify() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let cem = Person::register(&scene.server, "cem").await;
    cem.join(room).await;
    bob.say(room, "the first of a thread").await;
    ann.say(room, "an ordinary message").await;
    reply(ann, room, 1, "to those who take part").await;
    // What people prefer counts at the moment they are notified.
    up_to(bob, ("thread", 3)).await;
    cem.put(&format!("rooms/{room}/threads/1/preferences"), json!({"following": "yes"})).await.ok();
    bob.put(&format!("rooms/{room}/threads/1/preferences"), json!({"following": "no"})).await.ok();
    reply(ann, room, 1, "to those who follow").await;
    bob.patch("me/preferences", json!({"keywords": ["Green Tea"]})).await.ok();
    ann.say(room, "green tea!").await;
    up_to(bob, ("keyword", 5)).await;
    cem.put(&format!("rooms/{room}/preferences"), json!({"notify": "all"})).await.ok();
    ann.say(room, "everything").await;
    ann.say(room, "@room").await;
    assert_eq!(up_to(bob, ("room_mention", 7)).await, some(&[("thread", 3), ("keyword", 5), ("room_mention", 7)]));
    assert_eq!(up_to(&cem, ("room_mention", 7)).await, some(&[("thread", 4), ("all", 6), ("room_mention", 7)]));
    cem.put(&format!("rooms/{room}/preferences"), json!({})).await.ok();
    cem.patch("me/preferences", json!({"notify": "all"})).await.ok();
    ann.say(room, "everything, in general").await;
    assert_eq!(up_to(&cem, ("all", 8)).await.len(), 4);
    whisper(&cem, bob).await;
    assert_eq!(up_to(bob, ("direct", 1)).await.len(), 4, "the first of a direct room too");
    let group = ann.post_with_key("groups", json!({"users": [bob.id, cem.id]}), &Uuid::now_v7().to_string()).await.ok();
    ann.say(group["room"]["id"].as_str().or(group["id"].as_str()).expect("a group"), "hello").await;
    up_to(&cem, ("direct", 1)).await;
}

/// Has somebody else notify the person, which comes behind everything before it.
async fn bell(from: &Person, to: &Person) -> Vec<(String, u64)> {
    let room = from.make_room(&Uuid::new_v4().to_string(), "public").await;
    to.join(&room).await;
    let before = kinds(to, "me/notifications").await.len();
    // Nine messages, so that it is told apart by its number.
    for _ in 0..8 {
        from.say(&room, "quiet").await;
    }
    from.say(&room, &format!("@{}", to.name)).await;
    let what = format!("{}, notified of the last", to.name);
    eventually(&what, || async {
        let mut found = kinds(to, "me/notifications").await;
        (found.len() > before && found.last() == Some(&("mention".to_owned(), 9))).then(|| {
            found.retain(|(_, seq)| *seq != 9);
            found
        })
    })
    .await
}

#[tokio::test]
async fn mutes_and_blocks_keep_it_quiet() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let cem = Person::register(&scene.server, "cem").await;
    let (mine, thread) = (format!("rooms/{room}/preferences"), format!("rooms/{room}/threads/1/preferences"));
    let (mute, block) = (format!("me/mutes/{}", ann.id), format!("me/blocks/{}", ann.id));
    bob.say(room, "1").await;
    bob.put(&mute, json!({})).await.ok();
    ann.say(room, "@bob from somebody muted").await;
    assert_eq!(bell(&cem, bob).await, []);
    bob.delete(&mute).await.ok();
    bob.put(&mine, json!({"muted_until": "forever"})).await.ok();
    ann.say(room, "@bob and @room in a muted room").await;
    assert_eq!(bell(&cem, bob).await, []);
    bob.put(&mine, json!({"notify": "nothing"})).await.ok();
    ann.say(room, "@bob who wants to be told of nothing").await;
    assert_eq!(bell(&cem, bob).await, []);
    bob.put(&mine, json!({})).await.ok();
    bob.put(&thread, json!({"muted_until": "forever"})).await.ok();
    reply(ann, room, 1, "@bob in a muted thread").await;
    assert_eq!(bell(&cem, bob).await, []);
    bob.put(&thread, json!({})).await.ok();
    bob.put(&block, json!({})).await.ok();
    ann.say(room, "@room from somebody blocked").await;
    assert_eq!(bell(&cem, bob).await, []);
    bob.delete(&block).await.ok();
    ann.say(room, "@bob at last").await;
    assert_eq!(bell(&cem, bob).await, some(&[("mention", 7)]));
}

#[tokio::test]
async fn who_comes_back_is_not_told_of_what_came_from_somebody_blocked_since() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let welcome = bob.connect_with(json!({})).await.1;
    let known = json!({"epoch": welcome["epoch"], "user_cursor": welcome["user_head"]});
    let block = format!("me/blocks/{}", ann.id);
    let missed = async || {
        let mut socket = bob.connect_with(known.clone()).await.0;
        let mut items = Vec::new();
        while !items.iter().any(|item: &Value| item.get("relation").is_some()) {
            items.extend(socket.push("user_changes").await["items"].as_array().cloned().unwrap_or_default());
        }
        items.iter().filter_map(|item| item.get("notification")).map(|told| told["seq"].clone()).collect::<Vec<_>>()
    };
    ann.say(room, "@bob").await;
    up_to(bob, ("mention", 1)).await;
    bob.put(&block, json!({})).await.ok();
    assert_eq!(missed().await, Vec::<Value>::new());
    assert_eq!(kinds(bob, "me/notifications").await, []);
    bob.delete(&block).await.ok();
    assert_eq!(missed().await, [json!(1)]);
    assert_eq!(kinds(bob, "me/notifications").await, some(&[("mention", 1)]));
}

#[tokio::test]
async fn who_wants_everything_is_told_of_the_first_message_after_they_joined() {
    let scene = Scene::start().await;
    let (ann, room) = (&scene.ann, &scene.room);
    let cem = Person::register(&scene.server, "cem").await;
    cem.patch("me/preferences", json!({"notify": "all"})).await.ok();
    ann.say(room, "before").await;
    cem.join(room).await;
    ann.say(room, "welcome").await;
    assert_eq!(up_to(&cem, ("all", 2)).await.len(), 1);
}

#[tokio::test]
async fn of_rooms_one_is_out_of_nothing_is_unread_until_one_is_back() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    ann.say(room, "@bob").await;
    up_to(bob, ("mention", 1)).await;
    let told = || async { (kinds(bob, "me/notifications").await.len(), kinds(bob, "me/notifications?unread=true").await.len()) };
    assert_eq!(told().await, (1, 1));
    bob.delete(&format!("rooms/{room}/members/me")).await.ok();
    assert_eq!(told().await, (1, 0), "nothing could read it");
    bob.join(room).await;
    assert_eq!(told().await, (1, 1));
    ann.delete(&format!("rooms/{room}")).await.ok();
    assert_eq!(told().await, (1, 0), "the room is gone");
}

#[tokio::test]
async fn in_quiet_hours_people_are_notified_quietly() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    // All day but one minute, which is not now nor soon.
    let now = hubbub::domain::time::Clock::system().now();
    let minute = (now.timestamp() / 60).rem_euclid(24 * 60);
    let (from, until) = ((minute + 721) % 1440, (minute + 720) % 1440);
    bob.patch("me/preferences", json!({"quiet": {"from": from, "until": until}})).await.ok();
    ann.say(room, "@bob").await;
    up_to(bob, ("mention", 1)).await;
    bob.patch("me/preferences", json!({"quiet": null})).await.ok();
    ann.say(room, "@bob").await;
    up_to(bob, ("mention", 2)).await;
    let list = bob.get("me/notifications").await.ok();
    assert_eq!((&list["items"][1]["quiet"], &list["items"][0]["quiet"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn quiet_hours_are_those_of_the_persons_own_day() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    // An hour to both sides of now, by UTC; in Tokyo it is nine hours later.
    let now = hubbub::domain::time::Clock::system().now();
    let minute = (now.timestamp() / 60).rem_euclid(24 * 60);
    let around = |minute: i64| json!({"quiet": {"from": (minute + 1380) % 1440, "until": (minute + 60) % 1440}});
    bob.patch("me/preferences", around(minute)).await.ok();
    ann.say(room, "@bob").await;
    up_to(bob, ("mention", 1)).await;
    bob.patch("me", json!({"time_zone": "Asia/Tokyo"})).await.ok();
    ann.say(room, "@bob").await;
    up_to(bob, ("mention", 2)).await;
    bob.patch("me/preferences", around(minute + 540)).await.ok();
    ann.say(room, "@bob").await;
    up_to(bob, ("mention", 3)).await;
    let list = bob.get("me/notifications").await.ok();
    let quiet = |place: usize| list["items"][place]["quiet"] == json!(true);
    assert_eq!([quiet(2), quiet(1), quiet(0)], [true, false, true]);
}

#[tokio::test]
async fn whoever_is_online_is_found_by_presence_and_counted_among_the_mentioned() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let cem = Person::register(&scene.server, "cem").await;
    cem.join(room).await;
    let mut phone = bob.connect().await;
    eventually("Bob, online", || async {
        let shown = ann.get(&format!("presence?users={}", bob.id)).await.ok();
        shown.to_string().contains("\"online\"").then_some(())
    })
    .await;
    ann.say(room, "@online").await;
    assert_eq!(item(&mut phone).await["kind"], "online_mention");
    ann.say(room, "@room").await;
    assert_eq!(up_to(&cem, ("room_mention", 2)).await, some(&[("room_mention", 2)]));
    ann.patch(&format!("rooms/{room}/messages/1"), json!({"text": "@online, once more"})).await.ok();
    let counted = |person: &Person, list: Value| (person.name.clone(), list["items"][0]["mentions"].clone());
    let counts = [counted(bob, bob.get("me/rooms").await.ok()), counted(&cem, cem.get("me/rooms").await.ok())];
    assert_eq!(counts, [("bob".to_owned(), json!(2)), ("cem".to_owned(), json!(1))]);
}

#[tokio::test]
async fn a_deleted_message_takes_its_notifications_along() {
    let scene = Scene::start().await;
    let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
    let mut phone = bob.connect().await;
    ann.say(room, "@bob").await;
    assert_eq!(item(&mut phone).await.get("gone"), None);
    ann.delete(&format!("rooms/{room}/messages/1")).await.ok();
    let gone = item(&mut phone).await;
    assert_eq!((&gone["gone"], &gone["seq"]), (&json!(true), &json!(1)));
    assert!(kinds(bob, "me/notifications").await.is_empty());
}

#[cfg(feature = "faults")]
mod crashes {
    use super::*;
    use crate::support::fill::Filler;
    use crate::support::server::Server;
    use hubbub::faults;
    use std::time::{Duration, Instant};

    #[tokio::test]
    async fn who_has_read_it_elsewhere_meanwhile_is_not_notified() {
        let scene = Scene::start().await;
        let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
        let cem = Person::register(&scene.server, "cem").await;
        cem.join(room).await;
        faults::arm("notify.wait", u64::MAX);
        ann.say(room, "@bob @cem").await;
        bob.put(&format!("rooms/{room}/read"), json!({"seq": 1})).await.ok();
        faults::arm("notify.wait", 0);
        up_to(&cem, ("mention", 1)).await;
        assert!(kinds(bob, "me/notifications").await.is_empty());
    }

    #[tokio::test]
    async fn a_crash_between_two_parts_leaves_nobody_out_and_notifies_nobody_twice() {
        let server = Server::start_with(&[("notify.chunk", "2")]).await;
        let ann = Person::register(&server, "ann").await;
        let room = ann.make_room("Hall", "public").await;
        let mut others = Vec::new();
        for n in 0..7 {
            let other = Person::register(&server, &format!("person{n}")).await;
            other.join(&room).await;
            others.push((other.connect_with(json!({})).await.1["user_head"].as_u64().expect("a head"), other));
        }
        faults::arm("notify.panic", 3);
        ann.say(&room, "@room").await;
        for (head, other) in &others {
            assert_eq!(up_to(other, ("room_mention", 1)).await.len(), 1);
            let after = other.connect_with(json!({})).await.1["user_head"].as_u64();
            assert_eq!(after, Some(head + 1), "{}: one revision", other.name);
        }
        assert!(!faults::is_armed("notify.panic"), "it was struck");
    }

    #[tokio::test]
    async fn a_message_that_cannot_be_worked_on_keeps_none_of_the_others_waiting() {
        let scene = Scene::start().await;
        let (server, ann, bob, room) = (&scene.server, &scene.ann, &scene.bob, &scene.room);
        faults::arm("notify.wait", u64::MAX);
        for _ in 0..6 {
            ann.say(room, "@bob").await;
        }
        let sql = "UPDATE messages SET mentions = X'0000' WHERE seq = 2";
        server.database.tamper(server.folder.path(), sql).await;
        faults::arm("notify.wait", 0);
        let told: Vec<u64> = up_to(bob, ("mention", 6)).await.into_iter().map(|(_, seq)| seq).collect();
        assert_eq!(told, [1, 3, 4, 5, 6]);
    }

    #[tokio::test]
    async fn mentioning_everybody_in_a_large_room_is_acknowledged_before_anybody_is_notified() {
        let mut scene = Scene::start().await;
        scene.server.stop().await;
        let filler = Filler::open(&scene.server).await;
        filler.crowd(&scene.server, &scene.room, &scene.bob.id, 400).await;
        filler.close();
        scene.restart().await;
        let (ann, bob, room) = (&scene.ann, &scene.bob, &scene.room);
        faults::arm("notify.wait", u64::MAX);
        let begun = Instant::now();
        ann.say(room, "@room").await;
        assert!(begun.elapsed() < Duration::from_secs(5), "acknowledged after {:?}", begun.elapsed());
        assert!(kinds(bob, "me/notifications").await.is_empty());
        faults::arm("notify.wait", 0);
        up_to(bob, ("room_mention", 1)).await;
        scene.server.everybody_is_notified().await;
        let folder = scene.server.folder.path();
        let count = scene.server.database.count(folder, "SELECT COUNT(*) AS number FROM notifications").await;
        assert_eq!(count, 401, "all but the author");
    }
}
