//! The reader: one per node, permanent, on the core arbiter. It schedules and answers; every rule is in [`super::state`].

use std::collections::HashSet;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Supervised, WrapFuture};

use super::handle::Reading;
use super::messages::{Hurry, Reported, Waiter};
use super::records::{Records, RoomMarks};
use super::state::{Gathered, Gathering};
use crate::config::Config;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::UserId;
use crate::domain::reading::ReadMark;
use crate::faults;
use crate::supervision::mailbox::Queued;
use crate::supervision::policy::RestartPolicy;
use crate::supervision::supervisor::ChildSpec;
use crate::supervision::tree::Supervisor;

/// What the reader is started with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    flush: Duration,
    waiting_max: usize,
    mailbox: u32,
    busy_retry_after: Duration,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            flush: config.accounts.read_mark_flush,
            // A connection that waits for all it may have under way would be read no further.
            waiting_max: (config.limits.commands_in_flight / 4).max(1),
            mailbox: u32::try_from(config.accounts.read_mark_queue).unwrap_or(u32::MAX),
            busy_retry_after: config.database.busy_retry_after,
        }
    }
}

/// Starts the reader below `supervisor` on the current arbiter.
pub fn start(supervisor: &Supervisor, policy: RestartPolicy, records: impl Records, settings: Settings) -> Reading {
    let spec = ChildSpec { kind: "reading", name: "marks".into(), policy, mailbox_capacity: settings.mailbox };
    let reader = Reader { records: Box::new(records), gathering: gathering(settings), settings };
    Reading::new(supervisor.spawn(spec, |_| reader), settings.busy_retry_after)
}

fn gathering(settings: Settings) -> Gathering<Waiter> {
    Gathering::new(settings.flush, settings.waiting_max)
}

/// The actor.
pub struct Reader {
    records: Box<dyn Records>,
    gathering: Gathering<Waiter>,
    settings: Settings,
}

impl Actor for Reader {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(self.settings.flush, |reader, _| reader.gathering.forget_idle(now()));
    }
}

impl Supervised for Reader {
    fn restarting(&mut self, _: &mut Context<Self>) {
        // Whoever waits hears that it was not written.
        self.gathering = gathering(self.settings);
    }
}

impl Handler<Queued<Reported>> for Reader {
    type Result = ();

    fn handle(&mut self, message: Queued<Reported>, ctx: &mut Context<Self>) {
        faults::panic_point("reading.panic");
        let reported = message.open();
        let (user, report) = (reported.user, reported.report());
        let due = self.gathering.add(user, report, reported.waiter, now());
        self.look(user, due, ctx);
    }
}

impl Handler<Queued<Hurry>> for Reader {
    type Result = ();

    fn handle(&mut self, message: Queued<Hurry>, ctx: &mut Context<Self>) {
        let Hurry = message.open();
        for user in self.gathering.hurry() {
            self.write(user, ctx);
        }
    }
}

/// What paused tests move.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Reader {
    /// Writes what a person has gathered, when it is due.
    fn look(&mut self, user: UserId, due: Option<Instant>, ctx: &mut Context<Self>) {
        let Some(due) = due else { return };
        let pause = due.saturating_duration_since(now());
        if pause.is_zero() {
            self.write(user, ctx);
        } else {
            ctx.run_later(pause, move |reader, ctx| reader.write(user, ctx));
        }
    }

    fn write(&mut self, user: UserId, ctx: &mut Context<Self>) {
        if !self.gathering.is_due(user, now()) {
            return;
        }
        let full = self.records.is_full();
        if full && let later @ Some(_) = self.gathering.put_off(user, now()) {
            return self.look(user, later, ctx);
        }
        let Some(Gathered { progress, everything, waiting }) = self.gathering.take(user, now()) else { return };
        if full {
            let busy = Refusal::busy(self.settings.busy_retry_after);
            answer(waiting, &Err(busy), &Err(busy));
            let due = self.gathering.written(user, now());
            return self.look(user, due, ctx);
        }
        let raise = (!progress.is_empty()).then(|| self.records.raise(user, progress));
        let read = everything.then(|| self.records.read_everything(user));
        let writing = async move {
            let marks = match raise {
                Some(raise) => raise.await,
                None => Ok(RoomMarks::new()),
            };
            let everything = match read {
                Some(read) => read.await,
                None => Ok(Vec::new()),
            };
            (marks, everything)
        };
        ctx.spawn(writing.into_actor(self).map(move |(marks, everything), reader, ctx| {
            answer(waiting, &marks, &everything);
            let due = reader.gathering.written(user, now());
            reader.look(user, due, ctx);
        }));
    }
}

/// Of several who reported one room only the first hears that its mark is news: whoever is told of it is told once.
fn answer(waiting: Vec<Waiter>, marks: &Result<RoomMarks, Refusal>, everything: &Result<Vec<ReadMark>, Refusal>) {
    let (mut told, mut all) = (HashSet::new(), Some(everything.clone()));
    for waiter in waiting {
        match waiter {
            Waiter::Room(room, reply) => {
                let marked = match marks {
                    Ok(marks) => marks.get(&room).copied().unwrap_or(Err(Fault::Internal)).map_err(Refusal::from),
                    Err(refusal) => Err(*refusal),
                };
                let first = told.insert(room);
                reply.send(marked.map(|mut marked| {
                    marked.is_news &= first;
                    marked
                }));
            }
            Waiter::Everything(reply) => {
                let nothing_more = everything.as_ref().map(|_| Vec::new()).map_err(|refusal| *refusal);
                reply.send(all.take().unwrap_or(nothing_more));
            }
        }
    }
}

#[cfg(test)]
mod tests;
