//! Backups: every table as text, with a manifest, in a form that either database can be restored from.
//!
//! A backup is a folder: `manifest.json`, one `TABLE.jsonl` for each table (one line a row, in the order of the key), and copies of
//! files that belong beside the database. It is taken from one consistent state while writers go on, in pages, so that memory stays
//! bounded. The tables are those the database describes ([`super::tables`]), so that none is forgotten; only the list of running nodes
//! and what persistence probes with are left out.
//!
//! A backup holds the schema it was taken with. Restoring brings the new database to that schema, fills it, and then migrates, so that
//! migrations see the old rows as if the server had been upgraded in place. It begins a new epoch: cursors that lie beyond what the
//! backup knew must not be continued (I7).
//!
//! *Invariants.* A folder without the suffix `.partial` is complete. Nothing of a backup is used before all its checksums were right.
//! While a database is being filled, nobody can take it for a good one: a file is built beside and renamed, on a server a marker table
//! stops every start until the restore has finished.
//!
//! Written in [`dump`], read in [`load`], put in place in [`restore`].
//!
//! *Must not know*: what the tables mean, what the files beside hold.

mod dump;
mod load;
mod restore;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::access::OpenError;
use super::error::StoreError;
use super::nodes::OtherNode;
use super::tables::Table;
use crate::domain::ids::Epoch;
use crate::domain::time::Timestamp;

pub use load::Backup;
pub use restore::Restore;

/// The form of backups this program writes; it reads no other.
const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";

/// Tables that belong to the running server and not to what it stores.
const LEFT_OUT: [&str; 3] = ["nodes", "probes", super::migrate::UNFINISHED];

/// Rows in a page that is read, and in one INSERT at most.
const ROWS: usize = 500;

/// Is told what long work is doing.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// Why a backup was not taken or not restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The file system refuses.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database does not open or migrate.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is something where the backup is to be made.
    #[error("{0} exists already: name a folder that does not")]
    Exists(PathBuf),
    /// SQLite finds its file damaged.
    #[error("the database is damaged, so this would be no good backup: {0}")]
    DatabaseDamaged(String),
    /// No manifest there.
    #[error("{0} is no backup: it holds no readable manifest.json")]
    NoBackup(PathBuf),
    /// Not what was written.
    #[error("the backup is damaged: {0}; nothing was changed")]
    Damaged(String),
    /// A later version wrote it.
    #[error(
        "the backup is of a form (format {found}) that this program does not know: use the version that made it, or a newer one"
    )]
    FormatNewer {
        /// Its format.
        found: u32,
    },
    /// A later version wrote it.
    #[error("the backup has schema {found}, this program knows up to {known}: use the version that made it, or a newer one")]
    SchemaNewer {
        /// The newest migration of the backup.
        found: String,
        /// The newest one of this program.
        known: String,
    },
    /// Somebody's rooms and people are there.
    #[error("the database is not empty: back it up, then restore with --replace to put the backup in its place")]
    NotEmpty,
    /// Somebody else's tables are there.
    #[error("the database holds tables that are not Hubbub's: name an empty database")]
    Foreign,
    /// A server runs on the database.
    #[error("node {} was running at {}: stop it, or wait until its registration has run out", .0.id, .0.seen_at)]
    NodeRuns(OtherNode),
    /// Somebody restores or reads.
    #[error("the database is in use by another process: {0}")]
    InUse(&'static str),
}

/// What a backup says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of the whole.
    pub format: u32,
    /// The version of the program that wrote it.
    pub hubbub: String,
    /// When it was begun.
    pub taken_at: Timestamp,
    /// `sqlite` or `mysql`; either can be restored from it.
    pub database: String,
    /// The migrations the database had had.
    pub schema: Vec<String>,
    /// Which history it is of.
    pub epoch: Option<Epoch>,
    /// What it holds of each table.
    pub tables: Vec<Rows>,
    /// All files but the manifest.
    pub files: Vec<Stored>,
}

/// The rows of one table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// Which, and the columns in the order of each line.
    pub table: Table,
    /// How many.
    pub rows: u64,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Its name in the folder.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its checksum, hexadecimal.
    pub sha256: String,
}

fn file_name(table: &str) -> String {
    format!("{table}.jsonl")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
