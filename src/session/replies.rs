//! How a command is answered: once, counted, and with what the other side needs to come back.

use super::actor::{Core, Session};
use super::ports::Promise;
use crate::delivery::frame;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::IncidentId;
use crate::protocol::v1::push::Push;
use crate::protocol::v1::reply::{Done, Outcome, Reply};
use actix::Context;

impl Core {
    /// Asks, counting the command as open until `then` has answered it.
    pub(super) fn answer_later<T: 'static>(
        &mut self,
        ctx: &mut Context<Session>,
        answer: Promise<T>,
        then: impl FnOnce(&mut Core, &mut Context<Session>, Result<T, Refusal>) + 'static,
    ) {
        if let Some(open) = &mut self.open {
            open.in_flight += 1;
        }
        self.ask(ctx, answer, |core, ctx, answer| {
            if let Some(open) = &mut core.open {
                open.in_flight = open.in_flight.saturating_sub(1);
            }
            then(core, ctx, answer);
            core.close_if_drained();
        });
    }

    pub(super) fn done(&self, reference: u64, done: Done) {
        self.thread.shared.relay.tally().reply(None);
        self.push_reply(Some(reference), Outcome::Ok(done));
    }

    pub(super) fn refuse(&self, reference: u64, refusal: impl Into<Refusal>) {
        let refusal = self.answerable(refusal.into());
        self.thread.shared.relay.tally().reply(Some(refusal.fault));
        self.push_reply(Some(reference), Outcome::Error(refusal.into()));
    }

    /// With what is known only where the answer leaves: when to come back, and for a fault of ours a line in the log that says whose
    /// session it was. Its cause was logged where it happened, under the same id if that was handed on.
    pub(super) fn answerable(&self, refusal: Refusal) -> Refusal {
        let refusal = refusal.or_after(|fault| self.thread.shared.config.database.come_back_after(fault));
        if refusal.fault != Fault::Internal {
            return refusal;
        }
        let incident = refusal.incident.unwrap_or_else(IncidentId::generate);
        let user = self.open.as_ref().map(|open| open.actor.user);
        tracing::error!(%incident, session = %self.id, ?user, "a fault of the server was answered");
        Refusal { incident: Some(incident), ..refusal }
    }

    pub(super) fn push_reply(&self, reference: Option<u64>, outcome: Outcome) {
        // A full outbox closes the socket; there is nothing else to do about it.
        self.outbox.push(frame::text(&Reply { reference, outcome }));
    }

    pub(super) fn push(&self, push: &Push) {
        self.outbox.push(frame::text(push));
    }
}
