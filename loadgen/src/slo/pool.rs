//! Objectives held against several runs together.
//!
//! Times are judged by their distributions merged, counts and shares by their sums, and what was
//! measured of a server or of a generator by the worst of them.

use std::collections::BTreeMap;

use super::bounds;
use super::metric::{Finding, Metric, rate};
use super::{Amount, Judgement, Objective, State};
use crate::latency::Latency;
use crate::result::Distribution;

/// Distributions by the names they have in a file.
type Distributions = BTreeMap<String, Option<Distribution>>;

/// What becomes of the objectives of some runs, each judged as `runs` say, in one whose times are
/// those of `latency`.
pub fn pooled<'a>(
    runs: impl Iterator<Item = &'a [Judgement]>,
    latency: &Distributions,
) -> Vec<Judgement> {
    let mut groups: Vec<(Option<Objective>, Vec<&Judgement>)> = Vec::new();
    for judgement in runs.flatten() {
        let objective = judgement.expr.parse::<Objective>().ok();
        let same = groups.iter_mut().find_map(|(other, parts)| {
            let is_same = match (other, &objective) {
                (Some(other), Some(objective)) => other.absorb(objective),
                _ => parts.iter().any(|part| part.expr == judgement.expr),
            };
            is_same.then_some(parts)
        });
        match same {
            Some(parts) => parts.push(judgement),
            None => groups.push((objective, vec![judgement])),
        }
    }
    groups
        .iter()
        .filter_map(|(objective, parts)| judge(objective.as_ref(), parts, latency))
        .collect()
}

fn judge(
    objective: Option<&Objective>,
    parts: &[&Judgement],
    latency: &Distributions,
) -> Option<Judgement> {
    let Some(objective) = objective else { return worst(parts) };
    let time = |name: &str| latency.get(name)?.as_ref()?.latency().ok();
    match objective.metric {
        Metric::Quantile(timed, quantile) => {
            Some(objective.judged(time(timed.name()).and_then(|it| of_quantile(&it, quantile))))
        }
        Metric::Max(timed) => {
            let known = time(timed.name()).and_then(|it| Some(known(it.max()?, it.n())));
            Some(objective.judged(known))
        }
        Metric::Mean(timed) => {
            let known = time(timed.name()).and_then(|it| Some(known(it.mean()?, it.n())));
            Some(objective.judged(known))
        }
        Metric::ServerRssPerConn
        | Metric::ServerCpu
        | Metric::ServerRssSlope
        | Metric::SelfValid => worst(parts),
        _ => Some(objective.judged(counted(objective, parts))),
    }
}

impl Objective {
    /// Makes `other` a part of this one, if they ask for the same: of connections that are to be
    /// held each run has its own number, and all together their sum.
    fn absorb(&mut self, other: &Self) -> bool {
        let is_same = self.metric == other.metric && self.relation == other.relation;
        if is_same && self.metric == Metric::ConnectionsHeld {
            self.limit += other.limit;
            let name = self.text.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            self.text = format!("{name} {}", self.limit);
            return true;
        }
        is_same && self.text == other.text
    }
}

#[allow(clippy::cast_precision_loss)] // nanoseconds and counts far below 2^53
fn known(value: u64, n: u64) -> Finding {
    Finding { value: value as f64, bounds: None, n }
}

#[allow(clippy::cast_precision_loss)] // nanoseconds of some minutes
fn of_quantile(latency: &Latency, quantile: f64) -> Option<Finding> {
    let value = latency.quantile(quantile)? as f64;
    let bounds = Some(bounds::of_quantile(latency, quantile));
    Some(Finding { value, bounds, n: latency.n() })
}

/// The sum of what was counted, of those runs that counted it.
#[allow(clippy::cast_precision_loss)] // counts far below 2^53
fn counted(objective: &Objective, parts: &[&Judgement]) -> Option<Finding> {
    let n = parts.iter().map(|part| part.n).sum();
    let is_success = matches!(objective.metric, Metric::ConnectSuccess | Metric::DeliverReach);
    let (mut sum, mut share_of) = (None, None);
    for part in parts {
        let count = match part.value {
            None => continue,
            Some(Amount::Whole(count)) => count,
            Some(Amount::Real(share)) => {
                share_of = Some(n);
                let failed = if is_success { 1.0 - share } else { share };
                whole(failed * part.n as f64)
            }
        };
        sum = Some(sum.unwrap_or(0) + count);
    }
    match share_of {
        Some(n) => rate(sum?, n, is_success),
        None => Some(known(sum?, n)),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share of a count
fn whole(count: f64) -> u64 {
    count.round().max(0.0) as u64
}

/// The one of `parts` that fared worst.
fn worst(parts: &[&Judgement]) -> Option<Judgement> {
    let rank = |part: &&&Judgement| match part.state {
        State::Held => 0,
        State::Unknown => 1,
        State::Unclear => 2,
        State::Broken => 3,
    };
    parts.iter().max_by_key(rank).map(|part| (*part).clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Origin;
    use crate::slo::Objective;

    fn judgement(expr: &str, value: f64, n: u64) -> Judgement {
        let objective: Objective = expr.parse().unwrap();
        objective.judged(Some(Finding { value, bounds: None, n }))
    }

    fn pooled_one(expr: &str, values: &[(f64, u64)]) -> Judgement {
        let runs: Vec<_> = values.iter().map(|(value, n)| [judgement(expr, *value, *n)]).collect();
        pooled(runs.iter().map(<[Judgement; 1]>::as_slice), &Distributions::new()).remove(0)
    }

    #[test]
    fn counts_are_added_and_shares_weighed() {
        let lost = pooled_one("deliver.loss <= 3", &[(2.0, 10), (2.0, 30)]);
        assert_eq!((lost.value, lost.n, lost.state), (Some(Amount::Whole(4)), 40, State::Broken));
        let success = pooled_one("connect.success >= 50%", &[(1.0, 100), (0.9, 300)]);
        assert_eq!(success.value, Some(Amount::Real(0.925)));
        assert_eq!((success.n, success.state), (400, State::Held));
    }

    #[test]
    fn connections_to_hold_are_those_of_all_runs() {
        let runs = [
            [judgement("connections.held >= 10", 10.0, 10)],
            [judgement("connections.held >= 20", 20.0, 20)],
        ];
        let runs = runs.iter().map(<[Judgement; 1]>::as_slice);
        let held = pooled(runs, &Distributions::new()).remove(0);
        assert_eq!((held.expr.as_str(), held.pass), ("connections.held >= 30", true));
        assert_eq!(held.value, Some(Amount::Whole(30)));
    }

    #[test]
    fn a_percentile_is_judged_by_the_merged_times() {
        let mut latency = Latency::default();
        (1..=1_000u64).for_each(|ms| latency.record_ns(ms * 1_000_000));
        let echo = Distribution::new(&latency, Origin::IntendedStart);
        let runs = [[judgement("echo.p50 <= 10ms", 1.0, 1)]];
        let found = pooled(
            runs.iter().map(<[Judgement; 1]>::as_slice),
            &[("echo".to_owned(), echo)].into(),
        );
        assert_eq!((found[0].n, found[0].state), (1_000, State::Broken));
    }

    #[test]
    fn what_cannot_be_added_is_told_by_its_worst() {
        let cpu = pooled_one("server.cpu <= 80%", &[(0.5, 1), (0.9, 1), (0.7, 1)]);
        assert_eq!((cpu.value, cpu.state), (Some(Amount::Real(0.9)), State::Broken));
    }
}
