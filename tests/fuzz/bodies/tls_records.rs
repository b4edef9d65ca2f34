//! Records at the TLS seam: nothing is ever opened that the peer did not seal, in its order; what
//! is damaged is refused for good; and a flight is judged the same however it is cut.

use std::sync::{Arc, LazyLock};

use corecast::tls::{ClientConfig, Fault, ServerConfig, Tls};

use super::{Told, pieces};
use crate::tls::{Peer, client_config, converse, localhost, server_config};

static SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(server_config);
static CLIENT: LazyLock<Arc<ClientConfig>> = LazyLock::new(client_config);

/// The first byte says whether hands are shaken or have been.
pub fn run(bytes: &[u8]) {
    let mut told = Told::new(bytes);
    if told.byte() & 1 == 0 { shake_hands(&mut told) } else { talk(&mut told) }
}

fn server() -> Peer {
    Peer::new(Tls::server(&SERVER).unwrap())
}

fn client() -> Peer {
    Peer::new(Tls::client(&CLIENT, localhost()).unwrap())
}

/// A first flight that has been tampered with: three bytes are how it is cut, then up to seven
/// changes; the rest comes in its place, or behind it.
fn shake_hands(told: &mut Told<'_>) {
    let lens = told.take(3);
    let mut flight = client().take_in(&[]);
    let first = told.byte();
    for _ in 0..first % 8 {
        let place = (told.below(256) << 8 | told.below(256)) % flight.len();
        flight[place] = told.byte();
    }
    if first & 0x80 != 0 {
        flight.clear();
    }
    flight.extend_from_slice(told.rest());
    let outcome = |pieces: &[&[u8]]| {
        let mut server = server();
        let outcome = pieces.iter().try_for_each(|piece| server.feed(piece).1);
        assert!(server.received.is_empty(), "early data was never offered");
        assert_eq!(server.established, 0, "nobody has finished");
        assert!(server.tls.seal(b"early", &mut Vec::new()).is_err());
        (outcome, server.is_closed)
    };
    let whole = outcome(&[&flight]);
    assert_eq!(outcome(&pieces(&flight, lens)), whole, "in pieces of {lens:?}");
}

/// What is on its way from a client to a server who have shaken hands.
struct Way {
    client: Peer,
    server: Peer,
    bytes: Vec<u8>,
    /// The last record, to be sent again.
    last: Vec<u8>,
    /// What was sealed.
    said: Vec<u8>,
    /// What was opened.
    heard: Vec<u8>,
    /// Whether something happened to the bytes.
    is_damaged: bool,
    fault: Option<Fault>,
}

fn talk(told: &mut Told<'_>) {
    let (mut client, mut server) = (client(), server());
    converse(&mut client, &mut server);
    let mut way = Way {
        client,
        server,
        bytes: Vec::new(),
        last: Vec::new(),
        said: Vec::new(),
        heard: Vec::new(),
        is_damaged: false,
        fault: None,
    };
    while !told.is_over() {
        way.step(told);
    }
    way.deliver(usize::MAX);
    if !way.is_damaged {
        assert_eq!((way.fault, &way.heard), (None, &way.said), "nothing happened to it");
    }
}

impl Way {
    fn step(&mut self, told: &mut Told<'_>) {
        match told.below(9) {
            0 => self.say(told.below(256) * told.below(90)),
            1 => self.deliver(told.below(64)),
            2 => self.deliver(usize::MAX),
            3 => {
                let place = told.below(self.bytes.len());
                let change = told.byte();
                if let Some(byte) = self.bytes.get_mut(place) {
                    *byte ^= change;
                    self.is_damaged |= change != 0;
                }
            }
            4 => {
                let len = told.below(32);
                let raw = told.take(len);
                self.is_damaged |= !raw.is_empty();
                self.bytes.extend_from_slice(raw);
            }
            5 => {
                let len = told.below(self.bytes.len());
                self.is_damaged |= len > 0;
                self.bytes.drain(..len);
            }
            6 => {
                self.is_damaged |= !self.last.is_empty();
                self.bytes.extend_from_slice(&self.last);
            }
            7 => self.answer(told.below(64)),
            _ => {
                self.client.tls.rest();
                self.server.tls.rest();
            }
        }
    }

    fn say(&mut self, len: usize) {
        let start = self.said.len();
        let words: Vec<u8> = (start..start + len).map(|place| place.to_le_bytes()[0]).collect();
        self.last = self.client.seal(&words);
        self.bytes.extend_from_slice(&self.last);
        self.said.extend(words);
    }

    /// The other direction is whole for as long as the server lives.
    fn answer(&mut self, len: usize) {
        let words = vec![b'a'; len];
        let mut sealed = Vec::new();
        let outcome = self.server.tls.seal(&words, &mut sealed);
        assert_eq!(outcome.is_ok(), self.fault.is_none(), "who has failed says nothing");
        assert_eq!(self.client.feed(&sealed).1, Ok(()));
        assert_eq!(self.client.take_received().len(), if outcome.is_ok() { len } else { 0 });
    }

    fn deliver(&mut self, len: usize) {
        let len = len.min(self.bytes.len());
        let piece: Vec<u8> = self.bytes.drain(..len).collect();
        let (reply, outcome) = self.server.feed(&piece);
        if let Some(fault) = self.fault {
            assert_eq!(outcome, Err(fault), "a fault stays");
        }
        self.fault = outcome.err();
        self.heard.extend(self.server.take_received());
        assert!(self.said.starts_with(&self.heard), "something was opened that nobody sealed");
        assert_eq!(self.server.established, 1);
        if self.fault.is_none() {
            assert!(reply.is_empty(), "an alert without a fault");
        }
    }
}
