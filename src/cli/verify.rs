//! `hubbub verify`: does what is stored keep its promises?

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::stored::{block_on, failed, open_or, tell};
use super::{Exit, Failure};
use crate::config::{Config, parse_duration};
use crate::domain::time::{Clock, Timestamp};
use crate::store::verify::{Breach, Report, VerifyError};
use crate::store::{OpenError, StoreError};

/// Check that what is stored keeps its promises. Exit code 5 if it does not.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Check only rooms changed in this time, such as 7d. Default: all.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    let since = args.since.map(|since| before(Clock::system().now(), since));
    let report = block_on(async {
        let store = open_or(config, Exit::Damaged).await?;
        store.verify(since, &(Arc::new(tell) as _)).await.map_err(|error| match error {
            VerifyError::Open(OpenError::Damaged(_)) | VerifyError::Store(StoreError::Corrupt(_)) => {
                Failure::new(Exit::Damaged, error)
            }
            _ => failed(error),
        })
    })?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report).map_err(failed)?)?;
    } else {
        print(&report, out)?;
    }
    match report.breaches.len() {
        0 => Ok(()),
        found => Err(Failure::new(Exit::Damaged, format_args!("what is stored is damaged: {found} breaches"))),
    }
}

fn before(now: Timestamp, since: Duration) -> Timestamp {
    let span = chrono::Duration::from_std(since).unwrap_or(chrono::Duration::MAX);
    now.checked_sub_signed(span).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn print(report: &Report, out: &mut dyn Write) -> Result<(), Failure> {
    for Breach { rule, meaning, room, user, number, detail } in &report.breaches {
        write!(out, "{rule}:")?;
        if let Some(room) = room {
            write!(out, " room {room}")?;
        }
        if let Some(user) = user {
            write!(out, " user {user}")?;
        }
        if let Some(number) = number {
            write!(out, " number {number}")?;
        }
        writeln!(out, ": {meaning}{}", detail.as_ref().map_or(String::new(), |detail| format!(": {detail}")))?;
    }
    writeln!(
        out,
        "Checked {} rules on {} rooms ({} messages stored): {} breaches.",
        report.rules,
        report.rooms,
        report.messages,
        report.breaches.len()
    )?;
    Ok(())
}
