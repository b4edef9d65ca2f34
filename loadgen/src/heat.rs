//! A distribution second by second, coarse enough to keep every second of a long run.
//!
//! A time falls into one of sixteen buckets of its octave, so each is known to 6 %. This is what a
//! picture of latency over time is drawn from, and what tells how sure a percentile is: seconds
//! that follow each other are alike, so it is whole seconds that are drawn again (a block
//! bootstrap), and never single messages, which would make every number look surer than it is.

use std::collections::BTreeMap;

use corecast::base::Rng;
use serde::{Deserialize, Serialize};

use crate::latency::Latency;

/// Buckets of an octave.
const FINENESS: u32 = 16;

/// How often seconds are drawn again.
const DRAWS: usize = 400;

/// The fewest seconds that say anything about how they differ.
const BLOCKS_MIN: usize = 5;

/// A distribution for each tick.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Heat {
    /// What a bucket's number means: its lowest time is 2^(number / 16), linear between octaves.
    pub buckets_per_octave: u32,
    /// For each tick the buckets that something fell into, with their counts.
    pub ticks: Vec<BTreeMap<u32, u64>>,
}

impl Heat {
    /// Appends a tick.
    pub fn push(&mut self, latency: &Latency) {
        self.buckets_per_octave = FINENESS;
        let mut counts = BTreeMap::new();
        for (ns, count) in latency.counts() {
            *counts.entry(bucket(ns)).or_default() += count;
        }
        self.ticks.push(counts);
    }

    /// Between which times the `quantile` lies in 95 of 100 cases; `None` with too few seconds.
    pub fn interval(&self, quantile: f64, seed: u64) -> Option<[u64; 2]> {
        let blocks: Vec<_> = self.ticks.iter().filter(|tick| !tick.is_empty()).collect();
        if blocks.len() < BLOCKS_MIN {
            return None;
        }
        let mut rng = Rng::new(seed);
        let mut found: Vec<u64> = (0..DRAWS)
            .map(|_| {
                let mut sum = BTreeMap::new();
                for _ in 0..blocks.len() {
                    let drawn = usize::try_from(rng.below(blocks.len() as u64)).unwrap_or(0);
                    for (bucket, count) in blocks.get(drawn).into_iter().copied().flatten() {
                        *sum.entry(*bucket).or_default() += count;
                    }
                }
                quantile_of(&sum, quantile)
            })
            .collect();
        found.sort_unstable();
        Some([*found.get(DRAWS / 40)?, *found.get(DRAWS - 1 - DRAWS / 40)?])
    }
}

/// The bucket of a time.
fn bucket(ns: u64) -> u32 {
    if ns < u64::from(FINENESS) {
        return u32::try_from(ns).unwrap_or(0);
    }
    let octave = ns.ilog2() - FINENESS.ilog2();
    // Between 16 and 31: the leading bits of the time.
    let place = u32::try_from(ns >> octave).unwrap_or(0);
    octave * FINENESS + place
}

/// The time in the middle of a bucket.
fn middle(bucket: u32) -> u64 {
    u64::midpoint(lowest(bucket), lowest(bucket.saturating_add(1)))
}

/// The lowest time of a bucket.
pub fn lowest(bucket: u32) -> u64 {
    if bucket < FINENESS {
        return u64::from(bucket);
    }
    let octave = bucket / FINENESS - 1;
    let place = u64::from(bucket % FINENESS + FINENESS);
    // A file may name buckets beyond the longest time.
    place.checked_shl(octave).filter(|it| it >> octave == place).unwrap_or(u64::MAX)
}

/// The time below which a share of `quantile` of the counts in buckets lies.
pub fn quantile_of(counts: &BTreeMap<u32, u64>, quantile: f64) -> u64 {
    let all: u64 = counts.values().sum();
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // a rank among messages, of which there are fewer than 2^53
    let rank = (quantile * all as f64).ceil() as u64;
    let mut seen = 0;
    for (bucket, count) in counts {
        seen += count;
        if seen >= rank {
            return middle(*bucket);
        }
    }
    0
}

/// The same as if times lay evenly within a bucket: no truer, but without steps of 6 %.
#[allow(clippy::cast_precision_loss)] // messages, of which there are fewer than 2^53
pub fn fine_quantile(counts: &BTreeMap<u32, u64>, quantile: f64) -> f64 {
    let rank = quantile * counts.values().sum::<u64>() as f64;
    let mut seen = 0.0;
    for (bucket, count) in counts {
        let count = *count as f64;
        if seen + count >= rank {
            let (low, high) = (lowest(*bucket) as f64, lowest(bucket.saturating_add(1)) as f64);
            return low + (high - low) * (rank - seen) / count;
        }
        seen += count;
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(times: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        times.into_iter().for_each(|ns| latency.record_ns(ns));
        latency
    }

    #[test]
    fn a_bucket_is_known_to_a_sixteenth() {
        let mut last = 0;
        for ns in (0..10_000).chain([1_000_000, 123_456_789, 60_000_000_000, u64::MAX / 2]) {
            let bucket = bucket(ns);
            assert!(bucket >= last, "{ns}");
            assert!(middle(bucket).abs_diff(ns) <= ns / 16 + 1, "{ns} is in {bucket}");
            last = bucket;
        }
    }

    #[test]
    fn a_fine_quantile_lies_within_its_bucket() {
        let counts = [(bucket(1_000), 10), (bucket(2_000), 10)].into();
        assert!(
            (fine_quantile(&counts, 0.25) - 1_008.0).abs() < 1e-9,
            "half way from 992 to 1,024"
        );
        assert!((fine_quantile(&counts, 1.0) - 2_048.0).abs() < 1e-9);
        assert!(fine_quantile(&BTreeMap::new(), 0.5).abs() < 1e-9);
    }

    #[test]
    fn seconds_that_differ_make_a_wide_interval_and_equal_ones_a_narrow_one() {
        let (mut equal, mut unequal) = (Heat::default(), Heat::default());
        for second in 0..20u64 {
            equal.push(&tick((0..100).map(|n| 1_000_000 + n)));
            let slow = if second < 3 { 50_000_000 } else { 1_000_000 };
            unequal.push(&tick((0..100).map(|n| slow + n)));
        }
        let [low, high] = equal.interval(0.9, 1).unwrap();
        assert_eq!(low, high);
        let [low, high] = unequal.interval(0.9, 1).unwrap();
        assert!(low < 2_000_000 && high > 40_000_000, "{low} to {high}");
    }

    #[test]
    fn a_few_seconds_say_nothing() {
        let mut heat = Heat::default();
        for _ in 0..BLOCKS_MIN - 1 {
            heat.push(&tick([1]));
        }
        heat.push(&Latency::default());
        assert_eq!(heat.interval(0.5, 1), None);
    }
}
