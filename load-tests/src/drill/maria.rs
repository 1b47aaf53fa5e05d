//! A private MariaDB through `scripts/mariadb`, that can be stopped, frozen, and asked to kill connections.

use crate::{Failed, signal};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// See the module. Dropped, it is stopped.
#[derive(Debug)]
pub struct Maria {
    script: PathBuf,
    folder: PathBuf,
    pub port: u16,
}

impl Maria {
    /// Starts one in `folder`.
    pub fn start(script: &Path, folder: &Path) -> Result<Self, Failed> {
        fs::create_dir_all(folder)?;
        let mut maria = Self { script: script.to_owned(), folder: folder.to_owned(), port: 0 };
        maria.resume()?;
        Ok(maria)
    }

    /// Stops it in good order; its data and port stay for [`Maria::resume`].
    pub fn stop(&self) -> Result<(), Failed> {
        self.call("stop")
    }

    /// Starts it again where it was.
    pub fn resume(&mut self) -> Result<(), Failed> {
        self.call("start")?;
        self.port = fs::read_to_string(self.folder.join("port"))?.trim().parse()?;
        Ok(())
    }

    /// Its process stands still, or goes on.
    pub fn freeze(&self, frozen: bool) -> Result<(), Failed> {
        let pid = fs::read_to_string(self.folder.join("pid"))?.trim().parse()?;
        signal(pid, if frozen { "STOP" } else { "CONT" })
    }

    /// Runs statements as root over its socket.
    pub fn sql(&self, statements: &str) -> Result<String, Failed> {
        let mut command = Command::new("mariadb");
        command.arg("--no-defaults").arg("--user=root").arg(format!("--socket={}", self.folder.join("socket").display()));
        let output =
            command.args(["--skip-column-names", "--batch", "--force", "-e", statements]).stdin(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends every connection to `database` but this one's. How many there were.
    pub fn kill_connections(&self, database: &str) -> Result<usize, Failed> {
        let ids = self.sql(&format!("SELECT id FROM information_schema.processlist WHERE db = '{database}'"))?;
        let kills: Vec<_> = ids.lines().map(|id| format!("KILL {id}")).collect();
        // One that has gone by itself meanwhile is an error that does not matter (--force).
        self.sql(&kills.join(";"))?;
        Ok(kills.len())
    }

    fn call(&self, what: &str) -> Result<(), Failed> {
        // Not to a pipe: the server keeps its starter's output open.
        let said = fs::File::create(self.folder.with_extension("log"))?;
        let mut command = Command::new(&self.script);
        command.arg(what).arg(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let status = command.status()?;
        if status.success() {
            return Ok(());
        }
        let said = fs::read_to_string(self.folder.with_extension("log")).unwrap_or_default();
        Err(format!("scripts/mariadb {what}: {status}: {}", said.trim()).into())
    }
}

impl Drop for Maria {
    fn drop(&mut self) {
        // The folder goes with the drill's own; what is left running is told by the script's log.
        drop(self.stop());
    }
}
