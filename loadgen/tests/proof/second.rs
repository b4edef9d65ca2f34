//! A second tool, to hold the first against: plain blocking code of the standard library, a
//! thread for each connection, that shares nothing with it. It sends at equal distances, and takes each
//! time from when a message should have left.
//!
//! A frame is a header of two bytes and the payload, masked from us to the server (RFC 6455 §5.2).

// `pub` is for the tests that include this.
#![allow(unreachable_pub)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of a message: few enough that its length is in the second byte of the header.
const PAYLOAD_LEN: usize = 64;

/// A final frame of bytes, and the bit that says that a mask follows.
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was measured.
pub struct Measured {
    /// Messages sent.
    pub sent: u64,
    /// Messages that came back as they were.
    pub received: u64,
    /// How long they took from when they should have left.
    pub median_ns: u64,
}

/// Sends `messages` messages at this `interval` on each of `conns` connections to `address`.
pub fn measure(address: SocketAddr, conns: u32, messages: u32, interval: Duration) -> Measured {
    let each = |number: u32| {
        let phase = interval * number / conns;
        thread::Builder::new().spawn(move || converse(address, messages, interval, phase)).unwrap()
    };
    let threads: Vec<_> = (0..conns).map(each).collect();
    let mut times: Vec<u64> = threads.into_iter().flat_map(|it| it.join().unwrap()).collect();
    times.sort_unstable();
    Measured {
        sent: u64::from(conns) * u64::from(messages),
        received: times.len() as u64,
        median_ns: times[times.len() / 2],
    }
}

/// One connection: how long each message that came back took, in nanoseconds.
#[allow(clippy::disallowed_methods)] // a tool of its own has a clock of its own
fn converse(address: SocketAddr, messages: u32, interval: Duration, phase: Duration) -> Vec<u64> {
    let mut stream = open(address);
    let start = Instant::now() + phase;
    let mut times = Vec::new();
    for number in 0..messages {
        let intended = start + interval * number;
        thread_sleep(intended.saturating_duration_since(Instant::now()));
        let message = [u8::try_from(number % 251).unwrap(); PAYLOAD_LEN];
        stream.get_mut().write_all(&masked(&message)).unwrap();
        if receive(&mut stream) == message {
            times.push(u64::try_from(intended.elapsed().as_nanos()).unwrap());
        }
    }
    times
}

#[allow(clippy::disallowed_methods)] // plain blocking code
fn thread_sleep(time: Duration) {
    thread::sleep(time);
}

/// A connection that has been upgraded (RFC 6455 §4.1).
fn open(address: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    assert!(lines[0].starts_with("HTTP/1.1 101 "), "{lines:?}");
    // What the key of the RFC's example is answered by (§1.3).
    let accepts = |line: &String| line.ends_with("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert!(lines.iter().any(accepts), "{lines:?}");
    stream
}

/// A message as a frame to the server.
fn masked(message: &[u8; PAYLOAD_LEN]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![BINARY, MASKED | u8::try_from(PAYLOAD_LEN).unwrap()];
    frame.extend(key);
    frame.extend(message.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The payload of the next frame of the server.
fn receive(stream: &mut BufReader<TcpStream>) -> Vec<u8> {
    let mut header = [0; 2];
    stream.read_exact(&mut header).unwrap();
    assert_eq!(header, [BINARY, u8::try_from(PAYLOAD_LEN).unwrap()]);
    let mut payload = vec![0; PAYLOAD_LEN];
    stream.read_exact(&mut payload).unwrap();
    payload
}
