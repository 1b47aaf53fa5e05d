//! What is kept nowhere, or told in its own way: typing, receipts, presence, profiles. Whoever comes back asks for what is kept, and is told
//! of the rest from then on.

use super::attempt::Attempt;
use super::cell::{ANNS, Away, Cell, Seen};
use super::deeds::Deed;
use crate::support::person::{Answer, Person};
use crate::support::socket::Socket;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// After so long what passes was lost.
const AGAIN: Duration = Duration::from_secs(1);

const WORDS: [&str; 2] = ["hidden", "shown"];

fn word(shown: bool) -> String {
    WORDS[usize::from(shown)].to_owned()
}

/// What was tried, as it is seen. Of what was refused that is its code, and nothing else.
fn as_told(tried: &Result<Answer, String>, shown: bool) -> String {
    match tried {
        Ok(_) => word(shown),
        Err(code) if shown => format!("{code}, and yet shown"),
        Err(code) => code.clone(),
    }
}

async fn looking(person: &Person, room: &str) -> Socket {
    let mut socket = person.connect().await;
    socket.subscribe(room).await;
    socket
}

/// Those that are told of `who`, up to the one that is the `last`.
async fn told(socket: &mut Socket, kind: &str, list: Option<&str>, who: &Person, last: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut found = Vec::new();
    tell(&mut found, socket, (kind, list), who, last).await;
    found
}

/// The same; those until then are kept also if it is given up.
async fn tell(
    found: &mut Vec<Value>,
    socket: &mut Socket,
    (kind, list): (&str, Option<&str>),
    who: &Person,
    last: impl Fn(&Value) -> bool,
) {
    loop {
        let told = socket.push(kind).await;
        let all = match list {
            Some(list) => told[list].as_array().cloned().unwrap_or_default(),
            None => vec![told],
        };
        found.extend(all.iter().filter(|one| one["user"] == json!(who.id)).cloned());
        if all.iter().any(&last) {
            return;
        }
    }
}

/// Has somebody type in a thread until the socket is told of it, as what passes may be lost; the threads in which Bob typed until then.
async fn typed(socket: &mut Socket, cell: &Cell<'_>, thread: &Value, by: &Person, types: impl AsyncFn()) -> Vec<Value> {
    let is_it = |one: &Value| one["user"] == json!(by.id) && one["thread"] == *thread;
    let mut found = Vec::new();
    loop {
        types().await;
        let told = tell(&mut found, socket, ("typing", None), &cell.bob, is_it);
        if tokio::time::timeout(AGAIN, told).await.is_ok() {
            return found.into_iter().map(|one| one["thread"].clone()).collect();
        }
    }
}

/// Does Ann see Bob type? Nothing of it is kept: who comes back is told of what is typed from then on, and of nothing before.
pub async fn typing(cell: &Cell<'_>, deed: Deed) -> Seen {
    let Cell { ann, bob, cid, room, .. } = cell;
    let path = format!("rooms/{room}/typing");
    // The first time outside threads, then in one: so the times are told apart.
    let [outside, inside] = [Value::Null, json!(ANNS)];
    let types = |thread: &Value| {
        let body = json!({ "thread": thread });
        Attempt::new(bob, Method::POST, path.clone(), body).or("typing", json!({"room": room, "thread": thread}))
    };
    let last = async |socket: &mut Socket, thread: &Value| {
        let types = async || drop(cid.post(&path, json!({ "thread": thread })).await.ok());
        typed(socket, cell, thread, cid, types).await
    };
    let (mut stayed, mut witness) = (looking(ann, room).await, looking(cid, room).await);
    let away = Away::from(ann, room).await;
    deed.commit(cell).await;
    deed.is_told(cell, ann, &mut stayed).await;
    let first = types(&outside).make().await;
    if first.is_ok() {
        typed(&mut witness, cell, &outside, bob, async || drop(types(&outside).make().await)).await;
    } else {
        // Whatever holds for members, a moderator types.
        ann.patch(&format!("rooms/{room}/members/{}", cid.id), json!({"role": "moderator"})).await.ok();
    }
    let live = last(&mut stayed, &outside).await;
    let mut back = away.back().await;
    deed.is_told(cell, ann, &mut back).await;
    // Then it has what it missed: what passes reaches nobody before.
    let mut later = last(&mut back, &outside).await;
    let second = types(&inside).make().await;
    if second.is_ok() {
        typed(&mut witness, cell, &inside, bob, async || drop(types(&inside).make().await)).await;
    }
    let resumed = last(&mut back, &inside).await;
    later.extend(resumed.iter().cloned());
    assert!(!later.contains(&outside), "what was typed before is told later");
    // REST tells nobody who is typing.
    let rest = as_told(&first, first.is_ok() && !live.is_empty());
    Seen { live: as_told(&first, !live.is_empty()), resumed: as_told(&second, !resumed.is_empty()), rest }
}

/// Does Ann see up to where Bob has read?
pub async fn reading(cell: &Cell<'_>, deed: Deed) -> Seen {
    let Cell { ann, bob, cid, room, .. } = cell;
    let path = format!("rooms/{room}/read");
    let reads = |seq: u64| {
        Attempt::new(bob, Method::PUT, path.clone(), json!({"seq": seq})).or("read", json!({"room": room, "seq": seq}))
    };
    let up_to = async |socket: &mut Socket, last: &Person, seq: u64| {
        let is_last = |one: &Value| one["user"] == json!(last.id) && one["read"] == seq;
        let told = told(socket, "receipts", Some("receipts"), bob, is_last).await;
        told.iter().any(|one| one["read"] == seq)
    };
    let last = async |seq: u64| cid.put(&path, json!({"seq": seq})).await.ok();
    let mut stayed = looking(ann, room).await;
    let away = Away::from(ann, room).await;
    deed.commit(cell).await;
    deed.is_told(cell, ann, &mut stayed).await;
    let mut witness = looking(cid, room).await;
    let first = reads(1).make().await;
    if first.is_ok() {
        assert!(up_to(&mut witness, bob, 1).await);
    }
    last(1).await;
    let live = up_to(&mut stayed, cid, 1).await;
    let mut back = away.back().await;
    deed.is_told(cell, ann, &mut back).await;
    // As the protocol says, whoever comes back asks how far everybody is, and is told of the rest.
    let asked = ann.get(&format!("rooms/{room}/receipts")).await.ok();
    let rest = asked["receipts"].as_array().expect("a list").iter().any(|one| one["user"] == json!(bob.id));
    let second = reads(2).make().await;
    if second.is_ok() {
        assert!(up_to(&mut witness, bob, 2).await);
    }
    last(2).await;
    let resumed = up_to(&mut back, cid, 2).await;
    Seen { live: as_told(&first, live), resumed: as_told(&second, resumed), rest: as_told(&first, rest) }
}

async fn watch(socket: &mut Socket, users: [&Person; 2]) {
    let ids = users.map(|user| user.id.clone());
    // A session the tracker has not heard of yet is told to try again.
    while socket.ask("watch_presence", json!({"users": ids})).await["error"]["code"] == json!("unavailable") {}
}

/// Whether `who` is seen to come, up to where `last` does.
async fn comes(socket: &mut Socket, who: &Person, last: &Person) -> bool {
    let is_here = |one: &Value| one["state"] != json!("offline");
    let is_last = |one: &Value| one["user"] == json!(last.id) && is_here(one);
    told(socket, "presence", Some("users"), who, is_last).await.iter().any(is_here)
}

/// Does `viewer` see `who` come online?
pub async fn presence(cell: &Cell<'_>, deed: Deed, viewer: &Person, who: &Person) -> Seen {
    let last = Person::register(cell.server, &format!("last{}", who.name)).await;
    last.join(&cell.side).await;
    let pair = [who, &last];
    let mut stayed = viewer.connect().await;
    watch(&mut stayed, pair).await;
    let away = Away::from(viewer, &cell.side).await;
    deed.commit(cell).await;
    deed.is_told(cell, viewer, &mut stayed).await;
    if deed == Deed::Unblock {
        // The block has ended it.
        watch(&mut stayed, pair).await;
    }
    let mut witness = cell.cid.connect().await;
    watch(&mut witness, pair).await;
    let _online = who.connect().await;
    assert!(comes(&mut witness, who, who).await);
    // As the protocol says, whoever comes back watches again.
    let mut back = away.back().await;
    deed.is_told(cell, viewer, &mut back).await;
    watch(&mut back, pair).await;
    let _online_too = last.connect().await;
    let live = comes(&mut stayed, who, &last).await;
    let resumed = comes(&mut back, who, &last).await;
    let asked: Value = viewer.get(&format!("presence?users={}", who.id)).await.ok();
    Seen { live: word(live), resumed: word(resumed), rest: word(asked["users"][0]["state"] == json!("online")) }
}

/// Does `viewer` see what `who` says of themselves? Nobody is told of it: who wants to know asks.
pub async fn profile(cell: &Cell<'_>, deed: Deed, viewer: &Person, who: &Person) -> Seen {
    who.patch("me", json!({"about": "me"})).await.ok();
    let mut stayed = viewer.connect().await;
    let away = Away::from(viewer, &cell.side).await;
    deed.commit(cell).await;
    who.patch("me", json!({"about": "me, lately"})).await.ok();
    let mut back = away.back().await;
    let says = |person: &Value| {
        assert_eq!(person["name"], json!(who.name), "names are for everybody");
        if person["about"].is_null() { word(false) } else { word(person["about"] == json!("me, lately")) }
    };
    let ask = async |socket: &mut Socket| says(&socket.ask("people", json!({"users": [who.id]})).await["ok"]["items"][0]);
    let rest = viewer.get(&format!("users/{}", who.id)).await.ok();
    Seen { live: ask(&mut stayed).await, resumed: ask(&mut back).await, rest: says(&rest) }
}
