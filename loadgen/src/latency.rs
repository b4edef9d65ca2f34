//! How long things took: histograms of nanoseconds with three digits or as many
//! as are asked for, never a mean of percentiles.
//!
//! A percentile is told only where enough was counted for it: below [`samples_min`] even the
//! longest time of all does not bound it in 95 of 100 cases.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::units;

/// The digits that are kept of each time, unless others are asked for.
pub const DIGITS: u8 = 3;

/// The most that can be kept: each one more takes ten times the memory.
pub const DIGITS_MAX: u8 = 5;

/// A distribution of times. It grows to hold any time, so that none is clamped or dropped.
#[derive(Clone, Debug)]
pub struct Latency {
    digits: u8,
    histogram: Option<Box<Histogram<u64>>>,
}

impl Default for Latency {
    fn default() -> Self {
        Self::keeping(DIGITS)
    }
}

impl Latency {
    /// A distribution that keeps so many digits of each time, at most [`DIGITS_MAX`].
    pub const fn keeping(digits: u8) -> Self {
        Self { digits, histogram: None }
    }

    /// Counts one time.
    pub fn record(&mut self, time: Duration) {
        self.record_ns(units::ns(time));
    }

    /// Counts one time in nanoseconds.
    pub fn record_ns(&mut self, ns: u64) {
        // A histogram that resizes itself takes every value.
        let _ = self.histogram().record(ns);
    }

    /// Adds all that `other` has counted. One that has counted nothing keeps as many digits as
    /// `other` from then on.
    pub fn merge(&mut self, other: &Self) {
        let Some(theirs) = other.counted() else { return };
        match &mut self.histogram {
            Some(ours) if !ours.is_empty() || self.digits == other.digits => {
                let _ = ours.add(theirs);
            }
            _ => *self = other.clone(),
        }
    }

    /// Forgets all, and keeps the memory for what comes.
    pub fn clear(&mut self) {
        if let Some(histogram) = &mut self.histogram {
            histogram.reset();
        }
    }

    /// The time below which a share of `quantile` lies, in nanoseconds, however little was counted.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let histogram = self.counted()?;
        Some(histogram.value_at_quantile(quantile).min(histogram.max()))
    }

    /// The same, if enough was counted to tell it.
    pub fn percentile(&self, quantile: f64) -> Option<u64> {
        self.quantile(quantile).filter(|_| self.n() >= samples_min(quantile))
    }

    /// How many times were counted.
    pub fn n(&self) -> u64 {
        self.histogram.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// The time that `rank` of them are not above, the first being 1.
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        let reached = |(ns, count): (u64, u64)| {
            seen += count;
            (seen >= rank).then_some(ns)
        };
        let ns = self.counts().find_map(reached)?;
        self.max().map(|max| ns.min(max))
    }

    /// The shortest.
    pub fn min(&self) -> Option<u64> {
        self.counted().map(Histogram::min)
    }

    /// The longest.
    pub fn max(&self) -> Option<u64> {
        self.counted().map(Histogram::max)
    }

    /// Their mean.
    pub fn mean(&self) -> Option<u64> {
        Some(units::ns(Duration::from_secs_f64(self.counted()?.mean() / 1e9)))
    }

    /// Every time that was counted, to three digits, with how often.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        let recorded = self.counted().into_iter().flat_map(Histogram::iter_recorded);
        recorded.map(|it| (it.value_iterated_to(), it.count_at_value()))
    }

    /// All of it in the format of `HdrHistogram` (V2, deflated, base64), to be merged exactly.
    pub fn encode(&self) -> Option<String> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(self.counted()?, &mut bytes).ok()?;
        Some(BASE64_STANDARD.encode(bytes))
    }

    /// What [`Latency::encode`] wrote, or another program that knows the format.
    ///
    /// # Errors
    ///
    /// If it is not in the format.
    pub fn decode(text: &str) -> Result<Self, NoHistogram> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| NoHistogram)?;
        let histogram = Deserializer::new().deserialize(&mut bytes.as_slice());
        let mut histogram: Histogram<u64> = histogram.map_err(|_| NoHistogram)?;
        histogram.auto(true);
        Ok(Self { digits: histogram.sigfig(), histogram: Some(Box::new(histogram)) })
    }

    /// The histogram, unless nothing was counted.
    fn counted(&self) -> Option<&Histogram<u64>> {
        self.histogram.as_deref().filter(|histogram| !histogram.is_empty())
    }

    fn histogram(&mut self) -> &mut Histogram<u64> {
        let digits = self.digits.min(DIGITS_MAX);
        self.histogram.get_or_insert_with(|| {
            Box::new(Histogram::new(digits).expect("five significant digits and less can be kept"))
        })
    }
}

/// How many samples it takes until the longest of them bounds the `quantile` in 95 of 100 cases:
/// 59 for 0.95, 299 for 0.99, 2,995 for 0.999.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small positive number
pub fn samples_min(quantile: f64) -> u64 {
    // From the least on that share of all, the chance that none of n lies above is quantile^n.
    if quantile <= 0.5 { 1 } else { (0.05_f64.ln() / quantile.ln()).ceil() as u64 }
}

/// A text that holds no histogram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoHistogram;

impl fmt::Display for NoHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a histogram in the V2 format of HdrHistogram")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(latency: &Latency) -> [Option<u64>; 6] {
        let n = Some(latency.n());
        let p = latency.percentile(0.99);
        [n, latency.min(), latency.mean(), latency.quantile(0.5), p, latency.max()]
    }

    #[test]
    fn nothing_counted_is_nothing_said() {
        let mut empty = Latency::default();
        empty.merge(&Latency::default());
        assert_eq!(told(&empty), [Some(0), None, None, None, None, None]);
        empty.record_ns(1);
        empty.clear();
        assert_eq!((empty.max(), empty.encode()), (None, None));
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
        assert_eq!(told(&odd), told(&whole));
    }

    #[test]
    fn as_many_digits_are_kept_as_were_asked_for() {
        for (digits, kept) in [(1, 1_300_000), (3, 1_235_000), (5, 1_234_570)] {
            let (mut latency, mut sum) = (Latency::keeping(digits), Latency::default());
            latency.record_ns(1_234_567);
            latency.record_ns(9_999_999);
            sum.merge(&latency);
            sum.merge(&latency);
            let found = sum.at_rank(1).unwrap();
            assert!(found >= 1_234_567 && found <= kept, "{digits}: {found}");
        }
    }

    #[test]
    fn no_time_is_too_long() {
        let mut latency = Latency::default();
        latency.record_ns(1);
        latency.record(Duration::from_secs(100_000));
        let max = latency.max().unwrap();
        assert!(max.abs_diff(100_000_000_000_000) < max / 1_000);
    }

    #[test]
    fn what_is_encoded_is_decoded_and_can_be_added_to() {
        let mut latency = Latency::default();
        (1..5_000u64).for_each(|n| latency.record_ns(n * n * 1_000));
        let mut read = Latency::decode(&latency.encode().unwrap()).unwrap();
        assert!(latency.counts().eq(read.counts()));
        read.record(Duration::from_secs(100_000));
        assert_eq!(read.n(), 5_000);
        for text in ["", "AAAA", "no base64!"] {
            assert!(Latency::decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_percentile_needs_its_samples() {
        for (quantile, n) in [(0.5, 1), (0.95, 59), (0.99, 299), (0.999, 2_995), (0.9999, 29_956)] {
            assert_eq!(samples_min(quantile), n, "{quantile}");
        }
        let mut latency = Latency::default();
        (1..299).for_each(|ns| latency.record_ns(ns));
        assert_eq!(latency.percentile(0.99), None);
        latency.record_ns(299);
        assert_eq!(latency.percentile(0.99), Some(297));
    }
}
