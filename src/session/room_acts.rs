//! What a person does to a room and its people: from an act to the change that the room is asked for. REST asks the same changes.
//!
//! Must not know: who may do what (the policy decides inside the change's transaction, I10).

use super::node::{Node, settled};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::RoomId;
use crate::domain::room::RoomChange;
use crate::domain::text::Reason;
use crate::domain::user::Actor;
use crate::protocol::v1::act::Act;
use crate::protocol::v1::reply::Done;
use crate::store::members;

/// Has the room changed.
pub(super) async fn carry_out(node: Node, actor: Actor, act: Act) -> Result<Done, Refusal> {
    let (room, change) = change_of(act)?;
    let put_out = match &change {
        RoomChange::Leave => Some(actor.user),
        RoomChange::Kick { user, .. } | RoomChange::Ban { user, .. } => Some(*user),
        _ => None,
    };
    let deleted = matches!(change, RoomChange::Delete { .. });
    settled(node.rooms.change(room, actor, change), Fault::OutcomeUnknown).await?;
    if let Some(user) = put_out {
        node.presence.membership_ended(user);
    }
    if deleted {
        // The room is gone; should this fail, the tracker finds out by itself.
        let people = node.store.read(move |db| Box::pin(async move { members::everybody(db, room).await })).await;
        node.presence.room_ended(people.unwrap_or_default());
    }
    Ok(Done::Nothing {})
}

fn change_of(act: Act) -> Result<(RoomId, RoomChange), Fault> {
    let why = |reason: Option<String>| reason.as_deref().map(Reason::parse).transpose();
    Ok(match act {
        Act::Join(of) => (of.room, RoomChange::Join),
        Act::Leave(of) => (of.room, RoomChange::Leave),
        Act::Decline(of) => (of.room, RoomChange::Decline),
        Act::Invite(of) => (of.room, RoomChange::Invite { user: of.user }),
        Act::Uninvite(of) => (of.room, RoomChange::Uninvite { user: of.user, reason: why(of.reason)? }),
        Act::Kick(of) => (of.room, RoomChange::Kick { user: of.user, reason: why(of.reason)? }),
        Act::Ban(of) => (of.room, RoomChange::Ban { user: of.user, reason: why(of.reason)? }),
        Act::Unban(of) => (of.room, RoomChange::Unban { user: of.user, reason: why(of.reason)? }),
        Act::Silence(of) => (of.room, RoomChange::silence(of.user, of.until, of.reason.as_deref())?),
        Act::Unsilence(of) => (of.room, RoomChange::Unsilence { user: of.user, reason: why(of.reason)? }),
        Act::SetRole(of) => (of.room, RoomChange::SetRole { user: of.user, role: of.role, reason: why(of.reason)? }),
        Act::Transfer(of) => (of.room, RoomChange::Transfer { user: of.user, reason: why(of.reason)? }),
        Act::ChangeRoom(of) => (of.room, RoomChange::Settings(of.settings.try_into()?)),
        Act::DeleteRoom(of) => (of.room, RoomChange::Delete { reason: why(of.reason)? }),
        _ => return Err(Fault::UnknownCommand),
    })
}
