//! What a client sends.

use super::act::Act;
use crate::domain::fault::Fault;
use crate::domain::ids::{ClientId, Epoch, RoomId, UserId};
use crate::domain::message::Forward;
use crate::domain::order::{Revision, Seq};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// A command; on the wire `{"ref": 7, "post": {…}}`, one object whose only other key names the command.
#[derive(Debug)]
pub enum Command {
    /// The first frame: who, and from where on.
    Hello(Hello),
    /// Start, or start again, receiving rooms.
    Subscribe(Subscribe),
    /// Stop receiving rooms.
    Unsubscribe(Unsubscribe),
    /// Say something in a room.
    Post(PostText),
    /// Say something to a person; the direct room is made when there is none.
    PostDirect(PostDirect),
    /// Start being told who of these people is online.
    WatchPresence(Users),
    /// Stop being told.
    UnwatchPresence(Users),
    /// What this device says of its person.
    SetPresence(SetPresence),
    /// Use a newer access token from here on.
    Renew(Renew),
    /// Ask for a reply, to measure the way or to keep it open.
    Ping(Ping),
    /// Anything that is one question with one answer.
    Act(Act),
}

impl Command {
    /// How those of the connection itself are called on the wire.
    const OWN: [&str; 10] = [
        "hello",
        "subscribe",
        "unsubscribe",
        "post",
        "post_direct",
        "watch_presence",
        "unwatch_presence",
        "set_presence",
        "renew",
        "ping",
    ];

    /// How each is called on the wire, in the order of [`Command::number`].
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::OWN.iter().chain(Act::NAMES).copied()
    }

    /// Its place in [`Command::names`].
    #[must_use]
    pub fn number(&self) -> usize {
        match self {
            Self::Hello(_) => 0,
            Self::Subscribe(_) => 1,
            Self::Unsubscribe(_) => 2,
            Self::Post(_) => 3,
            Self::PostDirect(_) => 4,
            Self::WatchPresence(_) => 5,
            Self::UnwatchPresence(_) => 6,
            Self::SetPresence(_) => 7,
            Self::Renew(_) => 8,
            Self::Ping(_) => 9,
            Self::Act(act) => Self::OWN.len() + act.number(),
        }
    }
}

/// `hello`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// An access token.
    pub token: String,
    /// The epoch the cursors belong to, as the last `hello` answered it.
    #[serde(default)]
    pub epoch: Option<Epoch>,
    /// The user stream is known up to here; nothing known when absent.
    #[serde(default)]
    pub user_cursor: Option<Revision>,
    /// Rooms to receive from the start; more by `subscribe`.
    #[serde(default)]
    pub rooms: Vec<RoomCursor>,
}

/// A room and how far it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomCursor {
    /// Which room.
    pub room: RoomId,
    /// Known up to this revision; absent: begin at the present.
    #[serde(default)]
    pub cursor: Option<Revision>,
}

/// `subscribe`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Which rooms, and how far each is known.
    pub rooms: Vec<RoomCursor>,
}

/// `unsubscribe`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribe {
    /// Which rooms.
    pub rooms: Vec<RoomId>,
}

/// `post`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostText {
    /// Where.
    pub room: RoomId,
    /// The sender's name for it; the same on every retry.
    pub client_id: ClientId,
    /// What; absent when a message is forwarded.
    #[serde(default)]
    pub text: Option<String>,
    /// The first message of the thread to say it in.
    #[serde(default)]
    pub thread: Option<Seq>,
    /// A message of this room to quote.
    #[serde(default)]
    pub quote: Option<Seq>,
    /// A message to forward.
    #[serde(default)]
    pub forward: Option<MessageName>,
    /// The post to the same room before this one, when it had no reply yet as this one was sent (I1).
    #[serde(default)]
    pub after: Option<ClientId>,
}

/// A message of any room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageName {
    /// Its room.
    #[schema(value_type = String, format = Uuid)]
    pub room: RoomId,
    /// Its number.
    #[schema(value_type = u64)]
    pub seq: Seq,
}

impl From<MessageName> for Forward {
    fn from(name: MessageName) -> Self {
        Self { room: name.room, seq: name.seq }
    }
}

/// `post_direct`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostDirect {
    /// To whom.
    pub user: UserId,
    /// The sender's name for it; the same on every retry.
    pub client_id: ClientId,
    /// What; absent when a message is forwarded.
    #[serde(default)]
    pub text: Option<String>,
    /// A message to forward.
    #[serde(default)]
    pub forward: Option<MessageName>,
    /// As in [`PostText`]: the post to the same person before this one, if it had no answer yet.
    #[serde(default)]
    pub after: Option<ClientId>,
}

/// `watch_presence`, `unwatch_presence`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// Whom.
    pub users: Vec<UserId>,
}

/// `set_presence`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPresence {
    /// Whether the person is at this device.
    pub state: DeviceState,
}

/// What a device knows of its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// In use.
    Online,
    /// Connected, not in use.
    Away,
}

/// `renew`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// The newer access token, of the same login.
    pub token: String,
}

/// `ping`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {}

/// Why a frame is no command.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The `ref` to answer to, when one could be read.
    pub reference: Option<u64>,
    /// [`Fault::UnknownCommand`] or [`Fault::BadRequest`].
    pub fault: Fault,
    /// What is wrong and where. It may repeat a part of the frame: for the sender's eyes, never for a log (I12).
    pub reason: String,
}

/// The largest `ref`: JavaScript counts exactly below 2^53.
const MAX_REF: u64 = (1 << 53) - 1;

/// Reads one text frame.
///
/// # Errors
/// [`Malformed`], with the `ref` where there was one, so that the sender can be answered.
pub fn decode(frame: &str) -> Result<(u64, Command), Malformed> {
    serde_json::from_str::<Frame>(frame).map(|frame| (frame.reference, frame.command)).map_err(|error| {
        let reason = error.to_string();
        let fault = if reason.starts_with(UNKNOWN_COMMAND) { Fault::UnknownCommand } else { Fault::BadRequest };
        Malformed { reference: reference_of(frame), fault, reason }
    })
}

/// The `ref` of a frame that is a JSON object but no command.
fn reference_of(frame: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Reference {
        #[serde(rename = "ref")]
        reference: u64,
    }
    // serde reads a struct from an array too; a command is an object.
    let object = frame.trim_start().starts_with('{').then_some(frame)?;
    serde_json::from_str::<Reference>(object).ok().map(|frame| frame.reference).filter(|reference| *reference <= MAX_REF)
}

const UNKNOWN_COMMAND: &str = "no such command";

struct Frame {
    reference: u64,
    command: Command,
}

impl<'de> Deserialize<'de> for Frame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FrameVisitor)
    }
}

struct FrameVisitor;

impl<'de> Visitor<'de> for FrameVisitor {
    type Value = Frame;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `ref` and one command")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Frame, A::Error> {
        let (mut reference, mut command) = (None, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "ref" {
                if reference.replace(map.next_value::<u64>()?).is_some() {
                    return Err(A::Error::duplicate_field("ref"));
                }
            } else if command.replace(named(&key, &mut map)?).is_some() {
                return Err(A::Error::custom("one frame carries one command"));
            }
        }
        let reference = reference.ok_or_else(|| A::Error::missing_field("ref"))?;
        if reference > MAX_REF {
            return Err(A::Error::custom("ref is larger than 2^53 - 1"));
        }
        let command = command.ok_or_else(|| A::Error::custom("the command is missing"))?;
        Ok(Frame { reference, command })
    }
}

/// Every command by its name on the wire.
fn named<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Command, A::Error> {
    Ok(match name {
        "hello" => Command::Hello(map.next_value()?),
        "subscribe" => Command::Subscribe(map.next_value()?),
        "unsubscribe" => Command::Unsubscribe(map.next_value()?),
        "post" => Command::Post(map.next_value()?),
        "post_direct" => Command::PostDirect(map.next_value()?),
        "watch_presence" => Command::WatchPresence(map.next_value()?),
        "unwatch_presence" => Command::UnwatchPresence(map.next_value()?),
        "set_presence" => Command::SetPresence(map.next_value()?),
        "renew" => Command::Renew(map.next_value()?),
        "ping" => Command::Ping(map.next_value()?),
        name => Command::Act(Act::named(name, map)?.ok_or_else(|| A::Error::custom(UNKNOWN_COMMAND))?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_whatever_the_order_of_keys() {
        for frame in [r#"{"ref":7,"ping":{}}"#, r#" {"ping" : {}, "ref":7 }"#] {
            assert!(matches!(decode(frame), Ok((7, Command::Ping(Ping {})))), "{frame}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused_and_keeps_its_ref() {
        let cases = [
            ("", None, Fault::BadRequest),
            ("[1]", None, Fault::BadRequest),
            (r#"{"ping":{}}"#, None, Fault::BadRequest),
            (r#"{"ref":9007199254740992,"ping":{}}"#, None, Fault::BadRequest),
            (r#"{"ref":1}"#, Some(1), Fault::BadRequest),
            (r#"{"ref":1,"ping":{},"renew":{"token":"t"}}"#, Some(1), Fault::BadRequest),
            (r#"{"ref":1,"fly":{}}"#, Some(1), Fault::UnknownCommand),
            (r#"{"fly":{},"ref":1}"#, Some(1), Fault::UnknownCommand),
            (r#"{"ref":1,"ping":{"x":1}}"#, Some(1), Fault::BadRequest),
            (r#"{"ref":1,"post":{"room":"x"}}"#, Some(1), Fault::BadRequest),
        ];
        for (frame, reference, fault) in cases {
            let malformed = decode(frame).unwrap_err();
            assert_eq!((malformed.reference, malformed.fault), (reference, fault), "{frame}: {}", malformed.reason);
        }
    }
}
