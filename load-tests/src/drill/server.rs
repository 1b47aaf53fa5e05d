//! A real `hubbub serve` in a process of its own, that can be killed, told to stop, and started again on the same port and folder.

use crate::settings::SETTINGS;
use crate::{Failed, signal};
use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks at a process or a file.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a server may take to serve: a debug build on a busy machine, with migrations.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Where a server runs, and with what.
#[derive(Clone, Debug)]
pub struct Place {
    pub binary: PathBuf,
    pub data: PathBuf,
    /// Where its output goes; outside the data folder, which may be full.
    pub log: PathBuf,
    /// Empty: SQLite in the data folder.
    pub database_url: String,
    pub port: u16,
    /// Armed from the start in every life but the first, in which people are made.
    pub breach: Option<String>,
}

/// See the module. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    pub place: Place,
    child: Child,
    /// The most memory any incarnation had.
    peak_kib: u64,
}

impl Server {
    /// Starts it; returns once it serves.
    pub fn start(place: Place) -> Result<Self, Failed> {
        let child = spawn(&place, None)?;
        let mut server = Self { place, child, peak_kib: 0 };
        server.serves()?;
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.place.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Power off, as far as a process can feel it.
    pub fn kill(&mut self) -> Result<(), Failed> {
        self.look();
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM; how it ended and how long that took.
    pub fn terminate(&mut self, within: Duration) -> Result<(ExitStatus, Duration), Failed> {
        self.look();
        let begun = Instant::now();
        signal(self.pid(), "TERM")?;
        while begun.elapsed() < within {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, begun.elapsed()));
            }
            self.look();
            sleep(LOOK_EVERY);
        }
        Err(format!("it still runs {} s after SIGTERM", within.as_secs()).into())
    }

    /// Starts it again where it was; returns once it serves.
    pub fn restart(&mut self) -> Result<(), Failed> {
        self.child = spawn(&self.place, self.place.breach.as_deref())?;
        self.serves()
    }

    /// True while it runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Notes its memory.
    pub fn look(&mut self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0);
        self.peak_kib = self.peak_kib.max(kib);
    }

    /// The most memory it had, over all its lives.
    pub fn peak_kib(&mut self) -> u64 {
        self.look();
        self.peak_kib
    }

    /// What all its lives have logged.
    pub fn log(&self) -> String {
        fs::read(self.place.log.with_extension("err"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn serves(&mut self) -> Result<(), Failed> {
        let begun = Instant::now();
        while begun.elapsed() < START_WITHIN {
            if fs::read_to_string(self.place.log.with_extension("out"))?.contains("Hubbub runs at") {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let log = self.log();
                let last: Vec<_> = log.lines().rev().take(3).collect();
                return Err(format!("the server ended at its start, {status}: {}", last.join(" | ")).into());
            }
            sleep(LOOK_EVERY);
        }
        Err("the server does not come up".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(place: &Place, faults: Option<&str>) -> Result<Child, Failed> {
    // The output names the moment it serves, so it is made anew; the log is kept over all lives.
    let out = File::create(place.log.with_extension("out"))?;
    let log = OpenOptions::new().create(true).append(true).open(place.log.with_extension("err"))?;
    let mut command = Command::new(&place.binary);
    command.arg("serve").arg("--data").arg(&place.data).arg("--listen").arg(format!("127.0.0.1:{}", place.port));
    for setting in SETTINGS {
        command.arg("--set").arg(setting);
    }
    if !place.database_url.is_empty() {
        command.env("HUBBUB_DATABASE__URL", &place.database_url);
    }
    if let Some(faults) = faults {
        command.env("HUBBUB_FAULTS", faults);
    }
    Ok(command.stdin(Stdio::null()).stdout(out).stderr(log).spawn()?)
}

/// A port that is free now, below the range the system gives to outgoing connections: else a bot that reconnects could meet itself.
pub fn free_port() -> Result<u16, Failed> {
    for _ in 0..100 {
        let port = rand::random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port".into())
}

/// `hubbub verify`, while the server does not run: what it said if it found damage.
pub fn verify(place: &Place) -> Result<Option<String>, Failed> {
    let mut command = Command::new(&place.binary);
    command.arg("verify").arg("--data").arg(&place.data);
    if !place.database_url.is_empty() {
        command.env("HUBBUB_DATABASE__URL", &place.database_url);
    }
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(None);
    }
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().replace('\n', " | "));
    Ok(Some(format!("hubbub verify: {} {}", output.status, said.join(" "))))
}
