//! One WebSocket of ours: messages out and in, pings answered, closed as the two sides agree.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::codec::Codec;
use super::connection::{BACKLOG_BYTES_MAX, Connection, Turn};
use super::failure::{Awaited, Failure};
use super::url::Url;
use super::wait;
use crate::tls::Random;
use crate::ws::deflate::{Agreement, Parameters};
use crate::ws::handshake::{Accepted, ClientHandshake};
use crate::ws::{
    CloseCode, CloseFrame, Decoder, Event, Fault, Limits, MaskKey, Message, Opcode, Role, encoder,
};

/// How long a server may take to end the connection of a WebSocket that both have closed. It has
/// nothing more to say, so that not much is lost if nobody waits longer.
const LINGER: Duration = Duration::from_secs(2);

/// What a server is offered.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Subprotocols, the best first.
    pub subprotocols: Vec<String>,
    /// Further fields of the request.
    pub headers: Vec<(String, String)>,
    /// Permessage-deflate with these parameters (RFC 7692). Where the server agrees, what is sent
    /// is deflated if that makes it shorter.
    pub deflate: Option<Parameters>,
    /// How large a message of the server may be.
    pub limits: Limits,
}

/// A WebSocket that a server has agreed to.
pub struct WebSocket {
    connection: Connection,
    accepted: Accepted,
    decoder: Decoder,
    codec: Option<Box<Codec>>,
    limits: Limits,
    random: Random,
    has_closed: bool,
}

/// What a server said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Heard {
    /// A whole message of text.
    Text(String),
    /// A whole message of bytes.
    Binary(Vec<u8>),
    /// It answered a ping.
    Pong,
    /// It closed, and has had its answer: nothing else comes.
    Closed(Option<CloseFrame<'static>>),
}

/// What a frame means to us.
enum Said {
    Heard(Heard),
    Ping(Vec<u8>),
}

impl WebSocket {
    /// Asks for a WebSocket at `url`, to which `connection` leads.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn open(mut connection: Connection, url: &Url, offer: &Offer) -> Result<Self, Failure> {
        let mut random = Random::new();
        let mut handshake = handshake(random.draw(), url, offer);
        let mut request = Vec::new();
        handshake.encode(&mut request);
        connection.send(&request)?;
        let deadline = connection.deadline();
        let accepted = loop {
            if let Some(accepted) = connection.take(|input| handshake.read(input))? {
                break accepted;
            }
            if connection.end().is_some() {
                return Err(Failure::Unanswered);
            }
            connection.advance(deadline, Awaited::Answer)?;
        };
        let decoder = Decoder::new(Role::Client).with_deflate(accepted.deflate);
        let codec = accepted.deflate.map(|agreement| Box::new(Codec::new(agreement)));
        let limits = offer.limits;
        Ok(Self { connection, accepted, decoder, codec, limits, random, has_closed: false })
    }

    /// The subprotocol that the server has chosen.
    pub fn subprotocol(&self) -> Option<&str> {
        self.accepted.subprotocol.as_deref()
    }

    /// What both sides have agreed on about deflating.
    pub fn deflate(&self) -> Option<Agreement> {
        self.codec.as_ref().map(|codec| codec.agreement)
    }

    /// Puts a message behind what is to be written. After a close it goes nowhere.
    ///
    /// # Errors
    ///
    /// [`Failure::Tls`] if TLS can carry nothing more.
    pub fn send(&mut self, message: Message<'_>) -> Result<(), Failure> {
        let (opcode, payload) = (message.opcode(), message.payload());
        let deflated = self.codec.as_mut().and_then(|codec| codec.deflate(payload));
        let Some(deflated) = deflated.filter(|_| !self.has_closed) else {
            return self.send_frame(opcode, payload);
        };
        let mut frame = Vec::with_capacity(deflated.len() + HEADER_LEN_MAX);
        let key = MaskKey(self.random.draw());
        encoder::encode_masked_deflated(&mut frame, opcode, deflated, key);
        self.connection.send(&frame)
    }

    /// Asks the server whether it lives.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`].
    pub fn ping(&mut self) -> Result<(), Failure> {
        self.send_frame(Opcode::Ping, b"")
    }

    /// Says that nothing more will be sent, and why. What the server sends until it has closed as
    /// well can still be heard.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`].
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Failure> {
        self.send_frame(Opcode::Close, &encoder::close_payload(code, reason))?;
        self.has_closed = true;
        Ok(())
    }

    /// How many bytes wait to be written.
    pub fn backlog(&self) -> usize {
        self.connection.backlog()
    }

    /// What the server said next, if it has arrived.
    ///
    /// # Errors
    ///
    /// [`Failure::Frame`] if it broke the rules, which it is told; [`Failure::Abandoned`] if its
    /// end of the connection came without a close.
    pub fn hear(&mut self) -> Result<Option<Heard>, Failure> {
        loop {
            let (decoder, codec, limits) = (&mut self.decoder, &mut self.codec, &self.limits);
            let said = self.connection.take(|input| {
                let event = decoder.next(input, limits)?;
                event.map(|event| said(event, codec.as_deref_mut(), limits)).transpose()
            });
            match said {
                Ok(None) if self.connection.end().is_some() => return Err(Failure::Abandoned),
                Ok(None) => return Ok(None),
                Ok(Some(Said::Ping(payload))) => self.answer(&payload)?,
                Ok(Some(Said::Heard(heard))) => {
                    if let Heard::Closed(frame) = &heard {
                        self.answer_close(frame.as_ref())?;
                    }
                    return Ok(Some(heard));
                }
                Err(fault) => {
                    self.close(fault.close_code(), fault.as_str())?;
                    let _ = self.connection.drain(); // the fault is what counts
                    return Err(Failure::Frame(fault));
                }
            }
        }
    }

    /// Waits for what the server says next; all that is to be written is written meanwhile.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::hear`], or [`Failure::TimedOut`] after the time that anything may take.
    pub fn receive(&mut self) -> Result<Heard, Failure> {
        let deadline = self.connection.deadline();
        loop {
            match self.hear()? {
                Some(heard) => return Ok(heard),
                None => self.connection.advance(deadline, Awaited::Answer)?,
            }
        }
    }

    /// See [`Connection::turn`].
    ///
    /// # Errors
    ///
    /// Why the connection cannot go on.
    pub fn turn<const N: usize>(
        &mut self,
        others: [Option<BorrowedFd<'_>>; N],
        deadline: Option<Instant>,
    ) -> Result<Turn<N>, Failure> {
        self.connection.turn(others, deadline)
    }

    /// Ends the connection after both have closed: it is the server's to end it first (RFC 6455
    /// §7.1.1), if it does so soon.
    pub fn leave(mut self) {
        self.connection.finish();
        let deadline = wait::deadline(LINGER);
        // Everything has been said; how the connection ends is of no interest any more.
        while self.connection.end().is_none()
            && self.connection.advance(deadline, Awaited::Answer).is_ok()
        {
            self.connection.take(|input| input.take_all().len());
        }
    }

    fn send_frame(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Failure> {
        if self.has_closed {
            return Ok(());
        }
        let mut frame = Vec::with_capacity(payload.len() + HEADER_LEN_MAX);
        encoder::encode_masked(&mut frame, opcode, payload, MaskKey(self.random.draw()));
        self.connection.send(&frame)
    }

    /// Answers a ping. Who pings and does not read gets no answer, so that none pile up; only the
    /// latest ping demands one anyway (RFC 6455 §5.5.3).
    fn answer(&mut self, payload: &[u8]) -> Result<(), Failure> {
        if self.backlog() > BACKLOG_BYTES_MAX {
            return Ok(());
        }
        self.send_frame(Opcode::Pong, payload)
    }

    /// Says what the server said (RFC 6455 §5.5.1).
    fn answer_close(&mut self, frame: Option<&CloseFrame<'_>>) -> Result<(), Failure> {
        match frame {
            Some(frame) => self.close(frame.code, ""),
            None => self.send_frame(Opcode::Close, b""),
        }
    }
}

/// The longest header of a frame that a client sends.
const HEADER_LEN_MAX: usize = 14;

/// What `event` means to us, who inflate by `codec` if that was agreed on.
fn said(event: Event<'_>, codec: Option<&mut Codec>, limits: &Limits) -> Result<Said, Fault> {
    Ok(Said::Heard(match event {
        Event::Text(text) => Heard::Text(text.into_owned()),
        Event::Binary(bytes) => Heard::Binary(bytes.into_owned()),
        Event::Deflated(message) => {
            let codec = codec.ok_or(Fault::ReservedBits)?;
            match codec.inflate(&message, limits.message_bytes_max)? {
                Message::Text(text) => Heard::Text(text.to_owned()),
                Message::Binary(bytes) => Heard::Binary(bytes.to_vec()),
            }
        }
        Event::Ping(payload) => return Ok(Said::Ping(payload.into_owned())),
        Event::Pong(_) => Heard::Pong,
        Event::Close(frame) => Heard::Closed(frame.map(CloseFrame::into_owned)),
    }))
}

/// The request for a WebSocket. A `Host` that was asked for takes the place of the URL's.
fn handshake(nonce: [u8; 16], url: &Url, offer: &Offer) -> ClientHandshake {
    let is_host = |name: &str| name.eq_ignore_ascii_case("host");
    let headers = offer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let (hosts, headers): (Vec<_>, Vec<_>) = headers.partition(|(name, _)| is_host(name));
    let authority = url.authority();
    let host = hosts.first().map_or(&*authority, |(_, value)| value);
    let subprotocols: Vec<_> = offer.subprotocols.iter().map(String::as_str).collect();
    let handshake = ClientHandshake::new(nonce, host, &url.target, &subprotocols, &headers);
    match offer.deflate {
        Some(parameters) => handshake.offering_deflate(parameters),
        None => handshake,
    }
}
