//! What a process has used, from `/proc` (proc(5)).

use serde::Serialize;
use std::fs;
use std::time::Duration;

/// Clock ticks per second in `/proc/PID/stat`: 100 on every Linux that is not specially built.
const TICKS: u64 = 100;

/// A process's use of the machine up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Processor time of all its threads, user and system.
    pub cpu: Duration,
    /// Resident memory.
    pub resident_kib: u64,
    /// The most resident memory it ever had.
    pub peak_kib: u64,
}

impl Usage {
    /// Of process `pid`; `None` when there is none, or it may not be looked at.
    pub fn of(pid: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Self { cpu: cpu(&stat)?, resident_kib: kib(&status, "VmRSS:")?, peak_kib: kib(&status, "VmHWM:")? })
    }
}

/// `utime + stime`: fields 14 and 15, counted behind the name, which may itself contain spaces and brackets.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS))
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "1 (a) b (c)) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 1 0 5 6 7";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn this_process_has_memory() {
        let usage = Usage::of("self").unwrap();
        assert!(usage.resident_kib > 0 && usage.peak_kib >= usage.resident_kib);
    }
}
