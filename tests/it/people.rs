//! Finding people and rooms, and what of people is for few.

use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::server::Server;
use serde_json::{Value, json};

fn names(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap_or_else(|| panic!("no items: {page}"));
    items.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Everybody found, page by page.
async fn found(person: &Person, prefix: &str) -> Vec<String> {
    let (mut found, mut page) = (Vec::new(), String::new());
    loop {
        let answer = person.request(reqwest::Method::GET, &format!("users?limit=2&prefix={prefix}{page}"), None).await.ok();
        found.extend(names(&answer));
        match answer["next"].as_str() {
            Some(next) => page = format!("&page={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_prefix_finds_names_that_begin_with_it_and_look_alikes_of_those_only() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    // The skeleton of `m` is `rn`, that of `1` is `l`.
    for name in ["maria", "mario", "martin", "rosa", "rnold", "lisa", "1ina"] {
        Person::register(&server, name).await;
    }
    ann.patch("me", json!({"display_name": "Rita Moss"})).await.ok();
    assert_eq!(found(&ann, "r").await, ["rnold", "rosa", "ann"], "not everybody with an m");
    assert_eq!(found(&ann, "MAR").await, ["maria", "mario", "martin"]);
    assert_eq!(found(&ann, "l").await, ["1ina", "lisa"], "look-alikes are found too");
    // Typed with a Cyrillic a.
    assert_eq!(found(&ann, "m%D0%B0ri").await, ["maria", "mario"]);
    assert_eq!(found(&ann, "rita%20m").await, ["ann"]);
    assert_eq!(found(&ann, "rita%20r").await, [""; 0]);
}

#[tokio::test]
async fn display_names_of_any_script_are_found_by_how_they_begin_and_by_what_looks_like_it() {
    let server = Server::start_with(&[("rates.people_search_per_account", "off")]).await;
    let ann = Person::register(&server, "ann").await;
    let shown = [
        ("p1", "Zo\u{eb} \u{c5}ngstr\u{f6}m"),
        ("p2", "\u{41e}\u{43b}\u{44c}\u{433}\u{430}"),
        ("p3", "\u{5c71}\u{7530}\u{592a}\u{90ce}"),
        // Cyrillic letters that look like Latin ones.
        ("p4", "\u{420}\u{430}\u{443}\u{440}\u{430}l"),
        ("p5", "Strau\u{df}"),
        ("p6", "\u{1f334} Palm"),
        ("p7", "100% _sure"),
    ];
    for (name, shown) in shown {
        Person::register(&server, name).await.patch("me", json!({"display_name": shown})).await.ok();
    }
    let table = [
        ("zo\u{eb}", Some("p1")),
        ("ZO\u{cb} \u{e5}", Some("p1")),
        // The accent typed as a character of its own.
        ("Zoe\u{308}", Some("p1")),
        ("zoe", None),
        ("\u{e5}ngstr", None),
        ("\u{43e}\u{43b}\u{44c}", Some("p2")),
        ("\u{41e}\u{41b}", Some("p2")),
        ("\u{5c71}\u{7530}", Some("p3")),
        ("\u{592a}", None),
        ("paypal", Some("p4")),
        ("Payp", Some("p4")),
        ("\u{440}\u{430}\u{443}", Some("p4")),
        ("strauss", Some("p5")),
        ("STRAUSS", Some("p5")),
        ("\u{1f334}", Some("p6")),
        ("100%", Some("p7")),
        // No wild cards.
        ("%", None),
        ("100__", None),
        ("_sure", None),
    ];
    for (prefix, expected) in table {
        let expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(found(&ann, &encoded(prefix)).await, expected, "{prefix}");
    }
}

#[tokio::test]
async fn who_blocks_me_is_found_by_name_like_anybody_else() {
    let server = Server::start().await;
    let (ann, anton) = (Person::register(&server, "ann").await, Person::register(&server, "anton").await);
    let before = ann.get("users?prefix=an").await.ok();
    anton.put(&format!("me/blocks/{}", ann.id), json!({})).await.ok();
    assert_eq!(names(&before), ["ann", "anton"]);
    assert_eq!(ann.get("users?prefix=an").await.ok(), before);
    assert_eq!(found(&anton, "an").await, ["ann", "anton"], "and so is whom one blocks");
}

/// As part of an address.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn public_rooms_stand_in_the_order_of_their_names_and_are_found_by_what_is_in_them() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    for name in ["Room", "Moon", "Noon", "zebra", "Sun", "1 May"] {
        ann.make_room(name, "public").await;
    }
    assert_eq!(names(&ann.get("rooms").await.ok()), ["1 May", "Moon", "Noon", "Room", "Sun", "zebra"]);
    assert_eq!(names(&ann.get("rooms?q=r").await.ok()), ["Room", "zebra"], "no r is in Moon");
}

#[tokio::test]
async fn why_somebody_was_banned_is_for_moderators_only() {
    const WHY: &str = "a reason for few";
    let scene = Scene::start().await;
    let eve = Person::register(&scene.server, "eve").await;
    eve.join(&scene.room).await;
    let mut sockets = [scene.bob.connect().await, eve.connect().await];
    for socket in &mut sockets {
        socket.subscribe(&scene.room).await;
    }
    let head = scene.ann.head(&scene.room).await;
    scene.ann.put(&format!("rooms/{}/bans/{}", scene.room, eve.id), json!({"reason": WHY})).await.ok();
    let bans = scene.ann.get(&format!("rooms/{}/bans", scene.room)).await.ok();
    assert_eq!(bans["items"][0]["reason"], WHY);
    // Live, until both were told of the ban.
    let [bob, evil] = &mut sockets;
    let mut heard = vec![bob.push("changes").await, evil.push("unsubscribed").await];
    heard.extend(bob.heard().into_iter().chain(evil.heard()));
    // In the history, in what was missed, in lists, in one's own stream.
    let room = &scene.room;
    for path in ["messages", "changes?after=0", "members"] {
        heard.push(scene.bob.get(&format!("rooms/{room}/{path}")).await.ok());
    }
    for path in ["me/rooms?state=banned", "me"] {
        heard.push(eve.get(path).await.ok());
    }
    heard.push(eve.connect_with(json!({"user_cursor": 0, "rooms": [{"room": room, "cursor": head}]})).await.1);
    let (mut again, _) = eve.connect_with(json!({})).await;
    heard.push(again.push("user_changes").await);
    let (mut resumed, welcome) = scene.bob.connect_with(json!({"epoch": null, "rooms": [{"room": room}]})).await;
    let epoch = welcome["epoch"].clone();
    resumed.leave().await;
    let (mut resumed, _) = scene.bob.connect_with(json!({"epoch": epoch, "rooms": [{"room": room, "cursor": head}]})).await;
    heard.push(resumed.push("changes").await);
    for told in heard {
        assert!(!told.to_string().contains(WHY), "{told}");
    }
}
