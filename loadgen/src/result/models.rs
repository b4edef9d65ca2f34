//! What was learnt from several runs: the `models` of a result file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Models, and what they come to.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Models {
    /// What connections cost, by resource: `user`, `kernel`, `memory`, `files`, `cpu`.
    pub linear: BTreeMap<String, Linear>,
    /// Why a resource has no model, or none to rely on.
    pub refusals: BTreeMap<String, String>,
    /// What more cores or subscribers bring.
    pub usl: Option<Usl>,
    /// How many machines it takes.
    pub planning: Option<Planning>,
}

/// A resource as a sum of what connections of a kind take of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Linear {
    /// What its numbers count: `bytes`, `files` or `cores`.
    pub unit: String,
    /// What is taken without connections.
    pub a: f64,
    /// Its standard error.
    pub se_a: f64,
    /// What a connection takes.
    pub b: f64,
    /// Its standard error.
    pub se_b: f64,
    /// What is taken beside, by what it is taken for: its name, a factor and its standard error.
    pub terms: Vec<(String, f64, f64)>,
    /// The part of the variation that the model explains.
    pub r2: f64,
    /// Fewest and most connections that were measured.
    pub range: [f64; 2],
    /// What was measured: connections, and what they took.
    pub points: Vec<[f64; 2]>,
    /// The chance to find a line bent as much as this one if it is straight.
    pub curvature_chance: Option<f64>,
    /// Whether it is straight.
    pub is_straight: bool,
    /// What there is on the machine that is planned for, without what is to stay free.
    pub limit: Option<f64>,
    /// How many connections use that up; `null` if it cannot be told.
    pub conns: Option<f64>,
    /// Between which numbers a machine runs out, in 95 of 100 cases; the upper one may be unknown.
    pub conns_within: Option<(f64, Option<f64>)>,
}

/// What more of something bring, by the universal scalability law or a simpler one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Usl {
    /// More of what: `cores` or `subscribers`.
    pub over: String,
    /// The simplest law that suffices: `linear`, `amdahl` or `usl`.
    pub law: String,
    /// What one brings.
    pub gamma: f64,
    /// Contention.
    pub alpha: f64,
    /// Coherency.
    pub beta: f64,
    /// Between which values coherency lies, in 95 of 100 cases.
    pub beta_within: [f64; 2],
    /// How many bring the most, if some beyond were measured.
    pub peak: Option<f64>,
    /// The criterion that chose the law, for each.
    pub aicc: BTreeMap<String, f64>,
    /// What was measured: how many, and messages a second.
    pub points: Vec<[f64; 2]>,
    /// The law and its band of 95 of 100 cases: how many, value, low, high. Not beyond twice the
    /// most that was measured.
    pub band: Vec<[f64; 4]>,
    /// What it says, and does not.
    pub text: String,
}

/// How many machines it takes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Planning {
    /// How many connections one machine holds.
    pub conns_per_machine: u64,
    /// What runs out first.
    pub binding: String,
    /// What part of each resource stays free.
    pub headroom: f64,
    /// Users to be served.
    pub users: u64,
    /// Machines for them, one to spare among them.
    pub machines: u64,
    /// By what factor the largest run that was measured is exceeded.
    pub extrapolation: f64,
    /// All that in words.
    pub text: String,
}
