//! A history as it happens: people act over REST, one client of Sue's watches, another one of hers comes and goes.

use super::apart::Apart;
use super::client::{Broken, Client};
use super::model::{Known, membership_line};
use super::own::is_listed;
use super::plan::{Act, FIRST, PEOPLE, Plan, SUE, Visit, What};
use crate::support::person::Person;
use crate::support::server::Server;
use crate::support::viewer::text;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// How long a client may take to know everything once nothing happens any more.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

/// A server with the people who are in every history. Sue is new in each.
pub struct Stage {
    server: Server,
    /// Where the server can be killed: it is a process of its own then, on the data of the other.
    apart: Option<Apart>,
    others: [Person; PEOPLE - 1],
    done: Done,
}

/// How often each kind of deed was tried, and how often it succeeded.
#[derive(Default)]
struct Done(Mutex<BTreeMap<&'static str, (u32, u32)>>);

/// How far a history is.
#[derive(Clone, Copy, Default)]
struct Progress {
    acts: usize,
    done: bool,
}

/// The people and rooms of one history.
struct Cast<'a> {
    people: [&'a Person; PEOPLE],
    rooms: [String; super::plan::ROOMS],
    done: &'a Done,
}

impl Done {
    fn count(&self, what: &What, succeeded: bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (tried, done) = all.entry(what.kind()).or_default();
        *tried += 1;
        *done += u32::from(succeeded);
    }
}

impl Stage {
    pub async fn set(server: Server) -> Self {
        let base = server.base();
        Self { others: others(&base).await, server, apart: None, done: Done::default() }
    }

    /// With a server that can be killed.
    pub async fn set_apart(mut server: Server) -> Self {
        server.stop().await;
        let apart = Apart::serve(&server).await;
        let others = others(apart.base()).await.map(Person::through_crashes);
        Self { others, server, apart: Some(apart), done: Done::default() }
    }

    /// Kinds of deeds of which none has succeeded yet.
    pub fn undone(&self) -> Vec<&'static str> {
        let done = self.done.0.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("tried and succeeded: {done:?}");
        What::KINDS.iter().copied().filter(|kind| done.get(kind).is_none_or(|(_, succeeded)| *succeeded == 0)).collect()
    }

    /// Everything that is checked by the operator's own means.
    pub async fn verify(&self) {
        if let Some(apart) = &self.apart {
            apart.verify().await;
        }
    }

    async fn sue(&self) -> Person {
        let name = format!("sue{}", &Uuid::new_v4().simple().to_string()[..12]);
        match &self.apart {
            None => Person::register(&self.server, &name).await,
            Some(apart) => Person::register_at(apart.base(), &name).await.through_crashes(),
        }
    }

    /// Plays a history; what is wrong, if somebody who was away knows something else in the end than somebody who never left.
    pub async fn play(&self, plan: &Plan) -> Result<(), Broken> {
        let sue = self.sue().await;
        let cast = self.cast(&sue).await;
        let mut stayed = Client::come(&sue, Known::default()).await?;
        let (progress, seen) = watch::channel(Progress::default());
        let ((), (), away) = tokio::try_join!(
            cast.act(plan, self.apart.as_ref(), progress),
            stay(&mut stayed, seen.clone()),
            travel(&sue, &plan.visits, seen)
        )?;
        self.server.everybody_is_notified().await;
        self.server.nobody_is_in_a_deleted_room().await;
        let mut fresh = Client::come(&sue, Known::default()).await?;
        settle("a fresh client", &mut fresh, None).await?;
        settle("who never left", &mut stayed, Some(&fresh.known)).await?;
        let mut back = Client::come(&sue, away).await?;
        settle("who was away", &mut back, Some(&fresh.known)).await?;
        let broken = [&stayed.known.broken, &back.known.broken].map(|broken| broken.join("\n"));
        if broken.iter().any(|broken| !broken.is_empty()) {
            return Err(format!("who never left: {}\nwho was away: {}", broken[0], broken[1]));
        }
        let stored = fresh.known.render();
        same("never left", &stayed.known.render(), &stored)?;
        same("was away", &back.known.render(), &stored)?;
        same("asked REST", &memberships(&sue).await, &only_memberships(stored))?;
        is_listed(&sue, &fresh.known).await
    }

    async fn cast<'a>(&'a self, sue: &'a Person) -> Cast<'a> {
        let [ann, cid, dan] = &self.others;
        let open = ann.make_room("Open", "public").await;
        let closed = ann.post("rooms", json!({"name": "Closed", "kind": "private", "history": "since_joining"})).await.ok();
        let closed = text(&closed["id"]);
        for room in [&open, &closed] {
            ann.say(room, "before").await;
        }
        for person in [sue, cid] {
            person.join(&open).await;
            ann.put(&format!("rooms/{closed}/invitations/{}", person.id), json!({})).await.ok();
        }
        sue.join(&closed).await;
        for room in [&open, &closed] {
            for who in &FIRST[1..] {
                [ann, sue][*who].say(room, "one of the first").await;
            }
        }
        // Of one who is not in the other room, for somebody to forward.
        dan.join(&open).await;
        dan.say(&open, "pass it on").await;
        Cast { people: [ann, sue, cid, dan], rooms: [open, closed], done: &self.done }
    }
}

impl Cast<'_> {
    /// Everything that happens.
    async fn act(&self, plan: &Plan, apart: Option<&Apart>, progress: watch::Sender<Progress>) -> Result<(), Broken> {
        for (number, acts) in plan.acts.chunks(plan.at_once).enumerate() {
            let now = number * plan.at_once..number * plan.at_once + acts.len();
            let kill = plan.kills.iter().find(|kill| now.contains(&kill.acts)).zip(apart);
            let killed = async {
                if let Some((kill, apart)) = kill {
                    tokio::time::sleep(Duration::from_millis(kill.after_ms)).await;
                    apart.kill_and_serve_again().await;
                }
            };
            let (done, ()) = tokio::join!(join_all(acts.iter().map(|act| self.one(act))), killed);
            for act in done {
                act?;
                progress.send_modify(|progress| progress.acts += 1);
            }
        }
        progress.send_modify(|progress| progress.done = true);
        Ok(())
    }

    async fn one(&self, act: &Act) -> Result<(), Broken> {
        let (who, id) = (self.people[act.who], &self.rooms[act.room]);
        let of = |whom: &usize| &self.people[*whom].id;
        let room = format!("rooms/{id}");
        let answer = match &act.what {
            What::Post(count) => {
                let mut answer = None;
                for _ in 0..*count {
                    answer = Some(who.say_as(id, &Uuid::new_v4().to_string(), &Uuid::now_v7().to_string()).await);
                }
                answer.expect("at least one")
            }
            What::Mention(whom) => {
                let text = format!("@{} {}", self.people[*whom].name, Uuid::new_v4());
                who.say_as(id, &text, &Uuid::now_v7().to_string()).await
            }
            What::Join => who.put(&format!("{room}/members/me"), json!({})).await,
            What::Leave => who.delete(&format!("{room}/members/me")).await,
            What::Decline => who.delete(&format!("me/invitations/{id}")).await,
            What::Invite(whom) => who.put(&format!("{room}/invitations/{}", of(whom)), json!({})).await,
            What::Uninvite(whom) => who.delete(&format!("{room}/invitations/{}", of(whom))).await,
            What::Kick(whom) => who.delete(&format!("{room}/members/{}", of(whom))).await,
            What::Ban(whom) => who.put(&format!("{room}/bans/{}", of(whom)), json!({})).await,
            What::Unban(whom) => who.delete(&format!("{room}/bans/{}", of(whom))).await,
            What::Role(whom, up) => {
                let role = json!({"role": if *up { "moderator" } else { "member" }});
                who.patch(&format!("{room}/members/{}", of(whom)), role).await
            }
            What::Transfer(whom) => who.put(&format!("{room}/owner"), json!({"user": of(whom)})).await,
            What::Rename(name) => who.patch(&room, json!({"name": format!("Room {name}")})).await,
            What::Topic(topic) => who.patch(&room, json!({"topic": format!("of {topic}")})).await,
            What::Archive(archived) => who.patch(&room, json!({"archived": archived})).await,
            What::History(all) => who.patch(&room, json!({"history": if *all { "all" } else { "since_joining" }})).await,
            What::Public(public) => who.patch(&room, json!({"kind": if *public { "public" } else { "private" }})).await,
            What::Delete => who.delete(&room).await,
            What::Reply(seq) => {
                let reply = json!({"client_id": Uuid::now_v7(), "text": "a reply", "thread": seq});
                who.post(&format!("{room}/messages"), reply).await
            }
            What::Forward(seq) => {
                let from = &self.rooms[1 - act.room];
                let copy = json!({"client_id": Uuid::now_v7(), "forward": {"room": from, "seq": seq}});
                who.post(&format!("{room}/messages"), copy).await
            }
            What::Edit(seq) => who.patch(&format!("{room}/messages/{seq}"), json!({"text": Uuid::new_v4()})).await,
            What::Unsay(seq) => who.delete(&format!("{room}/messages/{seq}")).await,
            What::React(seq, other) => who.put(&reaction(&room, *seq, *other), json!({})).await,
            What::Unreact(seq, other) => who.delete(&reaction(&room, *seq, *other)).await,
            What::Pin(seq) => who.put(&format!("{room}/messages/{seq}/pin"), json!({})).await,
            What::Unpin(seq) => who.delete(&format!("{room}/messages/{seq}/pin")).await,
            What::Block(whom) => who.put(&format!("me/blocks/{}", of(whom)), json!({})).await,
            What::Unblock(whom) => who.delete(&format!("me/blocks/{}", of(whom))).await,
            What::Mute(whom) => who.put(&format!("me/mutes/{}", of(whom)), json!({})).await,
            What::Unmute(whom) => who.delete(&format!("me/mutes/{}", of(whom))).await,
            What::Draft(text, any) => who.put(&format!("me/drafts/{id}"), draft(*text, *any)).await,
            What::RoomPreferences(wanted) => who.put(&format!("{room}/preferences"), of_room(*wanted)).await,
            What::ThreadPreferences(seq, wanted) => {
                who.put(&format!("{room}/threads/{seq}/preferences"), of_thread(*wanted)).await
            }
            What::Preferences(wanted) => who.patch("me/preferences", in_general(*wanted)).await,
            What::Read(seq) => who.put(&format!("{room}/read"), json!({"seq": seq})).await,
        };
        self.done.count(&act.what, answer.status.is_success());
        if answer.status.as_u16() == 500 { Err(format!("{act:?} was answered {answer:?}")) } else { Ok(()) }
    }
}

fn draft(text: u8, any: bool) -> Value {
    json!({"text": if any { format!("as far as {text}") } else { String::new() }})
}

fn of_room(wanted: u8) -> Value {
    match wanted {
        0 => json!({"muted_until": "forever"}),
        1 => json!({"notify": "all"}),
        _ => json!({}),
    }
}

fn of_thread(wanted: u8) -> Value {
    match wanted {
        0 => json!({"muted_until": "forever"}),
        1 => json!({"following": "yes"}),
        2 => json!({"following": "no", "muted_until": "2100-01-01T00:00:00Z"}),
        _ => json!({}),
    }
}

fn in_general(wanted: u8) -> Value {
    match wanted {
        0 => json!({"keywords": ["reply"], "receipts": false}),
        1 => json!({"quiet": {"from": 0, "until": 720}, "keywords": []}),
        2 => json!({"notify": "all", "quiet": null}),
        _ => json!({"notify": "default", "receipts": true, "direct": "shared_rooms"}),
    }
}

fn reaction(room: &str, seq: u64, other: bool) -> String {
    format!("{room}/messages/{seq}/reactions/{}", if other { "🎂" } else { "👍" })
}

async fn others(base: &str) -> [Person; PEOPLE - 1] {
    [Person::register_at(base, "ann").await, Person::register_at(base, "cid").await, Person::register_at(base, "dan").await]
}

/// Watches until everything has happened.
async fn stay(client: &mut Client<'_>, mut seen: watch::Receiver<Progress>) -> Result<(), Broken> {
    while !seen.borrow_and_update().done {
        let next = tokio::select! {
            next = client.socket.next() => Some(next),
            _ = seen.changed() => None,
        };
        if let Some(next) = next {
            client.take(next).await.map_err(|broken| format!("who never left: {broken}"))?;
            client.stay().await?;
        }
    }
    Ok(())
}

/// Comes and goes until everything has happened; what is known then.
async fn travel(sue: &Person, visits: &[Visit], mut seen: watch::Receiver<Progress>) -> Result<Known, Broken> {
    let mut known = Known::default();
    for visit in visits {
        let begin = seen.borrow_and_update().acts + visit.away;
        let came = seen.wait_for(|progress| progress.done || progress.acts >= begin).await.is_ok_and(|progress| !progress.done);
        if !came {
            break;
        }
        let mut client = Client::come(sue, known).await?;
        let end = seen.borrow_and_update().acts + visit.stay;
        let mut frames = visit.frames;
        while frames > 0 {
            let next = tokio::select! {
                next = client.socket.next() => next,
                _ = seen.wait_for(|progress| progress.done || progress.acts > end) => break,
            };
            client.take(next).await.map_err(|broken| format!("who came and went: {broken}"))?;
            client.stay().await?;
            frames -= 1;
        }
        known = client.go(visit.abrupt).await;
    }
    seen.wait_for(|progress| progress.done).await.map_err(|_| "nobody acts".to_owned())?;
    Ok(known)
}

/// Takes in what comes until nothing more is to come: everything that `goal` knows, or all there was at the welcome.
pub async fn settle(who: &str, client: &mut Client<'_>, goal: Option<&Known>) -> Result<(), Broken> {
    let settled = async {
        while !(client.is_calm() && goal.is_none_or(|goal| has_reached(&client.known, goal))) {
            let next = client.socket.next().await;
            client.take(next).await?;
            client.stay().await?;
            if !client.known.broken.is_empty() {
                return Err(client.known.broken.join("\n"));
            }
        }
        Ok(())
    };
    let settled: Result<Result<(), Broken>, _> = tokio::time::timeout(SETTLED_WITHIN, settled).await;
    match settled {
        Ok(settled) => settled.map_err(|broken| format!("{who}: {broken}")),
        Err(_) => Err(format!("{who} waits in vain: {}", cursors(&client.known, goal))),
    }
}

fn has_reached(known: &Known, goal: &Known) -> bool {
    let reached = |(room, of_goal): (&String, &super::model::Shown)| {
        known.rooms.get(room).is_some_and(|shown| shown.cursor >= of_goal.cursor)
    };
    known.cursor >= goal.cursor && known.rooms.len() == goal.rooms.len() && goal.rooms.iter().all(reached)
}

fn cursors(known: &Known, goal: Option<&Known>) -> String {
    let cursors = |known: &Known| {
        let rooms: Vec<_> = known.rooms.iter().map(|(room, shown)| format!("{room} at {}", shown.cursor)).collect();
        let states: Vec<_> = known.memberships.iter().map(|(room, row)| format!("{room} {}", membership_line(row))).collect();
        format!("user stream at {}, rooms {rooms:?}, memberships {states:?}", known.cursor)
    };
    format!("{}; should be {}; {:?}", cursors(known), goal.map(cursors).unwrap_or_default(), known.broken)
}

pub fn same(who: &str, shown: &BTreeMap<String, String>, stored: &BTreeMap<String, String>) -> Result<(), Broken> {
    let keys: BTreeSet<_> = shown.keys().chain(stored.keys()).collect();
    let differ = keys.into_iter().filter(|key| shown.get(*key) != stored.get(*key));
    let lines: Vec<_> =
        differ.map(|key| format!("{key}\n  shown  {:?}\n  stored {:?}", shown.get(key), stored.get(key))).collect();
    if lines.is_empty() { Ok(()) } else { Err(format!("who {who} sees something else:\n{}", lines.join("\n"))) }
}

fn only_memberships(lines: BTreeMap<String, String>) -> BTreeMap<String, String> {
    lines.into_iter().filter(|(key, _)| key.starts_with("membership ")).collect()
}

/// The memberships as REST lists them.
async fn memberships(sue: &Person) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    for state in ["joined", "invited", "left", "banned"] {
        let page: Value = sue.get(&format!("me/rooms?state={state}&limit=200")).await.ok();
        for membership in page["items"].as_array().expect("a page has items") {
            lines.insert(format!("membership {}", text(&membership["room"]["id"])), membership_line(membership));
        }
    }
    lines
}

const _: () = assert!(SUE == 1, "as the cast stands");
