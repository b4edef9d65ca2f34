//! Memory against connections: what one more of them takes, as the slope of a line.

use super::axis::{Axis, Unit};
use super::number;
use super::part::Part;
use super::plot::{Ink, Plot, Point};
use super::subject::{Subject, highest};
use super::table::{Cell, Table};
use crate::units;

/// Fewer points than this make no line.
const POINTS_MIN: usize = 10;

/// The most dots of a colour.
const DOTS_MAX: usize = 150;

/// How far from the slope found, in standard errors, the true one is in 95 of 100 cases.
const REACH: f64 = 1.96;

/// A line through points, by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    /// Where it is at 0.
    rise: f64,
    slope: f64,
    /// The standard error of the slope.
    error: f64,
}

impl Line {
    fn through(points: &[Point]) -> Option<Self> {
        if points.len() < POINTS_MIN {
            return None;
        }
        let n = number::of(points.len() as u64);
        let mean = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>() / n;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let square: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        let product: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        // All at the same number of connections: nothing grew.
        if square < 1.0 {
            return None;
        }
        let slope = product / square;
        let rise = y - slope * x;
        let residuals = points.iter().map(|point| (point.1 - rise - slope * point.0).powi(2));
        let error = (residuals.sum::<f64>() / (n - 2.0) / square).sqrt();
        Some(Self { rise, slope, error })
    }

    fn at(self, x: f64) -> f64 {
        self.rise + self.slope * x
    }
}

/// Memory by the number of connections.
pub fn memory(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Part {
    let title = "Memory by connections";
    let kinds = ["server", "kernel", "loadgen"];
    let (found, before) = (kinds.map(|kind| grown(run, kind)), base.map(|it| grown(it, "server")));
    let before = before.unwrap_or_default();
    let (most, conns) = (highest(found.iter().chain([&before])), widest(&found));
    let lines = found.each_ref().map(|points| Line::through(points));
    if lines.iter().all(Option::is_none) && most > 0.0 {
        let about = "Connections came within too few ticks to draw a line (--tick makes more).";
        return Part::new("memory", title, about);
    }
    if most == 0.0 || conns == 0.0 {
        let about = "Memory could not be read: the server runs elsewhere, or the system does not \
                     tell.";
        return Part::new("memory", title, about);
    }
    let x = Axis::from_zero("open connections", Unit::Count, conns);
    let mut plot = Plot::new(x, Axis::from_zero("memory", Unit::Bytes, most));
    let mut table = Table::new(
        "memory",
        &[
            ("of", None),
            ("a connection", Some(Unit::Bytes)),
            ("plus or minus", Some(Unit::Bytes)),
            ("without any", Some(Unit::Bytes)),
            ("points", Some(Unit::Count)),
        ],
    );
    let dots = |points: &[Point]| -> Vec<Point> {
        points.iter().step_by(points.len().div_ceil(DOTS_MAX).max(1)).copied().collect()
    };
    for dot in dots(&before) {
        plot.ring(dot, Ink::Base);
    }
    let mut said = Vec::new();
    for (((number, kind), points), line) in (1..).zip(kinds).zip(&found).zip(lines) {
        for dot in dots(points) {
            plot.dot(dot, Ink::Wash(number));
        }
        let Some(line) = line else { continue };
        let reach = REACH * line.error;
        plot.line(vec![(0.0, line.at(0.0)), (conns, line.at(conns))], Ink::Line(number));
        plot.end(line.at(conns), kind, Ink::Line(number));
        said.push(format!(
            "{kind} {} ± {} a connection",
            units::bytes(number::whole(line.slope)),
            units::bytes(number::whole(reach))
        ));
        let numbers = [line.slope, reach, line.rise, number::of(points.len() as u64)];
        let numbers = numbers.map(|number| Cell::Number(Some(number.round())));
        table.rows.push(std::iter::once(Cell::word(kind)).chain(numbers).collect());
    }
    let ends = match run.document.cost.ends_here {
        2 => {
            "; both ends of each connection are on this machine, and the kernel does not tell \
              them apart"
        }
        _ => "",
    };
    let about = format!(
        "A dot for each tick while connections were opened and held, and the line through them: \
         its slope is what one more connection takes, ± what it may be off in 95 of 100 \
         cases{ends}."
    );
    let mut part = Part::new("memory", title, about);
    part.plot(said.join("; ") + ".", plot);
    part.table(table);
    part
}

/// Memory of one kind by connections, until the hold has ended: what is given back after that
/// depends on the allocator's mood.
fn grown(run: &Subject<'_>, kind: &str) -> Vec<Point> {
    let end = run.phase("hold").map_or(f64::MAX, |(_, to)| to);
    let ticks = run.column("t_ns").iter().take_while(|(t, _)| *t <= end).count();
    let column =
        |name: &str| -> Vec<Point> { run.pairs("open", name).into_iter().take(ticks).collect() };
    match kind {
        "server" => column("srv_rss"),
        "loadgen" => column("self_rss"),
        _ => {
            let (slab, tcp) = (column("kernel_slab"), column("kernel_tcp"));
            slab.iter().zip(&tcp).map(|((open, slab), (_, tcp))| (*open, slab + tcp)).collect()
        }
    }
}

fn widest(found: &[Vec<Point>]) -> f64 {
    found.iter().flatten().map(|(open, _)| *open).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_slope_and_the_rise_of_its_points() {
        let points: Vec<Point> = (0..20).map(f64::from).map(|n| (n, 100.0 + 8.0 * n)).collect();
        let line = Line::through(&points).unwrap();
        assert!((line.slope - 8.0).abs() < 1e-9 && (line.rise - 100.0).abs() < 1e-9);
        assert!(line.error < 1e-9 && (line.at(10.0) - 180.0).abs() < 1e-9);
        assert_eq!(Line::through(&points[..9]), None, "too few");
        assert_eq!(Line::through(&[(5.0, 1.0); 30]), None, "nothing grew");
    }
}
