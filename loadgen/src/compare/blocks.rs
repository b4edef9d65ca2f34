//! How sure a figure is by drawing whole seconds again (a block bootstrap): what happens within a
//! second is alike, so it is seconds that are independent, and not messages.
//!
//! Everything is told as a factor of the figure itself.

use std::collections::BTreeMap;
use std::time::Duration;

use corecast::base::Rng;

use super::effect::RISK;
use crate::fleet::Span;
use crate::heat;
use crate::result::Phase;
use crate::series::Series;

/// A block is no shorter.
const BLOCK_NS: u64 = 1_000_000_000;

/// Fewer blocks say nothing about how they differ.
const BLOCKS_MIN: usize = 10;

/// How often they are drawn again.
const DRAWS: usize = 1_000;

/// A number that is the same each time, so that the same files always come to the same.
const SEED: u64 = 1;

/// Between which factors of itself the `quantile` of the latency of messages lies.
pub(super) fn quantile(series: &Series, quantile: f64) -> Option<[f64; 2]> {
    let ticks: Vec<_> = series.heat.ticks.iter().filter(|tick| !tick.is_empty()).collect();
    let blocks: Vec<BTreeMap<u32, u64>> =
        ticks.chunks(length(series)).map(|ticks| sum(ticks.iter().copied())).collect();
    let found = |blocks: &[&BTreeMap<u32, u64>]| {
        heat::fine_quantile(&sum(blocks.iter().copied()), quantile)
    };
    factors(&blocks, found)
}

/// Between which factors of itself the mean of the column `name` in a phase lies.
#[allow(clippy::cast_precision_loss)] // counts of some seconds
pub(super) fn mean(series: &Series, name: &str, phase: &Phase) -> Option<[f64; 2]> {
    let span =
        Span { from: Duration::from_nanos(phase.from_ns), to: Duration::from_nanos(phase.to_ns) };
    let column: Vec<_> = series.column(name, span).into_iter().map(|(_, count)| count).collect();
    // The first row began before the phase did.
    let rows = column.get(1..)?;
    let chunks = rows.chunks_exact(length(series));
    let blocks: Vec<f64> = chunks.map(|rows| rows.iter().sum::<u64>() as f64).collect();
    factors(&blocks, |blocks| blocks.iter().copied().sum::<f64>() / blocks.len() as f64)
}

/// How many rows make a block.
fn length(series: &Series) -> usize {
    let rows = BLOCK_NS.div_ceil(series.tick_ns.max(1)).max(1);
    usize::try_from(rows).unwrap_or(usize::MAX)
}

fn sum<'a>(blocks: impl Iterator<Item = &'a BTreeMap<u32, u64>>) -> BTreeMap<u32, u64> {
    let mut sum = BTreeMap::new();
    for (bucket, count) in blocks.flatten() {
        *sum.entry(*bucket).or_default() += count;
    }
    sum
}

fn factors<T>(blocks: &[T], of: impl Fn(&[&T]) -> f64) -> Option<[f64; 2]> {
    let all: Vec<_> = blocks.iter().collect();
    if all.len() < BLOCKS_MIN {
        return None;
    }
    let whole = of(&all);
    let mut rng = Rng::new(SEED);
    let mut drawn = Vec::with_capacity(all.len());
    let mut found = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        drawn.clear();
        for _ in 0..all.len() {
            let number = usize::try_from(rng.below(all.len() as u64)).unwrap_or(0);
            drawn.extend(blocks.get(number));
        }
        found.push(of(&drawn) / whole);
    }
    found.sort_unstable_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    // a rank below a thousand
    let outside = (DRAWS as f64 * RISK) as usize;
    let ends = [*found.get(outside)?, *found.get(DRAWS - 1 - outside)?];
    ends.iter().all(|factor| factor.is_finite()).then_some(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::sample;

    #[test]
    fn seconds_that_differ_make_a_figure_unsure() {
        let calm: Vec<_> = (0..30).map(|n| 1_000_000 + n * 100).collect();
        let mut rough = calm.clone();
        rough.splice(..8, [9_000_000; 8]);
        let factors = |times: &[u64]| quantile(&sample::document(1, times).series, 0.7).unwrap();
        let [low, high] = factors(&calm);
        assert!(low > 0.9 && high < 1.1, "{low} to {high}");
        let [low, high] = factors(&rough);
        assert!(high / low > 3.0, "{low} to {high}");
    }

    #[test]
    fn too_few_seconds_say_nothing() {
        let series = sample::document(1, &[1; 9]).series;
        assert_eq!(quantile(&series, 0.5), None);
        let hold = Phase { name: "hold".to_owned(), from_ns: 0, to_ns: 9_000_000_000 };
        assert_eq!(mean(&series, "received", &hold), None);
    }

    #[test]
    fn a_steady_rate_is_sure() {
        let series = sample::document(1, &[1; 20]).series;
        let hold = Phase { name: "hold".to_owned(), from_ns: 0, to_ns: 20_000_000_000 };
        assert_eq!(mean(&series, "received", &hold), Some([1.0, 1.0]));
    }
}
