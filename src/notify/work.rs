//! Works the queue off: one message, some people at a time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::handle::Notify;
use super::rules;
use crate::config;
use crate::delivery::handle::Relays;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::UserId;
use crate::domain::notification::Person;
use crate::domain::time::Clock;
use crate::faults;
use crate::persistence::handle::{Key, Persistence};
use crate::store::notifications::candidates::{self, Chunk, Said};
use crate::store::notifications::keeping::ForgetNotifications;
use crate::store::notifications::queue::{self, Job, Postpone};
use crate::store::notifications::write::{self, Heads, Notified, TakeBack};
use crate::store::{Operation, Store};

/// Which of these people are shown as online.
pub type WhoIsOnline = Arc<dyn Fn(Vec<UserId>) -> BoxFuture<'static, Result<Vec<UserId>, Refusal>> + Send + Sync>;

/// What the work is done with.
pub struct Parts {
    /// For reading.
    pub store: Store,
    /// For writing.
    pub persistence: Persistence,
    /// For those who are notified.
    pub relays: Relays,
    /// Who is online.
    pub online: WhoIsOnline,
    /// The time.
    pub clock: Clock,
    /// What people wait for.
    pub notify: Notify,
    /// The section of the settings.
    pub settings: config::Notify,
    /// How often old notifications are thrown away.
    pub clean_every: Duration,
    /// Writes that may wait in all before this holds back its own: half of what would make posts busy.
    pub yields_at: usize,
}

/// A message and some of those who may have to be notified of it; none, if it is gone.
type Next = (Job, Option<(Said, Chunk)>);

impl Parts {
    /// Works the queue off, as long as posts leave room for it.
    ///
    /// # Errors
    /// What may be over the next time.
    pub(super) async fn work_off(&self) -> Result<(), Refusal> {
        while !self.is_full() && !faults::hit("notify.wait") {
            let Some(next) = self.next().await? else { break };
            let job = next.0;
            match self.advance(next).await {
                // It would fail again: the others come first.
                Err(refusal) if !refusal.fault.row().retry => {
                    tracing::error!(room = %job.room, seq = job.seq.0, fault = refusal.fault.row().code, "cannot notify of a message");
                    self.write(job, Postpone { job, now: self.clock.now() }).await?;
                    break;
                }
                done => done?,
            }
            faults::panic_point("notify.panic");
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let condition = self.persistence.condition();
        condition.waiting_rows > self.yields_at || condition.saturation > 0.5
    }

    /// One look at the store.
    async fn next(&self) -> Result<Option<Next>, Refusal> {
        let (interest, limit) = (self.notify.interest(), self.settings.chunk);
        let read = self.store.read(move |db| {
            Box::pin(async move {
                let Some(job) = queue::oldest(db).await? else { return Ok(None) };
                let Some(said) = candidates::said(db, job).await? else { return Ok(Some((job, None))) };
                let words = interest.keywords_in(&said.message.text);
                let chunk = candidates::chunk(db, job, &said, &words, limit).await?;
                Ok(Some((job, Some((said, chunk)))))
            })
        });
        read.await.map_err(|error| error.fault().into())
    }

    async fn advance(&self, (job, found): Next) -> Result<(), Refusal> {
        let now = self.clock.now();
        let Some((said, Chunk { mut people, next })) = found else {
            let back = TakeBack { job, people_max: self.settings.chunk, now };
            return self.announced(job, back).await;
        };
        let fact = said.fact();
        let mut online = Vec::new();
        if fact.mentions_online {
            let asked = (self.online)(people.iter().map(|person| person.user).collect());
            let here: HashSet<UserId> = asked.await?.into_iter().collect();
            for person in &mut people {
                person.online = here.contains(&person.user);
                if person.online && person.sees && person.user != fact.author {
                    online.push(person.user);
                }
            }
        }
        let notified = |person: &Person| {
            let notice = rules::decide(&fact, person, now)?;
            Some(Notified { user: person.user, kind: notice.kind, quiet: notice.quiet })
        };
        let people: Vec<Notified> = people.iter().filter_map(notified).collect();
        self.announced(job, write::Notify { job, author: fact.author, people, online, next, now }).await
    }

    async fn announced(&self, job: Job, operation: impl Operation<Output = Heads>) -> Result<(), Refusal> {
        let heads = self.write(job, operation).await?;
        self.relays.announce_user_heads(&heads);
        Ok(())
    }

    async fn write<O: Operation>(&self, job: Job, operation: O) -> Result<O::Output, Refusal> {
        let written = self.persistence.run_in_background(Key::Room(job.room), operation);
        written.await.unwrap_or_else(|_dropped| Err(Fault::Unavailable.into()))
    }

    /// Throws away what is old, some people at a time.
    pub(super) async fn clean(self: Arc<Self>) {
        let keep = chrono::TimeDelta::from_std(self.settings.keep).unwrap_or(chrono::TimeDelta::MAX);
        let Some(before) = self.clock.now().checked_sub_signed(keep) else { return };
        let mut after = None;
        loop {
            let part = ForgetNotifications { after, people_max: self.settings.chunk, before, kept: self.settings.kept_per_user };
            let written = self.persistence.run_in_background(Key::User(after.unwrap_or_else(nobody)), part);
            match written.await.unwrap_or_else(|_dropped| Err(Fault::Unavailable.into())) {
                Ok(next @ Some(_)) => after = next,
                Ok(None) => return,
                Err(refusal) => {
                    return tracing::warn!(fault = refusal.fault.row().code, "cannot throw away old notifications");
                }
            }
        }
    }
}

fn nobody() -> UserId {
    UserId(uuid::Uuid::nil())
}
