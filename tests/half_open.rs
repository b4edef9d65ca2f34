//! Ten thousand strangers begin a handshake and stop: what each may hold, and for how long.
// An instant to start from can only be had from the clock, and a test ends where it is surprised.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/alloc.rs"]
mod alloc;
#[path = "support/pipe.rs"]
mod pipe;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use corecast::base::{Handler, Input, Key, Origin, Readiness, Wake};
use corecast::hub::WorkerId;
use corecast::tls::config::{Trust, client_config, server_config};
use corecast::tls::{ServerName, Tls, pki};
use corecast::worker::addresses::Addresses;
use corecast::worker::mesh::mesh;
use corecast::worker::metrics::{Metrics, MetricsSet};
use corecast::worker::{Context, Incoming, Limits, Listener, Service, Setup, Verdict, Worker};
use corecast::ws::Message;
use pipe::Pipe;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

const STRANGERS: usize = 10_000;

/// What one of them may cost, with its place in every table and both ends of its pipe.
const STRANGER_BYTES_MAX: isize = 9 * 1024;

/// No finer than this is the clock of a worker.
const TICK_MS_MAX: u64 = 1_000;

/// Never meets anybody here.
struct Nothing;

impl Service for Nothing {
    type State = ();

    fn upgrade(&mut self, _: &Incoming<'_>, _: &mut Context<'_, ()>) -> Verdict<()> {
        Verdict::accept(())
    }

    fn message(&mut self, _: Key, _: Message<'_>, _: &mut Context<'_, ()>) {}
}

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

struct Bench {
    worker: Worker<Pipe, Nothing>,
    metrics: Arc<Metrics>,
    hello: Vec<u8>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = pki::development(directory.path(), SystemTime::now()).unwrap();
        let tls = server_config(made.identity).unwrap();
        let (metrics, now) = (Arc::new(Metrics::default()), Instant::now());
        let (mailbox, doors) = mesh(vec![Arc::new(Nobody)]).0.remove(0);
        let worker = Worker::new(Setup {
            service: Nothing,
            id: WorkerId::new(0),
            listeners: vec![Listener::tls(tls)],
            limits: Limits::default(),
            addresses: Addresses::default(),
            mailbox,
            doors,
            metrics: MetricsSet::new(vec![Arc::clone(&metrics)].into(), 0),
            seed: 1,
            now,
        });
        let config = client_config(Trust::Anyone).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut hello = Vec::new();
        let mut client = Tls::client(&config, name).unwrap();
        client.open(&mut Input::new(&mut []), &mut hello).unwrap();
        Self { worker, metrics, hello, now }
    }

    /// Lets all of them in, each with the first `said` bytes of a `ClientHello`.
    fn strangers(&mut self, said: usize) -> Vec<Pipe> {
        let strangers = (0..STRANGERS).map(|_| {
            let (mut ours, theirs) = Pipe::pair(1 << 16);
            let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
            let key = self.worker.open(theirs, Origin { via: 0, peer }, self.now).unwrap();
            ours.write_all(&self.hello[..said]).unwrap();
            self.worker.ready(key, Readiness::READABLE, self.now);
            ours
        });
        let strangers = strangers.collect();
        self.turns();
        strangers
    }

    /// Takes turns until nothing is left to do.
    fn turns(&mut self) {
        while {
            self.worker.turn(self.now);
            !self.worker.may_sleep()
        } {}
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(next) = self.worker.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.turns();
        }
        self.now = end;
    }

    /// Ten thousand come, say that much, and say no more; gives back what one of them held.
    fn wave(&mut self, said: usize) -> isize {
        let count = u64::try_from(STRANGERS).unwrap();
        let (before, ended) = (alloc::held(), self.metrics.limits_reached_total.total());
        let strangers = self.strangers(said);
        let held = (alloc::held() - before) / isize::try_from(STRANGERS).unwrap();
        self.pass(Limits::default().handshake_ms_max - TICK_MS_MAX);
        assert_eq!(self.metrics.connections.get(), count, "they have their time");
        self.pass(2 * TICK_MS_MAX);
        assert_eq!(self.metrics.connections.get(), 0);
        assert_eq!(self.metrics.limits_reached_total.total() - ended, count);
        assert!(strangers.iter().all(Pipe::is_dropped), "somebody is still connected");
        held
    }
}

#[test]
fn ten_thousand_half_open_handshakes_are_dropped_in_time_and_leave_nothing() {
    let mut bench = Bench::new();
    let whole = bench.hello.len();
    // Silence, a record's header cut, half a ClientHello, and all of it: then the server has
    // answered and waits for the client's second flight.
    for said in [0, 3, whole / 2, whole] {
        let held = bench.wave(said);
        println!("a stranger that says {said} bytes of its hello holds {held} bytes");
        assert!(held <= STRANGER_BYTES_MAX, "{said} bytes said, {held} bytes held");
        // The tables are as long as they have been; everything else has been given back.
        let settled = alloc::held();
        bench.wave(said);
        assert_eq!(alloc::held(), settled, "after {said} bytes of each");
    }
}
