//! What a server does with its files and sockets, call by call, as `strace` sees it from outside: the one way to see a sync that is not made by
//! the code under test. (A shim under SQLite would be `unsafe`; the kernel counts no syncs per process; a crash of the machine cannot be had.)

use super::command::CommandLine;
use super::person::Person;
use super::{eventually, within};
use serde_json::json;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A call that has returned. Lines of the trace count as time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    thread: String,
    pub name: String,
    /// Its arguments, the file or socket first, and what it returned.
    pub text: String,
    pub begin: usize,
    pub end: usize,
}

impl Call {
    /// Into SQLite's log.
    fn writes_log(&self) -> bool {
        self.name.starts_with("pwrite") && self.text.contains("-wal>")
    }

    /// SQLite's log reaches the disk.
    fn syncs_log(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.text.contains("-wal>") && self.text.ends_with("= 0")
    }

    fn says(&self) -> bool {
        matches!(self.name.as_str(), "write" | "writev" | "sendto" | "sendmsg") && self.text.contains("<socket:")
    }
}

/// Puts the lines together: a call that did not return at once has two.
pub fn calls(trace: &str) -> Vec<Call> {
    let (mut calls, mut begun) = (Vec::new(), HashMap::new());
    for (at, line) in trace.lines().enumerate() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(first) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, (at, first));
            continue;
        }
        let (begin, whole) = match call.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, rest)) => match begun.remove(thread) {
                Some((begin, first)) => (begin, format!("{first}{rest}")),
                None => continue,
            },
            None => (at, call.to_owned()),
        };
        if let Some((name, text)) = whole.split_once('(') {
            calls.push(Call { thread: thread.into(), name: name.into(), text: text.trim_end().into(), begin, end: at });
        }
    }
    calls
}

/// Whether a post with this text and number was in the log, and the log on the disk, before the first word of it went into any socket (I2).
pub fn synced(calls: &[Call], text: &str, seq: u64) -> Result<(), String> {
    let answer = format!(r#"\"seq\":{seq},"#);
    let written = calls.iter().find(|call| call.writes_log() && call.text.contains(text));
    let written = written.ok_or_else(|| format!("{text} was never written to the log"))?;
    let said = calls.iter().filter(|call| call.says() && (call.text.contains(text) || call.text.contains(&answer)));
    let said = said.min_by_key(|call| call.begin).ok_or_else(|| format!("{text} was never told to anybody"))?;
    let sync = calls.iter().find(|call| call.syncs_log() && call.thread == written.thread && call.begin > written.end);
    match sync {
        Some(sync) if sync.end < said.begin => Ok(()),
        Some(sync) => Err(format!("{text}: told at {}, synced from {} to {} only", said.begin, sync.begin, sync.end)),
        None => Err(format!("{text}: told at {} and never synced", said.begin)),
    }
}

/// Posts over REST and over a socket, read by somebody else; what was told before it was synced. A fault is armed when people begin to talk.
pub async fn unsynced(fault: Option<&str>) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Traced::serve(folder.path()).await;
    let ann = Person::register_at(&server.base, "ann").await;
    let bob = Person::register_at(&server.base, "bob").await;
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    let mut reader = ann.connect().await;
    reader.subscribe(&room).await;
    let mut socket = bob.connect().await;
    socket.subscribe(&room).await;
    if let Some(name) = fault {
        CommandLine::new(&folder.path().join("data"), "").run(&["user", "promote", "ann"]).await.done();
        // The server hears of her new rights a little later.
        let (ann, armed) = (&ann, json!({"name": name, "times": u64::MAX}));
        let arm = || async { ann.post("admin/faults", armed.clone()).await.status.is_success().then_some(()) };
        eventually("the fault to be armed", arm).await;
    }
    let mut posts = Vec::new();
    for n in 0..6 {
        let text = format!("word-{n}-of-bob");
        let answer = if n % 2 == 0 { bob.say(&room, &text).await } else { socket.say(&room, &text).await["ok"].clone() };
        posts.push((text, answer["seq"].as_u64().expect("a seq")));
    }
    let calls = server.calls();
    assert!(calls.iter().any(Call::writes_log), "the trace shows no write to the log: it shows nothing");
    posts.iter().filter_map(|(text, seq)| synced(&calls, text, *seq).err()).collect()
}

/// A server under `strace`; both are killed when this is dropped.
struct Traced {
    base: String,
    strace: Child,
    file: PathBuf,
}

impl Traced {
    /// Starts `hubbub serve` with a data folder of its own in `folder`.
    async fn serve(folder: &Path) -> Self {
        let file = folder.join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "--string-limit=8192", "-e", "signal=none", "-e"]);
        command.arg("trace=pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,fdatasync,fsync");
        command.arg("-o").arg(&file).arg(env!("CARGO_BIN_EXE_hubbub"));
        command.arg("serve").arg("--data").arg(folder.join("data")).args(["--listen", "127.0.0.1:0"]);
        command.args(["--set", "accounts.bcrypt_cost=4"]).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let out = folder.join("out");
        let said = std::fs::File::create(&out).expect("a file");
        let strace = command.stdin(Stdio::null()).stdout(said).stderr(Stdio::null()).spawn().unwrap_or_else(|error| {
            panic!("strace is needed to see the sync before the reply: apt-get install strace, or scripts/test as root ({error})")
        });
        let mut traced = Self { base: String::new(), strace, file };
        traced.base = within("the server under strace", async {
            loop {
                let said = std::fs::read_to_string(&out).expect("its output");
                if let Some(base) = said.lines().find_map(|line| line.strip_prefix("Hubbub runs at ")) {
                    return base.to_owned();
                }
                if let Some(status) = traced.strace.try_wait().expect("a child") {
                    panic!("the server under strace ended, {status}; is ptrace forbidden here? strace -f true tells");
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        traced
    }

    /// Ends it; what it did.
    fn calls(mut self) -> Vec<Call> {
        self.end();
        calls(&String::from_utf8_lossy(&std::fs::read(&self.file).expect("a trace")))
    }

    /// The first line is of the server's first thread. When that is gone, `strace` ends by itself, with everything written.
    fn end(&mut self) {
        let trace = std::fs::read(&self.file).unwrap_or_default();
        let first = trace.split(|byte| *byte == b' ').next().and_then(|pid| std::str::from_utf8(pid).ok());
        if let (Some(pid), Ok(None)) = (first.filter(|pid| pid.parse::<u32>().is_ok()), self.strace.try_wait()) {
            drop(Command::new("kill").args(["-KILL", pid]).stderr(Stdio::null()).status());
            drop(self.strace.wait());
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.end();
        // Where there was no trace to read the server's number from.
        drop(self.strace.kill());
        drop(self.strace.wait());
    }
}
