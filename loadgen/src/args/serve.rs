//! What may be said to the server that is brought along.

use std::num::NonZeroUsize;

use clap::Args;

/// What the server brought along is to be.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// How many connections it must hold
    #[arg(long)]
    pub conns: u64,
    /// Whether it speaks TLS
    #[arg(long)]
    pub tls: bool,
    /// Whether messages may be deflated
    #[arg(long)]
    pub deflate: bool,
    /// How many cores it may use; all if nothing is said
    #[arg(long)]
    pub cores: Option<NonZeroUsize>,
    /// By what its limits of time are divided
    #[arg(long, default_value_t = 1)]
    pub hasten: u64,
}
