//! Very many peers at once: whoever is connected already, and says a little, hardly notices.
//!
//! Two thousand shake hands, run into a deadline in the same tick, leave together or never stop
//! talking: in every turn one who is connected is answered, and of the crowd no more is done than
//! the limits of a turn allow.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/pipe.rs"]
mod pipe;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use corecast::base::{Handler, Input, Key, Origin, Readiness, Tick, Wake};
use corecast::hub::WorkerId;
use corecast::tls::config::{Trust, client_config, server_config};
use corecast::tls::{ServerName, Tls, pki};
use corecast::worker::addresses::Addresses;
use corecast::worker::mesh::mesh;
use corecast::worker::metrics::{Metrics, MetricsSet};
use corecast::worker::{Context, Incoming, Limits, Listener, Service, Setup, Verdict, Worker};
use corecast::ws::{MaskKey, Message, Opcode, encoder};
use pipe::Pipe;

const CROWD: usize = 2_000;

/// Two of these are more than is read at once.
const CHATTER_BYTES: usize = 40_000;

const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Sends back what is short.
struct Echo;

impl Service for Echo {
    type State = ();

    fn upgrade(&mut self, _: &Incoming<'_>, _: &mut Context<'_, ()>) -> Verdict<()> {
        Verdict::accept(())
    }

    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, ()>) {
        if message.payload().len() < CHATTER_BYTES {
            let _ = cx.send(key, message);
        }
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// A worker that speaks plain on its first listener and TLS on its second, and one who is
/// connected.
struct Bench {
    worker: Worker<Pipe, Echo>,
    metrics: Arc<Metrics>,
    now: Instant,
    limits: Limits,
    good: (Pipe, Key),
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = pki::development(directory.path(), SystemTime::now()).unwrap();
        let tls = server_config(made.identity).unwrap();
        let (mailbox, doors) = mesh(vec![Arc::new(Nobody)]).0.remove(0);
        let (metrics, now) = (Arc::new(Metrics::default()), Instant::now());
        let mut worker = Worker::new(Setup {
            service: Echo,
            id: WorkerId::new(0),
            listeners: vec![Listener::plain(), Listener::tls(tls)],
            limits,
            addresses: Addresses::default(),
            mailbox,
            doors,
            metrics: MetricsSet::new(vec![Arc::clone(&metrics)].into(), 0),
            seed: 1,
            now,
        });
        let good = connect(&mut worker, 0, now);
        let mut bench = Self { worker, metrics, now, limits, good };
        let (mut pipe, key) = bench.good.clone();
        bench.upgrade(&mut pipe, key);
        bench
    }

    fn connect(&mut self, via: u32) -> (Pipe, Key) {
        connect(&mut self.worker, via, self.now)
    }

    fn upgrade(&mut self, pipe: &mut Pipe, key: Key) {
        pipe.write_all(UPGRADE).unwrap();
        self.worker.ready(key, Readiness::READABLE, self.now);
        self.worker.turn(self.now);
        assert!(pipe.drain().starts_with(b"HTTP/1.1 101 "));
    }

    /// Another that is connected.
    fn socket(&mut self) -> (Pipe, Key) {
        let (mut pipe, key) = self.connect(0);
        self.upgrade(&mut pipe, key);
        (pipe, key)
    }

    /// A turn, in which the one who is connected is answered.
    fn turn(&mut self) {
        let (pipe, key) = &mut self.good;
        say(pipe, b"still here");
        self.worker.ready(*key, Readiness::READABLE, self.now);
        self.worker.turn(self.now);
        assert!(pipe.drain().ends_with(b"still here"), "an echo leaves in the turn it came");
    }

    /// How many turns it takes until nobody of a crowd is left, of whom `most` go in a turn.
    fn turns_until_alone(&mut self, most: usize) -> usize {
        let mut turns = 0;
        while self.metrics.connections.get() > 1 {
            assert!(!self.worker.may_sleep(), "some have still to go");
            let before = self.metrics.connections.get();
            self.turn();
            let gone = before - self.metrics.connections.get();
            assert!(gone <= most as u64, "{gone} in a turn");
            turns += 1;
        }
        turns
    }
}

fn connect(worker: &mut Worker<Pipe, Echo>, via: u32, now: Instant) -> (Pipe, Key) {
    let (ours, theirs) = Pipe::pair(1 << 20);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
    let key = worker.open(theirs, Origin { via, peer }, now).unwrap();
    (ours, key)
}

fn say(pipe: &mut Pipe, payload: &[u8]) {
    let mut frame = Vec::new();
    encoder::encode_masked(&mut frame, Opcode::Binary, payload, MaskKey([1, 2, 3, 4]));
    pipe.write_all(&frame).unwrap();
}

#[test]
fn an_echo_waits_for_a_few_of_two_thousand_handshakes_at_most() {
    let mut bench = Bench::new(Limits::default());
    let config = client_config(Trust::Anyone).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut hello = Vec::new();
    let mut client = Tls::client(&config, name).unwrap();
    client.open(&mut Input::new(&mut []), &mut hello).unwrap();
    let mut waiting: Vec<_> = (0..CROWD)
        .map(|_| {
            let (mut pipe, key) = bench.connect(1);
            pipe.write_all(&hello).unwrap();
            bench.worker.ready(key, Readiness::READABLE, bench.now);
            pipe
        })
        .collect();

    let (most, mut turns) = (bench.limits.handshakes_per_turn_max, 0);
    while !waiting.is_empty() {
        bench.turn();
        let before = waiting.len();
        waiting.retain(|pipe| pipe.readable() == 0);
        let advanced = before - waiting.len();
        assert!(advanced <= most, "{advanced} handshakes in a turn");
        turns += 1;
    }
    assert_eq!(turns, CROWD.div_ceil(most), "and none is forgotten");
}

#[test]
fn a_crowd_whose_time_is_up_in_one_tick_is_ended_a_few_a_turn() {
    let mut bench = Bench::new(Limits::default());
    let _crowd: Vec<_> = (0..CROWD).map(|_| bench.connect(0)).collect();
    bench.now += Duration::from_millis(bench.limits.request_ms_max + Tick::MS);
    bench.turn();
    assert!(bench.worker.deadline().unwrap() <= bench.now, "some are late");
    let most = bench.limits.expiries_per_turn_max;
    assert_eq!(1 + bench.turns_until_alone(most), CROWD.div_ceil(most), "and none is forgotten");
}

#[test]
fn a_crowd_that_leaves_together_is_seen_off_a_few_a_turn() {
    let mut bench = Bench::new(Limits::default());
    let crowd: Vec<_> = (0..CROWD).map(|_| bench.connect(0)).collect();
    for (pipe, key) in crowd {
        drop(pipe);
        bench.worker.ready(key, Readiness::READABLE | Readiness::ENDED, bench.now);
    }
    let most = bench.limits.resumes_per_turn_max;
    assert_eq!(bench.turns_until_alone(most), CROWD.div_ceil(most), "and none is forgotten");
}

#[test]
fn those_who_never_stop_wait_for_who_says_a_little() {
    const TALKERS: usize = 50;
    const MESSAGES: usize = 8;
    let mut bench = Bench::new(Limits::default());
    let mut crowd: Vec<_> = (0..TALKERS).map(|_| bench.socket()).collect();
    for (pipe, key) in &mut crowd {
        (0..MESSAGES).for_each(|_| say(pipe, &vec![7; CHATTER_BYTES]));
        bench.worker.ready(*key, Readiness::READABLE, bench.now);
    }
    // Of each there is news once.
    bench.turn();
    let most = (bench.limits.resumes_per_turn_max * 64 * 1024) as u64;
    let mut turns = 0;
    while !bench.worker.may_sleep() {
        let before = bench.metrics.bytes_in_total.get();
        bench.turn();
        let read = bench.metrics.bytes_in_total.get() - before;
        assert!(read < most + 100, "{read} bytes in a turn");
        turns += 1;
    }
    let heard = bench.metrics.frames_in_total.get();
    assert_eq!(heard, (TALKERS * MESSAGES + turns + 1) as u64, "and each is heard out");
}

#[test]
fn who_sends_too_fast_is_read_little_at_a_time() {
    let mut limits = Limits::default();
    limits.pace.frames_per_second_max = NonZeroU32::new(10);
    let mut bench = Bench::new(limits);
    let (mut pipe, key) = bench.socket();
    for count in [20, 5_000] {
        (0..count).for_each(|_| say(&mut pipe, b"x"));
        bench.worker.ready(key, Readiness::READABLE, bench.now);
        bench.worker.turn(bench.now);
    }
    let before = bench.metrics.frames_in_total.get();
    assert_eq!(before, 20, "nothing was known against it, and then it is not read for a while");
    let (before, end) = (bench.metrics.bytes_in_total.get(), bench.now + Duration::from_secs(2));
    while bench.now < end {
        bench.now += Duration::from_millis(Tick::MS);
        bench.worker.turn(bench.now);
    }
    let read = bench.metrics.bytes_in_total.get() - before;
    assert!((1..=4 * 1_024).contains(&read), "{read} bytes");
}
