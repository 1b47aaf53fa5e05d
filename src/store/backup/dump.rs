//! Taking a backup.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{BackupError, FORMAT, LEFT_OUT, MANIFEST, Manifest, Progress, ROWS, Rows, Stored, file_name, hexadecimal};
use crate::domain::time::Timestamp;
use crate::folder;
use crate::store::backend::Db;
use crate::store::tables::{self, Table};
use crate::store::{Store, migrate, nodes};

/// Rows between two lines of progress.
const TELL_EVERY: u64 = 100_000;

impl Store {
    /// Copies everything into the new folder `to`, with the files `beside`, as it is at this moment; the server may run.
    ///
    /// # Errors
    /// See [`BackupError`]; then there is no folder `to`.
    pub async fn backup(
        &self,
        to: &Path,
        beside: &[PathBuf],
        now: Timestamp,
        progress: &Progress,
    ) -> Result<Manifest, BackupError> {
        let (Some(name), false) = (to.file_name(), to.exists()) else { return Err(BackupError::Exists(to.to_owned())) };
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = to.with_file_name(partial);
        if partial.exists() {
            return Err(BackupError::Exists(partial));
        }
        folder::make_private(&partial).map_err(|error| BackupError::Io(partial.clone(), error))?;
        let finished = self.fill(&partial, beside, now, progress).await;
        let finished = finished.and_then(|manifest| publish(&partial, to).map(|()| manifest));
        if finished.is_err()
            && let Err(error) = fs::remove_dir_all(&partial)
        {
            progress(&format!("{} could not be removed: {error}", partial.display()));
        }
        finished
    }

    async fn fill(
        &self,
        partial: &Path,
        beside: &[PathBuf],
        now: Timestamp,
        progress: &Progress,
    ) -> Result<Manifest, BackupError> {
        let mut manifest = Manifest {
            format: FORMAT,
            hubbub: env!("CARGO_PKG_VERSION").to_owned(),
            taken_at: now,
            database: if self.is_file() { "sqlite" } else { "mysql" }.to_owned(),
            schema: Vec::new(),
            epoch: None,
            tables: Vec::new(),
            files: Vec::new(),
        };
        let (known, into, told) = (self.known_schema()?, partial.to_owned(), progress.clone());
        let dumped = self.snapshot(move |db| Box::pin(async move { dump(db, &known, &into, &told).await })).await?;
        (manifest.schema, manifest.epoch) = (dumped.schema, dumped.epoch);
        (manifest.tables, manifest.files) = (dumped.tables, dumped.files);
        for path in beside {
            manifest.files.push(copy(path, partial)?);
        }
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(partial, error.into()))?;
        folder::replace(&partial.join(MANIFEST), &text).map_err(|error| failed(partial, error))?;
        Ok(manifest)
    }
}

#[derive(Default)]
struct Dumped {
    schema: Vec<String>,
    epoch: Option<crate::domain::ids::Epoch>,
    tables: Vec<Rows>,
    files: Vec<Stored>,
}

async fn dump(db: &mut Db, known: &[String], into: &Path, progress: &Progress) -> Result<Dumped, BackupError> {
    // In the same state as the rows: a server of another version may migrate meanwhile.
    let schema = migrate::schema_of(db, known).await?;
    progress("checking the database");
    if let Some(damage) = tables::integrity(db).await?.into_iter().next() {
        return Err(BackupError::DatabaseDamaged(damage));
    }
    let mut dumped = Dumped { schema, epoch: nodes::epoch(db).await?, ..Dumped::default() };
    for table in tables::tables(db).await? {
        if LEFT_OUT.contains(&table.name.as_str()) {
            continue;
        }
        let (rows, file) = dump_table(db, &table, into, progress).await?;
        dumped.files.push(file);
        dumped.tables.push(Rows { table, rows });
    }
    Ok(dumped)
}

async fn dump_table(db: &mut Db, table: &Table, into: &Path, progress: &Progress) -> Result<(u64, Stored), BackupError> {
    let name = file_name(&table.name);
    let path = into.join(&name);
    let mut output = Output::create(&path).map_err(|error| failed(&path, error))?;
    let (mut rows, mut told, mut after) = (0_u64, 0, None);
    loop {
        let lines = tables::page(db, table, after, ROWS).await?;
        let Some(last) = lines.last() else { break };
        let row = tables::cells(&table.columns, last)
            .ok_or_else(|| BackupError::DatabaseDamaged(format!("table {} holds values of the wrong sort", table.name)))?;
        after = Some(table.key_of(&row));
        for line in &lines {
            output.line(line).map_err(|error| failed(&path, error))?;
        }
        rows += lines.len() as u64;
        if rows >= told + TELL_EVERY {
            told = rows;
            progress(&format!("{}: {rows} rows so far", table.name));
        }
    }
    progress(&format!("{}: {rows} rows", table.name));
    Ok((rows, output.finish(name).map_err(|error| failed(&path, error))?))
}

/// A file that counts and sums what goes into it.
struct Output {
    file: BufWriter<File>,
    digest: Sha256,
    bytes: u64,
}

impl Output {
    fn create(path: &Path) -> io::Result<Self> {
        let file = folder::private(File::options().write(true).create_new(true)).open(path)?;
        Ok(Self { file: BufWriter::new(file), digest: Sha256::new(), bytes: 0 })
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        self.put(line.as_bytes())?;
        self.put(b"\n")
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn finish(mut self, name: String) -> io::Result<Stored> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(Stored { name, bytes: self.bytes, sha256: hexadecimal(&self.digest.finalize()) })
    }
}

/// Small files: secrets, not people's uploads.
fn copy(from: &Path, into: &Path) -> Result<Stored, BackupError> {
    let name = from.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let content = fs::read(from).map_err(|error| failed(from, error))?;
    let path = into.join(name);
    let written = Output::create(&path).and_then(|mut output| {
        output.put(&content)?;
        output.finish(name.to_owned())
    });
    written.map_err(|error| failed(&path, error))
}

fn publish(partial: &Path, to: &Path) -> Result<(), BackupError> {
    let parent = to.parent().unwrap_or(Path::new("."));
    let renamed = folder::sync(partial).and_then(|()| fs::rename(partial, to)).and_then(|()| folder::sync(parent));
    renamed.map_err(|error| failed(to, error))
}

fn failed(path: &Path, error: io::Error) -> BackupError {
    BackupError::Io(path.to_owned(), error)
}
