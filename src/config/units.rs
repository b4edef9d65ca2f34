//! How long and how much, as people write it.

use std::time::Duration;

/// The milliseconds of a unit of time.
const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// The bytes of a unit of size. The short forms are binary too: nobody bounds a queue in decimal.
const SIZES: [(&str, u64); 10] = [
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1 << 10),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1 << 20),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1 << 30),
    ("gib", 1 << 30),
];

/// Reads `250ms`, `10s`, `2m`, `1h`; a bare number counts seconds.
pub fn duration(text: &str) -> Option<Duration> {
    scaled(text, 1_000, &TIMES).map(Duration::from_millis)
}

/// Reads `64KiB`, `64k`, `1MiB`; a bare number counts bytes.
pub(super) fn bytes(text: &str) -> Option<usize> {
    scaled(text, 1, &SIZES).and_then(|bytes| bytes.try_into().ok())
}

/// A whole number and its unit from `units`, or without one `bare` of the smallest.
fn scaled(text: &str, bare: u64, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim().to_ascii_lowercase();
    let scale = match unit.as_str() {
        "" => bare,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_seconds_without() {
        let rows = [
            ("250ms", Some(250)),
            ("10", Some(10_000)),
            ("10s", Some(10_000)),
            ("2 m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("10 parsecs", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ];
        for (text, millis) in rows {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        let rows = [
            ("64", Some(64)),
            ("64k", Some(65_536)),
            ("64KiB", Some(65_536)),
            ("1 MB", Some(1 << 20)),
        ];
        for (text, size) in rows {
            assert_eq!(bytes(text), size, "{text}");
        }
        assert_eq!(bytes("1s"), None);
    }
}
