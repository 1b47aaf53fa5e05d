//! What a room does that is no plain post: posts about which something must be known first, and changes of the room, its people and its
//! messages. All of it is decided inside a transaction; the room only has it carried out and delivers what came of it.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::time::timeout_at;

use super::actor::RoomActor;
use super::messages::{PostGroup, or_unknown};
use super::state::order::Committed;
use super::state::posting;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::message::MessageChange;
use crate::domain::order::Seq;
use crate::domain::text::MessageText;
use crate::domain::user::Actor;
use crate::faults;
use crate::moderation::filters::Cause;
use crate::persistence::handle::Key;
use crate::persistence::owed::Owed;
use crate::store::Operation;
use crate::store::messages::change::ChangeMessage;
use crate::store::rooms::Changed;

impl RoomActor {
    /// Finds out what must be known of the posts of a group that counts as in flight already.
    pub(super) fn prepare(&mut self, mut group: PostGroup, ctx: &mut Context<Self>) {
        let posts = std::mem::take(&mut group.posts);
        let (count, preparing, until) = (posts.len(), self.with.preparing.clone(), group.deadline);
        let prepared = async move { timeout_at(until, preparing.posts(posts)).await };
        ctx.spawn(prepared.into_actor(self).map(move |prepared, room, ctx| match prepared {
            Ok(Ok(posts)) => {
                group.posts = posts;
                room.append(group, ctx);
            }
            Ok(Err(error)) => room.give_up(group, count, error.fault().into()),
            Err(_late) => room.give_up(group, count, Fault::Unavailable.into()),
        }));
    }

    /// Answers a group of `count` posts that were taken out of it.
    fn give_up(&mut self, group: PostGroup, count: usize, refusal: Refusal) {
        if let Some(awake) = &mut self.awake {
            awake.in_flight.end(count);
        }
        group.owed.settle(Ok(posting::all_refused(refusal, count)));
    }

    pub(super) fn prepare_edit(
        &mut self,
        actor: Actor,
        seq: Seq,
        (text, verdict, cause): (MessageText, Result<(), Fault>, Option<Cause>),
        owed: Owed<Changed>,
        ctx: &mut Context<Self>,
    ) {
        let preparing = self.with.preparing.clone();
        let mentions = async move {
            let mentions = preparing.mentions(text.as_str()).await;
            (text, mentions)
        };
        ctx.spawn(mentions.into_actor(self).map(move |(text, mentions), room, ctx| match mentions {
            Ok(mentions) => {
                let least = room.with.mention_all_role;
                let known = room.awake.as_ref().map(|awake| awake.membership.mentioned(actor.user, &mentions, least));
                let mentions = known.unwrap_or_default();
                room.change_message(actor, (seq, MessageChange::Edit { text, mentions, verdict }, cause), owed, ctx);
            }
            Err(error) => {
                if let Some(awake) = &mut room.awake {
                    awake.changes_in_flight = awake.changes_in_flight.saturating_sub(1);
                }
                owed.settle(Err(error.fault().into()));
            }
        }));
    }

    pub(super) fn change_message(
        &mut self,
        actor: Actor,
        (seq, change, cause): (Seq, MessageChange, Option<Cause>),
        mut owed: Owed<Changed>,
        ctx: &mut Context<Self>,
    ) {
        owed.stake();
        let (now, limits) = (self.with.clock.now(), self.with.message_limits);
        let deletes = matches!(change, MessageChange::Delete { .. });
        let operation = ChangeMessage { actor, room: self.room, seq, change, now, limits };
        let changed = self.with.persistence.run(Key::Room(self.room), operation);
        ctx.spawn(changed.into_actor(self).map(move |changed, room, ctx| {
            let changed = or_unknown(changed);
            let is_new = changed.as_ref().is_ok_and(|changed| changed.changes.is_some());
            if let Some(cause) = cause.filter(|_| is_new) {
                room.report_message(seq, cause, ctx);
            }
            if deletes && is_new {
                room.with.notify.queued();
            }
            room.changed(changed, owed, ctx);
        }));
    }

    /// Has a change that counts as in flight carried out.
    pub(super) fn run(&mut self, operation: impl Operation<Output = Changed>, mut owed: Owed<Changed>, ctx: &mut Context<Self>) {
        owed.stake();
        let changed = self.with.persistence.run(Key::Room(self.room), operation);
        ctx.spawn(changed.into_actor(self).map(|changed, room, ctx| room.changed(or_unknown(changed), owed, ctx)));
    }

    fn changed(&mut self, changed: Result<Changed, Refusal>, owed: Owed<Changed>, ctx: &mut Context<Self>) {
        faults::panic_point("room.panic_after_commit");
        let Some(awake) = &mut self.awake else { return };
        awake.changes_in_flight = awake.changes_in_flight.saturating_sub(1);
        match &changed {
            Ok(Changed { room, changes, user_heads }) => {
                awake.order.note_head(room.head);
                self.with.relays.announce_user_heads(user_heads);
                let committed = changes.clone().map(|changes| Committed { changes, room: Some(room.clone()) });
                self.on_committed(committed, ctx);
            }
            Err(refusal) => self.reload_if_unknown(*refusal, ctx),
        }
        owed.settle(changed);
    }
}
