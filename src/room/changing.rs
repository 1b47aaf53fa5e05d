//! What a room does that is no plain post: posts about which something must be known first, and changes of the room, its people and its
//! messages. All of it is decided inside a transaction; the room only has it carried out and delivers what came of it.

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::time::timeout_at;

use super::actor::{RoomActor, STALE_MAX};
use super::messages::{PostGroup, or_unknown};
use super::preparing;
use super::state::membership::Membership;
use super::state::order::Committed;
use super::state::posting;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::message::{Findings, Mentions, MessageChange};
use crate::domain::order::{Revision, Seq};
use crate::domain::report::Judged;
use crate::domain::room::{Room, RoomChange, RoomSettings};
use crate::domain::text::{MessageText, RoomName, Topic};
use crate::domain::user::Actor;
use crate::faults;
use crate::moderation::filters::Filters;
use crate::moderation::handle::announce;
use crate::persistence::handle::Key;
use crate::persistence::owed::Owed;
use crate::store::messages::change::{ChangeMessage, MessageChanged};
use crate::store::rooms::{ChangeRoom, Changed};

/// A new text for a message, on its way.
#[derive(Debug)]
pub(super) struct Editing {
    pub(super) actor: Actor,
    pub(super) seq: Seq,
    pub(super) text: MessageText,
    /// What the filter hook says of it.
    pub(super) hook: Findings,
    /// How often it was decided with filters that had changed.
    pub(super) stale: u32,
    pub(super) owed: Owed<Changed>,
}

impl Editing {
    /// What filters and hook say together. What filters refuse is refused for good; what the hook could not judge may come again.
    fn findings(&self, membership: &Membership, everywhere: &Filters) -> Findings {
        let text = self.text.as_str();
        let (verdict, found) = membership.judge(text).or_stricter(|| everywhere.judge(text)).split();
        Findings {
            verdict: verdict.and(self.hook.verdict),
            suspicion: found.or_else(|| self.hook.suspicion.clone()),
            filters_revision: membership.filters_revision(),
        }
    }
}

/// What the filters that hold everywhere say of what a room is to be called and to be about, where that becomes another.
pub(super) fn judge(change: &RoomChange, room: &Room, everywhere: &Filters) -> Judged {
    let RoomChange::Settings(RoomSettings { name, topic, .. }) = change else { return (Ok(()), None) };
    let name = name.as_ref().map(RoomName::as_str).filter(|name| *name != room.name);
    let topic = topic.as_ref().map(Topic::as_str).filter(|topic| *topic != room.topic);
    everywhere.judge_names(name.into_iter().chain(topic))
}

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

    /// Has a message say something else: with whom that mentions and what filters say of it, as far as the room knows by now.
    pub(super) fn edit(&mut self, editing: Editing, ctx: &mut Context<Self>) {
        if !preparing::may_mention(editing.text.as_str()) {
            return self.edit_mentioning(editing, &Mentions::default(), ctx);
        }
        let (preparing, text) = (self.with.preparing.clone(), editing.text.clone());
        let mentions = async move { preparing.mentions(text.as_str()).await };
        ctx.spawn(mentions.into_actor(self).map(move |mentions, room, ctx| match mentions {
            Ok(mentions) => room.edit_mentioning(editing, &mentions, ctx),
            Err(error) => room.changed(Err(error.fault().into()), editing.owed, ctx),
        }));
    }

    fn edit_mentioning(&mut self, mut editing: Editing, mentions: &Mentions, ctx: &mut Context<Self>) {
        let Some(awake) = &self.awake else { return editing.owed.settle(Err(self.absence.into())) };
        let mentions = awake.membership.mentioned(editing.actor.user, mentions, self.with.mention_all_role);
        let findings = editing.findings(&awake.membership, &self.with.everywhere.filters());
        let (under, reason) = (findings.filters_revision, findings.suspicion.as_ref().map(|suspicion| suspicion.reason));
        editing.owed.stake();
        let (now, limits, text) = (self.with.clock.now(), self.with.message_limits, editing.text.clone());
        let change = MessageChange::Edit { text, mentions, findings };
        let operation = ChangeMessage { actor: editing.actor, room: self.room, seq: editing.seq, change, now, limits };
        let changed = self.with.persistence.run(Key::Room(self.room), operation);
        ctx.spawn(changed.into_actor(self).map(move |changed, room, ctx| match or_unknown(changed) {
            Ok(MessageChanged::StaleFilters) => room.edit_again(editing, under, ctx),
            Ok(MessageChanged::Done(changed)) => {
                if let Some(reason) = reason.filter(|_| changed.changes.is_some()) {
                    announce(reason);
                }
                room.changed(Ok(*changed), editing.owed, ctx);
            }
            Err(refusal) => room.changed(Err(refusal), editing.owed, ctx),
        }));
    }

    /// The filters changed between the verdict and the lock: with what is known by now, or after a look at the store.
    fn edit_again(&mut self, mut editing: Editing, under: Revision, ctx: &mut Context<Self>) {
        editing.stale += 1;
        if editing.stale > STALE_MAX {
            return self.changed(Err(Refusal::busy(self.with.busy_retry_after)), editing.owed, ctx);
        }
        let Some(awake) = &mut self.awake else { return };
        if awake.membership.filters_revision() > under {
            return self.edit(editing, ctx);
        }
        awake.stale_edits.push(editing);
        self.reload(ctx);
    }

    pub(super) fn change_message(
        &mut self,
        actor: Actor,
        seq: Seq,
        change: MessageChange,
        mut owed: Owed<Changed>,
        ctx: &mut Context<Self>,
    ) {
        owed.stake();
        let (now, limits) = (self.with.clock.now(), self.with.message_limits);
        let deletes = matches!(change, MessageChange::Delete { .. });
        let operation = ChangeMessage { actor, room: self.room, seq, change, now, limits };
        let changed = self.with.persistence.run(Key::Room(self.room), operation);
        ctx.spawn(changed.into_actor(self).map(move |changed, room, ctx| {
            let changed = or_unknown(changed).and_then(|changed| match changed {
                MessageChanged::Done(changed) => Ok(*changed),
                // Of edits only.
                MessageChanged::StaleFilters => Err(Fault::Unavailable.into()),
            });
            if deletes && changed.as_ref().is_ok_and(|changed| changed.changes.is_some()) {
                room.with.notify.queued();
            }
            room.changed(changed, owed, ctx);
        }));
    }

    /// Has a change that counts as in flight carried out.
    pub(super) fn run(&mut self, operation: ChangeRoom, mut owed: Owed<Changed>, ctx: &mut Context<Self>) {
        owed.stake();
        let reason = operation.judged.1.as_ref().map(|suspicion| suspicion.reason);
        let changed = self.with.persistence.run(Key::Room(self.room), operation);
        ctx.spawn(changed.into_actor(self).map(move |changed, room, ctx| {
            let changed = or_unknown(changed);
            if let Some(reason) = reason.filter(|_| changed.as_ref().is_ok_and(|changed| changed.changes.is_some())) {
                announce(reason);
            }
            room.changed(changed, owed, ctx);
        }));
    }

    pub(super) fn changed(&mut self, changed: Result<Changed, Refusal>, owed: Owed<Changed>, ctx: &mut Context<Self>) {
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
