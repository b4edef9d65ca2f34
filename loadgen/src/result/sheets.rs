//! The smaller parts of the result file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::secured::TlsSheet;
use crate::host::Machine;
use crate::remote::Offset;

/// The program that wrote a file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Tool {
    /// Its version.
    pub version: String,
    /// The commit it was built from, with `-dirty` if there was more; unknown of a build without
    /// its repository, or for debugging.
    #[serde(default)]
    pub git: Option<String>,
    /// The compiler that built it.
    #[serde(default)]
    pub rustc: Option<String>,
    /// What was chosen when it was built.
    #[serde(default)]
    pub features: Vec<String>,
}

/// What is known of the server.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ServerSheet {
    /// Where it ran; unknown if that is another machine.
    #[serde(default)]
    pub machine: Option<Machine>,
    /// What it is: known of the one brought along.
    #[serde(default)]
    pub build: Option<String>,
    /// How many connections it counted itself at the end of the hold, if it was asked.
    #[serde(default)]
    pub counted: Option<CountSheet>,
    /// What handshakes of TLS agreed on; unknown if there were none.
    #[serde(default)]
    pub tls: Option<TlsSheet>,
    /// How many workers it had: the same.
    #[serde(default)]
    pub workers: Option<u64>,
    /// On how many cores they stayed: the same.
    #[serde(default)]
    pub cores: Option<u64>,
}

/// A number that both sides counted.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CountSheet {
    /// What the server calls it.
    pub gauge: String,
    /// What the server counted; unknown if it did not tell.
    pub server: Option<u64>,
    /// What we counted.
    pub ours: u64,
    /// Whether that is the same.
    pub agrees: bool,
}

/// What was to be done, and when it was.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PlanSheet {
    /// Against whom.
    pub url: String,
    /// How many connections were asked for.
    pub conns: u32,
    /// What they did.
    pub scenario: ScenarioSheet,
    /// How fast they were opened: `adaptive`, or a rate.
    pub ramp: String,
    /// How long the scenario was to run untimed.
    #[serde(default)]
    pub warmup_ns: u64,
    /// How long it was to be timed.
    pub hold_ns: u64,
    /// How many threads drove connections.
    pub drivers: u32,
    /// Whether each had a table of files of its own.
    pub own_file_tables: bool,
    /// From how many addresses connections came; unknown if the system chose.
    pub source_addresses: Option<usize>,
    /// When each phase began and ended, from the start.
    pub phases: Vec<Phase>,
}

/// What connections did.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ScenarioSheet {
    /// Its name on the command line.
    pub name: String,
    /// Bytes of a message, at most.
    pub payload_bytes: Option<usize>,
    /// The same at least.
    #[serde(default)]
    pub payload_bytes_min: Option<usize>,
    /// How messages follow each other: `constant` or `poisson`.
    #[serde(default)]
    pub arrivals: String,
    /// What share vanished at once, and how long they had to come back (`30%/10s`).
    #[serde(default)]
    pub storm: Option<String>,
    /// How long each connection lived (`600s`, or with that mean `exp:600s`).
    #[serde(default)]
    pub lifetime: Option<String>,
    /// How those came back: `none`, `fixed` or `exp-jitter`; unknown if nobody left.
    #[serde(default)]
    pub reconnect: Option<String>,
    /// How often each connection pings; unknown if it does not.
    #[serde(default)]
    pub heartbeat_ns: Option<u64>,
    /// Who does what.
    #[serde(default)]
    pub parts: Vec<PartSheet>,
}

/// Connections that do the same.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PartSheet {
    /// `idle`, `echo`, `broadcast`, or `slow`: echo that reads slowly.
    pub does: String,
    /// How many they are, beside the weights of the others.
    pub weight: u64,
    /// Messages of each connection that sends.
    pub rate_per_second: Option<f64>,
    /// How many publish.
    pub publishers: Option<u32>,
    /// Where they connect to, if not where the URL says.
    pub path: Option<String>,
    /// What share of them reads slowly, and how slowly (`5%:256B/s`).
    #[serde(default)]
    pub slow: Option<String>,
}

/// A phase of a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// When it began.
    pub from_ns: u64,
    /// When it ended.
    pub to_ns: u64,
}

/// The attempts, and what they came to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Attempts {
    /// Connections that were asked for.
    pub requested: u32,
    /// Attempts that were begun.
    pub attempted: u64,
    /// Those that became open.
    pub opened: u64,
    /// Those that were neither open nor failed in the end.
    pub pending: u64,
    /// Connections that were open when the hold began.
    pub held: u64,
    /// Those that failed, by class.
    pub failed: BTreeMap<String, u64>,
    /// Those that were open and ended, by class.
    pub closed: BTreeMap<String, u64>,
    /// Ports that were taken by others, so that the next one was tried.
    pub ports_taken: u64,
    /// Whether all this adds up.
    pub balanced: bool,
}

/// What became of the messages.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Delivery {
    /// Sent.
    pub published: u64,
    /// Should have come.
    pub expected: u64,
    /// Came, each counted once.
    pub received: u64,
    /// Never came.
    pub gap: u64,
    /// Came again.
    pub dup: u64,
    /// Came after a later one.
    pub reorder: u64,
    /// Came with other bytes.
    pub corrupt: u64,
    /// Were not ours.
    pub foreign: u64,
    /// Did not come because their subscriber had left by plan; not part of what is expected.
    #[serde(default)]
    pub away: u64,
    /// How publications of a broadcast spread; unknown for other scenarios, and where some left by
    /// plan, as they take along what was on its way.
    #[serde(default)]
    pub spread: Option<Spread>,
}

/// How publications spread. Their times are distributions of their own.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Spread {
    /// Publications that all recipients had.
    pub whole: u64,
    /// Publications that some recipients never had.
    pub partial: u64,
}

/// The pings of both sides.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Heartbeats {
    /// Pings that came.
    pub pings: u64,
    /// Our answers.
    pub pongs: u64,
    /// Our own pings, if `--heartbeat` asked for them.
    #[serde(default)]
    pub sent: u64,
    /// The server's answers to them.
    #[serde(default)]
    pub answered: u64,
    /// Those of ours that nobody waited for any more: their connection had left by plan.
    #[serde(default)]
    pub excused: u64,
}

/// What a run comes to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Ending {
    /// The exit code.
    pub exit: u8,
    /// The same in a sentence.
    pub text: String,
}

/// One of the runs that a file was merged from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct MergedRun {
    /// Its seed.
    pub seed: String,
    /// When it began.
    pub started: String,
    /// Against whom.
    pub url: String,
    /// How many connections it asked for.
    pub conns: u32,
    /// Whether its generator kept pace.
    pub valid: bool,
    /// How it ended.
    pub exit: u8,
    /// What it was called.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Which worker made it, if one did.
    #[serde(default)]
    pub worker: Option<WorkerSheet>,
}

/// A worker that made a part of a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct WorkerSheet {
    /// Where it listened.
    pub name: String,
    /// How far its clock is ahead of the coordinator's, and how far that may be off: deliveries
    /// from publishers of other workers are known only to the sum of both errors.
    pub clock: Offset,
    /// How publications spread among its own connections: until its last recipient had each, at the
    /// median and the 99th percentile.
    pub last_recipient_ns: Option<[u64; 2]>,
    /// Why what it found is missing, if it is.
    pub lost: Option<String>,
}
