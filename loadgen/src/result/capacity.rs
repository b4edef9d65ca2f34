//! What a search for a capacity leaves in the result file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::slo::Judgement;

/// How far the server went, and what broke first.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Capacity {
    /// What was searched along: `conns`, `rate` or `subscribers`.
    pub axis: String,
    /// What its numbers count, such as `connections`.
    pub unit: String,
    /// How many connections there were, where the axis is another; unknown where it is not.
    #[serde(default)]
    pub conns: Option<u64>,
    /// Whether trials were shorter and verified less than a capacity deserves.
    pub quick: bool,
    /// The largest number that was to be tried.
    pub max: u64,
    /// Every trial, in the order in which they were made.
    pub steps: Vec<CapacityStep>,
    /// Without any error: the highest number that passed every verification, and the lowest above
    /// it that did not pass. The first is `null` if none was verified, the second if none failed.
    pub n_zero: [Option<u64>; 2],
    /// The same within the tolerance of the objectives.
    pub n_slo: [Option<u64>; 2],
    /// How the lower end of `n_slo` was verified, if it was.
    pub verify: Option<Verification>,
    /// How the lower end of `n_zero` was verified, if it was.
    #[serde(default)]
    pub verify_zero: Option<Verification>,
    /// What broke first, by its name: `server.mem`, `server.cpu`, `server.files`, `server.accept`,
    /// `server.refused`, `server.gone`, `latency`, `delivery`, `recovery`, `machine.cpu`,
    /// `generator` or `unclear`; `null` if nothing did.
    pub binding: Option<String>,
    /// The same in a sentence, with its numbers.
    pub reason: String,
    /// Whether the last number that had passed failed after an overload, until a new beginning.
    pub hysteresis: bool,
    /// What to bear in mind.
    pub notes: Vec<String>,
}

/// A trial of a search.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CapacityStep {
    /// What it was for: `grow`, `bracket`, `bisect` or `verify`.
    pub phase: String,
    /// The number on the axis.
    pub n: u64,
    /// Which trial of this number it was, from 1.
    pub trial: u32,
    /// How long it was timed, in seconds.
    pub hold_s: f64,
    /// When it began, from the start of the search: from there on the number was approached.
    pub from_ns: u64,
    /// When it ended.
    pub to_ns: u64,
    /// Whether it began with connections from zero, and a new server where there could be one.
    pub fresh: bool,
    /// Whether it passed within the tolerance of the objectives.
    pub pass: bool,
    /// Whether it passed without any error.
    pub pass_zero: bool,
    /// What kept it from passing, by the name it has in [`Capacity::binding`]; `unclear` if too
    /// little was measured to tell, which is not taken for a pass.
    pub binding: Option<String>,
    /// Everything that kept it from passing without any error, in sentences.
    pub reasons: Vec<String>,
    /// What was measured, by names that end in their unit; `null` is unknown.
    pub metrics: BTreeMap<String, Option<u64>>,
    /// What became of the objectives.
    pub slo: Vec<Judgement>,
}

/// How a number was verified: with connections from zero each time, in a shuffled order.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Verification {
    /// The number.
    pub n: u64,
    /// Trials that passed.
    pub passes: u32,
    /// Trials that there were.
    pub trials: u32,
    /// How long each was held, in seconds.
    pub hold_s: f64,
    /// In 95 of 100 cases another trial passes at least this often; unknown if one did not.
    pub p_pass_low95: Option<f64>,
    /// What was measured in these trials: least, median and most, by the names of
    /// [`CapacityStep::metrics`].
    pub spread: BTreeMap<String, [u64; 3]>,
}
