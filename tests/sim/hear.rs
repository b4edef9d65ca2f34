//! What a client makes of what it reads: every word is held against what it is owed.

use std::time::{Duration, Instant};

use corecast::base::Input;
use corecast::ws::handshake::HandshakeFault;
use corecast::ws::{CloseFrame, Event, Limits, Opcode, encoder};

use super::client::{Client, Phase, Subscription};
use super::journal::{Conn, Journal};
use super::words::Words;

/// What must not be: the reason why a history fails.
pub type Violation = String;

/// More than the server ever says at once.
const LIMITS: Limits = Limits { message_bytes_max: 1 << 20, fragments_max: 1 };

/// What a request may take: a tick less than the limit, since the core counts in ticks.
pub const TOO_LONG: Duration = Duration::from_millis(4_800);

/// What the whole history excuses.
#[derive(Clone, Copy, Debug)]
pub struct Excuses {
    /// The server is shutting down.
    pub draining: bool,
    /// Limits are tight, or memory was very short: anybody may be too slow.
    pub tight: bool,
    /// When it is.
    pub now: Instant,
}

impl Client {
    /// Takes bytes that it has just read.
    pub fn hear(
        &mut self,
        bytes: &[u8],
        journal: &Journal,
        excuses: Excuses,
    ) -> Result<(), Violation> {
        if self.faults.nameless && !bytes.is_empty() {
            return Err(format!("client {}: was spoken to, and is nobody", self.conn));
        }
        self.inbox.extend_from_slice(bytes);
        let heard = self.understand(journal, excuses);
        heard.map_err(|violation| format!("client {}: {violation}", self.conn))
    }

    fn understand(&mut self, journal: &Journal, excuses: Excuses) -> Result<(), Violation> {
        loop {
            match &self.phase {
                Phase::Away => return Ok(()),
                // What follows a refusal is its text, and nothing after that.
                Phase::Http(_) if self.inbox.is_empty() || self.faults.closed => return Ok(()),
                Phase::Http(handshake) => {
                    let is_upgrading = handshake.is_some();
                    let more = if self.answers.is_empty() && is_upgrading {
                        self.hear_upgrade(journal, excuses)?
                    } else {
                        self.hear_answer(excuses)?
                    };
                    if !more {
                        return Ok(());
                    }
                }
                Phase::WebSocket(_) => return self.hear_frames(journal, excuses),
                Phase::Stream(_) => return self.hear_stream(),
            }
        }
    }

    /// Takes one answer of plain HTTP. Returns whether there was a whole one.
    fn hear_answer(&mut self, excuses: Excuses) -> Result<bool, Violation> {
        let text = String::from_utf8_lossy(&self.inbox).into_owned();
        let Some((head, rest)) = text.split_once("\r\n\r\n") else { return Ok(false) };
        let field = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let len = field.and_then(|len| len.parse().ok()).unwrap_or(0);
        let Some(body) = rest.get(..len) else { return Ok(false) };
        self.inbox.drain(..head.len() + 4 + len);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| format!("no answer: {head}"))?;
        if status != 200 {
            return self.hear_refusal(status, excuses);
        }
        if self.answers.front().map(String::as_str) != Some(body) {
            return Err(format!("was answered {body:?} instead of {:?}", self.answers.front()));
        }
        self.answers.pop_front();
        if head.contains("Connection: close") {
            return self.hear_last_answer(excuses);
        }
        Ok(true)
    }

    /// Takes an answer after which there are no more, though others were asked for.
    fn hear_last_answer(&mut self, excuses: Excuses) -> Result<bool, Violation> {
        self.answers.clear();
        self.faults.closed = true;
        self.phase = Phase::Http(None);
        let is_fair = excuses.draining || excuses.tight;
        if is_fair { Ok(true) } else { Err("was given a last answer".to_owned()) }
    }

    /// Takes the answer that ends a connection which is no WebSocket.
    fn hear_refusal(&mut self, status: u16, excuses: Excuses) -> Result<bool, Violation> {
        let waited = self.asked_at.is_some_and(|at| excuses.now - at >= TOO_LONG);
        let is_fair = match status {
            408 => waited,
            503 => waited || excuses.draining,
            _ => self.faults.garbage,
        };
        self.answers.clear();
        self.faults.closed = true;
        self.phase = Phase::Http(None);
        if is_fair { Ok(true) } else { Err(format!("was refused: {status}")) }
    }

    fn hear_upgrade(&mut self, journal: &Journal, excuses: Excuses) -> Result<bool, Violation> {
        let Phase::Http(Some(handshake)) = &mut self.phase else { return Ok(false) };
        let mut bytes = std::mem::take(&mut self.inbox);
        let mut input = Input::new(&mut bytes);
        match handshake.read(&mut input) {
            Ok(None) => Ok(false),
            Ok(Some(_)) => {
                self.inbox = input.rest().to_vec();
                self.open(journal);
                Ok(true)
            }
            Err(HandshakeFault::Status(status)) => {
                self.hear_refusal(status.0, excuses).map(|_| false)
            }
            Err(fault) => Err(format!("the handshake failed: {fault:?}")),
        }
    }

    fn hear_frames(&mut self, journal: &Journal, excuses: Excuses) -> Result<(), Violation> {
        let mut bytes = std::mem::take(&mut self.inbox);
        let mut input = Input::new(&mut bytes);
        loop {
            let Phase::WebSocket(decoder) = &mut self.phase else { return Ok(()) };
            let event = decoder.next(&mut input, &LIMITS);
            match event.map_err(|fault| format!("the server broke the protocol: {fault}"))? {
                Some(event) => self.hear_event(&event, journal, excuses)?,
                None => return Ok(()),
            }
        }
    }

    fn hear_event(
        &mut self,
        event: &Event<'_>,
        journal: &Journal,
        excuses: Excuses,
    ) -> Result<(), Violation> {
        if self.is_dismissed {
            return Err(format!("something followed the close: {event:?}"));
        }
        match event {
            Event::Text(text) => self.hear_text(text, journal),
            Event::Binary(_) => Err("nobody sent bytes".to_owned()),
            Event::Deflated(_) => Err("nobody agreed to deflating".to_owned()),
            Event::Ping(payload) => {
                if self.may_speak() && self.tail.is_empty() {
                    self.control(Opcode::Pong, payload);
                }
                Ok(())
            }
            Event::Pong(payload) => match self.pongs.pop_front() {
                Some(expected) if expected == **payload => Ok(()),
                expected => Err(format!("the pong {payload:?} instead of {expected:?}")),
            },
            Event::Close(frame) => self.hear_close(frame.as_ref(), excuses),
        }
    }

    fn hear_text(&mut self, text: &str, journal: &Journal) -> Result<(), Violation> {
        let words = Words::parse(text).ok_or_else(|| format!("damaged: {text:?}"))?;
        match words {
            Words::Publish { from, seq, topic } => self.hear_publication(from, seq, topic, journal),
            Words::Echo { .. } => match self.echoes.pop_front() {
                Some(expected) if expected == text => Ok(()),
                expected => Err(format!("the echo {text:?} instead of {expected:?}")),
            },
            Words::Whisper { to, .. } if to == self.conn => Ok(()),
            Words::Join { topic } if self.topics.contains_key(&topic) => {
                self.subscribed(topic, journal);
                Ok(())
            }
            Words::Leave { topic } if self.topics.remove(&topic).is_some() => Ok(()),
            _ => Err(format!("got what was not for it: {text:?}")),
        }
    }

    fn hear_publication(
        &mut self,
        from: Conn,
        seq: u64,
        topic: u64,
        journal: &Journal,
    ) -> Result<(), Violation> {
        let accepted = journal
            .publication(from, seq)
            .filter(|accepted| accepted.topic == topic)
            .ok_or_else(|| format!("{from}'s publication {seq} was never accepted"))?;
        let subscription = self
            .topics
            .get_mut(&topic)
            .ok_or_else(|| format!("got {from}'s {seq} of topic {topic} unasked"))?;
        subscription
            .hear(accepted.worker, accepted.number)
            .map_err(|violation| format!("{violation} ({from}'s {seq} of topic {topic})"))
    }

    /// Holds a close against what the client has done.
    fn hear_close(
        &mut self,
        frame: Option<&CloseFrame<'_>>,
        excuses: Excuses,
    ) -> Result<(), Violation> {
        let code = frame.map(|frame| frame.code.get());
        self.is_dismissed = true;
        let partial = self.wire.as_ref().map(|wire| wire.partial_max).unwrap_or_default();
        let is_fair = match code {
            Some(1001) => excuses.draining,
            Some(1013) => excuses.tight,
            // A tick less than the limit, since the core counts in ticks.
            Some(1008) => partial.as_millis() >= 9_800,
            _ => false,
        };
        let faults = self.faults;
        if !is_fair && !faults.garbage && !faults.closed && !faults.bye {
            return Err(format!("was closed without a reason: {frame:?}"));
        }
        if !self.rude && !faults.closed && !faults.broken {
            self.finish_message();
            let payload = frame.map(|frame| encoder::close_payload(frame.code, ""));
            self.control(Opcode::Close, &payload.unwrap_or_default());
        }
        Ok(())
    }
}

impl Subscription {
    /// Takes the publication that is the `number`th of a worker.
    fn hear(&mut self, worker: usize, number: u64) -> Result<(), Violation> {
        let answered = self.answered.ok_or("got a publication before the answer")?;
        let is_next = match self.next[worker] {
            Some(next) => number == next,
            // What was published before the answer may come or not.
            None => number <= answered[worker],
        };
        let expected = self.next[worker].unwrap_or(answered[worker]);
        self.next[worker] = Some(number + 1);
        if is_next {
            return Ok(());
        }
        Err(format!("the publication {number} of worker {worker} instead of {expected}"))
    }

    /// The publications of `topic` that should have come and have not.
    pub fn missing(&self, topic: u64, journal: &Journal) -> Option<String> {
        let answered = self.answered?;
        (0..answered.len()).find_map(|worker| {
            let expected = self.next[worker].unwrap_or(answered[worker]);
            let count = journal.count(topic, worker);
            (expected < count).then(|| format!("{expected}..{count} of worker {worker}"))
        })
    }
}
