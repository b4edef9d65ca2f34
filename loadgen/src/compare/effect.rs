//! How much larger one side is than the other, and how sure that is.
//!
//! Sizes and times are compared as ratios, so all arithmetic is on their logarithms; shares are
//! compared as differences, since a share of zero has no logarithm.

use crate::model::student;
use crate::slo::bounds;

/// How often an interval may miss on one side: 95 of 100 lie within.
pub const RISK: f64 = 0.025;

/// A value, and between which values the true one lies, if that can be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// In 95 of 100 cases the true one lies between these.
    pub interval: Option<[f64; 2]>,
}

/// A change from one side to the other: of a ratio in parts of 1, or of a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The change.
    pub change: f64,
    /// In 95 of 100 cases the true one lies between these.
    pub interval: Option<[f64; 2]>,
}

/// The change from `base` to `new` of one run each.
///
/// Both intervals make one by the recovery of variances (MOVER, Donner and Zou 2012), which keeps
/// their asymmetry.
pub fn of_two(base: Estimate, new: Estimate) -> Option<Effect> {
    let (from, to) = (logarithm(base)?, logarithm(new)?);
    let change = to.value - from.value;
    let interval = from
        .interval
        .zip(to.interval)
        .map(|(from_within, to_within)| difference(from.value, from_within, to.value, to_within));
    Some(exponential(change, interval))
}

/// The change from the runs `base` to the runs `new`, by how they differ among themselves.
///
/// `None` if a side is empty, if all is one run each, or if a value is not above zero.
pub fn of_many(base: &[f64], new: &[f64]) -> Option<Effect> {
    let (from, to) = (Group::new(base)?, Group::new(new)?);
    let change = to.mean - from.mean;
    let (error, freedom) = from.error_with(&to)?;
    let reach = error * student::quantile(1.0 - RISK, freedom);
    // Few runs that came out exactly alike show how coarsely they were measured, not how sure they
    // are: a page of memory more for a thousand connections would be a regression beyond doubt.
    let is_known = error > 0.0 || change == 0.0;
    Some(exponential(change, is_known.then_some([change - reach, change + reach])))
}

/// The change of a share that is `base` of so many, and then `new` of so many.
#[allow(clippy::cast_precision_loss)] // counts far below 2^53
pub fn of_shares(base: (u64, u64), new: (u64, u64)) -> Option<Effect> {
    let share = |(count, of): (u64, u64)| (of > 0).then(|| count as f64 / of as f64);
    let within = |(count, of)| {
        let found = bounds::of_rate_at(count, of, RISK);
        Some([found.low?, found.high?])
    };
    let (from, to) = (share(base)?, share(new)?);
    let interval = within(base)
        .zip(within(new))
        .map(|(from_within, to_within)| difference(from, from_within, to, to_within));
    Some(Effect { change: to - from, interval })
}

/// Between what the difference of two values lies that lie within their intervals.
fn difference(from: f64, from_within: [f64; 2], to: f64, to_within: [f64; 2]) -> [f64; 2] {
    let [from_low, from_high] = from_within;
    let [to_low, to_high] = to_within;
    let change = to - from;
    [change - (to - to_low).hypot(from_high - from), change + (to_high - to).hypot(from - from_low)]
}

fn logarithm(estimate: Estimate) -> Option<Estimate> {
    let is_positive = estimate.value > 0.0;
    let interval = estimate.interval.filter(|[low, _]| *low > 0.0);
    let interval = interval.map(|[low, high]| [low.ln(), high.ln()]);
    is_positive.then(|| Estimate { value: estimate.value.ln(), interval })
}

fn exponential(change: f64, interval: Option<[f64; 2]>) -> Effect {
    let interval = interval.map(|[low, high]| [low.exp_m1(), high.exp_m1()]);
    Effect { change: change.exp_m1(), interval }
}

/// The logarithms of one side.
struct Group {
    n: f64,
    mean: f64,
    /// Their squared distances from the mean.
    squares: f64,
}

impl Group {
    #[allow(clippy::cast_precision_loss)] // some files
    fn new(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| *value <= 0.0) {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().map(|value| value.ln()).sum::<f64>() / n;
        let squares = values.iter().map(|value| (value.ln() - mean).powi(2)).sum();
        Some(Self { n, mean, squares })
    }

    /// The standard error of the difference of the means, with its degrees of freedom.
    ///
    /// Welch's, if both sides tell how they vary; else the side that does speaks for both.
    fn error_with(&self, other: &Self) -> Option<(f64, f64)> {
        if self.n < 2.0 || other.n < 2.0 {
            let freedom = self.n + other.n - 2.0;
            let variance = (self.squares + other.squares) / freedom;
            let error = (variance * (1.0 / self.n + 1.0 / other.n)).sqrt();
            return (freedom >= 1.0).then_some((error, freedom));
        }
        let share = |group: &Self| group.squares / (group.n - 1.0) / group.n;
        let (one, two) = (share(self), share(other));
        let freedom =
            (one + two).powi(2) / (one.powi(2) / (self.n - 1.0) + two.powi(2) / (other.n - 1.0));
        // Without any difference there is no freedom to speak of, and nothing to multiply.
        let freedom = if freedom.is_finite() { freedom } else { 1.0 };
        Some(((one + two).sqrt(), freedom))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: Option<Effect>, change: f64, low: f64, high: f64) {
        let Effect { change: found_change, interval } = found.unwrap();
        let [found_low, found_high] = interval.unwrap();
        for (found, expected) in [(found_change, change), (found_low, low), (found_high, high)] {
            assert!((found - expected).abs() < 2e-3, "{found} and not {expected}");
        }
    }

    #[test]
    fn welchs_interval_is_that_of_the_textbook() {
        // Logarithms 1, 2, 3 and 4, 6, 8: difference 4, error sqrt(1/3 + 4/3), 2.941 degrees.
        let values = |logs: [f64; 3]| logs.map(f64::exp);
        let effect = of_many(&values([0.1, 0.2, 0.3]), &values([0.4, 0.6, 0.8])).unwrap();
        let reach = (0.01_f64 / 3.0 + 0.04 / 3.0).sqrt() * student::quantile(0.975, 2.941_18);
        is_near(Some(effect), 0.4_f64.exp_m1(), (0.4 - reach).exp_m1(), (0.4 + reach).exp_m1());
    }

    #[test]
    fn one_side_may_speak_for_both_of_how_runs_vary() {
        let effect = of_many(&[1.0, 1.1, 0.9], &[2.0]).unwrap();
        assert!(effect.interval.is_some_and(|[low, high]| low < 1.0 && high > 1.0));
        assert_eq!(of_many(&[1.0], &[2.0]), None, "nobody knows");
        assert_eq!(of_many(&[1.0, 0.0], &[2.0, 1.0]), None);
        assert_eq!(of_many(&[2.0, 2.0], &[2.0, 2.0]).unwrap().interval, Some([0.0, 0.0]));
        assert_eq!(of_many(&[315.0, 315.0], &[339.0]).unwrap().interval, None, "coarse, not sure");
    }

    #[test]
    fn intervals_of_both_sides_make_one() {
        let one = |value: f64, low: f64, high: f64| Estimate { value, interval: Some([low, high]) };
        // Three and four of a hundredth make five.
        let e = |x: f64| x.exp();
        let effect = of_two(one(1.0, e(-0.03), e(0.03)), one(e(0.1), e(0.06), e(0.14)));
        is_near(effect, 0.1_f64.exp_m1(), 0.05_f64.exp_m1(), 0.15_f64.exp_m1());
        let unknown = Estimate { value: 1.0, interval: None };
        assert_eq!(of_two(unknown, one(1.0, 1.0, 1.0)).unwrap().interval, None);
        assert_eq!(of_two(Estimate { value: 0.0, interval: None }, unknown), None);
    }

    #[test]
    fn shares_are_told_apart_when_enough_were_counted() {
        let effect = of_shares((10, 1_000), (30, 1_000)).unwrap();
        let [low, high] = effect.interval.unwrap();
        assert!((effect.change - 0.02).abs() < 1e-12);
        assert!(low > 0.005 && high < 0.04, "{low} to {high}");
        let none = of_shares((0, 100), (0, 100)).unwrap().interval.unwrap();
        assert!(none[0] < -0.03 && none[1] > 0.03, "{none:?}");
        assert_eq!(of_shares((0, 0), (0, 100)), None);
    }
}
