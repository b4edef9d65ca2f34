//! All attackers of a kind, on a thread of their own, and how the server dealt with them.
//!
//! ```text
//!   Attack: connect, begin, say again and again -- Reckon: all read what they were told -- Leave
//! ```
//!
//! Invariant: every attacker is in the slab, or still to come, until its answer has been counted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io::{self, Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use corecast::base::{Handler, Key, Origin, Readiness, Request, Slab, Wake};
use corecast::reactor::{Poller, Reactor, affinity};

use super::attacker::{Attacker, Scene, Tools, Victim};
use super::script::{Answer, Script};
use crate::accounting::Failure;
use crate::ports::Hand;

/// The name of the thread that attackers have to themselves.
pub const THREAD_NAME: &str = "attackers";

/// The most attackers that are on their way at once, so that all come as far as to attack.
const ON_THEIR_WAY_MAX: u32 = 64;

/// What a mob is told to do, as a number that threads share.
const ATTACK: u8 = 0;
const RECKON: u8 = 1;
const LEAVE: u8 = 2;

/// What a mob is made of.
#[derive(Debug)]
pub struct Muster {
    /// How many there are.
    pub attackers: u32,
    /// How long it takes until all have come.
    pub arrive: Duration,
    /// What they do.
    pub script: Arc<Script>,
    /// To whom.
    pub victim: Arc<Victim>,
    /// Where that is.
    pub target: SocketAddr,
    /// Where they come from; `None` leaves that to the system.
    pub hand: Option<Hand>,
}

/// How a server dealt with a mob.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Census {
    /// The answers, and how many were given each.
    pub answers: BTreeMap<Answer, u64>,
    /// Pongs that were sent to them.
    pub replies: u64,
}

/// A mob at work, from outside.
pub struct Crowd {
    phase: Arc<AtomicU8>,
    waker: Arc<dyn Wake>,
    thread: JoinHandle<io::Result<Census>>,
}

impl Crowd {
    /// Lets a mob loose.
    ///
    /// # Errors
    ///
    /// What the system lacks for it.
    pub fn unleash(muster: Muster, now: Instant) -> io::Result<Self> {
        let poller = Poller::new()?;
        let waker = poller.waker();
        let phase = Arc::new(AtomicU8::new(ATTACK));
        let mut mob = Mob::<TcpStream>::new(muster, Arc::clone(&phase), now);
        let attack = move || {
            // In earnest they had machines of their own.
            if let Err(error) = affinity::give_way() {
                log::warn!("attackers compete with the server for the CPU: {error}");
            }
            Reactor::new(poller, Vec::new())?.run(&mut mob)?;
            Ok(mob.census)
        };
        let thread = thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(attack)?;
        Ok(Self { phase, waker, thread })
    }

    /// Has all read what they were told, and nobody say anything more.
    pub fn reckon(&self) {
        self.tell(RECKON);
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// What kept the attackers from attacking.
    pub fn dismiss(self) -> io::Result<Census> {
        self.tell(LEAVE);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn tell(&self, phase: u8) {
        self.phase.store(phase, Ordering::Release);
        self.waker.wake();
    }
}

/// The attackers of one thread.
struct Mob<S> {
    muster: Muster,
    told: Arc<AtomicU8>,
    phase: u8,
    /// How many have still to come for the first time, and when the next does.
    to_come: u32,
    next_comes: Instant,
    /// When those come again that were seen off, in order.
    returning: VecDeque<Instant>,
    /// How many have begun to connect and not come as far as to attack.
    on_their_way: u32,
    visits: u64,
    attackers: Slab<Attacker<S>>,
    /// Who speaks next, and when.
    due: BinaryHeap<Reverse<(Instant, Key)>>,
    tools: Tools,
    census: Census,
    now: Instant,
}

impl<S: Read + Write> Mob<S> {
    fn new(muster: Muster, told: Arc<AtomicU8>, now: Instant) -> Self {
        Self {
            to_come: muster.attackers,
            next_comes: now,
            returning: VecDeque::new(),
            muster,
            told,
            phase: ATTACK,
            on_their_way: 0,
            visits: 0,
            attackers: Slab::default(),
            due: BinaryHeap::new(),
            tools: Tools::new(),
            census: Census::default(),
            now,
        }
    }

    fn with(
        &mut self,
        key: Key,
        act: impl FnOnce(&mut Attacker<S>, &mut Scene<'_>) -> Result<(), Answer>,
    ) {
        let Some(attacker) = self.attackers.get_mut(key) else { return };
        let had_begun = attacker.has_begun();
        let Muster { script, victim, .. } = &self.muster;
        let done = act(attacker, &mut Scene { victim, script, tools: &mut self.tools });
        if attacker.has_begun() && !had_begun {
            self.on_their_way -= 1;
            self.due.push(Reverse((self.now + script.pace, key)));
        }
        if let Err(answer) = done {
            // What one had still to say is not said by the next.
            self.tools.wire.clear();
            self.part(key, answer);
        }
    }

    /// Counts how one was dealt with, and forgets it.
    fn part(&mut self, key: Key, answer: Answer) {
        let Some(attacker) = self.attackers.remove(key) else { return };
        self.on_their_way -= u32::from(!attacker.has_begun());
        self.census.replies += attacker.replies;
        self.count(answer);
    }

    /// Counts how one was dealt with, who may come again.
    fn count(&mut self, answer: Answer) {
        *self.census.answers.entry(answer).or_default() += 1;
        if let Some(pause) = self.muster.script.returns {
            self.returning.push_back(self.now + pause);
        }
    }

    /// Does what it was told since.
    fn obey(&mut self) {
        let told = self.told.load(Ordering::Acquire);
        if told == self.phase {
            return;
        }
        self.phase = told;
        self.due.clear();
        let readiness = Readiness::READABLE | Readiness::ENDED;
        for key in self.attackers.keys() {
            self.with(key, |attacker, scene| attacker.tend(readiness, scene));
        }
        if told == LEAVE {
            for key in self.attackers.keys() {
                let has_begun = self.attackers.get(key).is_some_and(Attacker::has_begun);
                self.part(key, if has_begun { Answer::Open } else { Answer::Barred });
            }
            // Who was to come again has been counted when it left.
            for _ in 0..std::mem::take(&mut self.to_come) {
                self.count(Answer::Barred);
            }
        }
    }

    /// Lets those speak whose time has come.
    fn speak(&mut self) {
        while let Some(Reverse((due, key))) =
            self.due.peek().copied().filter(|it| it.0.0 <= self.now)
        {
            self.due.pop();
            self.with(key, Attacker::act);
            if self.attackers.get(key).is_some() {
                // Who was late does not catch up: there is no rate to be kept.
                let next = (due + self.muster.script.pace).max(self.now);
                self.due.push(Reverse((next, key)));
            }
        }
    }

    /// When the next one comes, if one does and may be on its way with the others.
    fn arrival(&self) -> Option<Instant> {
        if self.phase != ATTACK || self.on_their_way >= ON_THEIR_WAY_MAX {
            return None;
        }
        let first = (self.to_come > 0).then_some(self.next_comes);
        first.into_iter().chain(self.returning.front().copied()).min()
    }

    /// Lets the next one come, whose time it is.
    fn arrive(&mut self) {
        if self.to_come > 0 && self.next_comes <= self.now {
            self.to_come -= 1;
            self.next_comes += self.muster.arrive / self.muster.attackers.max(1);
        } else {
            self.returning.pop_front();
        }
    }

    fn connect(&mut self) -> Option<Request> {
        self.arrival().filter(|arrival| *arrival <= self.now)?;
        self.arrive();
        let from = match &mut self.muster.hand {
            None => None,
            Some(hand) => {
                let source = hand.next();
                if source.is_none() {
                    self.count(Answer::Barred);
                    return None;
                }
                source
            }
        };
        Some(Request::Connect { via: 0, to: self.muster.target, from })
    }
}

impl<S: Read + Write> Handler for Mob<S> {
    type Stream = S;

    fn open(&mut self, stream: S, _: Origin, _: Instant) -> Option<Key> {
        if let Some(hand) = &mut self.muster.hand {
            hand.taken();
        }
        self.on_their_way += 1;
        self.visits += 1;
        Some(self.attackers.insert(Attacker::new(stream, self.visits)))
    }

    fn connect_failed(&mut self, _: u32, error: &Error, _: Instant) {
        match Failure::from(error) {
            // It tries the next port of the hand.
            Failure::Ports if self.muster.hand.is_some() => self.returning.push_front(self.now),
            _ => self.count(Answer::Barred),
        }
    }

    fn ready(&mut self, key: Key, readiness: Readiness, now: Instant) {
        self.now = now;
        self.with(key, |attacker, scene| attacker.tend(readiness, scene));
    }

    fn turn(&mut self, now: Instant) {
        self.now = now;
        self.obey();
        self.speak();
    }

    fn deadline(&self) -> Option<Instant> {
        let speech = self.due.peek().map(|Reverse((due, _))| *due);
        speech.into_iter().chain(self.arrival()).min()
    }

    fn poll_request(&mut self) -> Option<Request> {
        if self.phase == LEAVE { Some(Request::Exit) } else { self.connect() }
    }
}
