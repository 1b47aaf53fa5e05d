//! `hubbub backup`: a copy of everything stored, taken while the server runs.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::Failure;
use super::stored::{block_on, failed, open, tell};
use crate::config::{Config, secrets};
use crate::domain::time::Clock;

/// Copy everything the server stores into a folder, while it runs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder to make; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) fn run(args: &Args, config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    // Without the keys every access token would be worthless after a restore.
    let keys = config.data.folder.join(secrets::FILE_NAME);
    let beside: Vec<PathBuf> = Some(keys).filter(|keys| keys.exists()).into_iter().collect();
    block_on(async {
        let store = open(config).await?;
        let taken = store.backup(&args.to, &beside, Clock::system().now(), &(Arc::new(tell) as _)).await;
        let manifest = taken.map_err(failed)?;
        let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
        writeln!(out, "Backed up {rows} rows of {} tables to {}.", manifest.tables.len(), args.to.display())?;
        if !beside.is_empty() {
            writeln!(out, "It holds the server's keys: keep it as private as the data folder.")?;
        }
        Ok(())
    })
}
