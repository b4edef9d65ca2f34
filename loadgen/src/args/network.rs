//! Between which addresses connections are made.

use clap::Args;

use crate::ports::Source;

/// Between which addresses connections are made.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// Where connections come from: auto (enough addresses of loopback for a server there), none
    /// (the system chooses address and port), or addresses and networks of this machine
    #[arg(long, value_name = "auto|none|IP,IP/PREFIX", default_value = "auto")]
    pub source: Source,
}
