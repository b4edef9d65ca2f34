//! Numbers as a page writes them: rounded to what can be read, with their unit.

use super::axis::Unit;
use crate::units;

/// What a plot or a sentence makes of a count: the 53 bits of it that matter.
#[allow(clippy::cast_precision_loss)] // a picture has fewer dots than 2^53
pub fn of(count: u64) -> f64 {
    count as f64
}

/// What is nearest to `value` among the whole numbers.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped just before
pub fn whole(value: f64) -> u64 {
    value.round().clamp(0.0, 1e18) as u64
}

/// The name of a value beside an axis, short and without digits that say nothing.
pub fn tick(unit: Unit, value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    match unit {
        Unit::Seconds if value >= 3_600.0 && value % 3_600.0 == 0.0 => {
            format!("{} h", value / 3_600.0)
        }
        Unit::Seconds if value >= 60.0 && value % 60.0 == 0.0 => format!("{} min", value / 60.0),
        Unit::Seconds => format!("{} s", short(value)),
        Unit::Nanoseconds => {
            scaled(value, &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")])
        }
        Unit::Bytes => scaled(
            value,
            &[
                (1_099_511_627_776.0, " TiB"),
                (1_073_741_824.0, " GiB"),
                (1_048_576.0, " MiB"),
                (1_024.0, " KiB"),
                (1.0, " B"),
            ],
        ),
        Unit::Count => scaled(value, &[(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")]),
        Unit::Percent => format!("{} %", short(value)),
    }
}

/// A value as a sentence or a cell of a table writes it.
pub fn said(unit: Unit, value: u64) -> String {
    match unit {
        Unit::Nanoseconds => time(value),
        Unit::Bytes => units::bytes(value),
        Unit::Count => units::count(value),
        Unit::Seconds | Unit::Percent => tick(unit, of(value)),
    }
}

/// Nanoseconds with a blank before their unit, as printed matter has it: `0.42 ms`, `1.20 s`.
pub fn time(ns: u64) -> String {
    let text = units::time(ns);
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    format!("{number} {}", unit.replace("us", "µs"))
}

fn scaled(value: f64, scale: &[(f64, &str)]) -> String {
    let fits = scale.iter().find(|(size, _)| value.abs() >= *size).or(scale.last());
    fits.map(|(size, unit)| format!("{}{unit}", short(value / size))).unwrap_or_default()
}

/// At most three digits behind the point, and no noughts at the end.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_their_unit_and_no_idle_digits() {
        for (unit, value, text) in [
            (Unit::Seconds, 0.5, "0.5 s"),
            (Unit::Seconds, 90.0, "90 s"),
            (Unit::Seconds, 7_200.0, "2 h"),
            (Unit::Nanoseconds, 2e6, "2 ms"),
            (Unit::Nanoseconds, 5.0, "5 ns"),
            (Unit::Bytes, 1_572_864.0, "1.5 MiB"),
            (Unit::Count, 2.5e6, "2.5M"),
            (Unit::Percent, 20.0, "20 %"),
            (Unit::Count, 0.0, "0"),
        ] {
            assert_eq!(tick(unit, value), text);
        }
        assert_eq!((time(950), time(1_200_000_000)), ("0.95 µs".to_owned(), "1.20 s".to_owned()));
        assert_eq!(said(Unit::Count, 12_345), "12,345");
        assert_eq!((whole(-1.0), whole(2.6), whole(f64::NAN)), (0, 3, 0));
    }
}
