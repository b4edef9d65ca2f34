//! One figure on both sides, and what it comes to.

use serde::Serialize;

use super::effect::{self, Effect, Estimate};
use super::figure::{Better, Figure, Reading, Unit};
use crate::result::Document;

/// Whether a figure became better or worse.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// By more than the tolerance, surely.
    Better,
    /// By more than the tolerance, surely.
    Worse,
    /// It changed by less than the tolerance, surely.
    Same,
    /// It cannot be told.
    TooFew,
}

/// What became of one figure.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What it is called.
    pub figure: String,
    /// What its numbers count.
    pub unit: &'static str,
    /// The side that is measured against: the median, the least and the most of its runs.
    pub base: Option<[f64; 3]>,
    /// The side that is judged.
    pub new: Option<[f64; 3]>,
    /// How much it changed: in parts of the base, or as a difference of shares.
    pub change: Option<f64>,
    /// In 95 of 100 cases the true change lies between these.
    pub interval: Option<[f64; 2]>,
    /// What that means.
    pub verdict: Verdict,
    /// How many samples it takes, if there were too few on one side.
    pub n_min: Option<u64>,
    /// Whether a lower number is better.
    pub lower_is_better: bool,
    /// The numbers for people.
    #[serde(skip)]
    pub told: [String; 2],
}

/// A share that grew by less is overlooked: of less, hardly anybody can measure enough.
const SHARE_NOISE: f64 = 1e-4;

impl Line {
    /// What became of `figure`; `None` if a side has not measured it at all.
    pub fn new(
        figure: &Figure,
        base: &[Document],
        new: &[Document],
        tolerance: f64,
    ) -> Option<Self> {
        let (base, new) = (Side::new(figure, base)?, Side::new(figure, new)?);
        let effect = base.effect(&new);
        let threshold = match (figure.unit, base.share) {
            #[allow(clippy::cast_precision_loss)] // counts far below 2^53
            (Unit::Share, (count, of)) => {
                (count as f64 / of.max(1) as f64 * tolerance).max(SHARE_NOISE)
            }
            _ => tolerance,
        };
        Some(Self {
            figure: figure.name.clone(),
            unit: figure.unit.name(),
            base: base.range(),
            new: new.range(),
            change: effect.map(|effect| effect.change),
            interval: effect.and_then(|effect| effect.interval),
            verdict: verdict(effect, figure.better, threshold),
            n_min: base.n_min.max(new.n_min),
            lower_is_better: figure.better == Better::Lower,
            told: [base.tell(figure), new.tell(figure)],
        })
    }
}

/// What a change means of which so much is overlooked.
fn verdict(effect: Option<Effect>, better: Better, tolerance: f64) -> Verdict {
    let Some([low, high]) = effect.and_then(|effect| effect.interval) else {
        return Verdict::TooFew;
    };
    // A rate that falls to 1 / 1.05 is as much worse as a time that grows to 1.05.
    let (fallen, grown) = (-tolerance, tolerance);
    let (is_above, is_below) = (low > grown, high < fallen);
    match (is_above, is_below, better) {
        (true, _, Better::Lower) | (_, true, Better::Higher) => Verdict::Worse,
        (true, _, Better::Higher) | (_, true, Better::Lower) => Verdict::Better,
        _ if low >= fallen && high <= grown => Verdict::Same,
        _ => Verdict::TooFew,
    }
}

/// A figure in all runs of one side.
struct Side {
    numbers: Vec<Estimate>,
    share: (u64, u64),
    n_min: Option<u64>,
}

impl Side {
    fn new(figure: &Figure, documents: &[Document]) -> Option<Self> {
        let readings: Vec<_> = documents.iter().map(|it| figure.read(it)).collect::<Option<_>>()?;
        let mut side = Self { numbers: Vec::new(), share: (0, 0), n_min: None };
        for reading in readings {
            match reading {
                Reading::Number(estimate) => side.numbers.push(estimate),
                Reading::Share(count, of) => {
                    side.share = (side.share.0 + count, side.share.1 + of);
                }
                Reading::TooFew(n_min) => side.n_min = side.n_min.max(Some(n_min)),
            }
        }
        Some(side)
    }

    fn effect(&self, new: &Self) -> Option<Effect> {
        if self.n_min.or(new.n_min).is_some() {
            return None;
        }
        if self.share.1 > 0 {
            return effect::of_shares(self.share, new.share);
        }
        if let ([base], [new]) = (self.numbers.as_slice(), new.numbers.as_slice()) {
            return effect::of_two(*base, *new);
        }
        effect::of_many(&self.sorted(), &new.sorted())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<_> = self.numbers.iter().map(|estimate| estimate.value).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    /// The median, the least and the most.
    #[allow(clippy::cast_precision_loss)] // counts far below 2^53
    fn range(&self) -> Option<[f64; 3]> {
        if self.share.1 > 0 {
            return Some([self.share.0 as f64 / self.share.1 as f64; 3]);
        }
        let values = self.sorted();
        let (low, high) =
            (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
        Some([f64::midpoint(*low, *high), *values.first()?, *values.last()?])
    }

    fn tell(&self, figure: &Figure) -> String {
        let Some([median, least, most]) = self.range() else { return "too few".to_owned() };
        let tell = |value| figure.unit.tell(value);
        if self.numbers.len() > 1 {
            format!("{} ({} to {})", tell(median), tell(least), tell(most))
        } else {
            tell(median)
        }
    }
}
