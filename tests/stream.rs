//! Byte streams of a worker over pipes in memory: what a service writes comes, whole and in order,
//! for as long as the peer reads, and never more waits than is allowed.
// An instant to start from can only be had from the clock, and a test ends where it is surprised.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/pipe.rs"]
mod pipe;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use corecast::base::{Handler, Key, Origin, Readiness, Stream, Wake};
use corecast::hub::WorkerId;
use corecast::worker::addresses::Addresses;
use corecast::worker::mesh::{Handle, mesh};
use corecast::worker::metrics::{Metrics, MetricsSet, encode_prometheus};
use corecast::worker::{
    Bound, Caller, Context, Incoming, Limits, Listener, Offer, Service, Setup, Speech, Verdict,
    Worker,
};
use corecast::ws::{CloseCode, Message};
use pipe::Pipe;

/// Welcomes and echoes; `close` and `flood` are orders.
struct Subject;

impl Service for Subject {
    type State = ();

    fn upgrade(&mut self, _: &Incoming<'_>, _: &mut Context<'_, ()>) -> Verdict<()> {
        Verdict::accept(())
    }

    fn message(&mut self, _: Key, _: Message<'_>, _: &mut Context<'_, ()>) {}

    fn connected(&mut self, caller: &Caller<'_>, cx: &mut Context<'_, ()>) -> Option<()> {
        if caller.peer.address.port() == UNWANTED {
            return None;
        }
        assert_eq!(cx.write(caller.key, b"welcome!\n"), Offer::Queued);
        Some(())
    }

    fn bytes(&mut self, key: Key, bytes: &[u8], cx: &mut Context<'_, ()>) {
        match bytes {
            b"close" => cx.close(key, CloseCode::NORMAL, ""),
            b"flood" => while cx.write(key, &[0; 1024]) == Offer::Queued {},
            b"panic" => panic!("asked for"),
            _ => assert_eq!(cx.write(key, bytes), Offer::Queued),
        }
    }
}

/// The port of a peer that the service does not want.
const UNWANTED: u16 = 7;

/// What a worker reads at once.
const SCRATCH_BYTES: usize = 64 * 1024;

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

struct Bench {
    worker: Worker<Pipe, Subject>,
    handle: Handle,
    metrics: Arc<Metrics>,
    now: Instant,
}

struct Client {
    key: Key,
    pipe: Pipe,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let metrics = Arc::new(Metrics::default());
        let now = Instant::now();
        let (mut places, handle) = mesh(vec![Arc::new(Nobody)]);
        let (mailbox, doors) = places.remove(0);
        let worker = Worker::new(Setup {
            service: Subject,
            id: WorkerId::new(0),
            listeners: vec![Listener::plain().with_speech(Speech::Stream)],
            limits,
            addresses: Addresses::default(),
            mailbox,
            doors,
            metrics: MetricsSet::new(vec![Arc::clone(&metrics)].into(), 0),
            seed: 1,
            now,
        });
        Self { worker, handle, metrics, now }
    }

    fn connect_from(&mut self, port: u16, capacity: usize) -> Client {
        let (ours, theirs) = Pipe::pair(capacity);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let key = self.worker.open(theirs, Origin { via: 0, peer }, self.now).unwrap();
        Client { key, pipe: ours }
    }

    /// A stream that has been welcomed.
    fn connect(&mut self, capacity: usize) -> Client {
        let client = self.connect_from(5000, capacity);
        self.turn();
        assert_eq!(client.pipe.drain(), b"welcome!\n");
        client
    }

    fn tell(&mut self, client: &Client) {
        let both = Readiness::READABLE | Readiness::WRITABLE;
        let ended = if client.pipe.is_ended() { Readiness::ENDED } else { Readiness::default() };
        self.worker.ready(client.key, both | ended, self.now);
        self.turn();
    }

    fn turn(&mut self) {
        for _ in 0..100 {
            self.worker.turn(self.now);
            if self.worker.may_sleep() {
                return;
            }
        }
        panic!("the worker finds no rest");
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(next) = self.worker.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = end;
        self.turn();
    }

    fn closed(&self, label: &str) -> u64 {
        let page = encode_prometheus(&[Arc::clone(&self.metrics)]);
        let label = format!("reason=\"{label}\"");
        let is_meant = |line: &&str| line.contains("closed_total{") && line.contains(&label);
        let line = page.lines().find(is_meant).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

/// Bytes of which no two stretches are the same for long.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| byte()).collect()
}

/// Says all of `said` and hears it, in pieces of `piece` bytes; gives back what was heard, and the
/// most that the worker held at any time.
fn exchange(bench: &mut Bench, client: &mut Client, said: &[u8], piece: usize) -> (Vec<u8>, usize) {
    let (mut heard, mut rest, mut held_max) = (Vec::new(), said, 0);
    while heard.len() < said.len() {
        while let Ok(len) = client.pipe.write(&rest[..rest.len().min(piece)]) {
            rest = &rest[len..];
            bench.tell(client);
            if len == 0 || rest.is_empty() {
                break;
            }
        }
        let on_the_way = client.pipe.unread() + client.pipe.readable();
        held_max = held_max.max(said.len() - rest.len() - heard.len() - on_the_way);
        let part = client.pipe.take(piece);
        bench.tell(client);
        assert!(!part.is_empty(), "stuck after {} bytes", heard.len());
        heard.extend(part);
    }
    (heard, held_max)
}

#[test]
fn a_stream_is_welcomed_and_echoed() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.connect(1 << 20);
    for words in [&b"hello"[..], b"\0\xff", b"GET / HTTP/1.1\r\n\r\n"] {
        client.pipe.write_all(words).unwrap();
        bench.tell(&client);
        assert_eq!(client.pipe.drain(), words);
    }
    assert_eq!(bench.metrics.streams_total.get(), 1);
}

#[test]
fn a_reader_of_any_speed_gets_every_byte_and_makes_us_hold_no_more_than_the_bound() {
    let narrow = Limits {
        outbox: Bound { bytes_max: 4_096, frames_max: 8 },
        outbox_bytes_pause: 4_096,
        ..Limits::default()
    };
    for limits in [narrow, Limits::default()] {
        let bound = limits.outbox.bytes_max.max(limits.outbox_bytes_pause + SCRATCH_BYTES);
        for (capacity, piece, len) in
            [(10, 7, 20_000), (1_000, 1, 5_000), (300_000, 99_999, 4 << 20)]
        {
            let mut bench = Bench::new(limits);
            let mut client = bench.connect(capacity);
            let said = noise(len);
            let (heard, held_max) = exchange(&mut bench, &mut client, &said, piece);
            assert!(heard == said, "capacity {capacity}, piece {piece}");
            assert!(held_max <= bound, "{held_max} were held, {bound} are allowed");
        }
    }
}

#[test]
fn nothing_is_read_from_who_does_not_read() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.connect(1_000);
    let said = noise(1 << 20);
    let mut rest = &said[..];
    while let Ok(len) = client.pipe.write(rest) {
        rest = &rest[len..];
        bench.tell(&client);
        bench.turn();
    }
    let held = said.len() - rest.len() - client.pipe.unread() - client.pipe.readable();
    assert!((64 * 1024..=64 * 1024 + SCRATCH_BYTES).contains(&held), "{held}");
}

#[test]
fn who_ends_its_direction_gets_what_it_is_owed_however_slowly_it_reads() {
    let limits = Limits::default();
    let mut bench = Bench::new(limits);
    let mut client = bench.connect(100);
    let said = noise(50_000);
    client.pipe.set_capacity(100);
    let mut rest = &said[..];
    while !rest.is_empty() {
        let len = client.pipe.write(rest).unwrap();
        rest = &rest[len..];
        bench.tell(&client);
    }
    client.pipe.finish().unwrap();
    let mut heard = Vec::new();
    while heard.len() < said.len() {
        let all = heard.len() + client.pipe.readable() == said.len();
        assert!(all || !client.pipe.is_ended(), "it is owed more than {}", heard.len());
        // Longer in all than any one wait may be.
        bench.pass(limits.stall_ms_max / 2);
        let part = client.pipe.drain();
        assert!(!part.is_empty(), "stuck after {} bytes", heard.len());
        heard.extend(part);
        bench.tell(&client);
    }
    assert!(heard == said && client.pipe.is_dropped());
    assert_eq!(bench.closed("peer"), 1);
}

#[test]
fn who_reads_nothing_any_more_is_given_up() {
    for ends in [false, true] {
        let limits = Limits::default();
        let mut bench = Bench::new(limits);
        let mut client = bench.connect(100);
        while client.pipe.write(&[7; 100]).is_ok() {
            bench.tell(&client);
        }
        if ends {
            client.pipe.finish().unwrap();
            bench.tell(&client);
        }
        bench.pass(limits.stall_ms_max - 200);
        assert!(!client.pipe.is_dropped());
        bench.pass(400);
        assert!(client.pipe.is_dropped());
        assert_eq!(bench.closed("stalled"), 1, "ends: {ends}");
    }
}

#[test]
fn a_stream_may_be_quiet_for_so_long_and_no_longer() {
    let limits = Limits::default();
    let mut bench = Bench::new(limits);
    let mut client = bench.connect(1_000);
    bench.pass(limits.stream_idle_ms_max - 200);
    client.pipe.write_all(b"still here").unwrap();
    bench.tell(&client);
    assert_eq!(client.pipe.drain(), b"still here");
    bench.pass(limits.stream_idle_ms_max - 200);
    assert!(!client.pipe.is_ended());
    bench.pass(400);
    assert!(client.pipe.is_ended());
    client.pipe.finish().unwrap();
    bench.tell(&client);
    assert_eq!(bench.closed("silent"), 1);
}

#[test]
fn a_service_ends_streams_and_refuses_them() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.connect(1_000);
    client.pipe.write_all(b"close").unwrap();
    bench.tell(&client);
    assert!(client.pipe.is_ended() && client.pipe.drain().is_empty());
    let unwanted = bench.connect_from(UNWANTED, 1_000);
    bench.turn();
    assert!(unwanted.pipe.is_ended() && unwanted.pipe.drain().is_empty());
    for client in [client, unwanted] {
        client.pipe.clone().finish().unwrap();
        bench.tell(&client);
        assert!(client.pipe.is_dropped());
    }
    assert_eq!((bench.closed("service"), bench.closed("unwanted")), (1, 1));
}

#[test]
fn a_service_cannot_write_more_than_the_bound() {
    let limits = Limits::default();
    let mut bench = Bench::new(limits);
    let mut client = bench.connect(1 << 20);
    client.pipe.write_all(b"flood").unwrap();
    bench.tell(&client);
    let heard = client.pipe.drain();
    assert_eq!(heard.len(), limits.outbox.bytes_max, "what fitted is not taken back");
    assert!(client.pipe.is_ended());
    client.pipe.finish().unwrap();
    bench.tell(&client);
    assert_eq!(bench.closed("slow"), 1);
}

#[test]
fn a_panic_costs_the_stream_it_happened_in() {
    let mut bench = Bench::new(Limits::default());
    let (mut one, mut other) = (bench.connect(1_000), bench.connect(1_000));
    one.pipe.write_all(b"panic").unwrap();
    bench.tell(&one);
    assert!(one.pipe.is_dropped());
    other.pipe.write_all(b"hello").unwrap();
    bench.tell(&other);
    assert_eq!(other.pipe.drain(), b"hello");
}

#[test]
fn streams_end_when_the_server_stops() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.connect(1_000);
    client.pipe.write_all(b"last").unwrap();
    bench.tell(&client);
    bench.handle.drain(Duration::from_secs(5));
    bench.turn();
    assert_eq!(client.pipe.drain(), b"last");
    assert!(client.pipe.is_ended());
    client.pipe.finish().unwrap();
    bench.tell(&client);
    assert_eq!(bench.closed("draining"), 1);
}
