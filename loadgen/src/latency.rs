//! How long things took: histograms of nanoseconds with three digits, never a mean of percentiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::units;

/// A distribution of times. It grows to hold any time, so that none is clamped or dropped.
#[derive(Clone, Debug, Default)]
pub struct Latency(Option<Box<Histogram<u64>>>);

impl Latency {
    /// Counts one time.
    pub fn record(&mut self, time: Duration) {
        self.record_ns(units::ns(time));
    }

    /// Counts one time in nanoseconds.
    pub fn record_ns(&mut self, ns: u64) {
        // A histogram that resizes itself takes every value.
        let _ = self.histogram().record(ns);
    }

    /// Adds all that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            let _ = self.histogram().add(other.as_ref());
        }
    }

    /// The time below which a share of `quantile` lies, in nanoseconds.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(histogram.value_at_quantile(quantile).min(histogram.max()))
    }

    /// What a report says of it; `None` when nothing was counted.
    pub fn summary(&self) -> Option<Summary> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let quantile = |quantile| histogram.value_at_quantile(quantile).min(histogram.max());
        Some(Summary {
            unit: "ns",
            n: histogram.len(),
            min: histogram.min(),
            mean: units::ns(Duration::from_secs_f64(histogram.mean() / 1e9)),
            p: Percentiles {
                p50: quantile(0.5),
                p90: quantile(0.9),
                p99: quantile(0.99),
                p999: quantile(0.999),
            },
            max: histogram.max(),
        })
    }

    fn histogram(&mut self) -> &mut Histogram<u64> {
        self.0.get_or_insert_with(|| {
            Box::new(Histogram::new(3).expect("three significant digits are within 0 to 5"))
        })
    }
}

/// A distribution in a few numbers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Summary {
    /// What all the times count.
    pub unit: &'static str,
    /// How many there are.
    pub n: u64,
    /// The shortest.
    pub min: u64,
    /// Their mean.
    pub mean: u64,
    /// The percentiles.
    pub p: Percentiles,
    /// The longest.
    pub max: u64,
}

/// The times below which so many per cent lie.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of them.
    #[serde(rename = "50")]
    pub p50: u64,
    /// Nine of ten.
    #[serde(rename = "90")]
    pub p90: u64,
    /// All but one in a hundred.
    #[serde(rename = "99")]
    pub p99: u64,
    /// All but one in a thousand.
    #[serde(rename = "99.9")]
    pub p999: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counted_is_nothing_said() {
        let mut empty = Latency::default();
        empty.merge(&Latency::default());
        assert_eq!((empty.quantile(0.5), empty.summary()), (None, None));
    }

    #[test]
    fn merging_is_the_same_as_counting_together() {
        let (mut whole, mut odd, mut even) =
            (Latency::default(), Latency::default(), Latency::default());
        for ns in 1..10_000u64 {
            whole.record_ns(ns * 1_000);
            if ns % 2 == 0 { even.record_ns(ns * 1_000) } else { odd.record_ns(ns * 1_000) }
        }
        odd.merge(&even);
        assert_eq!(odd.summary(), whole.summary());
    }

    #[test]
    fn no_time_is_too_long() {
        let mut latency = Latency::default();
        latency.record_ns(1);
        latency.record(Duration::from_secs(100_000));
        let summary = latency.summary().unwrap();
        assert!(summary.max.abs_diff(100_000_000_000_000) < summary.max / 1_000);
        assert!(summary.p.p999 <= summary.max);
    }
}
