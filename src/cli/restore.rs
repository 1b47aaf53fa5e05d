//! `hubbub restore`: a backup in place of what is stored.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::Failure;
use super::stored::{block_on, failed, take_folder, tell};
use crate::config::{Config, secrets};
use crate::domain::time::Clock;
use crate::folder;
use crate::store::backup::{Backup, Progress, Restore};

/// Put a backup in place of what is stored. The server must not run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder that `hubbub backup` made.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Replace what is stored now. Without it, only an empty database is filled.
    #[arg(long)]
    replace: bool,
}

pub(super) fn run(args: &Args, config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    let folder = take_folder(config)?;
    let progress: Progress = Arc::new(tell);
    let backup = Backup::open(&args.from, &progress).map_err(failed)?;
    let restore = Restore {
        settings: &config.database,
        folder: &folder,
        node: folder.node_id().map_err(failed)?,
        replace: args.replace,
        now: Clock::system().now(),
        progress,
    };
    block_on(async { restore.run(&backup).await.map_err(failed) })?;
    writeln!(out, "Restored the backup of {}.", backup.manifest().taken_at)?;
    let path = folder.path().join(secrets::FILE_NAME);
    if let Some(keys) = backup.beside(secrets::FILE_NAME).map_err(failed)? {
        if args.replace || !path.exists() {
            folder::replace(&path, &keys).map_err(failed)?;
            writeln!(out, "The keys in {} are those of the backup.", path.display())?;
        } else {
            writeln!(out, "The keys in {} were kept: access tokens of the backup's time must be renewed.", path.display())?;
        }
    }
    Ok(())
}
