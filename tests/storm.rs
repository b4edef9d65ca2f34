//! Two thousand clients shake hands at once: whoever is connected already hardly notices.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/pipe.rs"]
mod pipe;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use corecast::base::{Handler, Input, Key, Origin, Readiness, Wake};
use corecast::hub::WorkerId;
use corecast::tls::config::{Trust, client_config, server_config};
use corecast::tls::{ServerName, Tls, pki};
use corecast::worker::addresses::Addresses;
use corecast::worker::mesh::mesh;
use corecast::worker::metrics::{Metrics, MetricsSet};
use corecast::worker::{Context, Incoming, Limits, Listener, Service, Setup, Verdict, Worker};
use corecast::ws::{MaskKey, Message, Opcode, encoder};
use pipe::Pipe;

const CLIENTS: usize = 2_000;

/// Sends back what it gets.
struct Echo;

impl Service for Echo {
    type State = ();

    fn upgrade(&mut self, _: &Incoming<'_>, _: &mut Context<'_, ()>) -> Verdict<()> {
        Verdict::accept(())
    }

    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, ()>) {
        let _ = cx.send(key, message);
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// A worker that speaks plain on its first listener and TLS on its second.
fn worker(limits: Limits, now: Instant) -> Worker<Pipe, Echo> {
    let directory = tempfile::tempdir().unwrap();
    let made = pki::development(directory.path(), SystemTime::now()).unwrap();
    let tls = server_config(made.identity).unwrap();
    let (mailbox, doors) = mesh(vec![Arc::new(Nobody)]).0.remove(0);
    Worker::new(Setup {
        service: Echo,
        id: WorkerId::new(0),
        listeners: vec![Listener::plain(), Listener::tls(tls)],
        limits,
        addresses: Addresses::default(),
        mailbox,
        doors,
        metrics: MetricsSet::new(vec![Arc::new(Metrics::default())].into(), 0),
        seed: 1,
        now,
    })
}

fn connect(worker: &mut Worker<Pipe, Echo>, via: u32, now: Instant) -> (Pipe, Key) {
    let (ours, theirs) = Pipe::pair(1 << 16);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
    let key = worker.open(theirs, Origin { via, peer }, now).unwrap();
    (ours, key)
}

#[test]
fn an_echo_waits_for_a_few_of_two_thousand_handshakes_at_most() {
    let (limits, now) = (Limits::default(), Instant::now());
    let mut worker = worker(limits, now);
    let (mut socket, key) = connect(&mut worker, 0, now);
    socket
        .write_all(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
    worker.ready(key, Readiness::READABLE, now);
    worker.turn(now);
    assert!(socket.drain().starts_with(b"HTTP/1.1 101 "));

    let config = client_config(Trust::Anyone).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut hello = Vec::new();
    let mut client = Tls::client(&config, name).unwrap();
    client.open(&mut Input::new(&mut []), &mut hello).unwrap();
    let mut waiting: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut pipe, key) = connect(&mut worker, 1, now);
            pipe.write_all(&hello).unwrap();
            worker.ready(key, Readiness::READABLE, now);
            pipe
        })
        .collect();

    let mut ping = Vec::new();
    encoder::encode_masked(&mut ping, Opcode::Text, b"still here", MaskKey([1, 2, 3, 4]));
    let mut turns = 0;
    while !waiting.is_empty() {
        socket.write_all(&ping).unwrap();
        worker.ready(key, Readiness::READABLE, now);
        worker.turn(now);
        assert!(socket.drain().ends_with(b"still here"), "an echo leaves in the turn it came");
        let before = waiting.len();
        waiting.retain(|pipe| pipe.readable() == 0);
        let advanced = before - waiting.len();
        assert!(advanced <= limits.handshakes_per_turn_max, "{advanced} handshakes in a turn");
        turns += 1;
    }
    assert_eq!(turns, CLIENTS.div_ceil(limits.handshakes_per_turn_max), "and none is forgotten");
}
