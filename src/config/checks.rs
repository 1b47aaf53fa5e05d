//! What must hold of settings beyond their types: ranges that a promise fixes, and relations between settings.

use std::time::Duration;

use toml::Value;

use super::{Config, layers::Layers, units};

/// Settings for which zero means something; for all others it would stop the server from working at all.
const ZERO_ALLOWED: &[&str] =
    &["server.workers", "server.drain_delay", "server.drain_spread", "database.threads", "accounts.bcrypt_threads"];

/// Adds a problem to `layers` for everything that does not hold of `config`.
pub(super) fn check(config: &Config, layers: &mut Layers) {
    for path in zeros(layers) {
        let origin = layers.origin(&path);
        layers.problem(path, origin, "expected more than zero");
    }
    for (path, holds, reason) in rules(config) {
        if !holds {
            let origin = layers.origin(path);
            layers.problem(path, origin, reason);
        }
    }
}

fn zeros(layers: &Layers) -> Vec<String> {
    let is_zero = |value: &Value| match value {
        Value::Integer(number) => *number == 0,
        Value::String(text) => {
            units::parse_duration(text).is_ok_and(|duration| duration.is_zero())
                || text.parse::<units::ByteSize>().is_ok_and(|size| size.bytes() == 0)
        }
        _ => false,
    };
    let paths = layers.known().iter().filter(|setting| {
        let value = layers.table.get(&setting.section).and_then(|section| section.get(&setting.key));
        value.is_some_and(is_zero)
    });
    paths.map(super::reference::Setting::path).filter(|path| !ZERO_ALLOWED.contains(&path.as_str())).collect()
}

/// Each rule: the setting to blame, whether it holds, what is expected.
fn rules(config: &Config) -> Vec<(&'static str, bool, String)> {
    let Config { server, database, accounts, limits, session, presence, supervision, .. } = config;
    let at_most = |limit: Duration| format!("expected at most {limit:?}");
    let below = |other: &str, is: &dyn std::fmt::Debug| format!("expected at most {other}, which is {is:?}");
    vec![
        // Fixed by the promises, so an operator cannot loosen them.
        ("accounts.access_token_ttl", accounts.access_token_ttl <= ACCESS_TOKEN_TTL_MAX, at_most(ACCESS_TOKEN_TTL_MAX)),
        ("session.dead_after", session.dead_after <= DEAD_AFTER_MAX, at_most(DEAD_AFTER_MAX)),
        ("accounts.bcrypt_cost", (4..=31).contains(&accounts.bcrypt_cost), "expected 4 to 31".to_owned()),
        // Relations.
        (
            "session.ping_interval",
            session.ping_interval * 2 <= session.dead_after,
            format!(
                "expected at most half of session.dead_after, which is {:?}: one lost ping is not a dead peer",
                session.dead_after
            ),
        ),
        (
            "session.token_warning",
            session.token_warning < accounts.access_token_ttl,
            format!("expected less than accounts.access_token_ttl, which is {:?}", accounts.access_token_ttl),
        ),
        (
            "server.drain_delay",
            server.drain_delay + server.drain_spread < server.drain_deadline,
            format!(
                "expected drain_delay and drain_spread together below server.drain_deadline, which is {:?}: the last batch needs time too",
                server.drain_deadline
            ),
        ),
        ("limits.page_default", limits.page_default <= limits.page_max, below("limits.page_max", &limits.page_max)),
        (
            "limits.frame_max",
            limits.frame_max.bytes() >= limits.text_max.bytes().saturating_mul(JSON_GROWTH),
            format!("expected at least {JSON_GROWTH} times limits.text_max: JSON may write one byte as \\u0000"),
        ),
        (
            "server.request_body_max",
            server.request_body_max.bytes() >= limits.text_max.bytes().saturating_mul(JSON_GROWTH),
            format!("expected at least {JSON_GROWTH} times limits.text_max: JSON may write one byte as \\u0000"),
        ),
        (
            "session.outbox_max",
            session.outbox_max.bytes() >= limits.frame_max.bytes() * 2,
            "expected at least twice limits.frame_max: an outbox holds more than one event".to_owned(),
        ),
        (
            "database.batch_max_bytes",
            database.batch_max_bytes >= limits.text_max,
            below("database.batch_max_bytes", &limits.text_max.bytes()).replace("at most", "limits.text_max at most"),
        ),
        (
            "database.queue_max_bytes",
            database.queue_max_bytes >= database.batch_max_bytes,
            "expected at least database.batch_max_bytes".to_owned(),
        ),
        (
            "database.lock_wait",
            database.lock_wait <= database.commit_deadline,
            below("database.commit_deadline", &database.commit_deadline),
        ),
        ("database.retry_first", database.retry_first <= database.retry_max, below("database.retry_max", &database.retry_max)),
        (
            "database.node_lease",
            database.node_lease >= database.node_heartbeat * 3,
            format!(
                "expected at least three times database.node_heartbeat, which is {:?}: one late heartbeat is not a dead node",
                database.node_heartbeat
            ),
        ),
        (
            "database.session_timeout",
            database.session_timeout.as_secs() >= 1 && database.session_timeout.subsec_nanos() == 0,
            "expected whole seconds: the database knows no smaller unit".to_owned(),
        ),
        (
            "accounts.user_name_min",
            accounts.user_name_min <= accounts.user_name_max,
            below("accounts.user_name_max", &accounts.user_name_max),
        ),
        (
            "accounts.password_min",
            accounts.password_min <= accounts.password_max.as_usize(),
            below("accounts.password_max", &accounts.password_max.bytes()),
        ),
        (
            "accounts.refresh_token_ttl",
            accounts.refresh_token_ttl > accounts.access_token_ttl,
            "expected more than accounts.access_token_ttl".to_owned(),
        ),
        (
            "presence.coalesce",
            presence.coalesce <= presence.offline_after,
            below("presence.offline_after", &presence.offline_after),
        ),
        (
            "supervision.backoff_first",
            supervision.backoff_first <= supervision.backoff_max,
            below("supervision.backoff_max", &supervision.backoff_max),
        ),
        (
            "server.public_url",
            server.public_url.is_empty() || is_web_address(&server.public_url),
            "expected an address such as \"https://chat.example.org\", without a path".to_owned(),
        ),
        (
            "server.allowed_origins",
            server.allowed_origins.iter().all(|origin| is_web_address(origin)),
            "expected origins such as \"https://app.example.org\", without a path".to_owned(),
        ),
    ]
}

/// `design.md` §6: an access token lives at most a quarter of an hour.
const ACCESS_TOKEN_TTL_MAX: Duration = Duration::from_mins(15);
/// `design.md` §4: a dead peer is noticed within a minute.
const DEAD_AFTER_MAX: Duration = Duration::from_mins(1);
/// JSON writes a control character of one byte as six.
const JSON_GROWTH: u64 = 6;

fn is_web_address(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']))
}
