//! What passes between the fleet and a driver.
//!
//! Every command has a number, and every report says up to which number all has been done: so a
//! report that was under way when a command was given is never taken for its answer.

use std::time::Instant;

use crate::tally::Tally;
use crate::turnover::Habits;
use crate::units::Rate;

/// What a driver counts at a time belongs to one of these.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Between trials: connections are opened and closed.
    Between,
    /// The scenario runs, and what it costs to get going is not timed.
    Warmup,
    /// The scenario runs and is timed.
    Hold,
    /// Nothing more is sent, and what is on its way arrives.
    Drain,
}

/// A numbered command.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its number; later commands have higher ones.
    pub order: u32,
    /// What is to be done.
    pub deed: Deed,
}

/// What a driver can be told.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Have so many connections, by opening more or closing some. Done when all are open or have
    /// failed for good.
    Resize(u32),
    /// Begin no more connections. Done when those under way are open or have failed.
    CutShort,
    /// A trial begins: take note of what comes from now on.
    Listen,
    /// All others listen: do what the scenario says. The moments are the same for all drivers.
    Speak {
        /// When to begin.
        from: Instant,
        /// From when on what should be sent is timed.
        timed_from: Instant,
        /// When to end.
        until: Instant,
        /// What is otherwise than planned.
        variation: Variation,
    },
    /// The hold ends. Done when all that was due before has been sent.
    Hush,
    /// Tell how many messages have not come. All have been sent.
    Inquire,
    /// What has not come by now is lost, and the trial has ended.
    Settle,
    /// Close everything and end.
    Quit,
}

/// How a trial differs from what the plan says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variation {
    /// How often each of those sends that send.
    pub rate: Option<Rate>,
    /// Who leaves and comes back. Nobody pings then: who leaves cannot be asked for a pong.
    pub habits: Option<Habits>,
}

/// What a driver tells the fleet now and then, and when it has done what it was told.
#[derive(Debug)]
pub struct Report {
    /// Who tells.
    pub driver: u32,
    /// The stage in which this was counted.
    pub stage: Stage,
    /// What was counted since the last report.
    pub tally: Tally,
    /// Connections that are open now.
    pub open: u64,
    /// Attempts that are neither open nor failed now.
    pub pending: u64,
    /// Messages that had not come when it was last inquired.
    pub missing: u64,
    /// The last command that has been done.
    pub done: u32,
}
