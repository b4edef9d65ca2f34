//! How sure one may be: bounds that hold in 95 of 100 cases, from counting alone.
//!
//! Whether a sample lies above the `q`-quantile is a coin with the chance `1 - q`, whatever the
//! distribution. So the number of samples above a limit says on which side of it the quantile lies
//! (an order-statistic bound), and the number of failures says the same of a rate.

use crate::latency::Latency;

/// How often a bound may be wrong.
const RISK: f64 = 0.05;

/// How far from the mean, in standard deviations, one in twenty of a normal distribution begins.
const DEVIATIONS: f64 = 1.645;

/// Beyond this mean a binomial distribution is normal to more digits than anybody reads, and its
/// first term too small for a number.
const EXACT_MEAN_MAX: f64 = 600.0;

/// Between which values something lies, each bound by itself surely enough; `None` is unbounded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// It is not below this.
    pub low: Option<f64>,
    /// It is not above this.
    pub high: Option<f64>,
}

/// The chance that at most `k` of `n` coins fall on the side that has the chance `p`.
#[allow(clippy::cast_precision_loss)] // counts far below 2^53
pub fn at_most(n: u64, p: f64, k: u64) -> f64 {
    if k >= n {
        return 1.0;
    }
    let (count, mean) = (n as f64, n as f64 * p);
    if mean > EXACT_MEAN_MAX {
        let deviation = (mean * (1.0 - p)).sqrt();
        return normal((k as f64 + 0.5 - mean) / deviation);
    }
    let mut term = (count * (-p).ln_1p()).exp();
    let mut sum = term;
    for i in 0..k {
        let i = i as f64;
        term *= (count - i) / (i + 1.0) * p / (1.0 - p);
        sum += term;
    }
    sum.min(1.0)
}

/// Between which times the `quantile` of what `latency` was drawn from lies.
pub fn of_quantile(latency: &Latency, quantile: f64) -> Bounds {
    of_quantile_at(latency, quantile, RISK)
}

/// The same where each bound may be wrong as often as `risk` says.
pub fn of_quantile_at(latency: &Latency, quantile: f64, risk: f64) -> Bounds {
    let (n, p) = (latency.n(), 1.0 - quantile);
    // So few above a time are too few, or so many too many, for the quantile to be there.
    let too_few = last(n, |k| at_most(n, p, k) <= risk);
    let enough = last(n, |k| at_most(n, p, k) < 1.0 - risk);
    #[allow(clippy::cast_precision_loss)] // times for people
    let time = |above: u64| latency.at_rank(n - above).map(|ns| ns as f64);
    let low = match enough {
        Some(above) if above + 2 <= n => time(above + 2),
        _ => None,
    };
    Bounds { low, high: too_few.and_then(time) }
}

/// Between which shares the rate lies at which something fails that failed `failures` of `n` times.
pub fn of_rate(failures: u64, n: u64) -> Bounds {
    of_rate_at(failures, n, RISK)
}

/// The same where each bound may be wrong as often as `risk` says.
pub fn of_rate_at(failures: u64, n: u64, risk: f64) -> Bounds {
    if n == 0 {
        return Bounds::default();
    }
    // The bounds are where the count found would be one in twenty; both chances fall with the rate.
    let high = bisect(|rate| at_most(n, rate, failures) > risk);
    let low = match failures.checked_sub(1) {
        None => 0.0,
        Some(fewer) => bisect(|rate| 1.0 - at_most(n, rate, fewer) < risk),
    };
    Bounds { low: Some(low), high: Some(if failures == n { 1.0 } else { high }) }
}

/// The slope of the line through `points` and between which slopes the true one lies; `None` with
/// fewer than ten points, of which a line says nothing.
pub fn of_slope(points: &[(f64, f64)]) -> Option<(f64, Bounds)> {
    const POINTS_MIN: usize = 10;
    if points.len() < POINTS_MIN {
        return None;
    }
    #[allow(clippy::cast_precision_loss)] // rows of a series
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let square: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let product: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    if square == 0.0 {
        return None;
    }
    let slope = product / square;
    let residual = |(x, y): &(f64, f64)| (y - mean_y - slope * (x - mean_x)).powi(2);
    let error = (points.iter().map(residual).sum::<f64>() / (n - 2.0) / square).sqrt();
    let reach = DEVIATIONS * error;
    Some((slope, Bounds { low: Some(slope - reach), high: Some(slope + reach) }))
}

/// The last number below `n` for which `holds` holds, if it holds for the first ones only.
fn last(n: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low.checked_sub(1)
}

/// The rate up to which `holds` holds.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if holds(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The share of a normal distribution below `z` (Abramowitz and Stegun 26.2.17, to 7 digits).
fn normal(z: f64) -> f64 {
    const TERMS: [f64; 5] =
        [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let sum = TERMS.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let above = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * sum;
    if z < 0.0 { above } else { 1.0 - above }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::base::Rng;

    #[test]
    fn coins_fall_as_the_tables_say() {
        for (n, p, k, chance) in [
            (10, 0.5, 4, 0.376_953),
            (100, 0.01, 0, 0.366_032),
            (2_995, 0.001, 0, 0.049_968),
            (50_000, 0.02, 950, 0.056_6),
        ] {
            assert!((at_most(n, p, k) - chance).abs() < 1e-3, "{n} {p} {k}: {}", at_most(n, p, k));
        }
        assert!((at_most(7, 0.1, 7) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn too_few_samples_bound_nothing() {
        let of = |n| {
            let mut latency = Latency::default();
            (1..=n).for_each(|ns| latency.record_ns(ns));
            of_quantile(&latency, 0.99)
        };
        assert_eq!(of(298).high, None);
        assert_eq!(of(299).high, Some(299.0), "the longest is the bound");
        assert_eq!(of(0), Bounds::default());
    }

    #[test]
    fn a_quantile_lies_within_its_bounds_nineteen_times_of_twenty() {
        let mut rng = Rng::new(1);
        let (mut above, mut below) = (0, 0);
        for _ in 0..400 {
            let mut latency = Latency::default();
            (0..1_000).for_each(|_| latency.record_ns(rng.below(1_000)));
            let Bounds { low, high } = of_quantile(&latency, 0.9);
            above += u32::from(high.is_none_or(|high| high < 899.0));
            below += u32::from(low.is_none_or(|low| low > 901.0));
        }
        assert!(above <= 32 && below <= 32, "{above} and {below} of 400 missed");
    }

    #[test]
    fn a_rate_without_failures_needs_many_tries() {
        for (rate, n) in [(1e-4, 29_956), (1e-5, 299_572)] {
            assert!(of_rate(0, n).high.is_some_and(|high| high <= rate));
            assert!(of_rate(0, n - 20).high.is_some_and(|high| high > rate));
        }
        let Bounds { low, high } = of_rate(100, 1_000);
        assert!(low.is_some_and(|low| (0.084..0.086).contains(&low)), "{low:?}");
        assert!(high.is_some_and(|high| (0.116..0.118).contains(&high)), "{high:?}");
        assert_eq!(of_rate(5, 5).high, Some(1.0));
    }

    #[test]
    fn a_line_has_its_slope() {
        let points: Vec<_> = (0..20).map(|x| (f64::from(x), 3.0 * f64::from(x) + 1.0)).collect();
        let (slope, bounds) = of_slope(&points).unwrap();
        assert!((slope - 3.0).abs() < 1e-9 && bounds.high.is_some_and(|high| high < 3.001));
        assert_eq!(of_slope(&points[..9]), None);
    }
}
