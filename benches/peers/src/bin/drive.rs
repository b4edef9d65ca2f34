//! A closed loop of echoes: every connection has one message in flight, or a few that leave with one
//! write, and sends the next when the last have come back, unchanged.
//!
//! It measures the server by the CPU time that the server takes for a number of messages, read
//! from /proc before and after, so that what this client costs does not count.
//!
//! ```text
//! drive --connect ADDRESS --pid PID [--connections 100] [--payload 64]
//!       [--in-flight 1] [--seconds 3] [--ca FILE, which means TLS]
//! ```
//!
//! prints `messages CPU-SECONDS` of the server.

use mio::{Events, Interest, Poll, Token};
use peers::carrier::{Carrier, Via};
use peers::{Failure, MASKED, SHORT_PAYLOAD_MAX};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// FIN and the opcode of a binary message.
const BINARY: u8 = 0x82;

/// How many ticks of CPU time /proc counts in a second: the same on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Echoes before the measurement, so that caches and branches are warm.
const WARM_UP: Duration = Duration::from_millis(300);

fn main() -> Result<(), Failure> {
    let address = peers::argument("--connect")?.ok_or("--connect is missing")?;
    let pid = peers::argument("--pid")?.ok_or("--pid is missing")?;
    let connections = peers::argument("--connections")?.unwrap_or(100);
    let payload_len = peers::argument("--payload")?.unwrap_or(64);
    let in_flight = peers::argument("--in-flight")?.unwrap_or(1);
    let seconds = peers::argument("--seconds")?.unwrap_or(3);
    if !(size_of::<u64>()..=SHORT_PAYLOAD_MAX).contains(&payload_len) {
        return Err("--payload: from 8 to 125 bytes".into());
    }

    let authorities = peers::argument::<PathBuf>("--ca")?;
    let via = authorities.map_or(Ok(Via::Plain), |path| Via::tls(&path))?;
    let mut load = Load::open(address, &via, connections, Batch { payload_len, in_flight })?;
    load.run(WARM_UP)?;
    let before = cpu_seconds(pid)?;
    let messages = load.run(Duration::from_secs(seconds))?;
    println!("{messages} {:.2}", cpu_seconds(pid)? - before);
    Ok(())
}

/// User and system time of a process and all its threads.
fn cpu_seconds(pid: u32) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program, in parentheses, may contain anything; the times are the 12th and
    // the 13th field after it.
    let (_, fields) = stat.rsplit_once(')').ok_or("a stat file without a name")?;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks = times.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / TICKS_PER_SECOND)
}

/// What a connection sends at once.
#[derive(Clone, Copy)]
struct Batch {
    /// Bytes of a message.
    payload_len: usize,
    /// Messages of a batch.
    in_flight: u64,
}

/// All connections of a run.
struct Load {
    poll: Poll,
    connections: Vec<Connection>,
    /// Counts the messages; it is sent as the beginning of each payload.
    sent: u64,
}

impl Load {
    /// Connects and shakes hands, one connection after the other, and sends the first messages.
    fn open(address: SocketAddr, via: &Via, count: usize, batch: Batch) -> Result<Self, Failure> {
        let poll = Poll::new()?;
        let mut load = Self { poll, connections: Vec::with_capacity(count), sent: 0 };
        for position in 0..count {
            let mut stream = via.connect(address)?;
            let registry = load.poll.registry();
            registry.register(stream.socket(), Token(position), Interest::READABLE)?;
            upgrade(&mut stream, address)?;
            let mut connection = Connection::new(stream, batch);
            load.sent += connection.send(load.sent)?;
            load.connections.push(connection);
        }
        Ok(load)
    }

    /// Echoes for a while. Returns how many messages came back.
    fn run(&mut self, duration: Duration) -> Result<u64, Failure> {
        let mut events = Events::with_capacity(1024);
        let sent_before = self.sent;
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.poll.poll(&mut events, Some(duration))?;
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                if connection.receive()? {
                    self.sent += connection.send(self.sent)?;
                }
            }
        }
        Ok(self.sent - sent_before)
    }
}

/// Makes a WebSocket of a connection, waiting for the answer.
fn upgrade(stream: &mut Carrier, address: SocketAddr) -> Result<(), Failure> {
    let mut request = Vec::new();
    write!(
        request,
        "GET /echo HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )?;
    stream.write_all(&request)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // Byte by byte, since what follows the head is not ours to take.
        let mut byte = [0];
        match stream.read(&mut byte) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
            Ok(0) => return Err("the server closed a connection instead of answering".into()),
            outcome => head.extend_from_slice(&byte[..outcome?]),
        }
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(format!("no upgrade: {}", String::from_utf8_lossy(&head)).into());
    }
    Ok(())
}

struct Connection {
    stream: Carrier,
    batch: Batch,
    /// The frames as they are sent, masked.
    frames: Vec<u8>,
    /// The same as they must come back.
    expected: Vec<u8>,
    /// What came back; its first `received` bytes have come.
    answer: Vec<u8>,
    received: usize,
}

impl Connection {
    fn new(stream: Carrier, batch: Batch) -> Self {
        let (frames, expected) = (Vec::new(), Vec::new());
        Self { stream, batch, frames, expected, answer: Vec::new(), received: 0 }
    }

    /// Sends the messages that follow the one with the number `last`. Returns how many those are.
    fn send(&mut self, last: u64) -> Result<u64, Failure> {
        let len = u8::try_from(self.batch.payload_len)?;
        self.frames.clear();
        self.expected.clear();
        for number in (1..=self.batch.in_flight).map(|step| last + step) {
            let start = self.expected.len();
            self.expected.extend_from_slice(&[BINARY, len]);
            self.expected.extend_from_slice(&number.to_be_bytes());
            self.expected.resize(start + 2 + self.batch.payload_len, b'x');
            // Any key that differs from message to message will do against a server under test.
            let [a, b, c, d, ..] = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
            self.frames.extend_from_slice(&[BINARY, MASKED | len, a, b, c, d]);
            let masked = self.frames.len();
            self.frames.extend_from_slice(&self.expected[start + 2..]);
            peers::mask(&mut self.frames[masked..], [a, b, c, d]);
        }
        self.answer.resize(self.expected.len(), 0);
        self.stream.write_all(&self.frames)?;
        Ok(self.batch.in_flight)
    }

    /// Reads on. Returns whether all messages have come back.
    fn receive(&mut self) -> Result<bool, Failure> {
        while self.received < self.answer.len() {
            match self.stream.read(&mut self.answer[self.received..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Ok(0) => return Err("the server closed a connection".into()),
                outcome => self.received += outcome?,
            }
        }
        self.received = 0;
        if self.answer != self.expected {
            return Err("what came back is not what was sent".into());
        }
        Ok(true)
    }
}
