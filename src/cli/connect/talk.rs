//! `corecast connect wss://...`: a line is a message, messages are lines.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use clap::Args;
use corecast::client::{
    self, Awaited, BACKLOG_BYTES_MAX, Connection, Failure as Lost, Heard, Offer, Url, WebSocket,
    said,
};
use corecast::http::is_token;
use corecast::reactor::signal;
use corecast::ws::deflate::{ClientWindow, Parameters};
use corecast::ws::{CloseCode, CloseFrame, Limits, Message};

use super::lines::{LINE_BYTES_MAX, Lines, TooLong};
use super::{input, lost, say, timeout, usage};
use crate::cli::Failure;

/// What a server may send. It was chosen by whoever runs this, so that the bounds are wide; what
/// is declared costs nothing, only what has come.
const LIMITS: Limits = Limits { message_bytes_max: LINE_BYTES_MAX, fragments_max: 1 << 20 };

/// What is offered with `--deflate`: whatever the server likes best.
const DEFLATE: Parameters = Parameters {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: None,
    client_max_window_bits: Some(ClientWindow::Any),
};

/// How much of standard input is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// What may be said about a WebSocket.
#[derive(Args, Debug)]
pub(super) struct TalkArguments {
    /// Send lines as binary messages and not as text
    #[arg(long)]
    binary: bool,
    /// Offer this WebSocket subprotocol; repeatable, in order of preference
    #[arg(long = "subprotocol", value_name = "NAME")]
    subprotocols: Vec<String>,
    /// Offer to deflate messages (permessage-deflate, RFC 7692)
    #[arg(long)]
    deflate: bool,
    /// Ping the server this often, and give it up if it does not answer before the next ping
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    ping: Option<Duration>,
}

impl TalkArguments {
    /// Complains about whatever is only for messages.
    pub(super) fn refuse_all(&self) -> Result<(), Failure> {
        let has_flags = self.binary || self.deflate || self.ping.is_some();
        if has_flags || !self.subprotocols.is_empty() {
            let flags = "--binary, --subprotocol, --deflate and --ping";
            return Err(usage(format!("{flags} are for URLs of wss and ws")));
        }
        Ok(())
    }

    /// Complains about what no WebSocket can have.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.subprotocols.iter().find(|name| !is_token(name)) {
            None => Ok(()),
            Some(name) => Err(usage(format!("`{name}` cannot be the name of a subprotocol"))),
        }
    }
}

/// Opens a WebSocket at `url` over `connection`, and passes lines and messages on until it closes.
///
/// The end of the input closes it with 1000, the first signal with 1001; what the server still
/// says before it closes as well is heard.
pub(super) fn run(
    connection: Connection,
    url: &Url,
    headers: &[(String, String)],
    arguments: &TalkArguments,
    timeout: Duration,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let subprotocols = arguments.subprotocols.clone();
    let deflate = arguments.deflate.then_some(DEFLATE);
    let offer = Offer { subprotocols, headers: headers.to_vec(), deflate, limits: LIMITS };
    let interrupts =
        signal::interrupts().map_err(|error| Failure::cannot("catch signals", error))?;
    let socket = WebSocket::open(connection, url, &offer).map_err(|failure| lost(url, failure))?;
    if let Some(name) = socket.subprotocol() {
        say(&format!("subprotocol: {name}"));
    }
    match socket.deflate() {
        Some(agreement) => say(&format!("extension: {agreement}")),
        None if arguments.deflate => say("the server does not deflate"),
        None => {}
    }
    let talk = Talk {
        socket,
        lines: Lines::default(),
        is_binary: arguments.binary,
        ping: arguments.ping,
        deadline: arguments.ping.map(client::deadline),
        awaits_pong: false,
        closing: None,
        timeout,
    };
    talk.run(&mut input()?, &interrupts, output).map_err(|trouble| match trouble {
        Trouble::Lost(failure) => lost(url, failure),
        Trouble::TooLong => {
            usage(format!("a line of standard input has more than {LINE_BYTES_MAX} bytes"))
        }
        Trouble::NotText => usage("standard input is not UTF-8; --binary sends any bytes"),
        Trouble::Interrupted => Failure::World("told twice: left at once".to_owned()),
    })
}

/// Why a talk ended badly.
enum Trouble {
    Lost(Lost),
    TooLong,
    NotText,
    Interrupted,
}

impl From<Lost> for Trouble {
    fn from(failure: Lost) -> Self {
        Self::Lost(failure)
    }
}

impl From<TooLong> for Trouble {
    fn from(_: TooLong) -> Self {
        Self::TooLong
    }
}

/// Who has ended the talk, on this side.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Closing {
    Input,
    Signal,
}

struct Talk {
    socket: WebSocket,
    lines: Lines,
    is_binary: bool,
    ping: Option<Duration>,
    /// When the next ping is due, or the answer to our close.
    deadline: Option<Instant>,
    awaits_pong: bool,
    closing: Option<Closing>,
    timeout: Duration,
}

impl Talk {
    fn run(
        mut self,
        input: &mut File,
        interrupts: &UnixStream,
        output: &mut dyn Write,
    ) -> Result<(), Trouble> {
        loop {
            if let Some(frame) = self.hear(output)? {
                return Ok(self.leave(frame)?);
            }
            let may_send = self.closing.is_none() && self.socket.backlog() < BACKLOG_BYTES_MAX;
            let files = [may_send.then(|| input.as_fd()), Some(interrupts.as_fd())];
            let turn = self.socket.turn(files, self.deadline)?;
            let [has_input, is_interrupted] = turn.ready;
            if has_input {
                self.read(input)?;
            }
            if is_interrupted {
                self.interrupt(interrupts)?;
            }
            if turn.is_late {
                self.be_late()?;
            }
        }
    }

    /// Writes all messages that have arrived, at once; gives back the close if there was one.
    fn hear(&mut self, output: &mut dyn Write) -> Result<Option<Goodbye>, Lost> {
        let mut page = Vec::new();
        let goodbye = loop {
            let line = match self.socket.hear() {
                Ok(Some(Heard::Text(text))) => text.into_bytes(),
                Ok(Some(Heard::Binary(bytes))) => bytes,
                Ok(Some(Heard::Pong)) => {
                    self.awaits_pong = false;
                    continue;
                }
                Ok(Some(Heard::Closed(frame))) => break Ok(Some(frame)),
                Ok(None) => break Ok(None),
                Err(failure) => break Err(failure),
            };
            page.extend_from_slice(&line);
            page.push(b'\n');
        };
        // What came before a fault is worth having, too.
        output.write_all(&page).and_then(|()| output.flush()).map_err(Lost::Local)?;
        goodbye
    }

    /// Sends the lines that a read of the input ends.
    fn read(&mut self, input: &mut File) -> Result<(), Trouble> {
        let mut chunk = vec![0; CHUNK_BYTES];
        match input.read(&mut chunk) {
            Ok(0) => {
                if let Some(line) = std::mem::take(&mut self.lines).finish() {
                    send(&mut self.socket, &line, self.is_binary)?;
                }
                Ok(self.close(CloseCode::NORMAL, Closing::Input)?)
            }
            Ok(len) => {
                let (socket, is_binary) = (&mut self.socket, self.is_binary);
                self.lines.feed(chunk.split_at(len).0, |line| send(socket, line, is_binary))
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(Lost::Local(error).into()),
        }
    }

    /// Somebody wants an end: an orderly one first, then any.
    fn interrupt(&mut self, mut interrupts: &UnixStream) -> Result<(), Trouble> {
        interrupts.read(&mut [0]).map_err(Lost::Local)?;
        if self.closing == Some(Closing::Signal) {
            return Err(Trouble::Interrupted);
        }
        Ok(self.close(CloseCode::GOING_AWAY, Closing::Signal)?)
    }

    fn close(&mut self, code: CloseCode, closing: Closing) -> Result<(), Lost> {
        self.socket.close(code, "")?;
        self.closing = Some(closing);
        self.deadline = Some(client::deadline(self.timeout));
        Ok(())
    }

    /// Pings, or gives up on an answer that did not come.
    fn be_late(&mut self) -> Result<(), Lost> {
        if self.closing.is_some() {
            return Err(Lost::TimedOut(Awaited::Close));
        }
        if self.awaits_pong {
            return Err(Lost::TimedOut(Awaited::Pong));
        }
        self.socket.ping()?;
        self.awaits_pong = true;
        self.deadline = self.ping.map(client::deadline);
        Ok(())
    }

    /// Ends a talk that the server has closed, or answered the close of.
    fn leave(self, frame: Goodbye) -> Result<(), Lost> {
        self.socket.leave();
        let code = frame.as_ref().map(|frame| frame.code);
        match frame {
            _ if self.closing.is_some() => Ok(()),
            Some(frame) if !matches!(code, Some(CloseCode::NORMAL | CloseCode::GOING_AWAY)) => {
                Err(Lost::Closed(frame))
            }
            frame => {
                let words = frame.as_ref().map_or("1005, no code".to_owned(), said);
                say(&format!("closed by the server: {words}"));
                Ok(())
            }
        }
    }
}

/// What a close says, if anything.
type Goodbye = Option<CloseFrame<'static>>;

/// Sends one line.
fn send(socket: &mut WebSocket, line: &[u8], is_binary: bool) -> Result<(), Trouble> {
    let message = if is_binary {
        Message::Binary(line)
    } else {
        Message::Text(str::from_utf8(line).map_err(|_| Trouble::NotText)?)
    };
    Ok(socket.send(message)?)
}
