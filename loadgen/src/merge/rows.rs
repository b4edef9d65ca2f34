//! Series laid side by side, tick by tick.

use std::collections::BTreeMap;

use crate::heat::{Heat, quantile_of};
use crate::result::Document;
use crate::series::{Event, Series};

/// Columns of which each run has its own share. Of all others, which tell of a machine that several
/// may have watched, and of percentiles, the largest is told.
const SHARED_OUT: [&str; 14] = [
    "open",
    "pending",
    "attempted",
    "opened",
    "failed",
    "closed_unexpected",
    "sent",
    "received",
    "pings",
    "latency_n",
    "self_cpu_ns",
    "self_rss",
    "sent_bytes",
    "received_bytes",
];

/// Percentiles, which are told anew from what was counted in the tick, to 6 %.
const QUANTILES: [(&str, f64); 3] =
    [("latency_p50_ns", 0.5), ("latency_p99_ns", 0.99), ("latency_p999_ns", 0.999)];

/// A cell by the name of its column.
type Cells<'a> = BTreeMap<&'a str, Option<u64>>;

/// One tick of all runs.
#[derive(Default)]
struct Tick<'a> {
    cells: Cells<'a>,
    heat: BTreeMap<u32, u64>,
}

/// The series of all `documents`, each counted from its own beginning.
pub(super) fn side_by_side(documents: &[&Document]) -> Series {
    let all: Vec<_> = documents.iter().map(|document| &document.series).collect();
    let tick_ns = all.first().map_or(0, |series| series.tick_ns);
    let columns = columns(&all);
    let mut ticks: BTreeMap<u64, Tick<'_>> = BTreeMap::new();
    let mut events: BTreeMap<(u64, String), u64> = BTreeMap::new();
    let number = |t_ns: u64| t_ns.checked_div(tick_ns).unwrap_or(0);
    for series in &all {
        let empty = BTreeMap::new();
        let heats = series.heat.ticks.iter().chain(std::iter::repeat(&empty));
        for (row, heat) in series.rows.iter().zip(heats) {
            let t_ns = row.first().copied().flatten().unwrap_or(0);
            ticks.entry(number(t_ns)).or_default().add(&series.columns, row, heat);
        }
        for event in &series.events {
            *events.entry((event.t_ns, event.class.clone())).or_default() += event.count;
        }
    }
    // An event is told at the time of its row, which is that of the last of the runs.
    let time = |t_ns| ticks.get(&number(t_ns)).and_then(|tick| *tick.cells.get("t_ns")?);
    let mut told: BTreeMap<(u64, String), u64> = BTreeMap::new();
    for ((t_ns, class), count) in events {
        *told.entry((time(t_ns).unwrap_or(t_ns), class)).or_default() += count;
    }
    let rows = ticks.values().map(|tick| tick.row(&columns)).collect();
    let heats: Vec<_> = all.iter().map(|series| &series.heat).collect();
    let buckets_per_octave = heats.iter().map(|heat| heat.buckets_per_octave).max().unwrap_or(0);
    let heat = ticks.into_values().map(|tick| tick.heat).collect();
    Series {
        tick_ns,
        columns: columns.into_iter().map(str::to_owned).collect(),
        rows,
        events: told
            .into_iter()
            .map(|((t_ns, class), count)| Event { t_ns, class, count })
            .collect(),
        heat: Heat { buckets_per_octave, ticks: heat },
    }
}

/// The columns of all, in the order in which they are met.
fn columns<'a>(all: &[&'a Series]) -> Vec<&'a str> {
    let mut columns = Vec::new();
    for name in all.iter().flat_map(|series| &series.columns) {
        if !columns.contains(&name.as_str()) {
            columns.push(name.as_str());
        }
    }
    columns
}

impl<'a> Tick<'a> {
    fn add(&mut self, columns: &'a [String], row: &[Option<u64>], heat: &BTreeMap<u32, u64>) {
        for (name, cell) in columns.iter().zip(row) {
            let is_shared_out = SHARED_OUT.contains(&name.as_str());
            let sum = |sum: Option<u64>| {
                if is_shared_out { Some(sum? + (*cell)?) } else { sum.max(*cell) }
            };
            self.cells.entry(name).and_modify(|it| *it = sum(*it)).or_insert(*cell);
        }
        for (bucket, count) in heat {
            *self.heat.entry(*bucket).or_default() += count;
        }
    }

    fn row(&self, columns: &[&str]) -> Vec<Option<u64>> {
        let cell = |name: &&str| {
            let known = *self.cells.get(name)?;
            let quantile = QUANTILES.iter().find(|(column, _)| column == name);
            let anew = |(_, quantile): &(&str, f64)| {
                (!self.heat.is_empty()).then(|| quantile_of(&self.heat, *quantile))
            };
            quantile.map_or(known, anew)
        };
        columns.iter().map(cell).collect()
    }
}
