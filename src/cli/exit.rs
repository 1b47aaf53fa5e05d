//! Exit codes, which scripts and service managers act on: closed list, documented in `--help` and `docs/OPERATIONS.md`.

use std::{fmt, process::ExitCode};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Done = 0,
    /// It failed; standard error says why.
    Failed = 1,
    /// The arguments are wrong. clap ends the process with it.
    Usage = 2,
    /// The settings are refused, or the secrets cannot be read.
    Settings = 3,
    /// `healthcheck`: the server is not ready or does not answer.
    Unready = 4,
    /// `verify`: what is stored breaks a promise.
    Damaged = 5,
    /// `serve`: a part failed more often than it may; the host should start the server again.
    GaveUp = 6,
    /// `serve`: asked to stop, but something had to be cut off at the end of its time.
    CutOff = 7,
}

/// The end of `hubbub --help`.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  failed, standard error says why
  2  wrong arguments
  3  settings refused, or secrets unreadable
  4  healthcheck: not ready, or no answer
  5  verify: what is stored is damaged
  6  serve: a part failed too often; start the server again
  7  serve: stopped, but something was cut off at the end of the drain";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    message: String,
}

impl Failure {
    /// A failure that ends the process with `exit` after `message` is written to standard error.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<std::io::Error> for Failure {
    /// For writing to standard output.
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failed, format_args!("cannot write the output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_manual_list_every_exit_code() {
        let manual = include_str!("../../docs/OPERATIONS.md");
        let all =
            [Exit::Done, Exit::Failed, Exit::Usage, Exit::Settings, Exit::Unready, Exit::Damaged, Exit::GaveUp, Exit::CutOff];
        for (number, exit) in all.into_iter().enumerate() {
            assert_eq!(exit as usize, number);
            assert!(HELP.contains(&format!("\n  {number}  ")), "{exit:?}");
            assert!(manual.contains(&format!("\n| {number} | ")), "{exit:?}");
        }
    }
}
