//! `hubbub-drill`: the long proofs. Starts real servers, lets a swarm talk through them, breaks something, and judges whether the promises
//! held (docs/ARCHITECTURE.md). Called through `scripts/drill`, which builds what it needs.
//!
//! In reading order: `drills` (what is broken), `panics` (what a panic promises), `windows` (how long those waited whom it did not strike), `scene`
//! (what every drill promises), `server`, `swarm`, `witness`, `database`, `maria`, `proxy`, `disk`, `reader`, `host` (what they work with), `outcome` (the table). Everything stays on loopback and in one temporary folder; only
//! processes it started are ended. It does not know the server's code.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod database;
mod disk;
mod drills;
mod host;
mod maria;
mod outcome;
mod panics;
mod proxy;
mod reader;
mod scene;
mod server;
mod settings;
mod swarm;
mod windows;
mod witness;

use clap::Parser;
use database::Database;
use drills::{ALL, Drill};
use outcome::{Outcome, table};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use swarm::Load;

/// Any reason for which something could not be done.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Breaks a running server in every way it promises to survive, and judges.
///
/// Exit code: 0 every promise held; 1 one was broken; 2 it could not run.
#[derive(Debug, Parser)]
#[command(name = "scripts/drill")]
struct Cli {
    /// Only name the drills.
    #[arg(long)]
    list: bool,
    /// Only these; may be repeated. The baseline is always played.
    #[arg(long)]
    only: Vec<String>,
    /// sqlite, mariadb or both.
    #[arg(long, default_value = "both")]
    database: String,
    /// Three faults instead of ten, outages of 6 s instead of 20 s.
    #[arg(long)]
    short: bool,
    /// People in the swarm, in rooms of four.
    #[arg(long, default_value_t = 80)]
    bots: usize,
    /// Posts per second of the swarm.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Arm this fault point, a breach of a promise, for the whole of each drill: the result must be BROKEN. Shows that the judges see.
    #[arg(long)]
    breach: Option<String>,
    /// Keep the folders with logs and databases, and say where.
    #[arg(long)]
    keep: bool,
    /// Write the table to this file, too, with date, commit and machine.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Folder of the programs `hubbub` (built with faults) and `hubbub-swarm`.
    #[arg(long)]
    programs: PathBuf,
    /// Path of scripts/mariadb.
    #[arg(long)]
    mariadb: PathBuf,
    /// What the report says about when, what and where.
    #[arg(long, default_value = "")]
    about: String,
}

/// What all drills share.
#[derive(Debug)]
pub struct Settings {
    /// The program `hubbub`, with faults.
    pub server: PathBuf,
    /// The program `hubbub-swarm`.
    pub swarm: PathBuf,
    /// Everything is below it.
    pub folder: PathBuf,
    /// What the swarm says.
    pub load: Load,
    /// How often a fault is injected.
    pub times: u32,
    /// How long an outage lasts.
    pub outage: Duration,
    /// What a busy machine adds to a deadline.
    pub slack: Duration,
    /// A promise that is broken on purpose.
    pub breach: Option<String>,
    /// Keep the folders of drills that held, too.
    pub keep: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("cannot run: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<bool, Failed> {
    if cli.list {
        let names: Vec<_> = ALL.iter().map(|drill| format!("{:<18} {}\n", drill.name, drill.about)).collect();
        return show(&names.concat()).map(|()| true);
    }
    if let Some(unknown) = cli.only.iter().find(|name| !ALL.iter().any(|drill| drill.name == **name)) {
        return Err(format!("there is no drill {unknown}; see --list").into());
    }
    let set = settings(cli)?;
    let mut outcomes = Vec::new();
    for kind in scene::kinds(&cli.database)? {
        let wanted = |drill: &&Drill| {
            drill.databases.contains(&kind)
                && (cli.only.is_empty() || drill.is_baseline || cli.only.iter().any(|name| name == drill.name))
        };
        let mut database = Database::open(kind, &cli.mariadb, &set.folder)?;
        let mut baseline = None;
        for drill in ALL.iter().filter(wanted) {
            eprintln!("{} on {}: {}", drill.name, kind.name(), drill.about);
            let (outcome, measured) = scene::play(&set, drill, &mut database, baseline);
            baseline = measured.or(baseline);
            eprintln!("  {}", if outcome.held() { "held".to_owned() } else { outcome.breaches() });
            outcomes.push(outcome);
            // What is known so far survives an interruption.
            write(cli, &outcomes)?;
        }
    }
    show(&table(&outcomes))?;
    let held = outcomes.iter().all(Outcome::held);
    if held && !cli.keep {
        fs::remove_dir_all(&set.folder)?;
    } else {
        eprintln!("logs and databases are kept in {}", set.folder.display());
    }
    Ok(held)
}

fn settings(cli: &Cli) -> Result<Settings, Failed> {
    let folder = std::env::temp_dir().join(format!("hubbub-drill-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let (times, outage) = if cli.short { (3, 6) } else { (10, 20) };
    Ok(Settings {
        server: cli.programs.join("hubbub"),
        swarm: cli.programs.join("hubbub-swarm"),
        folder,
        load: Load { bots: cli.bots, room_size: 4, rate: cli.rate, text_bytes: 64, converses: None },
        times,
        outage: Duration::from_secs(outage),
        slack: Duration::from_millis(1000),
        breach: cli.breach.clone(),
        keep: cli.keep,
    })
}

fn write(cli: &Cli, outcomes: &[Outcome]) -> Result<(), Failed> {
    let Some(path) = &cli.write else { return Ok(()) };
    Ok(fs::write(path, format!("{}\n{}", cli.about, table(outcomes)))?)
}

fn show(text: &str) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Sends a signal to a process this tool started.
fn signal(pid: u32, name: &str) -> Result<(), Failed> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("kill -{name} {pid}: {status}").into()) }
}
