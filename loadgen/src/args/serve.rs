//! What may be said to the server that is brought along.

use std::num::{NonZeroU32, NonZeroUsize};

use clap::Args;

use crate::payload::PAYLOAD_LEN_MAX;

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
    /// Its limits.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Where the limits of the server brought along are not its defaults.
#[derive(Args, Clone, Copy, Debug)]
pub struct LimitArgs {
    /// By what those of time are divided
    #[arg(long, default_value_t = 1)]
    pub hasten: u64,
    /// The longest message
    #[arg(long, default_value_t = PAYLOAD_LEN_MAX)]
    pub message_bytes: usize,
    /// Messages and control frames that a connection may send in a second
    #[arg(long)]
    pub frames_per_second: Option<NonZeroU32>,
    /// New connections that an address may bring in a second
    #[arg(long)]
    pub connects_per_address: Option<NonZeroU32>,
}

impl Default for LimitArgs {
    /// Those of a server that is measured: as they are, but for messages of every payload that can
    /// be asked for.
    fn default() -> Self {
        Self {
            hasten: 1,
            message_bytes: PAYLOAD_LEN_MAX,
            frames_per_second: None,
            connects_per_address: None,
        }
    }
}

impl LimitArgs {
    /// The words that say so on a command line.
    pub fn words(&self) -> Vec<String> {
        let frames = self.frames_per_second.map(|rate| format!("--frames-per-second={rate}"));
        let connects =
            self.connects_per_address.map(|rate| format!("--connects-per-address={rate}"));
        let others = [
            format!("--hasten={}", self.hasten),
            format!("--message-bytes={}", self.message_bytes),
        ];
        others.into_iter().chain(frames).chain(connects).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    #[test]
    fn the_words_for_limits_mean_the_same_limits() {
        let limits = LimitArgs {
            hasten: 5,
            message_bytes: 7,
            frames_per_second: NonZeroU32::new(8),
            connects_per_address: NonZeroU32::new(9),
        };
        let line = ["loadgen", "serve", "--conns=1"].map(str::to_owned);
        let cli = Cli::try_parse_from(line.into_iter().chain(limits.words())).unwrap();
        let Some(Command::Serve(args)) = cli.command else { panic!("another command") };
        assert_eq!(format!("{:?}", args.limits), format!("{limits:?}"));
    }
}
