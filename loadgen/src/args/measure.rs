//! How the server is looked at, and what is told of it.

use std::time::Duration;

use clap::Args;
use corecast::client::Url;

use crate::latency::{DIGITS, DIGITS_MAX};
use crate::payload::Verify;
use crate::sampling::Sampling;
use crate::slo::Objective;
use crate::units::parse_duration;

/// The shortest tick: what is looked at in each takes about a millisecond.
const TICK_MIN: Duration = Duration::from_millis(100);

/// How the server is looked at. Refers to a positional argument `url` and to [`super::TlsArgs`].
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Measure")]
pub struct ServerArgs {
    /// The process of the server, if it runs here: its memory and CPU are measured
    #[arg(long, value_name = "PID", conflicts_with = "plain")]
    #[arg(requires = "url")]
    pub server_pid: Option<u32>,

    /// Ask this page of the server's metrics (http or https, in Prometheus' text) at the end of the
    /// hold how many connections it counts, and tell both numbers
    #[arg(long, value_name = "URL")]
    pub server_metrics: Option<Url>,

    /// The gauge there that counts connections; several samples of it are added up
    #[arg(long, value_name = "NAME", default_value = "corecast_connections")]
    #[arg(requires = "server_metrics")]
    pub expect_conns_gauge: String,
}

/// What is told of it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Measure")]
pub struct MeasureArgs {
    /// What is to hold, such as echo.p99.9<=50ms, connect.success>=99.99%, deliver.loss==0,
    /// server.rss_per_conn<=12KiB (may be repeated; an unknown name lists them all)
    #[allow(clippy::doc_markdown)] // the help of a command line has no backticks
    #[arg(long, value_name = "EXPR")]
    pub slo: Vec<Objective>,

    /// How closely the messages that come are looked at
    #[arg(long, value_enum, default_value_t = Verify::Payload)]
    pub verify: Verify,

    /// On how many connections messages are timed, evenly chosen; all are looked at, and when
    /// publications had their recipients is always told of all
    #[arg(long, value_name = "all|N", default_value = "all")]
    pub sample_conns: Sampling,

    /// The significant digits that are kept of each time, from 1 to 5; each one more takes ten
    /// times the memory
    #[arg(long, value_name = "DIGITS", default_value_t = DIGITS)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=i64::from(DIGITS_MAX)))]
    pub sigfigs: u8,

    /// How long each row of the series is
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_tick)]
    pub tick: Duration,
}

fn parse_tick(text: &str) -> Result<Duration, String> {
    let tick = parse_duration(text)?;
    if tick >= TICK_MIN { Ok(tick) } else { Err("a tick has 100 ms at least".to_owned()) }
}
