//! Before a connection is what it becomes: its HTTP requests, and the wait for a WebSocket's start.

use std::net::SocketAddr;

use crate::base::Input;
use crate::http::{Heard, Limits, Reader, Refusal, RequestHead};
use crate::proxy::{self, Announced, Preamble};
use crate::ws::deflate::Agreement;

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address: that of the other end, or what a trusted proxy there says.
    pub address: SocketAddr,
    /// The number of the listener that accepted it.
    pub listener: u32,
    /// Whether what it says came through TLS.
    pub secure: bool,
}

/// A connection through a proxy that has not said yet whose it is.
#[derive(Debug)]
pub struct Introduction {
    peer: Peer,
    preamble: Preamble,
}

/// A connection that speaks HTTP.
#[derive(Debug)]
pub struct Greeting {
    /// Who is asking.
    pub peer: Peer,
    /// Subscriptions made for the request in hand that other cores have not heard of yet.
    pub waiting: u32,
    reader: Reader,
}

/// A connection that is a WebSocket already, but must not know it yet.
///
/// Whoever has seen the 101 misses nothing that is published afterwards, anywhere: so the 101 waits
/// until every core knows where to send it.
#[derive(Debug)]
pub struct Upgrading {
    /// Subscriptions that other cores have not heard of yet.
    pub waiting: u32,
    /// The 101, as it will be written.
    pub response: Vec<u8>,
    /// What it says about deflating.
    pub deflate: Option<Agreement>,
    /// What the peer sent without waiting for it.
    pub early: Vec<u8>,
}

impl Introduction {
    /// A connection that `peer` brings, of which nothing has been read yet.
    pub fn new(peer: Peer) -> Self {
        Self { peer, preamble: Preamble::default() }
    }

    /// Reads on until it is known whose the connection is; what follows stays in `input`.
    pub fn next(&mut self, input: &mut Input<'_>) -> Result<Option<Peer>, proxy::Fault> {
        let announced = self.preamble.next(input)?;
        Ok(announced.map(|announced| match announced {
            Announced::Client(address) => Peer { address, ..self.peer },
            Announced::Itself => self.peer,
        }))
    }
}

impl Greeting {
    /// A connection of which nothing has been read yet.
    pub fn new(peer: Peer) -> Self {
        Self { peer, waiting: 0, reader: Reader::default() }
    }

    /// Reads on until a request is whole, or until its head is if it has a body; what follows stays
    /// in `input`.
    pub fn next(
        &mut self,
        input: &mut Input<'_>,
        limits: &Limits,
    ) -> Result<Option<Heard>, Refusal> {
        self.reader.hear(input, limits)
    }

    /// Goes on with the body of the request that `head` began.
    pub fn await_body(&mut self, head: RequestHead) {
        self.reader.await_body(head);
    }

    /// Whether nothing of a request has arrived.
    pub fn is_idle(&self) -> bool {
        self.reader.is_idle()
    }
}

impl Upgrading {
    /// Waits for `waiting` subscriptions before it says `response`, which agrees to `deflate`.
    pub const fn new(waiting: u32, response: Vec<u8>, deflate: Option<Agreement>) -> Self {
        Self { waiting, response, deflate, early: Vec::new() }
    }

    /// Keeps what came too early. The loop reads once at most before it stops to listen, so this
    /// holds no more than one read.
    pub fn keep(&mut self, bytes: &[u8]) {
        self.early.extend_from_slice(bytes);
    }
}
