//! What the loopback server's people do besides posting: messages that change, blocks, membership, read marks. Pure.

use super::breach::{BUSY_EVERY, Breach, UNKNOWN_EVERY};
use super::world::{Effect, Message, Room, World, refusal};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What belongs to a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct More {
    pub thread: Option<u64>,
    deleted: bool,
    pinned: bool,
    replies: Option<(u64, u64)>,
    reactions: BTreeMap<String, Vec<Uuid>>,
}

/// What is a person's own.
#[derive(Clone, Debug, Default)]
pub struct Person {
    pub blocks: BTreeSet<Uuid>,
    pub reads: BTreeMap<Uuid, u64>,
    /// Their stream: the item of each revision.
    pub stream: Vec<Value>,
}

/// Rows that changed at one revision of a room.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    pub room: Uuid,
    pub revision: u64,
    pub items: Vec<Item>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// The message with this seq.
    Message(u64),
    Reaction {
        seq: u64,
        emoji: String,
        user: Uuid,
        on: bool,
    },
    Thread {
        seq: u64,
        count: u64,
        last: u64,
    },
    Member {
        user: Uuid,
        joined: bool,
    },
}

impl More {
    pub fn said_in(thread: Option<u64>) -> Self {
        Self { thread, ..Self::default() }
    }

    pub fn is_pinned(&self) -> bool {
        self.pinned
    }
}

impl Message {
    /// As a row, for who blocks these people.
    pub fn row(&self, blocks: &BTreeSet<Uuid>) -> Value {
        self.row_without(blocks, blocks)
    }

    /// As a row without the words of these people, and without the reactions of those.
    pub fn row_without(&self, blocks: &BTreeSet<Uuid>, reacting: &BTreeSet<Uuid>) -> Value {
        if blocks.contains(&self.author) {
            return json!({ "seq": self.seq, "revision": self.revision, "hidden": true });
        }
        let More { thread, deleted, pinned, replies, reactions } = &self.more;
        let mut row = json!({ "seq": self.seq, "revision": self.revision, "author": self.author, "client_id": self.client_id,
            "text": self.text, "created_at": self.created_at });
        let Some(fields) = row.as_object_mut() else { return row };
        let mark = json!({ "at": self.created_at, "by": self.author });
        let mut put = |name: &str, value: Option<Value>| value.map(|value| fields.insert(name.to_owned(), value));
        put("thread", thread.map(|seq| json!(seq)));
        put("deleted", deleted.then(|| mark.clone()));
        put("pinned", pinned.then_some(mark));
        put("replies", replies.map(|(count, last)| json!({ "count": count, "last": last })));
        let seen = |users: &Vec<Uuid>| users.iter().filter(|user| !reacting.contains(user)).copied().collect::<Vec<_>>();
        let all: Vec<_> =
            reactions.iter().map(|(emoji, users)| (emoji, seen(users))).filter(|(_, users)| !users.is_empty()).collect();
        let all: Vec<_> = all.into_iter().map(|(emoji, users)| json!({ "emoji": emoji, "users": users })).collect();
        put("reactions", Some(json!(all)).filter(|_| !all.is_empty()));
        row
    }
}

impl Room {
    /// Everybody is in the room who has not left it.
    pub fn has(&self, user: Uuid) -> bool {
        self.standings.get(&user).is_none_or(|(joined, _)| *joined)
    }

    /// The first message of a thread after a reply: its revision is the reply's.
    pub fn replied(&mut self, first: u64, miscounts: bool) -> Option<Item> {
        let last = self.seq;
        let count = self.message(first)?.more.replies.map_or(0, |(count, _)| count);
        self.counts(first, count + 1 + u64::from(miscounts), last)
    }

    /// … and after one of its messages was deleted.
    fn uncounted(&mut self, first: u64) -> Option<Item> {
        let (count, last) = self.message(first)?.more.replies?;
        self.counts(first, count.saturating_sub(1), last)
    }

    fn counts(&mut self, first: u64, count: u64, last: u64) -> Option<Item> {
        let revision = self.head;
        let message = self.message(first)?;
        message.revision = revision;
        message.more.replies = Some((count, last));
        Some(Item::Thread { seq: first, count, last })
    }

    fn message(&mut self, seq: u64) -> Option<&mut Message> {
        let place = self.messages.partition_point(|message| message.seq < seq);
        self.messages.get_mut(place).filter(|message| message.seq == seq)
    }

    /// A row as somebody sees it who blocks these people; nothing for what they do not see.
    pub fn seen(&self, item: &Item, revision: u64, blocks: &BTreeSet<Uuid>) -> Option<Value> {
        Some(match item {
            Item::Message(seq) => {
                let place = self.messages.partition_point(|message| message.seq < *seq);
                json!({ "message": self.messages.get(place)?.row(blocks) })
            }
            Item::Reaction { user, .. } if blocks.contains(user) => return None,
            Item::Reaction { seq, emoji, user, on } => {
                json!({ "reaction": { "seq": seq, "revision": revision, "emoji": emoji, "user": user, "on": on } })
            }
            Item::Thread { seq, count, last } => {
                json!({ "thread": { "seq": seq, "revision": revision, "count": count, "last": last } })
            }
            Item::Member { user, joined } => {
                let state = if *joined { "joined" } else { "left" };
                json!({ "member": { "user": user, "state": state, "role": "member", "revision": revision } })
            }
        })
    }

    /// What somebody missed since `cursor`.
    pub fn missed(&self, cursor: u64, blocks: &BTreeSet<Uuid>) -> Vec<Value> {
        let mut rows: Vec<(u64, Value)> = Vec::new();
        for message in self.messages.iter().filter(|message| message.revision > cursor) {
            rows.push((message.revision, json!({ "message": message.row(blocks) })));
        }
        for (user, (joined, revision)) in self.standings.iter().filter(|(_, (_, revision))| *revision > cursor) {
            rows.extend(self.seen(&Item::Member { user: *user, joined: *joined }, *revision, blocks).map(|row| (*revision, row)));
        }
        rows.sort_by_key(|(revision, _)| *revision);
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

/// What a command says.
fn number(body: &Value, name: &str) -> u64 {
    body.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn id(body: &Value, name: &str) -> Uuid {
    body.get(name).and_then(|id| id.as_str()?.parse().ok()).unwrap_or_default()
}

fn word(body: &Value, name: &str) -> String {
    body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl World {
    /// Whom somebody does not see.
    pub fn blocks_of(&self, user: Uuid) -> BTreeSet<Uuid> {
        self.people.get(&user).map(|person| person.blocks.clone()).unwrap_or_default()
    }

    /// One command that is no post; `None` for one that there is not.
    pub fn act(&mut self, user: Uuid, reference: u64, name: &str, body: &Value) -> Option<Vec<Effect>> {
        self.acts += 1;
        if self.trouble && self.acts.is_multiple_of(BUSY_EVERY) {
            return Some(vec![Effect::Reply(reference, Err(refusal("busy", true)))]);
        }
        let done = match name {
            "block" | "unblock" => Ok(self.relate(user, id(body, "user"), name == "block")),
            "read" => self.read(user, body),
            "join" | "leave" => self.stand(user, id(body, "room"), name == "join"),
            "kick" => self.stand(id(body, "user"), id(body, "room"), false),
            "typing" => Ok(vec![Effect::Typing(id(body, "room"), user)]),
            "edit" | "delete" | "react" | "unreact" | "pin" | "unpin" => self.change(user, name, body),
            _ => return None,
        };
        Some(match done {
            Err(code) => vec![Effect::Reply(reference, Err(refusal(code, false)))],
            Ok(mut effects) => {
                let unknown = self.trouble && self.acts.is_multiple_of(UNKNOWN_EVERY);
                effects
                    .push(Effect::Reply(reference, if unknown { Err(refusal("outcome_unknown", true)) } else { Ok(json!({})) }));
                effects
            }
        })
    }

    fn relate(&mut self, user: Uuid, other: Uuid, on: bool) -> Vec<Effect> {
        if on && self.breach == Some(Breach::ForgetBlock) {
            return Vec::new();
        }
        let person = self.people.entry(user).or_default();
        let changed = if on { person.blocks.insert(other) } else { person.blocks.remove(&other) };
        let item = json!({ "relation": { "user": other, "blocked": on, "muted": false, "every_room": true } });
        if changed { vec![Effect::Own(user, item)] } else { Vec::new() }
    }

    fn read(&mut self, user: Uuid, body: &Value) -> Result<Vec<Effect>, &'static str> {
        let (room, seq) = (id(body, "room"), number(body, "seq"));
        self.rooms.get(&room).filter(|room| room.has(user)).ok_or("not_member")?;
        let before = self.people.entry(user).or_default().reads.entry(room).or_default();
        if seq <= *before || self.breach == Some(Breach::ForgetRead) {
            return Ok(Vec::new());
        }
        *before = seq;
        Ok(vec![Effect::Own(user, json!({ "read_mark": { "room": room, "seq": seq } }))])
    }

    fn stand(&mut self, user: Uuid, id: Uuid, joined: bool) -> Result<Vec<Effect>, &'static str> {
        let room = self.rooms.get_mut(&id).ok_or("not_found")?;
        if room.has(user) == joined {
            return Ok(Vec::new());
        }
        room.head += 1;
        room.standings.insert(user, (joined, room.head));
        let changed = Changed { room: id, revision: room.head, items: vec![Item::Member { user, joined }] };
        let stays = joined || self.breach == Some(Breach::Overhear);
        Ok([Some(Effect::Show(changed, false)), (!stays).then_some(Effect::Out(id, user))].into_iter().flatten().collect())
    }

    fn change(&mut self, user: Uuid, name: &str, body: &Value) -> Result<Vec<Effect>, &'static str> {
        let (id, seq, breach) = (id(body, "room"), number(body, "seq"), self.breach);
        let room = self.rooms.get_mut(&id).ok_or("not_found")?;
        if !room.has(user) {
            return Err("not_member");
        }
        let revision = room.head + 1;
        let message = room.message(seq).filter(|message| name == "delete" || !message.more.deleted).ok_or("not_found")?;
        if breach == Some(Breach::ForgetReaction) && name == "react" || breach == Some(Breach::ForgetPin) && name == "pin" {
            return Ok(Vec::new());
        }
        let before = message.clone();
        let mut items = vec![Item::Message(seq)];
        match name {
            "edit" | "delete" if message.author != user => return Err("not_allowed"),
            "edit" => message.text = word(body, "text"),
            "delete" if message.more.deleted => return Ok(Vec::new()),
            "delete" => {
                message.more =
                    More { thread: message.more.thread, replies: message.more.replies, deleted: true, ..More::default() };
                if breach != Some(Breach::KeepText) {
                    message.text.clear();
                }
            }
            "pin" | "unpin" => message.more.pinned = name == "pin",
            _ => {
                let (emoji, on) = (word(body, "emoji"), name == "react");
                let users = message.more.reactions.entry(emoji.clone()).or_default();
                users.retain(|one| *one != user);
                users.extend(on.then_some(user));
                message.more.reactions.retain(|_, users| !users.is_empty());
                items = vec![Item::Reaction { seq, emoji, user, on }];
            }
        }
        if before.text == message.text && before.more == message.more {
            return Ok(Vec::new());
        }
        message.revision = revision;
        let thread = message.more.thread.filter(|_| name == "delete");
        room.head = revision;
        items.extend(thread.and_then(|first| room.uncounted(first)));
        let loses = breach == Some(Breach::LoseReaction) && name == "react";
        let shown = Effect::Show(Changed { room: id, revision, items }, loses);
        if breach == Some(Breach::ForgetEdit) && name == "edit" {
            // Told as it should be, and then as it was.
            let told = room.message(seq).map(|message| message.row(&BTreeSet::new()));
            if let Some(message) = room.message(seq) {
                message.text = before.text;
            }
            let event =
                json!({ "changes": { "room": id, "from": revision - 1, "to": revision, "items": [{ "message": told }] } });
            return Ok(vec![Effect::Tell(event.to_string())]);
        }
        Ok(vec![shown])
    }

    /// Adds to a person's stream; the revision of the item.
    pub fn own(&mut self, user: Uuid, mut item: Value) -> u64 {
        let person = self.people.entry(user).or_default();
        let revision = person.stream.len() as u64 + 1;
        for row in item.as_object_mut().into_iter().flat_map(|item| item.values_mut()) {
            row.as_object_mut().map(|row| row.insert("revision".to_owned(), json!(revision)));
        }
        person.stream.push(item);
        revision
    }
}
