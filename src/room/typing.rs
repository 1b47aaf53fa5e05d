//! Typing: decided like a post, passed on to the relays, kept nowhere.

use std::sync::Arc;

use actix::{Context, Handler};
use tokio::time::Instant;

use super::actor::RoomActor;
use super::messages::{Refusable, Types};
use crate::delivery::ephemeral::Ephemeral;
use crate::supervision::mailbox::Queued;

impl Handler<Queued<Types>> for RoomActor {
    type Result = ();

    fn handle(&mut self, message: Queued<Types>, _: &mut Context<Self>) {
        let types = message.open();
        let now = Instant::now();
        self.last_used = now;
        let Some(awake) = &mut self.awake else { return types.refuse(self.absence.into()) };
        if let Err(fault) = awake.membership.may_type(types.user, types.thread, self.with.clock.now()) {
            return types.refuse(fault.into());
        }
        if awake.typing.begins(types.user, now, self.with.settings.typing_pause) {
            let lasts = self.with.settings.typing_for;
            let ephemeral = Arc::new(Ephemeral::typing(self.room, types.user, types.thread, lasts, Vec::new()));
            self.feeding.relays().for_each(|relay| relay.ephemeral(Arc::clone(&ephemeral)));
        }
        types.owed.settle(Ok(()));
    }
}
