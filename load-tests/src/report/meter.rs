//! Latency and throughput of a run. Times count from when a post was meant to be sent, so a stalled server is charged for the posts that
//! waited for it (no coordinated omission). Only what was meant, or delivered, inside the measured window counts.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest time that is told apart: two minutes, in microseconds.
const LONGEST_US: u64 = 120_000_000;

/// A histogram of microseconds.
#[derive(Debug)]
pub struct Latency(Histogram<u64>);

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    pub count: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

impl Latency {
    /// Three digits exact; `None` only if it cannot be made.
    pub fn new() -> Option<Self> {
        Histogram::new_with_bounds(1, LONGEST_US, 3).ok().map(Self)
    }

    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST_US));
    }

    /// The percentiles so far.
    pub fn percentiles(&self) -> Percentiles {
        let ms = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        let max_ms = self.0.max() as f64 / 1000.0;
        Percentiles { count: self.0.len(), p50_ms: ms(0.5), p90_ms: ms(0.9), p99_ms: ms(0.99), p999_ms: ms(0.999), max_ms }
    }
}

/// Counts since the run began, whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Posts handed to bots.
    pub sent: u64,
    /// Posts acknowledged.
    pub acknowledged: u64,
    /// Sightings of messages, by anybody.
    pub delivered: u64,
    /// Refusals that may be retried, each counted.
    pub retryable: u64,
    /// Pushes that told nothing new.
    pub repeated: u64,
    /// Resets after the first subscription.
    pub resets: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Meter {
    /// What is measured, since the run began.
    window: (Duration, Duration),
    pub counts: Counts,
    /// Of these, inside the window: acknowledged and delivered.
    pub measured: (u64, u64),
    pub to_ack: Latency,
    pub to_first: Latency,
    pub to_each: Latency,
    pub to_last: Latency,
    /// The longest pause that a refusal asked for.
    pub longest_pause: Duration,
    /// Refusals by code.
    pub refusals: BTreeMap<String, u64>,
    /// From the time a deed was meant for to its answer, by its kind.
    pub deeds: BTreeMap<&'static str, Latency>,
    /// The same of posts that mention the whole room; they are not in `to_ack`.
    pub mentioning: Option<Latency>,
}

impl Meter {
    /// `None` only if histograms cannot be made.
    pub fn new(warm_up: Duration, measured: Duration) -> Option<Self> {
        Some(Self {
            window: (warm_up, warm_up + measured),
            counts: Counts::default(),
            measured: (0, 0),
            to_ack: Latency::new()?,
            to_first: Latency::new()?,
            to_each: Latency::new()?,
            to_last: Latency::new()?,
            longest_pause: Duration::ZERO,
            refusals: BTreeMap::new(),
            deeds: BTreeMap::new(),
            mentioning: None,
        })
    }

    /// A deed meant for `meant` was acknowledged at `now`.
    pub fn did(&mut self, kind: &'static str, meant: Duration, now: Duration) {
        if !self.inside(meant) {
            return;
        }
        if !self.deeds.contains_key(kind)
            && let Some(latency) = Latency::new()
        {
            self.deeds.insert(kind, latency);
        }
        if let Some(latency) = self.deeds.get_mut(kind) {
            latency.record(now.saturating_sub(meant));
        }
    }

    /// A post that mentions the whole room was acknowledged.
    pub fn mentioned(&mut self, meant: Duration, now: Duration) {
        self.counts.acknowledged += 1;
        self.measured.0 += u64::from(self.inside(now));
        if self.inside(meant) {
            self.mentioning = self.mentioning.take().or_else(Latency::new);
            self.mentioning.iter_mut().for_each(|latency| latency.record(now.saturating_sub(meant)));
        }
    }

    /// A post meant for `meant` was acknowledged at `now`.
    pub fn acknowledged(&mut self, meant: Duration, now: Duration) {
        self.counts.acknowledged += 1;
        self.measured.0 += u64::from(self.inside(now));
        if self.inside(meant) {
            self.to_ack.record(now.saturating_sub(meant));
        }
    }

    /// A message meant for `meant` was seen by its `seen`-th of `watching` members.
    pub fn delivered(&mut self, meant: Duration, now: Duration, seen: u32, watching: usize) {
        self.measured.1 += u64::from(self.inside(now));
        if !self.inside(meant) {
            return;
        }
        let time = now.saturating_sub(meant);
        self.to_each.record(time);
        if seen == 1 {
            self.to_first.record(time);
        }
        if seen as usize == watching {
            self.to_last.record(time);
        }
    }

    /// `at` is in the measured window.
    pub fn inside(&self, at: Duration) -> bool {
        (self.window.0..self.window.1).contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_stall_is_charged_to_every_post_that_waited() {
        // One post a millisecond; the server stands still for a second, then answers all at once.
        let mut meter = Meter::new(Duration::ZERO, MS * 10_000).unwrap();
        for sent in 0..10_000 {
            let meant = MS * sent;
            let answer = if (5_000..6_000).contains(&sent) { MS * 6_000 } else { meant + MS };
            meter.acknowledged(meant, answer);
        }
        let percentiles = meter.to_ack.percentiles();
        assert!((0.99..1.01).contains(&percentiles.p50_ms), "{percentiles:?}");
        assert!((890.0..910.0).contains(&percentiles.p99_ms), "a tenth waited, on average half a second: {percentiles:?}");
    }

    #[test]
    fn warm_up_and_settling_do_not_count() {
        let mut meter = Meter::new(MS * 100, MS * 100).unwrap();
        for meant in [0, 99, 100, 199, 200] {
            meter.delivered(MS * meant, MS * meant, 1, 1);
        }
        assert_eq!((meter.to_each.percentiles().count, meter.measured.1), (2, 2));
    }

    #[test]
    fn first_each_and_last_recipient_are_told_apart() {
        let mut meter = Meter::new(Duration::ZERO, MS * 100).unwrap();
        for seen in 1..=3 {
            meter.delivered(MS, MS * (seen + 1), seen, 3);
        }
        let counts = [&meter.to_first, &meter.to_each, &meter.to_last].map(|latency| latency.percentiles().count);
        assert_eq!(counts, [1, 3, 1]);
        assert!((2.9..3.1).contains(&meter.to_last.percentiles().max_ms));
    }

    #[test]
    fn deeds_and_posts_that_mention_the_room_have_times_of_their_own() {
        let mut meter = Meter::new(MS * 100, MS * 100).unwrap();
        for meant in [99, 100, 150] {
            meter.did("edit", MS * meant, MS * (meant + 3));
            meter.mentioned(MS * meant, MS * (meant + 7));
        }
        let (edits, mentions) = (meter.deeds["edit"].percentiles(), meter.mentioning.as_ref().unwrap().percentiles());
        assert_eq!((edits.count, mentions.count, meter.to_ack.percentiles().count), (2, 2, 0), "those meant inside the window");
        assert!((2.9..3.1).contains(&edits.max_ms) && (6.9..7.1).contains(&mentions.max_ms));
        assert_eq!((meter.counts.acknowledged, meter.measured.0), (3, 3), "they are posts, too");
    }

    #[test]
    fn what_takes_longer_than_can_be_told_counts_as_the_longest() {
        let mut meter = Meter::new(Duration::ZERO, MS).unwrap();
        meter.acknowledged(Duration::ZERO, Duration::from_secs(1000));
        assert!(meter.to_ack.percentiles().max_ms > 119_000.0);
    }
}
