//! What the generator is, and what it may take.

use std::time::Duration;

use clap::Args;

use crate::proc;
use crate::units::parse_duration;

/// What the generator is, and what it may take.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Generator")]
pub struct GeneratorArgs {
    /// Threads that drive connections; more than one a core if the limit of open files demands it
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Keep the threads on these cores, in turn, instead of all there are
    #[arg(long, value_name = "CORES", value_parser = parse_cores)]
    pub pin: Option<Cores>,

    /// How late the generator's own loop may come round, at its 99th percentile
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_duration)]
    pub max_self_lag: Duration,

    /// How much of a core one of its threads may take, in per cent
    #[arg(long, value_name = "PERCENT", default_value_t = 85)]
    pub max_self_cpu: u64,

    /// Exit 0 although the generator was the bottleneck
    #[arg(long)]
    pub allow_invalid: bool,

    /// Fixes what is drawn at random (phases, payloads, ports), as hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = parse_seed)]
    pub seed: Option<u64>,
}

/// Cores by their numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cores(pub Vec<usize>);

fn parse_cores(text: &str) -> Result<Cores, String> {
    let is_list = !text.is_empty()
        && text.split(',').all(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = (from.parse::<u16>(), to.parse::<u16>());
            from.is_ok_and(|from| to.is_ok_and(|to| from <= to))
        });
    let cores = proc::numbers(text).into_iter().map(usize::from).collect();
    if is_list { Ok(Cores(cores)) } else { Err("expected cores such as 0,2-5".to_owned()) }
}

/// Reads a seed.
pub fn parse_seed(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|error| error.to_string())
}
