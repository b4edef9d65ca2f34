//! Axes: how a quantity becomes a place on a plot, and which of its values are named there.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged};

use super::number;

/// About how many values an axis names: as many as stay apart on a telephone.
const TICKS: f64 = 5.0;

/// What an axis counts, and so how its values are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Time since the start.
    Seconds,
    /// How long something took.
    Nanoseconds,
    /// Sizes.
    Bytes,
    /// Numbers of things.
    Count,
    /// Shares of a hundred.
    Percent,
}

/// One axis of a plot.
#[derive(Clone, Debug)]
pub struct Axis {
    name: String,
    is_log: bool,
    /// Whether its values are compared across the plot: rows are not.
    has_grid: bool,
    from: f64,
    to: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to a round number that is not below `max`.
    pub fn from_zero(name: &str, unit: Unit, max: f64) -> Self {
        let step = step(unit, max / TICKS);
        let to = (max / step).ceil().max(1.0) * step;
        Self::linear(name, unit, to, step)
    }

    /// Time since the start, to its very end.
    pub fn time(to_seconds: f64) -> Self {
        let to = to_seconds.max(1e-3);
        Self::linear("time since the start", Unit::Seconds, to, step(Unit::Seconds, to / TICKS))
    }

    /// Powers of ten, from a round number to another that enclose `min` and `max`.
    pub fn log(name: &str, unit: Unit, min: f64, max: f64) -> Self {
        let from = rounded(min.max(1.0), f64::floor);
        let to = rounded(max.max(from * 2.0), f64::ceil);
        let is_wide = to / from > 50.0;
        let ticks = (0..20).flat_map(|decade| [1.0, 2.0, 5.0].map(|it| it * 10_f64.powi(decade)));
        let ticks = ticks.filter(|tick| (from..=to * 1.001).contains(tick));
        let ticks = ticks.filter(|tick| !is_wide || tick.log10().fract().abs() < 1e-9);
        let ticks = ticks.map(|tick| (tick, number::tick(unit, tick))).collect();
        Self { name: name.to_owned(), is_log: true, has_grid: true, from, to, ticks }
    }

    /// Shares of all by how many there are for each that lies beyond: 50 %, 90 %, 99 % are equally
    /// far apart, up to the last of `n`.
    pub fn percentiles(n: f64) -> Self {
        let to = n.max(10.0);
        let nines = ["0", "90", "99", "99.9", "99.99", "99.999", "99.9999", "99.99999"];
        let ticks = nines.iter().zip(0..).map(|(nines, power)| (10_f64.powi(power), nines));
        let ticks = std::iter::once((2.0, &"50")).chain(ticks).filter(|(x, _)| *x <= to);
        Self {
            name: "share of all, in per cent".to_owned(),
            is_log: true,
            has_grid: true,
            from: 1.0,
            to,
            ticks: ticks.map(|(x, share)| (x, (*share).to_owned())).collect(),
        }
    }

    /// Rows from the top, each with its name.
    pub fn rows(name: &str, rows: &[String]) -> Self {
        let count = number::of(rows.len() as u64).max(1.0);
        let ticks = (1..).zip(rows).map(|(row, name)| {
            let place = count - number::of(row) + 0.5;
            (place, name.clone())
        });
        let ticks = ticks.collect();
        Self { name: name.to_owned(), is_log: false, has_grid: false, from: 0.0, to: count, ticks }
    }

    fn linear(name: &str, unit: Unit, to: f64, step: f64) -> Self {
        let ticks = (0..=20).map(|n| f64::from(n) * step).take_while(|tick| *tick <= to * 1.001);
        let ticks = ticks.map(|tick| (tick, number::tick(unit, tick))).collect();
        Self { name: name.to_owned(), is_log: false, has_grid: true, from: 0.0, to, ticks }
    }

    /// What it counts.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The values that are named.
    pub fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }

    /// Whether its values have lines across the plot.
    pub fn has_grid(&self) -> bool {
        self.has_grid
    }

    /// Its first and its last value.
    pub fn ends(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// How far along it `value` is, from 0 to 1. What is beyond its ends is at them.
    fn share(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        share.clamp(0.0, 1.0)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[allow(clippy::cast_possible_truncation)] // between the two limits
    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.share(*value) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

/// A round number not below `least`, by which values of this unit are counted.
fn step(unit: Unit, least: f64) -> f64 {
    const SECONDS: [f64; 11] =
        [10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0];
    match unit {
        Unit::Seconds if least > 5.0 => {
            let found = SECONDS.into_iter().find(|step| *step >= least);
            found.unwrap_or_else(|| rounded(least / 3_600.0, f64::ceil) * 3_600.0)
        }
        Unit::Bytes => least.max(1.0).log2().ceil().exp2(),
        Unit::Count => rounded(least, f64::ceil).max(1.0),
        _ => rounded(least.max(1e-9), f64::ceil),
    }
}

/// The next 1, 2 or 5 times a power of ten, downwards or upwards by `way`.
fn rounded(value: f64, way: fn(f64) -> f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let leading = value / decade;
    let is_up = way(0.5) > 0.0;
    let steps = [1.0, 2.0, 5.0, 10.0];
    let step = if is_up {
        steps.into_iter().find(|step| *step >= leading * 0.999_999)
    } else {
        steps.into_iter().rev().find(|step| *step <= leading * 1.000_001)
    };
    decade * step.unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(axis: &Axis) -> Vec<&str> {
        axis.ticks().iter().map(|(_, name)| name.as_str()).collect()
    }

    #[test]
    fn an_axis_names_round_values_with_their_unit() {
        let mib = 1_048_576.0;
        for (axis, names) in [
            (
                Axis::from_zero("", Unit::Count, 98_000.0),
                vec!["0", "20k", "40k", "60k", "80k", "100k"],
            ),
            (Axis::from_zero("", Unit::Count, 0.0), vec!["0", "1"]),
            (
                Axis::from_zero("", Unit::Bytes, 812.0 * mib),
                vec!["0", "256 MiB", "512 MiB", "768 MiB", "1 GiB"],
            ),
            (
                Axis::from_zero("", Unit::Percent, 100.0),
                vec!["0", "20 %", "40 %", "60 %", "80 %", "100 %"],
            ),
            (Axis::time(102.0), vec!["0", "30 s", "1 min", "90 s"]),
            (Axis::time(2.0), vec!["0", "0.5 s", "1 s", "1.5 s", "2 s"]),
            (Axis::log("", Unit::Nanoseconds, 83_000.0, 12e6), vec!["100 µs", "1 ms", "10 ms"]),
            (
                Axis::log("", Unit::Nanoseconds, 83_000.0, 1.5e6),
                vec!["50 µs", "100 µs", "200 µs", "500 µs", "1 ms", "2 ms"],
            ),
            (Axis::percentiles(5_000.0), vec!["50", "0", "90", "99", "99.9"]),
        ] {
            assert_eq!(named(&axis), names);
        }
    }

    #[test]
    fn what_is_beyond_an_axis_is_at_its_end() {
        let axis = Axis::log("", Unit::Nanoseconds, 1e3, 1e6);
        let places = [0.0, 1e3, 1e6, 1e9, f64::NAN].map(|value| axis.map(&value, (100, 0)));
        assert_eq!(places[..4], [100, 100, 0, 0]);
        let rows = Axis::rows("", &["one".to_owned(), "two".to_owned()]);
        assert_eq!(
            rows.ticks().iter().map(|(at, _)| at * 2.0).sum::<f64>().to_bits(),
            4_f64.to_bits()
        );
    }
}
