//! What may be said to `run`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::ArgPredicate;

use super::{
    GeneratorArgs, MeasureArgs, NetworkArgs, OpeningArgs, OutputArgs, ScenarioArgs, ServerArgs,
    TlsArgs, TurnoverArgs, WebSocketArgs,
};
use crate::remote::RemoteArgs;
use crate::target::Target;
use crate::units::{parse_count, parse_duration};

/// What a run is to be.
///
/// Whether there is one is told by its group, of which clap fills the members in for itself only
/// where nothing is flattened: so those that every run has say that they are of it.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// The server as a URL (ws, wss, http or https); without it one is started here
    pub url: Option<Target>,

    /// How many connections to open and hold (100k is 100,000)
    #[arg(long, short = 'n', value_name = "N", value_parser = parse_count)]
    #[arg(group = "RunArgs")]
    #[arg(
        required = false,
        required_unless_present = "replay",
        default_value_if("replay", ArgPredicate::IsPresent, "1")
    )]
    pub conns: u64,

    /// Do again what the result in this file tells of, with the same seed; of the other flags only
    /// --json, --html and --quiet count then
    #[arg(long, value_name = "FILE", group = "RunArgs")]
    pub replay: Option<PathBuf>,

    /// How long to hold them once all are open
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    #[arg(default_value_if("duration", ArgPredicate::IsPresent, "8784h"))]
    #[arg(help_heading = "Load shape")]
    pub hold: Duration,

    /// End the whole after this time, from the first connection to the last message: the ramp is
    /// cut short if need be, and the hold takes what is left (at most --hold, if that is given)
    #[arg(long, value_name = "TIME", value_parser = parse_lifetime)]
    #[arg(help_heading = "Load shape")]
    pub duration: Option<Duration>,

    /// How many cores the server brought along may use, instead of all
    #[arg(long, value_name = "N", conflicts_with = "url", help_heading = "Measure")]
    pub server_cores: Option<NonZeroUsize>,

    /// How connections come to be, and what is around a hold.
    #[command(flatten)]
    pub opening: OpeningArgs,

    /// What they do.
    #[command(flatten)]
    pub scenario: ScenarioArgs,

    /// Who leaves, and comes back.
    #[command(flatten)]
    pub turnover: TurnoverArgs,

    /// Between which addresses.
    #[command(flatten)]
    pub network: NetworkArgs,

    /// How they speak TLS.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// How they ask for a WebSocket.
    #[command(flatten)]
    pub websocket: WebSocketArgs,

    /// What the generator is, and what it may take.
    #[command(flatten)]
    pub generator: GeneratorArgs,

    /// How the server is looked at.
    #[command(flatten)]
    pub server: ServerArgs,

    /// What is told of it.
    #[command(flatten)]
    pub measure: MeasureArgs,

    /// Which machines make it.
    #[command(flatten)]
    pub remote: RemoteArgs,

    /// Where it is told.
    #[command(flatten)]
    pub output: OutputArgs,
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("nothing can be done in no time".to_owned()),
        time => Ok(time),
    }
}
