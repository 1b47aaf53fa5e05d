//! What is known of one actor while it lives, and how operators see it.
//!
//! Purpose: the record a running actor and its supervisor share, its report, and the totals per kind for metrics. Neighbours:
//! `tree` lists records, `supervisor` notes into them through their entry in the tree. Invariant: everything here is readable
//! from any thread without waiting for the actor. Must not know: the tree's shape, policies.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::time::Instant;

use super::mailbox::MailboxGauge;
use super::panic::PanicReport;

/// What an actor is doing, as far as its supervisor can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ActorState {
    /// It takes its messages.
    Running,
    /// It ended and begins again, possibly after a pause; its messages wait.
    Restarting,
    /// It has ended for good and is about to vanish from the list.
    Stopped,
}

/// One living actor, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActorReport {
    /// Where it hangs in the tree, such as `node/rooms/0198…`.
    pub path: String,
    /// What sort of actor it is; one of few words, fit for a metric label.
    pub kind: &'static str,
    /// What it is doing.
    pub state: ActorState,
    /// How often it was restarted since it was spawned.
    pub restarts: u32,
    /// What its latest panic said, if it ever panicked.
    pub last_panic: Option<PanicReport>,
    /// How long ago it was spawned; a restart does not change that.
    pub started_ago_ms: u64,
    /// Messages waiting.
    pub mailbox_depth: u32,
    /// Messages that may wait.
    pub mailbox_capacity: u32,
}

/// All living actors of one kind together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KindReport {
    /// The kind.
    pub kind: &'static str,
    /// How many there are.
    pub actors: u32,
    /// Messages waiting in all of their mailboxes together.
    pub mailbox_depth: u64,
    /// Messages waiting in the deepest of them.
    pub deepest: u32,
    /// How full the fullest mailbox is, in percent of its capacity.
    pub fullest_percent: u32,
    /// How often they were restarted.
    pub restarts: u64,
}

impl KindReport {
    pub(super) const fn new(kind: &'static str) -> Self {
        Self { kind, actors: 0, mailbox_depth: 0, deepest: 0, fullest_percent: 0, restarts: 0 }
    }

    pub(super) fn add(&mut self, record: &Record) {
        self.actors += 1;
        let depth = record.gauge.depth();
        self.mailbox_depth += u64::from(depth);
        self.deepest = self.deepest.max(depth);
        self.restarts += u64::from(record.restarts.load(Ordering::Relaxed));
        self.fullest_percent = self.fullest_percent.max(record.gauge.fill_percent());
    }
}

/// What the tree knows of one child.
pub(super) struct Record {
    pub(super) kind: &'static str,
    name: Box<str>,
    gauge: MailboxGauge,
    state: Mutex<ActorState>,
    restarts: AtomicU32,
    /// Boxed, as hardly any actor has one.
    last_panic: Mutex<Option<Box<PanicReport>>>,
    started: Instant,
}

impl Record {
    pub(super) fn new(kind: &'static str, name: Box<str>, gauge: MailboxGauge) -> Self {
        Self {
            kind,
            name,
            gauge,
            state: Mutex::new(ActorState::Running),
            restarts: AtomicU32::new(0),
            last_panic: Mutex::new(None),
            started: Instant::now(),
        }
    }

    pub(super) fn set_state(&self, state: ActorState) {
        *lock(&self.state) = state;
    }

    pub(super) fn add_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_last_panic(&self, report: PanicReport) {
        *lock(&self.last_panic) = Some(Box::new(report));
    }

    pub(super) fn last_panic(&self) -> Option<PanicReport> {
        lock(&self.last_panic).as_deref().cloned()
    }

    pub(super) fn path(&self, parent: &str) -> String {
        format!("{parent}/{}", self.name)
    }

    pub(super) fn report(&self, parent: &str, now: Instant) -> ActorReport {
        let age = now.saturating_duration_since(self.started);
        ActorReport {
            path: self.path(parent),
            kind: self.kind,
            state: *lock(&self.state),
            restarts: self.restarts.load(Ordering::Relaxed),
            last_panic: self.last_panic(),
            started_ago_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            mailbox_depth: self.gauge.depth(),
            mailbox_capacity: self.gauge.capacity(),
        }
    }
}

/// Locks, also after a panic under the lock: each critical section here is a single assignment or call that leaves the value whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
