//! Panics, one after the other, at one place: how long the crashed part is away, and whether anybody else notices (I8).
//!
//! The crashed part is back when the list of actors shows it running again, restarted; where its sockets close with it (a session's, a
//! relay's), also when those are welcome again, as the swarm measured it. What is struck besides by the nature of the part is left out when the
//! others' latency is judged (`windows`): see [`Struck`].

use crate::Failed;
use crate::scene::{Scene, panics};
use crate::swarm::Report;
use crate::windows::{Blow, Windows};
use chrono::DateTime;
use hubbub_load_tests::journal::{Journal, Mark};
use serde_json::Value;
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// I8: the crashed part is back.
const BACK_WITHIN: Duration = Duration::from_secs(1);
/// After this it is given up.
const AWAY_AT_MOST: Duration = Duration::from_secs(10);
/// Between two looks at the log or the list of actors.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What p99 of the others, as the median of the windows, may be above that without faults, as a share of it and in ms, whichever is more:
/// docs/DRILLS.md says why.
const NOISE_SHARE: f64 = 0.5;
const NOISE_MS: f64 = 25.0;

/// Where it panics, and what that is.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    /// The fault point.
    pub point: &'static str,
    /// The kind of actor, as the list of actors names it; `None` for what is no actor or ends for good.
    pub kind: Option<&'static str>,
    /// Who feels it besides.
    pub struck: Struck,
    /// How long a panic may be in coming, and the rhythm.
    pub every: Duration,
}

/// Whom a panic strikes; all others must not notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// None.
    Nobody,
    /// The room whose actor was restarted.
    ItsRoom,
    /// Rooms that had a post refused: what waited in a part that many rooms share.
    Refused,
    /// People who lost their socket.
    Closed,
}

/// A panic that was asked for.
#[derive(Clone, Debug)]
pub struct Panic {
    /// By the server's log, in microseconds since 1970.
    unix_us: u64,
    /// What came back: the last part of its path; a room's is its id.
    actor: Option<String>,
}

impl Panic {
    /// When it was, as the journal counts.
    fn since(&self, journal: &Journal) -> u64 {
        self.unix_us.saturating_sub(journal.begun_unix_us)
    }
}

/// Panics as often as the settings say.
pub fn strike(scene: &mut Scene<'_>, strike: Strike) -> Result<(), Failed> {
    let begun = Instant::now();
    let mut before = panics(&scene.server.log());
    for turn in 0..scene.set.times {
        sleep((begun + strike.every * turn).saturating_duration_since(Instant::now()));
        let known = strike.kind.map(|kind| scene.actors(kind)).transpose()?;
        scene.arm(strike.point, 1)?;
        let armed = Instant::now();
        while panics(&scene.server.log()) == before {
            if armed.elapsed() > strike.every * 6 {
                return Err(format!("{} was not hit", strike.point).into());
            }
            sleep(LOOK_EVERY);
        }
        let at = Instant::now();
        let log = scene.server.log();
        before = panics(&log);
        let unix_us = last_panic_us(&log).ok_or("a panic without a time in the log")?;
        let actor = match (strike.kind, known) {
            (Some(kind), Some(known)) => back(scene, kind, &known, at)?,
            _ => None,
        };
        scene.panics.push(Panic { unix_us, actor });
        scene.recovers_since(at)?;
    }
    scene.outcome.done = format!("{} × panic at {}", scene.set.times, strike.point);
    Ok(())
}

/// Waits until the actor that panicked runs again, notes how long that took, and says which it is: the last part of its path.
fn back(scene: &mut Scene<'_>, kind: &str, known: &[Actor], at: Instant) -> Result<Option<String>, Failed> {
    while at.elapsed() < AWAY_AT_MOST {
        if let Some(actor) = restarted(known, &scene.actors(kind)?) {
            let took = at.elapsed();
            scene.outcome.backs.push(took);
            scene.outcome.must_in_time(took <= BACK_WITHIN, || format!("{} was away for {} ms", actor.path, took.as_millis()));
            return Ok(actor.path.rsplit('/').next().map(str::to_owned));
        }
        sleep(LOOK_EVERY);
    }
    scene.outcome.must(false, || format!("no {kind} came back within {} s", AWAY_AT_MOST.as_secs()));
    Ok(None)
}

/// An actor as the list of actors tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub path: String,
    pub running: bool,
    pub restarts: u64,
}

impl Actor {
    /// From a row of the list.
    pub fn read(row: &Value) -> Option<Self> {
        Some(Self {
            path: row.get("path")?.as_str()?.to_owned(),
            running: row.get("state")?.as_str()? == "running",
            restarts: row.get("restarts")?.as_u64()?,
        })
    }
}

/// Who runs again after more restarts than before. An actor that was unknown counts from none.
fn restarted<'a>(before: &[Actor], now: &'a [Actor]) -> Option<&'a Actor> {
    let before: BTreeMap<_, _> = before.iter().map(|actor| (&actor.path, actor.restarts)).collect();
    now.iter().find(|actor| actor.running && actor.restarts > before.get(&actor.path).copied().unwrap_or(0))
}

/// What a panic promises, once the swarm has reported.
pub fn judge(scene: &mut Scene<'_>, report: &Report, strike: Strike) {
    answers(scene, report);
    sockets(scene, report, strike);
    others(scene, report, strike);
}

/// Every post of everybody was accepted as if the crashed part had been back within its time: those that were refused after the pause that
/// the refusal asked for.
fn answers(scene: &mut Scene<'_>, report: &Report) {
    let Some(baseline) = scene.baseline else { return };
    let longest = report.to_ack.max_ms;
    let pause = report.longest_pause_ms;
    let within = BACK_WITHIN.as_secs_f64() * 1000.0 + baseline.acknowledged.max_ms + pause;
    scene.outcome.notes.push(format!("slowest post {longest:.0} ms, pauses asked for {pause:.0} ms"));
    scene.outcome.must_in_time(longest <= within, || format!("a post took {longest:.0} ms, at most {within:.0} ms should be"));
}

/// Whoever lost a socket is welcome again within the time; nobody else lost one.
fn sockets(scene: &mut Scene<'_>, report: &Report, strike: Strike) {
    let (closed, injected) = (report.reconnects, scene.panics.len() as u64);
    let most = match strike.struck {
        Struck::Closed if strike.kind.is_none() => injected,
        Struck::Closed => u64::MAX,
        _ => 0,
    };
    scene.outcome.must(closed <= most, || format!("{closed} sockets closed, at most {most} should"));
    if strike.struck != Struck::Closed {
        return;
    }
    let again = report.to_welcome_again;
    scene.outcome.must(again.count > 0, || "no socket closed, though what held it panicked".into());
    scene.outcome.must(again.count == closed, || format!("{closed} sockets closed, {} were welcome again", again.count));
    scene.outcome.welcome_again = Some((again.max_ms, again.p50_ms));
    let within = BACK_WITHIN.as_secs_f64() * 1000.0;
    scene
        .outcome
        .must_in_time(again.max_ms <= within, || format!("a closed socket was welcome again after {:.0} ms", again.max_ms));
}

/// Whom the panics did not strike waited as long as without faults: half of the windows at least.
fn others(scene: &mut Scene<'_>, report: &Report, strike: Strike) {
    let (Some(baseline), Some(journal)) = (scene.baseline, &report.journal) else { return };
    scene.outcome.must(journal.left_out == 0, || format!("the swarm's journal leaves out {}", journal.left_out));
    let starts: Vec<_> = scene.panics.iter().map(|panic| panic.since(journal)).collect();
    let windows = Windows::at(&starts, &journal.deliveries, &blows(strike.struck, &scene.panics, journal));
    let (told, all) = (windows.told(), starts.len());
    let figures = windows.median_ms().zip(windows.worst_ms()).zip(baseline.quiet_ms);
    let Some(((median, worst), before)) = figures.filter(|_| told * 2 > all) else {
        scene.outcome.must(false, || format!("p99 of who was not struck can be told after {told} of {all} panics only"));
        return;
    };
    let share = 100.0 * windows.struck as f64 / windows.all as f64;
    scene.outcome.notes.push(format!(
        "p99 of who was not struck {median:.0} ms (median of {told} windows, worst {worst:.0}), without faults {before:.0} ms; {share:.0} % struck"
    ));
    let within = allowed_ms(before);
    scene.outcome.must_in_time(median <= within, || {
        format!("p99 of who was not struck {median:.0} ms after half of the panics, at most {within:.0} ms should be")
    });
}

/// Whom it excuses.
fn blows(struck: Struck, panics: &[Panic], journal: &Journal) -> Vec<Blow> {
    let restarted = |panic: &Panic| {
        let room = journal.rooms.iter().position(|id| panic.actor.as_ref().is_some_and(|actor| *actor == id.to_string()))?;
        Some(Blow::Room { room, at_us: panic.since(journal) })
    };
    match struck {
        Struck::Nobody => Vec::new(),
        Struck::ItsRoom => panics.iter().filter_map(restarted).collect(),
        Struck::Refused => journal.refused.iter().map(|of| Blow::Room { room: of.room, at_us: of.at_us }).collect(),
        Struck::Closed => {
            let blow = |of: &Mark| Blow::Member { room: of.room, member: of.member, at_us: of.at_us };
            journal.lost.iter().map(blow).collect()
        }
    }
}

/// What counts as unchanged.
pub fn allowed_ms(before: f64) -> f64 {
    before + NOISE_MS.max(before * NOISE_SHARE)
}

/// When the last line of a log that tells of a panic was written, in microseconds since 1970.
fn last_panic_us(log: &str) -> Option<u64> {
    let line = log.lines().rfind(|line| line.contains("panicked"))?;
    let time = DateTime::parse_from_rfc3339(line.split(' ').next()?).ok()?;
    u64::try_from(time.timestamp_micros()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn actor(path: &str, running: bool, restarts: u64) -> Actor {
        Actor { path: path.into(), running, restarts }
    }

    #[test]
    fn an_actor_is_back_when_it_runs_after_another_restart() {
        let before = [actor("node/rooms/a", true, 2), actor("node/rooms/b", true, 0)];
        let away = [actor("node/rooms/a", false, 3), actor("node/rooms/b", true, 0)];
        assert_eq!(restarted(&before, &before), None, "nobody has panicked yet");
        assert_eq!(restarted(&before, &away), None, "it does not run yet");
        let back = [actor("node/rooms/a", true, 3), actor("node/rooms/b", true, 0)];
        assert_eq!(restarted(&before, &back), Some(&back[0]));
        let new = [actor("node/rooms/c", true, 1)];
        assert_eq!(restarted(&before, &new), Some(&new[0]), "awake only since");
    }

    #[test]
    fn a_panic_was_when_the_log_says() {
        let log = "2026-11-22T20:00:00.000001Z ERROR hubbub::panic: panicked: one\n\
                   2026-11-22T20:00:01.5Z ERROR hubbub::panic: panicked: two\n2026-11-22T20:00:02Z  INFO hubbub: it runs again\n";
        let first = last_panic_us(log.lines().next().unwrap()).unwrap();
        assert_eq!(last_panic_us(log), Some(first + 1_499_999));
        assert_eq!(last_panic_us("2026-11-22T20:00:02Z  INFO hubbub: all is well"), None);
    }

    #[test]
    fn a_panic_strikes_what_its_part_is() {
        let rooms = [Uuid::from_u128(7), Uuid::from_u128(8)];
        let mut journal = Journal::new(1, rooms.to_vec());
        journal.begun_unix_us = 1000;
        journal.refused(1, 2, Duration::from_micros(50));
        journal.lost(1, 2, Duration::from_micros(60));
        let panic = |unix_us: u64, actor: String| Panic { unix_us, actor: Some(actor) };
        let panics = [panic(1040, rooms[1].to_string()), panic(1070, "the room of the witness".to_owned())];
        assert_eq!(blows(Struck::Nobody, &panics, &journal), []);
        assert_eq!(blows(Struck::ItsRoom, &panics, &journal), [Blow::Room { room: 1, at_us: 40 }]);
        assert_eq!(blows(Struck::Refused, &panics, &journal), [Blow::Room { room: 1, at_us: 50 }]);
        assert_eq!(blows(Struck::Closed, &panics, &journal), [Blow::Member { room: 1, member: 2, at_us: 60 }]);
    }
}
