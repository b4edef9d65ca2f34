//! What may be said to `attack`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::kind::Kind;
use crate::args::parse_seed;
use crate::target::Target;
use crate::units::{Rate, parse_count, parse_duration};

/// What an attack is to be.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // flags of a command line, each with a meaning of its own
pub struct AttackArgs {
    /// What the attackers do
    #[arg(value_enum)]
    pub kind: Kind,

    /// The server as a URL (ws, wss, http or https) of which the path echoes; without it one is
    /// started here
    pub url: Option<Target>,

    /// How many attack
    #[arg(long, value_name = "N", default_value = "2000", value_parser = parse_count)]
    pub attackers: u64,

    /// How many mean well: each sends messages that the server sends back
    #[arg(long, value_name = "N", default_value = "5000", value_parser = parse_count)]
    pub good: u64,

    /// Messages of each that means well
    #[arg(long, value_name = "RATE", default_value = "1/s")]
    pub rate: Rate,

    /// How long those that mean well are measured before the attack; by default as long as it lasts
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub baseline: Option<Duration>,

    /// How long it takes until all attackers have come; by default a second for every 500
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub arrive: Option<Duration>,

    /// How long an attack lasts; by default half as long again as the limit that is to answer it,
    /// from when all attackers have come
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub hold: Option<Duration>,

    /// Divide the server's limits of time by this, and the attacks with them
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "url")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100))]
    pub hasten: u64,

    /// By how much the p99 under attack may exceed that before it
    #[arg(long, value_name = "FACTOR", default_value_t = 1.5)]
    pub max_ratio: f64,

    /// By how many per cent the server's memory afterwards may exceed that before
    #[arg(long, value_name = "PERCENT", default_value_t = 5)]
    pub max_growth: u64,

    /// Attack a server that is not on loopback: only one that is yours to attack
    #[arg(long)]
    pub i_own_this_host: bool,

    /// Trust the authorities of this PEM file instead of the system's
    #[arg(long, value_name = "FILE", requires = "url")]
    pub ca: Option<PathBuf>,

    /// Trust any certificate
    #[arg(long, conflicts_with = "ca", requires = "url")]
    pub insecure: bool,

    /// Run the server brought along without TLS
    #[arg(long, conflicts_with = "url")]
    pub plain: bool,

    /// The process of the server, if it runs here: its memory is measured
    #[arg(long, value_name = "PID", requires = "url")]
    pub server_pid: Option<u32>,

    /// How late the generator's own loop may come round before the attack, at its 99th percentile
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_duration)]
    pub max_self_lag: Duration,

    /// Judge although the generator was the bottleneck before the attack
    #[arg(long)]
    pub allow_invalid: bool,

    /// Fixes what is drawn at random, as hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = parse_seed)]
    pub seed: Option<u64>,

    /// Write the result as JSON (schema loadgen-attack/1) to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// No screen while it runs and no report after it: the exit code and --json tell
    #[arg(long)]
    pub quiet: bool,
}
