//! The simulated world with a limit to run into: workers and their mesh, carriers, wires and a
//! clock that jumps, in which a test says what happens and the seed how.
//!
//! The seed decides how many workers there are and which takes whom in, into what pieces bytes are
//! cut, which lies are told of readiness, and when workers are woken for nothing. What a limit does
//! must not depend on any of it.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corecast::base::{Input, Origin, Readiness};
use corecast::hub::WorkerId;
use corecast::worker::addresses::Addresses;
use corecast::worker::mesh::Handle;
use corecast::worker::metrics::{Metrics, MetricsSet, encode_prometheus};
use corecast::worker::{Limits, Listener, Setup, Speech, Worker};
use corecast::ws::deflate::Takeover;
use corecast::ws::{self, Decoder, Event, MaskKey, Opcode, Role, encoder};

use super::super::carriers::{Carriers, Ends};
use super::super::core::Core;
use super::super::dice::Dice;
use super::super::pipe::Pipe;
use super::super::plan::usize_of;
use super::super::plant::Plant;
use super::super::secure::SERVER;
use super::super::wire::Wire;
use super::subject::Subject;

/// The worlds in which each limit is reached.
const SEEDS: Range<u64> = 0..8;

/// Batches a mailbox between two workers holds: more than are posted before one is carried.
const MAILBOX_BATCHES: usize = 64;

/// Rounds in which a world must have come to rest.
const ROUNDS_MAX: usize = 10_000;

/// What a listener speaks.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    Plain,
    Tls,
    Stream,
    Deflate,
}

/// Workers with limits, and what a test may do to them.
pub struct World {
    pub handle: Handle,
    pub now: Instant,
    pub dice: Dice,
    pub cores: Vec<Core<Subject>>,
    pub metrics: Arc<[Arc<Metrics>]>,
    carriers: Carriers,
    /// Whether bytes come in the pieces in which they were said.
    is_whole: bool,
    seed: u64,
}

/// Somebody who is connected.
pub struct Client {
    pub wire: Wire,
    decoder: Decoder,
}

/// Lets `happen` what a test is about in several worlds with these limits.
pub fn in_each_world(limits: Limits, happen: impl Fn(&mut World)) {
    SEEDS.for_each(|seed| happen(&mut World::new(limits, seed)));
}

impl World {
    pub fn new(limits: Limits, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let workers = 1 + usize_of(dice.below(3));
        let now = Instant::now();
        let metrics: Arc<[_]> = (0..workers).map(|_| Arc::new(Metrics::default())).collect();
        let (carriers, ends) = Carriers::new(workers, MAILBOX_BATCHES, Plant::Nothing);
        let addresses = Addresses::new(limits.addresses, seed);
        let mut build = |(number, ends): (usize, Ends)| {
            let worker = Worker::new(Setup {
                service: Subject,
                id: WorkerId::new(u8::try_from(number).unwrap()),
                listeners: vec![
                    Listener::plain(),
                    Listener::tls(Arc::clone(&SERVER)),
                    Listener::plain().with_speech(Speech::Stream),
                    Listener::plain().with_deflate(Some(Takeover::Offered)),
                ],
                limits,
                addresses: addresses.clone(),
                mailbox: ends.mailbox,
                doors: ends.doors,
                metrics: MetricsSet::new(Arc::clone(&metrics), number),
                seed: dice.below(u64::MAX),
                now,
            });
            Core::new(worker, ends.bell, Arc::clone(&metrics[number]), Plant::Nothing)
        };
        let cores = ends.into_iter().enumerate().map(&mut build).collect();
        let handle = carriers.handle.clone();
        let mut world = Self { handle, now, dice, cores, metrics, carriers, is_whole: false, seed };
        world.settle();
        world
    }

    /// From now on bytes arrive in the pieces in which they were said.
    pub fn keep_whole(&mut self) {
        self.is_whole = true;
    }

    /// A connection from `address` to `worker`, unless it is turned away.
    pub fn try_connect_to(&mut self, worker: usize, via: Via, address: &str) -> Option<Client> {
        let (ours, theirs) = Pipe::pair(1 << 20);
        let address: IpAddr = address.parse().unwrap();
        let origin = Origin { via: via as u32, peer: SocketAddr::new(address, 5000) };
        let key = self.cores[worker].open(theirs, origin, self.now)?;
        let wire = Wire::new(worker, key, ours, self.now);
        self.settle();
        Some(Client { wire, decoder: Decoder::new(Role::Client) })
    }

    /// A connection from `address` to some worker, unless it is turned away.
    pub fn try_connect(&mut self, address: &str) -> Option<Client> {
        let worker = usize_of(self.dice.below(self.cores.len() as u64));
        self.try_connect_to(worker, Via::Plain, address)
    }

    /// A connection to some worker.
    pub fn connect(&mut self, via: Via) -> Client {
        let worker = usize_of(self.dice.below(self.cores.len() as u64));
        self.try_connect_to(worker, via, "127.0.0.1").expect("nothing stands against it")
    }

    /// A connection that has sent `request`, and what it got.
    pub fn ask(&mut self, request: &str) -> (Client, String) {
        let client = self.connect(Via::Plain);
        self.ask_on(client, request)
    }

    /// The same on a connection that is there.
    pub fn ask_on(&mut self, mut client: Client, request: &str) -> (Client, String) {
        client.wire.write(request.as_bytes(), true);
        self.tell(&mut client);
        let answer = String::from_utf8_lossy(&client.wire.pipe.drain()).into_owned();
        (client, answer)
    }

    /// What an upgrade to `path` gets, and the client.
    pub fn upgrade(&mut self, path: &str) -> (Client, String) {
        self.ask(&upgrade(path, ""))
    }

    /// A WebSocket on some worker.
    pub fn socket(&mut self, path: &str) -> Client {
        let worker = usize_of(self.dice.below(self.cores.len() as u64));
        self.socket_at(worker, path)
    }

    /// A WebSocket on the worker with that number.
    pub fn socket_at(&mut self, worker: usize, path: &str) -> Client {
        let client = self.try_connect_to(worker, Via::Plain, "127.0.0.1").unwrap();
        let (client, answer) = self.ask_on(client, &upgrade(path, ""));
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        client
    }

    /// Lets what a client has said arrive, and everything happen that follows from it.
    pub fn tell(&mut self, client: &mut Client) {
        loop {
            let len = if self.is_whole { usize::MAX } else { 1 << self.dice.below(18) };
            client.wire.deliver(len, self.now);
            let ended =
                if client.wire.pipe.is_ended() { Readiness::ENDED } else { Readiness::default() };
            // That a socket takes bytes may be told at any time.
            let told = client.wire.take_edges() | Readiness::READABLE | Readiness::WRITABLE | ended;
            let core = &mut self.cores[client.wire.worker];
            core.ready(client.wire.key, told, self.now);
            core.turn(self.now).unwrap();
            self.settle();
            if !client.wire.is_underway() || client.wire.pipe.is_dropped() {
                return;
            }
        }
    }

    /// Lets workers take turns and batches cross until nothing is left to do.
    pub fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut is_quiet = true;
            for way in 0..self.carriers.len() {
                while self.carriers.carry(way).is_some() {
                    is_quiet = false;
                }
            }
            for core in &mut self.cores {
                if core.is_due(self.now) {
                    is_quiet = false;
                    core.turn(self.now).unwrap();
                }
            }
            if is_quiet {
                return;
            }
        }
        panic!("the world finds no rest");
    }

    /// Lets time pass, and the workers do what is due in it.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(next) = self.next_event(end) {
            self.now = next;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// When something happens next, before `end`: a deadline, or a worker woken for nothing.
    fn next_event(&mut self, end: Instant) -> Option<Instant> {
        let due = self.cores.iter().filter_map(Core::deadline).min()?;
        let due = due.max(self.now);
        if due > end {
            return None;
        }
        if due > self.now && self.dice.one_of(1, 4) {
            let early = self.now + (due - self.now) / 2;
            for core in &mut self.cores {
                core.turn(early).unwrap();
            }
            return Some(early);
        }
        Some(due)
    }

    /// How often the limit of that key was reached.
    pub fn reached(&self, key: &str) -> u64 {
        self.count("corecast_limits_reached_total", key)
    }

    /// How many callers were turned away for `reason`.
    pub fn refused(&self, reason: &str) -> u64 {
        self.count("corecast_connections_refused_total", reason)
    }

    /// What `of` says of each worker's metrics, in all.
    pub fn sum(&self, of: impl Fn(&Metrics) -> u64) -> u64 {
        self.metrics.iter().map(|metrics| of(metrics)).sum()
    }

    fn count(&self, name: &str, reason: &str) -> u64 {
        let page = encode_prometheus(&self.metrics);
        let reason = format!("reason=\"{reason}\"}} ");
        let samples = page.lines().filter(|line| line.starts_with(name));
        let counts = samples.filter_map(|line| line.split_once(&reason)?.1.parse::<u64>().ok());
        let counts: Vec<_> = counts.collect();
        assert_eq!(counts.len(), self.cores.len(), "{name} of each worker, {reason}");
        counts.iter().sum()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("in the world of seed {}", self.seed);
        }
    }
}

impl Client {
    pub fn say(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        encoder::encode_masked(&mut frame, opcode, payload, MaskKey([7, 8, 9, 10]));
        self.wire.write(&frame, true);
    }

    /// What has arrived: texts and binaries by their length, a close by its code and reason.
    pub fn hear(&mut self) -> Vec<String> {
        let mut bytes = self.wire.pipe.drain();
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

/// The request for a WebSocket at `path`, with more `fields`.
pub fn upgrade(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}
