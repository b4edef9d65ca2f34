//! How long things took: percentile curves, latency over time, the way to a connection, the way of
//! a publication.

use std::collections::BTreeMap;

use super::axis::{Axis, Unit};
use super::number;
use super::part::Part;
use super::plot::{Ink, Plot, Point};
use super::subject::{Subject, seconds, thinned};
use super::table::{Cell, Table};
use super::timeline::time;
use crate::heat::{self, Heat};
use crate::latency::Latency;
use crate::units;

/// Points of a percentile curve in each power of ten.
const POINTS_PER_DECADE: f64 = 24.0;

/// Columns and shades of the picture of latency over time.
const COLUMNS_MAX: usize = 110;
const SHADES: f64 = 6.0;

/// Buckets of the heat that make one cell: four cells an octave.
const BUCKETS_PER_CELL: u32 = 4;

/// The distributions of the way to a connection, in their order.
const PHASES: [(&str, &str, &str); 5] = [
    ("tcp", "tcp", "TCP connect"),
    ("tls", "tls", "TLS handshake"),
    ("upgrade", "upgrade", "Upgrade"),
    ("first_msg", "first msg", "First message"),
    ("establish", "establish", "Establish"),
];

/// The distributions of what happens on a connection.
const MESSAGES: [(&str, &str, &str); 6] = [
    ("echo", "echo", "Echo"),
    ("echo_uncorrected", "echo, sent", "Echo from sending"),
    ("deliver", "deliver", "Delivery"),
    ("deliver_uncorrected", "del., sent", "Delivery from sending"),
    ("ping", "ping", "Ping"),
    ("return", "return", "Return"),
];

/// Percentile curves.
pub fn percentiles(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Part {
    let about = "Each time by the share of all that were not slower, with the tail spread out. \
                 Dashed where too few were counted to be sure of it.";
    let mut part = Part::new("percentiles", "Percentiles", about);
    for (what, lines) in [("Establishing", &PHASES[..]), ("Messages", &MESSAGES[..])] {
        let known: Vec<_> =
            lines.iter().filter_map(|line| Some((line, run.latency(line.0)?))).take(5).collect();
        let all: Vec<_> = known.iter().map(|(_, latency)| *latency).collect();
        let Some((least, most, n)) = extent(&all) else { continue };
        let y = Axis::log("latency", Unit::Nanoseconds, least, most);
        let mut plot = Plot::new(Axis::percentiles(n), y);
        let mut said = Vec::new();
        for (number, ((name, short, long), latency)) in (1..).zip(&known) {
            if let Some(before) = base.and_then(|base| base.latency(name)) {
                plot.line(curve(before, 1.0, number::of(before.n())), Ink::Base);
            }
            let n = number::of(latency.n());
            // Three times as many as lie beyond: the rule of `latency::samples_min`.
            let sure = (n / 3.0).max(2.0).min(n);
            plot.line(curve(latency, 1.0, sure), Ink::Line(number));
            plot.line(curve(latency, sure, n), Ink::Dashed(number));
            plot.end(latency.max().map_or(0.0, number::of), short, Ink::Line(number));
            let tail = latency.percentile(0.99).map(number::time);
            said.extend(tail.map(|tail| format!("{long} p99 {tail}")));
        }
        part.plot(format!("{what}. {}.", said.join(", ")), plot);
    }
    part.table(percentile_table(run));
    part
}

/// The shortest and the longest time, and the most that were counted.
fn extent(all: &[&Latency]) -> Option<(f64, f64, f64)> {
    let least = all.iter().filter_map(|latency| latency.min()).min()?;
    let most = all.iter().filter_map(|latency| latency.max()).max()?;
    let n = all.iter().map(|latency| latency.n()).max()?;
    Some((number::of(least).max(1e3), number::of(most).max(2e3), number::of(n)))
}

/// The times that all but one in x stay below, for x between two numbers.
fn curve(latency: &Latency, from: f64, to: f64) -> Vec<Point> {
    let steps = ((to / from).log10() * POINTS_PER_DECADE).ceil().max(1.0);
    let point = |step: u64| {
        let x = from * (to / from).powf(number::of(step) / steps);
        Some((x, number::of(latency.quantile(1.0 - 1.0 / x)?)))
    };
    (0..=number::whole(steps)).filter_map(point).collect()
}

fn percentile_table(run: &Subject<'_>) -> Table {
    let time = Some(Unit::Nanoseconds);
    let mut table = Table::new(
        "percentiles",
        &[
            ("what", None),
            ("n", Some(Unit::Count)),
            ("min", time),
            ("mean", time),
            ("p50", time),
            ("p90", time),
            ("p99", time),
            ("p99.9", time),
            ("p99.99", time),
            ("max", time),
        ],
    );
    let others = [
        ("echo_closed_loop", "", "Echo, one in flight"),
        ("ping_uncorrected", "", "Ping from sending"),
        ("schedule_slip", "", "Schedule slip"),
        ("self_lag", "", "Loop lag"),
        ("first_recipient", "", "First recipient"),
        ("median_recipient", "", "Half of the recipients"),
        ("p99_recipient", "", "99 % of the recipients"),
        ("last_recipient", "", "Last recipient"),
    ];
    for (name, _, long) in PHASES.iter().chain(&MESSAGES).chain(&others) {
        let Some(latency) = run.latency(name) else { continue };
        let told = [0.5, 0.9, 0.99, 0.999, 0.9999].map(|quantile| latency.percentile(quantile));
        let numbers = [Some(latency.n()), latency.min(), latency.mean()];
        let numbers = numbers.into_iter().chain(told).chain([latency.max()]);
        table
            .rows
            .push(std::iter::once(Cell::word(*long)).chain(numbers.map(Cell::whole)).collect());
    }
    table
}

/// Latency over time.
pub fn heat_map(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Part {
    let series = &run.document.series;
    let times = run.column("t_ns");
    let cells = cells(&series.heat, &times);
    let title = "Latency over time";
    let most = cells.values().copied().max().unwrap_or(0);
    if most == 0 {
        let about = "Nothing was timed second by second: idle connections send no messages.";
        return Part::new("heat", title, about);
    }
    let edges = |of: fn(u32) -> u64| cells.keys().map(move |(_, row)| number::of(of(*row)));
    let least = edges(|row| heat::lowest(row * BUCKETS_PER_CELL)).fold(f64::MAX, f64::min);
    let longest = edges(top).fold(0.0, f64::max);
    let y = Axis::log("latency", Unit::Nanoseconds, least.max(1e3), longest);
    let mut plot = Plot::new(time(run, base), y);
    run.shade_phases(&mut plot);
    let stride = times.len().div_ceil(COLUMNS_MAX).max(1);
    let tick = seconds(series.tick_ns);
    let end = |column: usize| times.get(column.min(times.len()).saturating_sub(1));
    for ((column, row), count) in &cells {
        let Some((to, _)) = end((column + 1) * stride) else { continue };
        let from =
            if *column == 0 { to - tick } else { end(column * stride).map_or(0.0, |it| it.0) };
        let shade = (number::of(*count).ln_1p() / number::of(most).ln_1p() * SHADES).ceil();
        let shade = u8::try_from(number::whole(shade)).unwrap_or(1).clamp(1, 6);
        let bottom = number::of(heat::lowest(row * BUCKETS_PER_CELL));
        plot.cell((from.max(0.0), bottom), (*to, number::of(top(*row))), Ink::Heat(shade));
    }
    if let Some(base) = base {
        plot.named("base p99", thinned(base.column("latency_p99_ns")), Ink::Base);
    }
    for (name, column) in [("p99", "latency_p99_ns"), ("p50", "latency_p50_ns")] {
        let points = run.column(column);
        plot.named(name, thinned(points), if name == "p99" { Ink::Line(2) } else { Ink::Loud });
    }
    let about = "Echoes and deliveries, each counted from when it should have been sent. The \
                 darker a cell, the more messages took so long in that second (a logarithmic \
                 scale).";
    let mut part = Part::new("heat", title, about);
    let all = run.latency("echo").into_iter().chain(run.latency("deliver")).map(Latency::n).sum();
    part.plot(format!("{} messages were timed.", units::count(all)), plot);
    part.table(run.table(
        "latency",
        &[
            ("latency_n", "n", Unit::Count),
            ("latency_p50_ns", "p50", Unit::Nanoseconds),
            ("latency_p99_ns", "p99", Unit::Nanoseconds),
            ("latency_p999_ns", "p99.9", Unit::Nanoseconds),
            ("latency_max_ns", "max", Unit::Nanoseconds),
        ],
    ));
    part
}

/// The upper edge of a row of cells.
fn top(row: u32) -> u64 {
    heat::lowest((row * BUCKETS_PER_CELL).saturating_add(BUCKETS_PER_CELL))
}

/// How many times fell into each cell, by column and row.
fn cells(heat: &Heat, times: &[Point]) -> BTreeMap<(usize, u32), u64> {
    let stride = times.len().div_ceil(COLUMNS_MAX).max(1);
    let mut cells = BTreeMap::new();
    for (tick, counts) in heat.ticks.iter().enumerate() {
        for (bucket, count) in counts {
            *cells.entry((tick / stride, bucket / BUCKETS_PER_CELL)).or_default() += count;
        }
    }
    cells
}

/// The way to a connection.
pub fn waterfall(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Part {
    let about = "Where the time of a new connection goes, each step drawn from where the median of \
                 those before it ends: half of all took no longer than the full bar, nine in ten \
                 no longer than the pale one. Establish counts from the intended start to the \
                 connection's use, waiting included.";
    let mut part = Part::new("establish", "Establishing a connection", about);
    let known: Vec<_> = PHASES
        .iter()
        .filter_map(|(name, _, long)| Some((*name, *long, run.latency(name)?)))
        .collect();
    let mut bars = Vec::new();
    let mut from = 0.0;
    for (name, long, latency) in &known {
        let at = |quantile| latency.quantile(quantile).map_or(0.0, number::of);
        let start = if *name == "establish" { 0.0 } else { from };
        bars.push((*name, *long, start, at(0.5), at(0.9), latency));
        from = start + at(0.5);
    }
    let longest = bars.iter().map(|(_, _, from, _, long, _)| from + long).fold(0.0, f64::max);
    if longest == 0.0 {
        return Part::new("establish", "Establishing a connection", "No connection was opened.");
    }
    let names: Vec<_> = bars.iter().map(|(_, long, ..)| (*long).to_owned()).collect();
    let x = Axis::from_zero("time", Unit::Nanoseconds, longest);
    let mut plot = Plot::new(x, Axis::rows("step", &names));
    let mut said = Vec::new();
    for (row, (name, long, from, half, most, latency)) in (0..).zip(bars.iter().rev()) {
        let row = f64::from(row);
        let ink = if *name == "establish" { 2 } else { 1 };
        plot.cell((*from, row + 0.22), (from + most, row + 0.78), Ink::Wash(ink));
        plot.cell((*from, row + 0.22), (from + half, row + 0.78), Ink::Line(ink));
        let before = base.and_then(|base| base.latency(name)).and_then(|it| it.quantile(0.5));
        if let Some(before) = before.map(number::of) {
            plot.cell((*from, row + 0.08), (from + before, row + 0.16), Ink::Base);
        }
        plot.end(row + 0.5, &number::time(number::whole(*half)), Ink::Loud);
        let tail = latency.percentile(0.99).map(number::time);
        let tail = tail.map_or_else(String::new, |tail| format!(", p99 {tail}"));
        said.push(format!("{long} p50 {}{tail}", number::time(number::whole(*half))));
    }
    said.reverse();
    part.plot(said.join("; ") + ".", plot);
    part
}

/// The way of a publication to all who wait for it.
pub fn spread(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Part {
    const RECIPIENTS: [(&str, &str); 4] = [
        ("first_recipient", "first"),
        ("median_recipient", "half"),
        ("p99_recipient", "99 %"),
        ("last_recipient", "last"),
    ];
    let title = "Fan-out";
    let known: Vec<_> = RECIPIENTS
        .iter()
        .filter_map(|(name, short)| Some((*name, *short, run.latency(name)?)))
        .collect();
    let all: Vec<_> = known.iter().map(|(.., latency)| *latency).collect();
    let Some((least, most, _)) = extent(&all) else {
        return Part::new("fanout", title, "Nothing was published to many: no broadcast ran.");
    };
    let names: Vec<_> = known.iter().map(|(_, short, _)| (*short).to_owned()).collect();
    let x = Axis::log("time since the intended publication", Unit::Nanoseconds, least, most);
    let mut plot = Plot::new(x, Axis::rows("recipient", &names));
    for (row, (name, _, latency)) in (0..).zip(known.iter().rev()) {
        let row = f64::from(row);
        let at = |quantile| latency.quantile(quantile).map_or(0.0, number::of);
        plot.cell((at(0.0), row + 0.42), (at(1.0), row + 0.58), Ink::Wash(1));
        plot.cell((at(0.25), row + 0.3), (at(0.75), row + 0.7), Ink::Wash(1));
        if let Some(before) = base.and_then(|base| base.latency(name)?.quantile(0.5)) {
            plot.ring((number::of(before), row + 0.5), Ink::Base);
        }
        plot.dot((at(0.5), row + 0.5), Ink::Line(1));
        plot.end(row + 0.5, &number::time(number::whole(at(0.5))), Ink::Loud);
    }
    let about = "When the first, half, 99 % and the last of all subscribers had a publication: a \
                 dot at the median publication, a box around the middle half of them, a line from \
                 the best to the worst.";
    let mut part = Part::new("fanout", title, about);
    part.plot(fanned(run), plot);
    part
}

fn fanned(run: &Subject<'_>) -> String {
    let Some(delivery) = &run.document.delivery else { return String::new() };
    let whole = delivery.spread.as_ref().map_or(0, |spread| spread.whole + spread.partial);
    let deliveries = run.latency("deliver").map_or(0, Latency::n);
    let each = deliveries.checked_div(whole).unwrap_or(0);
    format!(
        "{} publications to about {} subscribers each; {} of {} deliveries came.",
        units::count(whole),
        units::count(each),
        units::count(delivery.received),
        units::count(delivery.expected)
    )
}
