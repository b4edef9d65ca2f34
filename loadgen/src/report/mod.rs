//! What is left of a run: a page for people and a file for programs, of the same findings.

pub mod file;
pub mod text;

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use crate::charge::Charges;
use crate::host::Machine;
use crate::plan::Plan;
use crate::sessions::Agreement;
use crate::verdict::{Outcome, Verdict};

/// Everything that is known at the end.
#[derive(Debug)]
pub struct Findings<'a> {
    /// What was to be done.
    pub plan: &'a Plan,
    /// Against whom.
    pub url: &'a str,
    /// What the run was called.
    pub labels: &'a BTreeMap<String, String>,
    /// How many workers the server brought along runs.
    pub server_workers: Option<usize>,
    /// On how many cores these stay.
    pub server_cores: Option<usize>,
    /// How many addresses connections came from, if not the system chose.
    pub addresses: Option<usize>,
    /// When it began.
    pub started: SystemTime,
    /// The same as the run's own clock has it, from which its times count.
    pub epoch: Instant,
    /// Where.
    pub machine: &'a Machine,
    /// What was measured.
    pub outcome: &'a Outcome,
    /// What it cost.
    pub charges: &'a Charges,
    /// What it comes to.
    pub verdict: &'a Verdict,
}

impl Findings<'_> {
    /// What all handshakes of TLS agreed on.
    pub fn agreements(&self) -> BTreeMap<Agreement, u64> {
        let Outcome { resized, trial, .. } = self.outcome;
        let mut sum = resized.tally.agreements.clone();
        for (agreement, count) in &trial.tally.agreements {
            *sum.entry(*agreement).or_default() += count;
        }
        sum
    }
}
