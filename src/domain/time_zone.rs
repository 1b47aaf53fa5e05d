//! Where in the world somebody's day begins.

use chrono::Timelike;
use chrono_tz::{TZ_VARIANTS, Tz};

use super::fault::Fault;
use super::time::Timestamp;

/// A time zone of IANA's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZone(Tz);

impl TimeZone {
    /// The zone of that name; capitals do not matter. A name that IANA has replaced by another still names its zone, and stays.
    ///
    /// # Errors
    /// [`Fault::BadRequest`] if there is none.
    pub fn parse(name: &str) -> Result<Self, Fault> {
        let zone = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
        zone.map(|zone| Self(*zone)).ok_or(Fault::BadRequest)
    }

    /// Its name, as IANA writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0.name()
    }
}

/// The minute of somebody's day; of the day in UTC for who names no zone.
#[must_use]
pub fn local_minute(now: Timestamp, zone: Option<TimeZone>) -> u16 {
    let minute = |hour: u32, minute: u32| u16::try_from(hour * 60 + minute).unwrap_or_default();
    match zone {
        Some(TimeZone(zone)) => {
            let there = now.with_timezone(&zone);
            minute(there.hour(), there.minute())
        }
        None => minute(now.hour(), now.minute()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_those_of_iana_written_as_there() {
        assert_eq!(TimeZone::parse("europe/BERLIN").unwrap().as_str(), "Europe/Berlin");
        // Browsers still say so.
        assert_eq!(TimeZone::parse("Asia/Calcutta").unwrap().as_str(), "Asia/Calcutta");
        for name in ["", "Berlin", "Europe/Berlin ", "+02:00", "Europe/../UTC", "Mars/Olympus"] {
            assert_eq!(TimeZone::parse(name), Err(Fault::BadRequest), "{name}");
        }
        assert!(TZ_VARIANTS.iter().all(|zone| zone.name().len() <= 64), "each fits its column");
    }

    #[test]
    fn the_minute_of_a_day_follows_zone_date_line_and_summer_time() {
        let table = [
            ("2026-11-23T10:30:00Z", None, 630),
            ("2026-11-23T10:30:00Z", Some("UTC"), 630),
            ("2026-11-23T23:59:59Z", Some("Asia/Kathmandu"), 5 * 60 + 44),
            ("2026-11-23T00:00:00Z", Some("America/New_York"), 19 * 60),
            ("2026-11-23T11:00:00Z", Some("Pacific/Kiritimati"), 60),
            // The clocks go from two to three.
            ("2026-03-29T00:59:00Z", Some("Europe/Berlin"), 119),
            ("2026-03-29T01:00:00Z", Some("Europe/Berlin"), 180),
            // And from three back to two.
            ("2026-10-25T00:59:00Z", Some("Europe/Berlin"), 179),
            ("2026-10-25T01:00:00Z", Some("Europe/Berlin"), 120),
        ];
        for (now, zone, expected) in table {
            let zone = zone.map(|zone| TimeZone::parse(zone).unwrap());
            assert_eq!(local_minute(now.parse().unwrap(), zone), expected, "{now} {zone:?}");
        }
    }
}
