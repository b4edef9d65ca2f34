//! The commands of `corecast`: one file a command, and what they share.
//!
//! Every failure is one line on standard error. Exit codes: 0 all went well, 1 the world said no
//! (a taken port, an unreadable certificate), 2 the command line or the configuration is wrong;
//! those of `connect` go on from there.

mod announcement;
mod cert;
mod connect;
mod identity;
mod manual;
mod panics;
mod serve;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use corecast::client::{self, Layer};
use corecast::config::ConfigError;
use corecast::server::ServerError;
use corecast::tls;

/// A push server that holds very many TLS and WebSocket connections on few cores
///
/// Without a command it serves. Every flag of `serve` may also stand in the file that --config
/// names, or in the environment as CORECAST_ and its name; flags win over the environment, which
/// wins over the file.
#[derive(Debug, Parser)]
#[command(name = "corecast", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve; the default command
    Serve(Box<serve::Arguments>),
    /// Make, sign and show certificates
    Cert(cert::Arguments),
    /// Connect to a server: bytes over TLS, requests, or messages of a WebSocket
    Connect(Box<connect::Arguments>),
    /// Write the completions of a shell to standard output
    Completions(manual::Completions),
    /// Write the manual page to standard output, or one for each command to a directory
    Man(manual::Man),
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the configuration is wrong.
    Usage(String),
    /// The world said no.
    World(String),
    /// A server, or what lies between, said no to us as its client.
    Client {
        /// The server's host and port.
        place: String,
        /// What was wrong.
        failure: client::Failure,
    },
}

impl Failure {
    /// The world said no to `what`.
    fn cannot(what: &str, error: impl fmt::Display) -> Self {
        Self::World(format!("cannot {what}: {error}"))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::World(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Client { failure, .. } => ExitCode::from(match failure.layer() {
                Layer::Local => 1,
                Layer::Connection => 3,
                Layer::Tls => 4,
                Layer::Http => 5,
                Layer::Protocol => 6,
            }),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(reason) | Self::World(reason) => f.write_str(reason),
            Self::Client { place, failure } => write!(f, "{place}: {failure}"),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::World(error.to_string())
    }
}

impl From<tls::config::ConfigError> for Failure {
    fn from(error: tls::config::ConfigError) -> Self {
        Self::World(error.to_string())
    }
}

impl From<tls::pki::PkiError> for Failure {
    fn from(error: tls::pki::PkiError) -> Self {
        Self::World(error.to_string())
    }
}

/// Does what the arguments of the process ask for.
pub(crate) fn run() -> Result<(), Failure> {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return explain(&error),
    };
    begin_log();
    match line.command {
        None => serve::run(line.serve),
        Some(Command::Serve(arguments)) => serve::run(*arguments),
        Some(Command::Cert(arguments)) => cert::run(arguments),
        Some(Command::Connect(arguments)) => connect::run(&arguments),
        Some(Command::Completions(arguments)) => manual::completions(&arguments),
        Some(Command::Man(arguments)) => manual::man(&arguments),
    }
}

/// What time it is. Below here it is an argument.
#[allow(clippy::disallowed_methods)]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Writes to standard output. Who stops reading it, as `head` does, has read enough.
fn say(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::cannot("write to standard output", error))
        }
        _ => Ok(()),
    }
}

/// Logs to standard error; `RUST_LOG` says what, and without it all that an operator wants to know.
fn begin_log() {
    let wanted = env_logger::Env::default().default_filter_or("info");
    env_logger::Builder::from_env(wanted).format_target(false).init();
}

/// Shows help and version; anything else is wrong usage, told in one line.
fn explain(error: &clap::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            error.print().map_err(|error| Failure::World(error.to_string()))
        }
        _ => Err(Failure::Usage(one_line(error))),
    }
}

/// What clap says, without how to call it: that is what --help is for.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.starts_with("Usage:")).map(str::trim);
    let said: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    said.join("; ").trim_start_matches("error: ").to_owned()
}
