//! One attacker: a stream, how far it has come, and what it has been told.

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::sync::Arc;

use corecast::base::{Input, Readiness};
use corecast::tls::{self, Random, Tls};
use corecast::ws::deflate::Parameters;
use corecast::ws::handshake::{ClientHandshake, HandshakeFault};
use corecast::ws::{self, Decoder, Event, Role};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::script::{Answer, Entry, Script};

/// What a server may tell an attacker.
const LIMITS: ws::Limits = ws::Limits { message_bytes_max: 1 << 20, fragments_max: 1_024 };

/// A close frame without a code (RFC 6455 §7.1.5).
const NO_CODE: u16 = 1005;

/// `HTTP/1.1 408`: as much of a response as is looked at.
const STATUS_LINE_BYTES: usize = 12;

/// Whom they attack.
#[derive(Clone, Debug)]
pub struct Victim {
    /// How to speak TLS with it, if it does.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The Host header.
    pub authority: String,
    /// Where a WebSocket echoes.
    pub echo_path: String,
}

/// The buffers of all attackers.
#[derive(Debug)]
pub struct Tools {
    /// Where bytes are read to.
    pub scratch: Box<[u8]>,
    /// Of which nonces are made.
    pub random: Random,
    /// What is to be written to the one at hand; empty between two of them.
    pub wire: Vec<u8>,
}

impl Tools {
    /// Empty ones.
    pub fn new() -> Self {
        let scratch = vec![0; tls::SCRATCH_BYTES_MIN.max(128 * 1024)].into();
        Self { scratch, random: Random::new(), wire: Vec::new() }
    }
}

/// What an attacker needs while it is tended.
pub struct Scene<'a> {
    /// Whom it attacks.
    pub victim: &'a Victim,
    /// What it does.
    pub script: &'a Script,
    /// The buffers.
    pub tools: &'a mut Tools,
}

enum Stage {
    /// TCP does not stand yet.
    Connecting,
    /// TLS does not, or the attack begins before it.
    Securing,
    /// Waits for the answer to the upgrade.
    Upgrading(Box<ClientHandshake>),
    /// Has sent what is no request, and looks for a status.
    Requesting(Vec<u8>),
    /// A WebSocket is open.
    Talking(Decoder),
}

/// An attacker.
pub struct Attacker<S> {
    stream: S,
    tls: Option<Tls>,
    stage: Stage,
    /// What the socket would not take.
    unsent: Vec<u8>,
    /// Whether it has come as far as to begin.
    has_begun: bool,
    /// Pongs it was sent.
    pub replies: u64,
    /// What number of visit it is.
    visit: u64,
}

impl<S: Read + Write> Attacker<S> {
    /// One that has begun to connect, as the `visit`-th in all.
    pub fn new(stream: S, visit: u64) -> Self {
        let (tls, stage, unsent) = (None, Stage::Connecting, Vec::new());
        Self { stream, tls, stage, unsent, has_begun: false, replies: 0, visit }
    }

    /// Whether it has come as far as to begin.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether it is still connecting.
    pub fn is_connecting(&self) -> bool {
        matches!(self.stage, Stage::Connecting)
    }

    /// Reads and writes what can be. Breaks off with how the server dealt with it.
    pub fn tend(&mut self, readiness: Readiness, scene: &mut Scene<'_>) -> Result<(), Answer> {
        if self.is_connecting() {
            if !readiness.is_writable() {
                return Ok(());
            }
            self.connected(scene)?;
        }
        let reads = scene.script.reads || !self.has_begun || readiness.is_ended();
        if reads && readiness.is_readable() {
            let mut scratch = mem::take(&mut scene.tools.scratch);
            let received = self.receive(&mut scratch, scene);
            scene.tools.scratch = scratch;
            received?;
        }
        self.flush(scene)
    }

    /// Says again what it says again and again, unless the socket is full.
    pub fn act(&mut self, scene: &mut Scene<'_>) -> Result<(), Answer> {
        if self.has_begun && self.unsent.is_empty() {
            self.say(&scene.script.again, scene)?;
            self.flush(scene)?;
        }
        Ok(())
    }

    fn connected(&mut self, scene: &mut Scene<'_>) -> Result<(), Answer> {
        self.stage = Stage::Securing;
        if scene.script.entry == Entry::Stream {
            self.has_begun = true;
            scene.tools.wire.extend_from_slice(&scene.script.first);
            return Ok(());
        }
        let Some((config, name)) = &scene.victim.tls else { return self.secured(scene) };
        let mut tls = Tls::client(config, name.clone()).map_err(|_| Answer::Barred)?;
        let hello = tls.open(&mut Input::default(), &mut scene.tools.wire);
        hello.map_err(|_| Answer::Barred)?;
        self.tls = Some(tls);
        Ok(())
    }

    /// Goes on as if it meant well, or begins.
    fn secured(&mut self, scene: &mut Scene<'_>) -> Result<(), Answer> {
        let path = match scene.script.entry {
            Entry::Stream | Entry::Request => {
                self.stage = Stage::Requesting(Vec::new());
                return self.begin(scene);
            }
            Entry::Echo | Entry::Deflated => scene.victim.echo_path.clone(),
            Entry::Topic => format!("/topics/flood-{}", self.visit),
        };
        let (nonce, host) = (scene.tools.random.draw(), &scene.victim.authority);
        let mut handshake = ClientHandshake::new(nonce, host, &path, &[], &[]);
        if scene.script.entry == Entry::Deflated {
            handshake = handshake.offering_deflate(Parameters::default());
        }
        let mut request = Vec::new();
        handshake.encode(&mut request);
        self.stage = Stage::Upgrading(Box::new(handshake));
        self.say(&request, scene)
    }

    fn begin(&mut self, scene: &mut Scene<'_>) -> Result<(), Answer> {
        self.has_begun = true;
        self.say(&scene.script.first, scene)
    }

    fn say(&mut self, bytes: &[u8], scene: &mut Scene<'_>) -> Result<(), Answer> {
        match &mut self.tls {
            _ if bytes.is_empty() => Ok(()),
            Some(tls) => tls.seal(bytes, &mut scene.tools.wire).map_err(|_| Answer::Ended),
            None => {
                scene.tools.wire.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Reads until there is nothing more.
    fn receive(&mut self, scratch: &mut [u8], scene: &mut Scene<'_>) -> Result<(), Answer> {
        loop {
            let kept = self.tls.as_mut().map_or(0, |tls| tls.restore(scratch));
            let (_, room) = scratch.split_at_mut(kept);
            let read = match self.stream.read(room) {
                Ok(0) if scene.script.clings && self.has_begun => return Ok(()),
                Ok(0) => return Err(self.or_barred(Answer::Ended)),
                Ok(len) => len,
                Err(error) if is_passing(error.kind()) => 0,
                Err(_) => return Err(self.or_barred(Answer::Reset)),
            };
            let (arrived, _) = scratch.split_at_mut(kept + read);
            self.understand(&mut Input::new(arrived), scene)?;
            if read == 0 {
                return Ok(());
            }
        }
    }

    fn understand(&mut self, input: &mut Input<'_>, scene: &mut Scene<'_>) -> Result<(), Answer> {
        loop {
            let Some(tls) = &mut self.tls else {
                return self.listen(&mut Input::new(input.take_all()), scene);
            };
            match tls.open(input, &mut scene.tools.wire) {
                Ok(tls::Opened::Established(_)) => self.secured(scene)?,
                Ok(tls::Opened::Plaintext(bytes)) => self.listen(&mut Input::new(bytes), scene)?,
                Ok(tls::Opened::Closed) if scene.script.clings => return Ok(()),
                Ok(tls::Opened::Wanting) => return Ok(()),
                Ok(tls::Opened::Closed) | Err(_) => return Err(self.or_barred(Answer::Ended)),
            }
        }
    }

    fn listen(&mut self, plain: &mut Input<'_>, scene: &mut Scene<'_>) -> Result<(), Answer> {
        match &mut self.stage {
            Stage::Connecting | Stage::Securing => Ok(()),
            Stage::Requesting(seen) => {
                seen.extend(plain.take_all().iter().take(STATUS_LINE_BYTES));
                status(seen).map_or(Ok(()), |status| Err(Answer::Status(status)))
            }
            Stage::Upgrading(handshake) => match handshake.read(plain) {
                Ok(None) => Ok(()),
                // There is nothing that a bomb would be inflated by.
                Ok(Some(accepted))
                    if scene.script.entry == Entry::Deflated && accepted.deflate.is_none() =>
                {
                    Err(Answer::Barred)
                }
                Ok(Some(accepted)) => {
                    let decoder = Decoder::new(Role::Client).with_deflate(accepted.deflate);
                    self.stage = Stage::Talking(decoder);
                    self.begin(scene)?;
                    self.listen(plain, scene)
                }
                Err(HandshakeFault::Status(status)) => Err(Answer::Status(status.0)),
                Err(_) => Err(Answer::Barred),
            },
            Stage::Talking(decoder) => {
                let heard = hear(decoder, plain, &mut self.replies);
                // Who clings has said goodbye first, and minds no answer.
                heard.or_else(|answer| if scene.script.clings { Ok(()) } else { Err(answer) })
            }
        }
    }

    /// Writes what waits, and keeps what the socket does not take.
    fn flush(&mut self, scene: &mut Scene<'_>) -> Result<(), Answer> {
        self.unsent.append(&mut scene.tools.wire);
        let mut written = 0;
        while let Some(rest) = self.unsent.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(len) => written += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // What the server said before it went is still to be read.
                Err(_) => return self.last_word(scene),
            }
        }
        self.unsent.drain(..written);
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
        Ok(())
    }

    /// What the server said before it stopped listening.
    fn last_word(&mut self, scene: &mut Scene<'_>) -> Result<(), Answer> {
        let mut scratch = mem::take(&mut scene.tools.scratch);
        let received = self.receive(&mut scratch, scene);
        scene.tools.scratch = scratch;
        scene.tools.wire.clear();
        received.and(Err(self.or_barred(Answer::Reset)))
    }

    /// How a stream ended, if the attack had begun by then.
    fn or_barred(&self, answer: Answer) -> Answer {
        if self.has_begun { answer } else { Answer::Barred }
    }
}

fn hear(decoder: &mut Decoder, plain: &mut Input<'_>, replies: &mut u64) -> Result<(), Answer> {
    loop {
        match decoder.next(plain, &LIMITS) {
            Ok(None) => return Ok(()),
            Ok(Some(Event::Pong(_))) => *replies += 1,
            Ok(Some(Event::Close(frame))) => {
                return Err(Answer::Close(frame.map_or(NO_CODE, |frame| frame.code.get())));
            }
            Ok(Some(_)) => {}
            Err(_) => return Err(Answer::Ended),
        }
    }
}

/// The status of a response, as soon as it has come.
fn status(seen: &[u8]) -> Option<u16> {
    let digits = seen.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether an error only says that there is nothing now.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
