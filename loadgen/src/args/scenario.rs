//! What connections do once they are open.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::payload::Wish;
use crate::schedule::Arrivals;
use crate::slow::Slow;
use crate::turnover::{Lifetime, Reconnect, Storm};
use crate::units::{Rate, parse_count, parse_duration, parse_switch};

/// More pings than this are no heartbeat.
const HEARTBEAT_MIN: Duration = Duration::from_millis(10);

/// What connections do once they are open.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Scenario")]
pub struct ScenarioArgs {
    /// What the connections do during the hold: idle (answer the server's heartbeats), echo (send
    /// messages that the server sends back), broadcast (publish to a topic that all subscribe to),
    /// slow (echo, of which --slow reads slowly), storm and churn (idle, with --storm or
    /// --lifetime), or a file of TOML with a mixture of idle, echo, broadcast and slow
    #[arg(long, value_name = "idle|echo|broadcast|slow|storm|churn|FILE.toml")]
    #[arg(default_value = "idle")]
    pub scenario: String,

    /// A mixture of scenarios by weight, such as idle=80,echo=15,slow=5
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

    /// broadcast: topics that the subscribers share out by weight, as a file of TOML whose tables
    /// of the name topic have name, weight and perhaps publishers
    #[arg(long, value_name = "FILE.toml")]
    pub subs: Option<PathBuf>,

    /// This share of the connections that get messages reads so slowly, such as 5%:256B/s. They
    /// are not timed, and that the server closes them is counted and no fault
    #[arg(long, value_name = "SHARE%:BYTES/s")]
    pub slow: Option<Slow>,

    /// Bytes of a message, from 40 (what its stamp takes; 54 in text) to 1 MiB; with two numbers,
    /// as many as chance wants between them; or the stamp and what is in a file behind it
    #[arg(long, value_name = "BYTES|MIN..MAX|FILE", default_value = "64")]
    pub payload: Wish,

    /// Whether messages are binary, or text
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = parse_switch)]
    #[arg(action = clap::ArgAction::Set)]
    pub binary: bool,
}

/// Who leaves, and how they come back.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Scenario")]
pub struct TurnoverArgs {
    /// This share of the connections that do not publish vanishes at once when a third of the hold
    /// is over, and has this time to come back, such as 30%/10s
    #[arg(long, value_name = "SHARE%/TIME")]
    pub storm: Option<Storm>,

    /// Each connection that does not publish ends after this time, or after a random one with this
    /// mean (exp:TIME), and comes back within a second (of the storm's time, if there is one)
    #[arg(long, value_name = "[exp:]TIME")]
    pub lifetime: Option<Lifetime>,

    /// How those come back that a storm or their lifetime took away
    #[arg(long, value_enum, default_value_t = Reconnect::ExpJitter)]
    pub reconnect: Reconnect,
}

fn parse_heartbeat(text: &str) -> Result<Duration, String> {
    let heartbeat = parse_duration(text)?;
    if heartbeat >= HEARTBEAT_MIN {
        Ok(heartbeat)
    } else {
        Err("a heartbeat comes once in 10 ms at most".to_owned())
    }
}
