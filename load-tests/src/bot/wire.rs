//! Reading what the server sends (docs/PROTOCOL.md, version 1): in full with serde, and a short way for the one frame that comes a million
//! times a second.
//!
//! The short way ([`quick`]) understands a live `changes` with exactly one message in the order in which servers write it; for everything
//! else it says `None` and the full way is taken, so it never decides what is right.

use crate::action::text::number;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use uuid::Uuid;

/// Any frame of the server. Unknown keys are ignored: a client must live with later additions.
#[derive(Debug, Deserialize)]
pub struct Incoming<'a> {
    #[serde(rename = "ref")]
    pub reference: Option<u64>,
    pub ok: Option<Box<Done>>,
    pub error: Option<Refused>,
    #[serde(borrow)]
    pub changes: Option<Changes<'a>>,
    pub user_changes: Option<UserChanges>,
    pub typing: Option<Typing>,
    pub reconnect: Option<Reconnect>,
    pub unsubscribed: Option<Unsubscribed>,
    pub token_expiring: Option<IgnoredAny>,
}

/// The answer to any command; which fields are there depends on the command.
#[derive(Debug, Deserialize)]
pub struct Done {
    pub seq: Option<u64>,
    pub revision: Option<u64>,
    pub epoch: Option<Uuid>,
    pub user_head: Option<u64>,
    #[serde(default)]
    pub user_reset: bool,
    pub rooms: Option<Vec<SubscribedRoom>>,
    pub ping_interval_ms: Option<u64>,
    pub limits: Option<Limits>,
}

/// Limits a client keeps by itself.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Limits {
    pub rooms_per_frame: u64,
    pub posts_in_flight: u64,
}

/// An error reply, or a problem document.
#[derive(Clone, Debug, Deserialize)]
pub struct Refused {
    pub code: String,
    #[serde(default)]
    pub retry: bool,
    pub retry_after_ms: Option<u64>,
}

/// What became of one room's subscription.
#[derive(Debug, Deserialize)]
pub struct SubscribedRoom {
    pub room: Uuid,
    pub status: String,
    pub head: Option<u64>,
    pub reason: Option<String>,
    pub error: Option<Refused>,
}

/// The revisions (from, to] of a room.
#[derive(Debug, Deserialize)]
pub struct Changes<'a> {
    pub room: Uuid,
    pub from: u64,
    pub to: u64,
    #[serde(borrow)]
    pub items: Vec<Item<'a>>,
}

/// One changed row: exactly one of these is there.
#[derive(Debug, Deserialize)]
pub struct Item<'a> {
    #[serde(borrow)]
    pub message: Option<Message<'a>>,
    #[serde(borrow)]
    pub reaction: Option<Reaction<'a>>,
    pub thread: Option<Thread>,
    pub member: Option<Member>,
    pub notice: Option<Revised>,
    pub room: Option<Revised>,
}

impl Item<'_> {
    /// The row's revision.
    pub fn revision(&self) -> Option<u64> {
        let named = [
            self.message.as_ref().map(|row| row.revision),
            self.reaction.as_ref().map(|row| row.revision),
            self.thread.as_ref().map(|row| row.revision),
            self.member.as_ref().map(|row| row.revision),
        ];
        let other = || [&self.notice, &self.room].into_iter().flatten().map(|row| row.revision).next();
        named.into_iter().flatten().next().or_else(other)
    }
}

/// A row of which only the place in the order matters here.
#[derive(Debug, Deserialize)]
pub struct Revised {
    pub revision: u64,
}

/// A message. Of one that is hidden there are only the first three.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Message<'a> {
    pub seq: u64,
    pub revision: u64,
    #[serde(default)]
    pub hidden: bool,
    #[serde(default)]
    pub author: Uuid,
    #[serde(default)]
    pub client_id: Uuid,
    #[serde(borrow, default)]
    pub text: Cow<'a, str>,
    #[serde(borrow, default)]
    pub created_at: Cow<'a, str>,
    pub thread: Option<u64>,
    pub deleted: Option<Mark>,
    pub pinned: Option<Mark>,
    pub replies: Option<Replies>,
    #[serde(default)]
    pub reactions: Vec<Reactions>,
}

/// Something done to a message; by whom and when does not matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Mark {}

/// A thread, as its first message shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Replies {
    pub count: u64,
    pub last: u64,
}

/// Everybody who reacted with one emoji.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Reactions {
    pub emoji: String,
    pub users: Vec<Uuid>,
}

/// A reaction that came or went.
#[derive(Clone, Debug, Deserialize)]
pub struct Reaction<'a> {
    pub seq: u64,
    pub revision: u64,
    #[serde(borrow)]
    pub emoji: Cow<'a, str>,
    pub user: Uuid,
    pub on: bool,
}

/// A thread that has grown or shrunk.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Thread {
    pub seq: u64,
    pub revision: u64,
    pub count: u64,
    pub last: u64,
}

/// A person's standing in a room.
#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    pub user: Uuid,
    pub state: String,
    pub revision: u64,
}

/// Somebody types.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Typing {
    pub room: Uuid,
    pub user: Uuid,
}

/// The revisions (from, to] of the user stream.
#[derive(Debug, Deserialize)]
pub struct UserChanges {
    pub from: u64,
    pub to: u64,
    pub items: Vec<UserItem>,
}

/// What changed there, as far as bots look at it.
#[derive(Debug, Deserialize)]
pub struct UserItem {
    pub relation: Option<Relation>,
    pub read_mark: Option<ReadMark>,
}

/// Whom the person blocks.
#[derive(Debug, Deserialize)]
pub struct Relation {
    pub user: Uuid,
    pub blocked: bool,
    #[serde(default)]
    pub rooms: Vec<Uuid>,
    #[serde(default)]
    pub every_room: bool,
}

/// Up to where the person has read a room.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ReadMark {
    pub room: Uuid,
    pub seq: u64,
}

/// The server will close this socket.
#[derive(Debug, Deserialize)]
pub struct Reconnect {
    pub after_ms: u64,
}

/// A room is not received any more.
#[derive(Debug, Deserialize)]
pub struct Unsubscribed {
    pub room: Uuid,
    pub code: String,
}

/// A live event with one message, its texts still as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quick<'a> {
    /// The room's id as it is written: 36 characters.
    pub room: &'a [u8],
    pub from: u64,
    pub to: u64,
    pub seq: u64,
    pub revision: u64,
    /// What follows `"text":"`, up to the end of the frame.
    pub text: &'a [u8],
}

/// Reads the frequent frame by position; `None` when it is not exactly that.
pub fn quick(frame: &[u8]) -> Option<Quick<'_>> {
    let rest = frame.strip_prefix(br#"{"changes":{"room":""#)?;
    let (room, rest) = rest.split_at_checked(36)?;
    let (from, rest) = number(rest.strip_prefix(br#"","from":"#)?)?;
    let (to, rest) = number(rest.strip_prefix(br#","to":"#)?)?;
    if to != from + 1 {
        return None;
    }
    let (seq, rest) = number(rest.strip_prefix(br#","items":[{"message":{"seq":"#)?)?;
    let (revision, rest) = number(rest.strip_prefix(br#","revision":"#)?)?;
    let rest = rest.strip_prefix(br#","author":""#)?.get(36..)?;
    let text = rest.strip_prefix(br#"","client_id":""#)?.get(36..)?.strip_prefix(br#"","text":""#)?;
    // The revision of a message has no other row, so one revision is one row.
    let single = text.ends_with(b"}}]}}") && revision == to;
    single.then_some(Quick { room, from, to, seq, revision, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "018f0000-0000-7000-8000-000000000001";

    fn live(seq: u64, text: &str) -> String {
        format!(
            r#"{{"changes":{{"room":"{ROOM}","from":{},"to":{},"items":[{{"message":{{"seq":{seq},"revision":{},"author":"{ROOM}","client_id":"{ROOM}","text":"{text}","created_at":"2026-11-22T10:00:00.000001Z"}}}}]}}}}"#,
            seq + 4,
            seq + 5,
            seq + 5
        )
    }

    #[test]
    fn the_short_way_and_the_full_way_read_the_same() {
        let frame = live(12, "hs1 0000000a 0 1 2 3 ...");
        let short = quick(frame.as_bytes()).unwrap();
        let full: Incoming<'_> = serde_json::from_str(&frame).unwrap();
        let changes = full.changes.unwrap();
        let message = changes.items[0].message.as_ref().unwrap();
        assert_eq!((short.from, short.to, short.seq, short.revision), (changes.from, changes.to, message.seq, message.revision));
        assert_eq!(short.room, changes.room.to_string().as_bytes());
        assert!(short.text.starts_with(message.text.as_bytes()));
    }

    #[test]
    fn the_short_way_leaves_everything_else_to_the_full_way() {
        let one = live(12, "x");
        let two = one.replace("}}]}}", r#"}},{"notice":{"revision":9}}]}}"#).replace(r#""to":17"#, r#""to":18"#);
        let gap = one.replace(r#""to":17"#, r#""to":19"#);
        let spaced = one.replace(r#""from":"#, r#" "from": "#);
        for frame in ["", r#"{"ref":1,"ok":{}}"#, &two, &gap, &spaced, &one[..one.len() - 1]] {
            assert_eq!(quick(frame.as_bytes()), None, "{frame}");
        }
    }

    #[test]
    fn replies_and_pushes_of_every_kind_are_read() {
        let welcome = format!(
            r#"{{"ref":1,"ok":{{"session":"{ROOM}","user":"{ROOM}","epoch":"{ROOM}","user_head":3,"user_reset":false,"rooms":[{{"room":"{ROOM}","status":"reset","head":9,"reason":"no_cursor"}},{{"room":"{ROOM}","status":"refused","error":{{"code":"not_member","message":"","retry":false,"stored":"no"}}}}],"token_expires_at":"x","server_time":"x","ping_interval_ms":25000,"limits":{{"text_max_bytes":1,"frame_max_bytes":1,"rooms_per_frame":500,"watches":1,"posts_in_flight":64}}}}}}"#
        );
        let done = serde_json::from_str::<Incoming<'_>>(&welcome).unwrap().ok.unwrap();
        assert_eq!((done.user_head, done.limits.unwrap().posts_in_flight), (Some(3), 64));
        let rooms = done.rooms.unwrap();
        assert_eq!((rooms[0].head, rooms[1].error.as_ref().unwrap().code.as_str()), (Some(9), "not_member"));
        let busy = r#"{"ref":2,"error":{"code":"busy","message":"m","retry":true,"stored":"no","retry_after_ms":250}}"#;
        let busy = serde_json::from_str::<Incoming<'_>>(busy).unwrap().error.unwrap();
        assert!(busy.retry && busy.retry_after_ms == Some(250));
        let push = r#"{"reconnect":{"after_ms":1500}}"#;
        assert_eq!(serde_json::from_str::<Incoming<'_>>(push).unwrap().reconnect.unwrap().after_ms, 1500);
    }
}
