//! `[rates]`: see `default.toml` for units and defaults.

use serde::Deserialize;

use super::units::Rate;

/// How often each address and each account may do things.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Logins per address.
    pub login_per_address: Rate,
    /// Wrong passwords per account; an unknown name counts like an account.
    pub login_per_account: Rate,
    /// Registrations per address.
    pub register_per_address: Rate,
    /// Token renewals per account, by those who hold a token of it.
    pub refresh_per_account: Rate,
    /// WebSocket handshakes per address.
    pub connections_per_address: Rate,
    /// REST requests per address.
    pub requests_per_address: Rate,
    /// REST requests per account.
    pub requests_per_account: Rate,
    /// WebSocket frames of any kind per connection; beyond it the socket is closed as too_fast.
    pub frames_per_connection: Rate,
    /// WebSocket commands per account, posts not counted.
    pub commands_per_account: Rate,
    /// Posts per account, over socket and REST together.
    pub posts_per_account: Rate,
    /// Searches for people per account.
    pub people_search_per_account: Rate,
    /// Rooms and group conversations made per account.
    pub rooms_made_per_account: Rate,
    /// Reports to moderators per account.
    pub reports_per_account: Rate,
    /// Addresses and accounts remembered per rate; beyond it the longest unused are forgotten.
    pub tracked_max: usize,
}
