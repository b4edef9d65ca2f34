//! `loadgen merge`: several runs of the same, put together exactly.
//!
//! Counters are added, histograms are added bucket by bucket, and every percentile is told from the
//! sum: the result is what one run would have written that had seen all of it. What cannot be added
//! is told by its worst, and runs that did not do the same are refused with the field that differs.
//!
//! Invariant: in whatever order files are merged, and in however many steps, the counts come out
//! the same.

mod bill;
mod rows;
mod sum;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

pub use self::sum::runs;

use crate::result::{Difference, Document, differences};
use crate::run::{self, Refusal};
use crate::units;
use crate::verdict::Exit;

/// So many files at once: of more, nobody could say what they were.
const FILES_MAX: usize = 1_000;

/// What is to be merged.
#[derive(Args, Clone, Debug)]
pub struct MergeArgs {
    /// Results of runs that did the same: repeats, or parts of one load from several machines
    #[arg(required = true, num_args = 2..=FILES_MAX, value_name = "RESULT.json")]
    results: Vec<PathBuf>,

    /// Where to write the sum; standard output if nothing is said
    #[arg(long, short = 'o', value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How the runs stood to each other in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Together {
    /// Side by side, against the same server: what each saw of it is the same thing.
    Yes,
    /// One after the other, or each against a server of its own.
    No,
}

/// Why two runs cannot be one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unlike(Difference);

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { field, one, other } = &self.0;
        write!(f, "these runs did not do the same: {field} is {one} in one and {other} in another")
    }
}

/// Merges the files that `args` name.
///
/// # Errors
///
/// The file that is no result, or in which field two of them differ.
pub fn merge(args: &MergeArgs) -> Result<Exit, Refusal> {
    let usage = |reason: String| Refusal::new(Exit::Usage, reason);
    let documents = args.results.iter().map(|path| Document::read(path));
    let documents = documents.collect::<Result<Vec<_>, _>>();
    let documents = documents.map_err(|error| usage(error.to_string()))?;
    let is_search = |(_, document): &(_, &Document)| document.capacity.is_some();
    if let Some((path, _)) = args.results.iter().zip(&documents).find(is_search) {
        return Err(usage(format!("{} is of a search, and not of a run", path.display())));
    }
    let whole = merged(&documents, relation(&documents)).map_err(|it| usage(it.to_string()))?;
    let text = whole.text().map_err(|error| Refusal::new(Exit::Broken, error))?;
    let written = match &args.out {
        None => io::stdout().lock().write_all(text.as_bytes()),
        Some(path) => run::write(path, &text),
    };
    written.map_err(|error| Refusal::new(Exit::Broken, error))?;
    Ok(Exit::Held)
}

/// One document of `documents`, which ran as `together` says.
///
/// # Errors
///
/// The first field that shows that they did not do the same.
pub fn merged(documents: &[Document], together: Together) -> Result<Document, Unlike> {
    let mut documents: Vec<_> = documents.iter().collect();
    // What can be told of one run only is told of the first one, whatever the order of arguments.
    documents.sort_by(|one, other| (&one.started, &one.seed).cmp(&(&other.started, &other.seed)));
    if let Some((first, rest)) = documents.split_first() {
        for other in rest {
            alike(first, other).map_or(Ok(()), |difference| Err(Unlike(difference)))?;
        }
    }
    Ok(sum::of(&documents, together))
}

/// In what `one` and `other` differ that they must have in common.
fn alike(one: &Document, other: &Document) -> Option<Difference> {
    let plans = |of: &Document| (of.plan.warmup_ns, of.plan.hold_ns, of.series.tick_ns);
    let ((warmup, hold, tick), others) = (plans(one), plans(other));
    let mut found = differences("schema", &one.schema, &other.schema);
    found.extend(differences("tool.version", &one.tool.version, &other.tool.version));
    found.extend(differences("server.build", &one.server.build, &other.server.build));
    found.extend(differences("plan.scenario", &one.plan.scenario, &other.plan.scenario));
    found.extend(differences("plan.warmup_ns", &warmup, &others.0));
    found.extend(differences("plan.hold_ns", &hold, &others.1));
    found.extend(differences("series.tick_ns", &tick, &others.2));
    for (name, distribution) in &one.latency {
        let other = other.latency.get(name).and_then(Option::as_ref);
        if let (Some(distribution), Some(other)) = (distribution, other) {
            let field = format!("latency.{name}");
            let kind = |of: &str| format!("{field}.{of}");
            found.extend(differences(&kind("unit"), &distribution.unit, &other.unit));
            found.extend(differences(&kind("co"), &distribution.co, &other.co));
        }
    }
    found.into_iter().next()
}

/// Whether any two of `documents` measured the same server at the same time.
fn relation(documents: &[Document]) -> Together {
    let end = |of: &Document| of.plan.phases.iter().map(|phase| phase.to_ns).max().unwrap_or(0);
    let span = |of: &Document| {
        let from = units::parse_rfc3339(&of.started)?;
        Some((from, from + end(of) / 1_000_000_000))
    };
    let overlap = |one: &Document, other: &Document| {
        let (Some(one), Some(other)) = (span(one), span(other)) else { return false };
        one.0 < other.1 && other.0 < one.1
    };
    let mut rest = documents;
    while let Some((one, others)) = rest.split_first() {
        if others.iter().any(|other| one.plan.url == other.plan.url && overlap(one, other)) {
            return Together::Yes;
        }
        rest = others;
    }
    Together::No
}

#[cfg(test)]
mod tests;
