//! The search for a capacity as a machine: marks of trials go in, the next trial comes out.
//!
//! ```text
//!            passes             narrow enough              all passed
//!   grow --------------+   +----------------> verify ----------------> the same once more, for
//!    | fails           |   |                  |    ^                   what passes without error
//!    v                 v   |            fails |    | the highest that
//!   bracket --------> bisect <----------------+    | passed below it
//!    still passes?    ^                       +----+
//!    no: as new ------+
//! ```
//!
//! A number is approached from below: after a failure the load first comes down to one that passed,
//! since what is measured in an overload tells of the overload. Where even that one fails then, the
//! server does not recover by itself (hysteresis), and every later approach begins anew.
//!
//! Pure: chance follows from the seed, and time is an argument. Invariant: the lower end of a
//! bracket passed all trials that verified it, and the upper one did not pass the last of its own.

mod record;
#[cfg(test)]
mod tests;

use std::time::Duration;

use corecast::base::Rng;

use self::record::{Entry, Record};

/// By how much a number grows until one fails.
const GROWTH: f64 = 1.5;

/// How wide a bracket may stay, as a share of its lower end.
const WIDTH: f64 = 0.03;

/// A bracket that is narrow in absolute terms may be as wide as this share of its lower end.
const WIDTH_COARSE: f64 = 0.05;

/// By how much the neighbours differ that are verified beside a number.
const NEIGHBOURHOOD: f64 = 0.03;

/// How often a trial that tells nothing is repeated with twice the time.
const LENGTHENINGS_MAX: u32 = 3;

/// How often a bracket is bisected again after its lower end had to be lowered.
const RESUMPTIONS_MAX: u32 = 2;

/// More trials than any search takes that comes to an end, so that one that does not has one.
const TRIALS_MAX: usize = 300;

/// What a search keeps to.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The least number that means anything.
    pub min: u64,
    /// The number to begin with.
    pub start: u64,
    /// The largest number to try.
    pub max: u64,
    /// A bracket no wider than this is narrow enough, unless it is more than a twentieth of its
    /// end.
    pub width: u64,
    /// How long a trial is timed.
    pub trial: Duration,
    /// How long a trial is timed that verifies.
    pub verify_hold: Duration,
    /// How many trials verify a number.
    pub verify_trials: u32,
    /// Whether the numbers beside it are tried as well.
    pub verifies_neighbours: bool,
    /// When to end at the latest, and how long before to begin to verify.
    pub budget: Option<Budget>,
}

/// How long a search may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// No trial begins later.
    pub end: Duration,
    /// From then on only what was found is verified.
    pub verify_from: Duration,
}

/// What a trial tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    /// Everything held.
    Pass,
    /// Something did not.
    Fail,
    /// Too little was measured to tell.
    Unclear,
}

/// What a trial tells of each goal. Who fails within a tolerance fails without it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Marks {
    /// Within the tolerance of the objectives.
    pub slo: Mark,
    /// Without any error.
    pub zero: Mark,
}

impl Marks {
    /// What it tells of `goal`.
    pub const fn of(self, goal: Goal) -> Mark {
        match goal {
            Goal::Slo => self.slo,
            Goal::Zero => self.zero,
        }
    }
}

/// What is searched for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Goal {
    /// The largest number within the tolerance of the objectives.
    Slo,
    /// The largest number without any error.
    Zero,
}

/// What a trial is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// To find a number that fails.
    Grow,
    /// To see whether the last one that passed still does.
    Bracket,
    /// To find what lies between.
    Bisect,
    /// To see whether what was found holds up.
    Verify,
}

impl Phase {
    /// Its name in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grow => "grow",
            Self::Bracket => "bracket",
            Self::Bisect => "bisect",
            Self::Verify => "verify",
        }
    }
}

/// A trial to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Order {
    /// What it is for.
    pub phase: Phase,
    /// The number to be tried.
    pub n: u64,
    /// Which trial of this number it is, from 1.
    pub trial: u32,
    /// The number to come down to first.
    pub via: Option<u64>,
    /// Whether to begin with connections from zero, and a new server if there can be one.
    pub fresh: bool,
    /// How long to time it.
    pub hold: Duration,
    /// Whether the last trial was the same and told nothing.
    pub is_repeated: bool,
}

/// Where the capacity lies, as far as is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bracket {
    /// The highest number that passed all its verifications.
    pub low: Option<u64>,
    /// The lowest number above that did not pass.
    pub high: Option<u64>,
}

/// Why a search has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// It came to its end.
    Whole,
    /// Its time was over, or nearly so: what was found is wider or less sure than it should be.
    OutOfTime,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Stage {
    Grow { n: u64 },
    Bracket { n: u64 },
    Anew { n: u64 },
    Bisect,
    Verify { queue: Vec<u64> },
    Done,
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    rules: Rules,
    rng: Rng,
    goal: Goal,
    stage: Stage,
    record: Record,
    /// The highest number that is believed to pass.
    low: Option<u64>,
    /// The lowest that does not.
    high: Option<u64>,
    /// Whether the last trial failed, so that the next number is approached from below.
    is_overloaded: bool,
    /// Whether a server that was overloaded did not recover.
    hysteresis: bool,
    /// How often the trial at hand was repeated because it told nothing.
    lengthenings: u32,
    resumptions: u32,
    end: End,
}

impl Search {
    /// A search by `rules`, in which chance follows from `seed`.
    pub fn new(rules: Rules, seed: u64) -> Self {
        let n = rules.start.clamp(rules.min, rules.max);
        Self {
            record: Record::new(rules.verify_trials),
            rules,
            rng: Rng::new(seed),
            goal: Goal::Slo,
            stage: Stage::Grow { n },
            low: None,
            high: None,
            is_overloaded: false,
            hysteresis: false,
            lengthenings: 0,
            resumptions: 0,
            end: End::Whole,
        }
    }

    /// The next trial, when the search has taken `elapsed`; none when it has ended.
    pub fn next(&mut self, elapsed: Duration) -> Option<Order> {
        if let Some(budget) = self.rules.budget {
            self.hurry(budget, elapsed);
        }
        if self.record.len() >= TRIALS_MAX && self.stage != Stage::Done {
            (self.stage, self.end) = (Stage::Done, End::OutOfTime);
        }
        self.order()
    }

    /// Takes note of what the trial told that was ordered last.
    pub fn enter(&mut self, marks: Marks) {
        let Some(Order { n, phase, fresh, .. }) = self.order() else { return };
        let mark = marks.of(self.goal);
        let is_last = mark != Mark::Unclear || self.lengthenings == LENGTHENINGS_MAX;
        self.record.push(Entry { n, phase, fresh, marks, is_last });
        if !is_last {
            self.lengthenings += 1;
            return;
        }
        self.lengthenings = 0;
        self.is_overloaded = mark != Mark::Pass;
        self.advance(n, mark == Mark::Pass);
    }

    /// Where the capacity for `goal` lies, as far as is known.
    pub fn bracket(&self, goal: Goal) -> Bracket {
        self.record.bracket(goal)
    }

    /// The highest number that passed below all that did not, verified or not.
    pub fn best(&self, goal: Goal) -> Option<u64> {
        let high = self.record.lowest_failure(goal, |_| true);
        self.record.highest_pass(goal, high)
    }

    /// How often `n` passed for `goal` in trials that verified it, and how many there were.
    pub fn verified(&self, goal: Goal, n: u64) -> (u32, u32) {
        self.record.verified(goal, n)
    }

    /// Whether an overload outlasted its load.
    pub fn has_hysteresis(&self) -> bool {
        self.hysteresis
    }

    /// Whether a number failed that is not above the one that was verified.
    pub fn is_noisy(&self, goal: Goal) -> bool {
        let low = self.bracket(goal).low;
        low.is_some_and(|low| self.record.lowest_failure(goal, |n| n <= low).is_some())
    }

    /// Why it has ended.
    pub fn end(&self) -> End {
        self.end
    }

    fn order(&self) -> Option<Order> {
        let (phase, n) = match &self.stage {
            Stage::Grow { n } => (Phase::Grow, *n),
            Stage::Bracket { n } | Stage::Anew { n } => (Phase::Bracket, *n),
            Stage::Bisect => (Phase::Bisect, self.middle()),
            Stage::Verify { queue } => (Phase::Verify, *queue.last()?),
            Stage::Done => return None,
        };
        let verifies = phase == Phase::Verify;
        let is_anew = matches!(self.stage, Stage::Anew { .. });
        let fresh = verifies || is_anew || (self.hysteresis && self.is_overloaded);
        let via = self.low.filter(|low| self.is_overloaded && !fresh && *low < n);
        let hold = if verifies { self.rules.verify_hold } else { self.rules.trial };
        let hold = hold * (1 << self.lengthenings);
        let (trial, is_repeated) = (self.record.count(n) + 1, self.lengthenings > 0);
        Some(Order { phase, n, trial, via, fresh, hold, is_repeated })
    }

    /// Goes on after `n` has passed, or has not.
    fn advance(&mut self, n: u64, has_passed: bool) {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        match stage {
            Stage::Verify { queue } => return self.advance_verification(queue, n, has_passed),
            Stage::Bracket { .. } if !has_passed => {
                self.hysteresis = true;
                self.stage = Stage::Anew { n };
                return;
            }
            _ if has_passed => self.low = Some(n),
            _ => {
                self.high = Some(n);
                self.low = self.record.highest_pass(self.goal, self.high);
            }
        }
        match (stage, self.low) {
            (Stage::Grow { .. }, _) if has_passed && n < self.rules.max => {
                self.stage = Stage::Grow { n: scaled(n, GROWTH).max(n + 1).min(self.rules.max) };
            }
            (Stage::Grow { .. }, Some(low)) if !has_passed => {
                self.stage = Stage::Bracket { n: low };
            }
            _ => self.narrow(),
        }
    }

    fn advance_verification(&mut self, mut queue: Vec<u64>, n: u64, has_passed: bool) {
        queue.pop();
        if !has_passed {
            // What is above has failed with it; what is below may still hold.
            queue.retain(|other| *other < n);
        }
        if queue.is_empty() {
            self.settle();
        } else {
            self.stage = Stage::Verify { queue };
        }
    }

    /// Looks at what has been verified.
    fn settle(&mut self) {
        let Bracket { low, high } = self.record.bracket(self.goal);
        self.high = high;
        if low.is_some() {
            self.low = low;
            // A neighbour that held where the number did not is as far away as a neighbour is.
            let is_near = self.is_within(2.0 * WIDTH);
            if is_near || self.is_narrow() || self.resumptions == RESUMPTIONS_MAX {
                return self.conclude();
            }
            self.resumptions += 1;
            self.stage = Stage::Bisect;
            return;
        }
        let below = self.record.lowest_failure(self.goal, |_| true);
        self.high = below;
        self.low = self.record.highest_pass(self.goal, below);
        match self.low {
            // The immediate predecessor of what failed, and nothing beside it.
            Some(low) => self.verify(&[low]),
            None => self.narrow(),
        }
    }

    /// Bisects the bracket, or verifies its lower end if it is narrow enough.
    fn narrow(&mut self) {
        match (self.low, self.high) {
            (None, Some(high)) if high <= self.rules.min => self.conclude(),
            (Some(low), _) if self.is_narrow() => self.verify_with_neighbours(low),
            _ => self.stage = Stage::Bisect,
        }
    }

    fn verify_with_neighbours(&mut self, low: u64) {
        let mut numbers = vec![low];
        if self.rules.verifies_neighbours {
            let range = self.rules.min..=self.rules.max;
            let neighbours = [1.0 - NEIGHBOURHOOD, 1.0 + NEIGHBOURHOOD].map(|by| scaled(low, by));
            numbers.extend(neighbours.into_iter().filter(|n| *n != low && range.contains(n)));
        }
        self.verify(&numbers);
    }

    /// Has each of `numbers` verified as often as it has not been yet, in a random order.
    fn verify(&mut self, numbers: &[u64]) {
        let missing = |n: &u64| {
            let (_, trials) = self.record.verified(self.goal, *n);
            let times = self.rules.verify_trials.saturating_sub(trials);
            std::iter::repeat_n(*n, times as usize)
        };
        let mut queue: Vec<_> = numbers.iter().flat_map(missing).collect();
        for last in (1..queue.len()).rev() {
            let chosen = usize::try_from(self.rng.below(last as u64 + 1)).unwrap_or(last);
            queue.swap(last, chosen);
        }
        if queue.is_empty() {
            self.settle();
        } else {
            self.stage = Stage::Verify { queue };
        }
    }

    /// The goal at hand is reached as far as it can be.
    fn conclude(&mut self) {
        self.stage = Stage::Done;
        if self.goal == Goal::Zero || self.record.is_without_tolerance() {
            return;
        }
        self.goal = Goal::Zero;
        self.resumptions = 0;
        let Bracket { low, high } = self.record.bracket(Goal::Zero);
        (self.low, self.high) = (low, high);
        if low.is_none() {
            self.high = self.record.lowest_failure(Goal::Zero, |_| true);
            self.low = self.record.highest_pass(Goal::Zero, self.high);
        }
        if low.is_none() || !self.is_narrow() {
            self.narrow();
        }
    }

    /// Whether nothing is left to be found within the bracket.
    fn is_narrow(&self) -> bool {
        let (Some(low), Some(high)) = (self.low, self.high) else { return self.low.is_some() };
        let width = high.saturating_sub(low);
        let is_small = width <= self.rules.width && self.is_within(WIDTH_COARSE);
        width <= 1 || self.is_within(WIDTH) || is_small
    }

    /// Whether the bracket is no wider than this share of its lower end.
    fn is_within(&self, share: f64) -> bool {
        let (Some(low), Some(high)) = (self.low, self.high) else { return false };
        high.saturating_sub(low) <= scaled(low, share)
    }

    /// Where to look within the bracket.
    fn middle(&self) -> u64 {
        let high = self.high.unwrap_or(self.rules.max);
        let Some(low) = self.low else { return (high / 4).max(self.rules.min) };
        geometric_mean(low, high).clamp(low + 1, (high - 1).max(low + 1))
    }

    /// Ends what there is no time left for.
    fn hurry(&mut self, budget: Budget, elapsed: Duration) {
        let is_verifying = matches!(self.stage, Stage::Verify { .. } | Stage::Done);
        if elapsed >= budget.verify_from && !is_verifying {
            self.end = End::OutOfTime;
            self.lengthenings = 0;
            match self.low {
                Some(low) if self.record.bracket(self.goal).low.is_none() => self.verify(&[low]),
                _ => self.stage = Stage::Done,
            }
        }
        if elapsed >= budget.end && self.stage != Stage::Done {
            (self.stage, self.end) = (Stage::Done, End::OutOfTime);
        }
    }
}

/// How often at least another trial passes, in 95 of 100 cases, where all of `trials` did.
pub fn pass_rate_low95(trials: u32) -> f64 {
    0.05_f64.powf(1.0 / f64::from(trials.max(1)))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
fn scaled(n: u64, by: f64) -> u64 {
    // Numbers of connections and messages are far below 2^53.
    (n as f64 * by).round() as u64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
fn geometric_mean(one: u64, other: u64) -> u64 {
    ((one as f64) * (other as f64)).sqrt().round() as u64
}
