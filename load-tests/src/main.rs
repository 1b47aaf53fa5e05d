//! `hubbub-swarm`: scripted people who talk through a Hubbub server, by thousands, and judge whether its promises held.
//!
//! In reading order: `action` (what one does, and when), `bot` (one user: REST, socket, its own state), `swarm` (many bots on one event loop),
//! `report` (ledger, verdict, latencies), `loopback` (a tiny server to test all that against); the journal is in the library, as the drill
//! reads it. It speaks the public protocol only and does not know the server's code.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod action;
mod bot;
mod cli;
mod loopback;
mod report;
mod swarm;

use bot::rest::Rest;
use clap::Parser;
use cli::{Cli, Command, Company, Run, SelfTest, Sessions, Setup, Verify};
use loopback::server::Loopback;
use report::ledger::Ledger;
use report::summary::Summary;
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, io};
use swarm::cast::{Cast, Shape};
use swarm::run::{self, CannotRun};
use swarm::sessions;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // As many files as the hard limit allows; if that is too few, connecting says so.
    drop(rlimit::increase_nofile_limit(u64::MAX));
    let done = match cli.command {
        Command::Run(args) => talk(&args),
        Command::Idle(args) => hold(&args, true),
        Command::Connect(args) => hold(&args, false),
        Command::Verify(args) => verify(&args),
        Command::Setup(args) => setup(&args),
        Command::SelfTest(args) => self_test(&args),
        Command::Loopback(args) => serve(&args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cannot run: {error}");
            ExitCode::from(2)
        }
    }
}

fn talk(args: &Run) -> Result<u8, CannotRun> {
    let runtime = runtime()?;
    let Company { url, server_pid, connect_at_once, later, .. } = &args.company;
    let cast = cast(&runtime, &args.company, args.size.shape())?;
    let plan = args.talk.plan(url, args.size, *connect_at_once, *later, *server_pid);
    let (summary, ledger) = run::run(&runtime, &plan, &cast)?;
    if let Some(path) = &args.talk.ledger {
        write_json(path, &ledger)?;
    }
    finish(&summary, args.company.json.as_deref())
}

fn hold(args: &Sessions, idle: bool) -> Result<u8, CannotRun> {
    let runtime = runtime()?;
    let mut cast = cast(&runtime, &args.company, args.shape())?;
    // Several sessions of one account are several bots with one login.
    let accounts = cast.people.clone();
    cast.people = accounts.into_iter().cycle().take(args.sessions).collect();
    let found = sessions::hold(&args.plan(idle), &cast)?;
    show(&found)?;
    if let Some(path) = &args.company.json {
        write_json(path, &found)?;
    }
    Ok(if found.lost == 0 { 0 } else { 1 })
}

fn verify(args: &Verify) -> Result<u8, CannotRun> {
    let runtime = runtime()?;
    let rest = Rest::new(&args.url)?;
    let cast = runtime.block_on(Cast::load(&rest, &args.cast))?;
    let ledger: Ledger = serde_json::from_reader(io::BufReader::new(fs::File::open(&args.ledger)?))?;
    let verdict = runtime.block_on(run::verify(&rest, &cast, &ledger)).map_err(|failed| failed.to_string())?;
    show(&verdict)?;
    Ok(if verdict.findings.total() > 0 {
        1
    } else if verdict.acknowledged == 0 {
        2
    } else {
        0
    })
}

fn setup(args: &Setup) -> Result<u8, CannotRun> {
    let runtime = runtime()?;
    let rest = Rest::new(&args.url)?;
    let cast = runtime.block_on(Cast::make(&rest, args.size.shape())).map_err(|failed| failed.to_string())?;
    cast.save(&args.cast)?;
    show(&format!("{} people in {} rooms, kept in {}\n", cast.people.len(), cast.rooms.len(), args.cast.display()))?;
    Ok(0)
}

/// The server runs in a process of its own, so that the two do not share a core's figures.
fn self_test(args: &SelfTest) -> Result<u8, CannotRun> {
    use std::io::BufRead;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.arg("loopback").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    if let Some(breach) = args.misbehave.breach {
        command.arg("--breach").arg(breach.name());
    }
    if args.misbehave.trouble {
        command.arg("--trouble");
    }
    let mut server = command.spawn()?;
    let mut url = String::new();
    io::BufReader::new(server.stdout.take().ok_or("no output of the loopback server")?).read_line(&mut url)?;
    let (url, pid) = (url.trim(), server.id());
    let summary = runtime().and_then(|runtime| {
        let plan = args.talk.plan(url, args.size, 64, Duration::from_secs(1), Some(pid));
        let cast = runtime.block_on(Cast::make(&Rest::new(url)?, args.size.shape())).map_err(|failed| failed.to_string())?;
        run::run(&runtime, &plan, &cast)
    });
    server.kill()?;
    server.wait()?;
    finish(&summary?.0, args.json.as_deref())
}

fn serve(args: &cli::Misbehave) -> Result<u8, CannotRun> {
    let server = Loopback::start(args.breach, args.trouble)?;
    show(&format!("{}\n", server.url))?;
    server.wait()?;
    Ok(0)
}

/// The cast of the file, or a new one.
fn cast(runtime: &Runtime, company: &Company, shape: Shape) -> Result<Cast, CannotRun> {
    let rest = Rest::new(&company.url)?;
    if let Some(path) = company.cast.as_deref().filter(|path| path.exists()) {
        return Ok(runtime.block_on(Cast::load(&rest, path))?);
    }
    let cast = runtime.block_on(Cast::make(&rest, shape)).map_err(|failed| failed.to_string())?;
    if let Some(path) = &company.cast {
        cast.save(path)?;
    }
    Ok(cast)
}

fn finish(summary: &Summary, json: Option<&Path>) -> Result<u8, CannotRun> {
    show(summary)?;
    if let Some(path) = json {
        write_json(path, summary)?;
    }
    Ok(summary.exit_code())
}

fn show(text: &impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), CannotRun> {
    let mut file = io::BufWriter::new(fs::File::create(path)?);
    serde_json::to_writer(&mut file, value)?;
    Ok(file.flush()?)
}

fn runtime() -> Result<Runtime, CannotRun> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
