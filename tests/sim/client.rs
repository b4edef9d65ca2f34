//! A client: what it has said, and what it is owed for it.

use std::collections::VecDeque;
use std::time::Instant;

use corecast::base::Map;
use corecast::ws::handshake::ClientHandshake;
use corecast::ws::{Decoder, FrameHeader, MaskKey, Opcode, Role, unmask};

use super::hear::Violation;
use super::journal::{Conn, Journal};
use super::origin::{self, Approach};
use super::plan::usize_of;
use super::plant::Plant;
use super::secure::Secure;
use super::stream::Flow;
use super::wire::Wire;
use super::words::Words;

/// One connection after the other.
#[allow(clippy::struct_excessive_bools)] // each is a fact, and they are independent
pub struct Client {
    pub conn: Conn,
    pub wire: Option<Wire>,
    /// Whether it came through a proxy that announces it.
    pub is_announced: bool,
    /// Its TLS, if it came by a listener that has some.
    pub secure: Option<Box<Secure>>,
    pub phase: Phase,
    /// What has been read and not understood yet.
    pub inbox: Vec<u8>,
    /// The rest of a message that has been begun.
    pub tail: Vec<u8>,
    /// It reads nothing before then.
    pub stalled_until: Option<Instant>,
    /// Whether it leaves a close unanswered and the connection open.
    pub rude: bool,
    pub faults: Faults,
    /// What it is owed.
    pub answers: VecDeque<String>,
    pub echoes: VecDeque<String>,
    pub pongs: VecDeque<Vec<u8>>,
    pub topics: Map<u64, Subscription>,
    /// The topics of the upgrade in hand.
    pub wanted: Vec<u64>,
    /// Whether a close has come.
    pub is_dismissed: bool,
    /// When it began to ask for something over HTTP.
    pub asked_at: Option<Instant>,
    masks_off: bool,
    seq: u64,
}

/// What a connection is, as far as its client has seen.
pub enum Phase {
    /// Not connected.
    Away,
    /// HTTP, with the handshake that is under way.
    Http(Option<Box<ClientHandshake>>),
    WebSocket(Decoder),
    /// Bytes that come back.
    Stream(Flow),
}

/// What a client has done that excuses what the server does to it.
#[allow(clippy::struct_excessive_bools)] // each is a fact, and they are independent
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Faults {
    /// It has reset the connection, or ended its writing.
    pub broken: bool,
    /// It has sent what is no protocol.
    pub garbage: bool,
    /// It has closed.
    pub closed: bool,
    /// It was silent for so long that it was given up.
    pub silent: bool,
    /// Something asked the server to close it.
    pub bye: bool,
    /// Its proxy has not said whose it is, so nobody speaks to it.
    pub nameless: bool,
}

/// What a client has seen of a topic.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subscription {
    /// Publications that each worker had accepted when the subscription was answered.
    pub answered: Option<[u64; OUTSIDE + 1]>,
    /// The number that must come next from each worker, once one has come.
    pub next: [Option<u64>; OUTSIDE + 1],
    pub leaving: bool,
}

/// Every how many connections a proxy does not say whose it is.
const NAMELESS: Conn = 16;

/// The place of publications from outside all workers, behind the workers'.
pub const OUTSIDE: usize = 4;

impl Client {
    pub fn away() -> Self {
        Self {
            conn: 0,
            wire: None,
            is_announced: false,
            secure: None,
            phase: Phase::Away,
            inbox: Vec::new(),
            tail: Vec::new(),
            stalled_until: None,
            rude: false,
            faults: Faults::default(),
            answers: VecDeque::new(),
            echoes: VecDeque::new(),
            pongs: VecDeque::new(),
            topics: Map::default(),
            wanted: Vec::new(),
            is_dismissed: false,
            asked_at: None,
            masks_off: false,
            seq: 0,
        }
    }

    /// A client that has just connected: its proxy announces it if it has one, and it begins to
    /// shake hands if that is asked of it.
    pub fn connected(conn: Conn, mut wire: Wire, approach: Approach, plant: Plant) -> Self {
        let nameless = approach.is_announced && conn.is_multiple_of(NAMELESS);
        if approach.is_announced {
            match plant {
                _ if nameless => wire.write(b"GET / HTTP/1.1\r\n", true),
                Plant::ForgottenClient => wire.write(b"PROXY UNKNOWN\r\n", true),
                _ => wire.write(&origin::preamble(conn), true),
            }
        }
        let asked_at = Some(wire.delivered_at);
        let secure = approach.is_secure.then(|| {
            let (secure, flight) = Secure::new();
            wire.write(&flight, true);
            Box::new(secure)
        });
        let phase =
            if approach.is_stream { Phase::Stream(Flow::default()) } else { Phase::Http(None) };
        Self {
            conn,
            wire: Some(wire),
            is_announced: approach.is_announced,
            secure,
            phase,
            asked_at,
            faults: Faults { nameless, garbage: nameless, ..Faults::default() },
            masks_off: plant == Plant::MaskOffset,
            ..Self::away()
        }
    }

    /// Whether it is a WebSocket or a stream that nobody has closed or broken.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::WebSocket(_) | Phase::Stream(_))
            && !self.is_dismissed
            && self.faults == Faults::default()
    }

    /// Whether it has come so far that the server can close it.
    pub fn is_talking(&self) -> bool {
        match self.phase {
            Phase::WebSocket(_) => true,
            Phase::Stream(flow) => flow.has_begun(),
            Phase::Away | Phase::Http(_) => false,
        }
    }

    pub fn is_away(&self) -> bool {
        matches!(self.phase, Phase::Away)
    }

    /// Whether it may still say something that it wants to be answered.
    pub fn may_speak(&self) -> bool {
        !self.faults.closed && !self.faults.broken && !self.faults.garbage
    }

    /// Puts bytes on their way, sealed where there is TLS.
    pub fn write(&mut self, bytes: &[u8], whole: bool) {
        let Some(wire) = &mut self.wire else { return };
        match &mut self.secure {
            None => wire.write(bytes, whole),
            Some(secure) => wire.write(&secure.seal(bytes, whole), whole),
        }
    }

    /// What bytes that it has just read say, once TLS has opened them.
    pub fn unseal(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, Violation> {
        let Some(secure) = &mut self.secure else { return Ok(bytes) };
        let unsealed = match secure.unseal(&bytes) {
            // Who breaks TLS is told so in TLS.
            Err(_) if self.faults.broken => return Ok(Vec::new()),
            unsealed => {
                unsealed.map_err(|violation| format!("client {}: {violation}", self.conn))?
            }
        };
        if let Some(wire) = &mut self.wire {
            unsealed.sealed.iter().for_each(|(bytes, whole)| wire.write(bytes, *whole));
        }
        Ok(unsealed.plaintext)
    }

    /// Whether it has said nothing yet that is not TLS's.
    pub fn is_handshaking(&self) -> bool {
        self.secure.as_ref().is_some_and(|secure| secure.is_handshaking())
    }

    /// Says the rest of what it has begun.
    pub fn finish_message(&mut self) {
        let tail = std::mem::take(&mut self.tail);
        if !tail.is_empty() {
            self.write(&tail, true);
        }
    }

    pub fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Asks for something over plain HTTP.
    pub fn request(&mut self, body: usize) {
        let seq = self.next_seq();
        let path = format!("/n/{}/{seq}", self.conn);
        let (address, body) = (origin::address(self.conn), "b".repeat(body));
        let head = match body.len() {
            0 => format!("GET {path} HTTP/1.1\r\nHost: sim\r\n\r\n"),
            len => format!("POST {path} HTTP/1.1\r\nHost: sim\r\nContent-Length: {len}\r\n\r\n"),
        };
        self.answers.push_back(format!("{path} {address} {body}"));
        self.write(format!("{head}{body}").as_bytes(), true);
    }

    /// Asks to become a WebSocket that is subscribed to `topics`.
    pub fn upgrade(&mut self, topics: Vec<u64>) {
        let list: Vec<_> = topics.iter().map(u64::to_string).collect();
        let target = format!("/ws/{}/{}", self.conn, list.join(","));
        let handshake = ClientHandshake::new([7; 16], "sim", &target, &[], &[]);
        let mut bytes = Vec::new();
        handshake.encode(&mut bytes);
        self.write(&bytes, true);
        self.wanted = topics;
        self.phase = Phase::Http(Some(Box::new(handshake)));
    }

    /// Says a message in `frames` frames, with a ping between the first two if there are two, and
    /// keeps the last `kept` bytes for later.
    pub fn say(&mut self, words: Words, filler: usize, frames: usize, kept: usize) {
        let text = words.say(filler);
        if let Words::Echo { .. } = words {
            self.echoes.push_back(text.clone());
        }
        let mut bytes = Vec::new();
        let part = text.len().div_ceil(frames);
        for (place, payload) in text.as_bytes().chunks(part).enumerate() {
            let opcode = if place == 0 { Opcode::Text } else { Opcode::Continuation };
            let fin = (place + 1) * part >= text.len();
            self.encode(&mut bytes, fin, opcode, payload);
            if place == 0 && !fin {
                self.encode(&mut bytes, true, Opcode::Ping, b"between");
                self.pongs.push_back(b"between".to_vec());
            }
        }
        let kept = bytes.split_off(bytes.len() - kept.min(bytes.len()));
        self.write(&bytes, kept.is_empty());
        self.tail = kept;
    }

    /// Says a control frame.
    pub fn control(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut bytes = Vec::new();
        self.encode(&mut bytes, true, opcode, payload);
        self.write(&bytes, true);
        match opcode {
            Opcode::Ping => self.pongs.push_back(payload.to_vec()),
            Opcode::Close => self.faults.closed = true,
            _ => {}
        }
    }

    /// Appends one frame as a client sends it.
    fn encode(&self, out: &mut Vec<u8>, fin: bool, opcode: Opcode, payload: &[u8]) {
        let key = MaskKey([1, 0x20, self.conn.to_le_bytes()[0], 0xF3]);
        let payload_len = payload.len() as u64;
        let mask = Some(key);
        let header = FrameHeader { fin, compressed: false, opcode, mask, payload_len }.encode();
        out.extend_from_slice(header.as_slice());
        let mut payload = payload.to_vec();
        let (front, back) = payload.split_at_mut(payload_len.div_ceil(2).try_into().unwrap());
        unmask(front, key, 0);
        unmask(back, key, front.len() + usize::from(self.masks_off && front.len() > 16));
        out.extend_from_slice(&payload);
    }

    /// Notes that a subscription was answered: what is published from now on must come.
    pub fn subscribed(&mut self, topic: u64, journal: &Journal) {
        let subscription = self.topics.entry(topic).or_default();
        subscription.answered = Some(std::array::from_fn(|worker| journal.count(topic, worker)));
    }

    /// Becomes a WebSocket, whose subscriptions count from now on.
    pub fn open(&mut self, journal: &Journal) {
        self.phase = Phase::WebSocket(Decoder::new(Role::Client));
        for topic in std::mem::take(&mut self.wanted) {
            self.subscribed(topic, journal);
        }
    }

    /// Lets go of the connection.
    pub fn leave(&mut self) {
        *self = Self { seq: self.seq, ..Self::away() };
    }

    /// Whether it reads nothing now.
    pub fn is_stalled(&self, now: Instant) -> bool {
        self.stalled_until.is_some_and(|until| now < until)
    }
}

/// What is no HTTP and what is no WebSocket, each of its own kind.
pub fn garbage(kind: u64, message_bytes_max: usize) -> Vec<u8> {
    match kind {
        0 => b"\x81\x01a".to_vec(),
        1 => b"\xF1\x81\x00\x00\x00\x00a".to_vec(),
        2 => b"\x83\x81\x00\x00\x00\x00a".to_vec(),
        3 => b"\x81\x82\x00\x00\x00\x00\xC3\x28".to_vec(),
        4 => b"\x80\x81\x00\x00\x00\x00a".to_vec(),
        5 => b"\x88\x82\x00\x00\x00\x00\x03\xED".to_vec(),
        6 => b"\x09\x80\x00\x00\x00\x00".to_vec(),
        _ => {
            let payload_len = message_bytes_max as u64 + 1;
            let mask = Some(MaskKey([0; 4]));
            let (fin, compressed, opcode) = (true, false, Opcode::Binary);
            let header = FrameHeader { fin, compressed, opcode, mask, payload_len };
            let mut bytes = header.encode().as_slice().to_vec();
            bytes.resize(bytes.len() + usize_of(payload_len), 0);
            bytes
        }
    }
}
