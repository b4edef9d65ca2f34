//! A result, read for drawing: its columns as points, its distributions whole.

use std::collections::BTreeMap;

use super::axis::Unit;
use super::number;
use super::plot::{Ink, Plot, Point};
use super::table::{Cell, Table};
use crate::latency::Latency;
use crate::result::Document;

/// The most points of a line: more than a screen tells apart.
const POINTS_MAX: usize = 400;

/// The most rows of a table that is a part of the series.
const ROWS_MAX: usize = 600;

/// A result.
pub struct Subject<'a> {
    /// All of it.
    pub document: &'a Document,
    latency: BTreeMap<&'a str, Latency>,
}

impl<'a> Subject<'a> {
    /// Reads the distributions of `document`. One that is no histogram is left out: a file that
    /// was read has none.
    pub fn new(document: &'a Document) -> Self {
        let known = document.latency.iter().filter_map(|(name, distribution)| {
            Some((name.as_str(), distribution.as_ref()?.latency().ok()?))
        });
        Self { document, latency: known.collect() }
    }

    /// The distribution called `name`, if it was measured.
    pub fn latency(&self, name: &str) -> Option<&Latency> {
        self.latency.get(name).filter(|latency| latency.n() > 0)
    }

    /// Whether the run may be believed.
    pub fn is_valid(&self) -> bool {
        self.document.validity.valid
    }

    /// How long it took, in seconds.
    pub fn seconds(&self) -> f64 {
        let rows = self.document.series.rows.last().and_then(|row| *row.first()?);
        let phases = self.document.plan.phases.iter().map(|phase| phase.to_ns).max();
        seconds(rows.max(phases).unwrap_or(0))
    }

    /// The column `name` over time, in seconds from the start; empty if nothing of it is known.
    pub fn column(&self, name: &str) -> Vec<Point> {
        let points = self.pairs("t_ns", name);
        points.into_iter().map(|(t_ns, value)| (t_ns / 1e9, value)).collect()
    }

    /// The column `name`, which counts nanoseconds of CPU time in each tick, as a share of one core
    /// in per cent.
    pub fn cpu(&self, name: &str) -> Vec<Point> {
        let mut last = 0.0;
        let share = |(t, ns): Point| {
            let percent = ns / 1e7 / (t - last).max(1e-9);
            last = t;
            (t, percent)
        };
        self.column(name).into_iter().map(share).collect()
    }

    /// What the columns `x` and `y` say in the same row.
    pub fn pairs(&self, x: &str, y: &str) -> Vec<Point> {
        let series = &self.document.series;
        let position = |name: &str| series.columns.iter().position(|column| column == name);
        let (Some(x), Some(y)) = (position(x), position(y)) else { return Vec::new() };
        let cell = |row: &[Option<u64>], at: usize| row.get(at).copied().flatten().map(number::of);
        let pair = |row: &Vec<Option<u64>>| Some((cell(row, x)?, cell(row, y)?));
        series.rows.iter().filter_map(pair).collect()
    }

    /// The cores whose load was looked at.
    pub fn cores(&self) -> Vec<&'a str> {
        let columns = self.document.series.columns.iter().map(String::as_str);
        columns.filter(|name| name.ends_with("_busy_permille")).collect()
    }

    /// The span of the phase called `name`, in seconds.
    pub fn phase(&self, name: &str) -> Option<(f64, f64)> {
        let phase = self.document.plan.phases.iter().find(|phase| phase.name == name)?;
        Some((seconds(phase.from_ns), seconds(phase.to_ns)))
    }

    /// Shades the phases of the run behind `plot`.
    pub fn shade_phases(&self, plot: &mut Plot) {
        for (number, phase) in self.document.plan.phases.iter().enumerate() {
            let (from, to) = (seconds(phase.from_ns), seconds(phase.to_ns));
            plot.band(from, to, &phase.name, (number % 2 == 1).then_some(Ink::Phase));
        }
    }

    /// A table of columns over time.
    pub fn table(&self, id: &'static str, columns: &[(&str, &str, Unit)]) -> Table {
        let time = ("time", Some(Unit::Seconds));
        let names = columns.iter().map(|(_, name, unit)| (*name, Some(*unit)));
        let head: Vec<_> = std::iter::once(time).chain(names).collect();
        let mut table = Table::new(id, &head);
        let series = &self.document.series;
        let position = |name: &str| series.columns.iter().position(|column| column == name);
        let positions: Vec<_> = columns.iter().map(|(column, ..)| position(column)).collect();
        let stride = series.rows.len().div_ceil(ROWS_MAX).max(1);
        for row in series.rows.iter().step_by(stride) {
            let Some(Some(t_ns)) = row.first() else { continue };
            let cell = |at: &Option<usize>| Cell::whole(at.and_then(|at| *row.get(at)?));
            let cells = positions.iter().map(cell);
            table
                .rows
                .push(std::iter::once(Cell::Number(Some(seconds(*t_ns)))).chain(cells).collect());
        }
        table
    }
}

/// Nanoseconds as seconds.
pub fn seconds(ns: u64) -> f64 {
    number::of(ns) / 1e9
}

/// `points` with no more of them than a screen shows, the highest and the lowest of each stretch
/// kept.
pub fn thinned(points: Vec<Point>) -> Vec<Point> {
    let stretch = (points.len() * 2).div_ceil(POINTS_MAX);
    if stretch <= 2 {
        return points;
    }
    let mut kept = Vec::with_capacity(POINTS_MAX + 2);
    kept.extend(points.first());
    for stretch in points.chunks(stretch) {
        let by_height = |one: &&Point, other: &&Point| one.1.total_cmp(&other.1);
        let low = stretch.iter().min_by(by_height);
        let high = stretch.iter().max_by(by_height);
        let mut both: Vec<_> = low.into_iter().chain(high).copied().collect();
        both.sort_by(|one, other| one.0.total_cmp(&other.0));
        both.dedup();
        kept.extend(both);
    }
    kept.extend(points.last());
    kept.dedup();
    kept
}

/// The largest of all heights.
pub fn highest<'a>(lines: impl IntoIterator<Item = &'a Vec<Point>>) -> f64 {
    lines.into_iter().flatten().map(|(_, y)| *y).fold(0.0, f64::max)
}

/// The mean height of the points between two times.
pub fn mean(points: &[Point], (from, to): (f64, f64)) -> Option<f64> {
    let within = points.iter().filter(|(t, _)| (from..=to).contains(t));
    let (count, sum) = within.fold((0.0, 0.0), |(count, sum), (_, y)| (count + 1.0, sum + y));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_many_points_keeps_its_peaks_and_its_ends() {
        let mut points: Vec<Point> = (0..10_000).map(|n| (f64::from(n), 1.0)).collect();
        points[5_003].1 = 99.0;
        points[7_001].1 = -5.0;
        let thinned = thinned(points);
        assert!(thinned.len() <= POINTS_MAX + 2, "{}", thinned.len());
        assert!(thinned.contains(&(5_003.0, 99.0)) && thinned.contains(&(7_001.0, -5.0)));
        assert_eq!((thinned[0].0, thinned.last().unwrap().0), (0.0, 9_999.0));
        assert!(thinned.is_sorted_by(|one, other| one.0 < other.0));
    }

    #[test]
    fn few_points_are_all_kept() {
        let points = vec![(0.0, 1.0), (1.0, 1.0), (2.0, 3.0)];
        assert_eq!(thinned(points.clone()), points);
        assert_eq!((highest([&points]), mean(&points, (1.0, 2.0))), (3.0, Some(2.0)));
        assert_eq!(mean(&points, (5.0, 6.0)), None);
    }
}
