//! `loadgen compare`: did it become better or worse, by how much, and how sure is that.
//!
//! ```text
//!   BASE, NEW --figure--> readings --effect--> change, interval --line--> verdict
//! ```
//!
//! A figure is worse only if all of its interval lies beyond the tolerance, and the same only if
//! all of it lies within: where an interval reaches across, too little was measured to tell. With
//! several runs a side the interval comes from how they differ among themselves, which is what a
//! next run will do; a single run knows only how its own seconds differ.

mod blocks;
mod effect;
mod figure;
mod line;
mod text;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use self::line::{Line, Verdict};
use crate::result::{Difference, Document, differences};
use crate::run::{self, Refusal};
use crate::verdict::Exit;

/// So many results a side: more change no interval that anybody could tell.
const FILES_MAX: usize = 100;

/// What is to be compared.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// The result that is measured against; several of the same as A.json,B.json,..
    #[arg(value_name = "BASE.json,..", value_parser = parse_files)]
    base: Files,

    /// The result that is judged; several of the same as A.json,B.json,..
    #[arg(value_name = "NEW.json,..", value_parser = parse_files)]
    new: Files,

    /// How much worse a figure may become
    #[arg(long, value_name = "PERCENT%", default_value = "5%", value_parser = parse_tolerance)]
    tolerance: f64,

    /// Write every line as JSON to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The files of a side.
#[derive(Clone, Debug)]
struct Files(Vec<PathBuf>);

/// All that was found.
#[derive(Clone, Debug, Serialize)]
struct Comparison {
    /// The worst change that is overlooked, in parts of 1.
    tolerance: f64,
    /// What else is not the same, so that it may be what changed the figures.
    differences: Vec<String>,
    /// What to bear in mind.
    notes: Vec<String>,
    /// A line for each figure.
    lines: Vec<Line>,
}

/// Compares the results that `args` name.
///
/// # Errors
///
/// The file that is no result, or that nothing was measured in both.
pub fn compare(args: &CompareArgs) -> Result<Exit, Refusal> {
    let (base, new) = (read(&args.base)?, read(&args.new)?);
    let comparison = Comparison::new(&base, &new, args.tolerance);
    if comparison.lines.is_empty() {
        return Err(Refusal::new(Exit::Usage, "these results have no figure in common"));
    }
    tell(args, &comparison).map_err(|error| Refusal::new(Exit::Broken, error))?;
    let invalid = Exit::Invalid as u8;
    let is_believed = base.iter().chain(&new).all(|document| document.verdict.exit != invalid);
    Ok(if comparison.lines.iter().any(|line| line.verdict == Verdict::Worse) {
        Exit::Broken
    } else if is_believed {
        Exit::Held
    } else {
        Exit::Invalid
    })
}

fn read(files: &Files) -> Result<Vec<Document>, Refusal> {
    let documents = files.0.iter().map(|path| Document::read(path));
    let documents = documents.collect::<Result<Vec<_>, _>>();
    documents.map_err(|error| Refusal::new(Exit::Usage, error))
}

fn tell(args: &CompareArgs, comparison: &Comparison) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let json = serde_json::to_string_pretty(comparison)? + "\n";
    match args.json.as_deref() {
        Some(path) if path == Path::new("-") => return stdout.write_all(json.as_bytes()),
        Some(path) => run::write(path, &json)?,
        None => {}
    }
    stdout.write_all(text::page(comparison).as_bytes())
}

impl Comparison {
    fn new(base: &[Document], new: &[Document], tolerance: f64) -> Self {
        let lines = figure::all().into_iter().filter_map(|it| Line::new(&it, base, new, tolerance));
        Self {
            tolerance,
            differences: circumstances(base, new),
            notes: notes(base, new),
            lines: lines.collect(),
        }
    }
}

/// What differs between the sides beside the figures: machine, versions, plan.
fn circumstances(base: &[Document], new: &[Document]) -> Vec<String> {
    let Some(first) = base.first() else { return Vec::new() };
    let mut found: Vec<Difference> = Vec::new();
    for other in base.iter().chain(new).skip(1) {
        for difference in unlike(first, other) {
            if !found.iter().any(|it| it.field == difference.field) {
                found.push(difference);
            }
        }
    }
    let told = |it: &Difference| format!("{}: {} and {}", it.field, it.one, it.other);
    found.iter().map(told).collect()
}

/// What is never the same: how much memory was free, when phases ended, and the port that a
/// server brought along happened to get.
const FLEETING: [&str; 5] = [
    "machine.mem_available_bytes",
    "machine.swap_used_bytes",
    "machine.boot_id",
    "plan.phases",
    "plan.url",
];

fn unlike(one: &Document, other: &Document) -> Vec<Difference> {
    let mut found = differences("tool", &one.tool, &other.tool);
    found.extend(differences("server.build", &one.server.build, &other.server.build));
    found.extend(differences("server.workers", &one.server.workers, &other.server.workers));
    found.extend(differences("machine", &one.machine, &other.machine));
    found.extend(differences("plan", &one.plan, &other.plan));
    found.extend(differences("labels", &one.labels, &other.labels));
    let is_brought = one.server.build.is_some() && other.server.build.is_some();
    found.retain(|it| {
        !FLEETING.contains(&it.field.as_str()) || (it.field == "plan.url" && !is_brought)
    });
    found
}

fn notes(base: &[Document], new: &[Document]) -> Vec<String> {
    let mut notes = Vec::new();
    for (side, documents) in [("BASE", base), ("NEW", new)] {
        let invalid = documents.iter().filter(|document| !document.validity.valid).count();
        if invalid > 0 {
            let of = documents.len();
            notes.push(format!(
                "{side}: in {invalid} of {of} the generator did not keep pace (invalid)"
            ));
        }
    }
    if base.len() + new.len() == 2 {
        notes.push(
            "one run a side: intervals tell how seconds differ within a run, not how runs differ; \
             name several a side, as A.json,B.json,C.json"
                .to_owned(),
        );
    }
    notes
}

fn parse_files(text: &str) -> Result<Files, String> {
    let files: Vec<_> = text.split(',').map(PathBuf::from).collect();
    match files.len() {
        _ if files.iter().any(|file| file.as_os_str().is_empty()) => {
            Err("a file has a name".to_owned())
        }
        1..=FILES_MAX => Ok(Files(files)),
        _ => Err(format!("{FILES_MAX} results a side at most")),
    }
}

fn parse_tolerance(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no tolerance: use 5%");
    let percent: f64 =
        text.strip_suffix('%').unwrap_or(text).trim().parse().map_err(|_| wrong())?;
    if (0.0..=1_000.0).contains(&percent) { Ok(percent / 100.0) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::sample;

    fn comparison(base: &[Document], new: &[Document]) -> Comparison {
        Comparison::new(base, new, 0.05)
    }

    fn verdict(comparison: &Comparison, name: &str) -> Verdict {
        comparison.lines.iter().find(|line| line.figure == name).unwrap().verdict
    }

    /// Thirty seconds of echoes of about so many nanoseconds.
    fn echoes(ns: u64) -> Document {
        let times: Vec<_> = (0..30u64).map(|n| ns + n * ns / 10_000).collect();
        sample::document(1, &times)
    }

    #[test]
    fn twice_as_slow_is_worse_and_half_is_better() {
        let (base, slow) = (echoes(1_000_000), echoes(2_000_000));
        let worse = comparison(std::slice::from_ref(&base), std::slice::from_ref(&slow));
        assert_eq!(verdict(&worse, "echo p50"), Verdict::Worse);
        let better = comparison(std::slice::from_ref(&slow), std::slice::from_ref(&base));
        assert_eq!(verdict(&better, "echo p50"), Verdict::Better);
        let same = comparison(std::slice::from_ref(&base), std::slice::from_ref(&base));
        assert_eq!(verdict(&same, "echo p50"), Verdict::Same);
        assert_eq!(verdict(&same, "echo p99"), Verdict::TooFew, "30 samples tell no p99");
    }

    #[test]
    fn a_cost_needs_several_runs() {
        let run = |bytes| {
            let mut document = echoes(1_000);
            document.cost.server_bytes_per_conn = Some(bytes);
            document
        };
        let name = "server user per conn";
        assert_eq!(verdict(&comparison(&[run(500)], &[run(900)]), name), Verdict::TooFew);
        let base = [run(500), run(502), run(498)];
        assert_eq!(verdict(&comparison(&base, &[run(600), run(601)]), name), Verdict::Worse);
        assert_eq!(verdict(&comparison(&base, &[run(501), run(500)]), name), Verdict::Same);
        let wild = [run(300), run(900)];
        assert_eq!(verdict(&comparison(&base, &wild), name), Verdict::TooFew);
    }

    #[test]
    fn more_loss_is_worse_however_little_there_was() {
        let mut lossy = echoes(1_000);
        let delivery = lossy.delivery.as_mut().unwrap();
        (delivery.expected, delivery.received) = (1_000_000, 999_000);
        let mut whole = echoes(1_000);
        let delivery = whole.delivery.as_mut().unwrap();
        (delivery.expected, delivery.received) = (1_000_000, 1_000_000);
        let name = "messages lost";
        let found = comparison(std::slice::from_ref(&whole), std::slice::from_ref(&lossy));
        assert_eq!(verdict(&found, name), Verdict::Worse);
        let found = comparison(std::slice::from_ref(&whole), std::slice::from_ref(&whole));
        assert_eq!(verdict(&found, name), Verdict::Same);
    }

    #[test]
    fn what_else_differs_is_named() {
        let (base, mut new) = (echoes(1), echoes(1));
        new.machine.cpu.cores = 8;
        new.plan.conns = 11;
        new.machine.mem_available_bytes = Some(1);
        new.validity.valid = false;
        let found = comparison(&[base], &[new]);
        assert_eq!(found.differences, ["machine.cpu.cores: 2 and 8", "plan.conns: 10 and 11"]);
        assert!(found.notes.iter().any(|note| note.starts_with("NEW: in 1 of 1")));
        let page = text::page(&found);
        assert!(page.contains("machine.cpu.cores") && page.contains("echo p50"), "{page}");
    }

    #[test]
    fn files_and_tolerances_are_read() {
        assert_eq!(parse_files("a,b").unwrap().0.len(), 2);
        assert!(parse_files("a,,b").is_err() && parse_files("").is_err());
        assert_eq!(parse_tolerance("5%"), Ok(0.05));
        assert!(parse_tolerance("-1%").is_err() && parse_tolerance("much").is_err());
    }
}
