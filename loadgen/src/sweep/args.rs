//! What may be said to `sweep`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::args::BenchArgs;
use crate::target::Target;
use crate::units::{parse_count, parse_duration};

/// What a sweep is to be.
#[derive(Args, Clone, Debug)]
pub struct SweepArgs {
    /// The server as a URL (ws, wss, http or https); without it one is started here for each run
    pub url: Option<Target>,

    /// Numbers of connections, such as 1k,5k,10k,20k
    #[arg(long, short = 'n', value_name = "N,N,..", value_delimiter = ',', required = true)]
    #[arg(value_parser = parse_conns)]
    pub conns: Vec<u64>,

    /// Numbers of cores that the server brought along may use, such as 1,2
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', conflicts_with = "url")]
    pub cores: Vec<NonZeroUsize>,

    /// How often each point is measured
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub repeats: u32,

    /// How long connections are held once all are open
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    #[arg(help_heading = "Load shape")]
    pub hold: Duration,

    /// The folder to write a result file to for each run (schema loadgen/1); it is made if it is
    /// not there
    #[arg(long, value_name = "DIR", default_value = ".", help_heading = "Output")]
    pub out: PathBuf,

    /// No line for each run and no table after them: the files and the exit code tell
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,

    /// What is the same for all.
    #[command(flatten)]
    pub bench: BenchArgs,
}

fn parse_conns(text: &str) -> Result<u64, String> {
    match parse_count(text)? {
        0 => Err("a run has one connection at least".to_owned()),
        conns => Ok(conns),
    }
}
