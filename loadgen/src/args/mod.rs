//! The command line, as written. [`crate::plan`] makes of it what is meant.
//!
//! ```text
//!   Cli -- Command -- RunArgs -- opening, scenario, turnover, network, TLS, WebSocket,
//!               |                generator, server, measure, output: a group of flags each
//!               +---- others --- the groups that make sense for them
//! ```
//!
//! A group is a struct to flatten. Flags of some refer to others by name: a command that takes the
//! TLS or the server group has a positional argument `url`, and the server group goes with the TLS
//! group.

mod bench;
mod generator;
mod measure;
mod network;
mod opening;
mod output;
mod run;
mod scenario;
mod serve;
mod tls;
mod websocket;

use clap::{Parser, Subcommand};

use crate::attack::AttackArgs;
use crate::capacity::CapacityArgs;
use crate::check::CheckArgs;
use crate::compare::CompareArgs;
use crate::fit::FitArgs;
use crate::html::command::ReportArgs;
use crate::manual::{Completions, Man};
use crate::merge::MergeArgs;
use crate::remote::WorkerArgs;
use crate::selftest::SelftestArgs;
use crate::sweep::SweepArgs;

pub use self::bench::BenchArgs;
pub use self::generator::{Cores, GeneratorArgs, parse_seed};
pub use self::measure::{MeasureArgs, ServerArgs};
pub use self::network::NetworkArgs;
pub use self::opening::OpeningArgs;
pub use self::output::OutputArgs;
pub use self::run::RunArgs;
pub use self::scenario::{ScenarioArgs, TurnoverArgs};
pub use self::serve::{LimitArgs, ServeArgs};
pub use self::tls::{KeyShare, TlsArgs, Version};
pub use self::websocket::WebSocketArgs;

const EXAMPLES: &str = "\
Examples:
  loadgen --conns 100000                     bring a server, open 100,000 TLS WebSockets, hold them
  loadgen --conns 100000 --plain             the same without TLS
  loadgen --conns 100 --scenario echo --rate 1k/s --json echo.json
  loadgen --conns 10k --scenario broadcast --publish-rate 10/s
  loadgen --conns 50k --ca ca.pem wss://push.example:8443/topics/news

Exit codes:
  0 everything held      1 something did not hold    2 usage             3 cannot be done here
  4 invalid: the generator was the bottleneck        5 nobody answers    6 interrupted
  7 the counters do not add up (a bug: please report it)";

/// Opens very many connections, holds them, and says what each cost and what broke first.
///
/// Without a URL it brings its own server: a second process of itself that serves on a free port of
/// 127.0.0.1, is measured, and ends when this one does. With a URL it measures any WebSocket
/// server.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    /// What to do; to run is what happens when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `run`, which may stand without it.
    #[command(flatten)]
    pub run: Option<RunArgs>,
}

impl Cli {
    /// The run that the command line `argv` asks for.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or that it asks for something else.
    pub fn run_of(argv: &[String]) -> Result<RunArgs, String> {
        let cli = Self::try_parse_from(argv).map_err(|error| error.to_string())?;
        match (cli.command, cli.run) {
            (Some(Command::Run(run)), _) => Ok(*run),
            (None, Some(run)) => Ok(run),
            _ => Err("its command line asks for no run".to_owned()),
        }
    }
}

/// What the program can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Opens connections, holds them and reports (the default)
    Run(Box<RunArgs>),
    /// Searches for the largest load that a server holds, and says what breaks first
    Capacity(Box<CapacityArgs>),
    /// Runs at several numbers of connections and of cores, for models of what they cost
    Sweep(Box<SweepArgs>),
    /// Attacks a server beside connections that mean well, and tells how both fare
    Attack(Box<AttackArgs>),
    /// Puts results of runs that did the same together, exactly: counts and histograms are added
    Merge(MergeArgs),
    /// Compares two results, or several a side: what became better or worse, and how sure that is
    Compare(CompareArgs),
    /// Looks whether machine and server are ready for a run, and tells what mends what is not
    Check(Box<CheckArgs>),
    /// Writes a result as one page of HTML, beside another one if there are two
    Report(ReportArgs),
    /// Makes models of several results: what a connection costs, what cores bring, how many
    /// machines it takes
    Fit(FitArgs),
    /// Tells how fine clock and timers are here, and the largest rate that one driver keeps
    Selftest(SelftestArgs),
    /// Makes parts of runs for coordinators (`run --workers`) that know a token
    Worker(WorkerArgs),
    /// Serves as the subject of a measurement, until standard input ends
    #[command(hide = true)]
    Serve(ServeArgs),
    /// Write the completions of a shell to standard output
    Completions(Completions),
    /// Write the manual page to standard output, or one for each command to a directory
    Man(Man),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ramp::Pace;
    use clap::CommandFactory;
    use std::time::Duration;

    fn run(line: &str) -> Result<RunArgs, String> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Cli::run_of(&words)
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_number_of_connections_is_enough() {
        let args = run("loadgen --conns 100k").unwrap();
        assert_eq!((args.conns, args.url), (100_000, None));
        assert_eq!((args.scenario.scenario.as_str(), args.hold), ("idle", Duration::from_secs(30)));
        assert_eq!(args.opening.ramp, Pace::Adaptive);
    }

    #[test]
    fn run_may_be_said_or_not() {
        for line in ["loadgen run -n 5 ws://h/echo", "loadgen -n 5 ws://h/echo"] {
            let args = run(line).unwrap();
            assert_eq!((args.conns, args.url.unwrap().path), (5, "/echo".to_owned()));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "loadgen",
            "loadgen run",
            "loadgen --conns many",
            "loadgen --conns 1 --payload 2M",
            "loadgen --conns 1 --plain ws://h/",
            "loadgen --conns 1 --ca x --insecure wss://h/",
            "loadgen --conns 1 --header nameonly",
            "loadgen --conns 1 --ramp slowly",
            "loadgen --conns 1 ftp://h/",
        ] {
            let parsed = Cli::try_parse_from(line.split_whitespace());
            assert!(!matches!(parsed, Ok(Cli { run: Some(_), .. })), "{line}");
            assert!(!matches!(parsed, Ok(Cli { command: Some(_), .. })), "{line}");
        }
    }
}
