//! What a person does over a socket, save posting: from an act to the part that does it, and from its answer to the reply.
//!
//! REST asks the same parts in the same words; the rules are theirs. Must not know: sessions, frames.

use super::moderation;
use super::node::{Node, settled};
use super::own_acts;
use super::room_acts;
use crate::domain::emoji::Emoji;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::RoomId;
use crate::domain::message::MessageChange;
use crate::domain::order::Seq;
use crate::domain::text::{MessageText, Reason};
use crate::domain::user::Actor;
use crate::protocol::v1::act::Act;
use crate::protocol::v1::reply::Done;

/// Does it and says what came of it.
pub(super) async fn carry_out(node: Node, actor: Actor, act: Act) -> Result<Done, Refusal> {
    match act {
        act @ (Act::Block(_)
        | Act::Unblock(_)
        | Act::Mute(_)
        | Act::Unmute(_)
        | Act::Read(_)
        | Act::ReadAll(_)
        | Act::Delivered(_)
        | Act::SetRoomPreferences(_)
        | Act::SetThreadPreferences(_)
        | Act::SetDraft(_)
        | Act::SetPreferences(_)
        | Act::ChangeProfile(_)
        | Act::People(_)) => own_acts::carry_out(node, actor, act).await,
        Act::Edit(edit) => {
            let text = MessageText::parse(edit.text, node.text_max)?;
            let change = MessageChange::edit(text);
            change_message(&node, actor, (edit.room, edit.seq), change).await
        }
        Act::Delete(delete) => {
            let reason = delete.reason.as_deref().map(Reason::parse).transpose()?;
            change_message(&node, actor, (delete.room, delete.seq), MessageChange::Delete { reason }).await
        }
        Act::React(react) => {
            let change = MessageChange::React(Emoji::parse(&react.emoji)?);
            change_message(&node, actor, (react.room, react.seq), change).await
        }
        Act::Unreact(unreact) => {
            let change = MessageChange::Unreact(Emoji::parse(&unreact.emoji)?);
            change_message(&node, actor, (unreact.room, unreact.seq), change).await
        }
        Act::Pin(pin) => change_message(&node, actor, (pin.room, pin.seq), MessageChange::Pin).await,
        Act::Unpin(unpin) => change_message(&node, actor, (unpin.room, unpin.seq), MessageChange::Unpin).await,
        act @ (Act::Join(_)
        | Act::Leave(_)
        | Act::Decline(_)
        | Act::Invite(_)
        | Act::Uninvite(_)
        | Act::Kick(_)
        | Act::Ban(_)
        | Act::Unban(_)
        | Act::Silence(_)
        | Act::Unsilence(_)
        | Act::SetRole(_)
        | Act::Transfer(_)
        | Act::ChangeRoom(_)
        | Act::DeleteRoom(_)) => room_acts::carry_out(node, actor, act).await,
        Act::Typing(typing) => {
            settled(node.rooms.typing(typing.room, actor.user, typing.thread), Fault::Unavailable).await?;
            Ok(Done::Nothing {})
        }
        Act::Report(ask) => moderation::report(&node, actor, ask).await,
        Act::Reports(ask) => moderation::reports(&node, actor, ask).await,
        Act::GetReport(ask) => {
            let report = node.moderation.one_report(actor, ask.report).await?;
            Ok(Done::Report(Box::new((&report).into())))
        }
        Act::HandleReport(ask) => moderation::handle(&node, actor, ask).await,
        Act::Audit(ask) => moderation::audit(&node, actor, ask).await,
        Act::Filters(ask) => moderation::filters(&node, actor, ask.room).await,
        Act::AddFilter(ask) => moderation::add_filter(&node, actor, ask).await,
        Act::RemoveFilter(ask) => moderation::remove_filter(&node, actor, ask).await,
    }
}

async fn change_message(node: &Node, actor: Actor, (room, seq): (RoomId, Seq), change: MessageChange) -> Result<Done, Refusal> {
    settled(node.rooms.change_message(room, actor, seq, change), Fault::OutcomeUnknown).await?;
    Ok(Done::Nothing {})
}
