//! One history: workers, clients and the network between them, moved a step at a time.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corecast::base::{Key, Readiness};
use corecast::hub::WorkerId;
use corecast::worker::addresses::Addresses;
use corecast::worker::metrics::{Metrics, MetricsSet};
use corecast::worker::{Setup, Worker};

use super::carriers::{Carriers, Ends};
use super::client::Client;
use super::core::Core;
use super::dice::Dice;
use super::hear::{Excuses, Violation};
use super::journal::{Conn, Journal};
use super::origin::Approach;
use super::plan::{Plan, Step, usize_of};
use super::plant::Plant;
use super::secure::SERVER;
use super::service::Subject;
use super::trace::Trace;

/// How long a shutdown waits for those who do not go.
pub const DRAIN: Duration = Duration::from_secs(10);

/// Everything that takes part.
pub struct History {
    pub plan: Plan,
    pub rng: Dice,
    pub now: Instant,
    pub cores: Vec<Core<Subject>>,
    pub carriers: Carriers,
    pub clients: Vec<Client>,
    pub journal: Rc<RefCell<Journal>>,
    pub trace: Trace,
    /// Since when the server has been shutting down.
    pub draining_since: Option<Instant>,
    pub last_conn: Conn,
    /// The last publication from outside all workers.
    pub last_call: u64,
    /// Whether memory was ever so short that those who are behind were sent away.
    pub was_severe: bool,
    /// Who is here from where, on all workers.
    pub addresses: Addresses,
    /// Keys of connections that have gone, for late news.
    stale: Vec<(usize, Key)>,
}

impl History {
    pub fn new(plan: Plan, mut rng: Dice, trace: Trace) -> Self {
        let now = start();
        let journal = Rc::new(RefCell::new(Journal::default()));
        let (carriers, ends) = Carriers::new(plan.workers, plan.mailbox_batches, plan.plant);
        let metrics = (0..plan.workers).map(|_| Arc::new(Metrics::default()));
        let metrics: Arc<[_]> = metrics.collect();
        let addresses = Addresses::new(plan.limits.addresses, rng.below(u64::MAX));
        let mut build = |(number, ends): (usize, Ends)| {
            let service = Subject::new(number, Rc::clone(&journal), plan.plant);
            let worker = Worker::new(Setup {
                service,
                id: WorkerId::new(u8::try_from(number).expect("few workers")),
                listeners: Approach::listeners(&SERVER),
                limits: plan.plant.spoil(plan.limits),
                addresses: addresses.clone(),
                mailbox: ends.mailbox,
                doors: ends.doors,
                metrics: MetricsSet::new(Arc::clone(&metrics), number),
                seed: rng.below(u64::MAX),
                now,
            });
            Core::new(worker, ends.bell, Arc::clone(&metrics[number]), plan.plant)
        };
        let cores = ends.into_iter().enumerate().map(&mut build).collect();
        let clients = (0..plan.clients).map(|_| Client::away()).collect();
        Self {
            plan,
            rng,
            now,
            cores,
            carriers,
            clients,
            journal,
            trace,
            draining_since: None,
            last_conn: 0,
            last_call: 0,
            was_severe: false,
            addresses,
            stale: Vec::new(),
        }
    }

    /// Runs the whole history: its steps, then the peace that must follow.
    pub fn run(&mut self) -> Result<(), Violation> {
        for _ in 0..self.plan.steps {
            if self.rng.is_over() {
                break;
            }
            self.step()?;
        }
        self.conclude()
    }

    fn step(&mut self) -> Result<(), Violation> {
        match self.draw_step() {
            Step::Turn => {
                let core = self.below(self.cores.len());
                if self.cores[core].is_paused(self.now) { Ok(()) } else { self.turn(core, false) }
            }
            Step::Deliver => {
                let client = self.below(self.clients.len());
                let len = 1 << self.rng.below(12);
                self.deliver(client, len);
                Ok(())
            }
            Step::Read => {
                let client = self.below(self.clients.len());
                let len = 1 << self.rng.below(14);
                self.read(client, len)
            }
            Step::Carry if self.carriers.len() > 0 => {
                let way = self.below(self.carriers.len());
                self.carry(way).map(|_| ())
            }
            Step::Carry => Ok(()),
            Step::Act => {
                let client = self.below(self.clients.len());
                self.act(client)
            }
            Step::Jump => {
                self.jump();
                Ok(())
            }
            Step::Lie => {
                self.lie();
                Ok(())
            }
            Step::Call => self.call(),
            Step::Fault => {
                let client = self.below(self.clients.len());
                self.fault(client);
                Ok(())
            }
        }
    }

    fn draw_step(&mut self) -> Step {
        let total = self.plan.weights.iter().sum();
        let mut drawn = self.rng.below(total);
        for (step, weight) in Step::ALL.into_iter().zip(self.plan.weights) {
            if drawn < weight {
                return step;
            }
            drawn -= weight;
        }
        Step::Turn
    }

    /// Gives a worker the turn that its loop would give it: if it is due, or something is ready.
    /// All readiness that is there is told if `all`, else some of it comes later.
    pub fn turn(&mut self, core: usize, all: bool) -> Result<(), Violation> {
        let mut told = 0;
        for wire in self.clients.iter_mut().filter_map(|client| client.wire.as_mut()) {
            let readiness = wire.edges();
            if wire.worker != core || readiness == Readiness::default() {
                continue;
            }
            if !all && self.rng.one_of(1, 4) {
                continue;
            }
            wire.tell(self.now);
            self.cores[core].ready(wire.key, readiness, self.now);
            told += 1;
        }
        // Any loop may be woken for nothing.
        let is_due = self.cores[core].is_due(self.now) || (!all && self.rng.one_of(1, 16));
        if told == 0 && !is_due {
            return Ok(());
        }
        self.trace.note(format_args!("turn of {core}, {told} ready"));
        self.cores[core].turn(self.now)?;
        self.carriers.note_turn(core);
        self.now += Duration::from_micros(self.rng.below(500));
        // Where a read gave less than there was, the rest seems to have come after it.
        for wire in self.clients.iter_mut().filter_map(|client| client.wire.as_mut()) {
            if wire.worker == core {
                wire.tell_rest();
            }
        }
        self.review(core)
    }

    /// Lets bytes of a client arrive.
    pub fn deliver(&mut self, client: usize, len: usize) {
        let (now, forgets) = (self.now, self.plan.plant == Plant::ForgottenEdge);
        let Some(wire) = self.clients[client].wire.as_mut().filter(|wire| wire.is_underway())
        else {
            return;
        };
        let before = wire.edges();
        let arrived = wire.deliver(len, now);
        if forgets && arrived % 8 == 3 {
            wire.take_edges();
            wire.note(before);
        }
        self.trace.note(format_args!("{arrived} bytes arrive from {client}"));
    }

    /// Lets a client read, and see the end if there is one.
    pub fn read(&mut self, client: usize, len: usize) -> Result<(), Violation> {
        let excuses = self.excuses();
        let forgets = self.plan.plant == Plant::ForgottenRoom;
        let now = self.now;
        let reader = &mut self.clients[client];
        if reader.is_stalled(now) {
            return Ok(());
        }
        let Some(wire) = &mut reader.wire else { return Ok(()) };
        let before = wire.edges();
        let bytes = wire.read(len);
        if forgets {
            wire.take_edges();
            wire.note(before);
        }
        let is_plain = reader.secure.is_none();
        let bytes = reader.unseal(bytes)?;
        if !bytes.is_empty() || !is_plain {
            self.trace.note(format_args!("{client} reads {}", super::trace::digest(&bytes)));
            reader.hear(&bytes, &self.journal.borrow(), excuses)?;
        }
        self.see_end(client)
    }

    /// Carries one batch on one way between two workers. Returns whether there was one.
    pub fn carry(&mut self, way: usize) -> Result<bool, Violation> {
        let Some((to, arrived)) = self.carriers.carry(way) else { return Ok(false) };
        if arrived {
            self.trace.note(format_args!("a batch arrives at {to}"));
            self.cores[to].check_woken()?;
        }
        Ok(true)
    }

    fn jump(&mut self) {
        let usual = self.plan.jump;
        let is_long = self.rng.one_of(1, 40);
        let most = if is_long { usual.saturating_mul(1_000) } else { usual };
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let jump = Duration::from_micros(self.rng.below(micros));
        self.now += jump.min(Duration::from_secs(4_000));
        self.trace.note(format_args!("{jump:?} pass"));
    }

    /// Tells a worker what is not so.
    fn lie(&mut self) {
        let both = Readiness::READABLE | Readiness::WRITABLE;
        let (core, key) = if self.rng.one_of(1, 2) && !self.stale.is_empty() {
            let place = self.below(self.stale.len());
            self.stale[place]
        } else {
            let client = self.below(self.clients.len());
            let Some(wire) = &self.clients[client].wire else { return };
            (wire.worker, wire.key)
        };
        self.trace.note(format_args!("{core} is told that {key:?} is ready"));
        self.cores[core].ready(key, both, self.now);
    }

    /// Orders every worker to shut down.
    pub fn drain(&mut self) {
        self.draining_since.get_or_insert(self.now);
        self.carriers.handle.drain(DRAIN);
    }

    /// Notes that a client's connection is over.
    pub fn forget(&mut self, client: usize) {
        if let Some(wire) = &self.clients[client].wire {
            self.stale.push((wire.worker, wire.key));
        }
        self.clients[client].leave();
    }

    pub const fn is_draining(&self) -> bool {
        self.draining_since.is_some()
    }

    pub const fn excuses(&self) -> Excuses {
        let tight = !self.plan.roomy || self.was_severe;
        Excuses { draining: self.is_draining(), tight, now: self.now }
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize_of(self.rng.below(bound as u64))
    }
}

/// Some instant: it can be had from nowhere else, and only differences count.
fn start() -> Instant {
    Instant::now()
}
