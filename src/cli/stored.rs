//! What the commands that work on the store without a server have in common: a runtime, the data folder, the open store.

use std::future::Future;

use super::{Exit, Failure};
use crate::config::Config;
use crate::folder::DataFolder;
use crate::store::{OpenError, Store};

/// Runs a command's work to its end.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(work)
}

/// Takes the data folder: no server runs on it, and none starts, until it is dropped.
pub(super) fn take_folder(config: &Config) -> Result<DataFolder, Failure> {
    DataFolder::open(&config.data.folder).map_err(failed)
}

/// Opens the store, which must be there: a command that reads does not make one.
pub(super) async fn open(config: &Config) -> Result<Store, Failure> {
    open_or(config, Exit::Failed).await
}

/// The same with an exit code of its own for a damaged database.
pub(super) async fn open_or(config: &Config, damaged: Exit) -> Result<Store, Failure> {
    if !Store::exists(&config.database, &config.data.folder) {
        let folder = config.data.folder.display();
        return Err(failed(format_args!("there is no database in {folder}: name the data folder with --data")));
    }
    Store::open(&config.database, &config.data.folder).await.map_err(|error| match error {
        OpenError::Damaged(_) => Failure::new(damaged, error),
        _ => failed(error),
    })
}

/// What is told of work that takes long, on standard error.
pub(super) fn tell(progress: &str) {
    eprintln!("{progress}");
}

/// Any failure that has no exit code of its own.
pub(super) fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, error)
}
