//! One supervised actor: the future that runs it, catches it and begins it again.
//!
//! Purpose: actix's own `Supervisor` dies with the first panic, mailbox included, and knows no limit. This one polls the actor
//! under `catch_unwind`, wherever the panic strikes (handler, timer, future, stream, `started`, `restarting`, `stopped`), and
//! then calls `ContextFut::restart`, which keeps the address and the mailbox and drops every future and timer of the actor.
//! Neighbours: `policy` decides, `tree` is told. See `docs/decisions/0001-supervision.md`.
//!
//! What an actor has to do for it, since whatever it was doing was abandoned in the middle:
//! - `restarting` throws away everything in hand, open `ReplyTo`s first of all: it is called at once, before any pause.
//! - `started` builds anew and spawns timers and streams again; it is called when the pause is over.
//!
//! Invariants: no panic leaves this future; a mailbox closes only when its actor has ended for good.
//! Must not know: what the actor does.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use actix::dev::ContextFut;
use actix::{Actor, AsyncContext, Context, Supervised};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep};

use super::mailbox::{Mailbox, MailboxGauge};
use super::panic::catch;
use super::policy::{Decision, Ending, RestartClass, RestartPolicy, RestartWindow};
use super::record::ActorState;
use super::tree::{Enlisted, Supervisor};

/// How a child is to be run.
#[derive(Clone, Debug)]
pub struct ChildSpec {
    /// What sort of actor it is: one of few words, as it labels metrics.
    pub kind: &'static str,
    /// Its name among its siblings, the last part of its path.
    pub name: Box<str>,
    /// When it is restarted.
    pub policy: RestartPolicy,
    /// How many messages may wait for it.
    pub mailbox_capacity: u32,
}

impl Supervisor {
    /// Builds an actor and runs it on the current thread's arbiter.
    ///
    /// When a transient child has used up its limit, it ends and its mailbox closes, so that its owner may spawn another; a
    /// permanent one goes on at the expense of the nearest supervisor with some limit left. With none left the root fails.
    pub fn spawn<A>(&self, spec: ChildSpec, build: impl FnOnce(&mut Context<A>) -> A) -> Mailbox<A>
    where
        A: Actor<Context = Context<A>> + Supervised,
    {
        let gauge = MailboxGauge::new(spec.mailbox_capacity);
        let mut context = Context::new();
        // One more than the gauge admits, so that actix never parks a sender: our bound is the one that answers.
        let actix_capacity = usize::try_from(spec.mailbox_capacity).unwrap_or(usize::MAX);
        context.set_mailbox_capacity(actix_capacity.saturating_add(1));
        let mailbox = Mailbox::new(context.address(), gauge.clone());
        let actor = build(&mut context);
        let own = (spec.policy.class == RestartClass::Permanent).then(|| mailbox.clone());
        actix::spawn(Supervision {
            running: Some(context.into_future(actor)),
            entry: self.enlist(spec.kind, spec.name, gauge),
            window: RestartWindow::new(spec.policy),
            restarting: false,
            pause: None,
            runtime: Handle::current(),
            _own: own,
        });
        mailbox
    }
}

/// The future of a supervised actor.
struct Supervision<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    /// The actor with its mailbox; taken out to end it.
    running: Option<ContextFut<A, Context<A>>>,
    entry: Enlisted,
    window: RestartWindow,
    /// Restarted, and `started` has not come through yet.
    restarting: bool,
    /// Until it is over the actor is not polled. Boxed, as hardly any actor ever needs one.
    pause: Option<Pin<Box<Sleep>>>,
    /// Where its timers run.
    runtime: Handle,
    /// A permanent actor's own address: actix does not begin an actor again that nobody can write to, and one that only keeps time is not
    /// written to.
    _own: Option<Mailbox<A>>,
}

impl<A> Future for Supervision<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(cx));
                this.pause = None;
            }
            let Some(running) = &mut this.running else {
                return Poll::Ready(());
            };
            let ending = match catch(|| Pin::new(running).poll(cx)) {
                Ok(Poll::Pending) => {
                    if std::mem::take(&mut this.restarting) {
                        this.entry.set_state(ActorState::Running);
                    }
                    return Poll::Pending;
                }
                Ok(Poll::Ready(())) => Ending::Stopped,
                Err(report) => {
                    this.entry.note_panic(report);
                    Ending::Panicked
                }
            };
            if !this.begin_again(ending) {
                this.end();
                return Poll::Ready(());
            }
        }
    }
}

impl<A> Supervision<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    /// Restarts the actor if it may be, and says whether it was.
    fn begin_again(&mut self, mut ending: Ending) -> bool {
        // A panic in `restarting` is one more panic; the limit ends this loop.
        while let Some(after) = self.pause_before_restart(ending) {
            self.restarting = true;
            self.entry.set_state(ActorState::Restarting);
            let Some(running) = &mut self.running else {
                return false;
            };
            match catch(|| running.restart()) {
                Ok(true) => {
                    self.entry.note_restart();
                    self.pause = (!after.is_zero()).then(|| Box::pin(sleep(after)));
                    return true;
                }
                // Nobody holds its address any more: there is nobody to begin again for.
                Ok(false) => return false,
                Err(report) => {
                    self.entry.note_panic(report);
                    ending = Ending::Panicked;
                }
            }
        }
        false
    }

    /// The pause before the restart that follows `ending`, or none if none follows.
    fn pause_before_restart(&mut self, ending: Ending) -> Option<Duration> {
        if ending == Ending::Stopped && self.entry.is_stopping() {
            return None;
        }
        match self.window.decide(ending, Instant::now().into_std()) {
            Decision::Restart { after } => Some(after),
            Decision::Stop => None,
            Decision::Escalate => {
                let after = self.entry.escalate()?;
                // Only a permanent actor has no owner who would replace it.
                (self.window.policy().class == RestartClass::Permanent).then(|| {
                    self.window.forgive();
                    after
                })
            }
        }
    }

    /// Ends the actor: calls `stopped` if that has not happened, drops it and closes the mailbox, outside of any unwinding,
    /// so that a panic in there is a panic like any other and no abort.
    fn end(&mut self) {
        self.entry.set_state(ActorState::Stopped);
        let running = self.running.take();
        if let Err(report) = catch(|| drop(running)) {
            self.entry.note_panic(report);
        }
    }
}

impl<A> Drop for Supervision<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    /// The arbiter may stop with the actor still running. actix polls a context once more as it drops it: an actor that was never polled
    /// then starts, and may want a timer, while the arbiter has left its runtime already.
    fn drop(&mut self) {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        self.end();
    }
}

#[cfg(test)]
mod tests;
