//! `[limits]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::{ByteSize, duration};

/// How much of everything there may be (I4).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Text of one message in bytes of UTF-8.
    pub text_max: ByteSize,
    /// One WebSocket message, fragments put together.
    pub frame_max: ByteSize,
    /// Rooms one user is a member of; the first direct message of somebody else makes one more all the same.
    pub rooms_per_user: usize,
    /// Rooms one user owns.
    pub rooms_owned_per_user: usize,
    /// Members of one room.
    pub members_per_room: usize,
    /// People in a group conversation, its maker included.
    pub group_members_max: usize,
    /// Open invitations of people to one room.
    pub invites_per_room: usize,
    /// People banned from one room.
    pub bans_per_room: usize,
    /// Invite links of one room.
    pub invite_links_per_room: usize,
    /// People one user blocks.
    pub blocks_per_user: usize,
    /// People one user mutes.
    pub mutes_per_user: usize,
    /// Filters of one room.
    pub filters_per_room: usize,
    /// Filters that hold in every room.
    pub filters_everywhere: usize,
    /// Drafts one user has kept.
    pub drafts_per_user: usize,
    /// Threads of which one user has preferences.
    pub thread_preferences_per_user: usize,
    /// Keywords one user wants to be told of.
    pub keywords_per_user: usize,
    /// Longest keyword in characters, at most 64.
    pub keyword_max: usize,
    /// Longest life of an invite link.
    #[serde(deserialize_with = "duration")]
    pub invite_link_ttl_max: Duration,
    /// Rows in a page when the request names no number.
    pub page_default: usize,
    /// Rows in a page at most.
    pub page_max: usize,
    /// Open sockets of one user; a further one is closed as too_many.
    pub sessions_per_user: usize,
    /// Rooms one session is subscribed to.
    pub subscriptions_per_session: usize,
    /// People whose presence one session watches.
    pub watches_per_session: usize,
    /// Posts of one session to one room that are sent or gathered and not answered yet.
    pub posts_in_flight: usize,
    /// Commands of one session that are not answered yet, over all rooms.
    pub commands_in_flight: usize,
    /// Resume cursors in one frame; more follow in further frames.
    pub cursors_per_frame: usize,
    /// Rooms awake on this node; beyond it waking another answers busy.
    pub rooms_awake: usize,
}
