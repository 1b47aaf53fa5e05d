//! A run in figures: for programs as JSON, for people as a page of text.

use super::meter::{Counts, Meter, Percentiles};
use super::process::Usage;
use super::verdict::{Breach, Verdict};
use hubbub_load_tests::journal::Journal;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// Everything a run found.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// How the tool was called.
    pub command: String,
    pub bots: usize,
    pub rooms: usize,
    /// Length of the measured window.
    pub measured_seconds: f64,
    pub counts: Counts,
    pub acknowledged_per_second: f64,
    pub deliveries_per_second: f64,
    pub to_ack: Percentiles,
    pub to_first: Percentiles,
    pub to_each: Percentiles,
    pub to_last: Percentiles,
    /// The same from meant to acknowledged of what is done besides posting, by kind.
    pub deeds: BTreeMap<String, Percentiles>,
    /// … and of posts that mention the whole room, if any do.
    pub mentioning: Option<Percentiles>,
    pub reconnects: u64,
    /// From each connection that was lost after its welcome to the next welcome, with the pause the protocol asks for in between.
    pub to_welcome_again: Percentiles,
    /// Absent unless it was asked for.
    pub journal: Option<Journal>,
    pub resets: BTreeMap<String, u64>,
    pub refusals: BTreeMap<String, u64>,
    /// The longest pause before the next attempt that a refusal asked for: part of the times above.
    pub longest_pause_ms: f64,
    /// Bots that the server told not to come back, or that could not.
    pub given_up: Vec<String>,
    /// Share of one core this tool used while measuring; near 1 the figures are the tool's, not the server's.
    pub own_cores: f64,
    /// What this tool needs for a million deliveries: its inverse is the most it can receive per second on one core.
    pub own_cpu_seconds_per_million_deliveries: f64,
    pub server: Option<Server>,
    /// Everything was answered and delivered before the tool stopped waiting.
    pub settled: bool,
    /// Absent when the run was not judged.
    pub verdict: Option<Verdict>,
}

/// The server process over the measured window.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Server {
    pub cpu_seconds: f64,
    pub cores: f64,
    pub cpu_seconds_per_million_deliveries: f64,
    pub cpu_micros_per_message: f64,
    pub resident_kib: u64,
    pub peak_kib: u64,
}

impl Server {
    /// From the use at both ends of a window of `seconds`.
    pub fn between(before: Usage, after: Usage, seconds: f64, measured: (u64, u64)) -> Self {
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        let per = |count: u64| if count == 0 { 0.0 } else { cpu * 1e6 / count as f64 };
        Self {
            cpu_seconds: cpu,
            cores: cpu / seconds,
            cpu_seconds_per_million_deliveries: per(measured.1),
            cpu_micros_per_message: per(measured.0),
            resident_kib: after.resident_kib,
            peak_kib: after.peak_kib,
        }
    }
}

impl Summary {
    /// Did the promises hold, and was there anything to hold them for?
    pub fn exit_code(&self) -> u8 {
        let broken = self.verdict.as_ref().is_some_and(|verdict| verdict.findings.total() > 0);
        if broken {
            1
        } else if self.counts.acknowledged == 0 || !self.given_up.is_empty() {
            2
        } else {
            0
        }
    }

    /// Takes over what the meter has.
    pub fn measure(&mut self, meter: &Meter, window: Duration) {
        let seconds = window.as_secs_f64().max(f64::MIN_POSITIVE);
        self.measured_seconds = seconds;
        self.counts = meter.counts;
        self.acknowledged_per_second = meter.measured.0 as f64 / seconds;
        self.deliveries_per_second = meter.measured.1 as f64 / seconds;
        self.to_ack = meter.to_ack.percentiles();
        self.to_first = meter.to_first.percentiles();
        self.to_each = meter.to_each.percentiles();
        self.to_last = meter.to_last.percentiles();
        self.deeds = meter.deeds.iter().map(|(kind, latency)| ((*kind).to_owned(), latency.percentiles())).collect();
        self.mentioning = meter.mentioning.as_ref().map(super::meter::Latency::percentiles);
        self.refusals.clone_from(&meter.refusals);
        self.longest_pause_ms = meter.longest_pause.as_secs_f64() * 1000.0;
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Counts { sent, acknowledged, delivered, retryable, repeated, resets } = self.counts;
        writeln!(f, "{} bots in {} rooms, {:.1} s measured", self.bots, self.rooms, self.measured_seconds)?;
        writeln!(f, "  posts        {sent} sent, {acknowledged} acknowledged, {retryable} refused for a while")?;
        if !self.deeds.is_empty() {
            let seconds = self.measured_seconds.max(f64::MIN_POSITIVE);
            let rate = |(kind, p): (&String, &Percentiles)| format!("{:.1} {kind}", p.count as f64 / seconds);
            writeln!(f, "  a second     {}", self.deeds.iter().map(rate).collect::<Vec<_>>().join(", "))?;
        }
        writeln!(f, "  deliveries   {delivered}, {repeated} pushes with nothing new, {resets} resets {:?}", self.resets)?;
        writeln!(
            f,
            "  rate         {:.0} acknowledged/s, {:.0} delivered/s",
            self.acknowledged_per_second, self.deliveries_per_second
        )?;
        writeln!(f, "  ms from the intended time    p50       p90       p99     p99.9       max")?;
        let rows = [
            ("acknowledged", self.to_ack),
            ("first recipient", self.to_first),
            ("each recipient", self.to_each),
            ("last recipient", self.to_last),
        ];
        let more = self.mentioning.iter().map(|p| ("… with @room", *p));
        let deeds = self.deeds.iter().map(|(kind, p)| (kind.as_str(), *p));
        for (name, p) in rows.into_iter().chain(more).chain(deeds) {
            let Percentiles { p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. } = p;
            writeln!(f, "    {name:<20}{p50_ms:>10.2}{p90_ms:>10.2}{p99_ms:>10.2}{p999_ms:>10.2}{max_ms:>10.2}")?;
        }
        if let Some(server) = self.server {
            let Server {
                cpu_seconds,
                cores,
                cpu_seconds_per_million_deliveries: per_million,
                cpu_micros_per_message: per_message,
                ..
            } = server;
            writeln!(
                f,
                "  server       {cpu_seconds:.2} CPU s ({cores:.2} cores), {per_million:.2} CPU s per million deliveries"
            )?;
            let (resident, peak) = (server.resident_kib, server.peak_kib);
            writeln!(f, "               {per_message:.0} CPU us per message, {resident} KiB resident, {peak} KiB at most")?;
        }
        let (cores, per_million) = (self.own_cores, self.own_cpu_seconds_per_million_deliveries);
        writeln!(
            f,
            "  this tool    {cores:.2} cores, {per_million:.2} CPU s per million deliveries, {} reconnects",
            self.reconnects
        )?;
        if self.to_welcome_again.count > 0 {
            let Percentiles { p50_ms, max_ms, .. } = self.to_welcome_again;
            writeln!(f, "  closed, and welcome again after {p50_ms:.0} ms (p50), {max_ms:.0} ms at most")?;
        }
        if self.own_cores > 0.9 {
            writeln!(f, "  NOTE: this tool was busy nearly all the time: the figures may be its own limit")?;
        }
        if !self.refusals.is_empty() {
            writeln!(f, "  refusals     {:?}", self.refusals)?;
        }
        if !self.settled {
            writeln!(f, "  NOTE: stopped waiting before everything was answered and delivered")?;
        }
        for reason in self.given_up.iter().take(5) {
            writeln!(f, "  a bot stays away: {reason}")?;
        }
        match &self.verdict {
            Some(verdict) => write!(f, "{verdict}"),
            None => writeln!(f, "  not judged"),
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { sent, acknowledged, refused, unanswered, stored, seen, members, findings, deeds, deeds_acknowledged } = self;
        writeln!(f, "  judged       {sent} posts: {acknowledged} acknowledged, {refused} refused, {unanswered} unanswered")?;
        writeln!(f, "               {stored} stored, {seen} sightings by {members} members")?;
        if *deeds > 0 {
            writeln!(f, "               {deeds} other deeds, {deeds_acknowledged} acknowledged")?;
        }
        let counts: Vec<_> = Breach::ALL
            .iter()
            .map(|breach| format!("{} {}", format!("{breach:?}").to_lowercase(), findings.count(*breach)))
            .collect();
        writeln!(f, "  {}", counts.join("  "))?;
        for (breach, example) in &findings.examples {
            writeln!(f, "    {breach:?}: {example}")?;
        }
        writeln!(f, "  {}", if findings.total() == 0 { "the promises held" } else { "PROMISES BROKEN" })
    }
}
