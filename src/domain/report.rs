//! What people report to moderators.

use super::fault::Fault;
use super::ids::{ReportId, RoomId, UserId};
use super::order::Seq;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportReason {
    /// Advertising, or the same again and again.
    Spam,
    /// Insults, threats, harassment.
    Abuse,
    /// Against the law.
    Illegal,
    /// Something else, which the text says.
    Other,
    /// A filter matched; only the server says so.
    Filter,
    /// The filter hook asked for it; only the server says so.
    Hook,
}

impl ReportReason {
    /// May a person give it?
    #[must_use]
    pub const fn is_for_people(self) -> bool {
        matches!(self, Self::Spam | Self::Abuse | Self::Illegal | Self::Other)
    }
}

/// Why the server itself reports a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// Filter or hook.
    pub reason: ReportReason,
    /// Which pattern, or what the hook says.
    pub text: Option<String>,
}

/// Whether a text may be stored, and why it is to be reported with that.
pub type Judged = (Result<(), Fault>, Option<Suspicion>);

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportState {
    /// Nothing yet.
    Open,
    /// Something was done.
    Resolved,
    /// There was nothing to be done.
    Dismissed,
}

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportTarget {
    /// A message.
    Message {
        /// In which room.
        room: RoomId,
        /// Which.
        seq: Seq,
    },
    /// A person.
    Person(UserId),
}

/// A message as it was when it was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Its number.
    pub seq: Seq,
    /// Who said it.
    pub author: UserId,
    /// What.
    pub text: String,
    /// When.
    pub created_at: Timestamp,
}

/// A report as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which.
    pub id: ReportId,
    /// What became of it.
    pub state: ReportState,
    /// Who reported; `None`: the server itself.
    pub reporter: Option<UserId>,
    /// What.
    pub target: ReportTarget,
    /// Who is reported: the person, or the message's author.
    pub subject: UserId,
    /// What is wrong.
    pub reason: ReportReason,
    /// The reporter's words.
    pub text: Option<String>,
    /// The message and those around it, as the reporter saw them; empty for a person.
    pub context: Vec<Quoted>,
    /// When it was reported.
    pub created_at: Timestamp,
    /// When its state was set last.
    pub handled_at: Option<Timestamp>,
    /// By whom.
    pub handled_by: Option<UserId>,
    /// What they noted.
    pub note: Option<String>,
}

impl Report {
    /// The room of the message that is reported.
    #[must_use]
    pub const fn room(&self) -> Option<RoomId> {
        match self.target {
            ReportTarget::Message { room, .. } => Some(room),
            ReportTarget::Person(_) => None,
        }
    }
}

/// Words to moderators, or of a moderator about a report: lines of text, at most [`ReportText::MAX_CHARS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportText(String);

impl ReportText {
    /// The longest, in characters.
    pub const MAX_CHARS: usize = 1_000;

    /// Trims, normalises to NFC and checks the length.
    ///
    /// # Errors
    /// [`Fault::TextTooLong`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
        let text: String = text.trim().nfc().filter(kept).collect();
        if text.chars().count() > Self::MAX_CHARS { Err(Fault::TextTooLong) } else { Ok(Self(text)) }
    }

    /// The text; `None` if nothing is said.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_lines_and_has_a_length() {
        assert_eq!(ReportText::parse(" one\ntwo\u{7} ").unwrap().said(), Some("one\ntwo"));
        assert_eq!(ReportText::parse(" \n").unwrap().said(), None);
        assert_eq!(ReportText::parse(&"x".repeat(ReportText::MAX_CHARS + 1)), Err(Fault::TextTooLong));
    }
}
