//! Between which addresses connections are made.

use std::net::SocketAddr;

use clap::Args;

use crate::ports::Source;
use crate::units::{parse_bytes, parse_switch};

/// The largest buffer: Linux doubles it, and has no more than a signed number of 32 bits for that.
const BUFFER_MAX: u64 = 1 << 30;

/// Between which addresses connections are made. Refers to a positional argument `url` and to
/// [`super::TlsArgs`].
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// Where connections come from: auto (enough addresses of loopback for a server there), none
    /// (the system chooses address and port), or addresses and networks of this machine
    #[arg(long, value_name = "auto|none|IP,IP/PREFIX", default_value = "auto")]
    pub source: Source,

    /// Connect to these addresses in turn, and not to that of the URL's host
    #[arg(long, value_name = "IP:PORT,..", value_delimiter = ',', requires = "url")]
    #[arg(conflicts_with = "plain")]
    pub server_addrs: Vec<SocketAddr>,

    /// Whether small messages leave at once (TCP_NODELAY)
    #[allow(clippy::doc_markdown)] // the help of a command line has no backticks
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = parse_switch)]
    #[arg(action = clap::ArgAction::Set)]
    pub nodelay: bool,

    /// What the kernel keeps of what arrived, for each connection; otherwise it decides, and takes
    /// 4 KiB for those that read slowly
    #[arg(long, value_name = "BYTES", value_parser = parse_buffer)]
    pub rcvbuf: Option<usize>,

    /// What the kernel keeps of what is sent, for each connection; otherwise it decides
    #[arg(long, value_name = "BYTES", value_parser = parse_buffer)]
    pub sndbuf: Option<usize>,
}

fn parse_buffer(text: &str) -> Result<usize, String> {
    match parse_bytes(text)? {
        bytes @ 1..=BUFFER_MAX => usize::try_from(bytes).map_err(|error| error.to_string()),
        _ => Err("a buffer has 1 byte to 1 GiB".to_owned()),
    }
}
