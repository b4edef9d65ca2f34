//! One worker over pipes in memory and a clock that jumps, with limits to run into.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corecast::base::{Handler, Input, Key, Origin, Readiness, Wake};
use corecast::http::Response;
use corecast::hub::{TopicName, WorkerId};
use corecast::session::CloseReason;
use corecast::worker::addresses::Addresses;
use corecast::worker::mesh::{Handle, mesh};
use corecast::worker::metrics::{Metrics, MetricsSet, encode_prometheus};
use corecast::worker::{Context, Incoming, Limits, Listener, Service, Setup, Verdict, Worker};
use corecast::ws::{self, CloseCode, Decoder, Event, MaskKey, Message, Opcode, Role, encoder};

use crate::pipe::Pipe;

/// Echoes; joins so many topics as a message has bytes; fails where it is told to.
#[derive(Default)]
pub(crate) struct Subject;

impl Service for Subject {
    type State = TopicName;

    fn upgrade(
        &mut self,
        request: &Incoming<'_>,
        cx: &mut Context<'_, TopicName>,
    ) -> Verdict<TopicName> {
        let topic = TopicName::new(request.head.path().trim_start_matches('/')).unwrap();
        assert_ne!(topic.as_str(), "panic-upgrade", "asked for");
        let _ = cx.subscribe(request.key, &topic).unwrap();
        leave(topic.as_str(), "close-upgrade", request.key, cx);
        Verdict::accept(topic)
    }

    fn request(&mut self, request: &Incoming<'_>, _: &mut Context<'_, TopicName>) -> Response {
        assert_ne!(request.head.path(), "/panic-request", "asked for");
        Response::new(corecast::http::Status::NO_CONTENT)
    }

    fn opened(&mut self, key: Key, cx: &mut Context<'_, TopicName>) {
        let topic = cx.state(key).cloned().unwrap();
        assert_ne!(topic.as_str(), "panic-opened", "asked for");
        leave(topic.as_str(), "close-opened", key, cx);
    }

    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, TopicName>) {
        assert_ne!(message.payload(), b"panic", "asked for");
        let topic = cx.state(key).cloned().unwrap();
        leave(topic.as_str(), "close-message", key, cx);
        match topic.as_str() {
            "echo" => drop(cx.send(key, message)),
            "topics" => {
                for number in 1..message.payload().len() {
                    let name = TopicName::new(&number.to_string()).unwrap();
                    if cx.subscribe(key, &name).is_err() {
                        let _ = cx.send(key, Message::Text("one too many"));
                    }
                }
            }
            _ => cx.publish(&topic, message),
        }
    }

    fn closed(
        &mut self,
        key: Key,
        topic: TopicName,
        _: CloseReason,
        cx: &mut Context<'_, TopicName>,
    ) {
        assert_ne!(topic.as_str(), "panic-closed", "asked for");
        leave(topic.as_str(), "close-closed", key, cx);
    }
}

/// Closes the connection whose `topic` asks for it `here`, twice, and goes on as if it had not.
fn leave(topic: &str, here: &str, key: Key, cx: &mut Context<'_, TopicName>) {
    if topic == here {
        cx.close(key, CloseCode::NORMAL, "as you wish");
        cx.close(key, CloseCode::NORMAL, "once more");
        let _ = cx.send(key, Message::Text("too late"));
    }
}

/// Wakes nobody: the test takes every turn itself.
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

pub(crate) struct Bench {
    pub(crate) worker: Worker<Pipe, Subject>,
    pub(crate) handle: Handle,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) now: Instant,
}

pub(crate) struct Client {
    pub(crate) key: Key,
    pub(crate) pipe: Pipe,
    decoder: Decoder,
}

impl Bench {
    pub(crate) fn new(limits: Limits) -> Self {
        let metrics = Arc::new(Metrics::default());
        let now = Instant::now();
        let (mut places, handle) = mesh(vec![Arc::new(Nobody)]);
        let (mailbox, doors) = places.remove(0);
        let worker = Worker::new(Setup {
            service: Subject,
            id: WorkerId::new(0),
            listeners: vec![Listener::plain()],
            limits,
            addresses: Addresses::new(limits.addresses, 1),
            mailbox,
            doors,
            metrics: MetricsSet::new(vec![Arc::clone(&metrics)].into(), 0),
            seed: 1,
            now,
        });
        Self { worker, handle, metrics, now }
    }

    /// A connection from `address`, unless it is turned away.
    pub(crate) fn try_connect(&mut self, address: &str) -> Option<Client> {
        let (ours, theirs) = Pipe::pair(1 << 20);
        let peer = SocketAddr::new(address.parse().unwrap(), 5000);
        let key = self.worker.open(theirs, Origin { via: 0, peer }, self.now)?;
        Some(Client { key, pipe: ours, decoder: Decoder::new(Role::Client) })
    }

    pub(crate) fn connect(&mut self) -> Client {
        self.try_connect("127.0.0.1").expect("nothing stands against it")
    }

    /// A connection that has sent `request`, and what it got.
    pub(crate) fn ask(&mut self, request: &str) -> (Client, String) {
        let mut client = self.connect();
        client.pipe.write_all(request.as_bytes()).unwrap();
        self.tell(&client);
        let answer = String::from_utf8_lossy(&client.pipe.drain()).into_owned();
        (client, answer)
    }

    /// What an upgrade to `path` gets, and the client.
    pub(crate) fn upgrade(&mut self, path: &str) -> (Client, String) {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ))
    }

    pub(crate) fn socket(&mut self, path: &str) -> Client {
        let (client, answer) = self.upgrade(path);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        client
    }

    /// Makes the worker look at a connection, and take turns until nothing is left to do.
    pub(crate) fn tell(&mut self, client: &Client) {
        let both = Readiness::READABLE | Readiness::WRITABLE;
        let ended = if client.pipe.is_ended() { Readiness::ENDED } else { Readiness::default() };
        self.worker.ready(client.key, both | ended, self.now);
        self.turn();
    }

    pub(crate) fn turn(&mut self) {
        for _ in 0..100 {
            self.worker.turn(self.now);
            if self.worker.may_sleep() {
                return;
            }
        }
        panic!("the worker finds no rest");
    }

    /// Lets time pass, and the worker do what is due in it.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(next) = self.worker.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = end;
        self.turn();
    }

    /// How often the limit of that key was reached.
    pub(crate) fn reached(&self, key: &str) -> u64 {
        self.count(&format!("limits_reached_total{{worker=\"0\",reason=\"{key}\"}}"))
    }

    /// How many callers were turned away for `reason`.
    pub(crate) fn refused(&self, reason: &str) -> u64 {
        self.count(&format!("connections_refused_total{{worker=\"0\",reason=\"{reason}\"}}"))
    }

    fn count(&self, sample: &str) -> u64 {
        let page = encode_prometheus(&[Arc::clone(&self.metrics)]);
        let line =
            page.lines().find_map(|line| line.strip_prefix("corecast_")?.strip_prefix(sample));
        line.unwrap_or_else(|| panic!("no {sample}")).trim().parse().unwrap()
    }
}

impl Client {
    pub(crate) fn say(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        encoder::encode_masked(&mut frame, opcode, payload, MaskKey([7, 8, 9, 10]));
        self.pipe.write_all(&frame).unwrap();
    }

    /// What has arrived: texts and binaries by their length, a close by its code and reason.
    pub(crate) fn hear(&mut self) -> Vec<String> {
        let mut bytes = self.pipe.drain();
        let mut input = Input::new(&mut bytes);
        let limits = ws::Limits { message_bytes_max: 1 << 24, fragments_max: 9 };
        let mut heard = Vec::new();
        while let Some(event) = self.decoder.next(&mut input, &limits).unwrap() {
            heard.push(match event {
                Event::Text(text) => text.into_owned(),
                Event::Binary(bytes) => format!("{} bytes", bytes.len()),
                Event::Ping(_) => "ping".to_owned(),
                Event::Pong(_) => "pong".to_owned(),
                Event::Close(Some(frame)) => format!("{} {}", frame.code, frame.reason),
                Event::Close(None) => "close".to_owned(),
                Event::Deflated(_) => panic!("nobody agreed to that"),
            });
        }
        heard
    }
}
