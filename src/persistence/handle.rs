//! What everybody else holds of persistence.
//!
//! Purpose: typed methods that never wait, each with an answer to come; how the writes are going, for health and metrics. A write goes
//! to the actor its key hashes to, so writes of one key keep their order. Must not know: batches.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::SendError;
use tokio::time::Instant;

use super::actor::{Limits, PersistenceActor, Report};
use super::batch::{Bounds, Entry, Kind};
use super::commit::Committer;
use super::lane::Lane;
use super::messages::{Drain, Write};
use super::owed::Owed;
use super::retry::Pauses;
use super::work::{OperationJob, Work};
use crate::config::Database;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::time::Clock;
use crate::store::messages::{Append, AppendOutcome};
use crate::store::{Operation, Store};
use crate::supervision::mailbox::Mailbox;
use crate::supervision::policy::RestartPolicy;
use crate::supervision::reply::{Answer, reply};
use crate::supervision::supervisor::ChildSpec;
use crate::supervision::tree::Supervisor;
use crate::telemetry::metrics as names;

pub use super::batch::Key;

/// For how many commit deadlines a write in the background yields.
const PATIENCE: u32 = 5;

/// The way in which everything is stored. Clones share the actors.
#[derive(Clone)]
pub struct Persistence {
    lanes: Arc<[LaneEnd]>,
    commit_deadline: Duration,
    busy_retry_after: Duration,
}

struct LaneEnd {
    mailbox: Mailbox<PersistenceActor>,
    report: Report,
}

/// How the writes are going.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Condition {
    /// Some of the persistence actors find no database.
    pub away: bool,
    /// Rows that wait.
    pub waiting_rows: usize,
    /// Bytes that wait.
    pub waiting_bytes: usize,
    /// How long the oldest of them has waited.
    pub oldest_wait: Duration,
    /// How long ago a transaction was last through, if one ever was.
    pub since_commit: Option<Duration>,
    /// The fullest mailbox, from 0 to 1.
    pub saturation: f32,
}

impl Persistence {
    /// Starts the actors on the current thread's arbiter: one for each connection the store writes with.
    #[must_use]
    pub fn start(supervisor: &Supervisor, policy: RestartPolicy, store: &Store, clock: &Clock, settings: &Database) -> Self {
        let lanes = (0..).take(store.writers().max(1)).map(|number| Lane::new(store.clone(), number)).collect();
        Self::start_on(supervisor, policy, lanes, clock, settings)
    }

    pub(super) fn start_on(
        supervisor: &Supervisor,
        policy: RestartPolicy,
        lanes: Vec<Lane>,
        clock: &Clock,
        settings: &Database,
    ) -> Self {
        let limits = limits(settings);
        let pauses = Pauses { first: settings.retry_first, max: settings.retry_max };
        let start = |(number, lane): (usize, Lane)| {
            let report = Report::default();
            let actor = PersistenceActor::new(Committer::new(lane, clock.clone(), pauses), limits, report.clone());
            let mailbox_capacity = u32::try_from(settings.queue_max).unwrap_or(u32::MAX);
            let spec = ChildSpec { kind: "persistence", name: number.to_string().into(), policy, mailbox_capacity };
            LaneEnd { mailbox: supervisor.spawn(spec, |_| actor), report }
        };
        Self {
            lanes: lanes.into_iter().enumerate().map(start).collect(),
            commit_deadline: settings.commit_deadline,
            busy_retry_after: settings.busy_retry_after,
        }
    }

    /// Stores a run of posts; the answer comes within the commit deadline.
    pub fn append(&self, append: Append) -> Answer<Result<AppendOutcome, Refusal>> {
        self.append_until(append, self.deadline())
    }

    /// The same for posts that have been on their way for a while: `deadline` is when their sender must have an answer.
    pub fn append_until(&self, append: Append, deadline: Instant) -> Answer<Result<AppendOutcome, Refusal>> {
        let (reply_to, answer) = reply();
        let key = Key::Room(append.room);
        let rows = append.posts.len().max(1);
        let bytes = append.posts.iter().map(|(post, _)| post.text.as_str().len()).sum();
        self.submit(key, Kind::Append, (rows, bytes), deadline, Work::Append { append, owed: Owed::new(reply_to) });
        answer
    }

    /// Carries out any other write, in a transaction of its own; the answer comes within the commit deadline.
    pub fn run<O: Operation>(&self, key: Key, operation: O) -> Answer<Result<O::Output, Refusal>> {
        let (reply_to, answer) = reply();
        let job = Box::new(OperationJob::new(operation, reply_to));
        self.submit(key, Kind::Operation, (1, 0), self.deadline(), Work::Operation(job));
        answer
    }

    /// The same for what nobody waits for and what is as good a little later: it is carried out when nothing else waits in its queue. Where
    /// something always does, it yields for [`PATIENCE`] commit deadlines and then has its turn like any other.
    pub fn run_in_background<O: Operation>(&self, key: Key, operation: O) -> Answer<Result<O::Output, Refusal>> {
        self.run_after(self.commit_deadline * PATIENCE, key, operation)
    }

    /// The same where `patience` is how long it yields.
    pub fn run_after<O: Operation>(&self, patience: Duration, key: Key, operation: O) -> Answer<Result<O::Output, Refusal>> {
        let (reply_to, answer) = reply();
        let job = Box::new(OperationJob::new(operation, reply_to));
        let yields_until = Instant::now() + patience;
        let kind = Kind::Background { yields_until: yields_until.into_std() };
        self.submit(key, kind, (1, 0), yields_until + self.commit_deadline, Work::Operation(job));
        answer
    }

    /// When a write asked for now must be answered.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.commit_deadline
    }

    /// Waits until everything handed in before is answered: the last commit (I11).
    pub async fn drain(&self) {
        for lane in &*self.lanes {
            let (reply_to, idle) = reply();
            // A mailbox that is closed or too full for one more has nothing left to wait for that this could promise.
            if lane.mailbox.try_send(Drain(reply_to)).is_ok() {
                // Dropped means restarted: then nothing waits either.
                idle.await.ok();
            }
        }
    }

    /// How the writes are going. From any thread.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let now = Instant::now().into_std();
        self.lanes.iter().fold(Condition::default(), |sum, lane| {
            let one = *lane.report.lock();
            let waiting = one.waiting.unwrap_or(Bounds { rows: 0, bytes: 0 });
            let wait = one.oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            let since_commit = one.last_commit.map(|at| now.saturating_duration_since(at));
            let gauge = lane.mailbox.gauge();
            #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
            let full = gauge.depth() as f32 / gauge.capacity().max(1) as f32;
            Condition {
                away: sum.away || one.away,
                waiting_rows: sum.waiting_rows + waiting.rows,
                waiting_bytes: sum.waiting_bytes + waiting.bytes,
                oldest_wait: sum.oldest_wait.max(wait),
                since_commit: [sum.since_commit, since_commit].into_iter().flatten().min(),
                saturation: sum.saturation.max(full),
            }
        })
    }

    /// Writes [`Persistence::condition`] into the gauges; call it before they are read.
    #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact")]
    pub fn record(&self) {
        let condition = self.condition();
        let behind = if condition.waiting_rows > 0 { condition.since_commit.unwrap_or_default() } else { Duration::ZERO };
        metrics::gauge!(names::QUEUE_WRITES).set(condition.waiting_rows as f64);
        metrics::gauge!(names::QUEUE_BYTES).set(condition.waiting_bytes as f64);
        metrics::gauge!(names::LAST_COMMIT_AGE).set(behind);
    }

    /// Makes every actor panic.
    #[cfg(test)]
    pub(super) fn strike(&self) {
        for lane in &*self.lanes {
            assert!(lane.mailbox.try_send(super::tests::Strike).is_ok());
        }
    }

    fn submit(&self, key: Key, kind: Kind, (rows, bytes): (usize, usize), deadline: Instant, work: Work) {
        let (arrived, deadline) = (Instant::now().into_std(), deadline.into_std());
        let write = Write(Entry { key, kind, rows, bytes, arrived, deadline, work });
        let refused = match self.lane(key) {
            Some(lane) => lane.mailbox.try_send(write),
            None => Err(SendError::Closed(write)),
        };
        match refused {
            Ok(()) => {}
            Err(SendError::Full(Write(entry))) => entry.work.refuse(Refusal::busy(self.busy_retry_after)),
            Err(SendError::Closed(Write(entry))) => entry.work.refuse(Fault::Unavailable.into()),
        }
    }

    fn lane(&self, key: Key) -> Option<&LaneEnd> {
        let (Key::Room(crate::domain::ids::RoomId(id)) | Key::User(crate::domain::ids::UserId(id))) = key;
        // The low half of an id is random (RFC 9562 §5.7).
        let (_, low) = id.as_u64_pair();
        let lanes = u64::try_from(self.lanes.len()).unwrap_or(1).max(1);
        self.lanes.get(usize::try_from(low % lanes).unwrap_or(0))
    }
}

impl fmt::Debug for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Persistence({} lanes)", self.lanes.len())
    }
}

fn limits(settings: &Database) -> Limits {
    Limits {
        batch: Bounds { rows: settings.batch_max_messages, bytes: settings.batch_max_bytes.as_usize() },
        queue: Bounds { rows: settings.queue_max, bytes: settings.queue_max_bytes.as_usize() },
        commit_deadline: settings.commit_deadline,
        busy_retry_after: settings.busy_retry_after,
        probe_pause: settings.retry_max,
    }
}
