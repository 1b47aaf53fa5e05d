//! Typing: decided like a post, passed on to the relays, kept nowhere.
//!
//! Invariant: it reaches nobody whom the one who types blocks (I10); who blocks them is left out at the relay, which knows whom its viewers hide.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use tokio::time::Instant;

use super::actor::RoomActor;
use super::messages::{Refusable, Types};
use crate::delivery::ephemeral::Ephemeral;
use crate::domain::ids::UserId;
use crate::domain::order::Seq;
use crate::store::relations;
use crate::supervision::mailbox::Queued;

impl Handler<Queued<Types>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<Types>, ctx: &mut Context<Self>) {
        let types = message.open();
        let now = Instant::now();
        self.last_used = now;
        let Some(awake) = &mut self.awake else { return types.refuse(self.absence.into()) };
        let (user, thread) = (types.user, types.thread);
        if let Err(fault) = awake.membership.may_type(user, thread, self.with.clock.now()) {
            return types.refuse(fault.into());
        }
        if !self.feeding.is_empty() && awake.typing.begins(user, now, self.with.settings.typing_pause) {
            let store = self.with.store.clone();
            let blocked =
                async move { store.read(move |db| Box::pin(async move { relations::hidden_from(db, user).await })).await };
            // A read that fails loses it, as much else may.
            ctx.spawn(blocked.into_actor(self).map(move |blocked, room, _| {
                if let Ok(blocked) = blocked {
                    room.pass_typing_on(user, thread, blocked);
                }
            }));
        }
        types.owed.settle(Ok(()));
    }
}

impl RoomActor {
    fn pass_typing_on(&self, user: UserId, thread: Option<Seq>, blocked: Vec<UserId>) {
        let Some(awake) = &self.awake else { return };
        // They may have been put out meanwhile.
        if awake.membership.may_type(user, thread, self.with.clock.now()).is_err() {
            return;
        }
        let withheld = awake.membership.those_in_it(blocked);
        let ephemeral = Arc::new(Ephemeral::typing(self.room, user, thread, self.with.settings.typing_for, withheld));
        self.feeding.relays().for_each(|relay| relay.ephemeral(Arc::clone(&ephemeral)));
    }
}
