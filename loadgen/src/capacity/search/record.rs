//! The trials of a search, and what they say together.

use super::{Bracket, Goal, Mark, Marks, Phase};

/// A trial that was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The number that was tried.
    pub(super) n: u64,
    /// What it was for.
    pub(super) phase: Phase,
    /// Whether it began anew.
    pub(super) fresh: bool,
    /// What it told.
    pub(super) marks: Marks,
    /// Whether it was not repeated for having told nothing.
    pub(super) is_last: bool,
}

impl Entry {
    fn passed(&self, goal: Goal) -> bool {
        self.marks.of(goal) == Mark::Pass
    }

    /// What cannot be told after all repetitions did not pass. That a number fails which the server
    /// was brought down to tells of the overload before, and not of the number.
    fn failed(&self, goal: Goal) -> bool {
        let is_aftermath = self.phase == Phase::Bracket && !self.fresh;
        let has_failed = self.marks.of(goal) == Mark::Fail || self.is_last;
        has_failed && !self.passed(goal) && !is_aftermath
    }
}

/// All of them, in order.
#[derive(Clone, Debug)]
pub(super) struct Record {
    entries: Vec<Entry>,
    /// How many trials verify a number.
    verify_trials: u32,
}

impl Record {
    /// An empty one, where it takes `verify_trials` to verify a number.
    pub(super) fn new(verify_trials: u32) -> Self {
        Self { entries: Vec::new(), verify_trials }
    }

    /// Appends a trial.
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// How many there were.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many there were of `n`.
    pub(super) fn count(&self, n: u64) -> u32 {
        let count = self.entries.iter().filter(|entry| entry.n == n).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// How often `n` passed when it was verified, and how often it was.
    pub(super) fn verified(&self, goal: Goal, n: u64) -> (u32, u32) {
        let of_n = self.entries.iter().filter(|entry| entry.n == n && entry.phase == Phase::Verify);
        of_n.filter(|entry| entry.is_last).fold((0, 0), |(passes, trials), entry| {
            (passes + u32::from(entry.passed(goal)), trials + 1)
        })
    }

    /// The lowest number of those that `is_meant` which did not pass.
    pub(super) fn lowest_failure(&self, goal: Goal, is_meant: impl Fn(u64) -> bool) -> Option<u64> {
        let failed = self.entries.iter().filter(|entry| entry.failed(goal) && is_meant(entry.n));
        failed.map(|entry| entry.n).min()
    }

    /// The highest number below `high` that passed.
    pub(super) fn highest_pass(&self, goal: Goal, high: Option<u64>) -> Option<u64> {
        let is_below = |n: u64| high.is_none_or(|high| n < high);
        let passed = self.entries.iter().filter(|it| it.passed(goal) && is_below(it.n));
        passed.map(|entry| entry.n).max()
    }

    /// The highest number that passed all its verifications and above every other that was verified
    /// so, and the lowest above it that did not pass.
    pub(super) fn bracket(&self, goal: Goal) -> Bracket {
        let verifying = self.entries.iter().filter(|entry| entry.phase == Phase::Verify);
        let failed = verifying.clone().filter(|entry| entry.failed(goal));
        let limit = failed.map(|entry| entry.n).min().unwrap_or(u64::MAX);
        let is_verified = |n: u64| {
            let (passes, trials) = self.verified(goal, n);
            passes == trials && trials >= self.verify_trials
        };
        let numbers = verifying.map(|entry| entry.n);
        let low = numbers.filter(|n| *n < limit && is_verified(*n)).max();
        Bracket { low, high: self.lowest_failure(goal, |n| low.is_none_or(|low| n > low)) }
    }

    /// Whether no trial passed only for the tolerance of the objectives.
    pub(super) fn is_without_tolerance(&self) -> bool {
        self.entries.iter().all(|entry| entry.passed(Goal::Slo) == entry.passed(Goal::Zero))
    }
}
