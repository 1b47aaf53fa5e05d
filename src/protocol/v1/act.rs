//! Commands that are one question with one answer: what a person does to a message, a room, another person, or what is their own. REST has a
//! route for each. What concerns the connection itself, and posts, whose order counts, are in [`super::command`].

use super::moderation_acts::{AddFilter, Audit, Filters, GetReport, HandleReport, RemoveFilter, Report, Reports};
use super::own::SetPreferences;
use super::own_act::{
    Block, Delivered, Mute, Read, ReadAll, SetDraft, SetRoomPreferences, SetThreadPreferences, Unblock, Unmute,
};
use super::profile::{ChangeProfile, People};
use super::room_act::{
    Ban, ChangeRoom, Decline, DeleteRoom, Invite, Join, Kick, Leave, SetRole, Silence, Transfer, Typing, Unban, Uninvite,
    Unsilence,
};
use crate::domain::ids::RoomId;
use crate::domain::order::Seq;
use serde::Deserialize;
use serde::de::MapAccess;

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident => $word:literal;)*) => {
        /// What a person does; on the wire `{"ref": 7, "edit": {…}}`.
        #[derive(Debug)]
        pub enum Act {
            $($(#[$doc])* $name($name),)*
        }

        impl Act {
            /// How each is called on the wire, in the order of [`Act::number`].
            pub const NAMES: &[&str] = &[$($word),*];

            /// Its place in [`Act::NAMES`].
            #[must_use]
            pub fn number(&self) -> usize {
                let name = match self {
                    $(Self::$name(_) => $word,)*
                };
                Self::NAMES.iter().position(|known| *known == name).unwrap_or(0)
            }

            /// Reads the act of that name; `None` if there is none.
            pub(super) fn named<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<Self>, A::Error> {
                Ok(Some(match name {
                    $($word => Self::$name(map.next_value()?),)*
                    _ => return Ok(None),
                }))
            }
        }
    };
}

acts! {
    /// Change the text of one's message.
    Edit => "edit";
    /// Delete a message.
    Delete => "delete";
    /// React to a message with an emoji.
    React => "react";
    /// Take a reaction back.
    Unreact => "unreact";
    /// Pin a message.
    Pin => "pin";
    /// Unpin a message.
    Unpin => "unpin";
    /// Block a person.
    Block => "block";
    /// Block a person no more.
    Unblock => "unblock";
    /// Mute a person.
    Mute => "mute";
    /// Mute a person no more.
    Unmute => "unmute";
    /// Join a public room, or one that one is invited to.
    Join => "join";
    /// Leave a room.
    Leave => "leave";
    /// Turn an invitation down.
    Decline => "decline";
    /// Invite somebody.
    Invite => "invite";
    /// Take an invitation back.
    Uninvite => "uninvite";
    /// Put a member out.
    Kick => "kick";
    /// Put somebody out and keep them out.
    Ban => "ban";
    /// Lift a ban.
    Unban => "unban";
    /// Keep somebody from posting for a while.
    Silence => "silence";
    /// End a silence before its time.
    Unsilence => "unsilence";
    /// Give a member a role.
    SetRole => "set_role";
    /// Make another member the owner.
    Transfer => "transfer";
    /// Change a room's settings.
    ChangeRoom => "change_room";
    /// Delete a room for everybody.
    DeleteRoom => "delete_room";
    /// Tell those who look at a room that one is typing.
    Typing => "typing";
    /// Say up to where one has read a room.
    Read => "read";
    /// Say that one has read everything.
    ReadAll => "read_all";
    /// Say up to where a room has been received.
    Delivered => "delivered";
    /// Report a message or a person to moderators.
    Report => "report";
    /// List the reports that one may judge.
    Reports => "reports";
    /// Look at one report.
    GetReport => "get_report";
    /// Say what became of a report.
    HandleReport => "handle_report";
    /// Read the audit log.
    Audit => "audit";
    /// List filters.
    Filters => "filters";
    /// Make a filter.
    AddFilter => "add_filter";
    /// Remove a filter.
    RemoveFilter => "remove_filter";
    /// Set what one prefers of a room.
    SetRoomPreferences => "set_room_preferences";
    /// Set what one prefers of a thread.
    SetThreadPreferences => "set_thread_preferences";
    /// Keep what one has begun to write, or throw it away.
    SetDraft => "set_draft";
    /// Change what one prefers altogether.
    SetPreferences => "set_preferences";
    /// Change how one is shown, and what one says of oneself.
    ChangeProfile => "change_profile";
    /// Look at people, or find them by the beginning of a name.
    People => "people";
}

/// `edit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// In which room.
    pub room: RoomId,
    /// Which message.
    pub seq: Seq,
    /// The new text.
    pub text: String,
}

/// `delete`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// In which room.
    pub room: RoomId,
    /// Which message.
    pub seq: Seq,
    /// Why, for the audit log when it is another's.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `react`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct React {
    /// In which room.
    pub room: RoomId,
    /// To which message.
    pub seq: Seq,
    /// With what.
    pub emoji: String,
}

/// `unreact`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreact {
    /// In which room.
    pub room: RoomId,
    /// To which message.
    pub seq: Seq,
    /// With what.
    pub emoji: String,
}

/// `pin`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// In which room.
    pub room: RoomId,
    /// Which message.
    pub seq: Seq,
}

/// `unpin`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpin {
    /// In which room.
    pub room: RoomId,
    /// Which message.
    pub seq: Seq,
}
