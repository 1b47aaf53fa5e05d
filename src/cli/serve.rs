//! `hubbub serve`: the server, until it is told to stop or cannot go on.

use std::io::Write;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, Failure, files};
use crate::app::{self, Ended, Running, StartError, Stopped};
use crate::config::{Config, Format};
use crate::domain::time::Clock;
use crate::supervision;
use crate::telemetry::{log, metrics};

/// Histograms keep their samples one by one until somebody tidies up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Run the server until SIGTERM or SIGINT.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Runs the server; returns once it has stopped in good order.
///
/// `again` is how a command with the same settings is called.
pub(super) fn run(_: &Args, mut config: Config, again: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let format = match config.log.format {
        Format::Text => log::Format::Text,
        Format::Json => log::Format::Json,
    };
    log::init(format, &config.log.filter).map_err(|error| Failure::new(Exit::Settings, error))?;
    supervision::panic::install_hook();
    files::prepare(&mut config);
    let upkeep = metrics::install().map_err(|error| Failure::new(Exit::Failed, error))?;
    actix::System::new().block_on(async move {
        let server_url = config.server.public_url.clone();
        let folder = config.data.folder.clone();
        // From here on a signal means a stop in good order; until somebody listens it would end the process where it stands.
        let mut stop = Stop::listen()?;
        let running = tokio::select! {
            started = app::start(config, Clock::system()) => started.map_err(refused)?,
            () = stop.told() => return Ok(()),
        };
        greet(out, &running, &server_url, &folder.display().to_string(), again)?;
        actix::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                upkeep.run_upkeep();
            }
        });
        until_told_to_stop(running, stop).await
    })
}

fn greet(out: &mut dyn Write, running: &Running, public_url: &str, folder: &str, again: &str) -> Result<(), Failure> {
    let local = format!("http://{}", running.address());
    let url = if public_url.is_empty() { &local } else { public_url };
    writeln!(out, "Hubbub runs at {url}")?;
    writeln!(out, "  API: {url}/docs    WebSocket: {url}/api/v1/ws    data: {folder}")?;
    if running.has_no_accounts() {
        writeln!(out, "  There is no account yet. Make the first one, an administrator, in another terminal:")?;
        writeln!(out, "    {} user add NAME --admin {again}", program())?;
    }
    out.flush()?;
    Ok(())
}

/// This program as it was called, which need not be in the search path.
fn program() -> String {
    let called = std::env::args().next().unwrap_or_else(|| "hubbub".to_owned());
    let path = std::path::Path::new(&called);
    // A name alone came from the search path, and will again.
    let absolute = if path.components().count() > 1 { std::path::absolute(path).ok() } else { None };
    super::quoted(absolute.as_deref().unwrap_or(path).to_string_lossy())
}

/// The signals that ask for a stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn until_told_to_stop(mut running: Running, mut stop: Stop) -> Result<(), Failure> {
    let ended = tokio::select! {
        () = stop.told() => None,
        ended = running.ended() => Some(ended),
    };
    tracing::info!("stopping");
    let stopped = running.stop().await;
    match ended {
        None if stopped == Stopped::CutOff => {
            Err(Failure::new(Exit::CutOff, "something was still under way at the end of the drain and was cut off"))
        }
        None => Ok(()),
        Some(ended @ Ended::GaveUp(_)) => Err(Failure::new(Exit::GaveUp, ended)),
        Some(ended @ Ended::TakenOver(_)) => Err(Failure::new(Exit::Failed, ended)),
    }
}

fn refused(error: StartError) -> Failure {
    let exit = match error {
        StartError::Secrets(_) | StartError::FilterHook(_) => Exit::Settings,
        _ => Exit::Failed,
    };
    Failure::new(exit, error)
}
