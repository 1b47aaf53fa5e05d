//! `[server]`: see `default.toml` for units and defaults.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;
use serde::Deserialize;

use super::units::{ByteSize, duration};

/// The listening side: addresses, threads, connection limits, draining (I11).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on. Port 0 takes a free one, which the log then names.
    pub listen: SocketAddr,
    /// How people reach this server, such as `"https://chat.example.org"`. Used in links. Empty: http:// and the
    /// listen address.
    pub public_url: String,
    /// Worker threads for sockets and HTTP. 0: one per core.
    pub workers: usize,
    /// Open WebSockets of this node; a handshake beyond it is refused with 429. Fewer where the limit of open files is too
    /// low.
    pub max_connections: usize,
    /// Open connections of plain HTTP of this node; further ones wait to be accepted. A WebSocket is one of them until its
    /// handshake is answered. Each worker thread serves an equal share, at least one.
    pub max_http_connections: usize,
    /// Connections the system queues before they are accepted.
    pub backlog: u32,
    /// Time from an accepted connection to a complete request head.
    #[serde(deserialize_with = "duration")]
    pub head_timeout: Duration,
    /// Idle time after which a plain HTTP connection is closed.
    #[serde(deserialize_with = "duration")]
    pub keep_alive: Duration,
    /// Time from the head of a REST request to the end of its body.
    #[serde(deserialize_with = "duration")]
    pub body_timeout: Duration,
    /// Largest body of a REST request.
    pub request_body_max: ByteSize,
    /// Time from the WebSocket handshake to the hello frame.
    #[serde(deserialize_with = "duration")]
    pub hello_timeout: Duration,
    /// Time from SIGTERM, when /health/ready turns 503, to refusing new sockets. Behind a load balancer: longer
    /// than its check interval.
    #[serde(deserialize_with = "duration")]
    pub drain_delay: Duration,
    /// Span over which open sockets are told to reconnect elsewhere while draining.
    #[serde(deserialize_with = "duration")]
    pub drain_spread: Duration,
    /// Time from SIGTERM to exit, everything included.
    #[serde(deserialize_with = "duration")]
    pub drain_deadline: Duration,
    /// Networks of reverse proxies whose X-Forwarded-For is believed, such as `["10.0.0.0/8"]`.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins of web pages, besides public_url and the address itself, that may open a WebSocket, such as
    /// `["https://app.example.org"]`.
    pub allowed_origins: Vec<String>,
    /// Networks that may read /metrics. Requests from trusted proxies count by the address they forward.
    pub metrics_allowed: Vec<IpNet>,
}

impl Server {
    /// How many worker threads that makes here.
    #[must_use]
    pub fn worker_threads(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}
