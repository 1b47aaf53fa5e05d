//! The real binary, as an operator runs it.

use super::server::Server;
use super::{eventually, within};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

/// `hubbub` with a data folder and a database.
#[derive(Clone, Debug)]
pub struct CommandLine {
    folder: PathBuf,
    url: String,
    environment: Vec<(String, String)>,
    /// What a shell does before it becomes `hubbub`.
    first: Option<String>,
}

/// What a command came to.
#[derive(Debug)]
pub struct Told {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Told {
    /// Standard output of a success.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.exit, 0, "{self:?}");
        self.out
    }

    /// Standard error of a failure with this exit code, which ends with one line for people.
    #[track_caller]
    pub fn failed(self, exit: i32) -> String {
        assert_eq!(self.exit, exit, "{self:?}");
        assert!(self.err.lines().any(|line| line.starts_with("hubbub: ") || line.starts_with("error: ")), "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self.err
    }

    /// The object that was printed, whatever the exit code.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl CommandLine {
    /// Beside or instead of a server of this process, on its data.
    pub fn of(server: &Server) -> Self {
        Self::new(server.folder.path(), &server.database.url())
    }

    pub fn new(folder: &Path, url: &str) -> Self {
        Self { folder: folder.to_owned(), url: url.to_owned(), environment: Vec::new(), first: None }
    }

    /// With an environment variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a hard limit of open files.
    pub fn with_files(mut self, files_max: usize) -> Self {
        self.first = Some(format!("ulimit -n {files_max}"));
        self
    }

    /// For a server whose files will be limited in length: it is told by an error, not by a signal that ends it.
    pub fn with_writes_that_fail(mut self) -> Self {
        self.first = Some("trap '' XFSZ".to_owned());
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_hubbub");
        let mut command = Command::new(if self.first.is_some() { "sh" } else { program });
        if let Some(first) = &self.first {
            command.args(["-c", &format!("{first} && exec \"$0\" \"$@\""), program]);
        }
        command.args(arguments).arg("--data").arg(&self.folder);
        command.args(["--set", "accounts.bcrypt_cost=4"]);
        if !self.url.is_empty() {
            command.args(["--set", &format!("database.url={}", self.url)]);
        }
        // Nothing of the environment of the tests is a setting.
        command.env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Told {
        self.run_with(arguments, "").await
    }

    /// The same with something on its standard input.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Told {
        let (mut command, input) = (self.command(arguments), input.to_owned());
        let running = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().expect("hubbub starts");
            // A command that does not read has closed it.
            drop(child.stdin.take().expect("its input").write_all(input.as_bytes()));
            child.wait_with_output().expect("it ends")
        });
        let Output { status, stdout, stderr } = within("the end of a command", running).await.expect("no panic");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Told { exit: status.code().expect("it ends by itself"), out: text(stdout), err: text(stderr) }
    }

    /// Starts the server on a free port, and waits until it says where it runs.
    pub async fn serve(&self, arguments: &[&str]) -> Serving {
        let quick = ["serve", "--listen", "127.0.0.1:0", "--set", "server.drain_delay=0s", "--set", "server.drain_spread=0s"];
        let mut command = self.command(&[&quick[..], arguments].concat());
        let log = NamedTempFile::new().expect("a file for the log");
        let mut child = command.stderr(log.reopen().expect("the file")).spawn().expect("hubbub starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (tell, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let mut serving = Serving { base: String::new(), child, lines, said: Vec::new(), log };
        let said = serving.says("Hubbub runs at ").await;
        let url = said.lines().find_map(|line| line.strip_prefix("Hubbub runs at "));
        url.expect("its address").clone_into(&mut serving.base);
        serving
    }
}

/// A server in a process of its own; killed when dropped.
pub struct Serving {
    pub base: String,
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    said: Vec<String>,
    log: NamedTempFile,
}

impl Serving {
    /// Everything it says up to a line that holds this.
    pub async fn says(&mut self, part: &str) -> String {
        while !self.said.iter().any(|line| line.contains(part)) {
            let line = within("a line of the server", self.lines.recv()).await;
            self.said.push(line.unwrap_or_else(|| panic!("it never said {part:?}: {:?}", self.said)));
        }
        self.said.join("\n")
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("the log")
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// How many files it has open.
    pub fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("its files").count()
    }

    /// How many connections it has accepted and not closed.
    pub fn connections(&self) -> usize {
        let (_, port) = self.address().rsplit_once(':').expect("a port");
        let local = format!("0100007F:{:04X}", port.parse::<u16>().expect("a port"));
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the system's connections");
        let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        // State 0A is the listener; what is in no process, as it waits or is over, has inode 0.
        rows.filter(|row| row[1] == local && row[3] != "0A" && row[9] != "0").count()
    }

    /// Asks it to stop, as a service manager does; its exit code, and everything it said.
    pub async fn terminate(mut self) -> (i32, String) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        let child = std::cell::RefCell::new(&mut self.child);
        let ended = eventually("the end of the server", || async { child.borrow_mut().try_wait().expect("a child") }).await;
        while let Some(line) = self.lines.recv().await {
            self.said.push(line);
        }
        (ended.code().expect("not by the signal"), std::mem::take(&mut self.said).join("\n"))
    }

    /// From now on none of its files grows beyond this, as on a disk that is full; `None`: the disk has room again.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let pid = i32::try_from(self.child.id()).expect("a process number");
        let limits = (bytes.unwrap_or(rlimit::INFINITY), rlimit::INFINITY);
        rlimit::prlimit(pid, rlimit::Resource::FSIZE, Some(limits), None).expect("a limit");
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.kill();
    }
}
