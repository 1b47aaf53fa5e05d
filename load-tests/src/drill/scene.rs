//! One drill from curtain to curtain: a server with its own folder and database, a witness, a swarm that talks; then the fault; then the
//! judges: the swarm's verdict, the witness's own, `hubbub verify`, and what every drill promises.

use crate::database::{Database, Kind};
use crate::drills::Drill;
use crate::host::Ticks;
use crate::outcome::{CONVERSATION, FINDINGS, Outcome};
use crate::panics::{Actor, Panic};
use crate::server::{self, Place, Server};
use crate::swarm::{Load, Percentiles, Report, Swarm};
use crate::windows::Windows;
use crate::witness::{Api, Attempt, Witness};
use crate::{Failed, Settings};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// More than this at any time is not bounded. A server of this size needs a tenth of it.
const MEMORY_MAX_KIB: u64 = 400 * 1024;
/// I11, with what a busy machine adds.
const TERMINATE_WITHIN: Duration = Duration::from_secs(26);
/// Longest wait for the next accepted post after a fault is over.
const RECOVER_WITHIN: Duration = Duration::from_secs(30);

/// What a drill works with.
pub struct Scene<'a> {
    pub set: &'a Settings,
    pub server: Server,
    pub witness: Witness,
    pub database: &'a mut Database,
    pub folder: PathBuf,
    pub outcome: Outcome,
    /// Times without faults.
    pub baseline: Option<Baseline>,
    /// The panics that were asked for.
    pub panics: Vec<Panic>,
    admin: Option<Api>,
}

/// The swarm's measures without faults.
#[derive(Clone, Copy, Debug)]
pub struct Baseline {
    pub acknowledged: Percentiles,
    /// Median of the windows' p99 of delivery.
    pub quiet_ms: Option<f64>,
}

/// How often a drill is played whose times were the host's.
const PLAYS_MAX: usize = 3;

/// Plays one drill, again if its times tell nothing. A baseline comes back from the drill without faults.
pub fn play(set: &Settings, drill: &Drill, database: &mut Database, baseline: Option<Baseline>) -> (Outcome, Option<Baseline>) {
    let mut earlier = Vec::new();
    loop {
        let turn = 1 + earlier.len();
        let (mut outcome, measured) = play_once(set, drill, database, baseline, turn);
        if turn == PLAYS_MAX || !outcome.tells_nothing(drill.is_baseline) {
            outcome.notes.append(&mut earlier);
            return (outcome, measured);
        }
        let late = if outcome.late.is_empty() { String::new() } else { format!(": {}", outcome.breaches()) };
        earlier.push(format!("play {turn} had {:.0} % stolen{late}", outcome.stolen * 100.0));
        eprintln!("  {}; again", earlier.join("; "));
    }
}

/// What cannot be done counts as broken.
fn play_once(
    set: &Settings,
    drill: &Drill,
    database: &mut Database,
    baseline: Option<Baseline>,
    turn: usize,
) -> (Outcome, Option<Baseline>) {
    let (begun, ticks) = (Instant::now(), Ticks::now());
    let outcome = Outcome { drill: drill.name.into(), database: database.kind().name(), ..Outcome::default() };
    let failed = |error: Failed| Outcome { broken: vec![format!("could not be played: {error}")], ..outcome.clone() };
    let folder = set.folder.join(format!("{}-{}-{turn}", drill.name, database.kind().flag()));
    let (mut played, measured) = match raise(set, drill, database, &folder, outcome.clone(), baseline) {
        Ok(found) => found,
        Err(error) => (failed(error), None),
    };
    played.took = begun.elapsed();
    played.stolen = Ticks::now().zip(ticks).map_or(0.0, |(now, then)| now.stolen_since(then));
    if played.held() && !set.keep {
        // What is left is removed with the whole folder at the end.
        drop(fs::remove_dir_all(&folder));
    }
    (played, measured)
}

fn raise(
    set: &Settings,
    drill: &Drill,
    database: &mut Database,
    folder: &std::path::Path,
    outcome: Outcome,
    baseline: Option<Baseline>,
) -> Result<(Outcome, Option<Baseline>), Failed> {
    fs::create_dir_all(folder.join("data"))?;
    let mounted = drill.small_disk.then(|| crate::disk::Small::mount(&folder.join("data"))).transpose()?;
    let place = Place {
        binary: set.server.clone(),
        data: folder.join("data"),
        log: folder.join("server"),
        database_url: database.prepare(drill.name, drill.through_proxy)?,
        port: server::free_port()?,
        breach: set.breach.clone(),
    };
    let server = Server::start(place)?;
    let witness = Witness::start(&server.url())?;
    let converses = drill.converses.then(|| set.outage + Duration::from_secs(3));
    let load = Load { text_bytes: drill.text_bytes, converses, ..set.load };
    let swarm = Swarm::start(&set.swarm, folder, &server.url(), load, (drill.lasts)(set))?;
    let folder = folder.to_owned();
    let mut outcome = outcome;
    outcome.conversation = drill.converses.then_some([0; 5]);
    let mut scene = Scene { set, server, witness, database, folder, outcome, baseline, panics: Vec::new(), admin: None };
    if let Some(breach) = &set.breach {
        scene.arm(breach, u64::from(u32::MAX))?;
    }
    (drill.act)(&mut scene)?;
    let report = swarm.finish()?;
    let measured = Baseline {
        acknowledged: report.to_ack,
        quiet_ms: report.journal.as_ref().and_then(|of| Windows::quiet(&of.deliveries).median_ms()),
    };
    scene.judge(&report);
    (drill.after)(&mut scene, &report);
    let outcome = scene.close()?;
    drop(mounted);
    Ok((outcome, drill.is_baseline.then_some(measured)))
}

impl Scene<'_> {
    /// Notes how long the next accepted post took from now.
    pub fn recovers(&mut self) -> Result<(), Failed> {
        self.recovers_since(Instant::now())
    }

    /// Notes how long the next accepted post took from `since`.
    pub fn recovers_since(&mut self, since: Instant) -> Result<(), Failed> {
        let took = self.witness.accepted_after(since, RECOVER_WITHIN)?;
        self.server.look();
        self.outcome.recoveries.push(took);
        Ok(())
    }

    /// Asks a build with faults to break at `name` the next so many times.
    pub fn arm(&mut self, name: &str, times: u64) -> Result<(), Failed> {
        let admin = self.admin()?;
        admin.ask(&Method::POST, "admin/faults", Some(&json!({ "name": name, "times": times })))?;
        Ok(())
    }

    /// The living actors of a kind, from all pages of the list.
    pub fn actors(&mut self, kind: &str) -> Result<Vec<Actor>, Failed> {
        let admin = self.admin()?;
        let (mut actors, mut page) = (Vec::new(), String::new());
        loop {
            let part = admin.ask(&Method::GET, &format!("admin/actors?kind={kind}{page}"), None)?;
            let rows =
                part.get("items").or(part.get("actors")).and_then(Value::as_array).ok_or("a list of actors without any")?;
            let of_kind = rows.iter().filter(|row| row.get("kind").and_then(Value::as_str) == Some(kind));
            actors.extend(of_kind.filter_map(Actor::read));
            match part.get("next").and_then(Value::as_str) {
                Some(next) => page = format!("&page={next}"),
                None => return Ok(actors),
            }
        }
    }

    fn admin(&mut self) -> Result<Api, Failed> {
        if let Some(admin) = &self.admin {
            return Ok(admin.clone());
        }
        let admin = Api::register(&self.server.url(), "drill-admin")?;
        self.database.make_admin(&self.server.place, "drill-admin")?;
        // The server asks its database who administers it, twice a second.
        admin.ask(&Method::GET, "admin/actors?kind=room", None)?;
        self.admin = Some(admin.clone());
        Ok(admin)
    }

    /// Lets `outage` pass, and checks what everybody was told meanwhile (I9): refused within the deadline, and refused at all.
    pub fn away(&mut self, outage: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < outage {
            self.server.look();
            sleep(Duration::from_millis(50));
        }
        let runs = self.server.runs();
        self.outcome.must(runs, || "the server ended".into());
        let during = |attempt: &Attempt| attempt.begun >= begun;
        let tried: Vec<_> = self.witness.attempts().into_iter().filter(during).collect();
        let longest = tried.iter().map(|attempt| attempt.ended - attempt.begun).max().unwrap_or_default();
        let refused = tried.iter().filter(|attempt| attempt.answer.is_err()).count();
        let unanswered = tried.iter().filter(|attempt| attempt.answer == Err(None)).count();
        self.outcome.notes.push(format!("{refused} of {} posts refused, slowest answer {} ms", tried.len(), longest.as_millis()));
        self.outcome.must(refused > 0, || "nothing was refused: the fault did not bite".into());
        self.outcome.must(unanswered == 0, || format!("{unanswered} requests were not answered at all"));
        let within = Duration::from_secs(2) + self.set.slack;
        self.outcome.must_in_time(longest <= within, || format!("a post was answered after {} ms only", longest.as_millis()));
    }

    /// What the swarm found.
    fn judge(&mut self, report: &Report) {
        let outcome = &mut self.outcome;
        outcome.acknowledged = report.counts.acknowledged;
        outcome.delivered = Some((report.to_each.p50_ms, report.to_each.p99_ms));
        outcome.reconnects = report.reconnects;
        if !report.refusals.is_empty() {
            outcome.notes.push(format!("refusals {:?}", report.refusals).replace('"', ""));
        }
        if !report.resets.is_empty() {
            outcome.notes.push(format!("resets {:?}", report.resets).replace('"', ""));
        }
        let (sent, acknowledged) = (report.counts.sent, report.counts.acknowledged);
        outcome.must(report.settled, || "not everything was answered and delivered in the end".into());
        let refused = report.verdict.as_ref().map_or(0, |verdict| verdict.refused);
        // Who only posts is in the room all the time.
        let may_be_refused = if outcome.conversation.is_some() { refused } else { 0 };
        outcome.must(sent == acknowledged + may_be_refused, || {
            format!("{sent} posts sent, {acknowledged} acknowledged in the end, {refused} refused")
        });
        outcome.must(report.given_up.is_empty(), || format!("bots stay away: {:?}", report.given_up.first()));
        let Some(verdict) = &report.verdict else {
            outcome.broken.push("the swarm did not judge".into());
            return;
        };
        let count = |name: &str| verdict.findings.counts.get(name).copied().unwrap_or(0);
        outcome.findings = FINDINGS.map(count);
        if let Some(conversation) = &mut outcome.conversation {
            *conversation = CONVERSATION.map(count);
            let (deeds, acknowledged) = (verdict.deeds, verdict.deeds_acknowledged);
            outcome
                .notes
                .push(format!("{acknowledged} of {deeds} other deeds acknowledged, {refused} posts of who was out refused"));
            outcome.must(acknowledged * 2 > deeds, || format!("only {acknowledged} of {deeds} deeds were acknowledged"));
        }
        let total: u64 = verdict.findings.counts.values().sum();
        outcome.must(total == 0, || format!("the swarm found {total} breaches, such as {:?}", verdict.findings.examples.first()));
        let (unanswered, stored) = (verdict.unanswered, verdict.stored);
        outcome.must(unanswered == 0 && stored == verdict.acknowledged, || {
            format!("{unanswered} posts without an answer, {stored} stored")
        });
    }

    /// The last checks, and the end of the server.
    fn close(mut self) -> Result<Outcome, Failed> {
        let (attempts, wrong) = self.witness.finish()?;
        self.outcome.broken.extend(wrong.into_iter().take(5));
        let accepted = attempts.iter().filter(|attempt| attempt.answer.is_ok()).count() as u64;
        self.outcome.acknowledged += accepted;
        self.outcome.must(accepted > 0, || "the witness never had a post accepted".into());
        let (status, took) = self.server.terminate(TERMINATE_WITHIN)?;
        self.outcome.must(status.success(), || format!("after SIGTERM it ended with {status}, after {} ms", took.as_millis()));
        let damage = server::verify(&self.server.place)?;
        self.outcome.broken.extend(damage);
        self.outcome.peak_kib = self.server.peak_kib();
        let peak = self.outcome.peak_kib;
        self.outcome.must(peak <= MEMORY_MAX_KIB, || format!("{} MiB of memory", peak / 1024));
        let panicked = panics(&self.server.log());
        let asked = self.panics.len();
        self.outcome.must(panicked == asked, || format!("{panicked} panics in the log, {asked} were injected"));
        Ok(self.outcome)
    }
}

/// How many panics a log tells of.
pub fn panics(log: &str) -> usize {
    log.lines().filter(|line| line.contains("panicked")).count()
}

/// Both kinds of database, or one.
pub fn kinds(asked: &str) -> Result<Vec<Kind>, Failed> {
    match asked {
        "sqlite" => Ok(vec![Kind::Sqlite]),
        "mariadb" => Ok(vec![Kind::Maria]),
        "both" => Ok(vec![Kind::Sqlite, Kind::Maria]),
        other => Err(format!("--database is sqlite, mariadb or both, not {other}").into()),
    }
}
