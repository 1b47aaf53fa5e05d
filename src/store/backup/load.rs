//! Reading a backup: is it whole, and its rows into a database of its schema.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use diesel_async::SimpleAsyncConnection;
use sha2::{Digest, Sha256};

use super::{BackupError, FORMAT, MANIFEST, Manifest, Progress, ROWS, Rows, Stored, file_name, hexadecimal};
use crate::store::backend::Db;
use crate::store::tables::{self, Cell, Table};

/// Bytes of lines in one INSERT at most, save that a row is never split: well below what a server takes in one packet.
const BATCH_BYTES: usize = 1024 * 1024;

/// Rows in one transaction.
const COMMIT_ROWS: u64 = 20_000;

/// A backup that was found whole.
#[derive(Clone, Debug)]
pub struct Backup {
    folder: PathBuf,
    manifest: Manifest,
}

impl Backup {
    /// Reads the manifest in `folder` and checks every file against it.
    ///
    /// # Errors
    /// [`BackupError::NoBackup`], [`BackupError::Damaged`], [`BackupError::FormatNewer`].
    pub fn open(folder: &Path, progress: &Progress) -> Result<Self, BackupError> {
        let none = || BackupError::NoBackup(folder.to_owned());
        let text = fs::read(folder.join(MANIFEST)).map_err(|_| none())?;
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|_| none())?;
        // Before the rest, which another format may hold otherwise.
        match value.get("format").and_then(serde_json::Value::as_u64).map(u32::try_from) {
            Some(Ok(FORMAT)) => {}
            Some(Ok(found)) => return Err(BackupError::FormatNewer { found }),
            _ => return Err(none()),
        }
        let manifest: Manifest = serde_json::from_value(value).map_err(|_| none())?;
        progress("checking the backup");
        for file in &manifest.files {
            check(folder, file)?;
        }
        for rows in &manifest.tables {
            let name = file_name(&rows.table.name);
            if !manifest.files.iter().any(|file| file.name == name) {
                return Err(BackupError::Damaged(format!("the manifest does not list {name}")));
            }
        }
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The content of a small file that was beside the database.
    ///
    /// # Errors
    /// [`BackupError::Io`].
    pub fn beside(&self, name: &str) -> Result<Option<Vec<u8>>, BackupError> {
        if !self.manifest.files.iter().any(|file| file.name == name) {
            return Ok(None);
        }
        let path = self.folder.join(name);
        fs::read(&path).map(Some).map_err(|error| BackupError::Io(path, error))
    }

    /// Fills the empty tables of a database whose schema is that of this backup.
    pub(super) async fn load_into(&self, db: &mut Db, progress: &Progress) -> Result<(), BackupError> {
        let there = tables::tables(db).await?;
        for rows in &self.manifest.tables {
            let fits = |table: &Table| table.name == rows.table.name && same_columns(table, &rows.table);
            if !there.iter().any(fits) {
                return Err(BackupError::Damaged(format!("its schema has no table {} with these columns", rows.table.name)));
            }
            self.load_table(db, rows).await?;
            progress(&format!("{}: {} rows", rows.table.name, rows.rows));
        }
        Ok(())
    }

    async fn load_table(&self, db: &mut Db, rows: &Rows) -> Result<(), BackupError> {
        let path = self.folder.join(file_name(&rows.table.name));
        let failed = |error: io::Error| BackupError::Io(path.clone(), error);
        let file = BufReader::new(File::open(&path).map_err(failed)?);
        let (mut loaded, mut open) = (0_u64, 0_u64);
        let mut batch = Batch::default();
        for line in file.lines() {
            let line = line.map_err(failed)?;
            let row = tables::cells(&rows.table.columns, &line)
                .ok_or_else(|| BackupError::Damaged(format!("line {} of {}", loaded + 1, path.display())))?;
            if batch.is_full(line.len()) {
                open += batch.write(db, &rows.table, open == 0).await?;
            }
            if open >= COMMIT_ROWS {
                db.commit().await?;
                open = 0;
            }
            batch.put(row, line.len());
            loaded += 1;
        }
        open += batch.write(db, &rows.table, open == 0).await?;
        if open > 0 {
            db.commit().await?;
        }
        if loaded != rows.rows {
            return Err(BackupError::Damaged(format!("{} holds {loaded} rows and not {}", path.display(), rows.rows)));
        }
        Ok(())
    }
}

/// Rows for one INSERT.
#[derive(Default)]
struct Batch {
    rows: Vec<Vec<Cell>>,
    bytes: usize,
}

impl Batch {
    fn is_full(&self, more: usize) -> bool {
        self.rows.len() >= ROWS || (!self.rows.is_empty() && self.bytes + more > BATCH_BYTES)
    }

    fn put(&mut self, row: Vec<Cell>, bytes: usize) {
        self.rows.push(row);
        self.bytes += bytes;
    }

    /// Writes what has gathered, after opening a transaction if there is none; how many rows that was.
    async fn write(&mut self, db: &mut Db, table: &Table, begin: bool) -> Result<u64, BackupError> {
        let batch = std::mem::take(self);
        let rows = batch.rows.len() as u64;
        if rows > 0 {
            if begin {
                db.begin().await?;
            }
            tables::insert(db, table, batch.rows).await?;
        }
        Ok(rows)
    }
}

/// In any order: the two databases may have added columns in different places.
fn same_columns(one: &Table, other: &Table) -> bool {
    one.columns.len() == other.columns.len() && one.columns.iter().all(|column| other.columns.contains(column))
}

fn check(folder: &Path, expected: &Stored) -> Result<(), BackupError> {
    // A name is one part: a manifest must not lead out of its folder.
    if Path::new(&expected.name).file_name() != Some(expected.name.as_ref()) {
        return Err(BackupError::Damaged("the manifest names a file outside".to_owned()));
    }
    let path = folder.join(&expected.name);
    let mut file = File::open(&path).map_err(|_| BackupError::Damaged(format!("{} is missing", path.display())))?;
    let mut digest = Sha256::new();
    let bytes = io::copy(&mut file, &mut digest).map_err(|error| BackupError::Io(path.clone(), error))?;
    if bytes != expected.bytes || hexadecimal(&digest.finalize()) != expected.sha256 {
        return Err(BackupError::Damaged(format!("{} is not what was written", path.display())));
    }
    Ok(())
}

/// Settings of a connection that only fills a database nobody uses yet.
pub(super) async fn prepare(db: &mut Db) -> Result<(), BackupError> {
    let settings = match db {
        // The whole file is put on disk at the end.
        Db::Sqlite(_) => "PRAGMA synchronous = OFF",
        Db::Mysql(_) => "SET SESSION wait_timeout = 600, innodb_lock_wait_timeout = 60",
    };
    Ok(each!(db, |c| c.batch_execute(settings).await).map_err(crate::store::StoreError::from)?)
}
