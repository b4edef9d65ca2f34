//! Workers over pipes, and clients that deflate with zlib as it comes.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use corecast::base::{Handler, Input, Key, Origin, Readiness, Wake};
use corecast::hub::{TopicName, WorkerId};
use corecast::worker::addresses::Addresses;
use corecast::worker::mesh::{Handle, mesh};
use corecast::worker::metrics::{Metrics, MetricsSet};
use corecast::worker::{Context, Incoming, Limits, Listener, Service, Setup, Verdict, Worker};
use corecast::ws::deflate::{Inflater, Parameters, Takeover};
use corecast::ws::handshake::ClientHandshake;
use corecast::ws::{self, CloseCode, Decoder, Event, MaskKey, Message, Opcode, Role, encoder};
use flate2::{Compress, Compression, FlushCompress};

use crate::pipe::Pipe;

/// Listeners by what they allow.
pub(crate) const OFF: u32 = 0;
pub(crate) const ON: u32 = 1;
pub(crate) const TAKEOVER: u32 = 2;

const KEY: MaskKey = MaskKey([7, 8, 9, 10]);

/// Echoes where the path ends so; else it subscribes, and publishes, to what the path names.
pub(crate) struct Subject;

impl Service for Subject {
    type State = String;

    fn upgrade(&mut self, request: &Incoming<'_>, cx: &mut Context<'_, String>) -> Verdict<String> {
        let path = request.head.path();
        if path != "/echo" {
            let _ = cx.subscribe(request.key, &topic(path)).unwrap();
        }
        Verdict::accept(path.to_owned())
    }

    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, String>) {
        let path = cx.state(key).unwrap().clone();
        if path.ends_with("echo") {
            let _ = cx.send(key, message);
        } else {
            cx.publish(&topic(&path), message);
        }
    }
}

fn topic(path: &str) -> TopicName {
    TopicName::new(path.trim_start_matches('/')).unwrap()
}

/// Wakes nobody: the test takes every turn itself.
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// Some workers.
pub(crate) struct Crew {
    workers: Vec<Worker<Pipe, Subject>>,
    metrics: Arc<[Arc<Metrics>]>,
    handle: Handle,
    now: Instant,
}

impl Crew {
    pub(crate) fn new(count: usize, limits: Limits) -> Self {
        let metrics: Arc<[_]> = (0..count).map(|_| Arc::new(Metrics::default())).collect();
        let now = Instant::now();
        let (places, handle) =
            mesh((0..count).map(|_| Arc::new(Nobody) as Arc<dyn Wake>).collect());
        let settings = [None, Some(Takeover::Never), Some(Takeover::Offered)];
        let listeners = settings.map(|deflate| Listener::plain().with_deflate(deflate));
        let ids = WorkerId::all(count).zip(places);
        let workers = ids.map(|(id, (mailbox, doors))| {
            Worker::new(Setup {
                service: Subject,
                id,
                listeners: listeners.to_vec(),
                limits,
                addresses: Addresses::default(),
                mailbox,
                doors,
                metrics: MetricsSet::new(Arc::clone(&metrics), id.index()),
                seed: 1,
                now,
            })
        });
        Self { workers: workers.collect(), metrics: Arc::clone(&metrics), handle, now }
    }

    pub(crate) fn metrics(&self, worker: usize) -> &Metrics {
        &self.metrics[worker]
    }

    /// A client that has offered this, and seen its 101.
    pub(crate) fn client(&mut self, worker: usize, via: u32, path: &str, offer: &str) -> Client {
        let (ours, theirs) = Pipe::pair(1 << 20);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
        let key = self.workers[worker].open(theirs, Origin { via, peer }, self.now).unwrap();
        let mut client = Client::new((worker, key), ours);
        client.greet(path, offer);
        self.tell(&client);
        client.hear_answer(offer);
        client
    }

    /// Publishes from outside, and lets it arrive.
    pub(crate) fn publish(&mut self, path: &str, payload: &[u8]) {
        self.handle.publish(&topic(path), Message::Binary(payload)).unwrap();
        self.turn();
    }

    /// Makes a worker look at a connection, and all take turns until nothing is left to do.
    pub(crate) fn tell(&mut self, client: &Client) {
        let both = Readiness::READABLE | Readiness::WRITABLE;
        let ended = if client.pipe.is_ended() { Readiness::ENDED } else { Readiness::default() };
        let (worker, key) = client.place;
        self.workers[worker].ready(key, both | ended, self.now);
        self.turn();
    }

    fn turn(&mut self) {
        for _ in 0..100 {
            let now = self.now;
            self.workers.iter_mut().for_each(|worker| worker.turn(now));
            if self.workers.iter_mut().all(Handler::may_sleep) {
                return;
            }
        }
        panic!("the workers find no rest");
    }
}

/// A peer of a worker.
pub(crate) struct Client {
    place: (usize, Key),
    pub(crate) pipe: Pipe,
    decoder: Decoder,
    inflater: Option<Inflater>,
    /// What the server answered to the offer.
    pub(crate) agreed: Option<String>,
    /// What it answered to pings.
    pub(crate) pongs: Vec<Vec<u8>>,
    closed: Option<CloseCode>,
}

impl Client {
    fn new(place: (usize, Key), pipe: Pipe) -> Self {
        Self {
            place,
            pipe,
            decoder: Decoder::new(Role::Client),
            inflater: None,
            agreed: None,
            pongs: Vec::new(),
            closed: None,
        }
    }

    fn greet(&mut self, path: &str, offer: &str) {
        let headers: &[(&str, &str)] =
            if offer.is_empty() { &[] } else { &[("Sec-WebSocket-Extensions", offer)] };
        let mut request = Vec::new();
        ClientHandshake::new([1; 16], "a", path, &[], headers).encode(&mut request);
        self.say_raw(&request);
    }

    /// Reads the 101, and what it agrees to; the client of the library believes it too.
    fn hear_answer(&mut self, offer: &str) {
        let mut bytes = self.pipe.drain();
        let head = String::from_utf8(bytes.clone()).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let field = |line: &str| line.strip_prefix("Sec-WebSocket-Extensions: ").map(str::to_owned);
        self.agreed = head.lines().find_map(field);
        if self.agreed.is_some() {
            let offer = parameters(offer);
            let mut handshake =
                ClientHandshake::new([1; 16], "a", "/", &[], &[]).offering_deflate(offer);
            let accepted = handshake.read(&mut Input::new(&mut bytes)).unwrap().unwrap();
            self.inflater = accepted.deflate.map(|agreement| Inflater::new(agreement.server()));
            self.decoder = Decoder::new(Role::Client).with_deflate(accepted.deflate);
        }
    }

    pub(crate) fn say_raw(&mut self, bytes: &[u8]) {
        self.pipe.write_all(bytes).unwrap();
    }

    pub(crate) fn say(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        encoder::encode_masked(&mut frame, opcode, payload, KEY);
        self.say_raw(&frame);
    }

    /// Says a message of bytes, deflated.
    pub(crate) fn say_deflated(&mut self, message: &[u8]) {
        self.say_as_deflated(Opcode::Binary, &deflate(message));
    }

    /// Says that this is a deflated message.
    pub(crate) fn say_as_deflated(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        encoder::encode_masked(&mut frame, opcode, payload, KEY);
        frame[0] |= 0x40;
        self.say_raw(&frame);
    }

    /// A deflated message in so many frames.
    pub(crate) fn fragments(payload: &[u8], count: usize) -> Vec<u8> {
        let mut frames = Vec::new();
        for (index, piece) in payload.chunks(payload.len().div_ceil(count)).enumerate() {
            let opcode = if index == 0 { Opcode::Binary } else { Opcode::Continuation };
            let start = frames.len();
            encoder::encode_masked(&mut frames, opcode, piece, KEY);
            frames[start] = opcode as u8 | if index == 0 { 0x40 } else { 0 };
        }
        encoder::encode_masked(&mut frames, Opcode::Continuation, b"", KEY);
        frames
    }

    pub(crate) fn leave(&mut self) {
        self.say(Opcode::Close, b"\x03\xE8");
    }

    /// The messages that have arrived, and whether each was deflated.
    pub(crate) fn hear(&mut self) -> Vec<(Vec<u8>, bool)> {
        let mut bytes = self.pipe.drain();
        let mut input = Input::new(&mut bytes);
        let limits = ws::Limits { message_bytes_max: 1 << 20, fragments_max: 9 };
        let mut messages = Vec::new();
        while let Some(event) = self.decoder.next(&mut input, &limits).unwrap() {
            match event {
                Event::Binary(bytes) => messages.push((bytes.into_owned(), false)),
                Event::Text(text) => messages.push((text.into_owned().into_bytes(), false)),
                Event::Deflated(message) => {
                    let inflater = self.inflater.as_mut().unwrap();
                    let message = inflater.inflate(&message, limits.message_bytes_max).unwrap();
                    messages.push((message.payload().to_vec(), true));
                }
                Event::Ping(_) => {}
                Event::Pong(payload) => self.pongs.push(payload.into_owned()),
                Event::Close(frame) => self.closed = frame.map(|frame| frame.code),
            }
        }
        messages
    }

    /// The code that the server closes with.
    pub(crate) fn close_code(&mut self) -> Option<CloseCode> {
        assert_eq!(self.hear(), []);
        self.closed
    }
}

/// The first offer of permessage-deflate in a list, by its words.
fn parameters(list: &str) -> Parameters {
    let mut offer = Parameters::default();
    for word in list.split([';', ',']).map(str::trim) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let bits = value.parse().ok().and_then(ws::deflate::WindowBits::new);
        match name {
            "server_no_context_takeover" => offer.server_no_context_takeover = true,
            "client_no_context_takeover" => offer.client_no_context_takeover = true,
            "server_max_window_bits" => offer.server_max_window_bits = bits,
            "client_max_window_bits" => {
                let window = bits.map_or(ws::deflate::ClientWindow::Any, |bits| {
                    ws::deflate::ClientWindow::Bits(bits)
                });
                offer.client_max_window_bits = Some(window);
            }
            _ => {}
        }
    }
    offer
}

/// A message that stands for itself, in the smallest window that any of these tests agrees on.
pub(crate) fn deflate(message: &[u8]) -> Vec<u8> {
    zlib(message, 9)
}

/// Zeros that deflate best.
pub(crate) fn bomb(len: usize) -> Vec<u8> {
    zlib(&vec![0; len], 15)
}

fn zlib(message: &[u8], window_bits: u8) -> Vec<u8> {
    let mut stream = Compress::new_with_window_bits(Compression::best(), false, window_bits);
    let mut out = Vec::with_capacity(message.len() + 100);
    stream.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
    assert_eq!(stream.total_in(), message.len() as u64);
    out.truncate(out.len() - 4);
    out
}
