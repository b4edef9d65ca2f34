//! What a server is to keep: `echo.p99.9 <= 50ms`, `connect.success >= 99.99%`, `seq.gap == 0`.
//!
//! ```text
//!   NAME RELATION LIMIT   --parse-->  Objective  --judge(evidence)-->  Judgement
//! ```
//!
//! A quantile or a rate is judged by a bound and not by what happened to be found: it holds if it
//! is on the right side in 95 of 100 cases, it is broken if it is on the wrong side as surely, and
//! otherwise too little was measured to tell, which the judgement says with the number needed.

pub mod bounds;
mod metric;
mod pool;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use self::bounds::Bounds;
pub use self::metric::Metric;
use self::metric::{Finding, Unit};
pub use self::pool::pooled;
use crate::charge::Charges;
use crate::fleet::{Resized, Trial};
use crate::latency;
use crate::series::Series;
use crate::units;

/// One thing that is to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    metric: Metric,
    relation: Relation,
    limit: f64,
    text: String,
}

/// How a value is to stand to its limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Relation {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
}

/// Longer signs first, so that `<=` is not taken for `<`.
const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("==", Relation::Equal),
    ("<", Relation::Below),
    (">", Relation::Above),
];

/// What objectives are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// How the connections were opened.
    pub resized: &'a Resized,
    /// How they were held.
    pub trial: &'a Trial,
    /// What they cost.
    pub charges: &'a Charges,
    /// What happened tick by tick.
    pub series: &'a Series,
    /// Whether the generator kept pace.
    pub is_valid: bool,
}

/// What became of an objective.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It held.
    Held,
    /// It did not.
    Broken,
    /// Too little was measured to tell.
    Unclear,
    /// Nothing of it was measured.
    Unknown,
}

/// A number in base units: whole if it can be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// Nanoseconds, bytes, or a count.
    Whole(u64),
    /// A share, or a change that may be negative.
    Real(f64),
}

/// An objective with what was found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Judgement {
    /// What was to hold.
    pub expr: String,
    /// What was found.
    pub value: Option<Amount>,
    /// The bound that was judged by: in 95 of 100 cases the value is not beyond it.
    #[serde(default)]
    pub bound: Option<Amount>,
    /// Whether it held.
    pub pass: bool,
    /// Of how many.
    pub n: u64,
    /// What became of it.
    pub state: State,
    /// How many it takes to tell, if these were too few.
    #[serde(default)]
    pub n_min: Option<u64>,
    /// What the numbers count.
    #[serde(default)]
    pub unit: Unit,
}

impl Objective {
    /// What is measured.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Holds it against what was measured.
    pub fn judge(&self, evidence: &Evidence<'_>) -> Judgement {
        self.judged(self.metric.find(evidence, self.is_share()))
    }

    /// Holds it against what was found.
    fn judged(&self, found: Option<Finding>) -> Judgement {
        let Some(Finding { value, bounds, n }) = found else {
            return self.judgement(None, None, 0, State::Unknown);
        };
        // That none failed is no guess about others.
        let bounds = bounds.filter(|_| !self.is_absolute());
        let state = self.state(value, bounds);
        let bound = bounds.and_then(|bounds| self.bound(bounds));
        self.judgement(Some(value), bound, n, state)
    }

    fn judgement(&self, value: Option<f64>, bound: Option<f64>, n: u64, state: State) -> Judgement {
        let amount = |value| Amount::new(value, self.metric.unit(self.is_share()));
        Judgement {
            expr: self.text.clone(),
            value: value.map(amount),
            bound: bound.map(amount),
            pass: state == State::Held,
            n,
            state,
            n_min: (state == State::Unclear).then(|| self.n_min(n)).flatten(),
            unit: self.metric.unit(self.is_share()),
        }
    }

    /// On which side of the limit the value is, and how surely.
    fn state(&self, value: f64, bounds: Option<Bounds>) -> State {
        let Some(Bounds { low, high }) = bounds else {
            return if self.relation.holds(value, self.limit) {
                State::Held
            } else {
                State::Broken
            };
        };
        let surely =
            |bound: Option<f64>| bound.is_some_and(|bound| self.relation.holds(bound, self.limit));
        let surely_not =
            |bound: Option<f64>| bound.is_some_and(|bound| !self.relation.holds(bound, self.limit));
        let (worst, best) = if self.relation.is_upper() { (high, low) } else { (low, high) };
        if surely(worst) {
            State::Held
        } else if surely_not(best) {
            State::Broken
        } else {
            State::Unclear
        }
    }

    /// The bound that decides.
    fn bound(&self, bounds: Bounds) -> Option<f64> {
        if self.relation.is_upper() { bounds.high } else { bounds.low }
    }

    /// How many samples it takes at least, if more than `n`.
    fn n_min(&self, n: u64) -> Option<u64> {
        let quantile = match self.metric {
            Metric::Quantile(_, quantile) => quantile,
            _ if self.relation.is_upper() => 1.0 - self.limit,
            _ => self.limit,
        };
        Some(latency::samples_min(quantile)).filter(|n_min| *n_min > n)
    }

    /// Whether all or none are asked for.
    fn is_absolute(&self) -> bool {
        let is_share = self.metric.unit(self.is_share()) == Unit::Share;
        is_share && (self.limit <= 0.0 || self.limit >= 1.0)
    }

    /// Whether a count is meant as a share of all.
    fn is_share(&self) -> bool {
        self.text.ends_with('%')
    }
}

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (sign, relation) = RELATIONS
            .iter()
            .find(|(sign, _)| text.contains(sign))
            .ok_or("expected NAME <= LIMIT, or another of < >= > ==")?;
        let (name, limit) = text.split_once(sign).unwrap_or_default();
        let metric: Metric = name.trim().parse()?;
        let limit = metric.parse_limit(limit.trim())?;
        let text = format!(
            "{} {sign} {}",
            name.trim(),
            text.split_once(sign).unwrap_or_default().1.trim()
        );
        if *relation == Relation::Equal && metric.is_bounded() {
            return Err(format!("{} is never exactly known: use <= or >=", name.trim()));
        }
        Ok(Self { metric, relation: *relation, limit, text })
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Relation {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::AtMost => value <= limit,
            Self::Below => value < limit,
            Self::AtLeast => value >= limit,
            Self::Above => value > limit,
            Self::Equal => (value - limit).abs() < f64::EPSILON,
        }
    }

    /// Whether the limit is above what is allowed.
    const fn is_upper(self) -> bool {
        matches!(self, Self::AtMost | Self::Below | Self::Equal)
    }
}

impl Amount {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative, and whole
    fn new(value: f64, unit: Unit) -> Self {
        match unit {
            Unit::Share | Unit::BytesPerMinute => Self::Real(value),
            _ => Self::Whole(value.round() as u64),
        }
    }
}

impl Judgement {
    /// The value for people.
    pub fn told(&self) -> String {
        self.value.map_or_else(|| "not measured".to_owned(), |value| self.in_words(value))
    }

    /// What became of it, for people.
    pub fn reason(&self) -> String {
        let value = self.told();
        let bound = self.bound.map(|bound| format!(", bound {}", self.in_words(bound)));
        let needed = match (self.state, self.n_min) {
            (State::Unclear, Some(n)) => format!("; it takes {} to tell", units::count(n)),
            (State::Unclear, None) => "; too close to tell".to_owned(),
            _ => String::new(),
        };
        format!("{value}{}, n {}{needed}", bound.unwrap_or_default(), units::count(self.n))
    }

    fn in_words(&self, amount: Amount) -> String {
        match (amount, self.unit) {
            (Amount::Whole(ns), Unit::Ns) => units::time(ns),
            (Amount::Whole(bytes), Unit::Bytes) => units::bytes(bytes),
            (Amount::Whole(truth), Unit::Truth) => (truth == 1).to_string(),
            (Amount::Whole(count), _) => units::count(count),
            (Amount::Real(share), Unit::Share) => format!("{:.4} %", share * 100.0),
            (Amount::Real(bytes), _) => format!("{:.3} MiB/min", bytes / 1_048_576.0),
        }
    }
}

#[cfg(test)]
mod tests;
