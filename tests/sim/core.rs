//! One worker and the loop that drives it, slowed down to single steps.

use std::sync::Arc;
use std::time::Instant;

use corecast::base::{Handler, Key, Origin, Readiness, Request};
use corecast::worker::metrics::Metrics;
use corecast::worker::{Service, Worker};

use super::carriers::Bell;
use super::hear::Violation;
use super::pipe::Pipe;
use super::plant::Plant;

/// A worker, as its loop sees it.
#[allow(clippy::struct_excessive_bools)] // each is a fact, and they are independent
pub struct Core<V: Service> {
    /// `None` after it has left its loop.
    worker: Option<Worker<Pipe, V>>,
    pub bell: Arc<Bell>,
    metrics: Arc<Metrics>,
    /// Whether it said that it may block, and nothing has happened since.
    is_asleep: bool,
    /// Whether a connection was opened since the last turn.
    is_called: bool,
    pub is_accepting: bool,
    pub shortage: Shortage,
    /// It takes no turns before then.
    pub paused_until: Option<Instant>,
    /// What its loop does wrong.
    plant: Plant,
    /// Streams that its loop forgets to close.
    leaked: Vec<Pipe>,
}

/// Whether a worker lets nobody in because memory is short, as far as can be known from outside: it
/// hears of it in its own time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shortage {
    ordered: bool,
    pub may_be: bool,
    pub must_be: bool,
}

impl Shortage {
    /// Somebody tells the worker.
    pub const fn order(&mut self, is_short: bool) {
        self.ordered = is_short;
        self.may_be |= is_short;
        self.must_be &= is_short;
    }

    /// The worker has read all of its mail.
    const fn take_note(&mut self) {
        self.may_be = self.ordered;
        self.must_be = self.ordered;
    }
}

impl<V: Service> Core<V> {
    pub fn new(
        worker: Worker<Pipe, V>,
        bell: Arc<Bell>,
        metrics: Arc<Metrics>,
        plant: Plant,
    ) -> Self {
        Self {
            worker: Some(worker),
            bell,
            metrics,
            is_asleep: false,
            is_called: false,
            is_accepting: true,
            shortage: Shortage::default(),
            paused_until: None,
            plant,
            leaked: Vec::new(),
        }
    }

    pub fn open(&mut self, pipe: Pipe, origin: Origin, now: Instant) -> Option<Key> {
        self.is_called = true;
        if self.plant == Plant::LeakedDescriptor {
            self.leaked.push(pipe.clone());
        }
        self.worker.as_mut()?.open(pipe, origin, now)
    }

    pub fn ready(&mut self, key: Key, readiness: Readiness, now: Instant) {
        if let Some(worker) = &mut self.worker {
            worker.ready(key, readiness, now);
        }
    }

    /// Takes a turn, and does what it asks for.
    pub fn turn(&mut self, now: Instant) -> Result<(), Violation> {
        let Some(worker) = &mut self.worker else { return Ok(()) };
        self.bell.quiet();
        self.is_called = false;
        worker.turn(now);
        let mut exits = false;
        while let Some(request) = worker.poll_request() {
            match request {
                Request::StopAccepting => self.is_accepting = false,
                Request::Exit => exits = self.plant != Plant::ForgottenExit,
                Request::Connect { .. } => return Err("a worker wants to connect".to_owned()),
            }
        }
        self.is_asleep = worker.may_sleep();
        if self.is_asleep {
            self.shortage.take_note();
        }
        if exits {
            self.worker = None;
        }
        self.check()
    }

    /// Whether the loop would give it a turn without any readiness.
    pub fn is_due(&self, now: Instant) -> bool {
        let Some(worker) = &self.worker else { return false };
        let is_late = worker.deadline().is_some_and(|deadline| deadline <= now);
        let oversleeps = self.plant == Plant::ForgottenDeadline;
        !self.is_asleep || self.is_called || self.bell.is_rung() || (is_late && !oversleeps)
    }

    /// Whether it takes no turns now.
    pub fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    pub const fn has_exited(&self) -> bool {
        self.worker.is_none()
    }

    /// When it is to have a turn even if nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        self.worker.as_ref()?.deadline()
    }

    /// How often serving a connection has failed in code of ours.
    pub fn panics(&self) -> u64 {
        self.metrics.panics_total.get()
    }

    /// How many connections it counts.
    pub fn connections(&self) -> u64 {
        self.metrics.connections.get()
    }

    /// Holds what must be after mail has been put into its mailbox.
    pub fn check_woken(&self) -> Result<(), Violation> {
        if self.is_asleep && !self.bell.is_rung() && self.worker.is_some() {
            return Err("a worker sleeps over its mail".to_owned());
        }
        Ok(())
    }

    /// Holds what must be after every turn.
    fn check(&self) -> Result<(), Violation> {
        let metrics = &self.metrics;
        let opened = metrics.connections_opened_total.get();
        let closed = metrics.connections_closed_total.total();
        let live = metrics.connections.get();
        if opened - closed != live {
            return Err(format!("opened {opened}, closed {closed}, and {live} live"));
        }
        if live > 0 && self.worker.as_ref().is_some_and(|worker| worker.deadline().is_none()) {
            return Err(format!("{live} connections, and no deadline"));
        }
        Ok(())
    }
}
