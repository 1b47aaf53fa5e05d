//! `hubbub migrate`: the schema, without starting the server.

use std::io::Write;

use super::stored::{block_on, failed, open, take_folder};
use super::{Exit, Failure};
use crate::config::Config;
use crate::store::Store;

/// Bring the database schema up to date. `serve` does it too.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only say what would be done. Exit code 1 if anything would.
    #[arg(long)]
    check: bool,
}

pub(super) fn run(args: &Args, config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    block_on(async { if args.check { check(config, out).await } else { migrate(config, out).await } })
}

async fn check(config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    let pending = open(config).await?.pending().await.map_err(failed)?;
    if pending.is_empty() {
        writeln!(out, "The schema is up to date.")?;
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format_args!("{} migrations are missing: {}", pending.len(), pending.join(", "))))
}

/// A server of the old schema must not run meanwhile; on a database server nobody but the operator can know of those elsewhere.
async fn migrate(config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    let folder = take_folder(config)?;
    let store = Store::open(&config.database, folder.path()).await.map_err(failed)?;
    let migrated = store.migrate().await.map_err(failed)?;
    match migrated.0.as_slice() {
        [] => writeln!(out, "The schema was up to date.")?,
        ran => writeln!(out, "Ran {} migrations: {}.", ran.len(), ran.join(", "))?,
    }
    Ok(())
}
