//! `[session]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::{ByteSize, duration};

/// One live connection: its outbox, its pings, its token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Bytes waiting for one socket; beyond it the socket is closed as slow_consumer and resumes.
    pub outbox_max: ByteSize,
    /// Silence after which the server pings.
    #[serde(deserialize_with = "duration")]
    pub ping_interval: Duration,
    /// Silence after which a peer counts as dead, at most 60s.
    #[serde(deserialize_with = "duration")]
    pub dead_after: Duration,
    /// How long before its expiry a session is told to renew its token.
    #[serde(deserialize_with = "duration")]
    pub token_warning: Duration,
    /// Time the peer has to answer a close frame before the socket is dropped.
    #[serde(deserialize_with = "duration")]
    pub close_timeout: Duration,
    /// Frames that are no commands after which a socket is closed as bad_commands.
    pub bad_frames_max: usize,
    /// Messages waiting for one relay, the actor that feeds the sockets of one worker thread; rooms send again what it refused.
    pub relay_mailbox: usize,
}

impl Session {
    /// Bytes that anybody puts into an outbox at once, be it a page of catch-up, a piece of a group or what a relay appends in one turn: so little that
    /// it finds room beside what waits already.
    #[must_use]
    pub fn share(&self) -> usize {
        self.outbox_max.as_usize() / 4
    }
}
