//! How connections speak TLS.

use std::path::PathBuf;

use clap::Args;

/// How connections speak TLS. Refers to a positional argument `url`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Trust the authorities of this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Trust any certificate
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,

    /// The name that the server must prove, if it is not that of the URL
    #[arg(long, value_name = "NAME", requires = "url")]
    pub sni: Option<String>,

    /// Run the server brought along without TLS
    #[arg(long, conflicts_with = "url")]
    pub plain: bool,
}
