//! A search for a capacity: each trial, and the bracket that it came to.

use super::axis::{Axis, Unit};
use super::number;
use super::part::Part;
use super::plot::{Ink, Plot};
use super::subject::Subject;
use super::table::{Cell, Table};
use crate::result::{Capacity, CapacityStep};
use crate::units;

/// With more failures than this only the last of them are named.
const NAMED_MAX: usize = 6;

const TITLE: &str = "Capacity";

/// The trials of a search.
pub fn ladder(run: &Subject<'_>, base: Option<&Subject<'_>>) -> Part {
    let Some(capacity) = run.document.capacity.as_ref().filter(|it| !it.steps.is_empty()) else {
        return Part::new("capacity", TITLE, "No capacity was searched for (loadgen capacity).");
    };
    let before = base.and_then(|base| base.document.capacity.as_ref());
    let steps = || capacity.steps.iter().chain(before.iter().flat_map(|it| &it.steps));
    let most = steps().map(|step| step.n).max().map_or(1.0, number::of);
    let least = steps().map(|step| step.n).min().map_or(1.0, number::of);
    let count = before.map_or(0, |before| before.steps.len()).max(capacity.steps.len());
    let y = if most / least.max(1.0) > 20.0 {
        Axis::log(&capacity.unit, Unit::Count, least, most)
    } else {
        Axis::from_zero(&capacity.unit, Unit::Count, most)
    };
    let x = Axis::from_zero("trial", Unit::Count, number::of(count as u64 + 1));
    let right = x.ends().1;
    let mut plot = Plot::new(x, y);
    if let [Some(low), high] = capacity.n_slo.map(|n| n.map(number::of)) {
        let high = high.unwrap_or(low);
        plot.cell((0.0, low), (right, high), Ink::Wash(1));
        plot.line(vec![(0.0, low), (right, low)], Ink::Line(1));
        plot.end(low, &number::tick(Unit::Count, low), Ink::Line(1));
    }
    if let Some(low) = before.and_then(|before| before.n_slo[0]).map(number::of) {
        plot.line(vec![(0.0, low), (right, low)], Ink::Base);
        plot.end(low, "base", Ink::Base);
    }
    let failures = capacity.steps.iter().filter(|step| !step.pass).count();
    let mut failed = 0;
    for (number, step) in (1..).zip(&capacity.steps) {
        let at = (f64::from(number), number::of(step.n));
        if step.pass {
            plot.dot(at, Ink::Good);
            continue;
        }
        plot.cross(at, Ink::Bad);
        failed += 1;
        if failed + NAMED_MAX > failures {
            plot.say(at, step.binding.as_deref().unwrap_or("failed"), Ink::Bad);
        }
    }
    let about = "Each trial of the search in its order: a dot passed, a cross did not, with what \
                 kept it from passing. The band lies between the highest number that was verified \
                 and the lowest that failed.";
    let mut part = Part::new("capacity", TITLE, about);
    part.plot(found(capacity), plot);
    part.table(table(capacity));
    part
}

fn found(capacity: &Capacity) -> String {
    let end = |n: Option<u64>| n.map_or_else(|| "none".to_owned(), units::count);
    let bracket = |[low, high]: [Option<u64>; 2]| {
        format!("verified {}, lowest failure {}", end(low), end(high))
    };
    format!(
        "{} Without any error: {}. Within the objectives: {}.{}",
        capacity.reason,
        bracket(capacity.n_zero),
        bracket(capacity.n_slo),
        if capacity.quick { " A quick search: its trials were short." } else { "" }
    )
}

fn table(capacity: &Capacity) -> Table {
    let mut table = Table::new(
        "capacity",
        &[
            ("phase", None),
            (capacity.unit.as_str(), Some(Unit::Count)),
            ("trial", Some(Unit::Count)),
            ("held", Some(Unit::Seconds)),
            ("result", None),
            ("kept from passing by", None),
            ("in words", None),
        ],
    );
    let result = |step: &CapacityStep| match (step.pass, step.pass_zero) {
        (_, true) => "passed without any error",
        (true, false) => "passed",
        (false, false) => "failed",
    };
    let row = |step: &CapacityStep| {
        vec![
            Cell::word(step.phase.as_str()),
            Cell::whole(Some(step.n)),
            Cell::whole(Some(step.trial.into())),
            Cell::Number(Some(step.hold_s)),
            Cell::word(result(step)),
            Cell::word(step.binding.as_deref().unwrap_or_default()),
            Cell::word(step.reasons.join("; ")),
        ]
    };
    table.rows = capacity.steps.iter().map(row).collect();
    table
}
