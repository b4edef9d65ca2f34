//! Connections through proxies, over pipes in memory: whose they are, and who is refused.
// An instant to start from can only be had from the clock, and a test ends where it is surprised.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/pipe.rs"]
mod pipe;

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corecast::base::{Handler, Key, Origin, Readiness, Stream, Wake};
use corecast::http::{Response, Status};
use corecast::hub::WorkerId;
use corecast::proxy::{Network, PREAMBLE_BYTES_MAX};
use corecast::worker::addresses::{self, Addresses};
use corecast::worker::mesh::mesh;
use corecast::worker::metrics::{Metrics, MetricsSet, encode_prometheus};
use corecast::worker::{
    Caller, Context, Incoming, Limits, Listener, Service, Setup, Speech, Verdict, Worker,
};
use corecast::ws::Message;
use pipe::Pipe;

/// Tells everybody who they are.
struct Subject;

impl Service for Subject {
    type State = ();

    fn upgrade(&mut self, _: &Incoming<'_>, _: &mut Context<'_, ()>) -> Verdict<()> {
        Verdict::accept(())
    }

    fn request(&mut self, request: &Incoming<'_>, _: &mut Context<'_, ()>) -> Response {
        Response::text(Status::OK, request.peer.address.to_string())
    }

    fn message(&mut self, _: Key, _: Message<'_>, _: &mut Context<'_, ()>) {}

    fn connected(&mut self, caller: &Caller<'_>, cx: &mut Context<'_, ()>) -> Option<()> {
        let _ = cx.write(caller.key, caller.peer.address.to_string().as_bytes());
        Some(())
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// A worker with a listener of each kind behind the proxies 10.0.0.0/8.
struct Bench {
    worker: Worker<Pipe, Subject>,
    metrics: Arc<Metrics>,
    now: Instant,
}

/// Requests with `X-Forwarded-For`.
const FORWARDED: u32 = 0;
/// Requests behind the PROXY protocol.
const ANNOUNCED: u32 = 1;
/// Streams behind it.
const STREAM: u32 = 2;

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const PROXY: &str = "10.1.2.3:4";

impl Bench {
    fn new() -> Self {
        Self::with_addresses(Addresses::default())
    }

    fn with_addresses(addresses: Addresses) -> Self {
        let metrics = Arc::new(Metrics::default());
        let now = Instant::now();
        let (mut places, _) = mesh(vec![Arc::new(Nobody)]);
        let (mailbox, doors) = places.remove(0);
        let trusted = vec![Network::parse("10.0.0.0/8").unwrap()];
        let worker = Worker::new(Setup {
            service: Subject,
            id: WorkerId::new(0),
            listeners: vec![
                Listener::plain().behind(trusted.clone(), false),
                Listener::plain().behind(trusted.clone(), true),
                Listener::plain().with_speech(Speech::Stream).behind(trusted, true),
            ],
            limits: Limits::default(),
            mailbox,
            doors,
            addresses,
            metrics: MetricsSet::new(vec![Arc::clone(&metrics)].into(), 0),
            seed: 1,
            now,
        });
        Self { worker, metrics, now }
    }

    fn connect(&mut self, via: u32, peer: &str) -> Option<(Key, Pipe)> {
        let (ours, theirs) = Pipe::pair(1 << 20);
        let peer: SocketAddr = peer.parse().unwrap();
        let key = self.worker.open(theirs, Origin { via, peer }, self.now)?;
        Some((key, ours))
    }

    /// What comes back for `parts`, each said when the last has been heard.
    fn ask(&mut self, via: u32, peer: &str, parts: &[&[u8]]) -> (String, Pipe) {
        let (key, mut pipe) = self.connect(via, peer).unwrap();
        for part in parts {
            let _ = pipe.write(part);
            self.worker.ready(key, Readiness::READABLE | Readiness::WRITABLE, self.now);
            for _ in 0..4 {
                self.worker.turn(self.now);
            }
        }
        (String::from_utf8(pipe.drain()).unwrap(), pipe)
    }

    fn assert_count(&self, line: &str) {
        let page = encode_prometheus(&[Arc::clone(&self.metrics)]);
        assert!(page.contains(line), "{line} is not in\n{page}");
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.worker.turn(self.now);
    }
}

#[test]
fn a_trusted_proxy_says_in_each_request_whose_it_is() {
    let ask = |value: &str| {
        format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {value}\r\n\r\n").into_bytes()
    };
    let rows = [
        (PROXY, "203.0.113.5", "203.0.113.5:0"),
        (PROXY, "127.0.0.1, 203.0.113.5, 10.9.9.9", "203.0.113.5:0"),
        (PROXY, "nobody", PROXY),
        ("192.0.2.1:4", "203.0.113.5", "192.0.2.1:4"),
    ];
    for (peer, value, client) in rows {
        let mut bench = Bench::new();
        let (answer, _) = bench.ask(FORWARDED, peer, &[&ask(value)]);
        assert!(answer.ends_with(&format!("\r\n\r\n{client}")), "{peer} {value}: {answer}");
    }
    // A proxy uses one connection for several clients.
    let mut bench = Bench::new();
    let (answers, _) = bench.ask(FORWARDED, PROXY, &[&ask("192.0.2.7"), &ask("192.0.2.8"), ASK]);
    for client in ["192.0.2.7:0", "192.0.2.8:0", PROXY] {
        assert!(answers.contains(&format!("\r\n\r\n{client}")), "{answers}");
    }
}

#[test]
fn an_announced_client_is_the_peer_however_its_words_are_cut() {
    let line = b"PROXY TCP4 203.0.113.5 198.51.100.7 56324 443\r\n";
    let binary = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0F"[..],
        &[203, 0, 113, 5, 198, 51, 100, 7, 0xDC, 0x04, 1, 0xBB, 4, 0, 0],
    ]
    .concat();
    for preamble in [&line[..], &binary] {
        let said = [preamble, ASK].concat();
        for cut in 0..said.len() {
            let mut bench = Bench::new();
            let (answer, _) = bench.ask(ANNOUNCED, PROXY, &[&said[..cut], &said[cut..]]);
            assert!(answer.ends_with("\r\n\r\n203.0.113.5:56324"), "cut at {cut}: {answer}");
        }
        let mut bench = Bench::new();
        assert_eq!(bench.ask(STREAM, PROXY, &[preamble]).0, "203.0.113.5:56324");
    }
}

#[test]
fn a_proxy_that_asks_for_itself_keeps_its_address() {
    for preamble in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut bench = Bench::new();
        let (answer, _) = bench.ask(ANNOUNCED, PROXY, &[preamble, ASK]);
        assert!(answer.ends_with(&format!("\r\n\r\n{PROXY}")), "{answer}");
    }
}

#[test]
fn who_is_no_trusted_proxy_does_not_get_in() {
    let mut bench = Bench::new();
    for peer in ["192.0.2.1:4", "127.0.0.1:4", "[2001:db8::1]:4"] {
        assert!(bench.connect(ANNOUNCED, peer).is_none(), "{peer}");
    }
    bench.assert_count("refused_total{worker=\"0\",reason=\"untrusted\"} 3");
}

#[test]
fn a_proxy_that_announces_nobody_is_dropped_at_once() {
    let endless = [&b"\r\n\r\n\0\r\nQUIT\n\x21\0\xFF\xFF"[..], &[0; PREAMBLE_BYTES_MAX]].concat();
    for said in [ASK, b"\x16\x03\x01\x02\0", b"PROXY TCP4 a b c d\r\n", &endless] {
        let mut bench = Bench::new();
        let (answer, pipe) = bench.ask(ANNOUNCED, PROXY, &[said]);
        assert!(answer.is_empty() && pipe.is_dropped(), "{}", said.escape_ascii());
        bench.assert_count("closed_total{worker=\"0\",reason=\"unannounced\"} 1");
    }
}

#[test]
fn an_announcement_has_its_time_and_no_more() {
    let limits = Limits::default();
    for said in [&b""[..], b"PROXY TCP4"] {
        let mut bench = Bench::new();
        let (_, pipe) = bench.ask(ANNOUNCED, PROXY, &[said]);
        bench.pass(limits.handshake_ms_max - 200);
        assert!(!pipe.is_dropped());
        bench.pass(400);
        assert!(pipe.is_dropped(), "{}", said.escape_ascii());
    }
}

#[test]
fn a_client_behind_a_proxy_is_counted_by_its_own_address() {
    let one = addresses::Limits { connections_max: NonZeroU32::new(1), ..Default::default() };
    let upgrade = |client: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             X-Forwarded-For: {client}\r\n\r\n"
        )
    };
    let mut bench = Bench::with_addresses(Addresses::new(one, 1));
    let announce = |client: &str| format!("PROXY TCP4 {client} 10.0.0.1 1 1\r\n");
    let (welcome, first) = bench.ask(STREAM, PROXY, &[announce("192.0.2.1").as_bytes()]);
    assert_eq!(welcome, "192.0.2.1:1");
    // The proxy brings another one; the same client is turned away however it comes.
    assert!(!bench.ask(STREAM, PROXY, &[announce("192.0.2.2").as_bytes()]).0.is_empty());
    let (silence, again) = bench.ask(STREAM, PROXY, &[announce("192.0.2.1").as_bytes()]);
    assert!(silence.is_empty() && again.is_dropped());
    bench.assert_count("closed_total{worker=\"0\",reason=\"crowded\"} 1");
    let (refused, _) = bench.ask(FORWARDED, PROXY, &[upgrade("192.0.2.1").as_bytes()]);
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    bench.assert_count("refused_total{worker=\"0\",reason=\"address-connections\"} 2");
    drop(first);
    let (accepted, _) = bench.ask(FORWARDED, PROXY, &[upgrade("192.0.2.3").as_bytes()]);
    assert!(accepted.starts_with("HTTP/1.1 101 "), "{accepted}");
    let (refused, _) = bench.ask(FORWARDED, PROXY, &[upgrade("192.0.2.3").as_bytes()]);
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
}

#[test]
fn who_is_turned_away_is_not_heard_any_more() {
    let none = addresses::Limits { connections_max: NonZeroU32::new(1), ..Default::default() };
    let mut bench = Bench::with_addresses(Addresses::new(none, 1));
    let announced = b"PROXY TCP4 192.0.2.1 10.0.0.1 1 1\r\n";
    let (_, _stays) = bench.ask(STREAM, PROXY, &[announced]);
    let (key, mut pipe) = bench.connect(STREAM, PROXY).unwrap();
    // The worker reads a little more than the announcement, and then the rest.
    pipe.write_all(&[announced.as_slice(), b"and so on"].concat()).unwrap();
    pipe.set_chunk(announced.len() + 1);
    pipe.finish().unwrap();
    bench.worker.ready(key, Readiness::READABLE | Readiness::ENDED, bench.now);
    bench.worker.turn(bench.now);
    assert!(pipe.is_dropped());
    bench.assert_count("panics_total{worker=\"0\"} 0");
}

#[test]
fn a_plain_request_behind_a_proxy_is_counted_by_its_clients_address() {
    let two = NonZeroU32::new(2);
    let limits = addresses::Limits { connects_per_second_max: two, ..Default::default() };
    let mut bench = Bench::with_addresses(Addresses::new(limits, 1));
    let of =
        |client: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
    // All of them on one connection, which goes on: it is the proxy's.
    let (one, other) = (of("192.0.2.1"), of("192.0.2.2"));
    let asked = [&one, &one, &one, &other].map(String::as_bytes);
    let (answers, _) = bench.ask(FORWARDED, PROXY, &asked);
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "429", "200"]);
    bench.assert_count("refused_total{worker=\"0\",reason=\"address-rate\"} 1");
    // Who has as many connections as it may have is not answered either, and answers take no place.
    let limits = addresses::Limits { connections_max: NonZeroU32::new(1), ..Default::default() };
    let mut bench = Bench::with_addresses(Addresses::new(limits, 1));
    let (answers, _) = bench.ask(FORWARDED, PROXY, &asked);
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 4, "{answers}");
    let announced = b"PROXY TCP4 192.0.2.1 10.0.0.1 1 1\r\n";
    let (_, _stream) = bench.ask(STREAM, PROXY, &[announced]);
    let (answers, _) = bench.ask(FORWARDED, PROXY, &[one.as_bytes(), other.as_bytes()]);
    assert!(answers.starts_with("HTTP/1.1 429 ") && answers.contains("HTTP/1.1 200 "));
}

#[test]
fn who_leaves_before_it_is_announced_is_let_go() {
    let mut bench = Bench::new();
    let (key, mut pipe) = bench.connect(ANNOUNCED, PROXY).unwrap();
    pipe.finish().unwrap();
    bench.worker.ready(key, Readiness::READABLE | Readiness::ENDED, bench.now);
    bench.worker.turn(bench.now);
    assert!(pipe.is_dropped());
}
