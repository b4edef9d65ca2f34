//! A worker over pipes in memory: what peers get for what they do, without a socket or a clock.
// An instant to start from can only be had from the clock, and a test ends where it is surprised.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/pipe.rs"]
mod pipe;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use corecast::base::{Handler, Key, Origin, Readiness, Request, Wake};
use corecast::hub::{TopicName, WorkerId};
use corecast::worker::addresses::Addresses;
use corecast::worker::mesh::{Handle, mesh};
use corecast::worker::metrics::{Metrics, MetricsSet};
use corecast::worker::{
    Bound, Context, Incoming, Limits, Listener, Service, Setup, Verdict, Worker,
};
use corecast::ws::{
    CloseCode, CloseFrame, Decoder, Event, MaskKey, Message, Opcode, Role, encoder,
};
use pipe::Pipe;

/// Echoes, or publishes to the topic that is the path.
#[derive(Default)]
struct Subject;

impl Service for Subject {
    type State = Option<TopicName>;

    fn upgrade(
        &mut self,
        request: &Incoming<'_>,
        cx: &mut Context<'_, Self::State>,
    ) -> Verdict<Self::State> {
        let topic = match request.head.path() {
            "/echo" => None,
            path => TopicName::new(path.trim_start_matches('/')).ok(),
        };
        if let Some(topic) = &topic {
            let _ = cx.subscribe(request.key, topic).unwrap();
        }
        Verdict::accept(topic)
    }

    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, Self::State>) {
        assert_ne!(message.payload(), b"panic", "asked for");
        match cx.state(key).cloned().flatten() {
            Some(topic) => cx.publish(&topic, message),
            None => {
                let _ = cx.send(key, message);
            }
        }
    }
}

/// Wakes nobody: the test takes every turn itself.
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
    decoder: Decoder,
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
            listeners: vec![Listener::plain()],
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

    fn connect(&mut self) -> Client {
        let (ours, theirs) = Pipe::pair(1 << 20);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
        let key = self.worker.open(theirs, Origin { via: 0, peer }, self.now).unwrap();
        Client { key, pipe: ours, decoder: Decoder::new(Role::Client) }
    }

    fn socket(&mut self, path: &str) -> Client {
        let mut client = self.connect();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        client.pipe.write_all(head.as_bytes()).unwrap();
        self.tell(&client);
        let answer = String::from_utf8(client.pipe.drain()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        client
    }

    /// Makes the worker look at a connection, and take turns until nothing is left to do.
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
}

impl Client {
    fn say(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        encoder::encode_masked(&mut frame, opcode, payload, MaskKey([7, 8, 9, 10]));
        self.pipe.write_all(&frame).unwrap();
    }

    fn say_raw(&mut self, bytes: &[u8]) {
        self.pipe.write_all(bytes).unwrap();
    }

    /// What has arrived, as frames: opcode and payload.
    fn hear(&mut self) -> Vec<Event<'static>> {
        let mut bytes = self.pipe.drain();
        let mut input = corecast::base::Input::new(&mut bytes);
        let limits = corecast::ws::Limits { message_bytes_max: 1 << 20, fragments_max: 9 };
        let mut events = Vec::new();
        while let Some(event) = self.decoder.next(&mut input, &limits).unwrap() {
            events.push(match event {
                Event::Text(text) => Event::Text(text.into_owned().into()),
                Event::Binary(bytes) => Event::Binary(bytes.into_owned().into()),
                Event::Deflated(message) => panic!("nobody agreed to {message:?}"),
                Event::Ping(bytes) => Event::Ping(bytes.into_owned().into()),
                Event::Pong(bytes) => Event::Pong(bytes.into_owned().into()),
                Event::Close(frame) => Event::Close(frame.map(CloseFrame::into_owned)),
            });
        }
        events
    }

    fn close_code(&mut self) -> Option<CloseCode> {
        match self.hear().pop() {
            Some(Event::Close(frame)) => frame.map(|frame| frame.code),
            other => panic!("no close but {other:?}"),
        }
    }
}

fn text(text: &str) -> Event<'static> {
    Event::Text(text.to_owned().into())
}

#[test]
fn a_message_comes_back() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.socket("/echo");
    client.say(Opcode::Text, b"one");
    client.say(Opcode::Text, b"two");
    client.say(Opcode::Ping, b"here?");
    bench.tell(&client);
    assert_eq!(client.hear(), [text("one"), text("two"), Event::Pong(b"here?"[..].into())]);
}

#[test]
fn a_message_comes_back_however_its_bytes_are_cut() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.socket("/echo");
    client.pipe.set_chunk(1);
    for _ in 0..3 {
        let mut frame = Vec::new();
        encoder::encode_masked(&mut frame, Opcode::Text, "köln".as_bytes(), MaskKey([1, 2, 3, 4]));
        for byte in frame {
            client.pipe.write_all(&[byte]).unwrap();
            bench.tell(&client);
        }
        assert_eq!(client.hear(), [text("köln")]);
    }
}

#[test]
fn frames_that_came_with_the_request_are_answered() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.connect();
    let head = "GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.pipe.write_all(head.as_bytes()).unwrap();
    client.say(Opcode::Text, b"early");
    bench.tell(&client);
    let answer = client.pipe.drain();
    assert!(answer.ends_with(b"\r\n\r\n\x81\x05early"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_publication_reaches_every_subscriber_and_nobody_else() {
    let mut bench = Bench::new(Limits::default());
    let mut clients: Vec<_> = (0..5).map(|_| bench.socket("/prices")).collect();
    let mut other = bench.socket("/weather");
    clients[2].say(Opcode::Text, b"up");
    clients[2].say(Opcode::Text, b"down");
    bench.tell(&clients[2]);
    for client in &mut clients {
        assert_eq!(client.hear(), [text("up"), text("down")]);
    }
    assert_eq!(other.hear(), []);
    assert_eq!(bench.metrics.deliveries_total.get(), 10);
}

#[test]
fn an_unmasked_frame_ends_the_connection_with_1002() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.socket("/echo");
    client.pipe.write_all(b"\x81\x02hi").unwrap();
    bench.tell(&client);
    assert_eq!(client.close_code(), Some(CloseCode::PROTOCOL));
    bench.pass(3_000);
    assert!(client.pipe.is_ended());
    assert_eq!(bench.metrics.connections.get(), 0);
}

#[test]
fn what_follows_a_fault_is_swallowed_so_that_no_reset_overtakes_the_close() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.socket("/echo");
    client.pipe.write_all(b"\x81\x02hi").unwrap();
    bench.tell(&client);
    assert!(client.pipe.is_ended(), "no answer is awaited");
    client.pipe.write_all(&[0xFF; 1_000]).unwrap();
    bench.tell(&client);
    assert_eq!(bench.metrics.connections.get(), 1, "it lingers");
    assert_eq!(client.close_code(), Some(CloseCode::PROTOCOL));
}

#[test]
fn a_close_is_answered_with_its_own_code_and_ends_the_connection() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.socket("/echo");
    client.say(Opcode::Text, b"last");
    client.say(Opcode::Close, &encoder::close_payload(CloseCode::NORMAL, "bye"));
    bench.tell(&client);
    let events = client.hear();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(matches!(&events[1], Event::Close(Some(frame)) if frame.code == CloseCode::NORMAL));
    assert!(client.pipe.is_ended(), "the server ends the stream first");
    let Client { key, pipe, .. } = client;
    drop(pipe);
    bench.worker.ready(key, Readiness::ENDED, bench.now);
    bench.turn();
    assert_eq!(bench.metrics.connections.get(), 0);
}

#[test]
fn requests_are_answered_one_after_the_other_on_one_connection() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.connect();
    client.pipe.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    client.pipe.write_all(b"GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    bench.tell(&client);
    let answer = String::from_utf8(client.pipe.drain()).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 404 Not Found").count(), 2, "{answer}");
    assert_eq!(answer.matches("close").count(), 1, "{answer}");
    assert!(client.pipe.is_ended());
}

#[test]
fn a_request_that_never_ends_is_answered_with_408_in_time() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.connect();
    for second in 0..4 {
        client.pipe.write_all(if second == 0 { b"GE" } else { b"T" }).unwrap();
        bench.tell(&client);
        bench.pass(1_000);
        assert!(client.pipe.drain().is_empty());
    }
    bench.pass(1_500);
    assert!(client.pipe.drain().starts_with(b"HTTP/1.1 408 "));
    bench.pass(2_500);
    assert_eq!(bench.metrics.connections.get(), 0);
}

#[test]
fn who_asks_on_without_reading_gets_a_last_answer() {
    let outbox = Bound { bytes_max: 1_000, frames_max: 9 };
    let mut bench = Bench::new(Limits { outbox, ..Limits::default() });
    let mut client = bench.connect();
    client.pipe.set_capacity(0);
    client.pipe.write_all(&b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n".repeat(500)).unwrap();
    bench.tell(&client);
    client.pipe.set_capacity(1 << 20);
    bench.tell(&client);
    let answers = String::from_utf8(client.pipe.drain()).unwrap();
    assert!((1_000..1_100).contains(&answers.len()), "{}", answers.len());
    assert_eq!(answers.matches("Connection: close").count(), 1);
}

#[test]
fn messages_that_never_pause_are_not_one_that_never_ends() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.socket("/echo");
    let mut frame = Vec::new();
    encoder::encode_masked(&mut frame, Opcode::Ping, b"Hello", MaskKey([7, 8, 9, 10]));
    let (front, back) = frame.split_at(3);
    client.pipe.write_all(front).unwrap();
    for _ in 0..15 {
        client.say_raw(back);
        client.say_raw(front);
        bench.tell(&client);
        bench.pass(1_000);
        assert_eq!(client.hear(), [Event::Pong(b"Hello".to_vec().into())]);
    }
    bench.pass(10_000);
    assert_eq!(client.close_code(), Some(CloseCode::POLICY));
}

#[test]
fn a_late_message_whose_sender_agrees_but_stays_is_dropped() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.socket("/echo");
    client.say_raw(b"\x01\x80\0\0\0\0");
    bench.tell(&client);
    bench.pass(10_125);
    assert_eq!(client.close_code(), Some(CloseCode::POLICY));
    client.say(Opcode::Close, b"");
    bench.tell(&client);
    assert_eq!(bench.metrics.connections.get(), 1);
    bench.pass(2_250);
    assert_eq!(bench.metrics.connections.get(), 0);
}

#[test]
fn a_101_that_waits_for_the_socket_goes_before_the_close_of_a_slow_reader() {
    let outbox = Bound { bytes_max: 600, frames_max: 9 };
    let mut bench = Bench::new(Limits { outbox, ..Limits::default() });
    let mut client = bench.connect();
    client.pipe.set_capacity(0);
    client.say_raw(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    bench.tell(&client);
    client.say_raw(
        b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    client.say(Opcode::Text, &[b'a'; 1_000]);
    bench.tell(&client);
    client.pipe.set_capacity(1 << 20);
    bench.tell(&client);
    let said = client.pipe.drain();
    let text = String::from_utf8_lossy(&said);
    assert!(text.contains("HTTP/1.1 404 ") && text.contains("HTTP/1.1 101 "), "{text}");
    assert!(text.ends_with("reading too slowly"), "{text}");
}

#[test]
fn a_silent_peer_is_pinged_and_given_up_after_two_misses() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.socket("/echo");
    bench.pass(29_000);
    assert_eq!(client.hear(), [Event::Ping(b""[..].into())]);
    client.say(Opcode::Pong, b"");
    bench.tell(&client);
    bench.pass(58_000);
    assert_eq!(client.hear().len(), 2);
    bench.pass(29_000);
    assert!(client.pipe.is_ended());
    assert_eq!(bench.metrics.connections.get(), 0);
}

#[test]
fn a_slow_reader_is_closed_with_1013_and_the_others_are_not_harmed() {
    let mut bench = Bench::new(Limits::default());
    let mut publisher = bench.socket("/prices");
    let slow = bench.socket("/prices");
    slow.pipe.set_capacity(1_000);
    let payload = vec![b'x'; 10_000];
    let mut got = 0;
    for _ in 0..30 {
        publisher.say(Opcode::Text, &payload);
        bench.tell(&publisher);
        got += publisher.hear().len();
    }
    assert_eq!(got, 30);
    assert_eq!(bench.metrics.outbox_refusals_total.get(), 1);
    slow.pipe.set_capacity(1 << 20);
    let mut bytes = slow.pipe.drain();
    for _ in 0..3 {
        bench.tell(&slow);
        bytes.extend(slow.pipe.drain());
    }
    let (_, close) = bytes.split_at(bytes.len() - 22);
    assert_eq!(close, b"\x88\x14\x03\xF5reading too slowly");
}

#[test]
fn a_panic_costs_one_connection() {
    let mut bench = Bench::new(Limits::default());
    let mut bad = bench.socket("/echo");
    let mut good = bench.socket("/echo");
    bad.say(Opcode::Text, b"panic");
    bench.tell(&bad);
    good.say(Opcode::Text, b"fine");
    bench.tell(&good);
    assert_eq!(good.hear(), [text("fine")]);
    assert!(bad.pipe.is_ended());
    assert_eq!(bench.metrics.panics_total.get(), 1);
}

#[test]
fn late_news_of_a_connection_that_has_gone_means_nothing() {
    let mut bench = Bench::new(Limits::default());
    let first = bench.socket("/echo");
    let stale = first.key;
    drop(first);
    bench.worker.ready(stale, Readiness::ENDED, bench.now);
    bench.turn();
    let mut second = bench.socket("/echo");
    assert_eq!(stale.index(), second.key.index());
    bench.worker.ready(stale, Readiness::ENDED, bench.now);
    second.say(Opcode::Text, b"mine");
    bench.tell(&second);
    assert_eq!(second.hear(), [text("mine")]);
}

#[test]
fn a_drain_closes_everyone_with_1001_and_ends_when_they_have_gone() {
    let mut bench = Bench::new(Limits::default());
    let mut polite = bench.socket("/echo");
    let mut rude = bench.socket("/echo");
    let idle = bench.connect();
    bench.handle.drain(Duration::from_secs(10));
    bench.turn();
    assert_eq!(bench.worker.poll_request(), Some(Request::StopAccepting));
    assert_eq!(polite.close_code(), Some(CloseCode::GOING_AWAY));
    assert_eq!(rude.close_code(), Some(CloseCode::GOING_AWAY));
    assert!(idle.pipe.is_ended());
    polite.say(Opcode::Close, &encoder::close_payload(CloseCode::GOING_AWAY, ""));
    bench.tell(&polite);
    drop((polite, idle));
    assert_eq!(bench.worker.poll_request(), None, "one has not answered");
    bench.pass(2_500);
    assert_eq!(bench.worker.poll_request(), Some(Request::Exit));
    assert_eq!(bench.metrics.connections.get(), 0);
}
