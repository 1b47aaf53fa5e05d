//! `[accounts]`: see `default.toml` for units and defaults.

use std::time::Duration;

use serde::Deserialize;

use super::units::{ByteSize, duration};

/// Registration, passwords, tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// Who may register: `"open"`, `"invite"` (with a code from an administrator) or `"closed"`.
    pub registration: Registration,
    /// Work factor of bcrypt, 4 to 31: each step doubles the time of a login.
    pub bcrypt_cost: u32,
    /// Threads that hash passwords. 0: half the cores, at least one.
    pub bcrypt_threads: usize,
    /// Logins waiting for a hashing thread; beyond it the answer is busy.
    pub bcrypt_queue_max: usize,
    /// Shortest password in characters.
    pub password_min: usize,
    /// Longest password in bytes. Long ones are neither cut nor refused below it.
    pub password_max: ByteSize,
    /// Shortest user name in characters, at least 2.
    pub user_name_min: usize,
    /// Longest user name in characters, at most 32.
    pub user_name_max: usize,
    /// Longest display name in characters, at most 64.
    pub display_name_max: usize,
    /// Life of an access token, at most 15m.
    #[serde(deserialize_with = "duration")]
    pub access_token_ttl: Duration,
    /// Life of a refresh token, and so of a login that is not used.
    #[serde(deserialize_with = "duration")]
    pub refresh_token_ttl: Duration,
    /// How long the directly preceding refresh token is still accepted (a lost reply, two tabs).
    #[serde(deserialize_with = "duration")]
    pub refresh_grace: Duration,
    /// Logins (devices) of one account; the oldest is ended beyond it.
    pub logins_per_user: usize,
    /// Life of a registration invite.
    #[serde(deserialize_with = "duration")]
    pub invite_ttl: Duration,
    /// Shortest time between two writes of how far a person has read; what their devices report meanwhile is written together.
    #[serde(deserialize_with = "duration")]
    pub read_mark_flush: Duration,
    /// Such reports that wait to be taken; beyond it the answer is busy.
    pub read_mark_queue: usize,
    /// How often the store is asked which logins ended by another process; their sockets close within twice this.
    #[serde(deserialize_with = "duration")]
    pub standing_check: Duration,
    /// How often expired logins, invitations and operation ids are thrown away.
    #[serde(deserialize_with = "duration")]
    pub clean_up_every: Duration,
    /// Rows of each kind thrown away in one transaction.
    pub clean_up_rows: usize,
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Everyone.
    Open,
    /// Whoever has a code from an administrator.
    Invite,
    /// Nobody; accounts are made on the command line.
    Closed,
}
