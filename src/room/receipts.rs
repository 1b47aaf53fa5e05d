//! Receipts: how far somebody in a small room has read it, told to the others who look at it.
//!
//! Invariant: they reach nobody with whom there is a block, in whichever direction, and nobody who wants none (I10). They may be lost: whoever
//! subscribes asks for all of them by REST.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};

use super::actor::RoomActor;
use super::messages::MarkRaised;
use crate::delivery::ephemeral::Ephemeral;
use crate::domain::ids::UserId;
use crate::domain::reading::ReadMark;
use crate::policy;
use crate::store::receipts;
use crate::supervision::mailbox::Queued;

impl Handler<Queued<MarkRaised>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<MarkRaised>, ctx: &mut Context<Self>) {
        let MarkRaised { user, mark } = message.open();
        let Some(awake) = &self.awake else { return };
        let shown = policy::shows_receipts(awake.membership.room(), self.with.settings.receipts_members_max);
        if self.feeding.is_empty() || !shown {
            return;
        }
        let (store, people) = (self.with.store.clone(), awake.membership.joined());
        let withheld =
            async move { store.read(move |db| Box::pin(async move { receipts::withheld(db, user, &people).await })).await };
        // A read that fails loses it, as much else may.
        ctx.spawn(withheld.into_actor(self).map(move |withheld, room, _| {
            if let Ok(Some(withheld)) = withheld {
                room.pass_receipt_on(user, &mark, withheld);
            }
        }));
    }
}

impl RoomActor {
    fn pass_receipt_on(&self, user: UserId, mark: &ReadMark, withheld: Vec<UserId>) {
        // They may have left meanwhile.
        if self.awake.as_ref().is_some_and(|awake| awake.membership.sight(user).is_ok()) {
            let ephemeral = Arc::new(Ephemeral::receipt(user, mark, withheld));
            self.feeding.relays().for_each(|relay| relay.ephemeral(Arc::clone(&ephemeral)));
        }
    }
}
