//! What a command is answered with.

use super::moderation::{AuditEntry, Filter, Part, Report, Reported};
use super::profile::Person;
use crate::domain::ids::{AuditId, Epoch, FilterId, ReportId, RoomId, SessionId, UserId};
use crate::domain::order::{Revision, Seq};
use crate::domain::user::FoundUpTo;
use crate::protocol::error::ErrorBody;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// The answer to one command.
#[derive(Debug, Serialize)]
pub struct Reply {
    /// The command's `ref`; absent when a frame was so malformed that it had none.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<u64>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Done, or not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Ok(Done),
    /// Not done, or not known to be.
    Error(ErrorBody),
}

/// What a command that was done answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Done {
    /// To `hello`.
    Welcome(Box<Welcome>),
    /// To `subscribe`.
    Subscribed(Subscribed),
    /// To `post` and `post_direct`.
    Posted(Posted),
    /// To `renew`.
    Renewed(Renewed),
    /// To `report`.
    Reported(Reported),
    /// To `reports`.
    Reports(Part<Report, ReportId>),
    /// To `get_report` and `handle_report`.
    Report(Box<Report>),
    /// To `audit`.
    Audit(Part<AuditEntry, AuditId>),
    /// To `filters`.
    Filters(Part<Filter, FilterId>),
    /// To `add_filter`.
    Filter(Box<Filter>),
    /// To `people`.
    People(Part<Person, FoundUpTo>),
    /// To all others: `{}`.
    Nothing {},
}

/// The answer to `hello`.
#[derive(Debug, Serialize)]
pub struct Welcome {
    /// This connection.
    pub session: SessionId,
    /// Who the token says you are.
    pub user: UserId,
    /// The store's epoch: cursors are worth something only together with it.
    pub epoch: Epoch,
    /// The newest revision of the user stream; what is missed follows in `user_changes`.
    pub user_head: Revision,
    /// True when the user cursor could not be continued: drop what is known of the user stream, all of it follows.
    pub user_reset: bool,
    /// The rooms of `hello`, as `subscribe` answers them.
    pub rooms: Vec<SubscribedRoom>,
    /// When the access token ends.
    pub token_expires_at: DateTime<Utc>,
    /// The server's clock.
    pub server_time: DateTime<Utc>,
    /// The server pings this often; hear nothing for twice as long and the connection is dead.
    pub ping_interval_ms: u64,
    /// The limits a client should know.
    pub limits: Limits,
}

/// Limits that a client can keep by itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Limits {
    /// Bytes of a message's text.
    pub text_max_bytes: u64,
    /// Bytes of a frame sent by the client.
    pub frame_max_bytes: u64,
    /// Rooms in one `hello` or `subscribe`.
    pub rooms_per_frame: u64,
    /// People in one presence command, and watched in all by one connection.
    pub watches: u64,
    /// Posts without a reply yet, per room.
    pub posts_in_flight: u64,
}

/// The answer to `subscribe`.
#[derive(Debug, Serialize)]
pub struct Subscribed {
    /// Each room, in the order asked.
    pub rooms: Vec<SubscribedRoom>,
}

/// What became of one room's subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscribedRoom {
    /// Which.
    pub room: RoomId,
    /// `live`, `resuming`, `reset` or `refused`.
    #[serde(flatten)]
    pub start: Start,
}

/// From where on a room is received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Start {
    /// Nothing was missed: live from `head` on.
    Live {
        /// The room's newest revision.
        head: Revision,
    },
    /// What was missed follows in `changes`, then live.
    Resuming {
        /// The room's newest revision now.
        head: Revision,
    },
    /// The cursor cannot be continued (or there was none): drop what is known of the room, fetch history, members and room; live from `head` on.
    Reset {
        /// The room's newest revision: the cursor from here on.
        head: Revision,
        /// Why.
        reason: ResetReason,
    },
    /// Not received.
    Refused {
        /// Why.
        error: ErrorBody,
    },
}

/// Why a cursor cannot be continued (I7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// There was no cursor.
    NoCursor,
    /// Another epoch: the store was restored.
    Epoch,
    /// The cursor is above the room's head.
    AboveHead,
    /// Membership was not continuous since the cursor.
    Rejoined,
    /// More than `resume_max_changes` were missed.
    TooFar,
}

/// The answer to a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Posted {
    /// In which room.
    #[schema(value_type = String, format = Uuid)]
    pub room: RoomId,
    /// The message's number.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// The revision it was committed under.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// When it was stored, UTC.
    pub created_at: DateTime<Utc>,
    /// It had been stored before; this request changed nothing.
    pub repeat: bool,
}

/// The answer to `renew`.
#[derive(Debug, Serialize)]
pub struct Renewed {
    /// When the newer token ends.
    pub token_expires_at: DateTime<Utc>,
}
