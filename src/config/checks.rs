//! What must hold of settings beyond their types: ranges that a promise fixes, and relations between settings.

use std::{fmt::Debug, time::Duration};

use toml::Value;

use super::{ByteSize, Config, layers::Layers, units};
use crate::domain::preference::Keyword;
use crate::domain::text::{DisplayName, UserName};

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
                || text.parse::<ByteSize>().is_ok_and(|size| size.bytes() == 0)
        }
        _ => false,
    };
    let paths = layers.known().iter().filter(|setting| {
        let value = layers.table.get(&setting.section).and_then(|section| section.get(&setting.key));
        value.is_some_and(is_zero)
    });
    paths.map(super::reference::Setting::path).filter(|path| !ZERO_ALLOWED.contains(&path.as_str())).collect()
}

/// What the column of mentions holds.
const MENTIONS_MAX: usize = 100;

/// A rule: the setting to blame, whether it holds, what is expected.
type Rule = (&'static str, bool, String);

fn rules(config: &Config) -> Vec<Rule> {
    [promised(config), on_the_wire(config), in_the_store(config), elsewhere(config)].concat()
}

fn at_most(other: &str, is: impl Debug) -> String {
    format!("expected at most {other}, which is {is:?}")
}

/// What the promises fix, so that an operator cannot loosen it.
fn promised(Config { accounts, session, .. }: &Config) -> Vec<Rule> {
    vec![
        (
            "accounts.access_token_ttl",
            accounts.access_token_ttl <= ACCESS_TOKEN_TTL_MAX,
            format!("expected at most {ACCESS_TOKEN_TTL_MAX:?}"),
        ),
        ("session.dead_after", session.dead_after <= DEAD_AFTER_MAX, format!("expected at most {DEAD_AFTER_MAX:?}")),
        ("accounts.bcrypt_cost", (4..=31).contains(&accounts.bcrypt_cost), "expected 4 to 31".to_owned()),
    ]
}

fn on_the_wire(Config { server, accounts, limits, session, .. }: &Config) -> Vec<Rule> {
    let holds_a_text = |size: ByteSize| size.bytes() >= limits.text_max.bytes().saturating_mul(JSON_GROWTH);
    let holds_a_text_expected =
        format!("expected at least {JSON_GROWTH} times limits.text_max: JSON may write one byte as \\u0000");
    let origins = server.allowed_origins.iter();
    vec![
        (
            // actix-http counts from a time it notes every half second; a deadline that has passed when it is set never strikes.
            "server.head_timeout",
            server.head_timeout >= HEAD_TIMEOUT_MIN,
            format!("expected at least {HEAD_TIMEOUT_MIN:?}"),
        ),
        (
            "server.public_url",
            server.public_url.is_empty() || is_web_address(&server.public_url),
            "expected an address such as \"https://chat.example.org\", without a path".to_owned(),
        ),
        (
            "server.allowed_origins",
            origins.map(String::as_str).all(is_web_address),
            "expected origins such as \"https://app.example.org\", without a path".to_owned(),
        ),
        (
            "server.drain_delay",
            server.drain_delay.saturating_add(server.drain_spread) < server.drain_deadline,
            format!(
                "expected drain_delay and drain_spread together below server.drain_deadline, which is {:?}: \
                 the last batch needs time too",
                server.drain_deadline
            ),
        ),
        ("server.request_body_max", holds_a_text(server.request_body_max), holds_a_text_expected.clone()),
        ("limits.frame_max", holds_a_text(limits.frame_max), holds_a_text_expected),
        ("limits.page_default", limits.page_default <= limits.page_max, at_most("limits.page_max", limits.page_max)),
        (
            "session.outbox_max",
            session.outbox_max.bytes() / 2 >= limits.frame_max.bytes(),
            "expected at least twice limits.frame_max: an outbox holds more than one event".to_owned(),
        ),
        (
            "session.ping_interval",
            session.ping_interval <= session.dead_after / 2,
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
    ]
}

fn in_the_store(Config { database, limits, conversation, .. }: &Config) -> Vec<Rule> {
    vec![
        (
            "database.batch_max_bytes",
            database.batch_max_bytes >= limits.text_max,
            "expected at least limits.text_max: a batch holds a message".to_owned(),
        ),
        (
            "database.queue_max_bytes",
            database.queue_max_bytes >= database.batch_max_bytes,
            "expected at least database.batch_max_bytes".to_owned(),
        ),
        (
            "database.lock_wait",
            database.lock_wait <= database.commit_deadline,
            at_most("database.commit_deadline", database.commit_deadline),
        ),
        ("database.retry_first", database.retry_first <= database.retry_max, at_most("database.retry_max", database.retry_max)),
        (
            "database.node_lease",
            database.node_heartbeat <= database.node_lease / 3,
            format!(
                "expected at least three times database.node_heartbeat, which is {:?}: one late heartbeat is not a dead node",
                database.node_heartbeat
            ),
        ),
        (
            "conversation.mentions_per_message",
            conversation.mentions_per_message <= MENTIONS_MAX,
            format!("expected at most {MENTIONS_MAX}: they are kept beside the message"),
        ),
        ("database.session_timeout", whole_seconds(database.session_timeout), WHOLE_SECONDS.to_owned()),
        ("database.lock_wait", whole_seconds(database.lock_wait), WHOLE_SECONDS.to_owned()),
    ]
}

fn elsewhere(Config { accounts, limits, presence, supervision, filter_hook, .. }: &Config) -> Vec<Rule> {
    vec![
        (
            "filter_hook.url",
            filter_hook.url.is_empty() || is_hook_address(&filter_hook.url),
            "expected an address such as \"http://127.0.0.1:9000/judge\"".to_owned(),
        ),
        (
            "accounts.user_name_min",
            accounts.user_name_min >= UserName::MIN_CHARS,
            format!("expected at least {}", UserName::MIN_CHARS),
        ),
        (
            "accounts.user_name_max",
            accounts.user_name_max <= UserName::MAX_CHARS,
            format!("expected at most {}", UserName::MAX_CHARS),
        ),
        (
            "accounts.display_name_max",
            accounts.display_name_max <= DisplayName::MAX_CHARS,
            format!("expected at most {}", DisplayName::MAX_CHARS),
        ),
        ("limits.keyword_max", limits.keyword_max <= Keyword::MAX_CHARS, format!("expected at most {}", Keyword::MAX_CHARS)),
        (
            "accounts.user_name_min",
            accounts.user_name_min <= accounts.user_name_max,
            at_most("accounts.user_name_max", accounts.user_name_max),
        ),
        (
            "accounts.password_min",
            accounts.password_min <= accounts.password_max.as_usize(),
            at_most("accounts.password_max", accounts.password_max),
        ),
        (
            "accounts.refresh_token_ttl",
            accounts.refresh_token_ttl > accounts.access_token_ttl,
            "expected more than accounts.access_token_ttl".to_owned(),
        ),
        (
            "presence.coalesce",
            presence.coalesce <= presence.offline_after,
            at_most("presence.offline_after", presence.offline_after),
        ),
        (
            "supervision.backoff_first",
            supervision.backoff_first <= supervision.backoff_max,
            at_most("supervision.backoff_max", supervision.backoff_max),
        ),
    ]
}

const WHOLE_SECONDS: &str = "expected whole seconds: MySQL knows no smaller unit";

fn whole_seconds(duration: Duration) -> bool {
    duration.subsec_nanos() == 0
}

/// The HTTP server's clock is that coarse.
const HEAD_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// An access token lives at most a quarter of an hour.
const ACCESS_TOKEN_TTL_MAX: Duration = Duration::from_mins(15);
/// A dead peer is noticed within a minute.
const DEAD_AFTER_MAX: Duration = Duration::from_mins(1);
/// JSON writes a control character of one byte as six.
const JSON_GROWTH: u64 = 6;

fn is_hook_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn is_web_address(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']))
}
