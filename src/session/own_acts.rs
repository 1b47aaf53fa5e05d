//! What a person does over a socket with what is their own: how they are shown and stand to others, up to where they have read, what they
//! prefer and have begun to write.
//!
//! Must not know: sessions, frames.

use super::node::Node;
use super::own::Hearing;
use super::ports::Counted;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::order::Seq;
use crate::domain::preference::{RoomPreferences, ThreadPreferences};
use crate::domain::reading::Progress;
use crate::domain::relation::RelationChange;
use crate::domain::text::NamePrefix;
use crate::domain::user::Actor;
use crate::protocol::v1::act::Act;
use crate::protocol::v1::moderation::Part;
use crate::protocol::v1::own_act::{
    Block, Delivered, Mute, Read, ReadAll, SetDraft, SetRoomPreferences, SetThreadPreferences, Unblock, Unmute,
};
use crate::protocol::v1::profile::People;
use crate::protocol::v1::reply::Done;

/// Does it and says what came of it. Acts that are not of this kind are refused.
pub(super) async fn carry_out(node: Node, actor: Actor, act: Act) -> Result<Done, Refusal> {
    match act {
        Act::Block(Block { user }) => relate(&node, actor, user, RelationChange::BLOCK).await,
        Act::Unblock(Unblock { user }) => relate(&node, actor, user, RelationChange::UNBLOCK).await,
        Act::Mute(Mute { user }) => relate(&node, actor, user, RelationChange::MUTE).await,
        Act::Unmute(Unmute { user }) => relate(&node, actor, user, RelationChange::UNMUTE).await,
        Act::Read(Read { room, seq }) => report(&node, actor, room, Progress { read: seq, delivered: seq }).await,
        Act::Delivered(Delivered { room, seq }) => report(&node, actor, room, Progress { read: Seq::ZERO, delivered: seq }).await,
        Act::ReadAll(ReadAll {}) => {
            node.reading.read_all(actor.user).await?;
            Ok(Done::Nothing {})
        }
        Act::SetRoomPreferences(SetRoomPreferences { room, muted_until, notify }) => {
            let muted_until = muted_until.map(|until| until.0);
            let wanted = RoomPreferences { muted_until, notify, ..RoomPreferences::none(room) };
            node.accounts.set_room_preferences(actor.user, wanted).await?;
            Ok(Done::Nothing {})
        }
        Act::SetThreadPreferences(SetThreadPreferences { room, thread, following, muted_until }) => {
            let muted_until = muted_until.map(|until| until.0);
            let wanted = ThreadPreferences { following, muted_until, ..ThreadPreferences::none(room, thread) };
            node.accounts.set_thread_preferences(actor.user, wanted).await?;
            Ok(Done::Nothing {})
        }
        Act::SetDraft(SetDraft { room, thread, text }) => {
            node.accounts.set_draft(actor.user, room, thread, text).await?;
            Ok(Done::Nothing {})
        }
        Act::SetPreferences(new) => {
            node.accounts.change_preferences(actor.user, new).await?;
            Ok(Done::Nothing {})
        }
        Act::ChangeProfile(new) => {
            hearing(&node).change_profile(actor.user, new).await?;
            Ok(Done::Nothing {})
        }
        Act::People(ask) => people(&node, actor, ask).await,
        _ => Err(Fault::UnknownCommand.into()),
    }
}

async fn relate(node: &Node, actor: Actor, other: UserId, change: RelationChange) -> Result<Done, Refusal> {
    hearing(node).relate(actor.user, other, change).await?;
    Ok(Done::Nothing {})
}

const fn hearing(node: &Node) -> Hearing<'_> {
    Hearing { accounts: &node.accounts, rooms: &node.rooms, presence: &node.presence, moderation: &node.moderation }
}

async fn people(node: &Node, actor: Actor, ask: People) -> Result<Done, Refusal> {
    let (found, next) = match ask {
        People { users: Some(users), prefix: None, after: None, limit: None } if users.len() <= node.page_rows.max => {
            (node.accounts.people(actor.user, users).await?, None)
        }
        People { users: None, prefix: Some(prefix), after, limit } => {
            let (prefix, rows) = (NamePrefix::parse(&prefix)?, node.page_rows.of(limit)?);
            (node.count)(actor.user, Counted::PeopleSearch)?;
            node.accounts.find_people(actor.user, prefix, after, rows).await?
        }
        _ => return Err(Fault::BadRequest.into()),
    };
    Ok(Done::People(Part { items: found.iter().map(Into::into).collect(), next }))
}

async fn report(node: &Node, actor: Actor, room: RoomId, progress: Progress) -> Result<Done, Refusal> {
    node.reading.report(actor.user, room, progress).await?;
    Ok(Done::Nothing {})
}
