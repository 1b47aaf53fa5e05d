//! What the acts about what is one's own carry: how one stands to others, and up to where one has read.

use crate::domain::ids::{RoomId, UserId};
use crate::domain::order::Seq;
use serde::Deserialize;

macro_rules! about_a_person {
    ($($name:ident $word:literal,)*) => {$(
        #[doc = concat!("`", $word, "`.")]
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Whom.
            pub user: UserId,
        }
    )*};
}

about_a_person!(Block "block", Unblock "unblock", Mute "mute", Unmute "unmute",);

/// `read`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Which room.
    pub room: RoomId,
    /// Up to this message.
    pub seq: Seq,
}

/// `read_all`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadAll {}

/// `delivered`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivered {
    /// Which room.
    pub room: RoomId,
    /// Up to this message.
    pub seq: Seq,
}
