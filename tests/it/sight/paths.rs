//! Ways from one to the other: the rows.

use super::cell::{ANNS, BOBS, Cell, Looking, Seen, whisper};
use super::deeds::Deed;
use super::unseen;
use crate::support::person::{Answer, Person};
use crate::support::viewer::{number, text};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Says,
    HasSaid,
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
fn part(there: impl Fn(&Value) -> bool) -> impl Fn(Option<&Value>) -> &'static str {
    move |row| match row {
        Some(row) if row["hidden"] == true => "stub",
        Some(row) if there(row) => "shown",
        _ => "hidden",
    }
}

impl Path {
    /// Does it after the deed; what the other sees of it.
    pub async fn play(self, cell: &mut Cell<'_>, deed: Deed) -> Seen {
        let (ann, bob) = (&cell.ann, &cell.bob);
        match self {
            Self::Types => unseen::typing(cell, deed).await,
            Self::Reads => unseen::reading(cell, deed).await,
            Self::Comes => unseen::presence(cell, deed, ann, bob).await,
            Self::IsSeen => unseen::presence(cell, deed, bob, ann).await,
            Self::TellsOfHimself => unseen::profile(cell, deed, ann, bob).await,
            Self::IsLookedAt => unseen::profile(cell, deed, bob, ann).await,
            Self::Answers | Self::Invited | Self::Receives => self.seen_by(bob, cell, deed).await,
            _ => self.seen_by(ann, cell, deed).await,
        }
    }

    async fn seen_by(self, viewer: &Person, cell: &Cell<'_>, deed: Deed) -> Seen {
        let looking = Looking::on(viewer).await;
        deed.commit(cell).await;
        let answer = self.act(cell).await;
        if !answer.status.is_success() {
            return Seen::all(answer.code());
        }
        cell.server.everybody_is_notified().await;
        let (room, direct, done) = (&cell.room, &cell.direct, &answer.body);
        let message = |room: &str, seq: u64| format!("{room} message {seq:06}");
        let new = || number(&done["seq"]);
        match self {
            Self::Says | Self::Replies | Self::IsForwarded | Self::Receives => looking.see(&message(room, new()), whole).await,
            Self::HasSaid => looking.see(&message(room, BOBS), whole).await,
            Self::Edits => looking.see(&message(room, BOBS), part(|row| row["text"] == "after")).await,
            Self::Deletes => looking.see(&message(room, BOBS), part(|row| !row["deleted"].is_null())).await,
            Self::Reacts => looking.see(&message(room, ANNS), part(|row| !row["reactions"].is_null())).await,
            Self::Grows => looking.see(&message(room, ANNS), part(|row| row["replies"]["count"] == 1)).await,
            Self::IsPinned => {
                let seen = looking.see(&message(room, BOBS), part(|row| !row["pinned"].is_null())).await;
                let pins = viewer.get(&format!("rooms/{room}/pins")).await.ok();
                Seen { rest: whole(pins["messages"].get(0)).to_owned(), ..seen }
            }
            Self::Mentions => {
                let mentioned = |row: &Value| row["mentions"]["users"] == json!([viewer.id]);
                let seen = looking.see(&message(room, new()), part(mentioned)).await;
                Seen { rest: counted(viewer, room, "mentions").await, ..seen }.but_stubs_as_hidden()
            }
            Self::Counts => {
                let seen = looking.see(&message(room, new()), |row| if row.is_some() { "shown" } else { "hidden" }).await;
                Seen { rest: counted(viewer, room, "unread").await, ..seen }
            }
            Self::Notifies => looking.see(&format!("notification {room} {:06}", new()), whole).await,
            Self::NotifiesDirect => looking.see(&format!("notification {direct} {:06}", new()), whole).await,
            Self::Whispers | Self::Answers => looking.see(&message(direct, new()), whole).await,
            Self::FirstDirect => looking.see(&message(&text(&done["room"]), new()), whole).await,
            Self::Groups | Self::Invites | Self::Invited => {
                let room = done["id"].as_str().expect("a room has an id");
                looking.see(&format!("membership {room}"), whole).await
            }
            Self::Types | Self::Reads | Self::Comes | Self::IsSeen | Self::TellsOfHimself | Self::IsLookedAt => {
                unreachable!("played elsewhere")
            }
        }
    }

    async fn act(self, cell: &Cell<'_>) -> Answer {
        let Cell { ann, bob, cid, room, direct, .. } = cell;
        let (path, message) = (format!("rooms/{room}/messages"), format!("rooms/{room}/messages/{BOBS}"));
        let say = async |who: &Person, room: &str, text: &str| who.say_as(room, text, &Uuid::now_v7().to_string()).await;
        let reply = async |text: &str| {
            let reply = json!({"client_id": Uuid::now_v7(), "text": text, "thread": ANNS});
            bob.post(&path, reply).await
        };
        match self {
            Self::Says | Self::Counts => say(bob, room, "hello").await,
            Self::HasSaid => ann.get(&path).await,
            Self::Edits => bob.patch(&message, json!({"text": "after"})).await,
            Self::Deletes => bob.delete(&message).await,
            Self::Reacts => bob.put(&format!("{path}/{ANNS}/reactions/👍"), json!({})).await,
            Self::Replies | Self::Grows => reply("a reply").await,
            Self::Mentions => say(bob, room, &format!("@{}", ann.name)).await,
            Self::Notifies => reply(&format!("@{}", ann.name)).await,
            Self::IsPinned => ann.put(&format!("{message}/pin"), json!({})).await,
            Self::IsForwarded => {
                let forward = json!({"client_id": Uuid::now_v7(), "forward": {"room": room, "seq": BOBS}});
                cid.post(&path, forward).await
            }
            Self::Whispers | Self::NotifiesDirect => say(bob, direct, "psst").await,
            Self::FirstDirect => whisper(bob, ann, "psst").await,
            Self::Answers => say(ann, direct, "yes?").await,
            Self::Groups => {
                let people = json!({"users": [ann.id, cid.id]});
                bob.post_with_key("groups", people, &Uuid::now_v7().to_string()).await
            }
            Self::Invites => invite(bob, ann).await,
            Self::Invited => invite(ann, bob).await,
            Self::Receives => say(ann, room, "hello").await,
            Self::Types | Self::Reads | Self::Comes | Self::IsSeen | Self::TellsOfHimself | Self::IsLookedAt => {
                unreachable!("played elsewhere")
            }
        }
    }
}

/// Into a room of one's own; the room, unless that is refused.
async fn invite(from: &Person, whom: &Person) -> Answer {
    let room = from.post("rooms", json!({"name": format!("Den of {}", from.name), "kind": "private"})).await;
    let id = text(&room.body["id"]);
    let invited = from.put(&format!("rooms/{id}/invitations/{}", whom.id), json!({})).await;
    if invited.status.is_success() { room } else { invited }
}

/// Whether there is something of the kind in the list of rooms, where one has read nothing.
async fn counted(viewer: &Person, room: &str, what: &str) -> String {
    let rooms = viewer.get("me/rooms?limit=200").await.ok();
    let mine = rooms["items"].as_array().expect("a list").iter().find(|one| one["room"]["id"] == *room);
    // What Bob wrote before is unread as well.
    let least = if what == "unread" { 2 } else { 1 };
    if mine.is_some_and(|one| number(&one[what]) >= least) { "shown" } else { "hidden" }.to_owned()
}

impl Seen {
    /// Where there is no word for a message, only for something about it.
    fn but_stubs_as_hidden(self) -> Self {
        let word = |word: String| if word == "stub" { "hidden".to_owned() } else { word };
        Self { live: word(self.live), resumed: word(self.resumed), rest: word(self.rest) }
    }
}
