//! What connections take of each resource: a line with its errors, and where it meets what a
//! machine has.

use std::collections::BTreeMap;

use super::Target;
use super::points::Point;
use crate::model::least_squares::Fit;
use crate::result::{Linear, Models};

/// So many different numbers of connections make a line that can be judged.
const LEVELS_MIN: usize = 6;

/// With fewer runs of the same number their spread says nothing.
const REPEATS_MIN: usize = 3;

/// What follows from the other columns to this part has no factor of its own.
const EXPLAINED_MAX: f64 = 0.99;

/// A bend that comes by chance in fewer cases is one.
const CURVATURE_CHANCE_MAX: f64 = 0.05;

/// Points this near to a line lie on it: what is left is rounding, and has no shape.
const ROUNDING: f64 = 1e-9;

/// The most connections that are thought of.
const CONNS_MAX: f64 = 1e12;

/// Something that connections take.
struct Resource {
    name: &'static str,
    unit: &'static str,
    of: fn(&Point) -> Option<f64>,
    /// How much of it there is, on a machine that is planned for.
    limit: fn(&Target) -> Option<f64>,
    /// What may take it beside connections as such.
    terms: &'static [Term],
}

/// Something else that takes of a resource, with its amount in a run.
type Term = (&'static str, fn(&Point) -> f64);

const KINDS: [Term; 2] = [("active", |it| it.active), ("tls", |it| it.secure)];
const WORK: [Term; 4] = [
    ("messages in", |it| it.messages_in),
    ("messages out", |it| it.messages_out),
    ("active", |it| it.active),
    ("tls", |it| it.secure),
];

#[allow(clippy::cast_precision_loss)] // what a machine has
const RESOURCES: [Resource; 5] = [
    Resource { name: "user", unit: "bytes", of: |it| it.user, limit: |_| None, terms: &KINDS },
    Resource { name: "kernel", unit: "bytes", of: |it| it.kernel, limit: |_| None, terms: &KINDS },
    Resource {
        name: "memory",
        unit: "bytes",
        of: Point::memory,
        limit: |target| target.memory.map(|bytes| bytes as f64),
        terms: &KINDS,
    },
    Resource {
        name: "files",
        unit: "files",
        of: |it| it.files,
        limit: |target| target.files.map(|files| files as f64),
        terms: &[],
    },
    Resource {
        name: "cpu",
        unit: "cores",
        of: |it| it.cpu,
        limit: |target| Some(target.cores as f64),
        terms: &WORK,
    },
];

/// Makes a model of each resource, or says why there is none.
pub(super) fn fit(points: &[Point], target: &Target, models: &mut Models) {
    for resource in RESOURCES {
        let name = resource.name.to_owned();
        match resource.model(points, target) {
            Ok(model) => {
                if !model.is_straight {
                    let most = model.range.last().copied().unwrap_or_default();
                    let reason = format!("not linear: nothing is told beyond {most} connections");
                    models.refusals.insert(name.clone(), reason);
                }
                models.linear.insert(name, model);
            }
            Err(reason) => {
                models.refusals.insert(name, reason);
            }
        }
    }
}

impl Resource {
    fn model(&self, points: &[Point], target: &Target) -> Result<Linear, String> {
        let known = points.iter().filter_map(|point| Some((point, (self.of)(point)?)));
        let (points, values): (Vec<_>, Vec<_>) = known.unzip();
        if points.is_empty() {
            return Err("it was not measured (the server must run on this machine)".to_owned());
        }
        let levels = levels(&points);
        if levels.len() < LEVELS_MIN {
            let found = levels.len();
            return Err(format!(
                "it takes {LEVELS_MIN} different numbers of connections, and there are {found} \
                 (loadgen sweep makes them)"
            ));
        }
        let weights = weights(&points, &values, &levels);
        let conns: Vec<_> = points.iter().map(|point| point.conns).collect();
        let mut columns = vec![vec![1.0; points.len()], conns.clone()];
        let terms = add_terms(self.terms, &points, &mut columns);
        let fit = Fit::new(&columns, &values, &weights)
            .ok_or("these runs are too few or too alike for a model")?;
        let chance = curvature(&columns, &values, &weights, &fit);
        let least = conns.iter().copied().fold(f64::INFINITY, f64::min);
        let most = conns.iter().copied().fold(0.0, f64::max);
        let line = Line { fit: &fit, ratios: ratios(&terms, &points), weight: last(&weights) };
        let is_straight = chance.is_none_or(|chance| chance >= CURVATURE_CHANCE_MAX);
        let limit = (self.limit)(target).map(|all| all * (1.0 - target.headroom));
        let end = if is_straight { CONNS_MAX } else { most };
        let factor = |at: usize| {
            let of = |list: &[f64]| list.get(at).copied().unwrap_or(f64::NAN);
            (of(&fit.coefficients), of(&fit.errors))
        };
        let ((a, se_a), (b, se_b)) = (factor(0), factor(1));
        let terms = (2..).zip(&terms).map(|(at, (name, _))| {
            let (value, error) = factor(at);
            ((*name).to_owned(), value, error)
        });
        Ok(Linear {
            unit: self.unit.to_owned(),
            a,
            se_a,
            b,
            se_b,
            terms: terms.collect(),
            r2: fit.r2,
            range: [least, most],
            points: conns.iter().zip(&values).map(|(n, value)| [*n, *value]).collect(),
            curvature_chance: chance,
            is_straight,
            limit,
            conns: limit.and_then(|limit| line.meets(limit, 0.0, end)),
            conns_within: limit.and_then(|limit| {
                Some((line.meets(limit, 1.0, end)?, line.meets(limit, -1.0, end)))
            }),
        })
    }
}

/// A model along the number of connections, all else growing in the proportion of the largest run.
struct Line<'a> {
    fit: &'a Fit,
    /// How much there is of each further term for a connection.
    ratios: Vec<f64>,
    /// How sure one run of the largest number is.
    weight: f64,
}

impl Line<'_> {
    /// How many connections take `limit`, with `reaches` times half the prediction interval added;
    /// not above `end`. `None` if even that many do not.
    fn meets(&self, limit: f64, reaches: f64, end: f64) -> Option<f64> {
        let taken = |conns: f64| {
            let row: Vec<_> =
                [1.0, conns].into_iter().chain(self.ratios.iter().map(|it| it * conns)).collect();
            let reach = if reaches == 0.0 { 0.0 } else { self.fit.reach(&row, self.weight) };
            self.fit.at(&row) + reaches * reach
        };
        if taken(end) < limit {
            return (end < CONNS_MAX).then_some(end);
        }
        let (mut low, mut high) = (0.0, end);
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if taken(middle) < limit { low = middle } else { high = middle }
        }
        Some(low)
    }
}

/// The numbers of connections, each with the places of its runs.
///
/// Numbers within a hundredth of each other are one: not every attempt succeeds.
fn levels(points: &[&Point]) -> BTreeMap<u64, Vec<usize>> {
    let mut levels: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (place, point) in points.iter().enumerate() {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small whole number
        let level = (point.conns.max(1.0).ln() * 100.0).round() as u64;
        let near =
            levels.range(level.saturating_sub(1)..=level + 1).next().map(|(level, _)| *level);
        levels.entry(near.unwrap_or(level)).or_default().push(place);
    }
    levels
}

/// How much each run counts: as little as runs of its number differ much, if all numbers were
/// repeated. Variances of few runs are themselves unsure, so none counts for less than a tenth of
/// the mean one.
#[allow(clippy::cast_precision_loss)] // some runs
fn weights(points: &[&Point], values: &[f64], levels: &BTreeMap<u64, Vec<usize>>) -> Vec<f64> {
    let equal = vec![1.0; points.len()];
    if levels.values().any(|places| places.len() < REPEATS_MIN) {
        return equal;
    }
    let variance = |places: &Vec<usize>| {
        let of: Vec<_> = places.iter().filter_map(|place| values.get(*place)).collect();
        let mean = of.iter().copied().sum::<f64>() / of.len() as f64;
        of.iter().map(|value| (*value - mean).powi(2)).sum::<f64>() / (of.len() - 1) as f64
    };
    let variances: Vec<_> = levels.values().map(variance).collect();
    let mean = variances.iter().sum::<f64>() / variances.len() as f64;
    if mean <= 0.0 {
        return equal;
    }
    let mut weights = equal;
    for (places, variance) in levels.values().zip(variances) {
        for place in places {
            if let Some(weight) = weights.get_mut(*place) {
                *weight = mean / variance.max(mean / 10.0);
            }
        }
    }
    weights
}

/// Adds a column for each of `terms` that does not follow from those before, and returns these.
fn add_terms(terms: &[Term], points: &[&Point], columns: &mut Vec<Vec<f64>>) -> Vec<Term> {
    let mut added = Vec::new();
    for (name, of) in terms {
        let column: Vec<_> = points.iter().map(|point| of(point)).collect();
        // A column more, and at least two points must be left to tell how far they are off.
        let has_room = points.len() >= columns.len() + 3;
        let others = Fit::new(columns, &column, &vec![1.0; points.len()]);
        let is_own = others.is_some_and(|others| others.r2 < EXPLAINED_MAX);
        if has_room && is_own {
            columns.push(column);
            added.push((*name, *of));
        }
    }
    added
}

/// How much of each term goes with a connection, in the largest run.
fn ratios(terms: &[Term], points: &[&Point]) -> Vec<f64> {
    let largest = points.iter().max_by(|one, other| one.conns.total_cmp(&other.conns));
    let ratio = |(_, of): &Term| largest.map_or(0.0, |point| of(point) / point.conns.max(1.0));
    terms.iter().map(ratio).collect()
}

/// The chance to find a line bent as much as this one if it is straight; `None` where the points
/// lie on it to the last digit.
fn curvature(columns: &[Vec<f64>], values: &[f64], weights: &[f64], fit: &Fit) -> Option<f64> {
    let largest = values.iter().copied().fold(0.0, f64::max);
    let conns = columns.get(1)?;
    if fit.deviation <= ROUNDING * largest {
        return None;
    }
    let most = conns.iter().copied().fold(1.0, f64::max);
    let squares = conns.iter().map(|n| (n / most).powi(2)).collect();
    let bent: Vec<_> = columns.iter().cloned().chain([squares]).collect();
    Some(Fit::new(&bent, values, weights)?.chance(columns.len()))
}

fn last(weights: &[f64]) -> f64 {
    weights.last().copied().unwrap_or(1.0)
}
