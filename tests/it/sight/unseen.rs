//! What is kept nowhere, or told in its own way: typing, receipts, presence, profiles. Whoever comes later is told of it from then on.

use super::cell::{Cell, Seen};
use super::deeds::Deed;
use crate::support::person::Person;
use crate::support::socket::Socket;
use serde_json::{Value, json};

const WORDS: [&str; 2] = ["hidden", "shown"];

fn word(shown: bool) -> String {
    WORDS[usize::from(shown)].to_owned()
}

async fn looking(person: &Person, room: &str) -> Socket {
    let mut socket = person.connect().await;
    socket.subscribe(room).await;
    socket
}

/// Whether this user was named in what is told, before `last` was.
async fn names(socket: &mut Socket, kind: &str, list: Option<&str>, who: &Person, last: &Person) -> bool {
    let mut named = false;
    loop {
        let told = socket.push(kind).await;
        let all = match list {
            Some(list) => told[list].as_array().cloned().unwrap_or_default(),
            None => vec![told],
        };
        named |= all.iter().any(|one| one["user"] == json!(who.id) && one["state"] != json!("offline"));
        if all.iter().any(|one| one["user"] == json!(last.id) && one["state"] != json!("offline")) {
            return named;
        }
    }
}

/// Does Ann see Bob type?
pub async fn typing(cell: &Cell<'_>, deed: Deed) -> Seen {
    let Cell { ann, bob, cid, room, .. } = cell;
    let path = format!("rooms/{room}/typing");
    let mut stayed = looking(ann, room).await;
    deed.commit(cell).await;
    let mut back = looking(ann, room).await;
    let answer = bob.post(&path, json!({})).await;
    if !answer.status.is_success() {
        return Seen::all(answer.code());
    }
    cid.post(&path, json!({})).await.ok();
    let live = names(&mut stayed, "typing", None, bob, cid).await;
    let resumed = names(&mut back, "typing", None, bob, cid).await;
    // REST tells nobody who is typing.
    Seen { live: word(live), resumed: word(resumed), rest: word(live) }
}

/// Does Ann see up to where Bob has read?
pub async fn reading(cell: &Cell<'_>, deed: Deed) -> Seen {
    let Cell { ann, bob, cid, room, .. } = cell;
    let path = format!("rooms/{room}/read");
    let mut stayed = looking(ann, room).await;
    deed.commit(cell).await;
    let (mut back, mut witness) = (looking(ann, room).await, looking(cid, room).await);
    let answer = bob.put(&path, json!({"seq": 1})).await;
    if !answer.status.is_success() {
        return Seen::all(answer.code());
    }
    assert!(names(&mut witness, "receipts", Some("receipts"), bob, bob).await);
    cid.put(&path, json!({"seq": 1})).await.ok();
    let live = names(&mut stayed, "receipts", Some("receipts"), bob, cid).await;
    let resumed = names(&mut back, "receipts", Some("receipts"), bob, cid).await;
    let asked = ann.get(&format!("rooms/{room}/receipts")).await.ok();
    let rest = asked["receipts"].as_array().expect("a list").iter().any(|one| one["user"] == json!(bob.id));
    Seen { live: word(live), resumed: word(resumed), rest: word(rest) }
}

async fn watch(socket: &mut Socket, users: [&Person; 2]) {
    let ids = users.map(|user| user.id.clone());
    // A session the tracker has not heard of yet is told to try again.
    while socket.ask("watch_presence", json!({"users": ids})).await["error"]["code"] == json!("unavailable") {}
}

/// Does `viewer` see `who` come online?
pub async fn presence(cell: &Cell<'_>, deed: Deed, viewer: &Person, who: &Person) -> Seen {
    let last = Person::register(cell.server, &format!("last{}", who.name)).await;
    last.join(&cell.side).await;
    let pair = [who, &last];
    let mut stayed = viewer.connect().await;
    watch(&mut stayed, pair).await;
    deed.commit(cell).await;
    let (mut back, mut witness) = (viewer.connect().await, cell.cid.connect().await);
    watch(&mut back, pair).await;
    watch(&mut witness, pair).await;
    let _online = who.connect().await;
    assert!(names(&mut witness, "presence", Some("users"), who, who).await);
    let _online_too = last.connect().await;
    let live = names(&mut stayed, "presence", Some("users"), who, &last).await;
    let resumed = names(&mut back, "presence", Some("users"), who, &last).await;
    let asked: Value = viewer.get(&format!("presence?users={}", who.id)).await.ok();
    Seen { live: word(live), resumed: word(resumed), rest: word(asked["users"][0]["state"] == json!("online")) }
}

/// Does `viewer` see what `who` says of themselves? Nobody is told of it: who wants to know asks.
pub async fn profile(cell: &Cell<'_>, deed: Deed, viewer: &Person, who: &Person) -> Seen {
    who.patch("me", json!({"about": "me"})).await.ok();
    let mut stayed = viewer.connect().await;
    deed.commit(cell).await;
    let mut back = viewer.connect().await;
    let says = |person: &Value| {
        assert_eq!(person["name"], json!(who.name), "names are for everybody");
        word(person["about"] == json!("me"))
    };
    let ask = async |socket: &mut Socket| says(&socket.ask("people", json!({"users": [who.id]})).await["ok"]["items"][0]);
    let rest = viewer.get(&format!("users/{}", who.id)).await.ok();
    Seen { live: ask(&mut stayed).await, resumed: ask(&mut back).await, rest: says(&rest) }
}
