//! What every server under a drill, and under the swarm in the gate (`tests/real`), has turned off or down: it would be measured instead of
//! the server. A setting that is no more is refused by the server, so the gate notices.

/// As `--set` takes them.
pub const SETTINGS: [&str; 16] = [
    "accounts.bcrypt_cost=4",
    "accounts.read_mark_flush=500ms",
    "accounts.registration=open",
    "log.filter=info,hubbub::access=warn",
    "rates.login_per_address=off",
    "rates.login_per_account=off",
    "rates.register_per_address=off",
    "rates.refresh_per_account=off",
    "rates.connections_per_address=off",
    "rates.requests_per_address=off",
    "rates.requests_per_account=off",
    "rates.frames_per_connection=off",
    "rates.commands_per_account=off",
    "rates.posts_per_account=off",
    "rates.people_search_per_account=off",
    "rates.rooms_made_per_account=off",
];
