//! The command line, as written. [`crate::plan`] makes of it what is meant.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::ArgPredicate;
use clap::{Args, Parser, Subcommand};

use crate::attack::AttackArgs;
use crate::manual::{Completions, Man};
use crate::ports::Source;
use crate::ramp::{Pace, Shape};
use crate::schedule::Arrivals;
use crate::slo::Objective;
use crate::stamp::Press;
use crate::target::Target;
use crate::turnover::{Lifetime, Reconnect, Storm};
use crate::units::{Rate, parse_bytes, parse_count, parse_duration};

/// The longest payload.
pub const PAYLOAD_LEN_MAX: usize = 1 << 20;

/// The shortest tick: what is looked at in each takes about a millisecond.
const TICK_MIN: Duration = Duration::from_millis(100);

/// More pings than this are no heartbeat.
const HEARTBEAT_MIN: Duration = Duration::from_millis(10);

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
    /// Attacks a server beside connections that mean well, and tells how both fare
    Attack(Box<AttackArgs>),
    /// Serves as the subject of a measurement, until standard input ends
    #[command(hide = true)]
    Serve(ServeArgs),
    /// Write the completions of a shell to standard output
    Completions(Completions),
    /// Write the manual page to standard output, or one for each command to a directory
    Man(Man),
}

/// What a run is to be.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // flags of a command line, each with a meaning of its own
pub struct RunArgs {
    /// The server as a URL (ws, wss, http or https); without it one is started here
    pub url: Option<Target>,

    /// How many connections to open and hold (100k is 100,000)
    #[arg(long, short = 'n', value_name = "N", value_parser = parse_count)]
    #[arg(
        required = false,
        required_unless_present = "replay",
        default_value_if("replay", ArgPredicate::IsPresent, "1")
    )]
    pub conns: u64,

    /// Do again what the result in this file tells of, with the same seed; of the other flags only
    /// --json and --quiet count then
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,

    /// How fast to open them: connections a second in all, or as fast as it goes with 256 in
    /// flight for each core
    #[arg(long, value_name = "RATE|adaptive", default_value = "adaptive")]
    #[arg(help_heading = "Load shape")]
    pub ramp: Pace,

    /// How a given rate of --ramp is reached
    #[arg(long, value_enum, default_value_t = Shape::Linear, help_heading = "Load shape")]
    pub ramp_shape: Shape,

    /// How long the scenario runs before anything is timed
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    #[arg(help_heading = "Load shape")]
    pub warmup: Duration,

    /// How long to hold them once all are open
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    #[arg(help_heading = "Load shape")]
    pub hold: Duration,

    /// How long to wait at the end for messages still on their way
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    #[arg(help_heading = "Load shape")]
    pub drain: Duration,

    /// How long a connection may take until it is open
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    #[arg(help_heading = "Load shape")]
    pub open_timeout: Duration,

    /// What the connections do during the hold: idle (answer the server's heartbeats), echo (send
    /// messages that the server sends back), broadcast (publish to a topic that all subscribe to),
    /// or a file of TOML with a mixture of them
    #[arg(long, value_name = "idle|echo|broadcast|FILE.toml", default_value = "idle")]
    #[arg(help_heading = "Scenario")]
    pub scenario: String,

    /// A mixture of scenarios by weight, such as idle=80,echo=20
    #[arg(long, value_name = "NAME=WEIGHT,..", conflicts_with = "scenario")]
    #[arg(help_heading = "Scenario")]
    pub mix: Option<String>,

    /// Ping the server this often on every connection, and time its answers
    #[arg(long, value_name = "TIME", value_parser = parse_heartbeat, help_heading = "Scenario")]
    pub heartbeat: Option<Duration>,

    /// How messages of a connection follow each other
    #[arg(long, value_enum, default_value_t = Arrivals::Poisson, help_heading = "Scenario")]
    pub arrivals: Arrivals,

    /// echo: messages of each connection
    #[arg(long, value_name = "RATE", default_value = "2/s", help_heading = "Scenario")]
    pub rate: Rate,

    /// broadcast: how many of the connections publish
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count)]
    #[arg(help_heading = "Scenario")]
    pub publishers: u64,

    /// broadcast: publications of each publisher
    #[arg(long, value_name = "RATE", default_value = "10/s", help_heading = "Scenario")]
    pub publish_rate: Rate,

    /// Bytes of a message, from 40 (what its stamp takes) to 1 MiB
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = parse_payload)]
    #[arg(help_heading = "Scenario")]
    pub payload: usize,

    /// This share of the connections vanishes at once when a third of the hold is over, and has
    /// this time to come back, such as 30%/10s
    #[arg(long, value_name = "SHARE%/TIME", conflicts_with = "heartbeat")]
    #[arg(help_heading = "Scenario")]
    pub storm: Option<Storm>,

    /// Each connection ends after this time, or after a random one with this mean (exp:TIME), and
    /// comes back within a second (of the storm's time, if there is one)
    #[arg(long, value_name = "[exp:]TIME", conflicts_with = "heartbeat")]
    #[arg(help_heading = "Scenario")]
    pub lifetime: Option<Lifetime>,

    /// How those come back that a storm or their lifetime took away
    #[arg(long, value_enum, default_value_t = Reconnect::ExpJitter, help_heading = "Scenario")]
    pub reconnect: Reconnect,

    /// Where connections come from: auto (enough addresses of loopback for a server there), none
    /// (the system chooses address and port), or addresses and networks of this machine
    #[arg(long, value_name = "auto|none|IP,IP/PREFIX", default_value = "auto")]
    #[arg(help_heading = "Network")]
    pub source: Source,

    /// Trust the authorities of this PEM file instead of the system's
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub ca: Option<PathBuf>,

    /// Trust any certificate
    #[arg(long, conflicts_with = "ca", help_heading = "TLS")]
    pub insecure: bool,

    /// The name that the server must prove, if it is not that of the URL
    #[arg(long, value_name = "NAME", requires = "url", help_heading = "TLS")]
    pub sni: Option<String>,

    /// Run the server brought along without TLS
    #[arg(long, conflicts_with = "url", help_heading = "TLS")]
    pub plain: bool,

    /// Another header for the request, as NAME:VALUE (may be repeated)
    #[arg(long, value_name = "NAME:VALUE", value_parser = parse_header)]
    #[arg(help_heading = "WebSocket")]
    pub header: Vec<(String, String)>,

    /// The origin that the request names, as a browser's page would
    #[arg(long, value_name = "ORIGIN", value_parser = parse_field, help_heading = "WebSocket")]
    pub origin: Option<String>,

    /// A subprotocol to offer (may be repeated, the preferred one first)
    #[arg(long, value_name = "NAME", help_heading = "WebSocket")]
    pub subprotocol: Vec<String>,

    /// Offer permessage-deflate, with payloads that it makes shorter, and fail where a server
    /// declines
    #[arg(long, help_heading = "WebSocket")]
    pub deflate: bool,

    /// Threads that drive connections; more than one a core if the limit of open files demands it
    #[arg(long, value_name = "N", help_heading = "Generator")]
    pub threads: Option<usize>,

    /// How late the generator's own loop may come round, at its 99th percentile
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_duration)]
    #[arg(help_heading = "Generator")]
    pub max_self_lag: Duration,

    /// How much of a core one of its threads may take, in per cent
    #[arg(long, value_name = "PERCENT", default_value_t = 85, help_heading = "Generator")]
    pub max_self_cpu: u64,

    /// Exit 0 although the generator was the bottleneck
    #[arg(long, help_heading = "Generator")]
    pub allow_invalid: bool,

    /// The process of the server, if it runs here: its memory and CPU are measured
    #[arg(long, value_name = "PID", conflicts_with = "plain", help_heading = "Measure")]
    #[arg(requires = "url")]
    pub server_pid: Option<u32>,

    /// What is to hold, such as echo.p99.9<=50ms, connect.success>=99.99%, deliver.loss==0,
    /// server.rss_per_conn<=12KiB (may be repeated; an unknown name lists them all)
    #[allow(clippy::doc_markdown)] // the help of a command line has no backticks
    #[arg(long, value_name = "EXPR", help_heading = "Measure")]
    pub slo: Vec<Objective>,

    /// How long each row of the series is
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_tick)]
    #[arg(help_heading = "Output")]
    pub tick: Duration,

    /// Fixes what is drawn at random (phases, payloads, ports), as hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = parse_seed, help_heading = "Generator")]
    pub seed: Option<u64>,

    /// Write the result as JSON (schema loadgen/1) to this file; - is standard output
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// What to call this run in its result, as NAME=VALUE (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_label, help_heading = "Output")]
    pub label: Vec<(String, String)>,

    /// Write the series as comma-separated values to this file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub csv: Option<PathBuf>,

    /// No screen while it runs and no report after it: the exit code and --json tell
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
}

/// What the server brought along is to be.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// How many connections it must hold
    #[arg(long)]
    pub conns: u64,
    /// Whether it speaks TLS
    #[arg(long)]
    pub tls: bool,
    /// Whether messages may be deflated
    #[arg(long)]
    pub deflate: bool,
    /// By what its limits of time are divided
    #[arg(long, default_value_t = 1)]
    pub hasten: u64,
}

fn parse_payload(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text)?;
    match usize::try_from(bytes).unwrap_or(usize::MAX) {
        len @ Press::LEN_MIN..=PAYLOAD_LEN_MAX => Ok(len),
        _ => Err("a payload has 40 bytes to 1 MiB".to_owned()),
    }
}

/// What may stand in a field of a request.
fn parse_field(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("expected letters, digits and signs without blanks".to_owned())
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() {
        Err("a label has a name".to_owned())
    } else {
        Ok((name.to_owned(), value.to_owned()))
    }
}

fn parse_heartbeat(text: &str) -> Result<Duration, String> {
    let heartbeat = parse_duration(text)?;
    if heartbeat >= HEARTBEAT_MIN {
        Ok(heartbeat)
    } else {
        Err("a heartbeat comes once in 10 ms at most".to_owned())
    }
}

fn parse_tick(text: &str) -> Result<Duration, String> {
    let tick = parse_duration(text)?;
    if tick >= TICK_MIN { Ok(tick) } else { Err("a tick has 100 ms at least".to_owned()) }
}

/// Reads a seed.
pub fn parse_seed(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|error| error.to_string())
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME:VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token && !value.contains(|letter: char| letter.is_ascii_control()) {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err("a header has a name, and neither part has control characters".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

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
        assert_eq!((args.scenario.as_str(), args.hold), ("idle", Duration::from_secs(30)));
        assert_eq!(args.ramp, Pace::Adaptive);
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
            "loadgen --conns 1 --payload 39",
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
