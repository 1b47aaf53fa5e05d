//! The worker threads: each with a relay, the sessions whose sockets it accepted, and HTTP.
//!
//! actix-server accepts on a thread of its own and hands connections to the workers in turn; while each has as many as it may, it accepts
//! none. A request to upgrade leaves actix-web before routing and becomes a session (`session::upgrade`), which is counted by the gate from
//! then on; all others go through the routes.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_rt::net::TcpSocket;
use actix_server::{Server, ServerHandle};
use actix_service::{fn_service, map_config};
use actix_web::App;
use actix_web::body::BoxBody;
use actix_web::dev::AppConfig;
use actix_web::middleware::{Next, from_fn};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing_actix_web::TracingLogger;

use super::{StartError, policy};
use crate::config::Config;
use crate::delivery::handle::Relays;
use crate::delivery::relay::{LocalRelay, Start as RelayStart};
use crate::domain::time::Clock;
use crate::http::parts::Parts as HttpParts;
use crate::http::rates::Rates;
use crate::http::{address, routes};
use crate::session::gate::Gate;
use crate::session::node::Node as Neighbours;
use crate::session::thread::{SessionThread, Shared};
use crate::session::upgrade::upgrade;
use crate::supervision::policy::RestartClass;
use crate::supervision::tree::Supervisor;
use crate::telemetry::request::RequestSpan;

/// How long an answer that is written may take to leave, once no request is under way any more. A kept-alive connection never ends by
/// itself, so this time always passes where there is one.
const LEAVING: Duration = Duration::from_secs(1);

/// What the workers are started with.
#[derive(Clone)]
pub struct Parts {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub root: Supervisor,
    pub relays: Relays,
    pub gate: Gate,
    pub neighbours: Neighbours,
    pub rates: Rates,
    pub http: Arc<HttpParts>,
}

/// The running workers.
pub struct Workers {
    address: SocketAddr,
    server: ServerHandle,
    /// Those that are not answered yet.
    requests: TaskTracker,
    patience: Duration,
}

impl Workers {
    /// Listens and starts them.
    pub fn start(parts: Parts) -> Result<Self, StartError> {
        let settings = Arc::clone(&parts.config);
        let listen = settings.server.listen.to_string();
        let failed = |error| StartError::Listen(listen.clone(), error);
        let listener = listener(&settings).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let pages = Arc::new(Semaphore::new(settings.resume.node_pages_in_flight));
        let (relays, sessions) = (below(&parts, "relays"), below(&parts, "sessions"));
        let requests = TaskTracker::new();
        let tracker = requests.clone();
        let threads = settings.server.worker_threads();
        let builder = Server::build()
            .workers(threads)
            // It counts for each worker, and a connection no longer once it is upgraded.
            .max_concurrent_connections(settings.server.max_http_connections.div_ceil(threads))
            .shutdown_timeout(LEAVING.as_secs())
            .disable_signals();
        let server = builder
            .listen("http", listener, move || {
                let thread = session_thread(&parts, &relays, &sessions, &pages);
                let upgrades = fn_service(move |(request, framed)| {
                    let upgrading = upgrade(Rc::clone(&thread), request, framed);
                    async move { upgrading.await.map_err(actix_web::Error::from) }
                });
                let tracker = tracker.clone();
                let tracked = from_fn(move |request, next: Next<BoxBody>| tracker.track_future(next.call(request)));
                let app =
                    App::new().configure(routes::configure(&parts.http)).wrap(tracked).wrap(TracingLogger::<RequestSpan>::new());
                HttpService::build()
                    .keep_alive(parts.config.server.keep_alive)
                    .client_request_timeout(parts.config.server.head_timeout)
                    .upgrade(upgrades)
                    .finish(map_config(app, move |()| AppConfig::default()))
                    .tcp()
            })
            .map_err(failed)?
            .run();
        let handle = server.handle();
        actix::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the listener failed");
            }
        });
        Ok(Self { address, server: handle, requests, patience: patience_with_requests(&settings) })
    }

    /// Where they listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// No connection is accepted from here on.
    pub async fn refuse_new(&self) {
        self.server.pause().await;
    }

    /// Ends the threads; requests under way are finished first, as far as they take no longer than they may.
    pub async fn stop(&self) {
        self.requests.close();
        if tokio::time::timeout(self.patience, self.requests.wait()).await.is_err() {
            tracing::warn!(under_way = self.requests.len(), "requests were not answered in time");
        }
        self.server.stop(true).await;
    }
}

/// Listens as std's listeners do, but with the queue that the settings name: actix-server takes a listener as it is.
fn listener(config: &Config) -> io::Result<TcpListener> {
    let address = config.server.listen;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that is started again takes its address back at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(config.server.backlog)?.into_std()
}

/// How long requests under way are waited for: no longer than one may wait for the database, and well within the drain's deadline (I11).
fn patience_with_requests(config: &Config) -> Duration {
    config.database.read_deadline.min(config.server.drain_deadline / 4)
}

fn below(parts: &Parts, name: &str) -> Supervisor {
    parts.root.supervisor(name, policy(&parts.config, RestartClass::Permanent))
}

/// Runs on the worker's own thread, which is where its relay and its sessions live.
fn session_thread(parts: &Parts, relays: &Supervisor, sessions: &Supervisor, pages: &Arc<Semaphore>) -> Rc<SessionThread> {
    let relay = LocalRelay::start(RelayStart {
        supervisor: relays,
        policy: policy(&parts.config, RestartClass::Permanent),
        mailbox: u32::try_from(parts.config.session.relay_mailbox).unwrap_or(u32::MAX),
        // Half may be taken by what is sent for catching up.
        turn_bytes: parts.config.session.share(),
        feeds: Arc::new(parts.neighbours.rooms.clone()),
        relays: &parts.relays,
    });
    let (rates, settings) = (parts.rates.clone(), Arc::clone(&parts.config));
    SessionThread::start(Shared {
        admit: Box::new(move |peer, headers| rates.connection(address::client(peer, headers, &settings.server.trusted_proxies))),
        config: Arc::clone(&parts.config),
        clock: parts.clock.clone(),
        relay,
        neighbours: Rc::new(parts.neighbours.clone()),
        supervisor: sessions.clone(),
        gate: parts.gate.clone(),
        pages: Arc::clone(pages),
    })
}
