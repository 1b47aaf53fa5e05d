//! Runs without posts: how fast people come, come back, and what they cost while they are idle.

use super::cast::Cast;
use super::engine::{Engine, Manners};
use super::records::{Records, Release};
use super::run::{CannotRun, gather};
use crate::bot::link::Target;
use crate::bot::rest::Rest;
use crate::report::ledger::{Ledger, RoomLedger};
use crate::report::meter::Meter;
use crate::report::process::Usage;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

/// What was found.
#[derive(Debug, Serialize)]
pub struct Sessions {
    pub sessions: usize,
    /// Handshake, hello and welcome, per second; one for each round.
    pub per_second: Vec<f64>,
    /// From connecting to the welcome, over all rounds.
    pub welcome_p50_ms: f64,
    pub welcome_p99_ms: f64,
    /// Sessions lost while they were held.
    pub lost: u64,
    /// The server before the first and at the end of the last round.
    pub before: Option<Usage>,
    pub after: Option<Usage>,
    /// Resident memory that came with each session.
    pub kib_per_session: Option<f64>,
    /// Processor time for each connection.
    pub cpu_micros_per_connection: Option<f64>,
}

/// How sessions are opened and held.
#[derive(Clone, Debug)]
pub struct Hold {
    pub url: String,
    pub manners: Manners,
    /// How often everybody comes; from the second time on with cursors.
    pub rounds: usize,
    /// How long they stay each time.
    pub hold: Duration,
    pub server_pid: Option<u32>,
}

/// Opens a session for everybody in `cast` and holds it.
pub fn hold(plan: &Hold, cast: &Cast) -> Result<Sessions, CannotRun> {
    let usage = || plan.server_pid.and_then(|pid| Usage::of(&pid.to_string()));
    let user = |person: &usize| cast.people.get(*person).map(|person| person.id).unwrap_or_default();
    let rooms = cast.rooms.iter().map(|room| RoomLedger::new(room.id, 0, room.members.iter().map(user)));
    let ledger = Ledger::new(rand::random(), false, rooms.collect());
    let meter = Meter::new(Duration::ZERO, Duration::ZERO).ok_or("no histograms")?;
    let records = Records::new(ledger, meter, Release::Acknowledged, Instant::now());
    let mut engine = Engine::new(Target::parse(&plan.url)?, Rest::new(&plan.url)?, cast, plan.manners, records, 0)?;
    let before = usage();
    let mut per_second = Vec::new();
    let mut connecting_cpu = Duration::ZERO;
    for round in 0..plan.rounds.max(1) {
        if round > 0 {
            engine.part();
        }
        let at = usage();
        let took = gather(&mut engine)?;
        connecting_cpu += at.zip(usage()).map(|(before, after)| after.cpu.saturating_sub(before.cpu)).unwrap_or_default();
        per_second.push(engine.bots.len() as f64 / took.as_secs_f64());
        eprintln!("round {}: {} sessions in {:.2} s", round + 1, engine.bots.len(), took.as_secs_f64());
        stay(&mut engine, plan.hold)?;
    }
    let after = usage();
    let sessions = engine.bots.len();
    let rounds = per_second.len();
    let grown = before.zip(after).map(|(before, after)| after.resident_kib.saturating_sub(before.resident_kib) as f64);
    let mut welcomed = std::mem::take(&mut engine.welcomed);
    welcomed.sort_unstable();
    let ms = |quantile: f64| {
        let place = (welcomed.len().saturating_sub(1) as f64 * quantile) as usize;
        welcomed.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    Ok(Sessions {
        sessions,
        per_second,
        welcome_p50_ms: ms(0.5),
        welcome_p99_ms: ms(0.99),
        lost: engine.bots.iter().map(|bot| bot.reconnects).sum::<u64>().saturating_sub(((rounds - 1) * sessions) as u64),
        before,
        after,
        kib_per_session: grown.map(|kib| kib / sessions.max(1) as f64),
        cpu_micros_per_connection: after.map(|_| connecting_cpu.as_secs_f64() * 1e6 / (sessions * rounds).max(1) as f64),
    })
}

/// Holds the sessions open; a line each second.
fn stay(engine: &mut Engine, time: Duration) -> Result<(), CannotRun> {
    let until = Instant::now() + time;
    let mut next = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        engine.turn(until.min(next))?;
        if Instant::now() >= next {
            next += Duration::from_secs(1);
            eprintln!(
                "holding {} sessions, {:.0} s left",
                engine.live(),
                until.saturating_duration_since(Instant::now()).as_secs_f64()
            );
        }
    }
    Ok(())
}

impl Display for Sessions {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rates: Vec<_> = self.per_second.iter().map(|rate| format!("{rate:.0}")).collect();
        writeln!(f, "{} sessions, {} lost", self.sessions, self.lost)?;
        writeln!(f, "  connect and hello per second, by round: {}", rates.join(", "))?;
        writeln!(f, "  connect to welcome: p50 {:.2} ms, p99 {:.2} ms", self.welcome_p50_ms, self.welcome_p99_ms)?;
        if let Some((before, after)) = self.before.zip(self.after) {
            let (from, to) = (before.resident_kib, after.resident_kib);
            writeln!(f, "  server: {from} KiB resident before, {to} after, {} at most", after.peak_kib)?;
        }
        if let Some((kib, cpu)) = self.kib_per_session.zip(self.cpu_micros_per_connection) {
            writeln!(f, "  {kib:.2} KiB per session, {cpu:.0} CPU us per connection")?;
        }
        Ok(())
    }
}
