//! What the generator is, and what it may take.

use std::time::Duration;

use clap::Args;

use crate::units::parse_duration;

/// What the generator is, and what it may take.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Generator")]
pub struct GeneratorArgs {
    /// Threads that drive connections; more than one a core if the limit of open files demands it
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

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

/// Reads a seed.
pub fn parse_seed(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|error| error.to_string())
}
