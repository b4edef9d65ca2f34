//! The same run at several numbers of connections and of cores: what models of cost are made from.
//!
//! ```text
//!   conns x cores x repeats --shuffle--> run --> a result file each --> loadgen fit
//!                                         |
//!                                         +----> a row each, and a table of their medians
//! ```
//!
//! The order is drawn at random, so that what drifts in the meantime (heat, caches, other tenants)
//! does not look like an effect of the number of connections. Each run has a server of its own,
//! unless one is named, so that none inherits the memory of another.

mod args;
mod table;

use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use corecast::base::Rng;
use corecast::reactor::fds;
use corecast::tls::Random;

use self::table::{Row, Table};
use crate::args::{GeneratorArgs, OutputArgs, RunArgs};
use crate::plan::Plan;
use crate::report::file;
use crate::run::{self, Refusal};
use crate::verdict::Exit;

pub use self::args::SweepArgs;

/// One run to be made.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Point {
    conns: u64,
    /// How many cores the server may use, if it is ours to say.
    cores: Option<NonZeroUsize>,
    /// Which run of these numbers it is, from 1.
    repeat: u32,
}

/// Does what `args` ask for, and reports.
///
/// # Errors
///
/// What stood in the way of a run. One that went badly is no error but a verdict.
pub fn sweep(args: &SweepArgs) -> Result<Exit, Refusal> {
    let preflight = |error: io::Error| Refusal::new(Exit::Preflight, error);
    let interrupted = run::interruption().map_err(preflight)?;
    let files = fds::raise_limit().map_err(preflight)?;
    let draw = || u64::from_ne_bytes(Random::new().draw());
    let seed = args.bench.generator.seed.unwrap_or_else(draw);
    let mut rng = Rng::new(seed);
    let runs: Vec<_> = shuffled(points(args), &mut rng)
        .into_iter()
        .map(|point| (point, args.run_at(point, rng.next_u64())))
        .collect();
    for (_, run) in &runs {
        // What cannot be done is found before the first hour has passed.
        Plan::new(run, files, || seed)?;
    }
    fs::create_dir_all(&args.out).map_err(|error| {
        Refusal::new(Exit::Preflight, format!("{}: {error}", args.out.display()))
    })?;
    let mut table = Table::new(runs.len());
    args.say(&format!("{}\n", Table::head()))?;
    for (point, run) in &runs {
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        let mut row = None;
        run::conduct(run, &interrupted, files, |findings| {
            run::write(&args.path(*point), &file::document(findings).text()?)?;
            row = Some(Row::new(*point, findings));
            Ok(())
        })?;
        if let Some(row) = row {
            args.say(&format!("{row}\n"))?;
            table.push(row);
        }
    }
    args.say(&table.summary(&args.out))?;
    Ok(if interrupted.load(Ordering::Relaxed) { Exit::Interrupted } else { table.worst() })
}

impl SweepArgs {
    /// The run of a point.
    fn run_at(&self, point: Point, seed: u64) -> RunArgs {
        let label = |name: &str, value: String| (format!("sweep.{name}"), value);
        let mut labels = vec![label("repeat", point.repeat.to_string())];
        labels.extend(point.cores.map(|cores| label("cores", cores.to_string())));
        let output = OutputArgs { label: labels, quiet: true, ..OutputArgs::default() };
        let run = self.bench.run(self.url.as_ref(), point.conns, self.hold, output);
        let generator = GeneratorArgs { seed: Some(seed), ..run.generator };
        RunArgs { server_cores: point.cores, generator, ..run }
    }

    /// Where the result of a point is written.
    fn path(&self, point: Point) -> PathBuf {
        let cores = point.cores.map(|cores| format!("-{cores}-cores")).unwrap_or_default();
        self.out.join(format!("sweep-{}-conns{cores}-{}.json", point.conns, point.repeat))
    }

    fn say(&self, text: &str) -> Result<(), Refusal> {
        if self.quiet {
            return Ok(());
        }
        let said = io::stdout().lock().write_all(text.as_bytes());
        said.map_err(|error| Refusal::new(Exit::Broken, error))
    }
}

/// All points of the grid, each number once.
fn points(args: &SweepArgs) -> Vec<Point> {
    let mut conns = args.conns.clone();
    conns.sort_unstable();
    conns.dedup();
    let mut cores: Vec<_> = args.cores.iter().copied().map(Some).collect();
    cores.sort_unstable();
    cores.dedup();
    if cores.is_empty() {
        cores.push(None);
    }
    let repeats = 1..=args.repeats;
    let of = |conns: u64, cores| repeats.clone().map(move |repeat| Point { conns, cores, repeat });
    let of = &of;
    let of_conns = |conns| cores.iter().flat_map(move |cores| of(conns, *cores));
    conns.iter().flat_map(|conns| of_conns(*conns)).collect()
}

/// The points in a random order (Fisher and Yates).
fn shuffled(mut points: Vec<Point>, rng: &mut Rng) -> Vec<Point> {
    for last in (1..points.len()).rev() {
        let chosen = usize::try_from(rng.below(last as u64 + 1)).unwrap_or(last);
        points.swap(last, chosen);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn args(line: &str) -> SweepArgs {
        let line = format!("loadgen sweep {line}");
        match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            Some(Command::Sweep(args)) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_grid_has_every_point_as_often_as_was_asked_for() {
        let points = points(&args("--conns 1k,5k,1k --cores 2,1 --repeats 4"));
        assert_eq!(points.len(), 2 * 2 * 4);
        let cores = NonZeroUsize::new(2);
        assert!(points.contains(&Point { conns: 5_000, cores, repeat: 4 }));
        let url = super::points(&args("--conns 1k ws://h/"));
        assert!(url.iter().all(|point| point.cores.is_none()) && url.len() == 3);
    }

    #[test]
    fn the_order_is_drawn_from_the_seed() {
        let points = points(&args("--conns 1k,5k --repeats 10"));
        let order = |seed| shuffled(points.clone(), &mut Rng::new(seed));
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut sorted = order(1);
        sorted.sort_unstable();
        assert_eq!(sorted, points);
    }

    #[test]
    fn a_point_is_a_run_of_its_own() {
        let args = args("--conns 1k --cores 2 --rate 5/s --scenario echo --out made");
        let point = points(&args)[0];
        let run = args.run_at(point, 9);
        assert_eq!((run.conns, run.server_cores), (1_000, NonZeroUsize::new(2)));
        assert_eq!((run.scenario.scenario.as_str(), run.generator.seed), ("echo", Some(9)));
        let path = args.path(point);
        assert_eq!(path.to_str(), Some("made/sweep-1000-conns-2-cores-1.json"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["", "--conns 0", "--conns 1k --repeats 0", "--conns 1k --cores 1 ws://h/"] {
            let words = format!("loadgen sweep {line}");
            assert!(Cli::try_parse_from(words.split_whitespace()).is_err(), "{line}");
        }
    }
}
