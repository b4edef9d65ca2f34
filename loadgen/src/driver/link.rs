//! What passes between the conductor and a driver.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::tally::Tally;

/// The parts of a run, one after the other.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Connections are being opened.
    Ramp,
    /// All are open and do what the scenario says.
    Hold,
    /// Nothing more is sent, and what is on its way arrives.
    Drain,
}

/// What the conductor tells a driver.
#[derive(Clone, Debug)]
pub enum Command {
    /// The hold begins: take note of what comes from now on.
    Listen,
    /// All others listen: send what the scenario says.
    Speak,
    /// The hold ends.
    Drain,
    /// What has not come by now is lost, of the messages that each publisher sent.
    Settle(Arc<BTreeMap<u32, u64>>),
    /// Close everything and end.
    Quit,
}

/// What a driver tells the conductor now and then, and when something has changed.
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
    /// What the driver has done with.
    pub progress: Progress,
}

/// How far a driver has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Progress {
    /// It still opens connections.
    Ramping,
    /// Every connection is open or has failed for good.
    Ramped,
    /// Its connections take note of what comes.
    Listening,
    /// It sends nothing more.
    Hushed,
    /// The losses have been counted.
    Settled,
    /// Everything is closed.
    Left,
}
