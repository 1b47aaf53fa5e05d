//! Supervisors and how they hang together.
//!
//! Purpose: a [`Supervisor`] has a name, a limit of its own and children; when a child uses up its limit, the supervisor takes
//! the blame from its own limit or, when that is used up as well, passes it on, up to the root. The root's failure reaches
//! whoever holds [`RootFailure`], once; that is `app`, which ends the process. A supervisor is a shared handle and not an
//! actor: it has no mailbox that could be full when it matters.
//! Neighbours: `supervisor.rs` runs the children. Invariants: a child's record is listed from its spawn to its end; the root
//! fails at most once; locks are held for a few instructions, never across a call to a child.
//! Must not know: what a child does, how it is restarted. (The metrics' names are explained in `telemetry`, which stands beside.)

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::mailbox::MailboxGauge;
use super::panic::PanicReport;
use super::policy::{Decision, Ending, RestartClass, RestartPolicy, RestartWindow};
use super::record::{ActorReport, ActorState, KindReport, Record, lock};

/// An actor used up its limit, and no supervisor above it had any left: the node cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// The path of the actor.
    pub path: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its last panic; none if it was restarted for stopping too often.
    pub panic: Option<PanicReport>,
}

/// Hears of the root's failure.
#[derive(Clone, Debug)]
pub struct RootFailure {
    pub(super) failed: watch::Receiver<Option<Escalation>>,
}

impl RootFailure {
    /// Waits until the root fails; for ever if the tree ends without a failure.
    pub async fn wait(&mut self) -> Escalation {
        let failed = self.failed.wait_for(Option::is_some).await;
        let escalation = failed.ok().and_then(|failed| failed.clone());
        match escalation {
            Some(escalation) => escalation,
            None => std::future::pending().await,
        }
    }
}

/// A node of the tree that has children. Cloning gives another handle to the same node.
#[derive(Clone)]
pub struct Supervisor {
    node: Arc<Node>,
}

struct Node {
    path: Box<str>,
    parent: Parent,
    /// How many failures of children it takes upon itself.
    window: Mutex<RestartWindow>,
    next_id: AtomicU64,
    children: Mutex<HashMap<u64, Arc<Record>>>,
    /// Supervisors below; each holds its parent, so the parent must not hold it.
    below: Mutex<Vec<Weak<Node>>>,
    stopping: AtomicBool,
    panics: AtomicU64,
    /// Kinds that gauges were ever set for.
    gauged: Mutex<Vec<&'static str>>,
}

enum Parent {
    Supervisor(Supervisor),
    /// The root tells the process instead.
    Process(watch::Sender<Option<Escalation>>),
}

impl Supervisor {
    /// The root of a tree, and where its failure will be heard.
    ///
    /// Of `policy` counts the limit and the pause; a supervisor has no class, as it lives as long as anyone holds it.
    pub fn root(name: &str, policy: RestartPolicy) -> (Self, RootFailure) {
        let (failure, failed) = watch::channel(None);
        let root = Self::new(name.into(), policy, Parent::Process(failure));
        (root, RootFailure { failed })
    }

    /// A supervisor below this one.
    pub fn supervisor(&self, name: &str, policy: RestartPolicy) -> Self {
        let path = format!("{}/{name}", self.node.path).into();
        let below = Self::new(path, policy, Parent::Supervisor(self.clone()));
        let mut nodes = lock(&self.node.below);
        nodes.retain(|node| node.strong_count() > 0);
        nodes.push(Arc::downgrade(&below.node));
        below
    }

    fn new(path: Box<str>, policy: RestartPolicy, parent: Parent) -> Self {
        let policy = RestartPolicy { class: RestartClass::Permanent, ..policy };
        Self {
            node: Arc::new(Node {
                path,
                parent,
                window: Mutex::new(RestartWindow::new(policy)),
                next_id: AtomicU64::new(0),
                children: Mutex::new(HashMap::new()),
                below: Mutex::new(Vec::new()),
                stopping: AtomicBool::new(false),
                panics: AtomicU64::new(0),
                gauged: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Where it hangs in the tree.
    pub fn path(&self) -> &str {
        &self.node.path
    }

    /// From now on a child here or below that stops stays stopped, permanent or not. Panics are still followed by a restart:
    /// the last commit may be at stake.
    pub fn begin_stop(&self) {
        self.node.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether this supervisor or one above it is being stopped.
    pub fn is_stopping(&self) -> bool {
        self.ancestors().any(|node| node.stopping.load(Ordering::Relaxed))
    }

    /// Panics of its own children, ended ones included.
    pub fn panics(&self) -> u64 {
        self.node.panics.load(Ordering::Relaxed)
    }

    /// Every living actor here and below, sorted by path. From any thread.
    pub fn snapshot(&self) -> Vec<ActorReport> {
        let now = Instant::now();
        let mut reports = Vec::new();
        self.visit(|parent, record| reports.push(record.report(parent, now)));
        reports.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        reports
    }

    /// A page of the living actors here and below, by path: those of one kind or of all, after `after`, at most `rows`; and whether there
    /// are more. Looks at every actor, but makes reports for the page only.
    pub fn page(&self, kind: Option<&str>, after: Option<&str>, rows: usize) -> (Vec<ActorReport>, bool) {
        // The lowest paths so far, with the highest of them on top.
        let mut lowest = BinaryHeap::with_capacity(rows.saturating_add(2));
        self.visit_records(|parent, record| {
            if kind.is_some_and(|kind| kind != record.kind) {
                return;
            }
            let place = Place { path: record.path(parent), parent: parent.len(), record: Arc::clone(record) };
            if after.is_some_and(|after| place.path.as_str() <= after) {
                return;
            }
            lowest.push(place);
            if lowest.len() > rows.saturating_add(1) {
                lowest.pop();
            }
        });
        let mut places = lowest.into_sorted_vec();
        let more = places.len() > rows;
        places.truncate(rows);
        let now = Instant::now();
        let report = |place: Place| place.record.report(place.path.get(..place.parent).unwrap_or_default(), now);
        (places.into_iter().map(report).collect(), more)
    }

    /// The living actors here and below, summed up by kind. Much cheaper than the whole list.
    pub fn kinds(&self) -> Vec<KindReport> {
        let mut kinds = BTreeMap::new();
        self.visit(|_, record| {
            let sum = kinds.entry(record.kind);
            sum.or_insert_with(|| KindReport::new(record.kind)).add(record);
        });
        kinds.into_values().collect()
    }

    /// Sets the gauges that follow from [`Supervisor::kinds`]; to be called when metrics are read.
    pub fn set_gauges(&self) {
        let mut seen = lock(&self.node.gauged);
        // A kind whose last actor has gone must fall back to zero.
        let mut sums: BTreeMap<_, _> = seen.iter().map(|&k| (k, KindReport::new(k))).collect();
        sums.extend(self.kinds().into_iter().map(|sum| (sum.kind, sum)));
        for (kind, sum) in &sums {
            metrics::gauge!("hubbub_actors", "kind" => *kind).set(f64::from(sum.actors));
            metrics::gauge!("hubbub_mailbox_depth", "kind" => *kind).set(f64::from(sum.deepest));
        }
        *seen = sums.into_keys().collect();
    }

    /// How many actors live here and below.
    pub fn len(&self) -> usize {
        let mut count = 0;
        self.visit(|_, _| count += 1);
        count
    }

    /// Whether no actor lives here or below.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `see` with every living actor here and below and its supervisor's path.
    fn visit(&self, mut see: impl FnMut(&str, &Record)) {
        self.visit_records(|parent, record| see(parent, record));
    }

    fn visit_records(&self, mut see: impl FnMut(&str, &Arc<Record>)) {
        let mut open = vec![Arc::clone(&self.node)];
        while let Some(node) = open.pop() {
            // Only reference counts are copied under the lock: looking at thousands takes longer than a spawn may wait.
            let children: Vec<_> = lock(&node.children).values().cloned().collect();
            for child in children {
                see(&node.path, &child);
            }
            open.extend(lock(&node.below).iter().filter_map(Weak::upgrade));
        }
    }

    /// Lists a child until the returned entry is dropped.
    pub(super) fn enlist(&self, kind: &'static str, name: Box<str>, gauge: MailboxGauge) -> Enlisted {
        let record = Arc::new(Record::new(kind, name, gauge));
        let id = self.node.next_id.fetch_add(1, Ordering::Relaxed);
        lock(&self.node.children).insert(id, Arc::clone(&record));
        Enlisted { supervisor: self.clone(), id, record }
    }

    /// A child has used up its limit. The nearest supervisor with some left takes the blame and names the pause before
    /// anything begins again; if there is none, the root has failed.
    fn take_blame(&self, escalation: impl FnOnce() -> Escalation) -> Option<Duration> {
        let now = Instant::now().into_std();
        let blamed = self.ancestors().find_map(|node| match lock(&node.window).decide(Ending::Panicked, now) {
            Decision::Restart { after } => Some((node, after)),
            Decision::Stop | Decision::Escalate => None,
        });
        let escalation = escalation();
        if let Some((node, after)) = blamed {
            let supervisor = &*node.path;
            tracing::error!(actor = escalation.path, supervisor, "restart limit used up");
            metrics::counter!("hubbub_actor_escalations_total", "supervisor" => supervisor.to_owned()).increment(1);
            return Some(after);
        }
        self.fail_root(escalation);
        None
    }

    fn fail_root(&self, escalation: Escalation) {
        for node in self.ancestors() {
            if let Parent::Process(failure) = &node.parent {
                failure.send_if_modified(|failed| {
                    let first = failed.is_none();
                    if first {
                        tracing::error!(actor = escalation.path, "the root supervisor has failed");
                        *failed = Some(escalation.clone());
                    }
                    first
                });
            }
        }
    }

    /// This node and those above it, up to the root.
    fn ancestors(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(Some(&*self.node), |node| match &node.parent {
            Parent::Supervisor(above) => Some(&*above.node),
            Parent::Process(_) => None,
        })
    }
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Supervisor").field(&self.node.path).finish()
    }
}

/// An actor on its way into a page, ordered by its path.
struct Place {
    path: String,
    /// Length of the supervisor's path, which its own begins with.
    parent: usize,
    record: Arc<Record>,
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.path.cmp(&other.path)
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Place {}

/// A child's entry in the tree: what happens to the child is noted here, and dropping it takes the child off the list.
pub(super) struct Enlisted {
    supervisor: Supervisor,
    id: u64,
    record: Arc<Record>,
}

impl Enlisted {
    pub(super) fn set_state(&self, state: ActorState) {
        self.record.set_state(state);
    }

    pub(super) fn note_panic(&self, report: PanicReport) {
        self.supervisor.node.panics.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("hubbub_actor_panics_total", "kind" => self.record.kind).increment(1);
        tracing::error!(actor = self.path(), place = report.place(), panic = report.text(), "an actor panicked");
        self.record.set_last_panic(report);
    }

    pub(super) fn note_restart(&self) {
        self.record.add_restart();
        metrics::counter!("hubbub_actor_restarts_total", "kind" => self.record.kind).increment(1);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.supervisor.is_stopping()
    }

    /// The child has used up its limit: the pause after which it may go on at a supervisor's expense, if any bears it.
    pub(super) fn escalate(&self) -> Option<Duration> {
        self.supervisor.take_blame(|| Escalation { path: self.path(), kind: self.record.kind, panic: self.record.last_panic() })
    }

    fn path(&self) -> String {
        self.record.path(&self.supervisor.node.path)
    }
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        lock(&self.supervisor.node.children).remove(&self.id);
    }
}
