//! `hubbub-swarm run` as a process: the load, and the judge.

use crate::Failed;
use hubbub_load_tests::journal::Journal;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How many people say how much.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub bots: usize,
    pub room_size: usize,
    pub rate: f64,
    pub text_bytes: usize,
    /// More than posts, and then how long after its answer a block holds at the latest: an outage may be in between.
    pub converses: Option<Duration>,
}

/// See the module. Dropped, it is killed.
#[derive(Debug)]
pub struct Swarm {
    child: Child,
    folder: PathBuf,
    until: Instant,
}

/// What the swarm found, as far as a drill needs it (`report/summary.rs`).
#[derive(Debug, Deserialize)]
pub struct Report {
    pub counts: Counts,
    pub to_ack: Percentiles,
    pub to_each: Percentiles,
    pub reconnects: u64,
    pub to_welcome_again: Percentiles,
    pub journal: Option<Journal>,
    pub refusals: BTreeMap<String, u64>,
    pub longest_pause_ms: f64,
    pub resets: BTreeMap<String, u64>,
    pub given_up: Vec<String>,
    pub settled: bool,
    pub verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Counts {
    pub sent: u64,
    pub acknowledged: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Percentiles {
    pub count: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

#[derive(Debug, Deserialize)]
pub struct Verdict {
    pub acknowledged: u64,
    /// For good: who was out of the room.
    pub refused: u64,
    pub deeds: u64,
    pub deeds_acknowledged: u64,
    pub unanswered: u64,
    pub stored: u64,
    pub findings: Findings,
}

/// Broken promises by kind, with examples.
#[derive(Debug, Deserialize)]
pub struct Findings {
    pub counts: BTreeMap<String, u64>,
    pub examples: Vec<Value>,
}

/// How long the swarm waits for the last answers, and everybody may take to come back.
const SETTLE: Duration = Duration::from_secs(60);
/// Accounts, connecting, reading the history back.
const AROUND: Duration = Duration::from_secs(150);
/// Several times what a drill delivers, or refuses; some 40 MB of the swarm's memory.
const JOURNAL_MAX: usize = 1_000_000;
const WARM_UP: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Swarm {
    /// Makes accounts and rooms and begins to talk for `duration`; returns once it talks.
    pub fn start(binary: &Path, folder: &Path, url: &str, load: Load, duration: Duration) -> Result<Self, Failed> {
        let seconds = |time: Duration| format!("{}ms", time.as_millis());
        let mut command = Command::new(binary);
        command.args(["run", "--url", url, "--verify", "true", "--later", "2s"]);
        command.args(["--bots", &load.bots.to_string(), "--room-size", &load.room_size.to_string()]);
        command.args(["--rate", &load.rate.to_string(), "--text-bytes", &load.text_bytes.to_string()]);
        command.args(["--warm-up", &seconds(WARM_UP), "--duration", &seconds(duration), "--settle", &seconds(SETTLE)]);
        if let Some(felt_within) = load.converses {
            command.args(["--mix", "talk", "--felt-within", &seconds(felt_within)]);
        }
        command.args(["--journal", &JOURNAL_MAX.to_string()]);
        command.arg("--cast").arg(folder.join("cast.json")).arg("--json").arg(folder.join("swarm.json"));
        command.arg("--ledger").arg(folder.join("ledger.json"));
        let said = folder.join("swarm.err");
        let child = command.stdin(Stdio::null()).stdout(File::create(folder.join("swarm.out"))?).stderr(File::create(&said)?);
        let until = Instant::now() + AROUND + WARM_UP + duration + SETTLE;
        let mut swarm = Self { child: child.spawn()?, folder: folder.to_owned(), until };
        while !fs::read_to_string(&said)?.contains("acked") {
            if swarm.child.try_wait()?.is_some() || Instant::now() > swarm.until {
                return Err(format!("the swarm did not begin: {}", swarm.said()).into());
            }
            sleep(LOOK_EVERY);
        }
        // Past the warm-up: what follows is measured.
        sleep(WARM_UP);
        Ok(swarm)
    }

    /// Waits for its judgement.
    pub fn finish(mut self) -> Result<Report, Failed> {
        while self.child.try_wait()?.is_none() {
            if Instant::now() > self.until {
                return Err(format!("the swarm does not end: {}", self.said()).into());
            }
            sleep(LOOK_EVERY);
        }
        let json = fs::read(self.folder.join("swarm.json")).map_err(|_| format!("the swarm did not judge: {}", self.said()))?;
        Ok(serde_json::from_slice(&json)?)
    }

    fn said(&self) -> String {
        let text = fs::read_to_string(self.folder.join("swarm.err")).unwrap_or_default();
        text.lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
