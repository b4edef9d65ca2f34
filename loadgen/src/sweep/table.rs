//! The runs of a sweep as rows, and what those of each point come to.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::path::Path;

use super::Point;
use crate::report::Findings;
use crate::units;
use crate::verdict::Exit;

/// What a run came to.
#[derive(Clone, Debug)]
pub(super) struct Row {
    point: Point,
    exit: Exit,
    cells: [Option<u64>; COLUMNS.len()],
}

/// A name, and how its numbers are told.
type Column = (&'static str, fn(u64) -> String);

/// What is told of a run.
const COLUMNS: [Column; 5] = [
    ("server user/conn", units::bytes),
    ("kernel/end", units::bytes),
    ("server CPU/conn", per_second),
    ("opened/CPU-s", units::count),
    ("messages/CPU-s", units::count),
];

/// How wide a column is.
const WIDTH: usize = 17;

impl Row {
    /// The row of `point`, where `findings` were made.
    pub(super) fn new(point: Point, findings: &Findings<'_>) -> Self {
        let charges = findings.charges;
        let hold_ns = units::ns(findings.outcome.trial.hold.len());
        // CPU time of a second of the hold, shared out over the connections.
        let cpu = |ns: u64| {
            let of_a_second = u128::from(ns) * 1_000_000_000 / u128::from(hold_ns.max(1));
            let share = of_a_second.checked_div(u128::from(charges.connections))?;
            u64::try_from(share).ok()
        };
        let cells = [
            charges.server_bytes_per_conn,
            charges.kernel_bytes_per_end,
            charges.server_hold_cpu_ns.and_then(cpu),
            charges.opened_per_server_cpu_second,
            charges.messages_per_server_cpu_second,
        ];
        Self { point, exit: findings.verdict.exit, cells }
    }

    /// What became of it, in a word.
    fn word(&self) -> &'static str {
        match self.exit {
            Exit::Held => "held",
            Exit::Broken => "BROKEN",
            Exit::Invalid => "INVALID",
            Exit::Interrupted => "interrupted",
            Exit::Unreachable => "UNREACHABLE",
            _ => "FAILED",
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeat = format!("#{}", self.point.repeat);
        let cells = self.cells.iter().zip(COLUMNS);
        let cells = cells.map(|(cell, (_, say))| cell.map_or_else(|| "-".to_owned(), say));
        f.write_str(&line(&self.point, &repeat, self.word(), cells))
    }
}

/// All rows.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
    /// How many there were to be.
    planned: usize,
}

impl Table {
    /// A table of so many rows, none of which is there yet.
    pub(super) fn new(planned: usize) -> Self {
        Self { rows: Vec::new(), planned }
    }

    /// What stands above the rows.
    pub(super) fn head() -> String {
        let names = columns(COLUMNS.iter().map(|(name, _)| (*name).to_owned()));
        format!("{:>9}{:>6}{:>5}  {:<11}{names}", "conns", "cores", "run", "")
    }

    /// Appends a row.
    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// How the program ends: as the worst of the runs.
    pub(super) fn worst(&self) -> Exit {
        let order = [Exit::Held, Exit::Broken, Exit::Invalid, Exit::Unreachable];
        let rank = |exit: &Exit| order.iter().position(|it| it == exit).unwrap_or(order.len());
        self.rows.iter().map(|row| row.exit).max_by_key(rank).unwrap_or(Exit::Held)
    }

    /// What the runs of each point come to: the medians, since one run may have met anything.
    pub(super) fn summary(&self, out: &Path) -> String {
        let mut points: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            points.entry((row.point.cores, row.point.conns)).or_default().push(row);
        }
        let mut text = String::from("\nMedians, with the least and the most of the runs\n");
        for rows in points.values() {
            let Some(first) = rows.first() else { continue };
            let held = rows.iter().filter(|row| row.exit == Exit::Held).count();
            let held = format!("{held}/{} held", rows.len());
            let cells = |pick: fn(&[u64]) -> Option<u64>| {
                let column = move |index: usize| {
                    let mut found: Vec<_> =
                        rows.iter().filter_map(|row| *row.cells.get(index)?).collect();
                    found.sort_unstable();
                    pick(&found)
                };
                let told = move |(index, (_, say)): (usize, &Column)| {
                    column(index).map_or_else(|| "-".to_owned(), say)
                };
                COLUMNS.iter().enumerate().map(told)
            };
            let spread = cells(|found| found.first().copied())
                .zip(cells(|found| found.last().copied()))
                .map(|(least, most)| format!("{least}..{most}").replace(' ', ""));
            let median = cells(|found| found.get(found.len() / 2).copied());
            let _ = writeln!(text, "{}", line(&first.point, "", &held, median));
            let _ = writeln!(text, "{:33}{}", "", columns(spread));
        }
        let (made, planned) = (self.rows.len(), self.planned);
        let out = out.display();
        let _ = writeln!(
            text,
            "\n{made} of {planned} runs; a result file each in {out} (loadgen fit makes models of \
             them)"
        );
        text
    }
}

fn line(
    point: &Point,
    repeat: &str,
    word: &str,
    cells: impl IntoIterator<Item = String>,
) -> String {
    let conns = units::count(point.conns);
    let cores = point.cores.map_or_else(|| "-".to_owned(), |cores| cores.to_string());
    format!("{conns:>9}{cores:>6}{repeat:>5}  {word:<11}{}", columns(cells))
}

fn columns(cells: impl IntoIterator<Item = String>) -> String {
    cells.into_iter().fold(String::new(), |text, cell| text + &format!("{cell:>WIDTH$}"))
}

/// CPU time of a second.
fn per_second(ns: u64) -> String {
    format!("{}/s", units::time(ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    fn row(conns: u64, repeat: u32, exit: Exit, bytes: u64) -> Row {
        let point = Point { conns, cores: NonZeroUsize::new(2), repeat };
        Row { point, exit, cells: [Some(bytes), Some(4_100), Some(2_500), None, None] }
    }

    #[test]
    fn the_runs_of_a_point_come_to_their_median_and_spread() {
        let mut table = Table::new(4);
        for (repeat, bytes) in [(1, 400), (2, 300), (3, 900)] {
            table.push(row(1_000, repeat, Exit::Held, bytes));
        }
        let summary = table.summary(Path::new("out"));
        for part in ["1,000", "3/3 held", "400 B", "300B..900B", "2.50us/s", "3 of 4 runs"] {
            assert!(summary.contains(part), "{part} is missing in {summary}");
        }
        let rows = summary.lines().filter(|line| line.contains("held"));
        assert!(rows.clone().all(|line| line.ends_with('-')), "what is unknown is no number");
        assert_eq!(rows.count(), 1);
    }

    #[test]
    fn a_sweep_ends_as_its_worst_run() {
        let mut table = Table::new(3);
        assert_eq!(table.worst(), Exit::Held);
        for (exit, worst) in [
            (Exit::Held, Exit::Held),
            (Exit::Invalid, Exit::Invalid),
            (Exit::Broken, Exit::Invalid),
            (Exit::Inconsistent, Exit::Inconsistent),
        ] {
            table.push(row(1_000, 1, exit, 400));
            assert_eq!(table.worst(), worst);
        }
    }

    #[test]
    fn rows_stand_below_their_heads() {
        let row = row(10_000, 1, Exit::Held, 400).to_string();
        assert_eq!(row.len(), Table::head().len());
    }
}
