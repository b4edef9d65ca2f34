//! What may be said of remote generators.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;

use crate::units;

/// So many workers at most: each has a thread here.
const WORKERS_MAX: usize = 200;

/// A token that is shorter could be guessed.
const TOKEN_LEN_MIN: usize = 16;

/// Where a token may stand if no file is named.
const TOKEN_VARIABLE: &str = "LOADGEN_TOKEN";

/// Which machines make the load.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Distributed")]
pub struct RemoteArgs {
    /// Have these workers (`loadgen worker`) share the connections, and merge what they find; files
    /// that other flags name are read where they run
    #[arg(long, value_name = "HOST:PORT,..", value_delimiter = ',', num_args = 1..=WORKERS_MAX)]
    #[arg(requires = "url")]
    #[arg(conflicts_with_all = ["server_pid", "server_metrics", "hdr", "replay"])]
    pub workers: Vec<String>,

    /// The file with the token that workers ask for; without it what `LOADGEN_TOKEN` says
    #[arg(long, value_name = "FILE", requires = "workers")]
    #[allow(clippy::doc_markdown)] // the help of a command line has no backticks
    pub token_file: Option<PathBuf>,

    /// When all workers begin: a moment as 2026-01-31T12:00:00Z, or so long from now
    #[arg(long, value_name = "MOMENT|TIME", requires = "workers", value_parser = parse_start)]
    pub start_at: Option<Start>,

    /// Which part of a larger run this is.
    #[arg(skip)]
    pub shard: Option<Shard>,
}

/// When to begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// At this moment.
    At(SystemTime),
    /// So long from now.
    In(Duration),
}

/// A part of a run that several make.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shard {
    /// Which part, from 0.
    pub index: u32,
    /// The number that its first connection has in the whole run.
    pub first: u32,
    /// How many connections the whole run has.
    pub total: u32,
    /// What the parts have in common follows from this: who does what, and how messages are marked.
    pub seed: u64,
}

/// What a worker is told.
#[derive(Args, Clone, Debug)]
pub struct WorkerArgs {
    /// Where to wait for a coordinator
    #[arg(long, value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// The file with the token that a coordinator must know; without it what `LOADGEN_TOKEN` says.
    /// Only on loopback there may be none
    #[arg(long, value_name = "FILE")]
    #[allow(clippy::doc_markdown)] // the help of a command line has no backticks
    pub token_file: Option<PathBuf>,
}

/// The token of the file at `path`, or of the environment; empty if there is none.
///
/// # Errors
///
/// The file that cannot be read, or that the token is too short to keep anybody out.
pub(super) fn token(path: Option<&Path>) -> Result<Vec<u8>, String> {
    let text = match path {
        Some(path) => {
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => std::env::var(TOKEN_VARIABLE).unwrap_or_default(),
    };
    let token = text.trim().as_bytes().to_vec();
    match token.len() {
        0 if path.is_none() => Ok(token),
        TOKEN_LEN_MIN.. => Ok(token),
        _ => Err(format!("a token has {TOKEN_LEN_MIN} bytes at least")),
    }
}

/// Whether somebody must know a token to reach a worker at `ip`.
pub(super) fn needs_token(ip: IpAddr) -> bool {
    !ip.is_loopback()
}

fn parse_start(text: &str) -> Result<Start, String> {
    if let Some(seconds) = units::parse_rfc3339(text) {
        return Ok(Start::At(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
    }
    let time = units::parse_duration(text);
    time.map(Start::In).map_err(|_| format!("`{text}` is neither a moment of UTC nor a time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_or_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let told = |text: &str| {
            fs::write(&path, text).unwrap();
            token(Some(&path))
        };
        assert_eq!(told("0123456789abcdef\n"), Ok(b"0123456789abcdef".to_vec()));
        assert!(told("short").is_err() && told("").is_err());
        assert!(token(Some(Path::new("/nowhere"))).is_err());
        assert!(needs_token("10.0.0.1".parse().unwrap()));
        assert!(!needs_token("127.0.0.9".parse().unwrap()));
    }

    #[test]
    fn a_start_is_a_moment_or_a_time() {
        assert_eq!(parse_start("30s"), Ok(Start::In(Duration::from_secs(30))));
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(951_782_400);
        assert_eq!(parse_start("2000-02-29T00:00:00Z"), Ok(Start::At(moment)));
        assert!(parse_start("tomorrow").is_err());
    }
}
