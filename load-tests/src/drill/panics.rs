//! Panics, one after the other, at one place: how long the crashed part is away, and whether anybody else notices (I8).
//!
//! The crashed part is back when the list of actors shows it running again, restarted; where its sockets close with it (a session's, a
//! relay's), also when those are welcome again, as the swarm measured it. What is struck besides by the nature of the part is left out when the
//! others' latency is judged: see [`Struck`].

use crate::Failed;
use crate::scene::{Scene, panics};
use crate::swarm::{Report, RoomFigures};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// I8: the crashed part is back.
const BACK_WITHIN: Duration = Duration::from_secs(1);
/// After this it is given up.
const AWAY_AT_MOST: Duration = Duration::from_secs(10);
/// Between two looks at the log or the list of actors.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What p99 of the others may be above that without faults, as a share of it and in ms, whichever is more: docs/DRILLS.md says why.
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

/// Which rooms a panic strikes; all others must not notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// None.
    Nobody,
    /// Those whose actor was restarted.
    ItsRoom,
    /// Those that had a post refused: what waited in a part that many rooms share.
    Refused,
    /// Those of whose people somebody lost a socket.
    Closed,
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
        before = panics(&scene.server.log());
        scene.panics += 1;
        if let (Some(kind), Some(known)) = (strike.kind, known) {
            let struck = back(scene, kind, &known, at)?;
            scene.struck.extend(struck);
        }
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
            scene.outcome.must(took <= BACK_WITHIN, || format!("{} was away for {} ms", actor.path, took.as_millis()));
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
    scene.outcome.must(longest <= within, || format!("a post took {longest:.0} ms, at most {within:.0} ms should be"));
}

/// Whoever lost a socket is welcome again within the time; nobody else lost one.
fn sockets(scene: &mut Scene<'_>, report: &Report, strike: Strike) {
    let (closed, injected) = (report.reconnects, scene.panics as u64);
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
    scene.outcome.must(again.max_ms <= within, || format!("a closed socket was welcome again after {:.0} ms", again.max_ms));
}

/// p99 of delivery in the rooms that were not struck is that without faults.
fn others(scene: &mut Scene<'_>, report: &Report, strike: Strike) {
    let Some(baseline) = scene.baseline else { return };
    let struck = |room: &RoomFigures| match strike.struck {
        Struck::Nobody => false,
        Struck::ItsRoom => scene.struck.contains(&room.room),
        Struck::Refused => room.refused > 0,
        Struck::Closed => room.reconnects > 0,
    };
    let others: Vec<_> = report.per_room.iter().filter(|room| !struck(room)).collect();
    let (count, all, before) = (others.len(), report.per_room.len(), baseline.delivered.p99_ms);
    scene.outcome.must(all > 0, || "the swarm told nothing room by room".into());
    let Some(now) = p99_ms(others.iter().map(|room| room.times_us.as_slice())) else {
        // Possible only where the part is everybody's: a relay has somebody of nearly every room.
        let note = format!("all {all} rooms were struck: p99 of others cannot be told");
        scene.outcome.notes.push(note.clone());
        scene.outcome.must(matches!(strike.struck, Struck::Closed | Struck::Refused), || note);
        return;
    };
    scene.outcome.notes.push(format!("p99 of the {count} of {all} rooms not struck {now:.0} ms, without faults {before:.0} ms"));
    let within = allowed_ms(before);
    scene.outcome.must(now <= within, || format!("p99 of rooms not struck {now:.0} ms, at most {within:.0} ms should be"));
}

/// What counts as unchanged.
fn allowed_ms(before: f64) -> f64 {
    before + NOISE_MS.max(before * NOISE_SHARE)
}

/// p99 of several rooms together, in ms; `None` without a delivery.
fn p99_ms<'a>(rooms: impl Iterator<Item = &'a [(u64, u64)]>) -> Option<f64> {
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    for (time, count) in rooms.flatten() {
        *times.entry(*time).or_default() += count;
    }
    let total: u64 = times.values().sum();
    let mut left = (total * 99).div_ceil(100);
    let p99 = times.into_iter().find(|(_, count)| {
        left = left.saturating_sub(*count);
        left == 0
    });
    p99.map(|(time, _)| time as f64 / 1000.0)
}

/// Names of what was struck: rooms by their id.
pub type Names = BTreeSet<String>;

#[cfg(test)]
mod tests {
    use super::*;

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
    fn p99_of_several_rooms_is_that_of_all_their_deliveries() {
        let quick = [(1000, 98)];
        assert_eq!(p99_ms([&quick[..], &[(50_000, 1), (90_000, 1)]].into_iter()), Some(50.0));
        assert_eq!(p99_ms([&quick[..], &[(90_000, 2)]].into_iter()), Some(90.0));
        assert_eq!(p99_ms([&quick[..]].into_iter()), Some(1.0));
        assert_eq!(p99_ms(std::iter::empty()), None);
        assert_eq!(p99_ms([&[][..]].into_iter()), None);
    }

    #[test]
    fn a_standstill_of_everybody_at_each_panic_is_more_than_noise() {
        // A delivery a millisecond, a panic every 1.5 s, at each of which everybody stands still for 50 ms.
        let spread = |still: u64| {
            let waits = (1..=still).map(|wait| (wait * 1000, 1));
            [(5000, 1500 - still)].into_iter().chain(waits).collect::<Vec<_>>()
        };
        let (before, now) = (spread(0), spread(50));
        let p99 = |times: &[(u64, u64)]| p99_ms([times].into_iter()).unwrap();
        assert!(p99(&now) > allowed_ms(p99(&before)), "{} {}", p99(&now), allowed_ms(p99(&before)));
    }
}
