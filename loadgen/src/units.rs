//! Quantities as people write and read them: `100k`, `2/s`, `30s`, `8.3 KiB`.
//!
//! What is read here becomes an integer in base units (nanoseconds, bytes); what is printed keeps
//! its unit beside it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// How often something happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: f64,
}

impl Rate {
    /// So many a second, or as near to it as a rate may be.
    pub const fn of(per_second: f64) -> Self {
        Self { per_second: per_second.clamp(PER_SECOND_MIN, PER_SECOND_MAX) }
    }

    /// The time between two events.
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }

    /// How many events there are in a second.
    pub const fn per_second(self) -> f64 {
        self.per_second
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            other => return Err(format!("`/{other}` is not a unit of time: use /s, /m or /h")),
        };
        let per_second = scaled(number, &COUNTS)? / seconds;
        if (PER_SECOND_MIN..=PER_SECOND_MAX).contains(&per_second) {
            Ok(Self { per_second })
        } else {
            Err("a rate lies between 0.01/h and 100M/s".to_owned())
        }
    }
}

/// Rates beyond these leave no time between two events, or more than anybody waits.
const PER_SECOND_MIN: f64 = 0.01 / 3600.0;
const PER_SECOND_MAX: f64 = 1e8;

/// Longer times are a slip of the keyboard, and could not be added to a moment.
const SECONDS_MAX: f64 = 366.0 * 86_400.0;

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", (self.per_second * 1000.0).round() / 1000.0)
    }
}

/// Reads a number of things: `5000`, `5_000`, `5k`, `1.5M`.
pub fn parse_count(text: &str) -> Result<u64, String> {
    whole(scaled(text, &COUNTS)?)
}

/// Reads a number of bytes: `64`, `4k`, `4KiB`, `1MiB`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    whole(scaled(text, &BYTES)?)
}

/// Reads a length of time: `30s`, `500ms`, `2m`, `1h`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = scaled(text, &SECONDS)?;
    if seconds <= SECONDS_MAX {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("`{text}` is longer than a year"))
    }
}

/// Reads a switch: `on` or `off`.
pub fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("`{text}` is neither on nor off")),
    }
}

/// A suffix and what it multiplies by; the longer of two that fit stands first.
type Scale = [(&'static str, f64)];

const COUNTS: [(&str, f64); 5] = [("k", 1e3), ("K", 1e3), ("m", 1e6), ("M", 1e6), ("", 1.0)];
const BYTES: [(&str, f64); 11] = [
    ("GiB", 1_073_741_824.0),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("k", 1024.0),
    ("M", 1_048_576.0),
    ("G", 1_073_741_824.0),
    ("B", 1.0),
    ("", 1.0),
];
const SECONDS: [(&str, f64); 6] =
    [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("", 1.0)];

fn scaled(text: &str, scale: &Scale) -> Result<f64, String> {
    let text = text.trim();
    let (number, factor) = scale
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))
        .ok_or_else(|| format!("`{text}` has an unknown unit"))?;
    let number: f64 = number
        .trim()
        .replace('_', "")
        .parse()
        .map_err(|_| format!("`{text}` is not a number with one of its units"))?;
    if number.is_finite() && number >= 0.0 {
        Ok(number * factor)
    } else {
        Err(format!("`{text}` must be a number of 0 or more"))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked just before
fn whole(number: f64) -> Result<u64, String> {
    if number.fract() != 0.0 {
        return Err("must be a whole number".to_owned());
    }
    if number > 1e15 { Err("is too large".to_owned()) } else { Ok(number as u64) }
}

/// The nanoseconds of `time`, which last for 584 years.
pub fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A number with its thousands apart: `100,000`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position != 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds in the unit that suits them: `0.42ms`, `1.20s`.
#[allow(clippy::cast_precision_loss)] // for people to read, and none of them reads 53 bits
pub fn time(ns: u64) -> String {
    let ns = ns as f64;
    let (number, unit) = match ns {
        ..1e4 => (ns / 1e3, "us"),
        ..1e9 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    match number {
        ..10.0 => format!("{number:.2}{unit}"),
        ..100.0 => format!("{number:.1}{unit}"),
        _ => format!("{number:.0}{unit}"),
    }
}

/// Bytes in the unit that suits them: `812 MiB`, `8.3 KiB`, `310 B`.
#[allow(clippy::cast_precision_loss)] // as in `time`
pub fn bytes(bytes: u64) -> String {
    let number = bytes as f64;
    match number {
        ..4096.0 => format!("{bytes} B"),
        ..1_048_576.0 => format!("{:.1} KiB", number / 1024.0),
        ..1_073_741_824.0 => format!("{:.0} MiB", number / 1_048_576.0),
        _ => format!("{:.1} GiB", number / 1_073_741_824.0),
    }
}

/// A moment as RFC 3339 writes it, in whole seconds of UTC.
pub fn rfc3339(moment: SystemTime) -> String {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (since / 86_400, since % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The seconds since 1970 of a moment that [`rfc3339`] wrote.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let numbers = text.strip_suffix('Z')?.split(['-', 'T', ':']).map(str::parse);
    let numbers = numbers.collect::<Result<Vec<u32>, _>>().ok()?;
    let &[year, month, day, hour, minute, second] = numbers.as_slice() else { return None };
    let is_date = (1970..10_000).contains(&year) && (1..=12).contains(&month) && day >= 1;
    let hours = is_date.then(|| days(year.into(), month.into(), day.into()) * 24 + u64::from(hour));
    Some((hours? * 60 + u64::from(minute)) * 60 + u64::from(second))
}

/// Year, month and day of the day `days` after 1970-01-01.
///
/// Years are counted from March, so that the day that is sometimes missing is the last one.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + (month <= 2) as u64, month, day)
}

/// The other way round.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, march_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_with_and_without_a_suffix() {
        for (text, count) in [
            ("7", 7),
            ("100k", 100_000),
            ("100_000", 100_000),
            ("1.5M", 1_500_000),
            (" 2K ", 2_000),
        ] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
        for text in ["", "k", "-1", "1.5", "ten", "1e400", "NaN"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_in_their_unit() {
        for (text, ms) in [("30s", 30_000), ("500ms", 500), ("2m", 120_000), ("1.5", 1_500)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert!(parse_duration("5 fortnights").is_err());
        assert!(parse_duration("1e300").is_err());
        assert!(parse_duration("8785h").is_err(), "longer than a year");
    }

    #[test]
    fn a_rate_is_read_by_its_unit_of_time() {
        for (text, interval_ms) in [("2", 500), ("2/s", 500), ("30/m", 2_000), ("1k/s", 1)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.interval(), Duration::from_millis(interval_ms), "{text}");
        }
        for text in ["0", "1/week", "-1/s", "fast", "1e-9/h", "1e9/s", "inf"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_in_bytes() {
        for (text, bytes) in
            [("64", 64), ("4KiB", 4096), ("4k", 4096), ("2MB", 2_000_000), ("16GiB", 1 << 34)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_printed_has_its_unit() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!((count(0), count(999)), ("0".to_owned(), "999".to_owned()));
        assert_eq!(time(950), "0.95us");
        assert_eq!(time(420_000), "0.42ms");
        assert_eq!(time(71_200_000), "71.2ms");
        assert_eq!(time(1_200_000_000), "1.20s");
        assert_eq!(bytes(310), "310 B");
        assert_eq!(bytes(8_500), "8.3 KiB");
        assert_eq!(bytes(851_443_712), "812 MiB");
    }

    #[test]
    fn moments_are_written_as_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
            assert_eq!(parse_rfc3339(text), Some(seconds));
        }
        for text in ["", "2024-02-29", "2024-00-01T00:00:00Z", "1969-01-01T00:00:00Z", "now"] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
