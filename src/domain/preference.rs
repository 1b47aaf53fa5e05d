//! What people prefer: of whom they take direct messages, when and of what they want to be told.
//!
//! Must not know: who is told of what in the end; that weighs these with much else.

use chrono::SubsecRound;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::fault::Fault;
use super::ids::RoomId;
use super::order::{Revision, Seq};
use super::text::fold_case;
use super::time::Timestamp;

/// Who may write to somebody with whom they have no direct room yet, or put them into a new group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectRule {
    /// Everybody.
    #[default]
    Everyone,
    /// Who has joined a room that the person has joined too.
    SharedRooms,
    /// Nobody.
    Nobody,
}

/// Of what somebody wants to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    /// As it is elsewhere: in a room as in general, in general as the server thinks best.
    #[default]
    Default,
    /// Of every message.
    All,
    /// Of what is meant for them.
    Mentions,
    /// Of nothing.
    Nothing,
}

/// Whether somebody follows a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Following {
    /// If they take part in it.
    #[default]
    Default,
    /// Yes.
    Yes,
    /// No.
    No,
}

/// The end of what never ends: of a mute for good. The last instant that both databases keep.
pub const FOREVER: Timestamp = {
    match chrono::DateTime::from_timestamp(253_402_300_799, 0) {
        Some(end) => end,
        None => chrono::DateTime::UNIX_EPOCH,
    }
};

/// An end that somebody names, as it is kept: in whole microseconds, none beyond [`FOREVER`].
#[must_use]
pub fn end(named: Timestamp) -> Timestamp {
    named.trunc_subsecs(6).clamp(chrono::DateTime::UNIX_EPOCH, FOREVER)
}

/// What somebody prefers of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomPreferences {
    /// The room.
    pub room: RoomId,
    /// Muted until then.
    pub muted_until: Option<Timestamp>,
    /// Of what to be told.
    pub notify: Notify,
    /// The revision of the person's own stream at which this last changed.
    pub revision: Revision,
}

impl RoomPreferences {
    /// Nothing was ever said.
    #[must_use]
    pub const fn none(room: RoomId) -> Self {
        Self { room, muted_until: None, notify: Notify::Default, revision: Revision::ZERO }
    }

    /// Is the room muted?
    #[must_use]
    pub fn is_muted(&self, now: Timestamp) -> bool {
        self.muted_until.is_some_and(|until| now < until)
    }
}

/// What somebody prefers of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadPreferences {
    /// The room.
    pub room: RoomId,
    /// The thread's first message.
    pub thread: Seq,
    /// Whether they follow it.
    pub following: Following,
    /// Muted until then.
    pub muted_until: Option<Timestamp>,
    /// The revision of the person's own stream at which this last changed.
    pub revision: Revision,
}

impl ThreadPreferences {
    /// Nothing was ever said.
    #[must_use]
    pub const fn none(room: RoomId, thread: Seq) -> Self {
        Self { room, thread, following: Following::Default, muted_until: None, revision: Revision::ZERO }
    }

    /// Is the thread muted?
    #[must_use]
    pub fn is_muted(&self, now: Timestamp) -> bool {
        self.muted_until.is_some_and(|until| now < until)
    }

    /// Is anything other than in the beginning? A mute that has ended says nothing.
    #[must_use]
    pub fn says_anything(&self, now: Timestamp) -> bool {
        self.following != Following::Default || self.is_muted(now)
    }
}

/// Hours of the day in which somebody does not want to be disturbed. They may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    from: u16,
    until: u16,
}

impl QuietHours {
    /// Minutes of a day.
    const DAY: u16 = 24 * 60;

    /// From a minute of the person's day, until before another.
    ///
    /// # Errors
    /// [`Fault::BadRequest`] if one is no minute of a day, or both are the same.
    pub fn parse(from: i64, until: i64) -> Result<Self, Fault> {
        let minute = |minute: i64| u16::try_from(minute).ok().filter(|minute| *minute < Self::DAY).ok_or(Fault::BadRequest);
        let (from, until) = (minute(from)?, minute(until)?);
        if from == until { Err(Fault::BadRequest) } else { Ok(Self { from, until }) }
    }

    /// Both minutes.
    #[must_use]
    pub const fn minutes(self) -> (u16, u16) {
        (self.from, self.until)
    }

    /// Does this minute of the person's day lie in them?
    #[must_use]
    pub const fn hold(self, minute: u16) -> bool {
        if self.from < self.until {
            self.from <= minute && minute < self.until
        } else {
            self.from <= minute || minute < self.until
        }
    }
}

/// A word somebody wants to be told of wherever it is said. On one line, not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyword(String);

impl Keyword {
    /// The longest that fits its index, in characters; the settings may allow less.
    pub const MAX_CHARS: usize = 64;

    /// So many words of it are compared with a text.
    pub const MAX_WORDS: usize = 8;

    /// Trims, normalises to NFC, checks length and control characters, and that it can be found at all: by its words, a few of them.
    ///
    /// # Errors
    /// [`Fault::TextEmpty`], [`Fault::TextTooLong`], or [`Fault::BadRequest`] for a control character, no word or too many.
    pub fn parse(text: &str, max_chars: usize) -> Result<Self, Fault> {
        let word: String = text.trim().nfc().collect();
        if word.is_empty() {
            Err(Fault::TextEmpty)
        } else if word.chars().count() > max_chars.min(Self::MAX_CHARS) {
            Err(Fault::TextTooLong)
        } else if word.chars().any(char::is_control) || !Self::can_be_found(&fold_case(&word)) {
            Err(Fault::BadRequest)
        } else {
            Ok(Self(word))
        }
    }

    /// Whether a keyword in the form in which it is looked for has words, and not too many.
    #[must_use]
    pub fn can_be_found(key: &str) -> bool {
        (1..=Self::MAX_WORDS).contains(&key.unicode_words().count())
    }

    /// A word that the store kept.
    #[must_use]
    pub const fn stored(word: String) -> Self {
        Self(word)
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which it is looked for: capitals do not matter.
    #[must_use]
    pub fn key(&self) -> String {
        fold_case(&self.0)
    }
}

/// What somebody prefers altogether.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// Others see how far they have read, and they see it of others.
    pub receipts: bool,
    /// Of whom they take direct messages.
    pub direct: DirectRule,
    /// When not to be disturbed.
    pub quiet: Option<QuietHours>,
    /// Of what to be told in rooms.
    pub notify: Notify,
    /// Words to be told of, by their key.
    pub keywords: Vec<Keyword>,
    /// The revision of the person's own stream at which this last changed.
    pub revision: Revision,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            receipts: true,
            direct: DirectRule::default(),
            quiet: None,
            notify: Notify::default(),
            keywords: Vec::new(),
            revision: Revision::ZERO,
        }
    }
}

/// New values; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreferencesChange {
    /// Receipts, both ways.
    pub receipts: Option<bool>,
    /// Of whom to take direct messages.
    pub direct: Option<DirectRule>,
    /// Quiet hours, or none.
    pub quiet: Option<Option<QuietHours>>,
    /// Of what to be told.
    pub notify: Option<Notify>,
    /// All keywords.
    pub keywords: Option<Vec<Keyword>>,
}

impl PreferencesChange {
    /// What becomes of preferences. Keywords that are looked for in the same form are one, and stand by it.
    #[must_use]
    pub fn applied_to(self, old: &Preferences) -> Preferences {
        let keywords = self.keywords.map_or_else(
            || old.keywords.clone(),
            |mut words| {
                words.sort_by_key(Keyword::key);
                words.dedup_by_key(|word| word.key());
                words
            },
        );
        Preferences {
            receipts: self.receipts.unwrap_or(old.receipts),
            direct: self.direct.unwrap_or(old.direct),
            quiet: self.quiet.unwrap_or(old.quiet),
            notify: self.notify.unwrap_or(old.notify),
            keywords,
            revision: old.revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};

    #[test]
    fn quiet_hours_are_minutes_of_a_day_and_may_pass_midnight() {
        for (from, until) in [(0, 0), (60, 60), (-1, 5), (0, 1440), (70_000, 1)] {
            assert_eq!(QuietHours::parse(from, until), Err(Fault::BadRequest), "{from} {until}");
        }
        let day = QuietHours::parse(60, 120).unwrap();
        assert_eq!([59, 60, 119, 120].map(|minute| day.hold(minute)), [false, true, true, false]);
        let night = QuietHours::parse(1320, 420).unwrap();
        assert_eq!([1319, 1320, 1439, 0, 419, 420].map(|minute| night.hold(minute)), [false, true, true, true, true, false]);
        assert_eq!(night.minutes(), (1320, 420));
    }

    #[test]
    fn a_mute_ends_at_its_end_and_for_good_is_the_end_of_time() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let room = RoomPreferences { muted_until: Some(now), ..RoomPreferences::none(RoomId::generate()) };
        assert!(room.is_muted(now - TimeDelta::seconds(1)) && !room.is_muted(now));
        assert!(!RoomPreferences::none(room.room).is_muted(now));
        assert_eq!(FOREVER.to_rfc3339(), "9999-12-31T23:59:59+00:00");
        assert_eq!(end(FOREVER + TimeDelta::days(1)), FOREVER);
        assert_eq!(end(DateTime::UNIX_EPOCH - TimeDelta::days(1)), DateTime::UNIX_EPOCH);
        assert_eq!(end(now + TimeDelta::nanoseconds(1999)), now + TimeDelta::microseconds(1));
    }

    #[test]
    fn keywords_are_trimmed_bounded_and_one_where_they_are_looked_for_alike() {
        assert_eq!(Keyword::parse("  Rust ", 10).unwrap().as_str(), "Rust");
        assert_eq!(Keyword::parse(" ", 10), Err(Fault::TextEmpty));
        assert_eq!(Keyword::parse("12345678901", 10), Err(Fault::TextTooLong));
        assert_eq!(Keyword::parse(&"x".repeat(Keyword::MAX_CHARS + 1), 1000), Err(Fault::TextTooLong));
        assert_eq!(Keyword::parse("a\nb", 10), Err(Fault::BadRequest));
        let words = |count: usize| Keyword::parse(&vec!["a"; count].join(" "), 1000);
        assert_eq!(words(Keyword::MAX_WORDS + 1), Err(Fault::BadRequest));
        assert!(words(Keyword::MAX_WORDS).is_ok());
        assert_eq!(Keyword::parse("+-?", 10), Err(Fault::BadRequest), "it would be found nowhere");
        let words = ["rust", "Ann", "RUST"].map(|word| Keyword::parse(word, 10).unwrap());
        let change = PreferencesChange { keywords: Some(words.into()), ..PreferencesChange::default() };
        let changed = change.applied_to(&Preferences::default());
        assert_eq!(changed.keywords.iter().map(Keyword::as_str).collect::<Vec<_>>(), ["Ann", "rust"]);
    }

    #[test]
    fn what_a_change_does_not_name_stays() {
        let old = Preferences { receipts: false, quiet: QuietHours::parse(1, 2).ok(), ..Preferences::default() };
        assert_eq!(PreferencesChange::default().applied_to(&old), old);
        let change = PreferencesChange { quiet: Some(None), direct: Some(DirectRule::Nobody), ..PreferencesChange::default() };
        assert_eq!(change.applied_to(&old), Preferences { quiet: None, direct: DirectRule::Nobody, ..old });
    }
}
