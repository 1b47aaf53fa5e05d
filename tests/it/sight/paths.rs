//! Ways from one to the other: the rows.

use super::attempt::Attempt;
use super::cell::{ANNS, BOBS, Cell, Looking, Screen, Seen, line};
use super::deeds::Deed;
use super::unseen;
use crate::support::person::Person;
use crate::support::viewer::{number, text};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Says,
    HasSaid,
    HasReplied,
    HasWhispered,
    HasNotified,
    HasBeenForwarded,
    Edits,
    Deletes,
    Reacts,
    Replies,
    Grows,
    Mentions,
    Notifies,
    NotifiesDirect,
    Counts,
    IsPinned,
    IsForwarded,
    Whispers,
    FirstDirect,
    Answers,
    Groups,
    Invites,
    Invited,
    Types,
    Reads,
    Comes,
    IsSeen,
    TellsOfHimself,
    IsLookedAt,
    Receives,
}

/// As a message, an invitation or a room is seen.
fn whole(row: Option<&Value>) -> &'static str {
    match row {
        None => "hidden",
        Some(row) if row["hidden"] == true => "stub",
        Some(_) => "shown",
    }
}

/// As something that belongs to a message is seen.
fn part(there: impl Fn(&Value) -> bool + 'static) -> impl Fn(Option<&Value>) -> &'static str {
    move |row| match row {
        Some(row) if row["hidden"] == true => "stub",
        Some(row) if there(row) => "shown",
        _ => "hidden",
    }
}

impl Path {
    /// Makes what the row needs to be there before the deed.
    pub async fn prepare(self, cell: &mut Cell<'_>) {
        let Cell { ann, bob, cid, room, side, .. } = &*cell;
        let path = format!("rooms/{room}/messages");
        let reply = json!({"client_id": Uuid::now_v7(), "text": "a reply", "thread": ANNS});
        let den = |of: &Person| json!({"name": format!("Den of {}", of.name), "kind": "private"});
        let made = match self {
            Self::HasReplied => bob.post(&path, reply).await.ok()["seq"].clone(),
            Self::HasNotified => bob.say(room, &format!("@{}", ann.name)).await["seq"].clone(),
            Self::HasBeenForwarded => cid.post(&format!("rooms/{side}/messages"), forward(room)).await.ok()["seq"].clone(),
            Self::Invites => bob.post("rooms", den(bob)).await.ok()["id"].clone(),
            Self::Invited => ann.post("rooms", den(ann)).await.ok()["id"].clone(),
            _ => Value::Null,
        };
        cell.made = made;
        cell.server.everybody_is_notified().await;
    }

    /// Does it after the deed; what the other sees of it.
    pub async fn play(self, cell: &Cell<'_>, deed: Deed) -> Seen {
        let (ann, bob) = (&cell.ann, &cell.bob);
        // Boxed: each is large, and they are many at once.
        match self {
            Self::Types => Box::pin(unseen::typing(cell, deed)).await,
            Self::Reads => Box::pin(unseen::reading(cell, deed)).await,
            Self::Comes => Box::pin(unseen::presence(cell, deed, ann, bob)).await,
            Self::IsSeen => Box::pin(unseen::presence(cell, deed, bob, ann)).await,
            Self::TellsOfHimself => Box::pin(unseen::profile(cell, deed, ann, bob)).await,
            Self::IsLookedAt => Box::pin(unseen::profile(cell, deed, bob, ann)).await,
            Self::Answers | Self::Invited | Self::Receives => Box::pin(self.seen_by(bob, cell, deed)).await,
            _ => Box::pin(self.seen_by(ann, cell, deed)).await,
        }
    }

    async fn seen_by(self, viewer: &Person, cell: &Cell<'_>, deed: Deed) -> Seen {
        let looking = Box::pin(Looking::on(viewer)).await;
        Box::pin(deed.commit(cell)).await;
        let before = Box::pin(looking.picture(cell)).await;
        let done = match Box::pin(self.attempt(cell).make()).await {
            Err(code) => return Box::pin(looking.see_nothing(cell, &code, before)).await,
            Ok(answer) => answer.body,
        };
        cell.server.everybody_is_notified().await;
        let seen = Box::pin(looking.see(self.shown_as(viewer, cell, &done))).await;
        match Box::pin(self.listed(viewer, cell, &done)).await {
            Some(word) => seen.and_rest(word),
            None => seen,
        }
    }

    /// How what was done is read from a screen.
    fn shown_as(self, viewer: &Person, cell: &Cell<'_>, done: &Value) -> Box<dyn Fn(&Screen) -> &'static str> {
        let Cell { room, side, direct, made, .. } = cell;
        let message = |room: &str, seq: u64| format!("{room} message {seq:06}");
        let new = || message(room, number(&done["seq"]));
        let (bobs, anns) = (message(room, BOBS), message(room, ANNS));
        match self {
            Self::Says | Self::Replies | Self::IsForwarded | Self::Receives => by(new(), whole),
            Self::HasSaid => by(bobs, whole),
            Self::HasReplied => by(message(room, number(made)), whole),
            Self::HasWhispered => by(message(direct, 1), whole),
            Self::HasBeenForwarded => by(message(side, number(made)), whole),
            Self::HasNotified => {
                let key = format!("notification {room} {:06}", number(made));
                Box::new(move |screen| notification(screen, &key))
            }
            Self::Edits => by(bobs, part(|row| row["text"] == "after")),
            Self::Deletes => by(bobs, part(|row| !row["deleted"].is_null())),
            Self::Reacts => by(anns, part(|row| !row["reactions"].is_null())),
            Self::Grows => by(anns, part(|row| row["replies"]["count"] == 1)),
            Self::IsPinned => by(bobs, part(|row| !row["pinned"].is_null())),
            Self::Mentions => {
                let me = json!([viewer.id]);
                by(new(), move |row| if row.is_some_and(|row| row["mentions"]["users"] == me) { "shown" } else { "hidden" })
            }
            Self::Counts => by(new(), |row| if row.is_some() { "shown" } else { "hidden" }),
            Self::Notifies => by(format!("notification {room} {:06}", number(&done["seq"])), whole),
            Self::NotifiesDirect => by(format!("notification {direct} {:06}", number(&done["seq"])), whole),
            Self::Whispers | Self::Answers => by(message(direct, number(&done["seq"])), whole),
            Self::FirstDirect => by(message(&text(&done["room"]), number(&done["seq"])), whole),
            Self::Groups => by(format!("membership {}", text(&done["id"])), whole),
            Self::Invites | Self::Invited => by(format!("membership {}", text(made)), whole),
            Self::Types | Self::Reads | Self::Comes | Self::IsSeen | Self::TellsOfHimself | Self::IsLookedAt => {
                unreachable!("played elsewhere")
            }
        }
    }

    /// How REST shows it in another place than a room's history, if there is one.
    async fn listed(self, viewer: &Person, cell: &Cell<'_>, done: &Value) -> Option<&'static str> {
        let Cell { room, made, .. } = cell;
        let the_one = |list: &Value, seq: &Value| list.as_array().expect("a list").iter().find(|one| one["seq"] == *seq).cloned();
        let thread = async |seq| {
            let page = viewer.get(&format!("rooms/{room}/messages/{ANNS}/thread")).await.ok();
            whole(the_one(&page["messages"], seq).as_ref())
        };
        match self {
            Self::Replies => Some(thread(&done["seq"]).await),
            Self::HasReplied => Some(thread(made).await),
            Self::IsPinned => {
                let pins = viewer.get(&format!("rooms/{room}/pins")).await.ok();
                Some(whole(pins["messages"].get(0)))
            }
            Self::HasNotified => {
                let list = viewer.get("me/notifications").await.ok();
                Some(whole(the_one(&list["items"], made).as_ref()))
            }
            Self::Mentions => Some(counted(viewer, room, "mentions").await),
            Self::Counts => Some(counted(viewer, room, "unread").await),
            _ => None,
        }
    }

    /// What is tried after the deed.
    fn attempt<'a>(self, cell: &'a Cell<'_>) -> Attempt<'a> {
        let Cell { ann, bob, cid, room, direct, made, .. } = cell;
        let (path, message) = (format!("rooms/{room}/messages"), format!("rooms/{room}/messages/{BOBS}"));
        let of = |seq: u64| json!({"room": room, "seq": seq});
        let text = |text: &str| json!({"client_id": Uuid::now_v7(), "text": text});
        let reply = |said: &str| post(bob, room, with(text(said), "thread", json!(ANNS)));
        match self {
            Self::Says | Self::Counts => post(bob, room, text("hello")),
            // Nothing more happens.
            Self::HasSaid | Self::HasReplied | Self::HasWhispered | Self::HasNotified | Self::HasBeenForwarded => {
                Attempt::new(ann, Method::GET, "me".to_owned(), None)
            }
            Self::Edits => Attempt::new(bob, Method::PATCH, message, json!({"text": "after"}))
                .or("edit", with(of(BOBS), "text", json!("after"))),
            Self::Deletes => Attempt::new(bob, Method::DELETE, message, None).or("delete", of(BOBS)),
            Self::Reacts => Attempt::new(bob, Method::PUT, format!("{path}/{ANNS}/reactions/👍"), json!({}))
                .or("react", with(of(ANNS), "emoji", json!("👍"))),
            Self::Replies | Self::Grows => reply("a reply"),
            Self::Mentions => post(bob, room, text(&format!("@{}", ann.name))),
            Self::Notifies => reply(&format!("@{}", ann.name)),
            Self::IsPinned => Attempt::new(ann, Method::PUT, format!("{message}/pin"), json!({})).or("pin", of(BOBS)),
            Self::IsForwarded => post(cid, room, forward(room)),
            Self::Whispers | Self::NotifiesDirect => post(bob, direct, text("psst")),
            Self::FirstDirect => Attempt::new(bob, Method::POST, format!("direct/{}/messages", ann.id), text("psst"))
                .or("post_direct", with(text("psst"), "user", json!(ann.id))),
            Self::Answers => post(ann, direct, text("yes?")),
            Self::Groups => Attempt::new(bob, Method::POST, "groups".to_owned(), json!({"users": [ann.id, cid.id]})),
            Self::Invites => invite(bob, ann, made),
            Self::Invited => invite(ann, bob, made),
            Self::Receives => post(ann, room, text("hello")),
            Self::Types | Self::Reads | Self::Comes | Self::IsSeen | Self::TellsOfHimself | Self::IsLookedAt => {
                unreachable!("played elsewhere")
            }
        }
    }
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn post<'a>(who: &'a Person, room: &str, body: Value) -> Attempt<'a> {
    let command = with(body.clone(), "room", json!(room));
    Attempt::new(who, Method::POST, format!("rooms/{room}/messages"), body).or("post", command)
}

/// A copy of what Bob wrote before.
fn forward(from: &str) -> Value {
    json!({"client_id": Uuid::now_v7(), "forward": {"room": from, "seq": BOBS}})
}

/// Into a room of one's own.
fn invite<'a>(from: &'a Person, whom: &Person, room: &Value) -> Attempt<'a> {
    let path = format!("rooms/{}/invitations/{}", text(room), whom.id);
    Attempt::new(from, Method::PUT, path, json!({})).or("invite", json!({"room": room, "user": whom.id}))
}

/// Read from the line of this key.
fn by(key: String, word: impl Fn(Option<&Value>) -> &'static str + 'static) -> Box<dyn Fn(&Screen) -> &'static str> {
    Box::new(move |screen| word(line(screen, &key).as_ref()))
}

/// A device shows no notification of somebody its person blocks.
fn notification(screen: &Screen, key: &str) -> &'static str {
    let Some(row) = line(screen, key) else { return "hidden" };
    let relation = line(screen, &format!("relation {}", text(&row["author"])));
    if relation.is_some_and(|relation| relation["blocked"] == true) { "hidden" } else { "shown" }
}

/// Whether there is something of the kind in the list of rooms, where one has read nothing.
async fn counted(viewer: &Person, room: &str, what: &str) -> &'static str {
    let rooms = viewer.get("me/rooms?limit=200").await.ok();
    let mine = rooms["items"].as_array().expect("a list").iter().find(|one| one["room"]["id"] == *room);
    // What Bob wrote before is unread as well.
    let least = if what == "unread" { 2 } else { 1 };
    if mine.is_some_and(|one| number(&one[what]) >= least) { "shown" } else { "hidden" }
}

impl Seen {
    /// REST shows it in another place, too.
    fn and_rest(self, word: &str) -> Self {
        let rest = if self.rest == word { self.rest } else { format!("{} and {word}", self.rest) };
        Self { rest, ..self }
    }
}
