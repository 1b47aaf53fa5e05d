//! Every metric of the server on one page: name, kind, unit, labels, meaning.
//!
//! Whoever counts uses the constant: `metrics::counter!(telemetry::metrics::POSTS, "outcome" => "stored")`. On hot paths keep the
//! handle that the macro returns. Labels take values from closed lists (fault codes, actor kinds, route patterns), never ids,
//! names or addresses.

use std::sync::OnceLock;

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution in these buckets.
    Histogram(&'static [f64]),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// As it is exported.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Unit of its values.
    pub unit: Unit,
    /// What it tells, and its labels.
    pub meaning: &'static str,
}

/// Seconds from a tenth of a millisecond to ten.
const SECONDS: &[f64] =
    &[0.0001, 0.000_25, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 10_000.0, 100_000.0];

macro_rules! table {
    ($($constant:ident $name:literal $kind:ident $(($buckets:ident))? $unit:ident $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $constant: &str = $name;)*

        /// Every metric, in the order of this page.
        pub const TABLE: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind $(($buckets))?, unit: Unit::$unit, meaning: $meaning },)*
        ];
    };
}

table! {
    // Connections and sessions.
    CONNECTIONS "hubbub_connections" Gauge Count "Open WebSockets, with or without hello.";
    CONNECTIONS_REFUSED "hubbub_connections_refused_total" Counter Count "WebSocket handshakes refused. Label reason: limit, rate, draining, handshake (not a good one).";
    SESSIONS "hubbub_sessions" Gauge Count "Sessions that said hello and are open.";
    SESSIONS_CLOSED "hubbub_sessions_closed_total" Counter Count "WebSockets closed. Label reason: that of the close frame, such as slow_consumer; normal when the other side left.";
    FRAMES_IN "hubbub_frames_in_total" Counter Count "WebSocket messages and control frames received.";
    FRAMES_OUT "hubbub_frames_out_total" Counter Count "Frames written.";
    BYTES_OUT "hubbub_bytes_out_total" Counter Bytes "Bytes written to WebSockets.";
    FLUSHES "hubbub_flushes_total" Counter Count "Writes to WebSockets, each of one or more frames.";
    COMMANDS "hubbub_commands_total" Counter Count "Commands received. Label command.";
    REPLIES "hubbub_replies_total" Counter Count "Replies to commands. Label outcome: ok or a fault code.";
    RATE_LIMITED "hubbub_rate_limited_total" Counter Count "Refusals because something was done too often. Label rate: its key in the settings.";

    // Delivery and catch-up.
    SLOW_CONSUMERS "hubbub_slow_consumers_total" Counter Count "WebSockets closed because their client read too slowly.";
    DELIVERIES "hubbub_deliveries_total" Counter Count "Events appended to an outbox.";
    ENVELOPES "hubbub_envelopes_total" Counter Count "Envelopes that reached a relay, one per event and worker thread.";
    SUBSCRIPTIONS "hubbub_subscriptions" Gauge Count "Subscriptions of sessions to rooms.";
    OUTBOX_BYTES "hubbub_outbox_bytes" Gauge Bytes "Bytes waiting in all outboxes.";
    DELIVERY_SECONDS "hubbub_delivery_seconds" Histogram(SECONDS) Seconds "Time from the commit of an event to its place in the outboxes of a worker thread, once per thread.";
    RESUMES "hubbub_resumes_total" Counter Count "Subscriptions with a cursor. Label outcome: current, caught_up, reset, refused.";
    RESUME_CHANGES "hubbub_resume_changes" Histogram(COUNTS) Count "Changes that a subscription with a cursor had missed and was sent.";

    // Persistence and store.
    POSTS "hubbub_posts_total" Counter Count "Posts answered. Label outcome: stored, repeated, or a fault code.";
    BATCH_MESSAGES "hubbub_batch_messages" Histogram(COUNTS) Count "Messages in one transaction.";
    COMMIT_SECONDS "hubbub_commit_seconds" Histogram(SECONDS) Seconds "Time of one transaction, lock to commit.";
    QUEUE_SECONDS "hubbub_queue_seconds" Histogram(SECONDS) Seconds "Time of a write from its arrival to the begin of its transaction.";
    QUEUE_WRITES "hubbub_queue_writes" Gauge Count "Writes waiting in the persistence actors.";
    QUEUE_BYTES "hubbub_queue_bytes" Gauge Bytes "Bytes waiting in the persistence actors.";
    BATCH_RETRIES "hubbub_batch_retries_total" Counter Count "Batches run again. Label reason: lost, panic, deadlock, one_by_one.";
    LAST_COMMIT_AGE "hubbub_last_commit_age_seconds" Gauge Seconds "Time since a transaction committed while writes were waiting; 0 when none wait.";
    READ_SECONDS "hubbub_read_seconds" Histogram(SECONDS) Seconds "Time of one read, waiting for a connection included. Label read: its name.";
    STORE_FAULTS "hubbub_store_faults_total" Counter Count "Store operations that failed. Label fault: its code.";

    // Rooms, presence, accounts.
    ROOMS_AWAKE "hubbub_rooms_awake" Gauge Count "Room actors running.";
    ROOM_LOAD_SECONDS "hubbub_room_load_seconds" Histogram(SECONDS) Seconds "Time to wake a room from the store.";
    ROOM_GAPS "hubbub_room_gaps_total" Counter Count "Gaps in revisions that a room filled from the store.";
    PEOPLE_ONLINE "hubbub_people_online" Gauge Count "People with at least one session.";
    PRESENCE_CHANGES "hubbub_presence_changes_total" Counter Count "Presence changes told to watchers.";
    PRESENCE_DROPPED "hubbub_presence_dropped_total" Counter Count "Messages to the presence tracker lost to a full mailbox; the next report of the relays mends them.";
    LOGINS "hubbub_logins_total" Counter Count "Attempts to log in. Label outcome: ok or a fault code.";
    HASH_SECONDS "hubbub_password_hash_seconds" Histogram(SECONDS) Seconds "Time of one password check, waiting for a thread included.";
    FILTER_HOOK "hubbub_filter_hook_total" Counter Count "Texts that the filter hook was to judge. Label outcome: allow, refuse, report, or why it did not: late, gone, status, garbage, full, left_alone.";
    FILTER_HOOK_SECONDS "hubbub_filter_hook_seconds" Histogram(SECONDS) Seconds "Time of one question to the filter hook.";
    NOTIFICATIONS "hubbub_notifications_total" Counter Count "Notifications written to people's streams, or taken back.";
    NOTIFY_SECONDS "hubbub_notify_seconds" Histogram(SECONDS) Seconds "Time from a message that may notify somebody until the last of them was.";
    NOTIFY_WAITING "hubbub_notify_waiting" Gauge Count "Messages of which people are still to be notified, as they were when it was last looked; not counted beyond 100000.";
    REPORTS "hubbub_reports_total" Counter Count "Reports to moderators. Label reason.";

    // Actors and HTTP.
    ACTORS "hubbub_actors" Gauge Count "Running supervised actors. Label kind.";
    ACTOR_PANICS "hubbub_actor_panics_total" Counter Count "Panics of supervised actors, restarted or not. Label kind.";
    ACTOR_RESTARTS "hubbub_actor_restarts_total" Counter Count "Restarts of supervised actors. Label kind.";
    ACTOR_ESCALATIONS "hubbub_actor_escalations_total" Counter Count "Times a supervisor bore that a child below used up its limit. Label supervisor.";
    MAILBOX_DEPTH "hubbub_mailbox_depth" Gauge Count "Messages waiting, the fullest mailbox of its kind. Label kind.";
    HTTP_REQUESTS "hubbub_http_requests_total" Counter Count "Requests answered. Labels method, route (its pattern), status.";
    HTTP_SECONDS "hubbub_http_request_seconds" Histogram(SECONDS) Seconds "Time to answer a request. Labels method, route.";
    BUILD "hubbub_build_info" Gauge Count "1. Label version.";
}

/// The metrics crate knows one recorder per process, so this is its one handle: the exception to "no globals".
static INSTALLED: OnceLock<Result<PrometheusHandle, BuildError>> = OnceLock::new();

/// Makes the process record metrics, at the first call; every call returns the handle that renders them.
///
/// Somebody must call [`PrometheusHandle::run_upkeep`] every few seconds: until then, or a scrape, each histogram keeps its
/// samples one by one.
///
/// # Errors
/// Another recorder was installed already.
pub fn install() -> Result<PrometheusHandle, &'static BuildError> {
    INSTALLED.get_or_init(first_install).as_ref().cloned()
}

fn first_install() -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in TABLE {
        if let Kind::Histogram(buckets) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
        }
    }
    let handle = builder.install_recorder()?;
    for metric in TABLE {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.unit, metric.meaning),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.meaning),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.unit, metric.meaning),
        }
    }
    metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_twice_gives_the_same_registry_with_descriptions_and_buckets() {
        let first = install().unwrap();
        let second = install().unwrap();
        metrics::histogram!(RESUME_CHANGES).record(3.0);
        metrics::counter!(FLUSHES).increment(1);
        for rendered in [first.render(), second.render()] {
            assert!(rendered.contains("hubbub_build_info{version="), "{rendered}");
            assert!(rendered.contains("# HELP hubbub_flushes_total"), "{rendered}");
            assert!(rendered.contains("hubbub_resume_changes_bucket{le=\"5\"}"), "{rendered}");
        }
    }

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let mut names: Vec<_> = TABLE.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        for metric in TABLE {
            assert!(metric.name.starts_with("hubbub_") && metric.meaning.ends_with('.'), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.unit != Unit::Seconds || metric.name.ends_with("_seconds"), "{}", metric.name);
        }
    }
}
