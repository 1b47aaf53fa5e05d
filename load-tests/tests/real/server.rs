//! A real `hubbub serve` in a process of its own, built with faults, that can be killed and begin anew on the same data and port.

use super::DEADLINE;
use super::database::Database;
use super::settings::SETTINGS;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// See the module. Dropped, it is killed, and its folder and database go.
pub struct Server {
    folder: tempfile::TempDir,
    database: Database,
    port: u16,
    child: Child,
}

impl Server {
    /// Starts one on a free port, without any fault armed.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create();
        let port = free_port();
        let child = spawn(folder.path(), &database, port, "");
        let mut server = Self { folder, database, port, child };
        server.serves();
        server.has_faults();
        server
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder().join("server.err")).unwrap_or_default()
    }

    /// Power off, as far as a process can feel it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it, and starts it again with these faults armed.
    pub fn begin_anew(&mut self, faults: &str) {
        self.kill();
        self.child = spawn(self.folder.path(), &self.database, self.port, faults);
        self.serves();
    }

    fn serves(&mut self) {
        let begun = Instant::now();
        while !fs::read_to_string(self.folder().join("server.out")).unwrap_or_default().contains("Hubbub runs at") {
            let waits = self.child.try_wait().unwrap().is_none() && begun.elapsed() < DEADLINE;
            assert!(waits, "the server does not come up: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Only a build with faults has the place where they are armed; a stranger is then unknown, not lost.
    fn has_faults(&self) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = "POST /api/v1/admin/faults HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 401"),
            "{} was built without faults, so no breach can be shown; build it with `cargo build --workspace --bins --features \
             hubbub/faults`, as scripts/test does. It answered: {answer}",
            binary().display()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The server lies beside the swarm: both are built into the folder of the workspace.
fn binary() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_hubbub-swarm")).with_file_name("hubbub");
    assert!(
        path.is_file(),
        "{} is missing: the swarm is tested against the real server. Build it with `cargo build --workspace --bins --features \
         hubbub/faults`, or test the whole workspace, as scripts/test does.",
        path.display()
    );
    path
}

fn spawn(folder: &Path, database: &Database, port: u16, faults: &str) -> Child {
    // The output names the moment it serves, so it is made anew; the log is kept over all lives.
    let out = File::create(folder.join("server.out")).unwrap();
    let log = OpenOptions::new().create(true).append(true).open(folder.join("server.err")).unwrap();
    let mut command = Command::new(binary());
    command.arg("serve").arg("--data").arg(folder.join("data")).arg("--listen").arg(format!("127.0.0.1:{port}"));
    command.args(["--set", "database.allow_weak_durability=true"]);
    for setting in SETTINGS {
        command.args(["--set", setting]);
    }
    // Nothing of the environment of the tests is a setting.
    command.env_clear().env("HUBBUB_FAULTS", faults);
    if let Some(url) = database.url() {
        command.env("HUBBUB_DATABASE__URL", url);
    }
    command.stdin(Stdio::null()).stdout(out).stderr(log).spawn().unwrap()
}

/// A port that is free now, below the range the system gives to outgoing connections: else a bot that comes back while the server is away
/// could meet itself.
fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| rand::random_range(20_000..32_000_u16));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
