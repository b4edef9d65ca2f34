//! What an attacker does, as data: how far it goes along, what it says then, and what it never
//! does.

use std::time::Duration;

use corecast::base::Rng;
use corecast::worker::Limits;
use serde::Serialize;

/// How far an attacker goes along with the protocol before it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    /// TCP stands, and nothing more is done as it should be.
    Stream,
    /// TLS stands, if the server speaks it, and a request would come next.
    Request,
    /// A WebSocket that echoes is open.
    Echo,
    /// The same, and messages may be deflated if the server agrees.
    Deflated,
    /// A WebSocket is open that subscribes to a topic of its own.
    Topic,
}

/// How a server dealt with an attacker.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Answer {
    /// An HTTP response with this status.
    Status(u16),
    /// A close frame with this code (1005 for none).
    Close(u16),
    /// The stream ended without a word of HTTP or WebSocket.
    Ended,
    /// The stream was reset.
    Reset,
    /// Nothing came of it: the connection was open to the end.
    Open,
    /// The attacker never came as far as to begin.
    Barred,
}

impl Answer {
    /// The name it has in a report.
    pub fn name(self) -> String {
        match self {
            Self::Status(status) => format!("http {status}"),
            Self::Close(code) => format!("close {code}"),
            Self::Ended => "ended".to_owned(),
            Self::Reset => "reset".to_owned(),
            Self::Open => "open".to_owned(),
            Self::Barred => "barred".to_owned(),
        }
    }
}

/// What all attackers of a kind do.
#[derive(Clone, Debug)]
pub struct Script {
    /// How far they go along.
    pub entry: Entry,
    /// What they say once they are there.
    pub first: Vec<u8>,
    /// What they say again and again, unless what they said before has not left yet.
    pub again: Vec<u8>,
    /// How long there is between two times.
    pub pace: Duration,
    /// Whether they read what they are told.
    pub reads: bool,
    /// Whether they stay after the server has said its last word.
    pub clings: bool,
    /// How soon they come again after the server has seen them off, if they do.
    pub returns: Option<Duration>,
    /// How long the server may take to answer.
    pub lasts: Duration,
    /// The answers that a server in good order gives.
    pub awaited: Vec<Answer>,
    /// The limit that gives them, as the configuration calls it, or the rule.
    pub limit: &'static str,
}

impl Script {
    /// Attackers that come as far as `entry`, read, and say nothing; `limit` is to answer them
    /// within `limit_time`.
    pub fn new(entry: Entry, limit: &'static str, limit_time: Duration) -> Self {
        Self {
            entry,
            first: Vec::new(),
            again: Vec::new(),
            pace: limit_time / 16,
            reads: true,
            clings: false,
            returns: None,
            lasts: limit_time + limit_time / 2 + Duration::from_secs(1),
            awaited: Vec::new(),
            limit,
        }
    }
}

/// What the times of a script follow from.
#[derive(Debug)]
pub struct Ground {
    /// The limits of the server.
    pub limits: Limits,
    /// How long a kind lasts that no limit of time ends.
    pub span: Duration,
    /// What is drawn at random.
    pub rng: Rng,
}

impl Ground {
    /// Bytes that mean nothing.
    pub fn noise(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.rng.next_u64().to_le_bytes()[0]).collect()
    }
}

/// Whether a frame is its message's last.
pub const FIN: u8 = 0x80;
/// Whether a message is deflated (RFC 7692 §6).
pub const DEFLATED: u8 = 0x40;
/// The opcodes that attackers need (RFC 6455 §5.2).
pub const CONTINUATION: u8 = 0x0;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;

/// The header of a masked frame, which may promise what never comes.
///
/// The key is 0: it masks nothing, and a server has no way to mind (RFC 6455 §5.3).
pub fn header(first: u8, payload_len: u64) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    const LEN_16: u8 = 0x7E;
    const LEN_64: u8 = 0x7F;
    let mut bytes = vec![first];
    match (u8::try_from(payload_len), u16::try_from(payload_len)) {
        (Ok(len @ ..LEN_16), _) => bytes.push(MASKED | len),
        (_, Ok(len)) => {
            bytes.push(MASKED | LEN_16);
            bytes.extend(len.to_be_bytes());
        }
        _ => {
            bytes.push(MASKED | LEN_64);
            bytes.extend(payload_len.to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes
}

/// A whole frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend_from_slice(payload);
    bytes
}

/// A name or a code for a report, as serde writes it.
impl Serialize for Answer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::base::Input;
    use corecast::ws::{self, Decoder, Event, Role};

    #[test]
    fn our_frames_are_what_a_server_reads() {
        let limits = ws::Limits { message_bytes_max: 1 << 20, fragments_max: 4 };
        for len in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![7; len];
            let mut bytes = frame(FIN | BINARY, &payload);
            let mut input = Input::new(&mut bytes);
            let event = Decoder::new(Role::Server).next(&mut input, &limits).unwrap();
            assert_eq!(event, Some(Event::Binary(payload.into())), "{len} bytes");
        }
    }
}
