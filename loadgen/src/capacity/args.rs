//! What may be said to `capacity`.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;

use super::axis::Axis;
use crate::args::{BenchArgs, OutputArgs};
use crate::target::Target;
use crate::units::{parse_count, parse_duration};

const EXIT_CODES: &str = "\
A number is verified if every trial of it passes that begins with connections from zero: all open
within 10 s and stay open, every heartbeat and message is answered in time and none is lost, the
server takes 80 % of its cores at most and its memory does not grow, after a storm all this holds
again in time, and the generator keeps pace. --slo sets other limits, or more of them.

Exit codes:
  0 a capacity was found, or everything held up to --max      1 no number could be verified
  2 usage      3 cannot be done here      4 the generator broke first: the server holds more
  5 nobody answers      6 interrupted      7 the counters do not add up (a bug: please report it)";

/// What a search is to be.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct CapacityArgs {
    /// The server as a URL (ws, wss, http or https); without it one is started here
    pub url: Option<Target>,

    /// What grows
    #[arg(long, value_enum, default_value_t = Axis::Conns, help_heading = "Search")]
    pub axis: Axis,

    /// How many connections share the messages of --axis rate [default: 1k]
    #[arg(long, short = 'n', value_name = "N", value_parser = parse_count)]
    #[arg(help_heading = "Search")]
    pub conns: Option<u64>,

    /// The number to begin with [default: a tenth of --max, a hundredth of a rate]
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Search")]
    pub start: Option<u64>,

    /// The largest number to try [default: 100k connections, 1M messages a second, 50k subscribers]
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Search")]
    pub max: Option<u64>,

    /// End within 15 minutes: shorter trials, and what is found is verified twice for a minute
    #[arg(long, help_heading = "Search")]
    pub quick: bool,

    /// How long to wait before each trial [default: 5s, quick: 2s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Search")]
    pub settle: Option<Duration>,

    /// How long a trial is timed [default: 20s, quick: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "Search")]
    pub trial: Option<Duration>,

    /// How long a trial is timed that verifies [default: 5m, quick: 1m]
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "Search")]
    pub verify_hold: Option<Duration>,

    /// How many trials verify a number [default: 5, quick: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    #[arg(help_heading = "Search")]
    pub verify_trials: Option<u32>,

    /// When to end at the latest, with what was found until then [quick: 14m]
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "Search")]
    pub time_limit: Option<Duration>,

    /// How long a server that is verified has to recover from a storm, in which 30 % of the
    /// connections vanish and come back within 10 s; 0s leaves the storm out [default: 30s, quick:
    /// 15s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Search")]
    pub recovery: Option<Duration>,

    /// What restarts the server that the URL names, for trials that begin anew: run by sh, returns
    /// when it listens again, and may print the number of its new process
    #[arg(long, value_name = "COMMAND", requires = "url", help_heading = "Search")]
    pub server_restart_cmd: Option<String>,

    /// How many cores the server brought along may use, instead of all
    #[arg(long, value_name = "N", conflicts_with = "url", help_heading = "Measure")]
    pub server_cores: Option<NonZeroUsize>,

    /// What is the same in all trials.
    #[command(flatten)]
    pub bench: BenchArgs,

    /// Where it is told.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// A time that is not nothing.
fn parse_time(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("takes more than 0 s".to_owned()),
        time => Ok(time),
    }
}
