//! What people say of themselves, beside their name.
//!
//! Must not know: who may see it.

use chrono::{SubsecRound, TimeDelta};
use unicode_normalization::UnicodeNormalization;

use super::emoji::Emoji;
use super::fault::Fault;
use super::order::Revision;
use super::text::{DisplayName, StatusText, forbidden_in_line};
use super::time::Timestamp;
use super::time_zone::TimeZone;
use super::user::User;

/// A few lines about oneself; empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About(String);

impl About {
    /// The longest, in characters.
    pub const MAX_CHARS: usize = 500;

    /// Trims, normalises to NFC, brings line breaks to one form, and checks what is left.
    ///
    /// # Errors
    /// [`Fault::TextTooLong`]; [`Fault::BadRequest`] for control characters but line breaks and tabs, and for marks that turn text around.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text: String = text.replace("\r\n", "\n").trim().nfc().collect();
        if text.chars().count() > Self::MAX_CHARS {
            Err(Fault::TextTooLong)
        } else if text.chars().any(|c| forbidden_in_line(c) && !matches!(c, '\n' | '\t')) {
            Err(Fault::BadRequest)
        } else {
            Ok(Self(text))
        }
    }

    /// The text; `None` if nothing is said.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }
}

/// What somebody is doing, for a while or until they say something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// In words; empty where the emoji says it all.
    pub text: StatusText,
    /// As an emoji.
    pub emoji: Option<Emoji>,
    /// Until when it holds; `None`: until it is changed.
    pub until: Option<Timestamp>,
}

impl Status {
    /// How many days a status that ends may last.
    pub const DAYS_MAX: usize = 366;

    /// A status that somebody wants to have from now on.
    ///
    /// # Errors
    /// [`Fault::TextEmpty`] if it says nothing; [`Fault::BadRequest`] for an end that has passed or is too far away.
    pub fn from_now(text: StatusText, emoji: Option<Emoji>, until: Option<Timestamp>, now: Timestamp) -> Result<Self, Fault> {
        if text.as_str().is_empty() && emoji.is_none() {
            return Err(Fault::TextEmpty);
        }
        let until = until.map(|until| until.trunc_subsecs(6));
        let longest = TimeDelta::days(i64::try_from(Self::DAYS_MAX).unwrap_or(i64::MAX));
        if until.is_some_and(|until| until <= now || until - now > longest) {
            return Err(Fault::BadRequest);
        }
        Ok(Self { text, emoji, until })
    }

    /// Does it hold now?
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// What somebody says of themselves. Who says nothing has none: the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// About themselves.
    pub about: About,
    /// What they are doing.
    pub status: Option<Status>,
    /// Where their day begins.
    pub time_zone: Option<TimeZone>,
}

impl Profile {
    /// Without what is said in words or emoji.
    #[must_use]
    pub fn cleared(&self) -> Self {
        Self { time_zone: self.time_zone, ..Self::default() }
    }

    /// As it is to be shown at this time: without a status that has ended.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.status = self.status.filter(|status| status.holds(now));
        self
    }
}

/// New values; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// How to be shown.
    pub display_name: Option<DisplayName>,
    /// Be shown as offline to everybody.
    pub invisible: Option<bool>,
    /// About oneself.
    pub about: Option<About>,
    /// The status, or none.
    pub status: Option<Option<Status>>,
    /// The time zone, or none.
    pub time_zone: Option<Option<TimeZone>>,
}

impl ProfileChange {
    /// The texts in it.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let name = self.display_name.as_ref().map(DisplayName::as_str);
        let about = self.about.as_ref().and_then(About::said);
        let status = self.status.as_ref().and_then(Option::as_ref).map(|status| status.text.as_str());
        [name, about, status].into_iter().flatten()
    }

    /// What becomes of a profile; name and visibility stand elsewhere.
    #[must_use]
    pub fn applied_to(&self, old: &Profile) -> Profile {
        Profile {
            about: self.about.clone().unwrap_or_else(|| old.about.clone()),
            status: self.status.clone().unwrap_or_else(|| old.status.clone()),
            time_zone: self.time_zone.unwrap_or(old.time_zone),
        }
    }
}

/// A person as they see themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnProfile {
    /// Name, display name, and what the server knows.
    pub user: User,
    /// What they say of themselves.
    pub profile: Profile,
    /// The revision of their stream at which any of it last changed.
    pub revision: Revision,
}

/// A person as somebody sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What everybody may know.
    pub user: User,
    /// What they say of themselves; nothing, where it is not for who asks.
    pub profile: Profile,
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn now() -> Timestamp {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn status(text: &str, emoji: Option<&str>, until: Option<Timestamp>) -> Result<Status, Fault> {
        let emoji = emoji.map(|emoji| Emoji::parse(emoji).unwrap());
        Status::from_now(StatusText::parse(text).unwrap(), emoji, until, now())
    }

    #[test]
    fn about_is_lines_of_text_that_stay_in_their_place() {
        assert_eq!(About::parse(" one\r\ntwo\n\tthree ").unwrap().said(), Some("one\ntwo\n\tthree"));
        assert_eq!(About::parse("e\u{308}").unwrap(), About::parse("\u{eb}").unwrap());
        assert_eq!(About::parse(" \n").unwrap(), About::default());
        assert_eq!(About::default().said(), None);
        assert!(About::parse(&"\u{1f642}".repeat(About::MAX_CHARS)).is_ok());
        assert_eq!(About::parse(&"x".repeat(About::MAX_CHARS + 1)), Err(Fault::TextTooLong));
        for bad in ["a\0b", "a\rb", "a\u{7}b", "a\u{202e}b", "a\u{2066}b", "a\u{2029}b"] {
            assert_eq!(About::parse(bad), Err(Fault::BadRequest), "{bad:?}");
        }
    }

    #[test]
    fn a_status_says_something_and_ends_within_a_year() {
        assert!(status("", Some("🌴"), None).is_ok() && status("Away", None, None).is_ok());
        assert_eq!(status("", None, None), Err(Fault::TextEmpty));
        let longest = now() + TimeDelta::days(366);
        for until in [now() + TimeDelta::microseconds(1), longest] {
            assert_eq!(status("Away", None, Some(until)).unwrap().until, Some(until));
        }
        // What is kept are whole microseconds, so this one ends now.
        let at_once = now() + TimeDelta::nanoseconds(999);
        for until in [now(), at_once, now() - TimeDelta::days(1), longest + TimeDelta::microseconds(1)] {
            assert_eq!(status("Away", None, Some(until)), Err(Fault::BadRequest), "{until}");
        }
        assert_eq!(StatusText::parse("a\nb"), Err(Fault::TextTooLong));
        assert_eq!(StatusText::parse(&"x".repeat(StatusText::MAX_CHARS + 1)), Err(Fault::TextTooLong));
    }

    #[test]
    fn a_status_that_has_ended_is_not_shown_and_nothing_else_goes_with_it() {
        let end = now() + TimeDelta::hours(1);
        let about = About::parse("Gardener").unwrap();
        let profile = Profile { about, status: status("Away", None, Some(end)).ok(), time_zone: None };
        assert_eq!(profile.clone().at(end - TimeDelta::microseconds(1)), profile);
        assert_eq!(profile.clone().at(end), Profile { status: None, ..profile });
        let for_good = Profile { status: status("Away", None, None).ok(), ..Profile::default() };
        assert_eq!(for_good.clone().at(end + TimeDelta::days(9_999)), for_good);
    }

    #[test]
    fn what_a_change_does_not_name_stays_and_null_takes_away() {
        let time_zone = TimeZone::parse("Asia/Tokyo").ok();
        let old = Profile { about: About::parse("Gardener").unwrap(), status: status("Away", None, None).ok(), time_zone };
        assert_eq!(ProfileChange::default().applied_to(&old), old);
        let clear = ProfileChange {
            about: Some(About::default()),
            status: Some(None),
            time_zone: Some(None),
            ..ProfileChange::default()
        };
        assert_eq!(clear.applied_to(&old), Profile::default());
    }
}
