//! How connections come to be, and what is around a hold.

use std::time::Duration;

use clap::Args;

use crate::ramp::{Pace, Shape};
use crate::units::parse_duration;

/// How connections come to be, and what is around a hold.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load shape")]
pub struct OpeningArgs {
    /// How fast to open them: connections a second in all, or as fast as it goes with 256 in
    /// flight for each core
    #[arg(long, value_name = "RATE|adaptive", default_value = "adaptive")]
    pub ramp: Pace,

    /// How a given rate of --ramp is reached
    #[arg(long, value_enum, default_value_t = Shape::Linear)]
    pub ramp_shape: Shape,

    /// How long the scenario runs before anything is timed
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub warmup: Duration,

    /// How long to wait at the end for messages still on their way
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub drain: Duration,

    /// How long a connection may take until it is open
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub open_timeout: Duration,
}
