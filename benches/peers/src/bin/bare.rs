//! The least that an echo server can do: one thread, one read and one write for each message.
//!
//! It believes everything. There is no check of a frame, no limit, no timer, no close, no queue;
//! of the handshake there is just enough for a client to go on. What another server costs beyond
//! this, it costs for doing more.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use peers::{Failure, MASKED};
use sha1::{Digest, Sha1};
use std::io::{self, ErrorKind, Read, Write};

/// What a server adds to the key of a client (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The token of the listener; those of the clients are their positions.
const LISTENER: Token = Token(usize::MAX);

struct Client {
    stream: TcpStream,
    is_upgraded: bool,
    /// What has come of a head or a frame whose rest has not.
    unfinished: Vec<u8>,
}

/// What all clients share.
struct Scratch {
    input: Box<[u8]>,
    output: Vec<u8>,
}

fn main() -> Result<(), Failure> {
    let mut listener = TcpListener::bind(peers::listen_address()?)?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    peers::serve_until_input_ends(listener.local_addr()?);

    let mut events = Events::with_capacity(1024);
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut scratch = Scratch { input: vec![0; 64 * 1024].into(), output: Vec::new() };
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut clients)?;
                continue;
            }
            let Some(slot) = clients.get_mut(event.token().0) else { continue };
            if slot.as_mut().is_some_and(|client| client.answer(&mut scratch).is_err()) {
                *slot = None;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    clients: &mut Vec<Option<Client>>,
) -> io::Result<()> {
    loop {
        let (mut stream, _) = match listener.accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            outcome => outcome?,
        };
        stream.set_nodelay(true)?;
        poll.registry().register(&mut stream, Token(clients.len()), Interest::READABLE)?;
        clients.push(Some(Client { stream, is_upgraded: false, unfinished: Vec::new() }));
    }
}

impl Client {
    /// Reads what there is and answers all of it. An error ends the client.
    fn answer(&mut self, scratch: &mut Scratch) -> io::Result<()> {
        let (kept, free) = scratch.input.split_at_mut(self.unfinished.len());
        kept.copy_from_slice(&self.unfinished);
        let len = match self.stream.read(free) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            outcome => kept.len() + outcome?,
        };
        scratch.output.clear();
        let input = &scratch.input[..len];
        let rest = if self.is_upgraded {
            echo(input, &mut scratch.output)
        } else {
            self.is_upgraded = upgrade(input, &mut scratch.output);
            if self.is_upgraded { &[] } else { input }
        };
        self.unfinished.clear();
        self.unfinished.extend_from_slice(rest);
        self.stream.write_all(&scratch.output)
    }
}

/// Accepts an upgrade once its head is whole.
fn upgrade(head: &[u8], output: &mut Vec<u8>) -> bool {
    let Some(key) = key_of(head) else { return false };
    let accept =
        BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    output.extend_from_slice(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .as_bytes(),
    );
    true
}

/// The key in a whole head.
fn key_of(head: &[u8]) -> Option<&str> {
    let head = str::from_utf8(head).ok()?.strip_suffix("\r\n\r\n")?;
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let (_, key) = headers.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))?;
    Some(key.trim())
}

/// Answers every whole frame of `input`; what is left over begins an unfinished one.
fn echo<'a>(mut input: &'a [u8], output: &mut Vec<u8>) -> &'a [u8] {
    while let &[first, second, a, b, c, d, ref rest @ ..] = input {
        let len = second & !MASKED;
        let Some((payload, rest)) = rest.split_at_checked(len.into()) else { break };
        output.extend_from_slice(&[first, len]);
        let start = output.len();
        output.extend_from_slice(payload);
        peers::mask(&mut output[start..], [a, b, c, d]);
        input = rest;
    }
    input
}
