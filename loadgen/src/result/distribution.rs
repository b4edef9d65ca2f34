//! A distribution of times in the result file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::latency::Latency;

/// The percentiles that are told, by the names they have in the file.
const PERCENTILES: [(&str, f64); 6] =
    [("50", 0.5), ("90", 0.9), ("95", 0.95), ("99", 0.99), ("99.9", 0.999), ("99.99", 0.9999)];

/// What a time counts from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// When it should have begun by the schedule: free of coordinated omission.
    IntendedStart,
    /// When it did begin.
    ActualStart,
}

/// A distribution of times, in a few numbers and whole.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Distribution {
    /// What all the times count.
    pub unit: String,
    /// What the times count from.
    pub co: Origin,
    /// How many there are.
    pub n: u64,
    /// The shortest.
    pub min: u64,
    /// Their mean.
    pub mean: u64,
    /// The times below which so many per cent lie; `null` where too few were counted to tell.
    pub p: BTreeMap<String, Option<u64>>,
    /// The longest.
    pub max: u64,
    /// Times that the histogram could not hold: always 0, as it grows.
    pub saturated: u64,
    /// Between which times some of the percentiles lie in 95 of 100 cases, by drawing whole seconds
    /// again; empty if there were too few seconds.
    #[serde(default)]
    pub ci95: BTreeMap<String, [u64; 2]>,
    /// The histogram in the format of `HdrHistogram` (V2, deflated, base64).
    pub hdr_v2_deflate_b64: String,
}

impl Distribution {
    /// The distribution of `latency`, whose times count from `co`; `None` if nothing was counted.
    pub fn new(latency: &Latency, co: Origin) -> Option<Self> {
        let percentile =
            |(name, quantile): (&str, f64)| (name.to_owned(), latency.percentile(quantile));
        Some(Self {
            unit: "ns".to_owned(),
            co,
            n: latency.n(),
            min: latency.min()?,
            mean: latency.mean()?,
            p: PERCENTILES.map(percentile).into(),
            max: latency.max()?,
            saturated: 0,
            ci95: BTreeMap::new(),
            hdr_v2_deflate_b64: latency.encode()?,
        })
    }

    /// Adds how sure the percentiles are that can be told, where `interval` knows it.
    pub fn with_intervals(mut self, interval: impl Fn(f64) -> Option<[u64; 2]>) -> Self {
        let told =
            PERCENTILES.iter().filter(|(name, _)| self.p.get(*name).is_some_and(Option::is_some));
        let found =
            told.filter_map(|(name, quantile)| Some(((*name).to_owned(), interval(*quantile)?)));
        self.ci95 = found.collect();
        self
    }

    /// The whole distribution.
    ///
    /// # Errors
    ///
    /// If what is written is no histogram.
    pub fn latency(&self) -> Result<Latency, String> {
        Latency::decode(&self.hdr_v2_deflate_b64).map_err(|error| error.to_string())
    }

    /// Says what is wrong with it, if something is.
    pub(super) fn check(&self) -> Result<(), String> {
        let n = self.latency()?.n();
        if n == self.n { Ok(()) } else { Err(format!("n is {}, the histogram has {n}", self.n)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution() -> Distribution {
        let mut latency = Latency::default();
        (1..=1_000u64).for_each(|us| latency.record_ns(us * 1_000));
        Distribution::new(&latency, Origin::IntendedStart).unwrap()
    }

    #[test]
    fn only_percentiles_with_enough_samples_are_told() {
        let distribution = distribution().with_intervals(|_| Some([1, 2]));
        assert!(distribution.p["99"].is_some_and(|p99| p99.abs_diff(990_000) < 1_000));
        assert_eq!((distribution.p["99.9"], distribution.p["99.99"]), (None, None));
        assert!(distribution.ci95.contains_key("99") && !distribution.ci95.contains_key("99.9"));
        assert_eq!(Distribution::new(&Latency::default(), Origin::ActualStart), None);
    }

    #[test]
    fn what_is_written_is_read_and_a_contradiction_is_found() {
        let written = serde_json::to_string(&distribution()).unwrap();
        let mut read: Distribution = serde_json::from_str(&written).unwrap();
        assert_eq!((&read, read.check()), (&distribution(), Ok(())));
        assert_eq!(read.latency().unwrap().quantile(0.0), Some(1_000));
        read.n = 7;
        assert_eq!(read.check(), Err("n is 7, the histogram has 1000".to_owned()));
        read.hdr_v2_deflate_b64 = "AAAA".to_owned();
        assert!(read.check().is_err());
    }
}
