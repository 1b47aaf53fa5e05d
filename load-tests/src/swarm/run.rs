//! The runs one can make: talking under load and judging it, holding idle sessions, connecting again and again.

use super::cast::{Cast, each};
use super::engine::{Engine, Manners};
use super::records::{Records, Release};
use crate::action::pace::Pace;
use crate::bot::link::Target;
use crate::bot::read_back::Person;
use crate::bot::rest::{Failed, Rest};
use crate::bot::talk::Phase;
use crate::report::judge_talk::{Readings, judge_talk};
use crate::report::ledger::{Ledger, RoomLedger};
use crate::report::meter::Meter;
use crate::report::process::Usage;
use crate::report::summary::{Server, Summary};
use crate::report::verdict::{Stored, Verdict, judge};
use hubbub_load_tests::journal::Journal;
use std::time::{Duration, Instant};

/// Any reason for which a run cannot be made.
pub type CannotRun = Box<dyn std::error::Error>;

/// How long bots may take to be welcomed, all of them.
const CONNECT_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks at whether all is said and heard.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
/// So many of the people read back what they see, when people converse …
const PEOPLE_READ: usize = 400;
/// … and at most so many of one room.
const MEMBERS_READ: usize = 20;
/// A closed loop that has not gone on for so long gets another post: one recipient that hangs must not end the load.
const STALLED: Duration = Duration::from_secs(3);

/// A run under load.
#[derive(Clone, Debug)]
pub struct Plan {
    pub url: String,
    pub load: Load,
    pub senders: usize,
    pub release: Release,
    pub warm_up: Duration,
    pub duration: Duration,
    /// How long to wait for the last answers and deliveries.
    pub settle: Duration,
    pub manners: Manners,
    pub server_pid: Option<u32>,
    /// Read the history and judge.
    pub judge: bool,
    /// Keep a journal of at most so many deliveries; 0 for none.
    pub journal: usize,
    /// Every so many posts mention the whole room; 0: none.
    pub mention_every: u32,
    /// How the tool was called, for the report.
    pub command: String,
}

/// How much is posted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// Per second, in all.
    Rate(f64),
    /// Unfinished at the same time, per room.
    Outstanding(usize),
}

/// Runs `plan` with `cast`; the ledger is returned for keeping.
pub fn run(runtime: &tokio::runtime::Runtime, plan: &Plan, cast: &Cast) -> Result<(Summary, Ledger), CannotRun> {
    let rest = Rest::new(&plan.url)?;
    let newest = runtime.block_on(cast.newest(&rest)).map_err(|failed| failed.to_string())?;
    let user = |person: &usize| cast.people.get(*person).map(|person| person.id).unwrap_or_default();
    let rooms =
        cast.rooms.iter().zip(newest).map(|(room, newest)| RoomLedger::new(room.id, newest, room.members.iter().map(user)));
    let mut ledger = Ledger::new(rand::random(), plan.manners.in_full, rooms.collect());
    ledger.converses = plan.manners.mix.converses();
    let meter = Meter::new(plan.warm_up, plan.duration).ok_or("no histograms")?;
    let mut records = Records::new(ledger, meter, plan.release, Instant::now());
    records.mention_every = plan.mention_every;
    if plan.journal > 0 {
        records.journal = Some(Journal::new(plan.journal, cast.rooms.iter().map(|room| room.id).collect()));
    }
    let target = Target::parse(&plan.url)?;
    let mut engine = Engine::new(target, rest.clone(), cast, plan.manners, records, plan.senders)?;
    gather(&mut engine)?;
    let mut summary = talk(&mut engine, plan, cast)?;
    engine.epilogue();
    summary.settled = settle(&mut engine, plan.settle)?;
    engine.note_who_is_out();
    for bot in &mut engine.bots {
        // A socket that is gone already needs no good-bye.
        drop(bot.leave());
    }
    summary.measure(&engine.records.meter, plan.duration);
    summary.reconnects = engine.bots.iter().map(|bot| bot.reconnects).sum();
    summary.to_welcome_again = engine.welcomed_again.percentiles();
    summary.resets.clone_from(&engine.records.resets);
    summary.given_up = engine.bots.iter().filter_map(|bot| bot.given_up.clone()).collect();
    let Records { ledger, journal, .. } = engine.records;
    summary.journal = journal;
    if plan.judge {
        summary.verdict = Some(runtime.block_on(verify(&rest, cast, &ledger)).map_err(|failed| failed.to_string())?);
    }
    Ok((summary, ledger))
}

/// Reads what is stored of the run's rooms and judges the ledger by it.
pub async fn verify(rest: &Rest, cast: &Cast, ledger: &Ledger) -> Result<Verdict, Failed> {
    let history = each("histories", ledger.rooms.len(), |index| async move {
        let (Some(room), Some((_, token))) = (ledger.rooms.get(index), cast.reader(index)) else {
            return Ok(Vec::<Stored>::new());
        };
        rest.history(token, room.id, room.base_seq).await
    });
    let mut verdict = judge(ledger, &history.await?);
    if ledger.converses {
        judge_talk(ledger, &read_back(rest, cast, ledger).await?, &mut verdict.findings);
    }
    Ok(verdict)
}

/// What members of each room read of it: all of a small one, some of a large one.
async fn read_back(rest: &Rest, cast: &Cast, ledger: &Ledger) -> Result<Readings, Failed> {
    let people = each("people", cast.people.len(), |index| async move {
        match cast.people.get(index).filter(|_| index < PEOPLE_READ) {
            Some(person) => rest.person(&person.login.access).await,
            None => Ok(Person::default()),
        }
    })
    .await?;
    let people = &people;
    let seats: Vec<(usize, usize)> =
        ledger.rooms.iter().enumerate().flat_map(|(room, of)| (0..of.members.len()).map(move |member| (room, member))).collect();
    let seats = &seats;
    let read = each("readings", seats.len(), |index| async move {
        let read_by = |room: usize, member: usize| {
            let person = *cast.rooms.get(room)?.members.get(member).filter(|_| member < MEMBERS_READ)?;
            let of = people.get(person).filter(|_| person < PEOPLE_READ || member == 0)?;
            Some((cast.people.get(person)?.login.access.as_str(), of, ledger.rooms.get(room)?))
        };
        let Some((token, person, room)) = seats.get(index).and_then(|(room, member)| read_by(*room, *member)) else {
            return Ok(None);
        };
        rest.reading(token, person, room.id, room.base_seq).await.map(Some)
    });
    let mut read = read.await?.into_iter();
    Ok(ledger.rooms.iter().map(|room| read.by_ref().take(room.members.len()).collect()).collect())
}

/// Connects everybody; says each second how far it is. Returns how long it took.
pub fn gather(engine: &mut Engine) -> Result<Duration, CannotRun> {
    let (begun, all) = (Instant::now(), engine.bots.len());
    let mut told = begun;
    loop {
        let live = engine.live();
        let away = engine.bots.iter().filter_map(|bot| bot.given_up.as_ref()).next();
        if let Some(reason) = away {
            return Err(format!("a bot cannot connect: {reason}").into());
        }
        if live == all {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > CONNECT_WITHIN {
            return Err(format!("only {live} of {all} bots were welcomed").into());
        }
        if told.elapsed() > SECOND {
            told = Instant::now();
            eprintln!("connecting: {live} of {all} after {:.0} s", begun.elapsed().as_secs_f64());
        }
        for _ in 0..8 {
            engine.turn(Instant::now() + LOOK_EVERY / 10)?;
        }
    }
}

/// Posts for warm-up and measured time.
fn talk(engine: &mut Engine, plan: &Plan, cast: &Cast) -> Result<Summary, CannotRun> {
    let end = plan.warm_up + plan.duration;
    engine.records.begin();
    engine.posts_until = end;
    engine.pace = match plan.load {
        Load::Rate(rate) => Pace::open(rate),
        Load::Outstanding(outstanding) => Pace::closed(outstanding, cast.rooms.len()),
    };
    engine.fill();
    let begun = engine.records.begun;
    let usage = || plan.server_pid.and_then(|pid| Usage::of(&pid.to_string()));
    let mut progress = Progress::new(begun);
    let turn_until = |engine: &mut Engine, progress: &mut Progress, until: Instant| -> Result<(), CannotRun> {
        while Instant::now() < until {
            engine.turn(until.min(progress.next))?;
            progress.look(engine);
        }
        Ok(())
    };
    turn_until(engine, &mut progress, begun + plan.warm_up)?;
    let (server_before, own_before, from) = (usage(), Usage::of("self"), Instant::now());
    turn_until(engine, &mut progress, begun + end)?;
    let seconds = from.elapsed().as_secs_f64();
    let measured = engine.records.meter.measured;
    let server = server_before.zip(usage()).map(|(before, after)| Server::between(before, after, seconds, measured));
    let own =
        own_before.zip(Usage::of("self")).map(|(before, after)| after.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds);
    Ok(Summary {
        command: plan.command.clone(),
        bots: engine.bots.len(),
        rooms: cast.rooms.len(),
        measured_seconds: 0.0,
        counts: engine.records.meter.counts,
        acknowledged_per_second: 0.0,
        deliveries_per_second: 0.0,
        to_ack: Default::default(),
        to_first: Default::default(),
        to_each: Default::default(),
        to_last: Default::default(),
        deeds: Default::default(),
        mentioning: None,
        reconnects: 0,
        to_welcome_again: Default::default(),
        journal: None,
        resets: Default::default(),
        refusals: Default::default(),
        longest_pause_ms: 0.0,
        given_up: Vec::new(),
        own_cores: own.unwrap_or(0.0),
        own_cpu_seconds_per_million_deliveries: own.unwrap_or(0.0) * seconds * 1e6 / (measured.1.max(1) as f64),
        server,
        settled: false,
        verdict: None,
    })
}

/// Waits until every post is answered and everybody has everything; false if that takes longer than `patience`.
fn settle(engine: &mut Engine, patience: Duration) -> Result<bool, CannotRun> {
    let until = Instant::now() + patience;
    let mut progress = Progress::new(Instant::now());
    while Instant::now() < until {
        if is_settled(engine) {
            return Ok(true);
        }
        let next = Instant::now() + LOOK_EVERY;
        while Instant::now() < next {
            engine.turn(next)?;
        }
        progress.look(engine);
    }
    Ok(is_settled(engine))
}

fn is_settled(engine: &Engine) -> bool {
    let heads: Vec<u64> = engine.records.ledger.rooms.iter().map(RoomLedger::head).collect();
    engine.bots.iter().filter(|bot| bot.given_up.is_none()).all(|bot| {
        let up_to_date = |seat: &crate::bot::seat::Seat| seat.cursor >= heads.get(seat.place.room).copied();
        bot.talk.phase == Phase::Live
            && bot.talk.unanswered() == 0
            && bot.talk.seats.iter().filter(|seat| seat.is_in()).all(up_to_date)
    })
}

/// A line each second.
struct Progress {
    begun: Instant,
    next: Instant,
    before: (u64, u64, u64),
    moved: Instant,
}

impl Progress {
    fn new(begun: Instant) -> Self {
        Self { begun, next: begun + SECOND, before: (0, 0, 0), moved: begun }
    }

    fn look(&mut self, engine: &mut Engine) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + SECOND;
        let counts = engine.records.meter.counts;
        let since = (counts.sent - self.before.0, counts.acknowledged - self.before.1, counts.delivered - self.before.2);
        self.before = (counts.sent, counts.acknowledged, counts.delivered);
        if since.1 > 0 {
            self.moved = now;
        } else if now.duration_since(self.moved) > STALLED {
            self.moved = now;
            (0..engine.records.ledger.rooms.len()).for_each(|room| engine.pace.done(room));
            engine.fill();
        }
        let p99 = engine.records.meter.to_each.percentiles().p99_ms;
        let reconnects: u64 = engine.bots.iter().map(|bot| bot.reconnects).sum();
        eprintln!(
            "{:4.0} s  sent {}/s  acked {}/s  delivered {}/s  p99 {p99:.1} ms  reconnects {reconnects}  live {}",
            now.duration_since(self.begun).as_secs_f64(),
            since.0,
            since.1,
            since.2,
            engine.live()
        );
    }
}
