//! What a peer is saying, in whichever language its connection has come to.
//!
//! A session turns bytes into [`Action`]s and knows nothing of topics, sockets or clocks. An action
//! borrows the input and never the session, so that whoever carries it out may touch every
//! connection while the bytes are still where they arrived.
//!
//! ```text
//! Introducing ---- a proxy has said whose it is ----> Arriving, Greeting
//!
//! Arriving ---- TLS is established ----> Stream ----> Finishing     (bytes without HTTP)
//!
//! Greeting ---- upgrade ----> Upgrading ---- heard everywhere ----> WebSocket
//!    |  ^                                                              |
//!    |  `-- next request (keep-alive)                                close
//!    |                                                                 v
//!    `------------------ refused, or no keep-alive ----------------> Closing --> Leaving
//! ```

mod greeting;
mod reason;

use crate::base::Input;
use crate::http;
use crate::http::{Heard, Refusal, RequestHead};
use crate::ws::{self, Decoder, Event};

pub use greeting::{Greeting, Introduction, Peer, Upgrading};
pub use reason::CloseReason;

/// What a connection is, now.
#[derive(Debug)]
pub enum Session {
    /// Reading the request that decides what this connection becomes.
    Greeting(Box<Greeting>),
    /// Accepted, and not told so until its subscriptions are known to every core.
    Upgrading(Box<Upgrading>),
    /// Messages go both ways (RFC 6455).
    WebSocket(Decoder),
    /// A proxy is to say first whose the connection is.
    Introducing(Box<Introduction>),
    /// Bytes will go both ways as soon as whoever sends them is known.
    Arriving(Box<Peer>),
    /// Bytes go both ways, and only the service knows what they mean.
    Stream,
    /// A stream of which one side has ended: what the peer is owed leaves, then we do.
    Finishing(CloseReason),
    /// Our close is on its way; we wait for the peer's (RFC 6455 §7.1.1).
    Closing(Decoder, CloseReason),
    /// Both have closed, or the peer has no say left: when our bytes have left, so do we.
    Leaving(CloseReason),
    /// Nothing more will be written; what still comes is thrown away until the peer ends too.
    ///
    /// A socket that is dropped with unread bytes resets, and a reset may overtake our last answer.
    Lingering(CloseReason),
}

/// What a peer said.
#[derive(Debug)]
pub enum Action<'a> {
    /// The head of an HTTP request that has a body. Whoever wants it says so by
    /// [`Greeting::await_body`]; else nothing of it is kept.
    Announced(Box<RequestHead>),
    /// A whole HTTP request: its head, and its body.
    Request(Box<RequestHead>, Vec<u8>),
    /// A whole message or a control frame of a WebSocket.
    Event(Event<'a>),
    /// Bytes of a stream, cut anywhere.
    Bytes(&'a [u8]),
    /// The peer has answered our close with its own.
    Closed,
}

impl From<Heard> for Action<'_> {
    fn from(said: Heard) -> Self {
        match said {
            Heard::Head(head) => Self::Announced(Box::new(head)),
            Heard::Request(head, body) => Self::Request(Box::new(head), body),
        }
    }
}

/// Why what a peer said cannot be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Not a request that this server answers.
    Http(Refusal),
    /// Not a WebSocket's frames.
    WebSocket(ws::Fault),
}

/// How much a peer may say at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a request.
    pub http: http::Limits,
    /// Of a message.
    pub websocket: ws::Limits,
}

impl Session {
    /// A session that begins with an HTTP request.
    pub fn new(peer: Peer) -> Self {
        Self::Greeting(Box::new(Greeting::new(peer)))
    }

    /// Reads on in `input` until there is something to act on.
    ///
    /// Returns `None` when all input is used up; what is unfinished has been kept.
    pub fn next<'a>(
        &mut self,
        input: &mut Input<'a>,
        limits: &Limits,
    ) -> Result<Option<Action<'a>>, Fault> {
        match self {
            Self::WebSocket(decoder) => decoder
                .next(input, &limits.websocket)
                .map(|event| event.map(Action::Event))
                .map_err(Fault::WebSocket),
            Self::Greeting(greeting) => greeting
                .next(input, &limits.http)
                .map(|heard| heard.map(Action::from))
                .map_err(Fault::Http),
            Self::Upgrading(upgrading) => {
                upgrading.keep(input.take_all());
                Ok(None)
            }
            Self::Closing(decoder, _) => closed(decoder, input, &limits.websocket),
            Self::Stream if input.is_empty() => Ok(None),
            Self::Stream => Ok(Some(Action::Bytes(input.take_all()))),
            // Nobody who arrives is listened to before the worker knows who that is.
            Self::Introducing(_)
            | Self::Arriving(_)
            | Self::Finishing(_)
            | Self::Leaving(_)
            | Self::Lingering(_) => {
                input.take_all();
                Ok(None)
            }
        }
    }

    /// Whether messages may be sent to the peer.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::WebSocket(_))
    }

    /// Whether it has become what it is here for, so that it may last.
    pub const fn is_established(&self) -> bool {
        matches!(self, Self::WebSocket(_) | Self::Stream)
    }

    /// Whether a part of a request or of a message has arrived and the rest has not.
    pub fn is_unfinished(&self) -> bool {
        match self {
            Self::Greeting(greeting) => !greeting.is_idle(),
            Self::WebSocket(decoder) => decoder.is_amid_message(),
            _ => false,
        }
    }

    /// Sends the connection away: our close is queued, the peer's is awaited where it owes one.
    pub fn close(&mut self, reason: CloseReason) {
        let before = std::mem::replace(self, Self::Leaving(reason));
        *self = match before {
            Self::WebSocket(decoder) => Self::Closing(decoder, reason),
            Self::Stream => Self::Finishing(reason),
            Self::Upgrading(_) | Self::Greeting(_) | Self::Introducing(_) | Self::Arriving(_) => {
                Self::Leaving(reason)
            }
            // It is ending already, for a reason of its own.
            ending => ending,
        };
    }
}

/// Looks for the peer's close, past whatever it had said before it knew of ours.
fn closed<'a>(
    decoder: &mut Decoder,
    input: &mut Input<'a>,
    limits: &ws::Limits,
) -> Result<Option<Action<'a>>, Fault> {
    while let Some(event) = decoder.next(input, limits).map_err(Fault::WebSocket)? {
        if matches!(event, Event::Close(_)) {
            return Ok(Some(Action::Closed));
        }
    }
    Ok(None)
}

/// A message as a service is to see it, for a peer's own bytes or a reassembled copy; one that is
/// deflated has to be inflated first.
pub fn message<'a>(event: &'a Event<'_>) -> Option<ws::Message<'a>> {
    match event {
        Event::Text(text) => Some(ws::Message::Text(text)),
        Event::Binary(bytes) => Some(ws::Message::Binary(bytes)),
        Event::Deflated(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::ws::{CloseCode, MaskKey, Opcode, Role, encoder};

    const LIMITS: Limits = Limits {
        http: http::Limits {
            head_bytes_max: 1_000,
            headers_max: 9,
            target_bytes_max: 99,
            body_bytes_max: 99,
        },
        websocket: ws::Limits { message_bytes_max: 99, fragments_max: 9 },
    };
    const REASON: CloseReason = CloseReason::Slow;

    fn peer() -> Peer {
        Peer { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), listener: 0, secure: false }
    }

    fn websocket() -> Session {
        Session::WebSocket(Decoder::new(Role::Server))
    }

    fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encoder::encode_masked(&mut bytes, opcode, payload, MaskKey([5, 6, 7, 8]));
        bytes
    }

    /// The actions in `bytes`, in words.
    fn actions(session: &mut Session, bytes: &[u8]) -> Vec<String> {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        let mut actions = Vec::new();
        while let Some(action) = session.next(&mut input, &LIMITS).unwrap() {
            actions.push(match action {
                Action::Announced(head) => {
                    let Session::Greeting(greeting) = session else { panic!("{session:?}") };
                    greeting.await_body(*head);
                    continue;
                }
                Action::Request(head, body) => format!("{} {}", head.target(), body.len()),
                Action::Event(event) => format!("{event:?}"),
                Action::Bytes(bytes) => format!("{}", bytes.escape_ascii()),
                Action::Closed => "closed".to_owned(),
            });
        }
        assert!(input.is_empty(), "{} bytes were left", input.len());
        actions
    }

    #[test]
    fn a_session_begins_with_requests() {
        let mut session = Session::new(peer());
        let bytes = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n\
                      POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET";
        assert_eq!(actions(&mut session, bytes), ["/a 0", "/b 3"]);
        assert!(session.is_unfinished() && !session.is_open());
    }

    #[test]
    fn what_comes_before_the_101_is_kept() {
        let mut session = Session::Upgrading(Box::new(Upgrading::new(1, Vec::new(), None)));
        assert_eq!(actions(&mut session, b"early"), Vec::<String>::new());
        let Session::Upgrading(upgrading) = session else { panic!("{session:?}") };
        assert_eq!(upgrading.early, b"early");
    }

    #[test]
    fn a_closing_session_hears_nothing_but_the_peers_close() {
        let mut session = websocket();
        session.close(REASON);
        let mut bytes = frame(Opcode::Text, b"late");
        bytes.extend(frame(Opcode::Close, &encoder::close_payload(CloseCode::NORMAL, "")));
        assert_eq!(actions(&mut session, &bytes), ["closed"]);
        assert!(!session.is_open());
    }

    #[test]
    fn a_session_that_is_no_websocket_has_no_close_to_wait_for() {
        for mut session in [
            Session::new(peer()),
            Session::Upgrading(Box::new(Upgrading::new(1, Vec::new(), None))),
        ] {
            session.close(REASON);
            assert!(matches!(session, Session::Leaving(REASON)), "{session:?}");
            assert_eq!(actions(&mut session, b"GET / HTTP/1.1\r\n\r\n"), Vec::<String>::new());
        }
    }

    #[test]
    fn a_stream_is_heard_until_it_closes() {
        let mut session = Session::Stream;
        assert_eq!(actions(&mut session, b"any bytes"), ["any bytes"]);
        assert_eq!(actions(&mut session, b""), Vec::<String>::new());
        session.close(REASON);
        assert!(matches!(session, Session::Finishing(REASON)), "{session:?}");
        assert_eq!(actions(&mut session, b"late"), Vec::<String>::new());
    }

    #[test]
    fn the_first_reason_to_close_stays() {
        let mut session = websocket();
        session.close(REASON);
        session.close(CloseReason::Draining);
        assert!(matches!(session, Session::Closing(_, REASON)), "{session:?}");
    }

    #[test]
    fn a_fault_names_its_protocol() {
        let mut bytes = b"\x81\x01a".to_vec();
        let fault = websocket().next(&mut Input::new(&mut bytes), &LIMITS).unwrap_err();
        assert_eq!(fault, Fault::WebSocket(ws::Fault::Unmasked));
        let mut bytes = b"nonsense\r\n\r\n".to_vec();
        let fault = Session::new(peer()).next(&mut Input::new(&mut bytes), &LIMITS).unwrap_err();
        assert!(matches!(fault, Fault::Http(_)));
    }
}
