//! What became of those that leave, or read slowly, in the result file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Those that read slowly: none of what they got, or did not, is in the delivery.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SlowReaders {
    /// How many there were.
    pub connections: u64,
    /// What each read in a second.
    pub bytes_per_second: u64,
    /// Messages that they got.
    pub received: u64,
    /// Messages that the server passed over.
    pub gap: u64,
    /// Came again.
    pub dup: u64,
    /// Came after a later one.
    pub reorder: u64,
    /// Came with other bytes.
    pub corrupt: u64,
    /// Those that the server gave up, by the code with which it did.
    pub closed: BTreeMap<String, u64>,
}

/// What became of a storm.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StormSheet {
    /// When it struck.
    pub struck_ns: u64,
    /// Connections that vanished.
    pub vanished: u64,
    /// Those of them that were open again at the end of the hold.
    pub back: u64,
    /// How long it took until all were; unknown if they were not.
    pub recovery_ns: Option<u64>,
}

impl SlowReaders {
    /// The slow readers of all of `runs`; `None` if none had any.
    pub fn together<'a>(runs: impl Iterator<Item = &'a Self>) -> Option<Self> {
        runs.cloned().reduce(|mut sum, other| {
            sum.connections += other.connections;
            sum.bytes_per_second = sum.bytes_per_second.max(other.bytes_per_second);
            sum.received += other.received;
            sum.gap += other.gap;
            sum.dup += other.dup;
            sum.reorder += other.reorder;
            sum.corrupt += other.corrupt;
            for (class, count) in other.closed {
                *sum.closed.entry(class).or_default() += count;
            }
            sum
        })
    }
}

impl StormSheet {
    /// The storms of all of `runs` as one that lasted as long as the longest; `None` if none had
    /// one.
    pub fn together<'a>(runs: impl Iterator<Item = &'a Self>) -> Option<Self> {
        runs.cloned().reduce(|sum, other| Self {
            struck_ns: sum.struck_ns.min(other.struck_ns),
            vanished: sum.vanished + other.vanished,
            back: sum.back + other.back,
            recovery_ns: sum.recovery_ns.zip(other.recovery_ns).map(|(one, two)| one.max(two)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_several_runs_is_over_when_all_of_them_are() {
        let storm = |recovery_ns| StormSheet { struck_ns: 9, vanished: 2, back: 1, recovery_ns };
        let sum = StormSheet::together([storm(Some(5)), storm(Some(7))].iter()).unwrap();
        assert_eq!((sum.vanished, sum.back, sum.recovery_ns), (4, 2, Some(7)));
        let sum = StormSheet::together([storm(Some(5)), storm(None)].iter()).unwrap();
        assert_eq!(sum.recovery_ns, None);
        assert_eq!(StormSheet::together([].iter()), None);
    }

    #[test]
    fn slow_readers_add_up_code_by_code() {
        let closed = [("slow 1013".to_owned(), 2)].into();
        let one = SlowReaders {
            connections: 3,
            bytes_per_second: 256,
            received: 10,
            gap: 0,
            dup: 0,
            reorder: 0,
            corrupt: 0,
            closed,
        };
        let sum = SlowReaders::together([one.clone(), one].iter()).unwrap();
        assert_eq!((sum.connections, sum.closed["slow 1013"]), (6, 4));
    }
}
