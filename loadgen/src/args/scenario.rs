//! What connections do once they are open.

use std::time::Duration;

use clap::Args;

use crate::schedule::Arrivals;
use crate::stamp::Press;
use crate::turnover::{Lifetime, Reconnect, Storm};
use crate::units::{Rate, parse_bytes, parse_count, parse_duration};

/// The longest payload.
pub const PAYLOAD_LEN_MAX: usize = 1 << 20;

/// More pings than this are no heartbeat.
const HEARTBEAT_MIN: Duration = Duration::from_millis(10);

/// What connections do once they are open.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Scenario")]
pub struct ScenarioArgs {
    /// What the connections do during the hold: idle (answer the server's heartbeats), echo (send
    /// messages that the server sends back), broadcast (publish to a topic that all subscribe to),
    /// or a file of TOML with a mixture of them
    #[arg(long, value_name = "idle|echo|broadcast|FILE.toml", default_value = "idle")]
    pub scenario: String,

    /// A mixture of scenarios by weight, such as idle=80,echo=20
    #[arg(long, value_name = "NAME=WEIGHT,..", conflicts_with = "scenario")]
    pub mix: Option<String>,

    /// Ping the server this often on every connection, and time its answers
    #[arg(long, value_name = "TIME", value_parser = parse_heartbeat)]
    pub heartbeat: Option<Duration>,

    /// How messages of a connection follow each other
    #[arg(long, value_enum, default_value_t = Arrivals::Poisson)]
    pub arrivals: Arrivals,

    /// echo: messages of each connection
    #[arg(long, value_name = "RATE", default_value = "2/s")]
    pub rate: Rate,

    /// broadcast: how many of the connections publish
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count)]
    pub publishers: u64,

    /// broadcast: publications of each publisher
    #[arg(long, value_name = "RATE", default_value = "10/s")]
    pub publish_rate: Rate,

    /// Bytes of a message, from 40 (what its stamp takes) to 1 MiB
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = parse_payload)]
    pub payload: usize,
}

/// Who leaves, and how they come back.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Scenario")]
pub struct TurnoverArgs {
    /// This share of the connections vanishes at once when a third of the hold is over, and has
    /// this time to come back, such as 30%/10s
    #[arg(long, value_name = "SHARE%/TIME", conflicts_with = "heartbeat")]
    pub storm: Option<Storm>,

    /// Each connection ends after this time, or after a random one with this mean (exp:TIME), and
    /// comes back within a second (of the storm's time, if there is one)
    #[arg(long, value_name = "[exp:]TIME", conflicts_with = "heartbeat")]
    pub lifetime: Option<Lifetime>,

    /// How those come back that a storm or their lifetime took away
    #[arg(long, value_enum, default_value_t = Reconnect::ExpJitter)]
    pub reconnect: Reconnect,
}

fn parse_payload(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text)?;
    match usize::try_from(bytes).unwrap_or(usize::MAX) {
        len @ Press::LEN_MIN..=PAYLOAD_LEN_MAX => Ok(len),
        _ => Err("a payload has 40 bytes to 1 MiB".to_owned()),
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
