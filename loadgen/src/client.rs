//! One connection as a machine: bytes in, events and bytes out. No socket, no clock.
//!
//! ```text
//!   bytes --open--> plaintext --next--> Upgraded, Ping, Message, Closed
//!            |                    |
//!            v                    v
//!        handshake, alerts     request, pongs --say--> bytes
//! ```
//!
//! Invariant: while it is open and between messages, a client owns nothing but its TLS keys.

mod greeting;

use std::borrow::Cow;

use corecast::base::Input;
use corecast::tls::{self, Random, Tls};
use corecast::ws::deflate::{Context, Inflater, WindowBits};
use corecast::ws::handshake::{ClientHandshake, HandshakeFault};
use corecast::ws::{self, Decoder, MaskKey, Opcode, Role, encoder};

pub use self::greeting::{Greeting, Mask};
use crate::accounting::{Closure, Failure};
use crate::sessions::Agreement;

/// A close frame without a code (RFC 6455 §7.1.5).
const NO_CODE: u16 = 1005;

/// What is written with: one for all connections of a driver.
#[derive(Debug)]
pub struct Pen {
    /// Of which masking keys and nonces are made.
    pub random: Random,
    /// What is to be written to the connection at hand.
    pub wire: Vec<u8>,
    plaintext: Vec<u8>,
    /// How frames are masked.
    mask: Mask,
    /// Made when the first deflated message comes.
    inflater: Option<Inflater>,
}

impl Pen {
    /// A pen that has written nothing.
    pub fn new(mask: Mask) -> Self {
        let (wire, plaintext) = (Vec::new(), Vec::new());
        Self { random: Random::new(), wire, plaintext, mask, inflater: None }
    }

    fn key(&mut self) -> MaskKey {
        match self.mask {
            Mask::Random => MaskKey(self.random.draw()),
            Mask::Zero => MaskKey([0; 4]),
        }
    }

    /// What inflates the messages of all connections, none of which keeps a context.
    fn inflater(&mut self) -> &mut Inflater {
        let context = Context { window_bits: WindowBits::MAX, takeover: false };
        self.inflater.get_or_insert_with(|| Inflater::new(context))
    }
}

/// One side of a WebSocket, ours.
pub struct Client {
    tls: Option<Tls>,
    stage: Stage,
}

enum Stage {
    /// The request waits for TLS to stand, or for its answer.
    Upgrading(Box<ClientHandshake>),
    Open(Decoder),
}

/// What a layer of bytes turned out to be.
#[derive(Debug)]
pub enum Opened<'b> {
    /// TLS stands, and the request for the upgrade has been written.
    Secured,
    /// Bytes for [`Client::next`].
    Plaintext(Input<'b>),
    /// More must arrive first.
    Wanting,
    /// The server sends no more.
    Ended,
}

/// What a server said.
#[derive(Debug)]
pub enum Event<'b> {
    /// The WebSocket is open.
    Upgraded,
    /// It wanted to know whether we live; the answer has been written.
    Ping,
    /// It answers a ping of ours, or says so.
    Pong(Cow<'b, [u8]>),
    /// A whole message.
    Message(Cow<'b, [u8]>),
    /// It says goodbye with this code; the answer has been written.
    Closed(u16),
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// TLS failed.
    Tls(tls::Fault),
    /// The answer to the upgrade is none.
    Handshake(HandshakeFault),
    /// The server broke the protocol.
    Frame(ws::Fault),
}

impl From<tls::Fault> for Trouble {
    fn from(fault: tls::Fault) -> Self {
        Self::Tls(fault)
    }
}

impl From<HandshakeFault> for Trouble {
    fn from(fault: HandshakeFault) -> Self {
        Self::Handshake(fault)
    }
}

impl From<ws::Fault> for Trouble {
    fn from(fault: ws::Fault) -> Self {
        Self::Frame(fault)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Tls(fault) => Self::Tls(fault.reason()),
            Trouble::Handshake(HandshakeFault::Status(status)) => Self::Http(status.0),
            Trouble::Handshake(_) | Trouble::Frame(_) => Self::Upgrade,
        }
    }
}

impl From<Trouble> for Closure {
    fn from(_: Trouble) -> Self {
        Self::Fault
    }
}

impl Client {
    /// Client `number` of the run, of a part of the cast, that has said nothing.
    pub fn new(
        greeting: &Greeting,
        part: usize,
        number: u32,
        random: &mut Random,
    ) -> Result<Self, Trouble> {
        let sessions = greeting.sessions.as_ref();
        let tls = greeting.tls.as_ref().map(|(config, name)| {
            match sessions.and_then(|sessions| sessions.config(number)) {
                Some(config) => Tls::returning_client(&config, name.clone()),
                None => Tls::client(config, name.clone()),
            }
        });
        let handshake = greeting.handshake(part, random.draw());
        Ok(Self { tls: tls.transpose()?, stage: Stage::Upgrading(Box::new(handshake)) })
    }

    /// Says the first word: hello in TLS, or the request for the upgrade.
    pub fn begin(&mut self, pen: &mut Pen) -> Result<(), Trouble> {
        match &mut self.tls {
            Some(tls) => {
                tls.open(&mut Input::default(), &mut pen.wire)?;
                Ok(())
            }
            None => self.request(pen),
        }
    }

    /// Puts what was kept unfinished at the front of `scratch`, and says how much that is.
    pub fn restore(&mut self, scratch: &mut [u8]) -> usize {
        self.tls.as_mut().map_or(0, |tls| tls.restore(scratch))
    }

    /// Takes the next plaintext out of `input`; to be called until it is wanting or has ended.
    pub fn open<'b>(
        &mut self,
        input: &mut Input<'b>,
        pen: &mut Pen,
    ) -> Result<Opened<'b>, Trouble> {
        let Some(tls) = &mut self.tls else {
            return Ok(match input.take_all() {
                [] => Opened::Wanting,
                bytes => Opened::Plaintext(Input::new(bytes)),
            });
        };
        Ok(match tls.open(input, &mut pen.wire)? {
            tls::Opened::Plaintext(bytes) => Opened::Plaintext(Input::new(bytes)),
            tls::Opened::Established(_) => {
                self.request(pen)?;
                Opened::Secured
            }
            tls::Opened::Wanting => Opened::Wanting,
            tls::Opened::Closed => Opened::Ended,
        })
    }

    /// The next thing the server said in `plaintext`; `None` when all of it has been taken.
    pub fn next<'b>(
        &mut self,
        plaintext: &mut Input<'b>,
        greeting: &Greeting,
        pen: &mut Pen,
    ) -> Result<Option<Event<'b>>, Trouble> {
        match &mut self.stage {
            Stage::Upgrading(handshake) => {
                let accepted = handshake.read(plaintext)?;
                let Some(accepted) = accepted else { return Ok(None) };
                if greeting.deflate && accepted.deflate.is_none() {
                    return Err(Trouble::Handshake(HandshakeFault::Extension));
                }
                let decoder = Decoder::new(Role::Client).with_deflate(accepted.deflate);
                self.stage = Stage::Open(decoder);
                Ok(Some(Event::Upgraded))
            }
            Stage::Open(decoder) => match decoder.next(plaintext, &greeting.limits)? {
                None => Ok(None),
                Some(event) => self.answer(event, greeting, pen).map(Some),
            },
        }
    }

    /// Says a message.
    pub fn say(&mut self, opcode: Opcode, payload: &[u8], pen: &mut Pen) -> Result<(), Trouble> {
        self.write(opcode, payload, pen)
    }

    /// Asks the server whether it lives.
    pub fn ping(&mut self, payload: &[u8], pen: &mut Pen) -> Result<(), Trouble> {
        self.write(Opcode::Ping, payload, pen)
    }

    /// What its handshake of TLS has agreed on, if there was one.
    pub fn agreement(&self) -> Option<Agreement> {
        self.tls.as_ref().and_then(Agreement::of)
    }

    /// Whether the WebSocket is open.
    pub const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    fn answer<'b>(
        &mut self,
        event: ws::Event<'b>,
        greeting: &Greeting,
        pen: &mut Pen,
    ) -> Result<Event<'b>, Trouble> {
        Ok(match event {
            ws::Event::Text(Cow::Borrowed(text)) => Event::Message(text.as_bytes().into()),
            ws::Event::Text(Cow::Owned(text)) => Event::Message(text.into_bytes().into()),
            ws::Event::Binary(bytes) => Event::Message(bytes),
            ws::Event::Deflated(message) => {
                let message =
                    pen.inflater().inflate(&message, greeting.limits.message_bytes_max)?;
                Event::Message(message.payload().to_vec().into())
            }
            ws::Event::Ping(payload) => {
                self.write(Opcode::Pong, &payload, pen)?;
                Event::Ping
            }
            ws::Event::Pong(payload) => Event::Pong(payload),
            ws::Event::Close(frame) => {
                let code = frame.map_or(NO_CODE, |frame| frame.code.get());
                // The code comes back, as RFC 6455 §5.5.1 suggests.
                let payload = code.to_be_bytes();
                let payload = if code == NO_CODE { &[] } else { payload.as_slice() };
                self.write(Opcode::Close, payload, pen)?;
                Event::Closed(code)
            }
        })
    }

    fn request(&mut self, pen: &mut Pen) -> Result<(), Trouble> {
        let Stage::Upgrading(handshake) = &self.stage else { return Ok(()) };
        pen.plaintext.clear();
        handshake.encode(&mut pen.plaintext);
        self.seal(pen)
    }

    fn write(&mut self, opcode: Opcode, payload: &[u8], pen: &mut Pen) -> Result<(), Trouble> {
        pen.plaintext.clear();
        let key = pen.key();
        encoder::encode_masked(&mut pen.plaintext, opcode, payload, key);
        self.seal(pen)
    }

    /// Moves the plaintext to the wire.
    fn seal(&mut self, pen: &mut Pen) -> Result<(), Trouble> {
        match &mut self.tls {
            Some(tls) => tls.seal(&pen.plaintext, &mut pen.wire)?,
            None => pen.wire.extend_from_slice(&pen.plaintext),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::http;
    use corecast::tls::config::{Trust, client_config};
    use corecast::ws::deflate::{Deflater, Takeover};
    use corecast::ws::handshake::accept;
    use rustls::pki_types::ServerName;

    fn greeting() -> Greeting {
        Greeting {
            mask: Mask::Random,
            tls: None,
            sessions: None,
            authority: "h:1".to_owned(),
            paths: vec!["/echo".to_owned()],
            subprotocols: Vec::new(),
            deflate: false,
            headers: vec![("X-Test".to_owned(), "yes".to_owned())],
            limits: ws::Limits { message_bytes_max: 1 << 20, fragments_max: 16 },
        }
    }

    /// A client that has written its request, and the server's answer to that.
    fn upgraded() -> (Client, Pen, Vec<u8>) {
        let mut pen = Pen::new(Mask::Random);
        let mut client = Client::new(&greeting(), 0, 0, &mut pen.random).unwrap();
        client.begin(&mut pen).unwrap();
        let mut request = std::mem::take(&mut pen.wire);
        let limits = http::Limits::default();
        let head = http::Reader::default().next(&mut Input::new(&mut request), &limits);
        let (head, _) = head.unwrap().unwrap();
        assert_eq!(head.header("x-test"), Some(&b"yes"[..]));
        let mut answer = Vec::new();
        accept(&head).unwrap().encode(None, None, &mut answer);
        (client, pen, answer)
    }

    /// Feeds `bytes` and describes what they meant.
    fn feed(client: &mut Client, pen: &mut Pen, bytes: &[u8]) -> Vec<String> {
        let (mut bytes, greeting, mut seen) = (bytes.to_vec(), greeting(), Vec::new());
        let mut input = Input::new(&mut bytes);
        while let Opened::Plaintext(mut plaintext) = client.open(&mut input, pen).unwrap() {
            while let Some(event) = client.next(&mut plaintext, &greeting, pen).unwrap() {
                seen.push(match event {
                    Event::Message(payload) => String::from_utf8_lossy(&payload).into_owned(),
                    other => format!("{other:?}"),
                });
            }
        }
        seen
    }

    #[test]
    fn an_answer_and_frames_mean_the_same_at_every_split() {
        let mut frames = Vec::new();
        encoder::encode(&mut frames, Opcode::Text, b"hello");
        encoder::encode(&mut frames, Opcode::Pong, b"");
        encoder::encode(&mut frames, Opcode::Ping, b"alive?");
        encoder::encode_close(&mut frames, ws::CloseCode::GOING_AWAY, "bye");
        let (_, _, answer) = upgraded();
        for cut in 0..answer.len() + frames.len() {
            let (mut client, mut pen, answer) = upgraded();
            let bytes = [answer, frames.clone()].concat();
            let (first, second) = bytes.split_at(cut);
            let mut seen = feed(&mut client, &mut pen, first);
            seen.extend(feed(&mut client, &mut pen, second));
            assert_eq!(
                seen,
                ["Upgraded", "hello", "Pong([])", "Ping", "Closed(1001)"],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_ping_is_answered_with_its_payload_and_a_fresh_mask() {
        let (mut client, mut pen, answer) = upgraded();
        feed(&mut client, &mut pen, &answer);
        let mut ping = Vec::new();
        encoder::encode(&mut ping, Opcode::Ping, b"alive?");
        feed(&mut client, &mut pen, &ping);
        let first = std::mem::take(&mut pen.wire);
        feed(&mut client, &mut pen, &ping);
        assert_ne!(first, pen.wire, "two frames with the same mask");
        let limits = greeting().limits;
        let mut server = Decoder::new(Role::Server);
        let event = server.next(&mut Input::new(&mut pen.wire), &limits).unwrap().unwrap();
        assert_eq!(event, ws::Event::Pong(b"alive?"[..].into()));
    }

    #[test]
    fn a_frame_masked_with_zeros_can_be_read_on_the_wire() {
        let (mut client, _, answer) = upgraded();
        let mut pen = Pen::new(Mask::Zero);
        feed(&mut client, &mut pen, &answer);
        client.say(Opcode::Text, b"legible", &mut pen).unwrap();
        assert_eq!(pen.wire, [&[0x81, 0x87, 0, 0, 0, 0], &b"legible"[..]].concat());
    }

    #[test]
    fn what_a_server_deflates_is_inflated_and_one_that_declines_is_left() {
        let greeting = Greeting { deflate: true, ..greeting() };
        for takeover in [Some(Takeover::Offered), None] {
            let mut pen = Pen::new(Mask::Random);
            let mut client = Client::new(&greeting, 0, 0, &mut pen.random).unwrap();
            client.begin(&mut pen).unwrap();
            let mut request = std::mem::take(&mut pen.wire);
            let limits = http::Limits::default();
            let head = http::Reader::default().next(&mut Input::new(&mut request), &limits);
            let upgrade = accept(&head.unwrap().unwrap().0).unwrap();
            let agreement = takeover.and_then(|takeover| upgrade.deflate(takeover));
            let mut bytes = Vec::new();
            upgrade.encode(None, agreement, &mut bytes);
            let mut deflater = agreement.map(|agreed| Deflater::new(agreed.server()));
            if let Some(payload) = deflater.as_mut().and_then(|it| it.deflate(&[b'a'; 200])) {
                let header = encoder::deflated_header(Opcode::Binary, payload.len());
                bytes.extend_from_slice(header.as_slice());
                bytes.extend_from_slice(payload);
            }
            let mut input = Input::new(&mut bytes);
            let upgraded = client.next(&mut input, &greeting, &mut pen);
            if takeover.is_none() {
                let declined = Trouble::Handshake(HandshakeFault::Extension);
                assert_eq!(upgraded.unwrap_err(), declined);
                continue;
            }
            assert!(matches!(upgraded, Ok(Some(Event::Upgraded))));
            let message = client.next(&mut input, &greeting, &mut pen);
            assert!(matches!(message, Ok(Some(Event::Message(bytes))) if *bytes == [b'a'; 200]));
        }
    }

    #[test]
    fn an_answer_with_another_status_is_a_failure_of_that_status() {
        let (mut client, mut pen, _) = upgraded();
        let mut answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec();
        let mut input = Input::new(&mut answer);
        let trouble = client.next(&mut input, &greeting(), &mut pen).unwrap_err();
        assert_eq!(Failure::from(trouble), Failure::Http(503));
    }

    #[test]
    fn tls_says_hello_first() {
        let config = client_config(Trust::Anyone).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let greeting = Greeting { tls: Some((config, name)), ..greeting() };
        let mut pen = Pen::new(Mask::Random);
        let mut client = Client::new(&greeting, 0, 0, &mut pen.random).unwrap();
        client.begin(&mut pen).unwrap();
        // A handshake record of TLS 1.0 to 1.2, as RFC 8446 §5.1 wants the first one.
        assert_eq!(pen.wire.first_chunk(), Some(&[22, 3, 1]));
    }
}
