//! The workers of a run, from the coordinator's side.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::clock::{Offset, QUESTIONS};
use super::link::{self, Reader, Writer};
use super::message::{Note, Order};
use crate::result::Document;
use crate::run::clock;
use crate::units;

/// How long a worker may take to answer the door.
const KNOCK_TIME: Duration = Duration::from_secs(5);

/// Who says nothing for so long is lost: each says every second that it is alive, but for the time
/// that it takes to close a million connections and to write its result.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long an answer about a clock may take.
const CLOCK_TIME: Duration = Duration::from_secs(2);

/// How often somebody who waits looks whether there is still a reason to.
const TICK: Duration = Duration::from_millis(50);

/// What came of a worker.
#[derive(Debug)]
enum Event {
    Note(Note),
    Lost(String),
}

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    /// Where it listens.
    pub(super) name: String,
    /// How its clock stands to ours.
    pub(super) offset: Offset,
    /// What it says has come to pass.
    pub(super) stage: Stage,
    /// Connections that are open there.
    pub(super) open: u64,
    /// Attempts under way there.
    pub(super) pending: u64,
    writer: Writer,
    heard: Instant,
    told_ns: Option<(u64, Instant)>,
}

/// How far a worker is.
#[derive(Debug)]
pub(super) enum Stage {
    /// It prepares its part.
    Planning,
    /// It waits for the start.
    Ready,
    /// It runs.
    Running,
    /// All its connections listen, and it waits for the hold.
    Listening,
    /// It has sent all, which was so much of each publisher.
    Hushed(super::message::Published),
    /// This is what it found.
    Done(Box<Document>),
    /// It cannot, and how a run of its own would have ended.
    Refused(u8, String),
    /// It is gone.
    Lost(String),
}

impl Stage {
    /// Whether nothing more is to be expected.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Refused(..) | Self::Lost(_))
    }
}

/// All workers of a run.
pub(super) struct Crew {
    /// Each of them.
    pub(super) workers: Vec<Worker>,
    events: Receiver<(usize, Event, Instant)>,
    /// What our readings of the clock count from.
    base: Instant,
}

impl Crew {
    /// Comes to terms with the workers at `names`, all of which must know `token`.
    ///
    /// # Errors
    ///
    /// The first that does not, with the reason.
    pub(super) fn gather(names: &[String], token: &[u8]) -> Result<Self, String> {
        let (sender, events) = mpsc::channel();
        let base = clock();
        let mut workers = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let failed = |error: io::Error| format!("worker {name}: {error}");
            let (reader, writer) = meet(name, token).map_err(failed)?;
            let sender = sender.clone();
            thread::Builder::new()
                .name(format!("worker {number}"))
                .spawn(move || listen(number, reader, &sender))
                .map_err(failed)?;
            workers.push(Worker {
                name: name.clone(),
                offset: Offset { ns: 0, error_ns: u64::MAX },
                stage: Stage::Planning,
                open: 0,
                pending: 0,
                writer,
                heard: clock(),
                told_ns: None,
            });
        }
        Ok(Self { workers, events, base })
    }

    /// Tells each worker that is left what `order` says for it.
    pub(super) fn tell(&mut self, order: impl Fn(&Worker) -> Order) {
        for worker in self.workers.iter_mut().filter(|worker| !worker.stage.is_final()) {
            let order = order(worker);
            if let Err(error) = worker.writer.say(&order) {
                worker.stage = Stage::Lost(error.to_string());
            }
        }
    }

    /// Attends to what workers say until `is_done` says so of each of them, calling `meanwhile`
    /// some times a second. Workers for which nothing more is to be expected are done.
    pub(super) fn wait(
        &mut self,
        is_done: impl Fn(&Worker) -> bool,
        mut meanwhile: impl FnMut(&mut Self),
    ) {
        while !self.workers.iter().all(|worker| worker.stage.is_final() || is_done(worker)) {
            self.attend(TICK);
            meanwhile(self);
        }
    }

    /// Measures how the clock of each worker stands to ours.
    pub(super) fn measure_clocks(&mut self) -> Vec<Offset> {
        let numbers = 0..self.workers.len();
        numbers.map(|number| self.measure_clock(number)).collect()
    }

    /// Our clock at `moment`, in nanoseconds.
    pub(super) fn ns(&self, moment: Instant) -> u64 {
        units::ns(moment.saturating_duration_since(self.base))
    }

    fn measure_clock(&mut self, number: usize) -> Offset {
        let mut best = Offset { ns: 0, error_ns: u64::MAX };
        for _ in 0..QUESTIONS {
            let asked = clock();
            let Some(worker) = self.workers.get_mut(number) else { return best };
            worker.told_ns = None;
            if matches!(worker.stage, Stage::Lost(_) | Stage::Refused(..))
                || worker.writer.say(&Order::Clock).is_err()
            {
                return best;
            }
            let until = asked + CLOCK_TIME;
            let told = loop {
                self.attend(until.saturating_duration_since(clock()).min(TICK));
                match self.workers.get(number).and_then(|worker| worker.told_ns) {
                    Some(told) => break told,
                    None if clock() >= until => return best,
                    None => {}
                }
            };
            let (ns, heard) = told;
            best = best.surer(Offset::new(self.ns(asked), ns, self.ns(heard)));
        }
        best
    }

    /// Takes note of what comes within `timeout`, and of who has been silent for too long.
    fn attend(&mut self, timeout: Duration) {
        let event = match self.events.recv_timeout(timeout) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            // Nobody is left who could say anything.
            Err(RecvTimeoutError::Disconnected) => {
                thread::park_timeout(timeout);
                None
            }
        };
        if let Some((number, event, now)) = event
            && let Some(worker) = self.workers.get_mut(number)
        {
            worker.note(event, now);
        }
        let now = clock();
        for worker in &mut self.workers {
            let is_silent = now.saturating_duration_since(worker.heard) > SILENCE_MAX;
            if is_silent && !worker.stage.is_final() {
                worker.stage = Stage::Lost(format!("no word for {} s", SILENCE_MAX.as_secs()));
            }
        }
    }
}

impl Worker {
    /// Gives it its part of the run.
    pub(super) fn assign(&mut self, part: super::message::Assignment) {
        if let Err(error) = self.writer.say(&Order::Plan(part)) {
            self.stage = Stage::Lost(error.to_string());
        }
    }

    /// It does what it has just been told to.
    pub(super) fn run(&mut self) {
        if matches!(self.stage, Stage::Ready | Stage::Listening) {
            self.stage = Stage::Running;
        }
    }

    fn note(&mut self, event: Event, now: Instant) {
        self.heard = now;
        self.stage = match event {
            Event::Lost(_) if self.stage.is_final() => return,
            Event::Lost(reason) => Stage::Lost(reason),
            Event::Note(Note::Clock { ns }) => return self.told_ns = Some((ns, now)),
            Event::Note(Note::Progress { open, pending }) => {
                (self.open, self.pending) = (open, pending);
                return;
            }
            Event::Note(Note::Ready) => Stage::Ready,
            Event::Note(Note::Refused { exit, reason }) => Stage::Refused(exit, reason),
            Event::Note(Note::Listening) => Stage::Listening,
            Event::Note(Note::Hushed { published }) => Stage::Hushed(published),
            Event::Note(Note::Done { document }) => Stage::Done(document),
        };
    }
}

/// Connects to a worker, and has both sides prove that they know the token.
fn meet(name: &str, token: &[u8]) -> io::Result<(Reader, Writer)> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in name.to_socket_addrs()? {
        if token.is_empty() && super::args::needs_token(address.ip()) {
            return Err(io::Error::other("it is on another machine: that takes a token"));
        }
        match TcpStream::connect_timeout(&address, KNOCK_TIME) {
            Ok(stream) => {
                return link::join(stream, token).map_err(|error| match error.kind() {
                    io::ErrorKind::TimedOut => {
                        io::Error::other("it does not answer: is it busy with another run?")
                    }
                    _ => error,
                });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Passes on what a worker says, with the moment at which it was heard.
fn listen(number: usize, mut reader: Reader, sender: &Sender<(usize, Event, Instant)>) {
    loop {
        let note = reader.next(SILENCE_MAX);
        let now = clock();
        let event = match note {
            Ok(Some(note)) => Event::Note(note),
            Ok(None) => continue,
            Err(error) => Event::Lost(error.to_string()),
        };
        let is_end = matches!(event, Event::Lost(_));
        if sender.send((number, event, now)).is_err() || is_end {
            return;
        }
    }
}
