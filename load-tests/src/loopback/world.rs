//! The loopback server's accounts, rooms and messages. Pure: posts come in, what is to be sent comes out.

use super::breach::{BUSY_EVERY, Breach, EVERY, UNKNOWN_EVERY};
use super::talk::{Changed, Item, More, Person};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: Uuid,
    pub password: String,
}

/// A room.
#[derive(Debug, Default)]
pub struct Room {
    pub messages: Vec<Message>,
    /// Who joined or left, and at which revision.
    pub standings: BTreeMap<Uuid, (bool, u64)>,
    pub seq: u64,
    pub head: u64,
    by_id: HashMap<(Uuid, Uuid), (u64, u64)>,
    /// Held back to be stored behind the next of the same sender.
    held: Option<(Post, u64)>,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    pub seq: u64,
    pub revision: u64,
    pub author: Uuid,
    pub client_id: Uuid,
    pub text: String,
    pub created_at: String,
    pub more: More,
}

/// A post as it comes in.
#[derive(Clone, Debug)]
pub struct Post {
    pub author: Uuid,
    pub client_id: Uuid,
    pub text: String,
    pub thread: Option<u64>,
}

/// What a post, or something else, leads to.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// The reply to the command with this `ref`.
    Reply(u64, Result<Value, Value>),
    /// A live event for everybody who receives the room.
    Tell(String),
    /// A live event for everybody but one, who gets the other text, if any.
    TellBut(String, Option<String>),
    /// The same as a live event, as each sees it; with `true` somebody is told of nothing but the revision.
    Show(Changed, bool),
    /// Something of a person's own, at their stream's next revision.
    Own(Uuid, Value),
    /// A person is not in the room any more.
    Out(Uuid, Uuid),
    /// Somebody types in a room.
    Typing(Uuid, Uuid),
}

/// See the module.
#[derive(Debug, Default)]
pub struct World {
    pub accounts: HashMap<String, Account>,
    pub rooms: HashMap<Uuid, Room>,
    pub people: HashMap<Uuid, Person>,
    pub breach: Option<Breach>,
    pub trouble: bool,
    /// Posts that came in.
    pub posts: u64,
    /// And other commands about rooms and people.
    pub acts: u64,
    clock: u64,
}

impl Message {
    /// As a live event. Written by hand in the order in which servers write it, for this is what the swarm's short way must meet.
    pub fn event(&self, room: Uuid) -> String {
        let Self { seq, revision, author, client_id, text, created_at, .. } = self;
        let from = revision - 1;
        format!(
            r#"{{"changes":{{"room":"{room}","from":{from},"to":{revision},"items":[{{"message":{{"seq":{seq},"revision":{revision},"author":"{author}","client_id":"{client_id}","text":"{text}","created_at":"{created_at}"}}}}]}}}}"#
        )
    }
}

impl World {
    /// An empty one that behaves in this way.
    pub fn new(breach: Option<Breach>, trouble: bool) -> Self {
        Self { breach, trouble, ..Self::default() }
    }

    /// One post to `room` with the command's `ref`.
    pub fn post(&mut self, room_id: Uuid, reference: u64, post: Post) -> Vec<Effect> {
        self.posts += 1;
        let (number, trouble) = (self.posts, self.trouble);
        let breach = self.breach.filter(|_| number.is_multiple_of(EVERY));
        let blocks = self.people.values().any(|person| !person.blocks.is_empty());
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return vec![Effect::Reply(reference, Err(refusal("not_found", false)))];
        };
        if let Some(&(seq, revision)) = room.by_id.get(&(post.author, post.client_id)) {
            return vec![Effect::Reply(reference, Ok(posted(room_id, seq, revision, true)))];
        }
        if !room.has(post.author) {
            return vec![Effect::Reply(reference, Err(refusal("not_member", false)))];
        }
        if trouble && number.is_multiple_of(BUSY_EVERY) {
            return vec![Effect::Reply(reference, Err(refusal("busy", true)))];
        }
        if self.breach == Some(Breach::Reorder) {
            if let Some((held, held_reference)) = room.held.take() {
                // The next post of the same sender overtakes the one that was held.
                let mut effects = store(room, room_id, reference, post, &mut self.clock);
                effects.extend(store(room, room_id, held_reference, held, &mut self.clock));
                return effects;
            }
            if breach.is_some() {
                room.held = Some((post, reference));
                return Vec::new();
            }
        }
        if let Some(breach) = breach.filter(|breach| breach.is_of_posts()) {
            return misbehave(breach, room, room_id, reference, post, &mut self.clock);
        }
        let thread = post.thread;
        let mut effects = store(room, room_id, reference, post, &mut self.clock);
        if blocks || thread.is_some() {
            // Not the same for everybody, or more than one row.
            let mut items = vec![Item::Message(room.seq)];
            items.extend(thread.and_then(|first| room.replied(first, self.breach == Some(Breach::Miscount))));
            effects.splice(..1, [Effect::Show(Changed { room: room_id, revision: room.head, items }, false)]);
        }
        if trouble && number.is_multiple_of(UNKNOWN_EVERY) {
            effects.pop();
            effects.push(Effect::Reply(reference, Err(refusal("outcome_unknown", true))));
        }
        effects
    }
}

/// Stores a post, tells everybody, then the sender.
fn store(room: &mut Room, room_id: Uuid, reference: u64, post: Post, clock: &mut u64) -> Vec<Effect> {
    let message = number(room, post, clock);
    let effects = vec![
        Effect::Tell(message.event(room_id)),
        Effect::Reply(reference, Ok(posted(room_id, message.seq, message.revision, false))),
    ];
    keep(room, message);
    effects
}

fn number(room: &mut Room, post: Post, clock: &mut u64) -> Message {
    room.seq += 1;
    room.head += 1;
    *clock += 1;
    let created_at = format!(
        "2026-11-22T{:02}:{:02}:{:02}.{:06}Z",
        *clock / 3_600_000_000 % 24,
        *clock / 60_000_000 % 60,
        *clock / 1_000_000 % 60,
        *clock % 1_000_000
    );
    Message {
        seq: room.seq,
        revision: room.head,
        author: post.author,
        client_id: post.client_id,
        text: post.text,
        created_at,
        more: More::said_in(post.thread),
    }
}

fn keep(room: &mut Room, message: Message) {
    room.by_id.insert((message.author, message.client_id), (message.seq, message.revision));
    room.messages.push(message);
}

fn misbehave(breach: Breach, room: &mut Room, room_id: Uuid, reference: u64, post: Post, clock: &mut u64) -> Vec<Effect> {
    match breach {
        Breach::Lose | Breach::Skip => {
            let mut effects = store(room, room_id, reference, post, clock);
            if let Some(Effect::Tell(event)) = effects.first_mut() {
                let (from, to) = (room.head - 1, room.head);
                let empty = json!({ "changes": { "room": room_id, "from": from, "to": to, "items": [] } }).to_string();
                *effects.first_mut().unwrap_or(&mut Effect::Tell(String::new())) =
                    Effect::TellBut(std::mem::take(event), (breach == Breach::Lose).then_some(empty));
            }
            effects
        }
        Breach::Duplicate => {
            let mut effects = store(room, room_id, reference, post.clone(), clock);
            let again = number(room, post, clock);
            effects.push(Effect::Tell(again.event(room_id)));
            room.messages.push(again);
            effects
        }
        Breach::Ghost => {
            let message = number(room, post, clock);
            room.seq -= 1;
            vec![Effect::Tell(message.event(room_id)), Effect::Reply(reference, Err(refusal("not_allowed", false)))]
        }
        Breach::AckBeforeStore => vec![Effect::Reply(reference, Ok(posted(room_id, room.seq + 1, room.head + 1, false)))],
        Breach::Gap => {
            room.seq += 1;
            room.head += 1;
            let mut effects = store(room, room_id, reference, post, clock);
            // Told as one span, so that only the burnt numbers are wrong, not the delivery.
            if let Some(Effect::Tell(event)) = effects.first_mut() {
                *event = event.replacen(&format!(r#""from":{}"#, room.head - 1), &format!(r#""from":{}"#, room.head - 2), 1);
            }
            effects
        }
        Breach::WrongAck => {
            let mut effects = store(room, room_id, reference, post, clock);
            effects.pop();
            effects.push(Effect::Reply(reference, Ok(posted(room_id, room.seq + 1, room.head, false))));
            effects
        }
        // Held back before, or not about posts.
        _ => store(room, room_id, reference, post, clock),
    }
}

fn posted(room: Uuid, seq: u64, revision: u64, repeat: bool) -> Value {
    json!({ "room": room, "seq": seq, "revision": revision, "created_at": "2026-11-22T00:00:00Z", "repeat": repeat })
}

/// An error as the protocol shows it.
pub fn refusal(code: &str, retry: bool) -> Value {
    let mut error = json!({ "code": code, "message": "", "retry": retry, "stored": "no" });
    if let (Some(error), "busy") = (error.as_object_mut(), code) {
        error.insert("retry_after_ms".into(), json!(20));
    }
    error
}
