//! Values as people write them in settings: durations, byte sizes, rates, secret texts.
//!
//! Everything here is parsed from a string, says in its error what it expected, and prints back in the form it accepts.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de};

const DURATION_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

const DURATION_EXPECTED: &str = r#"expected a duration such as "250ms", "5s", "15m", "24h" or "30d""#;
const SIZE_EXPECTED: &str = r#"expected a size such as "512B", "64KiB", "8MiB" or "1GiB""#;
const RATE_EXPECTED: &str = r#"expected a rate such as "30/1m" (how many, in which time) or "off""#;

/// A number directly followed by one of `units`, multiplied out.
fn number_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Reads a duration such as `5s`.
///
/// # Errors
/// What was expected instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    number_with_unit(text, DURATION_UNITS).map(Duration::from_millis).ok_or_else(|| DURATION_EXPECTED.to_owned())
}

/// For `#[serde(deserialize_with)]` on a [`Duration`] field.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(from)?).map_err(de::Error::custom)
}

/// For `#[serde(deserialize_with)]` on a field that is a duration or `"off"`.
pub(super) fn duration_or_off<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    match String::deserialize(from)?.as_str() {
        "off" => Ok(None),
        text => parse_duration(text).map(Some).map_err(|expected| de::Error::custom(format!("{expected}, or \"off\""))),
    }
}

/// A number of bytes, written with its binary unit: `64KiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// That many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes, for comparing with lengths in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        number_with_unit(text, SIZE_UNITS).map(Self).ok_or_else(|| SIZE_EXPECTED.to_owned())
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// How often something may happen: `count` at once, refilled evenly over `per`; or without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Written `"off"`.
    Unlimited,
    /// Written `"30/1m"`.
    Limited {
        /// How many at once.
        count: NonZeroU32,
        /// Time in which all of them are refilled.
        per: Duration,
    },
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Unlimited);
        }
        let parsed = text.split_once('/').and_then(|(count, per)| {
            let count = count.parse().ok()?;
            let per = parse_duration(per).ok().filter(|per| !per.is_zero())?;
            Some(Self::Limited { count, per })
        });
        parsed.ok_or_else(|| RATE_EXPECTED.to_owned())
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// A database URL. It may hold a password, so [`fmt::Debug`] and [`fmt::Display`] show it without (I12).
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Whether none is set, which means SQLite in the data folder.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The URL with its password, for opening connections only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.strip_prefix("mysql://").is_some_and(|rest| !rest.is_empty()) {
            return Ok(Self(text.to_owned()));
        }
        // The text itself is not repeated: it may hold a password.
        Err(r#"expected "" for SQLite in the data folder, or "mysql://user:password@host:port/name""#.to_owned())
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(&self.0))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", redact_url(&self.0))
    }
}

/// `text` with the password of a URL in it replaced. A text that is no URL with a password comes back as it is.
#[must_use]
pub fn redact_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    // The last `@` ends the user part, so an unescaped one inside a password does not show the rest of it. A `/` or `?` in a
    // password would be wrong in a URL, yet people write it: so the path is not cut off first.
    let Some((user, host)) = rest.rsplit_once('@') else {
        return text.to_owned();
    };
    match user.split_once(':') {
        Some((name, _)) => format!("{scheme}://{name}:***@{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_number_and_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for wrong in ["", "5", "s", "5 s", "5sec", "-5s", "1.5s", "99999999999999999999s", "300000000000000000d"] {
            assert_eq!(parse_duration(wrong), Err(DURATION_EXPECTED.to_owned()), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!("64KiB".parse(), Ok(ByteSize(65_536)));
        assert_eq!("512B".parse(), Ok(ByteSize(512)));
        for wrong in ["64", "64KB", "64kib", "KiB", "999999999999GiB"] {
            assert_eq!(wrong.parse::<ByteSize>(), Err(SIZE_EXPECTED.to_owned()), "{wrong:?}");
        }
    }

    #[test]
    fn rates_are_a_count_in_a_time_or_off() {
        let thirty = Rate::Limited { count: NonZeroU32::new(30).unwrap(), per: Duration::from_secs(60) };
        assert_eq!("30/1m".parse(), Ok(thirty));
        assert_eq!("off".parse(), Ok(Rate::Unlimited));
        for wrong in ["0/1m", "30", "30/0s", "30/m", "none", "-1/1m"] {
            assert_eq!(wrong.parse::<Rate>(), Err(RATE_EXPECTED.to_owned()), "{wrong:?}");
        }
    }

    #[test]
    fn a_database_url_never_shows_its_password() {
        for url in ["mysql://u:se/cr@et@host:3306/db", "mysql://u:secret@host/db?x=a:b"] {
            let url: DatabaseUrl = url.parse().unwrap();
            let shown = format!("{url} {url:?}");
            assert!(shown.contains("u:***@host") && !shown.contains("cret") && !shown.contains("cr@"), "{shown}");
        }
        assert!(!"postgres://u:secret@h/db".parse::<DatabaseUrl>().unwrap_err().contains("secret"));
    }
}
