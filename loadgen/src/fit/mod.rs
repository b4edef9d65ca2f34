//! `loadgen fit`: from several runs to what a connection costs, and from that to how many machines
//! it takes.
//!
//! ```text
//!   results --points--> memory, files, CPU over connections --linear--> capacity of a machine
//!                  \--> messages over cores or subscribers  --scaling-> law, band, peak
//!                                                            planning -> a sentence
//! ```
//!
//! A model is told with its errors or not at all: what too few loads were measured for, what is no
//! line, and what would lie beyond what can be known is refused with the reason.

mod linear;
mod planning;
mod points;
mod scaling;
mod text;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use self::points::Point;
use crate::merge;
use crate::result::{Document, Models};
use crate::run::{self, Refusal};
use crate::units::{parse_bytes, parse_count};
use crate::verdict::Exit;

/// So many results at most: a grid of ten loads, ten numbers of cores and ten repeats.
const FILES_MAX: usize = 1_000;

/// What models are to be made of, and what for.
#[derive(Args, Clone, Debug)]
pub struct FitArgs {
    /// Results of runs that differ in their number of connections (at least 6 of them) or of cores,
    /// as `loadgen sweep` writes them
    #[arg(required = true, num_args = 1..=FILES_MAX, value_name = "RESULT.json")]
    results: Vec<PathBuf>,

    /// What part of each resource of a machine is to stay free
    #[arg(long, value_name = "PERCENT%", default_value = "60%", value_parser = parse_headroom)]
    headroom: f64,

    /// Memory of the machines to plan for; that of the measured one if nothing is said
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory: Option<u64>,

    /// Cores of the machines to plan for; those of the measured one if nothing is said
    #[arg(long, value_name = "N", value_parser = parse_count)]
    cores: Option<u64>,

    /// How many files a server may open there; without this, files do not bind
    #[arg(long, value_name = "N", value_parser = parse_count)]
    files: Option<u64>,

    /// How many users to plan machines for
    #[arg(long, value_name = "N", default_value = "2.5M", value_parser = parse_count)]
    users: u64,

    /// Write the largest run with all models as JSON (schema loadgen/1) to this file; - is standard
    /// output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The machine that is planned for.
#[derive(Clone, Copy, Debug)]
struct Target {
    /// Bytes of memory.
    memory: Option<u64>,
    cores: u64,
    files: Option<u64>,
    /// What part of each stays free.
    headroom: f64,
}

impl Target {
    /// The machine that `args` describe, and where they do not, the one that was measured.
    fn new(args: &FitArgs, measured: &Document) -> Self {
        let machine = measured.server.machine.as_ref().unwrap_or(&measured.machine);
        Self {
            memory: args.memory.or(machine.mem_bytes),
            cores: args.cores.unwrap_or(machine.cpu.cores as u64),
            files: args.files,
            headroom: args.headroom,
        }
    }
}

/// Makes the models that `args` ask for.
///
/// # Errors
///
/// The file that is no result, or in what two runs differ that must do the same.
pub fn fit(args: &FitArgs) -> Result<Exit, Refusal> {
    let usage = |reason: String| Refusal::new(Exit::Usage, reason);
    let documents = args.results.iter().map(|path| Document::read(path));
    let documents = documents.collect::<Result<Vec<_>, _>>();
    let mut documents = documents.map_err(|error| usage(error.to_string()))?;
    points::check(&documents).map_err(usage)?;
    documents.sort_by_key(|document| document.accounting.held);
    let points: Vec<_> = documents.iter().map(Point::new).collect();
    let Some(largest) = documents.last() else { return Ok(Exit::Held) };
    let target = Target::new(args, largest);
    let models = models(&points, &target, args.users);
    let invalid = documents.iter().filter(|document| !document.validity.valid).count();
    let page = text::page(&models, documents.len(), invalid);
    let document = Document {
        models: Some(models),
        merged: documents.iter().flat_map(merge::runs).collect(),
        argv: std::env::args().collect(),
        ..largest.clone()
    };
    tell(args, &page, &document).map_err(|error| Refusal::new(Exit::Broken, error))?;
    Ok(Exit::Held)
}

fn models(points: &[Point], target: &Target, users: u64) -> Models {
    let mut models = Models::default();
    let points = points::of_most_cores(points);
    linear::fit(&points.kept, target, &mut models);
    match scaling::fit(points.all) {
        Ok(law) => models.usl = Some(law),
        Err(reason) => {
            models.refusals.insert("usl".to_owned(), reason);
        }
    }
    models.planning = planning::plan(&points.kept, &models.linear, target, users);
    models
}

fn tell(args: &FitArgs, page: &str, document: &Document) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match args.json.as_deref() {
        Some(path) if path == Path::new("-") => {
            return stdout.write_all(document.text()?.as_bytes());
        }
        Some(path) => run::write(path, &document.text()?)?,
        None => {}
    }
    stdout.write_all(page.as_bytes())
}

fn parse_headroom(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no headroom: use 0% to 95%");
    let percent: f64 =
        text.strip_suffix('%').unwrap_or(text).trim().parse().map_err(|_| wrong())?;
    if (0.0..=95.0).contains(&percent) { Ok(percent / 100.0) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests;
