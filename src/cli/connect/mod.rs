//! `corecast connect`: the other side, by hand.

mod ask;
mod dial;
mod lines;
mod talk;
mod who;

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use clap::Args;
use corecast::client::{self, Asker, Connection, Dialer, Failure as Lost, Scheme, Url};

use self::ask::AskArguments;
use self::dial::TrustArguments;
use self::talk::TalkArguments;
use super::Failure;

/// What may be said to `connect`.
///
/// Exit codes: 0 all went well, 1 something on this machine failed, 2 wrong usage, 3 no connection,
/// 4 TLS failed, 5 the server refused (HTTP 4xx or 5xx), 6 the server broke its protocol.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// Where to: tls://HOST:PORT, tcp://HOST:PORT, https://..., http://..., wss://... or ws://...;
    /// several of https and http are asked one after the other
    #[arg(value_name = "URL", required = true)]
    urls: Vec<Url>,
    #[command(flatten)]
    ask: AskArguments,
    #[command(flatten)]
    talk: TalkArguments,
    #[command(flatten)]
    trust: TrustArguments,
    /// Give up connecting, shaking hands, or waiting for an answer or its next part after this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = timeout)]
    timeout: Duration,
}

const EXIT_CODES: &str = "Exit codes: 0 all went well; 1 something on this machine failed; \
    2 wrong usage; 3 no connection, or none any more; 4 TLS failed; 5 the server refused \
    (HTTP 4xx or 5xx); 6 the server broke its protocol.";

/// Longer than any server thinks about an answer.
const TIMEOUT_MAX: Duration = Duration::from_secs(60 * 60);

/// Connects, and does what the scheme of the URL means.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { urls, ask, talk, trust, timeout } = arguments;
    let Some(url) = urls.first() else { return Err(usage("there is no URL")) };
    arguments.check(url)?;
    let dialer = trust.dialer(urls, *timeout)?;
    let output = &mut io::stdout().lock();
    let outcome = match url.scheme {
        Scheme::Tcp | Scheme::Tls => relay(url, &dialer, trust, output),
        Scheme::Ws | Scheme::Wss => {
            let headers = ask.headers()?;
            let connection = connect(url, &dialer, trust)?;
            talk::run(connection, url, &headers, talk, *timeout, output)
        }
        Scheme::Http | Scheme::Https => {
            let question = ask.question(ask.headers()?)?;
            let told = |connection: &Connection| who::tell(connection, trust.is_insecure());
            ask::run(Asker::new(dialer), urls, &question, output, told)
        }
    };
    match outcome {
        // Whoever reads what we write has enough.
        Err(Failure::Client { failure: Lost::Local(error), .. })
            if error.kind() == ErrorKind::BrokenPipe =>
        {
            Ok(())
        }
        outcome => outcome,
    }
}

impl Arguments {
    /// Holds the flags against what `url` and the others want.
    fn check(&self, url: &Url) -> Result<(), Failure> {
        let is_request = |scheme| matches!(scheme, Scheme::Http | Scheme::Https);
        if self.urls.len() > 1 && !self.urls.iter().all(|url| is_request(url.scheme)) {
            return Err(usage("only https and http URLs can be several"));
        }
        if !is_request(url.scheme) {
            self.ask.refuse_all()?;
        }
        if !matches!(url.scheme, Scheme::Ws | Scheme::Wss) {
            self.talk.refuse_all()?;
        }
        self.talk.check()?;
        if !url.scheme.is_http() && self.ask.has_headers() {
            return Err(usage("--header is for URLs of http and WebSocket"));
        }
        Ok(())
    }
}

/// Connects, and tells with whom.
fn connect(url: &Url, dialer: &Dialer, trust: &TrustArguments) -> Result<Connection, Failure> {
    let connection = Connection::open(url, dialer).map_err(|failure| lost(url, failure))?;
    who::tell(&connection, trust.is_insecure());
    Ok(connection)
}

fn relay(
    url: &Url,
    dialer: &Dialer,
    trust: &TrustArguments,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let connection = connect(url, dialer, trust)?;
    client::relay(connection, input()?, output).map_err(|failure| lost(url, failure))
}

/// Standard input without a buffer of its own: what waits in one would not be waited for.
fn input() -> Result<File, Failure> {
    let file = io::stdin().as_fd().try_clone_to_owned();
    file.map(File::from).map_err(|error| Failure::cannot("read standard input", error))
}

fn usage(reason: impl Into<String>) -> Failure {
    Failure::Usage(reason.into())
}

fn lost(url: &Url, failure: Lost) -> Failure {
    Failure::Client { place: url.place(), failure }
}

/// Says something to the person at the terminal, who may have gone.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn timeout(text: &str) -> Result<Duration, String> {
    let time = corecast::config::duration(text).filter(|time| *time <= TIMEOUT_MAX);
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "expected a time up to 1h, such as 10s".into())
}
