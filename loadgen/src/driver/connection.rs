//! One connection: a stream, the machine that speaks over it, and what it takes part in.
//!
//! An open connection that idles owns no buffer, no times and no numbers but its own.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::time::Instant;

use corecast::base::{Input, Readiness};

use super::scene::Scene;
use super::talk::Talk;
use crate::accounting::{Closure, Failure};
use crate::client::{Client, Event, Opened};
use crate::latency::Latency;
use crate::ramp::Attempt;
use crate::slow::Flow;
use crate::tally::Phases;

/// How much may wait for a server that does not read.
const UNSENT_BYTES_MAX: usize = 4 << 20;

/// How often a connection is read before the others get their turn.
const READS_PER_TURN_MAX: u32 = 8;

/// A connection and all that is known of it.
pub struct Connection<S> {
    stream: S,
    client: Client,
    progress: Progress,
    talk: Option<Box<Talk>>,
    /// What the socket would not take.
    unsent: Box<[u8]>,
    /// Its number in the run.
    number: u32,
    /// Pings of ours that wait for their pong.
    pings_unanswered: u32,
}

/// How far a connection has come. Once it is open it owns nothing here: what very many of them
/// leave behind at once would stay with the allocator for good.
#[derive(Debug)]
enum Progress {
    /// It is being opened.
    Opening(Box<Opening>),
    /// It is open since then, in nanoseconds of the run, and the server has said nothing yet.
    Upgraded { ns: u64 },
    /// The server has spoken, or a trial has begun.
    Settled,
}

/// The times of a connection's beginning.
#[derive(Debug)]
struct Opening {
    attempt: Attempt,
    is_connected: bool,
    /// When the last phase ended.
    mark: Instant,
}

/// How a connection stands after it was tended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// There is nothing more to read now.
    Quiet,
    /// There may be more to read.
    Busy,
    /// It reads slowly, and may go on then.
    Slow(Instant),
    /// It is no more.
    Ended(Ending),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// It never became open.
    Failed(Failure),
    /// It was open.
    Closed(Closure),
}

/// The server's last word was no word.
struct EndOfStream;

impl From<EndOfStream> for Failure {
    fn from(_: EndOfStream) -> Self {
        Self::Closed
    }
}

impl From<EndOfStream> for Closure {
    fn from(_: EndOfStream) -> Self {
        Self::ServerEnd
    }
}

impl<S: Read + Write> Connection<S> {
    /// A connection that has begun to connect.
    pub fn new(stream: S, number: u32, client: Client, attempt: Attempt, now: Instant) -> Self {
        let opening = Box::new(Opening { attempt, is_connected: false, mark: now });
        let progress = Progress::Opening(opening);
        let unsent = Box::default();
        Self { stream, client, progress, talk: None, unsent, number, pings_unanswered: 0 }
    }

    /// The number it has in the run.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The attempt it comes from, while it is not open.
    pub fn attempt(&self) -> Option<Attempt> {
        match &self.progress {
            Progress::Opening(opening) => Some(opening.attempt),
            Progress::Upgraded { .. } | Progress::Settled => None,
        }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.client.is_open()
    }

    /// What it has said and heard.
    pub fn talk(&self) -> Option<&Talk> {
        self.talk.as_deref()
    }

    /// Pings of a trial that wait for their pong.
    pub fn pings_unanswered(&self) -> u32 {
        self.pings_unanswered
    }

    /// Enters a trial, and takes part in its talk.
    pub fn enter_trial(&mut self, talk: Option<Talk>) {
        debug_assert!(self.is_open(), "an attempt has no part in a trial");
        // A server that greets has done so by now.
        self.progress = Progress::Settled;
        self.talk = talk.map(Box::new);
        self.pings_unanswered = 0;
    }

    /// The trial is over.
    pub fn leave_trial(&mut self) {
        self.talk = None;
    }

    /// Reads and writes what the outside says can be read and written.
    pub fn tend(&mut self, readiness: Readiness, scene: &mut Scene<'_>) -> Standing {
        let standing = self.try_tend(readiness, scene).unwrap_or_else(Standing::Ended);
        scene.desk.pen.wire.clear();
        standing
    }

    /// Sends the next message, which was due at `intended`.
    pub fn speak(&mut self, intended: Instant, scene: &mut Scene<'_>) -> Standing {
        let Some(talk) = &mut self.talk else { return Standing::Quiet };
        talk.write(intended, scene);
        let opcode = scene.setting.press.opcode();
        let said = self.client.say(opcode, &scene.desk.payload, &mut scene.desk.pen);
        let said = said.map_err(|trouble| self.ending(trouble));
        let standing = said.and_then(|()| self.flush(scene));
        scene.desk.pen.wire.clear();
        standing.map_or_else(Standing::Ended, |()| Standing::Quiet)
    }

    /// Sends the ping that was due at `intended`, which it carries.
    pub fn ping(&mut self, intended: Instant, scene: &mut Scene<'_>) -> Standing {
        let sent_ns = scene.setting.ns(scene.setting.now()).to_le_bytes();
        let intended_ns = scene.setting.ns(intended).to_le_bytes();
        scene.tally.traffic.pings_sent += 1;
        self.pings_unanswered += 1;
        let said = self.client.ping(&[intended_ns, sent_ns].concat(), &mut scene.desk.pen);
        let said = said.map_err(|trouble| self.ending(trouble));
        let standing = said.and_then(|()| self.flush(scene));
        scene.desk.pen.wire.clear();
        standing.map_or_else(Standing::Ended, |()| Standing::Quiet)
    }

    fn try_tend(
        &mut self,
        readiness: Readiness,
        scene: &mut Scene<'_>,
    ) -> Result<Standing, Ending> {
        if self.is_connecting() {
            if !readiness.is_writable() {
                return Ok(Standing::Quiet);
            }
            self.begin(scene)?;
        }
        let standing =
            if readiness.is_readable() { self.receive(readiness, scene)? } else { Standing::Quiet };
        self.flush(scene)?;
        Ok(standing)
    }

    fn is_connecting(&self) -> bool {
        matches!(&self.progress, Progress::Opening(opening) if !opening.is_connected)
    }

    /// Says the first word; whether that can be written shows whether the stream stands.
    fn begin(&mut self, scene: &mut Scene<'_>) -> Result<(), Ending> {
        let begun = self.client.begin(&mut scene.desk.pen);
        begun.map_err(|trouble| self.ending(trouble))?;
        self.flush(scene)?;
        self.pass(|phases| &mut phases.tcp, scene);
        if let Progress::Opening(opening) = &mut self.progress {
            opening.is_connected = true;
        }
        Ok(())
    }

    fn receive(&mut self, readiness: Readiness, scene: &mut Scene<'_>) -> Result<Standing, Ending> {
        // What is heard borrows the scratch and is noted in the scene, so the two part for a while.
        let mut scratch = mem::take(&mut scene.desk.scratch);
        let standing = self.receive_into(&mut scratch, readiness, scene);
        scene.desk.scratch = scratch;
        standing
    }

    fn receive_into(
        &mut self,
        scratch: &mut [u8],
        readiness: Readiness,
        scene: &mut Scene<'_>,
    ) -> Result<Standing, Ending> {
        for _ in 0..READS_PER_TURN_MAX {
            let allowed = match self.ask_valve(scene) {
                Flow::Bytes(allowed) => allowed,
                Flow::Until(due) => return Ok(Standing::Slow(due)),
                Flow::Awaited => return Ok(Standing::Quiet),
            };
            let kept = self.client.restore(scratch);
            let (_, room) = scratch.split_at_mut(kept);
            let room_len = allowed.min(room.len());
            let (room, _) = room.split_at_mut(room_len);
            let read = match self.stream.read(room) {
                Ok(0) => return Err(self.ending(EndOfStream)),
                Ok(len) => len,
                Err(error) if is_passing(&error) => 0,
                Err(error) => return Err(self.ending(&error)),
            };
            let (arrived, _) = scratch.split_at_mut(kept + read);
            self.understand(&mut Input::new(arrived), scene)?;
            if let Some(valve) = self.talk.as_mut().and_then(|talk| talk.valve()) {
                valve.passed(read, scene.setting.now());
            }
            // A short read has emptied the socket, unless the end lies behind the bytes.
            if read == 0 || (read < room_len && !readiness.is_ended()) {
                return Ok(Standing::Quiet);
            }
        }
        Ok(Standing::Busy)
    }

    /// How much may be read: everything, unless it reads slowly.
    fn ask_valve(&mut self, scene: &Scene<'_>) -> Flow {
        match self.talk.as_mut().and_then(|talk| talk.valve()) {
            None => Flow::Bytes(usize::MAX),
            Some(valve) => valve.ask(scene.setting.now()),
        }
    }

    fn understand(&mut self, input: &mut Input<'_>, scene: &mut Scene<'_>) -> Result<(), Ending> {
        loop {
            let opened = self.client.open(input, &mut scene.desk.pen);
            match opened.map_err(|trouble| self.ending(trouble))? {
                Opened::Secured => {
                    self.pass(|phases| &mut phases.tls, scene);
                    if let Some(agreement) = self.client.agreement() {
                        *scene.tally.agreements.entry(agreement).or_default() += 1;
                    }
                }
                Opened::Plaintext(mut plaintext) => self.listen(&mut plaintext, scene)?,
                Opened::Wanting => return Ok(()),
                Opened::Ended => return Err(self.ending(EndOfStream)),
            }
        }
    }

    fn listen(&mut self, plaintext: &mut Input<'_>, scene: &mut Scene<'_>) -> Result<(), Ending> {
        let greeting = &scene.setting.greeting;
        loop {
            let event = self.client.next(plaintext, greeting, &mut scene.desk.pen);
            match event.map_err(|trouble| self.ending(trouble))? {
                None => return Ok(()),
                Some(Event::Upgraded) => self.opened(scene),
                Some(Event::Ping) => {
                    scene.tally.traffic.pings += 1;
                    scene.tally.traffic.pongs += 1;
                }
                Some(Event::Pong(payload)) => self.hear_pong(&payload, scene),
                Some(Event::Message(payload)) => self.hear(&payload, scene),
                Some(Event::Closed(code)) => {
                    self.flush(scene)?;
                    return Err(Ending::Closed(Closure::Server(code)));
                }
            }
        }
    }

    fn opened(&mut self, scene: &mut Scene<'_>) {
        self.pass(|phases| &mut phases.upgrade, scene);
        if let Progress::Opening(opening) = &self.progress {
            let established = opening.mark.saturating_duration_since(opening.attempt.intended);
            scene.tally.phases.establish.record(established);
            self.progress = Progress::Upgraded { ns: scene.setting.ns(opening.mark) };
        }
    }

    fn hear(&mut self, payload: &[u8], scene: &mut Scene<'_>) {
        if let Progress::Upgraded { ns } = self.progress {
            let took = scene.setting.since(ns, scene.setting.now());
            scene.tally.phases.first_message.record(took);
            self.progress = Progress::Settled;
        }
        if let Some(talk) = &mut self.talk {
            talk.hear(payload, scene);
        }
    }

    /// Times a pong, if it answers a ping of ours.
    fn hear_pong(&mut self, payload: &[u8], scene: &mut Scene<'_>) {
        let (&[intended, sent], &[]) = payload.as_chunks() else { return };
        let (intended_ns, sent_ns) = (u64::from_le_bytes(intended), u64::from_le_bytes(sent));
        let traffic = &mut scene.tally.traffic;
        traffic.pongs_heard += 1;
        self.pings_unanswered = self.pings_unanswered.saturating_sub(1);
        if intended_ns >= scene.setting.ns(scene.timed_from) {
            let now = scene.setting.now();
            traffic.ping.corrected.record(scene.setting.since(intended_ns, now));
            traffic.ping.uncorrected.record(scene.setting.since(sent_ns, now));
        }
    }

    /// Ends a phase of the opening.
    fn pass(&mut self, phase: fn(&mut Phases) -> &mut Latency, scene: &mut Scene<'_>) {
        if let Progress::Opening(opening) = &mut self.progress {
            let now = scene.setting.now();
            let took = now.saturating_duration_since(opening.mark);
            phase(&mut scene.tally.phases).record(took);
            opening.mark = now;
        }
    }

    /// Writes what waits, and keeps what the socket does not take.
    fn flush(&mut self, scene: &mut Scene<'_>) -> Result<(), Ending> {
        let wire = &mut scene.desk.pen.wire;
        if !self.unsent.is_empty() {
            wire.splice(..0, mem::take(&mut self.unsent));
        }
        let written = write(&mut self.stream, wire).map_err(|error| self.ending(&error))?;
        if wire.len() - written > UNSENT_BYTES_MAX {
            return Err(Ending::Closed(Closure::Stalled));
        }
        self.unsent = wire.drain(..).skip(written).collect();
        Ok(())
    }

    fn ending<T: Into<Failure> + Into<Closure>>(&self, cause: T) -> Ending {
        if self.is_open() { Ending::Closed(cause.into()) } else { Ending::Failed(cause.into()) }
    }
}

/// Writes until the stream takes no more, and says how much it took.
fn write(stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) => rest = rest.get(len..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(bytes.len() - rest.len())
}

/// Whether an error only says that there is nothing now. After an interruption there will be news.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn an_idle_connection_is_small() {
        // With the slot's generation, what the driver holds for one that idles without TLS.
        assert!(size_of::<Connection<TcpStream>>() <= 96, "{}", size_of::<Connection<TcpStream>>());
    }
}
