//! What one worker thread counts on its hot paths, and how it comes into the metrics.
//!
//! Purpose: looking a metric up by its name hashes and locks, which is too much for what happens with each frame, delivery and command.
//! So these are counted in plain cells that only this thread touches, and handed to the metrics when somebody reads those
//! ([`super::handle::Relays::publish`]). Neighbours: the relay and the sessions of the thread count, the relay publishes.
//! Invariant: what was counted is published once. Must not know: other threads, who asks.

use std::cell::Cell;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::domain::fault::Fault;
use crate::protocol::v1::command::Command;
use crate::telemetry::metrics as names;

/// A number that only grows.
#[derive(Debug)]
pub struct Count {
    /// Since it was last published.
    news: Cell<u64>,
    counter: Counter,
}

impl Count {
    fn new(counter: Counter) -> Self {
        Self { news: Cell::new(0), counter }
    }

    /// So many more.
    pub fn add(&self, count: usize) {
        self.news.set(self.news.get() + count as u64);
    }

    fn publish(&self) {
        let news = self.news.take();
        if news > 0 {
            self.counter.increment(news);
        }
    }
}

/// This thread's part of a number that goes up and down.
#[derive(Debug)]
pub(super) struct Level {
    published: Cell<f64>,
    gauge: Gauge,
}

impl Level {
    fn new(gauge: Gauge) -> Self {
        Self { published: Cell::new(0.0), gauge }
    }

    /// All threads share the gauge, so only the difference is told.
    #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact")]
    pub(super) fn publish(&self, now: usize) {
        let now = now as f64;
        self.gauge.increment(now - self.published.replace(now));
    }
}

/// What became of a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// Nothing was missed.
    Current,
    /// What was missed is sent.
    CaughtUp,
    /// The room begins afresh.
    Reset,
    /// The room may not be received, or not now.
    Refused,
}

/// All counts of one thread.
#[derive(Debug)]
pub struct Tally {
    /// Frames received.
    pub frames_in: Count,
    /// Frames written to the end.
    pub frames_out: Count,
    /// Bytes written to WebSockets.
    pub bytes_out: Count,
    /// Writes.
    pub flushes: Count,
    /// Appended to outboxes.
    pub(super) deliveries: Count,
    /// Reached the relay.
    pub(super) envelopes: Count,
    /// From an envelope's making, right after the commit, to its place in the outboxes.
    pub(super) delivery_seconds: Histogram,
    pub(super) subscriptions: Level,
    pub(super) outbox_bytes: Level,
    /// In the order of [`Command::names`].
    commands: Vec<Count>,
    /// One for `ok`, then in the order of [`Fault::ALL`].
    replies: Vec<Count>,
    /// In the order of [`Resumed`].
    resumes: Vec<Count>,
    resume_changes: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        let count = |name: &'static str| Count::new(counter!(name));
        let outcomes = std::iter::once("ok").chain(Fault::ALL.iter().map(|fault| fault.row().code));
        let labelled = |name: &'static str, label: &'static str, value: &'static str| Count::new(counter!(name, label => value));
        Self {
            frames_in: count(names::FRAMES_IN),
            frames_out: count(names::FRAMES_OUT),
            bytes_out: count(names::BYTES_OUT),
            flushes: count(names::FLUSHES),
            deliveries: count(names::DELIVERIES),
            envelopes: count(names::ENVELOPES),
            delivery_seconds: histogram!(names::DELIVERY_SECONDS),
            subscriptions: Level::new(gauge!(names::SUBSCRIPTIONS)),
            outbox_bytes: Level::new(gauge!(names::OUTBOX_BYTES)),
            commands: Command::names().map(|name| labelled(names::COMMANDS, "command", name)).collect(),
            replies: outcomes.map(|outcome| labelled(names::REPLIES, "outcome", outcome)).collect(),
            resumes: ["current", "caught_up", "reset", "refused"]
                .map(|outcome| labelled(names::RESUMES, "outcome", outcome))
                .into(),
            resume_changes: histogram!(names::RESUME_CHANGES),
        }
    }
}

impl Tally {
    /// A command was understood.
    pub fn command(&self, command: &Command) {
        add(&self.commands, command.number());
    }

    /// A command was answered; `None`: it was done.
    pub fn reply(&self, fault: Option<Fault>) {
        add(&self.replies, fault.map_or(0, |fault| 1 + fault as usize));
    }

    /// A subscription with a cursor was answered; `missed` changes are between it and the room's head.
    #[expect(clippy::cast_precision_loss, reason = "revisions are below 2^53")]
    pub fn resumed(&self, how: Resumed, missed: u64) {
        add(&self.resumes, how as usize);
        if how == Resumed::CaughtUp {
            self.resume_changes.record(missed as f64);
        }
    }

    /// Hands everything counted to the metrics.
    pub(super) fn publish(&self) {
        let single = [&self.frames_in, &self.frames_out, &self.bytes_out, &self.flushes, &self.deliveries, &self.envelopes];
        let many = [&self.commands, &self.replies, &self.resumes].into_iter().flatten();
        single.into_iter().chain(many).for_each(Count::publish);
    }
}

fn add(counts: &[Count], place: usize) {
    if let Some(count) = counts.get(place) {
        count.add(1);
    }
}

#[cfg(test)]
impl Count {
    /// What nobody has read yet.
    pub fn unpublished(&self) -> u64 {
        self.news.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn what_was_counted_is_published_once_and_levels_of_threads_add_up() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let rendered = recorder.handle();
        let _local = metrics::set_default_local_recorder(&recorder);
        let (one, two) = (Tally::default(), Tally::default());
        one.frames_in.add(2);
        two.frames_in.add(3);
        one.reply(Some(Fault::Busy));
        one.reply(None);
        one.resumed(Resumed::CaughtUp, 7);
        for _ in 0..2 {
            one.publish();
            two.publish();
        }
        one.subscriptions.publish(5);
        two.subscriptions.publish(4);
        one.subscriptions.publish(1);
        let text = rendered.render();
        for line in [
            "hubbub_frames_in_total 5",
            "hubbub_replies_total{outcome=\"busy\"} 1",
            "hubbub_replies_total{outcome=\"ok\"} 1",
            "hubbub_resumes_total{outcome=\"caught_up\"} 1",
            "hubbub_resume_changes_sum 7",
            "hubbub_subscriptions 5",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn every_fault_and_command_has_its_own_place() {
        let tally = Tally::default();
        assert_eq!(tally.replies.len(), 1 + Fault::ALL.len());
        for (place, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(*fault as usize, place);
        }
        assert_eq!(tally.commands.len(), Command::names().count());
    }
}
