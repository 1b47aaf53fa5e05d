//! What is a person's own, as it travels: preferences and drafts.

use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::notification::{self, NotificationKind};
use crate::domain::order::{Revision, Seq};
use crate::domain::preference::{self, DirectRule, FOREVER, Following, Keyword, Notify, PreferencesChange};
use crate::domain::time::Timestamp;
use crate::domain::{draft, preference::QuietHours};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// Until when something is muted: a time, or the word `forever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until(pub Timestamp);

/// The word for what does not end.
const FOR_GOOD: &str = "forever";

impl Serialize for Until {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 >= FOREVER { serializer.serialize_str(FOR_GOOD) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == FOR_GOOD {
            return Ok(Self(FOREVER));
        }
        let expected = || serde::de::Error::custom("expected a time as in RFC 3339, or \"forever\"");
        let named: DateTime<Utc> = text.parse::<DateTime<chrono::FixedOffset>>().map_err(|_| expected())?.into();
        Ok(Self(preference::end(named)))
    }
}

/// What I prefer of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoomPreferences {
    /// The revision of my stream at which this last changed; zero: never.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// The room.
    #[schema(value_type = String, format = Uuid)]
    pub room: RoomId,
    /// Muted until then, or `forever`; absent: not muted.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Until>,
    /// Of what to be told: `default`, `all`, `mentions` or `nothing`.
    #[schema(value_type = String)]
    pub notify: Notify,
}

impl From<&preference::RoomPreferences> for RoomPreferences {
    fn from(of: &preference::RoomPreferences) -> Self {
        Self { revision: of.revision, room: of.room, muted_until: of.muted_until.map(Until), notify: of.notify }
    }
}

/// What I prefer of a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ThreadPreferences {
    /// The revision of my stream at which this last changed; zero: never.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// The room.
    #[schema(value_type = String, format = Uuid)]
    pub room: RoomId,
    /// The thread's first message.
    #[schema(value_type = u64)]
    pub thread: Seq,
    /// Whether I follow it: `default` (if I take part), `yes` or `no`.
    #[schema(value_type = String)]
    pub following: Following,
    /// Muted until then, or `forever`; absent: not muted.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Until>,
}

impl From<&preference::ThreadPreferences> for ThreadPreferences {
    fn from(of: &preference::ThreadPreferences) -> Self {
        let preference::ThreadPreferences { room, thread, following, muted_until, revision } = *of;
        Self { revision, room, thread, following, muted_until: muted_until.map(Until) }
    }
}

/// What I have begun to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Draft {
    /// The revision of my stream at which this last changed.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// The room.
    #[schema(value_type = String, format = Uuid)]
    pub room: RoomId,
    /// The thread's first message; absent: in the room.
    #[schema(value_type = Option<u64>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Seq>,
    /// As far as it is written; empty: there is none any more.
    pub text: String,
    /// When it was written.
    pub changed_at: DateTime<Utc>,
}

impl From<&draft::Draft> for Draft {
    fn from(draft: &draft::Draft) -> Self {
        Self {
            revision: draft.revision,
            room: draft.room,
            thread: draft.thread,
            text: draft.text.as_str().to_owned(),
            changed_at: draft.changed_at,
        }
    }
}

/// That somebody said something I am to be told of: without its text, which is read like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Notification {
    /// The revision of my stream at which this last changed.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// The message's room.
    #[schema(value_type = String, format = Uuid)]
    pub room: RoomId,
    /// The message.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Why: `direct`, `mention`, `room_mention`, `online_mention`, `keyword`, `thread` or `all`; the first of these that fits.
    #[schema(value_type = String)]
    pub kind: NotificationKind,
    /// Who wrote it.
    #[schema(value_type = String, format = Uuid)]
    pub author: UserId,
    /// It came in my quiet hours: to be shown without a sound.
    pub quiet: bool,
    /// The message was deleted since: take the notification away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// When I was notified.
    pub created_at: DateTime<Utc>,
}

impl From<&notification::Notification> for Notification {
    fn from(of: &notification::Notification) -> Self {
        let notification::Notification { room, seq, kind, author, quiet, gone, created_at, revision } = *of;
        Self { revision, room, seq, kind, author, quiet, gone, created_at }
    }
}

/// Minutes of my day in which I do not want to be disturbed; they may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// From this minute on, 0 to 1439.
    pub from: i64,
    /// Before this one.
    pub until: i64,
}

/// What I prefer altogether.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Preferences {
    /// The revision of my stream at which this last changed; zero: never.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// Others see how far I have read, and I see it of others.
    pub receipts: bool,
    /// Of whom I take direct messages: `everyone`, `shared_rooms` or `nobody`.
    #[schema(value_type = String)]
    pub direct: DirectRule,
    /// When I do not want to be disturbed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// Of what to be told in rooms: `default`, `all`, `mentions` or `nothing`.
    #[schema(value_type = String)]
    pub notify: Notify,
    /// Words I want to be told of.
    pub keywords: Vec<String>,
}

impl From<&preference::Preferences> for Preferences {
    fn from(of: &preference::Preferences) -> Self {
        let quiet = of.quiet.map(QuietHours::minutes);
        Self {
            revision: of.revision,
            receipts: of.receipts,
            direct: of.direct,
            quiet: quiet.map(|(from, until)| Quiet { from: from.into(), until: until.into() }),
            notify: of.notify,
            keywords: of.keywords.iter().map(|word| word.as_str().to_owned()).collect(),
        }
    }
}

/// New preferences; what is absent stays. The body in REST, and `set_preferences` on a socket.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPreferences {
    /// Show and see receipts.
    #[serde(default)]
    pub receipts: Option<bool>,
    /// `everyone`, `shared_rooms` or `nobody`.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub direct: Option<DirectRule>,
    /// Quiet hours; null: none.
    #[schema(value_type = Option<Quiet>)]
    #[serde(default, deserialize_with = "present")]
    pub quiet: Option<Option<Quiet>>,
    /// `default`, `all`, `mentions` or `nothing`.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    pub notify: Option<Notify>,
    /// All keywords.
    #[serde(default)]
    pub keywords: Option<Vec<String>>,
}

/// What is there, null too.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What was read; where that failed for no reason of its own name, the advice says what is expected in which field.
pub(super) fn expected<T>(read: Result<T, Fault>, advice: &'static str) -> Result<T, Refusal> {
    read.map_err(|fault| match fault {
        Fault::BadRequest => Refusal::advising(fault, advice),
        named => named.into(),
    })
}

impl SetPreferences {
    /// As a change, with at most so many keywords of so many characters.
    ///
    /// # Errors
    /// What is wrong with it; [`Fault::LimitReached`] for too many keywords.
    pub fn change(self, keywords_max: usize, keyword_chars_max: usize) -> Result<PreferencesChange, Refusal> {
        let Self { receipts, direct, quiet, notify, keywords } = self;
        if keywords.as_ref().is_some_and(|words| words.len() > keywords_max) {
            return Err(Fault::LimitReached.into());
        }
        let parse = |words: Vec<String>| words.iter().map(|word| Keyword::parse(word, keyword_chars_max)).collect();
        let hours = |quiet: Option<Quiet>| quiet.map(|Quiet { from, until }| QuietHours::parse(from, until)).transpose();
        Ok(PreferencesChange {
            receipts,
            direct,
            quiet: quiet.map(hours).transpose()?,
            notify,
            keywords: expected(
                keywords.map(parse).transpose(),
                "keywords are one to eight words each, with no control characters; signs alone are no word.",
            )?,
        })
    }
}
