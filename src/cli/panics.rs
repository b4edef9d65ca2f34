//! What is said of a panic: where it was, and not more often than anybody reads.
//!
//! A worker survives a panic in what it does for one connection, so a peer who has found one can
//! cause thousands. The default hook would write as many to the log.

use std::panic;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// One panic in so long a time is told.
const INTERVAL: Duration = Duration::from_secs(1);

/// Replaces the hook of this process by one that logs the first panic of each second, and how many
/// there have been.
#[allow(clippy::disallowed_methods)] // the command line may read the clock
pub(super) fn log_seldom() {
    let start = Instant::now();
    let (count, next) = (AtomicU64::new(0), AtomicU64::new(0));
    panic::set_hook(Box::new(move |panic| {
        let count = 1 + count.fetch_add(1, Relaxed);
        let now = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if may_say(&next, now) {
            log::error!("{panic} ({count} so far)");
        }
    }));
}

/// Whether the panic at `now` may be told; the next may be only after the interval.
fn may_say(next: &AtomicU64, now: u64) -> bool {
    let due = next.load(Relaxed);
    let after = now.saturating_add(u64::try_from(INTERVAL.as_millis()).unwrap_or(u64::MAX));
    // Of several threads that fail at once, one says so.
    due <= now && next.compare_exchange(due, after, Relaxed, Relaxed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_panic_a_second_is_told() {
        let next = AtomicU64::new(0);
        let told: Vec<_> = (0..5_000).filter(|now| may_say(&next, *now)).collect();
        assert_eq!(told, [0, 1_000, 2_000, 3_000, 4_000]);
    }
}
