//! The swarm against the real server: it passes a server that keeps its promises, kills and all, and its verdict falls for each promise that
//! the server is made to break (the fault points of docs/ARCHITECTURE.md). The breaches of `src/loopback` are the swarm's own; these are the server's.
//!
//! The people are made by a first life of the server without faults, so that what is armed strikes nothing but their talk.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a missing thing is a failure")]

mod database;
mod server;
#[path = "../../src/drill/settings.rs"]
mod settings;
#[allow(dead_code, reason = "the swarm is tested on both databases: nothing is left out")]
#[path = "../../../tests/it/support/test_database.rs"]
mod test_database;

use serde_json::Value;
use server::Server;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Three rooms of three; one of each talks, so that posts of one sender queue up and share transactions.
const CAST: [&str; 4] = ["--bots", "9", "--room-size", "3"];
const TALK: [&str; 8] = ["--warm-up", "0s", "--duration", "3s", "--settle", "10s", "--later", "200ms"];
/// A post every five milliseconds, a third of them in each room.
const STEADILY: &[&str] = &["--rate", "200", "--senders", "1"];
/// So that several posts of one sender wait at any time, however quick the server is.
const IN_HEAPS: &[&str] = &["--closed-loop", "--outstanding", "8", "--senders", "1"];
/// All that belongs to a conversation, of everybody.
const IN_CONVERSATION: &[&str] = &["--mix", "talk", "--rate", "400"];
/// For everything: a debug build on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// What a run said.
struct Said {
    exit: i32,
    report: Value,
    text: String,
}

impl Said {
    fn found(&self, breach: &str) -> u64 {
        self.report.pointer(&format!("/verdict/findings/counts/{breach}")).and_then(Value::as_u64).unwrap_or(0)
    }

    /// The verdict falls, and for the right reason.
    #[track_caller]
    fn is_broken_by(&self, breach: &str) {
        assert!(self.found(breach) > 0, "{breach} went unseen: {}", self.text);
        assert_eq!(self.exit, 1, "{}", self.text);
    }

    /// Everything was said and done, and nothing is wrong with it.
    #[track_caller]
    fn conversed(&self) {
        assert_eq!(self.exit, 0, "{}", self.text);
        let number = |name: &str| self.report["verdict"][name].as_u64().unwrap();
        assert!(number("acknowledged") > 300 && number("deeds_acknowledged") > 100, "hardly anything was done: {}", self.text);
        assert_eq!(self.report["settled"], true, "{}", self.text);
    }

    #[track_caller]
    fn holds(&self) {
        assert_eq!(self.exit, 0, "{}", self.text);
        let acknowledged = self.report["verdict"]["acknowledged"].as_u64().unwrap();
        assert!(acknowledged > 300, "hardly anything was said: {}", self.text);
        assert_eq!(self.report["verdict"]["stored"], acknowledged, "{}", self.text);
        assert_eq!(self.report["settled"], true, "{}", self.text);
    }
}

/// `hubbub-swarm` under way; killed when dropped.
struct Swarm {
    child: Child,
    folder: std::path::PathBuf,
}

fn tool() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubbub-swarm"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Swarm {
    /// Makes the people, without faults; then the server begins anew with these.
    fn meets(faults: &str, pace: &[&str]) -> (Server, Self) {
        let mut server = Server::start();
        let folder = server.folder().to_owned();
        let made = tool().args(["setup", "--url", &server.url(), "--cast"]).arg(folder.join("cast.json")).args(CAST).status();
        assert!(made.unwrap().success(), "the people could not be made: {}", server.log());
        server.begin_anew(faults);
        let swarm = Self::talk(&server, &folder, pace);
        (server, swarm)
    }

    fn talk(server: &Server, folder: &Path, pace: &[&str]) -> Self {
        let mut command = tool();
        command.args(["run", "--url", &server.url()]).args(CAST).args(TALK).args(pace);
        command.arg("--cast").arg(folder.join("cast.json")).arg("--json").arg(folder.join("report.json"));
        let [out, err] = ["swarm.out", "swarm.err"].map(|name| std::fs::File::create(folder.join(name)).unwrap());
        let child = command.stdout(out).stderr(err).spawn().unwrap();
        Self { child, folder: folder.to_owned() }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// Waits until posts are acknowledged.
    fn talks(&mut self) {
        let begun = Instant::now();
        while !self.read("swarm.err").lines().any(|line| line.contains("acked") && !line.contains("acked 0/s")) {
            assert!(begun.elapsed() < DEADLINE && self.child.try_wait().unwrap().is_none(), "{}", self.read("swarm.err"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its verdict.
    fn says(mut self) -> Said {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < DEADLINE, "the swarm does not end: {}", self.read("swarm.err"));
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = format!("{}{}", self.read("swarm.err"), self.read("swarm.out"));
        let report = serde_json::from_str(&self.read("report.json")).unwrap_or(Value::Null);
        Said { exit: status.code().unwrap(), report, text }
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn verdict(faults: &str) -> Said {
    verdict_of(STEADILY, faults)
}

fn verdict_of(pace: &[&str], faults: &str) -> Said {
    let (_server, swarm) = Swarm::meets(faults, pace);
    swarm.says()
}

/// The same with `kill -9` of the server in the midst of it.
fn verdict_through_a_kill(pace: &[&str], faults: &str) -> Said {
    let (mut server, mut swarm) = Swarm::meets(faults, pace);
    swarm.talks();
    server.kill();
    server.begin_anew(faults);
    swarm.says()
}

#[test]
fn a_server_that_keeps_its_promises_passes() {
    verdict("").holds();
}

#[test]
fn a_server_that_is_killed_and_keeps_its_promises_passes() {
    let said = verdict_through_a_kill(STEADILY, "");
    said.holds();
    assert!(said.report["reconnects"].as_u64().unwrap() > 0, "nobody noticed the kill: {}", said.text);
}

#[test]
fn an_acknowledgement_before_the_commit_is_noticed_after_a_kill() {
    verdict_through_a_kill(STEADILY, "persistence.ack_before_commit").is_broken_by("lost");
}

#[test]
fn two_posts_of_a_sender_that_change_places_are_noticed() {
    verdict_of(IN_HEAPS, "room.swap_pair:3").is_broken_by("reordered");
}

#[test]
fn a_repeat_that_is_not_recognised_is_noticed() {
    // Commits whose answer is lost on the way back are run again: that is where the repeat is to be found.
    verdict("store.forget_repeat,persistence.after_commit:3").is_broken_by("duplicated");
}

#[test]
fn a_lost_answer_to_a_commit_alone_is_no_breach() {
    verdict("persistence.after_commit:3").holds();
}

#[test]
fn an_event_without_its_rows_is_noticed() {
    verdict("room.drop_fanout:3").is_broken_by("lost");
}

#[test]
fn a_number_that_is_skipped_is_noticed() {
    verdict("store.burn_number:3").is_broken_by("gap");
}

#[test]
fn a_conversation_with_a_server_that_keeps_its_promises_passes() {
    verdict_of(IN_CONVERSATION, "").conversed();
}

#[test]
fn a_conversation_through_a_kill_passes() {
    let said = verdict_through_a_kill(IN_CONVERSATION, "");
    said.conversed();
    assert!(said.report["reconnects"].as_u64().unwrap() > 0, "nobody noticed the kill: {}", said.text);
}

#[test]
fn a_conversation_with_a_server_that_shows_the_blocked_is_noticed() {
    verdict_of(IN_CONVERSATION, "policy.show_hidden").is_broken_by("shown");
}

#[test]
fn a_conversation_with_a_server_that_acknowledges_too_early_is_noticed_after_a_kill() {
    let said = verdict_through_a_kill(IN_CONVERSATION, "persistence.ack_before_commit");
    assert_eq!(said.exit, 1, "{}", said.text);
}

#[test]
fn a_conversation_with_events_without_their_rows_is_noticed() {
    let said = verdict_of(IN_CONVERSATION, "room.drop_fanout:3");
    assert_eq!(said.exit, 1, "{}", said.text);
}
