//! Drives connections: opens them, lets them talk, counts what happens.
//!
//! ```text
//!  conductor --Command--> turn -> obey, resume, time out, speak, report --Report--> conductor
//!                          ^                                  |
//!                          |                                  v
//!      reactor: ready -> tend a connection        poll_request -> Connect, Exit
//! ```
//!
//! Invariant: every attempt is in the slab until it has been counted as failed or closed.

pub mod connection;
pub mod link;
pub mod scene;
pub mod talk;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io::{Error, Read, Write};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use corecast::base::{Handler, Key, Origin, Readiness, Request, Rng, Slab};

use self::connection::{Connection, Ending, Standing};
use self::link::{Command, Progress, Report, Stage};
use self::scene::{Desk, Scene, Setting};
use self::talk::{Senders, Talk};
use crate::accounting::{Closure, Failure};
use crate::client::Client;
use crate::plan::Plan;
use crate::ports::Hand;
use crate::ramp::{Attempt, Ramp};
use crate::schedule::Schedule;
use crate::tally::Tally;

/// How often a driver asks itself how late it is.
const PULSE: Duration = Duration::from_millis(20);

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
    /// The messages of the hold, once it has begun.
    schedule: Option<Schedule>,
    stage: Stage,
    progress: Progress,
    desk: Desk,
    tally: Tally,
    now: Instant,
    pulse_due: Instant,
    report_due: Instant,
}

impl<S: Read + Write> Driver<S> {
    /// A driver that begins at `now`.
    pub fn new(part: Part, now: Instant) -> Self {
        let plan = &part.plan;
        let share = plan.share(part.number);
        Self {
            ramp: Ramp::new(plan.pace, share, now, part.number, plan.drivers),
            connections: Slab::default(),
            open: 0,
            opening: VecDeque::new(),
            attempt: None,
            busy: Vec::new(),
            schedule: None,
            stage: Stage::Ramp,
            progress: Progress::Ramping,
            desk: Desk::new(),
            tally: Tally::default(),
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
        let Self { part, desk, tally, .. } = self;
        let standing = act(connection, &mut Scene { setting: &part.setting, desk, tally });
        if connection.is_open() && !was_open {
            self.ramp.succeeded();
            self.open += 1;
            self.tally.accounting.opened += 1;
        }
        match standing {
            Standing::Quiet => {}
            Standing::Busy => self.busy.push(key),
            Standing::Ended(ending) => self.end(key, ending),
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
                self.tally.accounting.close(closure);
            }
            (Ending::Failed(_), None) => unreachable!("what is not open is an attempt"),
        }
    }

    fn fail(&mut self, attempt: Attempt, failure: Failure) {
        self.tally.accounting.fail(failure);
        self.ramp.failed(attempt.number, self.now);
    }

    /// Notes how late the loop comes round: because it had much to do, or no CPU to do it.
    fn pulse(&mut self, now: Instant) {
        if self.pulse_due <= now {
            self.tally.lag.record(now - self.pulse_due);
            self.pulse_due = now + PULSE;
        }
    }

    /// Does what the conductor says.
    fn obey(&mut self, now: Instant) {
        while let Ok(command) = self.part.commands.try_recv() {
            // What was counted until now belongs to the stage that ends.
            self.report(now);
            match command {
                Command::Listen => self.listen(),
                Command::Speak => self.begin_to_speak(now),
                Command::Drain => self.stage = Stage::Drain,
                Command::Settle(published) => self.settle(&published),
                Command::Quit => self.quit(),
            }
            self.report(now);
        }
    }

    /// Lets every open connection take part in the talk of the hold.
    fn listen(&mut self) {
        self.stage = Stage::Hold;
        self.progress = Progress::Listening;
        let senders = Senders::of(self.part.plan.scenario);
        for key in self.connections.keys() {
            if let Some(connection) = self.connections.get_mut(key).filter(|it| it.is_open()) {
                let number = connection.number();
                connection.enter_hold(senders.map(|senders| Talk::new(number, senders)));
            }
        }
    }

    /// Makes the schedule of those that speak, from `now` for as long as the hold lasts.
    fn begin_to_speak(&mut self, now: Instant) {
        let plan = &self.part.plan;
        let (Some(senders), Some(rate)) = (Senders::of(plan.scenario), plan.scenario.rate()) else {
            return;
        };
        let mut rng = Rng::new(plan.seed ^ u64::from(self.part.number));
        let mut schedule = Schedule::new(rate.interval(), now + plan.hold);
        for (key, connection) in self.connections.iter() {
            if senders.include(connection.number()) {
                schedule.enter(key, now, &mut rng);
            }
        }
        self.schedule = Some(schedule);
    }

    fn settle(&mut self, published: &BTreeMap<u32, u64>) {
        self.schedule = None;
        let talks = self.connections.iter().filter_map(|(_, connection)| connection.talk());
        self.tally.traffic.audit.lost += talks.map(|talk| talk.missing(published)).sum::<u64>();
        self.progress = Progress::Settled;
    }

    /// Closes everything. The streams close with a reset, so that no port is held any longer.
    fn quit(&mut self) {
        self.schedule = None;
        for key in self.connections.keys() {
            let is_open = self.connections.get(key).is_some_and(Connection::is_open);
            let ending = if is_open {
                Ending::Closed(Closure::Ours)
            } else {
                Ending::Failed(Failure::Abandoned)
            };
            self.end(key, ending);
        }
        self.ramp.stop();
        self.progress = Progress::Left;
    }

    /// Goes on with connections that had more to read than a turn allows.
    fn resume(&mut self) {
        for key in mem::take(&mut self.busy) {
            self.tend(key, Readiness::READABLE);
        }
    }

    /// Gives up attempts that take too long.
    fn time_out(&mut self, now: Instant) {
        while let Some((_, key)) = self.opening.front().filter(|(due, _)| *due <= now).copied() {
            self.opening.pop_front();
            if self.connections.get(key).is_some_and(|connection| !connection.is_open()) {
                self.end(key, Ending::Failed(Failure::TimedOut));
            }
        }
    }

    /// Sends the messages that are due.
    fn speak(&mut self, now: Instant) {
        let next = |schedule: &mut Option<Schedule>| schedule.as_mut()?.next(now);
        while let Some((key, intended)) = next(&mut self.schedule) {
            self.with(key, |connection, scene| connection.speak(intended, scene));
        }
    }

    /// When the next message is due.
    fn message_due(&self) -> Option<Instant> {
        self.schedule.as_ref()?.deadline()
    }

    /// Tells the conductor when it is time, and at once when something has been done with.
    fn report_if_due(&mut self, now: Instant) {
        let progress = self.advanced();
        if progress != self.progress || self.report_due <= now {
            self.progress = progress;
            self.report(now);
        }
    }

    /// How far it has come by itself.
    fn advanced(&self) -> Progress {
        match (self.progress, self.stage) {
            (Progress::Ramping, _) if self.attempt.is_none() && self.ramp.is_done() => {
                Progress::Ramped
            }
            (Progress::Listening, Stage::Drain) if self.message_due().is_none() => Progress::Hushed,
            (progress, _) => progress,
        }
    }

    fn report(&mut self, now: Instant) {
        self.report_due = now + REPORT_INTERVAL;
        let report = Report {
            driver: self.part.number,
            stage: self.stage,
            tally: mem::take(&mut self.tally),
            open: self.open,
            pending: self.connections.len() as u64 - self.open,
            progress: self.progress,
        };
        // A conductor that is gone has ended the process.
        let _ = self.part.reports.send(report);
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
                    return Some(Request::Connect { via, to: self.part.target, from });
                }
                Err(failure) => self.fail(attempt, failure),
            }
        }
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

impl<S: Read + Write> Handler for Driver<S> {
    type Stream = S;

    fn open(&mut self, stream: S, origin: Origin, _: Instant) -> Option<Key> {
        let attempt = self.attempt.take()?;
        let now = self.part.setting.now();
        match Client::new(&self.part.setting.greeting, &mut self.desk.pen.random) {
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
        self.speak(now);
        self.report_if_due(now);
    }

    fn deadline(&self) -> Option<Instant> {
        if !self.busy.is_empty() {
            return Some(self.now);
        }
        let opening = self.opening.front().map(|(due, _)| *due);
        let always = self.pulse_due.min(self.report_due);
        let others = [opening, self.message_due(), self.ramp.deadline()];
        others.into_iter().flatten().chain([always]).min()
    }

    fn poll_request(&mut self) -> Option<Request> {
        if self.progress == Progress::Left { Some(Request::Exit) } else { self.connect() }
    }
}
