//! Where all parts meet: builds them in the order of their levels, says which thread hosts what, and ends them in reverse.
//!
//! The current thread's arbiter hosts the root of the supervision tree, rooms, persistence, presence and reading; each worker thread its relay,
//! its sessions and HTTP; the store has threads of its own. Start: folder, store, node, persistence, rooms, presence, accounts, workers.
//! Stop (I11): unready, wait, no new sockets, send people away, no connections, last commit, off the node list, store closed. Whatever
//! hangs, the last commit has its time.
//!
//! Must not know: the rules of any part.

mod node;
mod workers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::accounts::handle::{Accounts, Parts as AccountParts, WishesChanged};
use crate::auth::hashing::Hashing;
use crate::auth::token::TokenKeys;
use crate::config::secrets::SecretsError;
use crate::config::{Config, Secrets};
use crate::delivery::handle::Relays;
use crate::domain::ids::Epoch;
use crate::domain::time::Clock;
use crate::faults;
use crate::folder::{DataFolder, FolderError};
use crate::http::health::{NodeState, Phase};
use crate::http::idempotency::LinkSecrets;
use crate::http::parts::Parts as HttpParts;
use crate::http::rates::Rates;
use crate::moderation;
use crate::moderation::everywhere::Everywhere;
use crate::moderation::handle::Moderation;
use crate::moderation::hook::Hook;
use crate::notify;
use crate::notify::handle::Notify;
use crate::persistence::handle::Persistence;
use crate::presence::handle::Presence;
use crate::presence::records::StoreRecords;
use crate::reading::handle::Reading;
use crate::reading::records::StoredMarks;
use crate::room::handle::{Rooms, Start as RoomStart};
use crate::session::gate::Gate;
use crate::session::node::{Count, Node as Neighbours, PageRows, heads, newest};
use crate::session::ports::Counted;
use crate::store::nodes::OtherNode;
use crate::store::{OpenError, Store, StoreError, users};
use crate::supervision::policy::{RestartClass, RestartPolicy};
use crate::supervision::tree::{Escalation, RootFailure, Supervisor};

use self::node::Node;
pub use self::node::NodeError;
use self::workers::Workers;

/// Why the server did not start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The secrets in it cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database opened but does not answer.
    #[error("the database does not answer: {0}")]
    Store(#[from] StoreError),
    /// The filter hook cannot be asked.
    #[error("cannot ask the filter hook: {0}")]
    FilterHook(String),
    /// This node may not run.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, std::io::Error),
}

/// Why a running server must end by itself.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The root supervisor has no restarts left.
    #[error("the supervision tree gave up: {} failed too often", .0.path)]
    GaveUp(Escalation),
    /// Another node took the database over while it was away from this one.
    #[error("another Hubbub server ({}) has taken over the database", .0.id)]
    TakenOver(OtherNode),
}

/// How a server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Stopped {
    /// Everything ended by itself.
    InOrder,
    /// Something was still under way at the end of its time and was cut off.
    CutOff,
}

/// A running server.
pub struct Running {
    address: SocketAddr,
    config: Arc<Config>,
    has_no_accounts: bool,
    root: Supervisor,
    failure: RootFailure,
    lost: oneshot::Receiver<OtherNode>,
    folder: DataFolder,
    store: Store,
    node: Node,
    persistence: Persistence,
    reading: Reading,
    state: NodeState,
    gate: Gate,
    workers: Workers,
}

/// Starts the server on the current actix system; returns once it accepts connections.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
    let config = Arc::new(config);
    let folder = DataFolder::open(&config.data.folder)?;
    let secrets = Secrets::open(folder.path())?;
    let store = Store::open(&config.database, folder.path()).await?;
    store.migrate().await?;
    let epoch = node::epoch(&store, &config.database).await?;
    let node = Node::join(folder.node_id()?, &store, &clock, &config.database).await?;

    let has_no_accounts = !store.read(|db| Box::pin(users::any(db))).await?;

    let (root, failure) = Supervisor::root("node", policy(&config, RestartClass::Permanent));
    let parts = start_parts(&config, &clock, &store, &secrets, &root).await?;
    let gate = Gate::new(config.server.max_connections, config.limits.sessions_per_user);
    let rates = Rates::new(&config.rates);
    let state = NodeState::default();
    let http = Arc::new(HttpParts {
        store: store.clone(),
        persistence: parts.persistence.clone(),
        rooms: parts.rooms.clone(),
        presence: parts.presence.clone(),
        reading: parts.reading.clone(),
        accounts: parts.accounts.clone(),
        moderation: parts.moderation.clone(),
        authenticate: Arc::new(parts.accounts.clone()),
        clock: clock.clone(),
        tree: root.clone(),
        node: state.clone(),
        relays: parts.relays.clone(),
        gate: gate.clone(),
        epoch,
        link_secrets: LinkSecrets::new(&secrets),
        rates: rates.clone(),
        settings: Arc::clone(&config),
    });
    let neighbours = neighbours(&parts, &config, &store, epoch, &rates);
    let Parts { relays, persistence, reading, .. } = parts;
    let workers = Workers::start(workers::Parts {
        config: Arc::clone(&config),
        clock,
        root: root.clone(),
        relays,
        gate: gate.clone(),
        neighbours,
        rates,
        http,
    })?;
    state.enter(Phase::Serving);
    Ok(Running {
        address: workers.address(),
        has_no_accounts,
        config,
        root,
        failure,
        lost: node::keep_beating(node.clone()),
        folder,
        store,
        node,
        persistence,
        reading,
        state,
        gate,
        workers,
    })
}

/// Whom sessions ask.
fn neighbours(parts: &Parts, config: &Config, store: &Store, epoch: Epoch, rates: &Rates) -> Neighbours {
    let counting = rates.clone();
    let count: Count = Arc::new(move |user, what| match what {
        Counted::Post => counting.post(user),
        Counted::Command => counting.command(user),
        Counted::Report => counting.report(user),
        Counted::PeopleSearch => counting.people_search(user),
    });
    Neighbours {
        epoch,
        accounts: parts.accounts.clone(),
        rooms: parts.rooms.clone(),
        presence: parts.presence.clone(),
        reading: parts.reading.clone(),
        store: store.clone(),
        heads: heads(store.clone()),
        newest: newest(store.clone()),
        moderation: parts.moderation.clone(),
        page_rows: PageRows { default: config.limits.page_default, max: config.limits.page_max },
        part_bytes: config.session.share(),
        count,
        text_max: config.limits.text_max.as_usize(),
    }
}

/// What hangs below the root, save the workers.
struct Parts {
    relays: Relays,
    persistence: Persistence,
    rooms: Rooms,
    presence: Presence,
    reading: Reading,
    accounts: Accounts,
    moderation: Moderation,
}

async fn start_parts(
    config: &Arc<Config>,
    clock: &Clock,
    store: &Store,
    secrets: &Secrets,
    root: &Supervisor,
) -> Result<Parts, StartError> {
    let below = |name| root.supervisor(name, policy(config, RestartClass::Permanent));
    let permanent = policy(config, RestartClass::Permanent);
    let relays = Relays::default();
    let persistence = Persistence::start(&below("persistence"), permanent, store, clock, &config.database);
    let everywhere = Everywhere::default();
    let hook = Hook::new(&config.filter_hook, clock.clone()).map_err(StartError::FilterHook)?;
    let notify = Notify::default();
    // Before anybody posts.
    notify.refresh(store).await?;
    let rooms = Rooms::start(RoomStart {
        supervisor: &below("rooms"),
        directory_policy: permanent,
        room_policy: policy(config, RestartClass::Transient),
        store: store.clone(),
        persistence: persistence.clone(),
        relays: relays.clone(),
        clock: clock.clone(),
        everywhere: everywhere.clone(),
        notify: notify.clone(),
        hook,
        settings: config,
    });
    let writing = Writing { config, clock, store, persistence: &persistence, relays: &relays };
    let presence = writing.start_presence(&below("presence"));
    let reading = writing.start_reading(&below("reading"), &rooms);
    writing.start_notify(&below("notify"), notify.clone(), presence.clone());
    let accounts = Accounts::open(AccountParts {
        store: store.clone(),
        persistence: persistence.clone(),
        relays: relays.clone(),
        keys: TokenKeys::new(secrets, config.accounts.access_token_ttl),
        hashing: Hashing::new(&config.accounts),
        clock: clock.clone(),
        settings: config.accounts.clone(),
        limits: config.limits.clone(),
        wishes_changed: wishes_changed(notify, store.clone()),
        missed_max: config.resume.max_changes,
        operation_life: config.database.operation_ttl,
    })
    .await?;
    crate::accounts::keeper::start(
        &below("accounts"),
        permanent,
        accounts.clone(),
        &config.accounts,
        config.room.head_check_interval,
    );
    let moderation = start_moderation(config, clock, store, &persistence, &below("moderation"), everywhere).await?;
    Ok(Parts { relays, persistence, rooms, presence, reading, accounts, moderation })
}

/// What those need who write behind posts.
struct Writing<'a> {
    config: &'a Config,
    clock: &'a Clock,
    store: &'a Store,
    persistence: &'a Persistence,
    relays: &'a Relays,
}

impl Writing<'_> {
    /// Half of what would make posts busy.
    const fn yields_at(&self) -> usize {
        self.config.database.queue_max / 2
    }

    fn permanent(&self) -> RestartPolicy {
        policy(self.config, RestartClass::Permanent)
    }

    fn start_presence(&self, supervisor: &Supervisor) -> Presence {
        let (store, persistence) = (self.store.clone(), self.persistence.clone());
        let parts = crate::presence::actor::Parts {
            audience: Box::new(self.relays.clone()),
            records: Box::new(StoreRecords { store, persistence, yields_at: self.yields_at() }),
            clock: self.clock.clone(),
            settings: self.config.into(),
        };
        crate::presence::actor::start(supervisor, self.permanent(), parts)
    }

    fn start_reading(&self, supervisor: &Supervisor, rooms: &Rooms) -> Reading {
        let told = rooms.clone();
        let marks = StoredMarks {
            heard: Arc::new(move |user, mark| told.mark_raised(user, mark)),
            persistence: self.persistence.clone(),
            relays: self.relays.clone(),
            yields_at: self.yields_at(),
            rooms_max: self.config.database.batch_max_messages,
        };
        crate::reading::actor::start(supervisor, self.permanent(), marks, self.config.into())
    }

    fn start_notify(&self, supervisor: &Supervisor, notify: Notify, presence: Presence) {
        let online = move |users| -> BoxFuture<'static, _> {
            let presence = presence.clone();
            Box::pin(async move { presence.online(users).await })
        };
        let parts = notify::work::Parts {
            store: self.store.clone(),
            persistence: self.persistence.clone(),
            relays: self.relays.clone(),
            online: Arc::new(online),
            clock: self.clock.clone(),
            notify,
            settings: self.config.notify.clone(),
            clean_every: self.config.accounts.clean_up_every,
            yields_at: self.yields_at(),
        };
        notify::actor::start(supervisor, self.permanent(), parts);
    }
}

/// What somebody asks to be notified of counts with the next post, or when the store answers again.
fn wishes_changed(notify: Notify, store: Store) -> WishesChanged {
    Arc::new(move || {
        let (notify, store) = (notify.clone(), store.clone());
        Box::pin(async move {
            if let Err(error) = notify.refresh(&store).await {
                tracing::warn!(%error, "cannot read at once for what somebody wants to be notified");
            }
        })
    })
}

async fn start_moderation(
    config: &Config,
    clock: &Clock,
    store: &Store,
    persistence: &Persistence,
    supervisor: &Supervisor,
    everywhere: Everywhere,
) -> Result<Moderation, StartError> {
    let keeper = moderation::keeper::Keeper {
        store: store.clone(),
        persistence: persistence.clone(),
        clock: clock.clone(),
        everywhere: everywhere.clone(),
        settings: config.moderation.clone(),
        clean_every: config.accounts.clean_up_every,
        rows_max: config.accounts.clean_up_rows,
    };
    moderation::keeper::start(supervisor, policy(config, RestartClass::Permanent), keeper);
    let parts = moderation::handle::Parts {
        store: store.clone(),
        persistence: persistence.clone(),
        clock: clock.clone(),
        everywhere,
        filters_everywhere: config.limits.filters_everywhere,
    };
    Ok(Moderation::open(parts).await?)
}

fn policy(config: &Config, class: RestartClass) -> RestartPolicy {
    let settings = &config.supervision;
    RestartPolicy::new(class, settings.max_restarts, settings.within).with_backoff(settings.backoff_first, settings.backoff_max)
}

impl Running {
    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether nobody had an account when it started.
    #[must_use]
    pub fn has_no_accounts(&self) -> bool {
        self.has_no_accounts
    }

    /// Waits until something makes it impossible to go on; else for ever.
    pub async fn ended(&mut self) -> Ended {
        tokio::select! {
            escalation = self.failure.wait() => Ended::GaveUp(escalation),
            Ok(other) = &mut self.lost => Ended::TakenOver(other),
        }
    }

    /// Stops in good order (I11): everything acknowledged stays, everybody is told, and it takes no longer than `drain_deadline`. The last
    /// commit has its time whatever hangs before it.
    pub async fn stop(self) -> Stopped {
        let (server, commit) = (&self.config.server, self.config.database.commit_deadline);
        // The rest is for the last commits, and for leaving the node list, which is a commit too.
        let beyond_plan = server.drain_deadline.saturating_sub(server.drain_delay + server.drain_spread);
        let for_people = server.drain_deadline.saturating_sub((commit * 2).min(beyond_plan / 2));
        let mut stopped = Stopped::InOrder;
        if tokio::time::timeout(for_people, self.send_people_away(for_people)).await.is_err() {
            tracing::warn!(?for_people, "not everybody was gone in time");
            stopped = Stopped::CutOff;
        }
        self.root.begin_stop();
        // Every write is answered within this time, so whatever was accepted before is through then.
        if tokio::time::timeout(commit, self.persistence.drain()).await.is_err() {
            tracing::warn!(?commit, "writes were still under way at the end of their time");
            stopped = Stopped::CutOff;
        }
        if tokio::time::timeout(commit, self.node.leave()).await.is_err() {
            tracing::warn!("could not take this node off the list in time; another may start once the lease has ended");
        }
        self.store.close();
        drop(self.folder);
        stopped
    }

    async fn send_people_away(&self, within: Duration) {
        let server = &self.config.server;
        self.state.enter(Phase::Draining);
        // Nobody waits for an answer that is only gathered.
        self.reading.hurry();
        tokio::time::sleep(server.drain_delay).await;
        // New sockets are refused with a word; requests are answered to the end, so that a balancer hears what is going on.
        self.gate.close();
        // Half of what is left, so that the last requests have time too when somebody's socket hangs.
        let patience = server.drain_spread + within.saturating_sub(server.drain_delay + server.drain_spread) / 2;
        if tokio::time::timeout(patience, self.gate.empty()).await.is_err() {
            tracing::warn!(open = self.gate.open(), "sockets were still open at the end of the drain");
        }
        self.workers.refuse_new().await;
        if faults::hit("app.hang_in_drain") {
            std::future::pending::<()>().await;
        }
        self.workers.stop().await;
    }
}
