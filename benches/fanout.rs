//! What a delivery costs beside the least it can cost: `cargo bench --bench fanout`.
//!
//! 10,000 subscribers on two workers get publications of 128 bytes, one after the other; and two
//! threads `send` the same frame to 10,000 other sockets in a bare loop. The two take turns, round
//! after round. In the time that is measured nobody reads: the receivers, in processes of their
//! own, hold what came in the buffers of their sockets, and read and check it between the rounds.
//!
//! ```text
//!                 publish ----> worker 0 --- 5,000 sockets ---.
//!   main thread --'         '-> worker 1 --- 5,000 sockets ----+--> receivers (a process)
//!               '-- order ----> sender 0 --- 5,000 sockets ---.
//!                           '-> sender 1 --- 5,000 sockets ----+--> receivers (a process)
//! ```
//!
//! Time is the CPU time of the two threads that deliver; the time on the clock is printed beside
//! it. Linux only: both sides use own tables of open files, and threads are weighed through /proc.
#![allow(clippy::disallowed_methods)] // a measurement reads the clock, and waits

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use corecast::base::Key;
use corecast::http::{Response, Status};
use corecast::hub::{TopicName, WorkerId};
use corecast::reactor::listener::reserve;
use corecast::reactor::{Poller, Reactor, affinity, fds};
use corecast::worker::addresses::Addresses;
use corecast::worker::mesh::{Handle, mesh};
use corecast::worker::metrics::{Metrics, MetricsSet};
use corecast::worker::{Context, Incoming, Limits, Listener, Service, Setup, Verdict, Worker};
use corecast::ws::{Message, Opcode, encoder};

const SUBSCRIBERS: u32 = 10_000;
const THREADS: usize = 2;
const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
const PAYLOAD: [u8; 128] = [b'p'; 128];

/// Publications of one side in one round: they fit into the buffer of a socket that nobody reads.
const PUBLICATIONS: u32 = 16;
const ROUNDS: usize = 7;

/// The first argument of a process that only receives.
const RECEIVE: &str = "receive";

/// Its second argument: sockets that receive at once, or that ask for a WebSocket before.
const RAW: &str = "raw";
const WEBSOCKET: &str = "websocket";

/// What it says when it has done what it was told.
const DONE: &str = "done\n";

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(RECEIVE) {
        return receive(arguments);
    }
    fds::raise_limit()?;
    let mut corecast = Corecast::start()?;
    let mut bare = Bare::start()?;
    let mut subscribers = Receivers::start(WEBSOCKET, &[corecast.address])?;
    let mut sockets = Receivers::start(RAW, &bare.addresses())?;

    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let round = Round { bare: measure(&mut bare)?, corecast: measure(&mut corecast)? };
        sockets.check()?;
        subscribers.check()?;
        rounds.push(round);
    }
    report(&rounds);
    Ok(())
}

/// What delivers a publication to all its sockets.
trait Side {
    /// The threads that do it.
    fn threads(&self) -> Vec<&Weighed>;
    /// Does it once, and waits for the last byte.
    fn deliver(&mut self) -> Outcome<()>;
}

/// What one delivery cost, in nanoseconds.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    elapsed: f64,
}

/// What it cost in one round.
struct Round {
    bare: Cost,
    corecast: Cost,
}

fn measure(side: &mut impl Side) -> Outcome<Cost> {
    let (cpu_before, start) = (cpu(side)?, Instant::now());
    for _ in 0..PUBLICATIONS {
        side.deliver()?;
    }
    let (elapsed, cpu) = (start.elapsed(), cpu(side)?.saturating_sub(cpu_before));
    let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(PUBLICATIONS * SUBSCRIBERS);
    Ok(Cost { cpu: each(cpu), elapsed: each(elapsed) })
}

fn cpu(side: &impl Side) -> Outcome<Duration> {
    side.threads().into_iter().map(Weighed::cpu).sum()
}

fn report(rounds: &[Round]) {
    println!("ns a delivery    CPU  elapsed on {THREADS} threads");
    line("bare", rounds, |round| round.bare);
    line("corecast", rounds, |round| round.corecast);
    let cpu = median(rounds, |round| round.corecast.cpu / round.bare.cpu);
    let elapsed = median(rounds, |round| round.corecast.elapsed / round.bare.elapsed);
    println!("ratio      {cpu:9.2} {elapsed:8.2}");
}

fn line(name: &str, rounds: &[Round], side: impl Fn(&Round) -> Cost) {
    let cpu = median(rounds, |round| side(round).cpu);
    let elapsed = median(rounds, |round| side(round).elapsed);
    println!("{name:10} {cpu:9.0} {elapsed:8.0}");
}

fn median(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    let mut figures: Vec<_> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A thread whose CPU time can be asked for.
struct Weighed(PathBuf);

impl Weighed {
    /// The calling thread.
    fn this() -> io::Result<Self> {
        let thread = fs::read_link("/proc/thread-self")?;
        Ok(Self(PathBuf::from("/proc").join(thread).join("schedstat")))
    }

    fn cpu(&self) -> Outcome<Duration> {
        let stat = fs::read_to_string(&self.0)?;
        let nanos = stat.split(' ').next().ok_or("an empty schedstat")?;
        Ok(Duration::from_nanos(nanos.parse()?))
    }
}

/// Begins a thread that delivers, on a core and with a table of open files of its own.
fn settle(number: usize) -> io::Result<Weighed> {
    fds::take_own_table()?;
    if let Some(core) = affinity::cores().get(number) {
        let _ = core.pin();
    }
    Weighed::this()
}

/// The frame of a publication as subscribers get it.
fn frame() -> Vec<u8> {
    let mut frame = Vec::new();
    encoder::encode(&mut frame, Opcode::Binary, &PAYLOAD);
    frame
}

/// The least: threads that write one frame to each of their sockets.
struct Bare {
    senders: Vec<Sending>,
}

/// One of them, as the main thread knows it.
struct Sending {
    thread: Weighed,
    address: SocketAddr,
    order: Sender<()>,
    done: Receiver<()>,
}

impl Bare {
    fn start() -> Outcome<Self> {
        let senders = (0..THREADS).map(Sending::start).collect::<Outcome<_>>()?;
        Ok(Self { senders })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.senders.iter().map(|sender| sender.address).collect()
    }
}

impl Side for Bare {
    fn threads(&self) -> Vec<&Weighed> {
        self.senders.iter().map(|sender| &sender.thread).collect()
    }

    fn deliver(&mut self) -> Outcome<()> {
        for sender in &self.senders {
            sender.order.send(())?;
        }
        for sender in &self.senders {
            sender.done.recv()?;
        }
        Ok(())
    }
}

impl Sending {
    fn start(number: usize) -> Outcome<Self> {
        let (order, orders) = channel();
        let (report, done) = channel();
        let (tell, hear) = channel();
        spawn(format!("bare-{number}"), move || {
            let thread = settle(number)?;
            let listener = reserve(ANY_PORT)?.seat()?.listen()?;
            listener.set_nonblocking(false)?;
            tell.send((thread, listener.local_addr()?))?;
            send_all(&listener, &orders, &report)
        })?;
        let (thread, address) = hear.recv()?;
        Ok(Self { thread, address, order, done })
    }
}

/// Accepts its share of the sockets, then writes the frame to all of them at each order.
fn send_all(listener: &TcpListener, orders: &Receiver<()>, report: &Sender<()>) -> Outcome<()> {
    let mut streams = Vec::new();
    for _ in 0..SUBSCRIBERS as usize / THREADS {
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    let frame = frame();
    while orders.recv().is_ok() {
        for stream in &mut streams {
            stream.write_all(&frame)?;
        }
        report.send(())?;
    }
    Ok(())
}

/// Workers as a server starts them, with nothing beside them.
struct Corecast {
    address: SocketAddr,
    workers: Vec<Weighed>,
    metrics: Arc<[Arc<Metrics>]>,
    handle: Handle,
    topic: TopicName,
}

impl Corecast {
    fn start() -> Outcome<Self> {
        let port = reserve(ANY_PORT)?;
        let pollers = [Poller::new()?, Poller::new()?];
        let (posts, handle) = mesh(pollers.iter().map(Poller::waker).collect());
        let metrics: Arc<[_]> = pollers.iter().map(|_| Arc::default()).collect();
        let topic = TopicName::new("fanout").map_err(|_| "a bad name")?;
        let (tell, hear) = channel();
        for ((id, poller), (mailbox, doors)) in WorkerId::all(THREADS).zip(pollers).zip(posts) {
            let (seat, tell) = (port.seat()?, tell.clone());
            let (service, metrics) = (Fanout(topic.clone()), Arc::clone(&metrics));
            // Nothing but publications is to be written, so nobody is pinged.
            let limits = Limits { heartbeat_ms: 3_600_000, ..Limits::default() };
            spawn(format!("corecast-{}", id.index()), move || {
                let thread = settle(id.index())?;
                let reactor = Reactor::new(poller, vec![seat.listen()?])?;
                tell.send(thread)?;
                Ok(reactor.run(&mut Worker::new(Setup {
                    service,
                    id,
                    listeners: vec![Listener::plain()],
                    limits,
                    addresses: Addresses::default(),
                    mailbox,
                    doors,
                    metrics: MetricsSet::new(metrics, id.index()),
                    seed: id.index() as u64,
                    now: Instant::now(),
                }))?)
            })?;
        }
        drop(tell);
        let workers: Vec<_> = hear.iter().take(THREADS).collect();
        if workers.len() < THREADS {
            return Err("a worker did not start".into());
        }
        Ok(Self { address: port.address(), workers, metrics, handle, topic })
    }

    fn bytes_out(&self) -> u64 {
        self.metrics.iter().map(|metrics| metrics.bytes_out_total.get()).sum()
    }
}

impl Side for Corecast {
    fn threads(&self) -> Vec<&Weighed> {
        self.workers.iter().collect()
    }

    fn deliver(&mut self) -> Outcome<()> {
        let frame_len = frame().len() as u64;
        let last = self.bytes_out() + u64::from(SUBSCRIBERS) * frame_len;
        self.handle.publish(&self.topic, Message::Binary(&PAYLOAD))?;
        while self.bytes_out() < last {
            // The workers need both cores; a tenth of a millisecond is nothing beside 20.
            thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }
}

/// Lets everybody subscribe to one topic.
struct Fanout(TopicName);

impl Service for Fanout {
    type State = ();

    fn upgrade(&mut self, request: &Incoming<'_>, cx: &mut Context<'_, ()>) -> Verdict<()> {
        match cx.subscribe(request.key, &self.0) {
            Ok(_) => Verdict::accept(()),
            Err(_) => Verdict::Refuse(Response::new(Status::UNAVAILABLE)),
        }
    }

    fn message(&mut self, _: Key, _: Message<'_>, _: &mut Context<'_, ()>) {}
}

/// A process with 10,000 sockets that are read when it is told.
struct Receivers {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Receivers {
    /// Starts it, and waits until it has connected the same number of sockets to each address.
    fn start(kind: &str, addresses: &[SocketAddr]) -> Outcome<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args([RECEIVE, kind])
            .args(addresses.iter().map(SocketAddr::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = process.stdin.take().ok_or("a process without input")?;
        let answers = process.stdout.take().ok_or("a process without output")?;
        let mut receivers = Self { process, orders, answers: BufReader::new(answers) };
        receivers.hear()?;
        Ok(receivers)
    }

    /// Has the publications of a round read at every socket, whole and nothing else.
    fn check(&mut self) -> Outcome<()> {
        writeln!(self.orders)?;
        self.hear()
    }

    fn hear(&mut self) -> Outcome<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line == DONE { Ok(()) } else { Err("the receivers failed".into()) }
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// What a process of receivers does: connects, then reads a round whenever it is told.
fn receive(mut arguments: impl Iterator<Item = String>) -> Outcome<()> {
    let is_websocket = arguments.next().is_some_and(|kind| kind == WEBSOCKET);
    let addresses = arguments.map(|text| text.parse()).collect::<Result<Vec<_>, _>>()?;
    let mut streams = Vec::new();
    for address in addresses.iter().cycle().take(SUBSCRIBERS as usize) {
        let mut stream = TcpStream::connect::<SocketAddr>(*address)?;
        if is_websocket {
            upgrade(&mut stream)?;
        }
        streams.push(stream);
    }
    print!("{DONE}");
    let expected = frame().repeat(PUBLICATIONS as usize);
    let mut bytes = vec![0; expected.len()];
    for order in io::stdin().lines() {
        order?;
        for stream in &mut streams {
            stream.read_exact(&mut bytes)?;
            if bytes != expected {
                return Err("something else than the publications has arrived".into());
            }
        }
        print!("{DONE}");
    }
    Ok(())
}

/// Asks for a WebSocket, and waits until it is there.
fn upgrade(stream: &mut TcpStream) -> Outcome<()> {
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )?;
    // Nothing is published yet, so nothing follows the head.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut bytes = [0; 256];
        let len = stream.read(&mut bytes)?;
        head.extend_from_slice(
            bytes.get(..len).filter(|read| !read.is_empty()).ok_or("no answer")?,
        );
    }
    if head.starts_with(b"HTTP/1.1 101") { Ok(()) } else { Err("no upgrade".into()) }
}

/// Starts a thread that says why it ended, if it did so before all the rest.
fn spawn(name: String, work: impl FnOnce() -> Outcome<()> + Send + 'static) -> io::Result<()> {
    let work = move || {
        if let Err(error) = work() {
            eprintln!("{}: {error}", thread::current().name().unwrap_or_default());
        }
    };
    thread::Builder::new().name(name).spawn(work).map(drop)
}
