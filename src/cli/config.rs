//! `hubbub config`: check and print settings, replace the keys that sign tokens.

use std::io::Write;

use clap::Subcommand;

use super::{Exit, Failure};
use crate::{
    config::{Loaded, Secrets},
    telemetry::log,
};

/// Check or print the settings, replace the keys that sign tokens.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the settings without starting anything. Exit code 3 if they are refused.
    Check,
    /// Print every setting with its value and where it was set, without secrets. The output is a valid settings file.
    Print,
    /// Sign access tokens with a new key from the next start on. The key before it stays valid, older ones are dropped.
    RotateKeys,
}

pub(super) fn run(args: &Args, loaded: &Loaded, out: &mut dyn Write) -> Result<(), Failure> {
    let refuse = |error: &dyn std::fmt::Display| Failure::new(Exit::Settings, error);
    match args.command {
        Command::Check => {
            log::check_filter(&loaded.config.log.filter).map_err(|error| refuse(&error))?;
            writeln!(out, "The settings are good.")?;
        }
        Command::Print => out.write_all(loaded.print().as_bytes())?,
        Command::RotateKeys => {
            let secrets = Secrets::rotate(&loaded.config.data.folder).map_err(|error| refuse(&error))?;
            writeln!(out, "Key {} signs from the next start on.", secrets.signing_key().kid)?;
        }
    }
    Ok(())
}
