//! The result file, schema `loadgen/1`: what a run writes, and what everything that works on
//! results reads.
//!
//! Times are integers of nanoseconds and sizes of bytes. What is unknown is `null`, never 0. Within
//! `/1` fields are only added, so a reader overlooks those it does not know, and takes those that
//! an older file lacks for unknown. Every distribution carries its whole histogram, so that files
//! can be merged exactly: percentiles are never averaged.

mod capacity;
mod difference;
mod distribution;
mod habits;
mod models;
#[cfg(test)]
pub mod sample;
mod secured;
mod sheets;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::capacity::{Capacity, CapacityStep, Verification};
pub use self::difference::{Difference, differences};
pub use self::distribution::{Distribution, Origin};
pub use self::habits::{SlowReaders, StormSheet};
pub use self::models::{Linear, Models, Planning, Usl};
pub use self::secured::TlsSheet;
pub use self::sheets::{
    Attempts, CountSheet, Delivery, Ending, Heartbeats, MergedRun, PartSheet, Phase, PlanSheet,
    ScenarioSheet, ServerSheet, Spread, Tool, WorkerSheet,
};
use crate::charge::Charges;
use crate::host::Machine;
use crate::series::Series;
use crate::slo::Judgement;
use crate::verdict::Validity;

/// The schema that this program writes and reads.
pub const SCHEMA: &str = "loadgen/1";

/// Everything that is left of a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: String,
    /// What wrote it.
    pub tool: Tool,
    /// What everything drawn at random followed from, in hexadecimal digits.
    pub seed: String,
    /// The command line, its first word the program.
    pub argv: Vec<String>,
    /// When it began (RFC 3339).
    pub started: String,
    /// What the run was called by `--label`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Where the generator ran.
    pub machine: Machine,
    /// What is known of the server.
    pub server: ServerSheet,
    /// What was to be done, and when it was.
    pub plan: PlanSheet,
    /// The attempts and what became of them.
    pub accounting: Attempts,
    /// How long things took; `null` for what was not measured.
    pub latency: BTreeMap<String, Option<Distribution>>,
    /// What became of the messages, if any were sent.
    pub delivery: Option<Delivery>,
    /// The pings of the server.
    pub heartbeats: Heartbeats,
    /// Those that read slowly; `null` if none did.
    #[serde(default)]
    pub slow: Option<SlowReaders>,
    /// What became of the storm; `null` if none struck.
    #[serde(default)]
    pub storm: Option<StormSheet>,
    /// What it cost.
    pub cost: Charges,
    /// What happened tick by tick.
    pub series: Series,
    /// What had to hold.
    pub slo: Vec<Judgement>,
    /// Whether the generator kept pace.
    pub validity: Validity,
    /// How far the server went, if that was searched for. All the rest tells of the last trial of
    /// the number that was found, but `accounting` and `series` of the whole search.
    #[serde(default)]
    pub capacity: Option<Capacity>,
    /// What it comes to.
    pub verdict: Ending,
    /// What was learnt of connections from several runs. All the rest tells of the largest.
    #[serde(default)]
    pub models: Option<Models>,
    /// The runs that it was merged from; none if it was one.
    #[serde(default)]
    pub merged: Vec<MergedRun>,
}

impl Document {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// The file, and what is wrong with it: that it cannot be read, is of another schema, or
    /// contradicts itself.
    pub fn read(path: &Path) -> Result<Self, Unreadable> {
        let unreadable = |reason| Unreadable { path: path.into(), reason };
        let text = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(&text).map_err(unreadable)
    }

    /// Writes the file's text.
    pub fn text(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        // The schema first: of another one, nothing else can be told to be wrong.
        let front: Front = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if front.schema != SCHEMA {
            return Err(format!("its schema is `{}`, and not `{SCHEMA}`", front.schema));
        }
        let document: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        for (name, distribution) in &document.latency {
            if let Some(distribution) = distribution {
                distribution.check().map_err(|reason| format!("latency.{name}: {reason}"))?;
            }
        }
        Ok(document)
    }
}

#[derive(Deserialize)]
struct Front {
    #[serde(default)]
    schema: String,
}

/// A result file that is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreadable {
    path: PathBuf,
    reason: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no result of loadgen: {}", self.path.display(), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("result.json");
        fs::write(&path, text).unwrap();
        Document::read(&path).unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_is_no_result_is_refused_with_its_name_and_the_reason() {
        for (text, reason) in [
            ("", "EOF"),
            ("[1]", "invalid"),
            ("{}", "its schema is ``"),
            (r#"{"schema":"loadgen/2"}"#, "its schema is `loadgen/2`, and not `loadgen/1`"),
            (r#"{"schema":"loadgen/1"}"#, "missing field"),
        ] {
            let complaint = complaint(text);
            assert!(complaint.contains(reason), "{text}: {complaint}");
            assert!(complaint.contains("result.json is no result of loadgen: "), "{complaint}");
        }
        let missing = Document::read(Path::new("/nowhere.json")).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere.json is no result"), "{missing}");
    }
}
