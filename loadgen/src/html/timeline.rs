//! What happened over time: connections and phases, errors by class, the cores, the generator.

use std::collections::BTreeMap;

use super::axis::{Axis, Unit};
use super::number;
use super::part::Part;
use super::plot::{Ink, Plot, Point};
use super::subject::{Subject, highest, mean, seconds, thinned};
use super::table::{Cell, Table};
use crate::units;

/// The most stretches of time that errors are counted in.
const STRETCHES_MAX: f64 = 120.0;

/// More cores than this are too low to be told apart, and only the first ones are drawn.
const CORES_MAX: usize = 16;

/// How much of a row its highest bar takes.
const ROW_FILL: f64 = 0.82;

/// Connections and phases.
pub fn connections(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Part {
    let lines = [("open", "open", Ink::Line(1)), ("pending", "pending", Ink::Line(2))];
    let found = lines.map(|(column, ..)| run.column(column));
    let before = base.map(|base| base.column("open")).unwrap_or_default();
    let most = highest(found.iter().chain([&before]));
    let y = Axis::from_zero("connections", Unit::Count, most);
    let mut plot = Plot::new(time(run, base), y);
    run.shade_phases(&mut plot);
    plot.named("base", thinned(before), Ink::Base);
    for ((_, name, ink), points) in lines.into_iter().zip(found) {
        plot.named(name, thinned(points), ink);
    }
    let mut part = Part::new(
        "connections",
        "Connections",
        "How many are open, and how many attempts are under way; the phases of the run behind.",
    );
    let Attempted { requested, opened, held } = attempted(run);
    let caption = format!("{opened} opened of {requested} asked for; {held} held.");
    if most > 0.0 {
        part.plot(caption, plot);
    }
    part.table(run.table(
        "connections",
        &[
            ("open", "open", Unit::Count),
            ("pending", "pending", Unit::Count),
            ("attempted", "attempted", Unit::Count),
            ("opened", "opened", Unit::Count),
            ("failed", "failed", Unit::Count),
            ("closed_unexpected", "closed unexpectedly", Unit::Count),
        ],
    ));
    part
}

struct Attempted {
    requested: String,
    opened: String,
    held: String,
}

fn attempted(run: &Subject<'_>) -> Attempted {
    let accounting = &run.document.accounting;
    Attempted {
        requested: units::count(u64::from(accounting.requested)),
        opened: units::count(accounting.opened),
        held: units::count(accounting.held),
    }
}

/// Errors by class.
pub fn errors(run: &Subject<'_>) -> Part {
    let mut classes: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    let is_planned = |class: &str| matches!(class, "ours" | "planned");
    for event in run.document.series.events.iter().filter(|event| !is_planned(&event.class)) {
        let points = classes.entry(&event.class).or_default();
        points.push((seconds(event.t_ns), number::of(event.count)));
    }
    if classes.is_empty() {
        let about = "No attempt failed, and no connection ended but by plan.";
        return Part::new("errors", "Errors", about);
    }
    let names: Vec<_> = classes.keys().map(|class| (*class).to_owned()).collect();
    let mut plot = Plot::new(time(run, None), Axis::rows("class of error", &names));
    run.shade_phases(&mut plot);
    let stretch = (run.seconds() / STRETCHES_MAX).max(seconds(run.document.series.tick_ns));
    let mut table = Table::new(
        "errors",
        &[("class", None), ("time", Some(Unit::Seconds)), ("count", Some(Unit::Count))],
    );
    let mut said = Vec::new();
    for (row, (class, points)) in (0..).zip(classes.iter().rev()) {
        let row = f64::from(row) + 0.09;
        let mut bars: BTreeMap<u64, f64> = BTreeMap::new();
        for (t, count) in points {
            *bars.entry(number::whole((t / stretch).floor())).or_default() += count;
            let cells = [Cell::Number(Some(*t)), Cell::Number(Some(*count))];
            table.rows.push(std::iter::once(Cell::word(*class)).chain(cells).collect());
        }
        let most = bars.values().copied().fold(1.0, f64::max);
        for (bar, count) in bars {
            let from = number::of(bar) * stretch;
            let height = row + ROW_FILL * (count / most).max(0.05);
            plot.cell((from, row), (from + stretch, height), Ink::Bad);
        }
        let count = units::count(number::whole(points.iter().map(|(_, count)| count).sum()));
        plot.end(row + 0.4, &count, Ink::Loud);
        said.push(format!("{class}: {count}"));
    }
    said.reverse();
    let about = "Attempts that failed and connections that ended without our doing, a row for each \
                 class with the sum beside it; the highest bar of each row fills it.";
    let mut part = Part::new("errors", "Errors", about);
    part.plot(said.join(", ") + ".", plot);
    part.table(table);
    part
}

/// How busy the cores were.
pub fn cores(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Part {
    let cores = run.cores();
    let share = |run: &Subject<'_>, column: &str, divisor: f64| -> Vec<Point> {
        run.column(column).into_iter().map(|(t, value)| (t, value / divisor)).collect()
    };
    let mut rows: Vec<(String, Vec<Point>, Vec<Point>)> = Vec::new();
    for (number, column) in cores.iter().enumerate().take(CORES_MAX) {
        let before = base.map(|base| share(base, column, 10.0)).unwrap_or_default();
        rows.push((format!("core {number}"), share(run, column, 10.0), before));
    }
    let all = number::of(cores.len() as u64).max(1.0);
    for (name, column) in [("server", "srv_cpu_ns"), ("loadgen", "self_cpu_ns")] {
        let of_all = |run: &Subject<'_>| -> Vec<Point> {
            run.cpu(column).into_iter().map(|(t, percent)| (t, percent / all)).collect()
        };
        let before = base.map(of_all).unwrap_or_default();
        rows.push((name.to_owned(), of_all(run), before));
    }
    rows.retain(|(_, points, _)| points.len() > 1);
    if rows.is_empty() {
        let about = "The load of the cores could not be read on this system.";
        return Part::new("cores", "CPU", about);
    }
    let names: Vec<_> = rows.iter().map(|(name, ..)| name.clone()).collect();
    let mut plot =
        Plot::new(time(run, base), Axis::rows("share of CPU time, a full row is all", &names));
    run.shade_phases(&mut plot);
    let hold = run.phase("hold").unwrap_or((0.0, f64::MAX));
    let mut said = Vec::new();
    for (row, (name, points, before)) in (0..).zip(rows.iter().rev()) {
        let row = f64::from(row) + 0.09;
        let ink = if name.starts_with("core") { Ink::Wash(1) } else { Ink::Wash(2) };
        let place = |(t, percent): &Point| (*t, row + ROW_FILL * percent.min(100.0) / 100.0);
        let line: Vec<_> = thinned(points.clone()).iter().map(place).collect();
        let before = thinned(before.clone()).iter().map(place).collect();
        plot.line(vec![(0.0, row), (f64::MAX, row)], Ink::Grid);
        plot.area(closed(line, row), ink);
        plot.line(before, Ink::Base);
        if let Some(mean) = mean(points, hold) {
            plot.end(row + 0.4, &format!("{mean:.0} %"), Ink::Loud);
            said.push(format!("{name} {mean:.0} %"));
        }
    }
    said.reverse();
    let about = "How busy each core was, and which share of all cores the two processes took; \
                 beside each row its mean in the hold.";
    let mut part = Part::new("cores", "CPU", about);
    part.plot(format!("Mean in the hold: {}.", said.join(", ")), plot);
    part.table(cpu_table(run));
    part
}

fn cpu_table(run: &Subject<'_>) -> Table {
    let cores = run.cores();
    let names: Vec<_> = (0..cores.len()).map(|number| format!("core {number}, permille")).collect();
    let columns =
        cores.iter().zip(&names).map(|(column, name)| (*column, name.as_str(), Unit::Count));
    let processes = [
        ("srv_cpu_ns", "server, CPU time in the tick", Unit::Nanoseconds),
        ("self_cpu_ns", "loadgen, CPU time in the tick", Unit::Nanoseconds),
    ];
    run.table("cores", &columns.chain(processes).collect::<Vec<_>>())
}

/// How late the generator was.
pub fn generator(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Part {
    let lines =
        [("self_lag_p99_ns", "loop lag", Ink::Line(1)), ("self_slip_p99_ns", "slip", Ink::Line(2))];
    let found = lines.map(|(column, ..)| run.column(column));
    let before = base.map(|base| base.column("self_lag_p99_ns")).unwrap_or_default();
    let most = highest(found.iter().chain([&before]));
    let about = "How late the generator's loops came round, and how late its messages left, each \
                 second's 99th percentile: what it adds to every latency.";
    let mut part = Part::new("generator", "The generator itself", about);
    if most > 0.0 {
        let least = found.iter().flatten().map(|(_, ns)| *ns).filter(|ns| *ns > 0.0);
        let least = least.fold(most, f64::min).max(1e3);
        let y = Axis::log("p99 of a second", Unit::Nanoseconds, least, most);
        let mut plot = Plot::new(time(run, base), y);
        run.shade_phases(&mut plot);
        plot.named("base lag", thinned(before), Ink::Base);
        for ((_, name, ink), points) in lines.into_iter().zip(found) {
            plot.named(name, thinned(points), ink);
        }
        part.plot(pace(run), plot);
    } else {
        part = Part::new("generator", "The generator itself", pace(run));
    }
    part.table(run.table(
        "generator",
        &[
            ("self_lag_p99_ns", "loop lag p99", Unit::Nanoseconds),
            ("self_slip_p99_ns", "schedule slip p99", Unit::Nanoseconds),
            ("self_cpu_ns", "CPU time in the tick", Unit::Nanoseconds),
            ("self_rss", "memory", Unit::Bytes),
            ("retransmits", "segments sent again", Unit::Count),
            ("listen_drops", "connections dropped by the kernel", Unit::Count),
        ],
    ));
    part
}

fn pace(run: &Subject<'_>) -> String {
    let validity = &run.document.validity;
    let mut said = match validity.lag_p99_ns {
        Some(lag) => format!("Loop lag p99 of {} in the hold", number::time(lag)),
        None => "Nothing is known of the loop lag in the hold".to_owned(),
    };
    said += &format!("; a driver took at most {} % of its core", validity.cpu_percent_max);
    if let Some(steal) = validity.steal_permille {
        said += &format!("; the hypervisor took {}.{} %", steal / 10, steal % 10);
    }
    said + "."
}

/// The corners of the area between `line` and the height `base`.
pub fn closed(mut line: Vec<Point>, base: f64) -> Vec<Point> {
    if let (Some(first), Some(last)) = (line.first().copied(), line.last().copied()) {
        line.push((last.0, base));
        line.push((first.0, base));
    }
    line
}

/// The axis of time of a run and what it is compared with.
pub fn time(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Axis {
    Axis::time(base.map_or(0.0, Subject::seconds).max(run.seconds()))
}
