//! Works the queue off: some people at a time, of as many messages as that is.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{self, BoxFuture};

use super::handle::Notify;
use super::rules;
use crate::config;
use crate::delivery::handle::Relays;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::UserId;
use crate::domain::notification::Person;
use crate::domain::time::{Clock, Timestamp};
use crate::faults;
use crate::persistence::handle::{Key, Persistence};
use crate::store::backend::Db;
use crate::store::notifications::candidates::{self, Chunk, Said};
use crate::store::notifications::keeping::ForgetNotifications;
use crate::store::notifications::queue::{self, Job, Postpone};
use crate::store::notifications::write::{self, News, Notified, Part, TakeBack};
use crate::store::{Operation, Reply, Store, StoreError};
use crate::telemetry::metrics as names;

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

/// So many times as long as a part of a large room took, nobody else of it is told: ten thousand people hear of one message within seconds, and
/// meanwhile posts have the processor and the store nearly for themselves.
const PAUSE: u32 = 2;

/// How long what is written yields to posts that wait to be stored.
const PATIENCE: Duration = Duration::from_millis(50);

/// So many messages are looked at side by side: each is a dozen small questions, one after the other. More would take the connections that
/// people's own questions are read on.
const LOOKS: usize = 4;

/// So long a message that cannot be worked on is left alone: it would most likely fail again.
const POSTPONED: Duration = Duration::from_secs(60);

/// A message and some of those who may have to be notified of it; none, if it is gone.
type Found = (Job, Option<(Said, Chunk)>);

impl Parts {
    /// Works the queue off, as long as posts leave room for it. What fails is looked for by halves, so that the others go on.
    ///
    /// # Errors
    /// What may be over the next time.
    pub(super) async fn work_off(&self) -> Result<(), Refusal> {
        let mut at_once = self.settings.chunk;
        while !self.is_full() && !faults::hit("notify.wait") {
            let begun = Instant::now();
            let now = self.clock.now();
            let jobs = self.read(move |db| Box::pin(queue::oldest(db, at_once, now))).await?;
            match (self.tell_of(&jobs).await, jobs.as_slice()) {
                (_, []) => break,
                (Err(refusal), [job]) if !waits_for_the_store(refusal.fault) => {
                    tracing::error!(room = %job.room, seq = job.seq.0, fault = refusal.fault.row().code, "cannot notify of a message");
                    self.write(Postpone { job: *job, until: self.clock.now() + POSTPONED }).await?;
                }
                (Err(refusal), _) if !waits_for_the_store(refusal.fault) => at_once = (jobs.len() / 2).max(1),
                (Err(refusal), _) => return Err(refusal),
                (Ok(progress), _) => {
                    at_once = (at_once * 2).min(self.settings.chunk);
                    if progress == Progress::More {
                        tokio::time::sleep(begun.elapsed() * PAUSE).await;
                    }
                }
            }
            faults::panic_point("notify.panic");
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let condition = self.persistence.condition();
        condition.waiting_rows > self.yields_at || condition.saturation > 0.5
    }

    /// Tells about as many people as a chunk, of the first of these messages: never more than [`LOOKS`] + 1 times as many.
    async fn tell_of(&self, jobs: &[Job]) -> Result<Progress, Refusal> {
        let (mut found, mut people, mut looks, mut rest) = (Vec::new(), 0, 1, jobs);
        while !rest.is_empty() && people < self.settings.chunk {
            let (next, later) = rest.split_at(looks.min(rest.len()));
            let looked = future::try_join_all(next.iter().map(|job| self.look_at(*job))).await?;
            people += looked.iter().filter_map(|(_, part)| part.as_ref()).map(|(_, chunk)| chunk.people.len()).sum::<usize>();
            found.extend(looked);
            // Of the first alone there may be people enough; if not, the others are small as well.
            (looks, rest) = (LOOKS, later);
        }
        self.advance(found).await
    }

    async fn look_at(&self, job: Job) -> Result<Found, Refusal> {
        let (interest, limit) = (self.notify.interest(), self.settings.chunk);
        let read = self.read(move |db| {
            Box::pin(async move {
                let Some(said) = candidates::said(db, job).await? else { return Ok(None) };
                let words = interest.keywords_in(&said.message.text);
                let chunk = candidates::chunk(db, job, &said, &words, limit).await?;
                Ok(Some((said, chunk)))
            })
        });
        Ok((job, read.await?))
    }

    async fn read<T: Send + 'static, F>(&self, ask: F) -> Result<T, Refusal>
    where
        F: for<'a> FnOnce(&'a mut Db) -> Reply<'a, T> + Clone + Send + 'static,
    {
        let answer = self.store.read(ask).await;
        answer.map_err(|error| match error {
            // By the message it looked at, not by the store.
            StoreError::Panicked => Fault::Internal.into(),
            error => error.fault().into(),
        })
    }

    async fn advance(&self, found: Vec<Found>) -> Result<Progress, Refusal> {
        let now = self.clock.now();
        let (mut parts, mut ends, mut progress) = (Vec::new(), Vec::new(), Progress::Done);
        for (job, part) in found {
            match part {
                Some((said, chunk)) => {
                    ends.extend(chunk.next.is_none().then_some(said.message.created_at));
                    parts.push(self.decide(job, &said, chunk, now).await?);
                }
                None => {
                    let back = TakeBack { job, people_max: self.settings.chunk, now };
                    progress = progress.max(Progress::after(self.announced(back).await? >= self.settings.chunk));
                }
            }
        }
        if !parts.is_empty() {
            let more = parts.iter().any(|part| part.next.is_some());
            self.announced(write::Notify { parts, now }).await?;
            let now = self.clock.now();
            for said_at in ends {
                metrics::histogram!(names::NOTIFY_SECONDS).record((now - said_at).to_std().unwrap_or_default());
            }
            progress = progress.max(Progress::after(more));
        }
        Ok(progress)
    }

    /// Who of them is notified.
    async fn decide(&self, job: Job, said: &Said, Chunk { mut people, next }: Chunk, now: Timestamp) -> Result<Part, Refusal> {
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
        let people = people.iter().filter_map(notified).collect();
        Ok(Part { job, author: fact.author, people, online, next })
    }

    /// How many people heard of it.
    async fn announced(&self, operation: impl Operation<Output = News>) -> Result<usize, Refusal> {
        let news = self.write(operation).await?;
        let count = news.len();
        metrics::counter!(names::NOTIFICATIONS).increment(news.iter().map(|(_, changes)| changes.items.len() as u64).sum());
        self.relays.announce_user_changes(news);
        Ok(count)
    }

    async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, Refusal> {
        // Not the room's own key: posts to it would wait behind this.
        let written = self.persistence.run_after(PATIENCE, Key::User(nobody()), operation);
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

/// Whether of some message more people are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Done,
    More,
}

impl Progress {
    fn after(more: bool) -> Self {
        if more { Self::More } else { Self::Done }
    }
}

/// Whether no message is to blame, but the store cannot be asked just now. Not whether a client should try again: by that, one row that cannot be
/// read would keep all others waiting.
fn waits_for_the_store(fault: Fault) -> bool {
    matches!(fault, Fault::Busy | Fault::Unavailable | Fault::OutcomeUnknown)
}

fn nobody() -> UserId {
    UserId(uuid::Uuid::nil())
}
