//! Drives connections: opens them, lets them talk, counts what happens.
//!
//! ```text
//!  fleet --Command--> turn -> obey, resume, time out, speak, report --Report--> fleet
//!                      ^                                  |
//!                      |                                  v
//!  reactor: ready -> tend a connection        poll_request -> Connect, Exit
//! ```
//!
//! Invariant: every attempt is in the slab until it has been counted as failed or closed.

pub mod board;
pub mod connection;
mod departed;
pub mod flight;
pub mod link;
mod orders;
pub mod scene;
pub mod socket;
pub mod talk;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::Error;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use corecast::base::{Handler, Key, Origin, Readiness, Request, Slab};

use self::connection::{Connection, Ending, Standing};
use self::departed::Departed;
use self::link::{Command, Report, Stage};
use self::orders::Task;
use self::scene::{Desk, Scene, Setting};
use self::socket::Socket;
use self::talk::Talk;
use crate::accounting::{Closure, Failure};
use crate::client::Client;
use crate::plan::Plan;
use crate::ports::Hand;
use crate::ramp::{Attempt, Ramp};
use crate::schedule::Schedule;
use crate::tally::Tally;
use crate::turnover::Turnover;

/// How often a driver asks itself how late it is.
const PULSE: Duration = Duration::from_millis(20);

/// What is known of one that was not read to the end: there may be more, and the end behind it,
/// which no edge would tell again.
const TO_THE_END: Readiness = Readiness::ENDED;

/// How often it tells what it counted.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// What a driver is made of.
#[derive(Debug)]
pub struct Part {
    /// Its number, and how many there are.
    pub number: u32,
    /// What the run is to be.
    pub plan: Arc<Plan>,
    /// What all have in common.
    pub setting: Arc<Setting>,
    /// The server.
    pub target: SocketAddr,
    /// Where its connections come from; `None` leaves that to the system.
    pub hand: Option<Hand>,
    /// What it is told.
    pub commands: Receiver<Command>,
    /// Where it tells.
    pub reports: Sender<Report>,
}

/// The connections of one thread.
pub struct Driver<S> {
    part: Part,
    ramp: Ramp,
    connections: Slab<Connection<S>>,
    open: u64,
    /// Attempts by the time at which they will have taken too long.
    opening: VecDeque<(Instant, Key)>,
    /// An attempt that is being connected, or whose port was taken.
    attempt: Option<Attempt>,
    /// Connections that have more to read.
    busy: Vec<Key>,
    /// Connections that read slowly, by when they may go on.
    slow: BinaryHeap<Reverse<(Instant, Key)>>,
    /// The messages of a trial, once it has begun: a schedule for each part of the cast.
    schedules: Vec<Schedule>,
    /// The pings of a trial.
    heartbeats: Option<Schedule>,
    /// How many there were, how many were answered, and how many nobody waits for any more.
    pings_sent: u64,
    pongs_heard: u64,
    pings_excused: u64,
    departed: Departed,
    /// Who leaves and comes back in a trial.
    turnover: Option<Turnover>,
    stage: Stage,
    /// Messages that should have left before then are not timed.
    timed_from: Instant,
    /// The last command, what must happen before it is done, and the last that is.
    order: u32,
    task: Task,
    done: u32,
    /// Messages that had not come when it was last inquired.
    missing: u64,
    has_left: bool,
    desk: Desk,
    tally: Tally,
    now: Instant,
    pulse_due: Instant,
    report_due: Instant,
}

impl<S: Socket> Driver<S> {
    /// A driver that begins at `now`.
    pub fn new(part: Part, now: Instant) -> Self {
        Self {
            ramp: Ramp::new(part.plan.tempo(part.number), now),
            connections: Slab::default(),
            open: 0,
            opening: VecDeque::new(),
            attempt: None,
            busy: Vec::new(),
            slow: BinaryHeap::new(),
            schedules: Vec::new(),
            heartbeats: None,
            pings_sent: 0,
            pongs_heard: 0,
            pings_excused: 0,
            departed: Departed::default(),
            turnover: None,
            stage: Stage::Between,
            timed_from: now,
            order: 0,
            task: Task::None,
            done: 0,
            missing: 0,
            has_left: false,
            desk: Desk::new(part.setting.greeting.mask),
            tally: Tally::keeping(part.plan.digits),
            now,
            pulse_due: now + PULSE,
            report_due: now,
            part,
        }
    }

    /// Reads and writes one connection, and counts what became of it.
    fn tend(&mut self, key: Key, readiness: Readiness) {
        self.with(key, |connection, scene| connection.tend(readiness, scene));
    }

    fn with(&mut self, key: Key, act: impl FnOnce(&mut Connection<S>, &mut Scene<'_>) -> Standing) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let was_open = connection.is_open();
        let Self { part, desk, tally, timed_from, .. } = self;
        let setting = &part.setting;
        let pinged = (tally.traffic.pings_sent, tally.traffic.pongs_heard);
        let standing =
            act(connection, &mut Scene { setting, desk, tally, timed_from: *timed_from });
        self.pings_sent += tally.traffic.pings_sent - pinged.0;
        self.pongs_heard += tally.traffic.pongs_heard - pinged.1;
        let has_opened = connection.is_open() && !was_open;
        if has_opened {
            let number = connection.number() / part.plan.drivers;
            let now = part.setting.now();
            self.turnover.iter_mut().for_each(|turnover| turnover.opened(number, now));
            self.ramp.succeeded();
            self.open += 1;
            self.tally.accounting.opened += 1;
        }
        match standing {
            Standing::Quiet => {}
            Standing::Busy => self.busy.push(key),
            Standing::Slow(until) => self.slow.push(Reverse((until, key))),
            Standing::Ended(ending) => self.end(key, ending),
        }
        if has_opened {
            self.rejoin(key);
        }
    }

    /// Counts the end of a connection and forgets it.
    fn end(&mut self, key: Key, ending: Ending) {
        let Some(connection) = self.connections.remove(key) else { return };
        debug_assert_eq!(connection.is_open(), matches!(ending, Ending::Closed(_)));
        match (ending, connection.attempt()) {
            (Ending::Failed(failure), Some(attempt)) => self.fail(attempt, failure),
            (Ending::Closed(closure), _) => {
                self.open -= 1;
                let is_planned = closure == Closure::Planned;
                self.depart(&connection, closure);
                let number = connection.number() / self.part.plan.drivers;
                let turnover = self.turnover.as_mut().filter(|_| is_planned);
                if !turnover.is_some_and(|turnover| turnover.left(number, self.now)) {
                    self.ramp.vacate(number);
                }
            }
            (Ending::Failed(_), None) => unreachable!("what is not open is an attempt"),
        }
    }

    /// Counts how a connection ended that was open, and what it was owed.
    fn depart(&mut self, connection: &Connection<S>, closure: Closure) {
        let Self { part, departed, tally, .. } = self;
        let (board, traffic) = (&part.setting.board, &mut tally.traffic);
        let is_planned = closure == Closure::Planned;
        if is_planned {
            let pings = u64::from(connection.pings_unanswered());
            self.pings_excused += pings;
            traffic.pings_excused += pings;
        }
        let Some(talk) = connection.talk() else { return tally.accounting.close(closure) };
        talk.audience().into_iter().for_each(|part| board.left(part));
        if is_planned {
            departed.excuse(connection.number(), talk, traffic);
        } else {
            departed.abandon(talk, board, traffic);
        }
        tally.accounting.close(if talk.is_slow() { closure.of_slow() } else { closure });
    }

    fn fail(&mut self, attempt: Attempt, failure: Failure) {
        self.tally.accounting.fail(failure);
        let turnover = self.turnover.as_mut();
        if turnover.is_some_and(|turnover| turnover.failed(attempt.number, self.now)) {
            self.ramp.returned_in_vain();
        } else {
            self.ramp.failed(attempt.number, self.now);
        }
    }

    /// Notes how late the loop comes round: because it had much to do, or no CPU to do it.
    ///
    /// Every pulse that was missed counts, as every message that a server kept waiting does: one
    /// long pause would be one sample among many otherwise, and no percentile would show it.
    fn pulse(&mut self, now: Instant) {
        while self.pulse_due <= now {
            self.tally.lag.record(now - self.pulse_due);
            self.pulse_due += PULSE;
        }
    }

    /// Goes on with connections that had more to read than a turn allows.
    fn resume(&mut self) {
        for key in mem::take(&mut self.busy) {
            self.tend(key, TO_THE_END);
        }
        while self.slow.peek().is_some_and(|Reverse((due, _))| *due <= self.now) {
            if let Some(Reverse((_, key))) = self.slow.pop() {
                self.tend(key, TO_THE_END);
            }
        }
    }

    /// Gives up attempts that take too long, and forgets those that do not: the queue is as long
    /// as what is in flight behind the oldest, and never as what is open.
    fn time_out(&mut self, now: Instant) {
        while let Some((due, key)) = self.opening.front().copied() {
            let opens = self.connections.get(key).is_some_and(|connection| !connection.is_open());
            if opens && now < due {
                return;
            }
            self.opening.pop_front();
            if opens {
                self.end(key, Ending::Failed(Failure::TimedOut));
            }
        }
    }

    /// Lets those leave whose time has come, and has those come back that are due.
    fn turn_over(&mut self, now: Instant) {
        let Self { turnover: Some(turnover), connections, .. } = self else { return };
        let open = || {
            let may_leave = |it: &Connection<S>| !it.talk().is_some_and(Talk::publishes);
            let open = connections.iter().filter(|(_, it)| it.is_open() && may_leave(it));
            open.map(|(key, _)| key).collect()
        };
        for key in turnover.leaving(now, open) {
            if self.connections.get(key).is_some_and(Connection::is_open) {
                self.end(key, Ending::Closed(Closure::Planned));
            }
        }
        while let Some(attempt) = self.turnover.as_mut().and_then(|it| it.returning(now)) {
            self.ramp.bring_back(attempt);
        }
    }

    /// Sends the messages and pings that are due.
    fn speak(&mut self, now: Instant) {
        while let Some((key, intended)) = self.next_message(now) {
            self.with(key, |connection, scene| connection.speak(intended, scene));
        }
        while let Some((key, intended)) = self.next_ping(now) {
            self.with(key, |connection, scene| connection.ping(intended, scene));
        }
    }

    fn next_message(&mut self, now: Instant) -> Option<(Key, Instant)> {
        let Self { schedules, connections, .. } = self;
        let lives = |key| connections.get(key).is_some();
        schedules.iter_mut().find_map(|schedule| schedule.next(now, lives))
    }

    fn next_ping(&mut self, now: Instant) -> Option<(Key, Instant)> {
        let Self { heartbeats, connections, .. } = self;
        heartbeats.as_mut()?.next(now, |key| connections.get(key).is_some())
    }

    /// When the next message or ping is due.
    fn message_due(&self) -> Option<Instant> {
        let schedules = self.schedules.iter().chain(&self.heartbeats);
        schedules.filter_map(Schedule::deadline).min()
    }

    /// What connection `number` of this driver is called in the whole run.
    fn global(&self, number: u32) -> u32 {
        number * self.part.plan.drivers + self.part.number
    }

    /// The next attempt, as a request to the loop.
    fn connect(&mut self) -> Option<Request> {
        loop {
            let attempt = self.next_attempt()?;
            match self.next_source() {
                Ok(from) => {
                    self.attempt = Some(attempt);
                    let via = self.global(attempt.number);
                    return Some(Request::Connect { via, to: self.server(via), from });
                }
                Err(failure) => self.fail(attempt, failure),
            }
        }
    }

    /// Where connection `number` of the run goes to: to the addresses of the server in turn.
    fn server(&self, number: u32) -> SocketAddr {
        let Part { plan, target, .. } = &self.part;
        let place = number as usize % plan.servers.len().max(1);
        plan.servers.get(place).copied().unwrap_or(*target)
    }

    /// Where the next connection comes from; `None` leaves that to the system.
    fn next_source(&mut self) -> Result<Option<SocketAddr>, Failure> {
        let hand = self.part.hand.as_mut();
        hand.map(|hand| hand.next().ok_or(Failure::Ports)).transpose()
    }

    /// The attempt whose port was taken, or the next of the ramp.
    fn next_attempt(&mut self) -> Option<Attempt> {
        self.attempt.take().or_else(|| {
            let attempt = self.ramp.next(self.now)?;
            self.tally.accounting.attempted += 1;
            Some(attempt)
        })
    }
}

impl<S: Socket> Handler for Driver<S> {
    type Stream = S;

    fn open(&mut self, stream: S, origin: Origin, _: Instant) -> Option<Key> {
        let attempt = self.attempt.take()?;
        let now = self.part.setting.now();
        if let Some(hand) = &mut self.part.hand {
            hand.taken();
        }
        let plan = &self.part.plan;
        let place = plan.cast.place(origin.via);
        let sockets = if place.reads.is_some() { plan.sockets.for_slow() } else { plan.sockets };
        if let Err(error) = stream.set(&sockets) {
            self.fail(attempt, Failure::from(&error));
            return None;
        }
        match Client::new(
            &self.part.setting.greeting,
            place.index,
            origin.via,
            &mut self.desk.pen.random,
        ) {
            Ok(client) => {
                let connection = Connection::new(stream, origin.via, client, attempt, now);
                let key = self.connections.insert(connection);
                self.opening.push_back((now + self.part.plan.open_timeout, key));
                Some(key)
            }
            Err(trouble) => {
                self.fail(attempt, trouble.into());
                None
            }
        }
    }

    fn connect_failed(&mut self, _: u32, error: &Error, _: Instant) {
        match Failure::from(error) {
            // The attempt goes on from the next port of the hand.
            Failure::Ports if self.part.hand.is_some() => self.tally.ports_taken += 1,
            failure => {
                if let Some(attempt) = self.attempt.take() {
                    self.fail(attempt, failure);
                }
            }
        }
    }

    fn ready(&mut self, key: Key, readiness: Readiness, _: Instant) {
        self.tend(key, readiness);
    }

    fn turn(&mut self, now: Instant) {
        self.now = now;
        self.pulse(now);
        self.obey(now);
        self.resume();
        self.time_out(now);
        self.turn_over(now);
        self.speak(now);
        self.report_if_due(now);
    }

    fn deadline(&self) -> Option<Instant> {
        if !self.busy.is_empty() {
            return Some(self.now);
        }
        let opening = self.opening.front().map(|(due, _)| *due);
        let always = self.pulse_due.min(self.report_due);
        let turnover = self.turnover.as_ref().and_then(Turnover::deadline);
        let slow = self.slow.peek().map(|Reverse((due, _))| *due);
        let others = [opening, turnover, slow, self.message_due(), self.ramp.deadline()];
        others.into_iter().flatten().chain([always]).min()
    }

    fn poll_request(&mut self) -> Option<Request> {
        if self.has_left { Some(Request::Exit) } else { self.connect() }
    }
}
