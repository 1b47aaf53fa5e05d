//! What a drill found, as a row of the table.

use crate::host;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub drill: String,
    pub database: &'static str,
    /// What was done to the server, counted.
    pub done: String,
    pub acknowledged: u64,
    /// Lost, duplicated, reordered, ghosts, gaps, disagreed.
    pub findings: [u64; 6],
    /// Undone, differs, miscounted, shown, overheard; where people do more than post.
    pub conversation: Option<[u64; 5]>,
    /// From each injection (or, for outages, from their end) to the next accepted post.
    pub recoveries: Vec<Duration>,
    /// From each panic until the actor runs again.
    pub backs: Vec<Duration>,
    /// Longest and median, in ms, from a socket's close to its person's next welcome, where sockets close with the part that panics.
    pub welcome_again: Option<(f64, f64)>,
    /// p50 and p99 of post to delivery, in ms.
    pub delivered: Option<(f64, f64)>,
    pub reconnects: u64,
    pub peak_kib: u64,
    pub took: Duration,
    /// Other things worth knowing.
    pub notes: Vec<String>,
    /// Promises that broke; none is what we want.
    pub broken: Vec<String>,
    /// Those that say how long something takes at most.
    pub late: Vec<String>,
    /// Share of the processor time that the host gave to others, from 0 to 1.
    pub stolen: f64,
}

/// The kinds of findings in the order of the table, as the swarm names them.
pub const FINDINGS: [&str; 6] = ["lost", "duplicated", "reordered", "ghost", "gap", "disagreed"];
pub const CONVERSATION: [&str; 5] = ["undone", "differs", "miscounted", "shown", "overheard"];

impl Outcome {
    /// A promise that must hold.
    pub fn must(&mut self, holds: bool, promise: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(promise());
        }
    }

    /// A promise of how long something takes at most.
    pub fn must_in_time(&mut self, holds: bool, promise: impl FnOnce() -> String) {
        if !holds {
            self.late.push(promise());
        }
    }

    pub fn held(&self) -> bool {
        self.broken.is_empty() && self.late.is_empty()
    }

    /// What broke, in words.
    pub fn breaches(&self) -> String {
        [&self.broken[..], &self.late[..]].concat().join("; ")
    }

    /// Whether nothing but its times speaks against it, and those are the host's: to be played again.
    pub fn tells_nothing(&self, is_baseline: bool) -> bool {
        host::is_much(self.stolen) && self.broken.is_empty() && (is_baseline || !self.late.is_empty())
    }
}

/// The table in Markdown: readable on a terminal, too.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| Drill | Database | Result | What happened | Acknowledged | l/d/r/g/g/d | u/d/m/s/o | Recovery, longest (median) | Delivered p50 / p99 | Reconnects | Memory at most | Stolen | Took |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        let findings = outcome.findings.map(|count| count.to_string()).join("/");
        let more = outcome.conversation.map_or_else(|| "–".into(), |counts| counts.map(|count| count.to_string()).join("/"));
        let delivered = outcome.delivered.map_or_else(|| "–".into(), |(p50, p99)| format!("{p50:.0} / {p99:.0} ms"));
        text += &format!(
            "| {} | {} | {} | {} | {} | {findings} | {more} | {} | {delivered} | {} | {} MiB | {:.0} % | {:.0} s |\n",
            outcome.drill,
            outcome.database,
            if outcome.held() { "held" } else { "**BROKEN**" },
            [std::slice::from_ref(&outcome.done), &outcome.notes].concat().join("; "),
            outcome.acknowledged,
            recovery(outcome),
            outcome.reconnects,
            outcome.peak_kib / 1024,
            outcome.stolen * 100.0,
            outcome.took.as_secs_f64(),
        );
    }
    let broken: Vec<_> = outcomes.iter().filter(|outcome| !outcome.held()).collect();
    if !broken.is_empty() {
        text += "\nBroken:\n\n";
        for outcome in broken {
            text += &format!("- {} on {}: {}\n", outcome.drill, outcome.database, outcome.breaches());
        }
    }
    text
}

/// Of what there is: the witness's next accepted post, the part itself, its sockets.
fn recovery(outcome: &Outcome) -> String {
    let told = |what: &str, (longest, median): (f64, f64)| format!("{what} {longest:.0} ({median:.0}) ms");
    let all = [
        spread(&outcome.recoveries).map(|times| told("post", times)),
        spread(&outcome.backs).map(|times| told("part", times)),
        outcome.welcome_again.map(|times| told("sockets", times)),
    ];
    let all: Vec<_> = all.into_iter().flatten().collect();
    if all.is_empty() { "–".into() } else { all.join(", ") }
}

/// Longest and median, in ms.
fn spread(times: &[Duration]) -> Option<(f64, f64)> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let ms = |time: &Duration| time.as_secs_f64() * 1000.0;
    Some((ms(sorted.last()?), ms(sorted.get(sorted.len() / 2)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_is_told_in_the_row_and_below() {
        let mut outcome = Outcome { drill: "kill".into(), database: "SQLite", ..Outcome::default() };
        outcome.must(true, || "never".into());
        assert!(table(std::slice::from_ref(&outcome)).contains("| held |"));
        outcome.must(false, || "one post lost".into());
        let text = table(&[outcome]);
        assert!(text.contains("**BROKEN**") && text.contains("kill on SQLite: one post lost") && !text.contains("never"));
    }

    #[test]
    fn only_times_of_the_host_are_no_verdict() {
        let late = |stolen| Outcome { late: vec!["a post took 2 s".into()], stolen, ..Outcome::default() };
        assert!(late(0.2).tells_nothing(false));
        assert!(!late(0.0).tells_nothing(false), "the server was late");
        let lost = Outcome { broken: vec!["one post lost".into()], ..late(0.2) };
        assert!(!lost.tells_nothing(false) && !lost.tells_nothing(true), "no host loses a post");
        let held = Outcome { stolen: 0.2, ..Outcome::default() };
        assert!(!held.tells_nothing(false), "it held in spite of it");
        assert!(held.tells_nothing(true), "what others are compared with must not be slow");
        assert!(!late(0.2).held() && table(&[late(0.2)]).contains("**BROKEN**") && table(&[late(0.2)]).contains("| 20 % |"));
    }

    #[test]
    fn recovery_tells_longest_and_median_of_post_part_and_sockets() {
        let ms = |times: [u64; 3]| times.map(Duration::from_millis).to_vec();
        let mut outcome = Outcome::default();
        assert_eq!(recovery(&outcome), "–");
        outcome.recoveries = ms([3, 1, 2]);
        assert_eq!(recovery(&outcome), "post 3 (2) ms");
        outcome.backs = ms([30, 10, 20]);
        outcome.welcome_again = Some((400.0, 50.0));
        assert_eq!(recovery(&outcome), "post 3 (2) ms, part 30 (20) ms, sockets 400 (50) ms");
    }
}
