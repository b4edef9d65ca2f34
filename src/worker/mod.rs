//! One core's world.
//!
//! A [`Worker`] is a pure machine: it has no clock, no thread and no system call of its own. A loop
//! ([`Handler`]) tells it what its streams may be asked for and what time it is; over pipes in
//! memory and a clock that jumps, a simulation drives the same code.
//!
//! ```text
//! ready(key) ---> unread                     mailbox (other cores, handles)
//!                   |                            |
//! turn: receive <---+----------------------------'
//!       listen    Link::receive -> Tls::open -> Session::next -> Service -> Context
//!       expire    the wheel: heartbeats, deadlines                             |
//!       deliver   Hub -> Outbox of each subscriber (a count, no copy)          |
//!       flush     Outbox -> Tls::seal -> Link::write  <---- replies -----------'
//!       post      one batch for each other core
//! ```
//!
//! Invariants, checked after every turn in debug builds: opened minus closed connections are live;
//! what has something to write is listed, or waits for its socket; an outbox is within its bound.

pub mod addresses;
mod admit;
mod apply;
mod breach;
mod codecs;
mod connection;
mod context;
mod expire;
mod flush;
pub mod limits;
mod link;
mod listen;
mod listener;
pub mod mesh;
pub mod metrics;
mod mourn;
mod outbox;
mod pace;
mod pressure;
mod receive;
mod service;
mod sleep;
mod staging;
mod warm;
mod world;

/// The atomics of `sleep`, for which a model checker puts its own.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
}

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use self::addresses::Addresses;
use self::codecs::Codecs;
use self::connection::{Guest, Marks};
use self::link::Link;
use self::mesh::{Door, Mailbox};
use self::metrics::MetricsSet;
use self::pace::Meters;
use self::staging::Staging;
use self::warm::Warm;
use self::world::{Reply, World};
use crate::base::{
    Clock, Handler, Key, Origin, Paged, Readiness, Request, Rng, Slab, Stream, Tick, Wheel,
};
use crate::hub::{Hub, WorkerId};
use crate::tls::Tls;

pub use self::breach::{Breach, Turned};
pub use self::context::Context;
pub use self::limits::Limits;
pub use self::listener::{Listener, Speech, Transport};
pub use self::outbox::{Bound, Offer};
pub use self::pressure::Pressure;
pub use self::service::{Caller, Incoming, Service, Verdict};
pub use crate::session::{CloseReason, Peer};

/// What is read at once: as much as a socket's buffer usually holds, and four records of TLS.
const SCRATCH_BYTES: usize = 64 * 1024;

/// A list of keys that is empty keeps room for so many: what a turn without a crowd needs.
const KEYS_KEPT: usize = 1_024;

/// How soon a batch is offered again to a core whose mailbox was full.
const REPOST: Duration = Duration::from_millis(1);

/// What a worker is made of.
#[derive(Debug)]
pub struct Setup<V> {
    /// What it serves.
    pub service: V,
    /// Which one it is.
    pub id: WorkerId,
    /// What each listener offers, by its number.
    pub listeners: Vec<Listener>,
    /// Its bounds.
    pub limits: Limits,
    /// Who is here from where, on all workers.
    pub addresses: Addresses,
    /// Where other cores and handles post to it.
    pub mailbox: Mailbox,
    /// Where it posts to other cores.
    pub doors: Vec<Door>,
    /// What is counted, here and on the other cores.
    pub metrics: MetricsSet,
    /// What its jitter and its hash maps depend on: nobody outside should know it.
    pub seed: u64,
    /// The time at which it begins.
    pub now: Instant,
}

/// One core's connections, and what connects them.
pub struct Worker<S, V: Service> {
    service: V,
    world: World<V::State>,
    /// The streams, by the index of their connection's key.
    links: Paged<Option<Link<S>>>,
    listeners: Vec<Listener>,
    mailbox: Mailbox,
    /// Open connections of which there is news: each is read from in this turn.
    unread: VecDeque<Key>,
    /// Those that have more to say than they have been heard for, and those that end: a few a turn.
    unheard: VecDeque<Key>,
    /// Those that still shake hands: a few of them a turn.
    shaking: VecDeque<Key>,
    /// Those that keep their TLS keys set up.
    warm: Warm,
    requests: VecDeque<Request>,
    draining: Option<Draining>,
    /// Where bytes are read to, decrypted and unmasked.
    scratch: Vec<u8>,
    /// Where frames are gathered.
    plain: Vec<u8>,
    /// Where they are sealed, behind what TLS itself has to say.
    wire: Vec<u8>,
    /// Keys whose entry in the wheel has come round and that have not been looked at.
    due: VecDeque<Key>,
}

/// How a shutdown goes on.
#[derive(Debug)]
struct Draining {
    /// Connections that have not been told yet.
    untold: Vec<Key>,
    /// When those that are left are dropped.
    until: Tick,
}

impl<S: Stream, V: Service> Worker<S, V> {
    /// A worker without connections.
    pub fn new(setup: Setup<V>) -> Self {
        let clock = Clock::new(setup.now);
        let mut rng = Rng::new(setup.seed);
        let workers = setup.doors.len() + 1;
        let world = World {
            id: setup.id,
            connections: Slab::default(),
            hub: Hub::new(setup.id, workers, rng.next_u64(), setup.limits.hub),
            staging: Staging::new(setup.id, setup.doors, setup.limits.staged_bytes_max),
            wheel: Wheel::new(Tick::default()),
            limits: setup.limits,
            metrics: setup.metrics,
            clock,
            now: setup.now,
            tick: Tick::default(),
            rng,
            dirty: Vec::new(),
            gone: Vec::new(),
            reply: Reply::default(),
            codecs: Codecs::default(),
            windows: None,
            addresses: setup.addresses,
            seats: Vec::new(),
            meters: Meters::default(),
            pressure: Pressure::default(),
            complained: None,
        };
        Self {
            service: setup.service,
            world,
            links: Paged::default(),
            listeners: setup.listeners,
            mailbox: setup.mailbox,
            unread: VecDeque::new(),
            unheard: VecDeque::new(),
            shaking: VecDeque::new(),
            warm: Warm::new(setup.limits.warm_max),
            requests: VecDeque::new(),
            draining: None,
            scratch: vec![0; SCRATCH_BYTES],
            plain: Vec::new(),
            wire: Vec::new(),
            due: VecDeque::new(),
        }
    }

    /// Does something for one connection and answers it: what it is told meanwhile is written at
    /// once.
    fn attend(&mut self, key: Key, act: impl FnOnce(&mut Self)) {
        self.world.reply.to = Some(key);
        self.guard(key, act);
        self.world.reply.to = None;
        self.answer(key);
    }

    fn link(&mut self, key: Key) -> Option<&mut Link<S>> {
        self.world.connections.get(key)?;
        self.links.get_mut(key.index())?.as_mut()
    }

    /// Notes that a connection has just sealed or opened a record. If it keeps its keys set up for
    /// the next one, whoever did so the longest ago may have to give its own back.
    fn warm(&mut self, key: Key) {
        let Some(Some(link)) = self.links.get_mut(key.index()) else { return };
        if !link.tls.as_ref().is_some_and(Tls::keeps_keys) {
            return;
        }
        let coldest = self.warm.touch(key, &mut link.seat);
        if let Some(tls) = coldest.and_then(|key| self.link(key)?.tls.as_mut()) {
            tls.rest();
            self.world.metrics().tls_cooled_total.add(1);
        }
    }

    /// Removes the connections that have ended, and tells the service of those it knew.
    fn bury(&mut self) {
        while let Some((key, reason)) = self.world.gone.pop() {
            self.world.mute(key);
            let Some(connection) = self.world.connections.remove(key) else { continue };
            self.world.hub.remove(key);
            self.world.meters.forget(key);
            self.world.rise(key);
            if let Some(link) = self.links.get_mut(key.index()) {
                *link = None;
            }
            self.world.metrics().connections.sub(1);
            self.world.metrics().connections_closed_total.add(reason.index(), 1);
            log::debug!("connection closed: {}", reason.label());
            if let Guest::Accepted(state) = connection.guest {
                self.world.metrics().established.sub(1);
                let cx = &mut Context::new(&mut self.world);
                let service = &mut self.service;
                let told = AssertUnwindSafe(|| service.closed(key, state, reason, cx));
                if catch_unwind(told).is_err() {
                    self.world.mourn();
                }
            }
        }
        self.tidy();
    }

    /// Gives back the memory of places that a crowd had which has gone.
    fn tidy(&mut self) {
        let slots = self.world.connections.slots();
        self.links.truncate(slots);
        self.world.seats.truncate(slots);
        for keys in [&mut self.unread, &mut self.unheard, &mut self.shaking] {
            if keys.is_empty() && keys.capacity() > KEYS_KEPT {
                *keys = VecDeque::new();
            }
        }
    }

    /// Hands what is staged to the other cores.
    ///
    /// While one of them has no room, announcements wait in the hub, where a topic has one at most:
    /// so subscribing and unsubscribing cannot make them pile up here.
    fn post(&mut self) {
        if self.world.staging.is_stuck() {
            self.flush_staged();
        }
        if !self.world.staging.is_stuck() {
            while let Some(announcement) = self.world.hub.poll_announcement() {
                self.world.staging.announce(&announcement);
            }
        }
        self.flush_staged();
    }

    fn flush_staged(&mut self) {
        let posted = self.world.staging.flush();
        self.world.metrics().wakes_total.add(posted.wakes);
        self.world.metrics().publications_lost_total.add(posted.lost);
    }

    fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            let metrics = self.world.metrics();
            let live = self.world.connections.len() as u64;
            let opened = metrics.connections_opened_total.get();
            let closed = metrics.connections_closed_total.total();
            assert_eq!(opened - closed, live, "opened minus closed are not the live ones");
            assert_eq!(metrics.connections.get(), live, "a live connection is not counted");
            assert!(self.world.gone.is_empty(), "a connection that has ended is still there");
            assert!(self.world.reply.bytes.is_empty(), "something said was not written");
            let bound = self.world.limits.outbox;
            let mut connections = self.world.connections.iter();
            assert!(connections.all(|(_, connection)| connection.outbox.is_within(bound)));
            self.world.hub.check_invariants();
        }
    }
}

impl<S: Stream, V: Service> Handler for Worker<S, V> {
    type Stream = S;

    fn open(&mut self, stream: S, origin: Origin, now: Instant) -> Option<Key> {
        self.world.begin(now);
        match self.admit(stream, origin) {
            Ok(key) => Some(key),
            Err(reason) => {
                self.world.turned(reason);
                None
            }
        }
    }

    fn turned_away(&mut self, _now: Instant) {
        self.world.turned(Turned::Files);
    }

    fn ready(&mut self, key: Key, readiness: Readiness, _now: Instant) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        if readiness.is_ended() {
            connection.marks.set(Marks::ENDED);
        }
        let unread = readiness.is_readable() && !connection.marks.has(Marks::PARKED);
        if unread && connection.marks.set(Marks::UNREAD) {
            // Who ends can wait: a crowd that leaves together must not keep others waiting.
            let list = if readiness.is_ended() { &mut self.unheard } else { &mut self.unread };
            list.push_back(key);
        }
        if readiness.is_writable() && connection.outbox.is_blocked() {
            self.world.touch(key);
        }
    }

    fn turn(&mut self, now: Instant) {
        self.world.begin(now);
        self.mailbox.awake();
        self.receive();
        self.listen_all();
        self.expire();
        self.drain();
        // The other cores begin with a publication before this one gives it to its own: a slice of
        // a large fan-out takes milliseconds.
        self.post();
        self.world.deliver();
        self.flush();
        self.bury();
        self.finish_drain();
        self.post();
        self.check_invariants();
    }

    fn deadline(&self) -> Option<Instant> {
        let timer = self.world.wheel.next().map(|tick| self.world.clock.instant(tick));
        let repost = self.world.staging.is_waiting().then(|| self.world.now + REPOST);
        // Some are late already, and wait for their turn.
        let late = (!self.due.is_empty()).then_some(self.world.now);
        let drained =
            self.draining.as_ref().map(|draining| self.world.clock.instant(draining.until));
        [timer, repost, drained, late].into_iter().flatten().min()
    }

    fn may_sleep(&mut self) -> bool {
        let idle = self.unread.is_empty()
            && self.unheard.is_empty()
            && self.due.is_empty()
            && self.shaking.is_empty()
            && self.world.dirty.is_empty()
            && !self.world.hub.has_pending()
            && self.draining.as_ref().is_none_or(|draining| draining.untold.is_empty());
        idle && self.mailbox.may_sleep()
    }

    fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }
}
