//! What a TLS handshake costs a server: `cargo bench --bench handshake`.
//!
//! ```text
//!   in memory      the server's half alone, no sockets
//!   bare sockets   a loop that accepts, and answers as many bytes with as many writes, without TLS
//!   over sockets   a server with one worker, clients on other threads, connections that stay
//!   resumed        the same clients come back with tickets
//!   echo p99       100 busy WebSockets, alone and while 2,000 hellos arrive at once
//! ```
//!
//! Cost is the CPU time of the thread that serves, from the accept to the ticket, so it matters
//! little what else runs. Memory and bare sockets together are what no server can go below. The
//! hellos of the storm all wait in the sockets while the worker is held, and nobody goes on with
//! them: what they cost, a key exchange and a signature each, comes before that. Linux only:
//! threads are weighed through /proc.
#![allow(clippy::disallowed_methods)] // a measurement reads the clock, and waits
#![allow(clippy::indexing_slicing)] // it ends where it is surprised

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use corecast::base::{Input, Key};
use corecast::reactor::affinity;
use corecast::server::{Running, Server};
use corecast::tls::{Opened, SCRATCH_BYTES_MIN, ServerConfig, Tls, config, pki};
use corecast::worker::{Context, Incoming, Service, Verdict};
use corecast::ws::{MaskKey, Message, Opcode, encoder};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore,
    SupportedProtocolVersion,
};

const ROUNDS: usize = 5;
const HANDSHAKES: u32 = 2_000;
const CLIENTS: u32 = 2;
/// How often in a round a client begins several at once.
const BATCHES: u32 = 20;
/// How many it begins, so that the server need not wait for it.
const AT_ONCE: u32 = HANDSHAKES / CLIENTS / BATCHES;
const BUSY: usize = 100;
const ECHOES: usize = 20_000;

/// The threads that serve, by name.
const WORKER: &str = "worker-0";
const BARE: &str = "bare";

/// What a handshake of TLS 1.3 has in bytes: hello, the server's flight, finished, ticket.
const FLIGHTS: [usize; 4] = [238, 840, 80, 231];

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let bench = Bench::new()?;
    let bare = median(weigh_bare)?;
    tell("bare sockets", bare);
    for (name, version) in [("TLS 1.3", &TLS13), ("TLS 1.2", &TLS12)] {
        let memory = median(|| bench.in_memory(version))?;
        let full = median(|| bench.over_sockets(version, false))?;
        let resumed = median(|| bench.over_sockets(version, true))?;
        tell(&format!("{name}, in memory"), memory);
        tell(&format!("{name}, over sockets"), full);
        tell(&format!("{name}, resumed"), resumed);
        println!("{name}: in memory / over sockets           {:5.2}", memory / full);
        println!("{name}: in memory / (in memory + bare)     {:5.2}", memory / (memory + bare));
        println!("{name}: full / resumed                     {:5.2}", full / resumed);
    }
    let storm = median(|| {
        let (calm, storm) = (bench.echo_p99(false)?, bench.echo_p99(true)?);
        println!("echo p99 {:6.0} us, in the storm {:6.0} us", us(calm), us(storm));
        Ok(us(storm) / us(calm))
    })?;
    println!("in the storm / calm                         {storm:5.2}");
    Ok(())
}

fn tell(name: &str, cost: f64) {
    println!("{name:22} {:6.1} us of CPU, {:6.0} a CPU second", cost * 1e6, 1.0 / cost);
}

/// The middle one of some rounds.
fn median(mut round: impl FnMut() -> Outcome<f64>) -> Outcome<f64> {
    let mut found = (0..ROUNDS).map(|_| round()).collect::<Outcome<Vec<_>>>()?;
    found.sort_unstable_by(f64::total_cmp);
    Ok(found[ROUNDS / 2])
}

/// The share of one handshake, in seconds.
fn each(all: Duration) -> f64 {
    all.as_secs_f64() / f64::from(HANDSHAKES)
}

fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Clients that shake hands together.
trait Crowd: Send + 'static {
    /// Lets each of them do so once. Returns connections that are open.
    fn shake_hands(&mut self) -> Outcome<Vec<TcpStream>>;
}

/// What a handshake costs the thread named `server`, in seconds of its CPU time.
fn weigh<C: Crowd>(server: &str, mut crowds: Vec<C>) -> Outcome<f64> {
    // Who comes back has come before. All stay to the end, since leaving costs the server too.
    let first = crowds.iter_mut().map(Crowd::shake_hands).collect::<Outcome<Vec<_>>>()?;
    let before = cpu_of(server)?;
    let threads: Vec<_> =
        crowds.into_iter().map(|crowd| thread::spawn(|| persist(crowd))).collect();
    let mut held = Vec::new();
    for thread in threads {
        held.extend(thread.join().map_err(|_| "a client has panicked")?);
    }
    let cost = each(cpu_of(server)?.saturating_sub(before));
    drop((first, held));
    Ok(cost)
}

fn persist(mut crowd: impl Crowd) -> Vec<TcpStream> {
    (0..BATCHES).flat_map(|_| crowd.shake_hands().expect("handshakes")).collect()
}

/// Clients that speak TLS, each with the tickets that it got.
struct Callers {
    server: SocketAddr,
    configs: Vec<Arc<ClientConfig>>,
    /// How they are to be received from the second time on.
    expected: HandshakeKind,
    have_come: bool,
}

impl Crowd for Callers {
    fn shake_hands(&mut self) -> Outcome<Vec<TcpStream>> {
        let mut callers = Vec::new();
        for config in &self.configs {
            let (mut client, mut socket) = (connection(config)?, TcpStream::connect(self.server)?);
            client.write_tls(&mut socket)?;
            callers.push((client, socket));
        }
        for (client, socket) in &mut callers {
            finish(client, socket)?;
            if self.have_come {
                assert_eq!(client.handshake_kind(), Some(self.expected), "how a client came");
            }
        }
        self.have_come = true;
        Ok(callers.into_iter().map(|(_, socket)| socket).collect())
    }
}

/// Goes on with a handshake up to the ticket that the server gives at its end.
fn finish(client: &mut ClientConnection, socket: &mut TcpStream) -> Outcome<()> {
    let is_done = |client: &ClientConnection| match client.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => client.tls13_tickets_received() > 0,
        _ => !client.is_handshaking(),
    };
    while !is_done(client) {
        client.read_tls(socket)?;
        client.process_new_packets()?;
        while client.wants_write() {
            client.write_tls(socket)?;
        }
    }
    Ok(())
}

/// Clients that send as many bytes as those who speak TLS.
struct Mutes(SocketAddr);

impl Crowd for Mutes {
    fn shake_hands(&mut self) -> Outcome<Vec<TcpStream>> {
        let [hello, flight, finished, ticket] = FLIGHTS.map(|len| vec![0; len]);
        let mut sockets = Vec::new();
        for _ in 0..AT_ONCE {
            let mut socket = TcpStream::connect(self.0)?;
            socket.write_all(&hello)?;
            sockets.push(socket);
        }
        for socket in &mut sockets {
            socket.read_exact(&mut flight.clone())?;
            socket.write_all(&finished)?;
            socket.read_exact(&mut ticket.clone())?;
        }
        Ok(sockets)
    }
}

/// What the sockets of a handshake cost a loop that does nothing else.
fn weigh_bare() -> Outcome<f64> {
    let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    let address = listener.local_addr()?;
    let is_over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_over);
    let server = thread::Builder::new()
        .name(BARE.to_owned())
        .spawn(move || serve_bare(listener, &told).expect("a bare loop"))?;
    let cost = weigh(BARE, (0..CLIENTS).map(|_| Mutes(address)).collect())?;
    is_over.store(true, Ordering::Relaxed);
    server.join().map_err(|_| "the bare loop has panicked")?;
    Ok(cost)
}

/// Answers the first bytes of a client with a flight, the second with a ticket.
fn serve_bare(mut listener: TcpListener, is_over: &AtomicBool) -> Outcome<()> {
    const LISTENER: Token = Token(usize::MAX);
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let answers = [vec![0; FLIGHTS[1]], vec![0; FLIGHTS[3]]];
    let mut scratch = vec![0; 64 * 1024];
    let mut clients: Vec<(mio::net::TcpStream, usize)> = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        poll.poll(&mut events, Some(Duration::from_millis(50)))?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    let token = Token(clients.len());
                    poll.registry().register(&mut stream, token, Interest::READABLE)?;
                    clients.push((stream, 0));
                }
                continue;
            }
            let (stream, answered) = &mut clients[event.token().0];
            match stream.read(&mut scratch) {
                Ok(0) => {}
                Ok(_) => {
                    stream.write_all(&answers[*answered])?;
                    *answered += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Sends back what it gets; at a text it waits.
struct Echo(Arc<Barrier>);

impl Service for Echo {
    type State = ();

    fn upgrade(&mut self, _: &Incoming<'_>, _: &mut Context<'_, ()>) -> Verdict<()> {
        Verdict::accept(())
    }

    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, ()>) {
        if matches!(message, Message::Text(_)) {
            self.0.wait();
        } else {
            let _ = cx.send(key, message);
        }
    }
}

struct Bench {
    server: Arc<ServerConfig>,
    roots: Arc<RootCertStore>,
    /// Where a worker waits for everything to be in place.
    gate: Arc<Barrier>,
}

impl Bench {
    fn new() -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let made = pki::development(directory.path(), SystemTime::now())?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(config::read_certificates(&made.authority)?);
        Ok(Self {
            server: config::server_config(made.identity)?,
            roots: Arc::new(roots),
            gate: Arc::new(Barrier::new(2)),
        })
    }

    /// A server of one worker, with TLS at its first address and without at its second.
    fn serve(&self) -> Outcome<Running> {
        let gate = Arc::clone(&self.gate);
        Ok(Server::builder()
            .workers(NonZeroUsize::MIN)
            .listen_tls("127.0.0.1:0", Arc::clone(&self.server))
            .listen("127.0.0.1:0")
            .start(move |_| Echo(Arc::clone(&gate)))?)
    }

    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        resumes: bool,
    ) -> Outcome<Arc<ClientConfig>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.resumption =
            if resumes { Resumption::in_memory_sessions(8) } else { Resumption::disabled() };
        Ok(Arc::new(config))
    }

    /// Seconds of CPU time that the server's half of a full handshake takes.
    fn in_memory(&self, version: &'static SupportedProtocolVersion) -> Outcome<f64> {
        let config = self.client(version, false)?;
        let mut pairs = (0..HANDSHAKES)
            .map(|_| Ok((connection(&config)?, None::<Tls>, Vec::new())))
            .collect::<Outcome<Vec<_>>>()?;
        let mut cpu = Duration::ZERO;
        for _flight in 0..2 {
            for (client, _, bytes) in &mut pairs {
                if !bytes.is_empty() {
                    client.read_tls(&mut &bytes[..])?;
                    client.process_new_packets()?;
                    bytes.clear();
                }
                while client.wants_write() {
                    client.write_tls(bytes)?;
                }
            }
            let before = thread_cpu();
            for (_, server, bytes) in &mut pairs {
                let tls = match server {
                    Some(tls) => tls,
                    None => server.insert(Tls::server(&self.server)?),
                };
                *bytes = serve(tls, bytes)?;
            }
            cpu += thread_cpu().saturating_sub(before);
        }
        Ok(each(cpu))
    }

    /// The same, of a server with sockets; or of one whose clients come back.
    fn over_sockets(
        &self,
        version: &'static SupportedProtocolVersion,
        resumes: bool,
    ) -> Outcome<f64> {
        let running = self.serve()?;
        let crowd = || -> Outcome<Callers> {
            Ok(Callers {
                server: running.addresses()[0],
                configs: (0..AT_ONCE)
                    .map(|_| self.client(version, resumes))
                    .collect::<Outcome<Vec<_>>>()?,
                expected: if resumes { HandshakeKind::Resumed } else { HandshakeKind::Full },
                have_come: false,
            })
        };
        let cost = weigh(WORKER, (0..CLIENTS).map(|_| crowd()).collect::<Outcome<Vec<_>>>()?)?;
        running.stop();
        running.join()?;
        Ok(cost)
    }

    /// The p99 of echoes, alone or in a storm.
    fn echo_p99(&self, in_storm: bool) -> Outcome<Duration> {
        let running = self.serve()?;
        let [secure, plain] = [running.addresses()[0], running.addresses()[1]];
        let mut sockets = (0..BUSY).map(|_| websocket(plain)).collect::<Outcome<Vec<_>>>()?;
        let callers = if in_storm { self.hellos(secure)? } else { Vec::new() };
        let mut frame = Vec::new();
        encoder::encode_masked(&mut frame, Opcode::Text, b"wait", MaskKey([1, 2, 3, 4]));
        sockets[0].write_all(&frame)?;
        for (socket, hello) in &callers {
            (&*socket).write_all(hello)?;
        }
        // Whoever asks has a core that is not the worker's.
        let asking = thread::spawn(move || {
            if let Some(core) = affinity::cores().last() {
                let _ = core.pin();
            }
            echo(&mut sockets)
        });
        self.gate.wait();
        let mut took = asking.join().map_err(|_| "who asks has panicked")??;
        drop(callers);
        running.stop();
        running.join()?;
        took.sort_unstable();
        Ok(took[took.len() * 99 / 100])
    }

    /// Connections that have not said hello yet, with what they would say.
    fn hellos(&self, server: SocketAddr) -> Outcome<Vec<(TcpStream, Vec<u8>)>> {
        let config = self.client(&TLS13, false)?;
        (0..HANDSHAKES)
            .map(|_| {
                let mut hello = Vec::new();
                connection(&config)?.write_tls(&mut hello)?;
                Ok((TcpStream::connect(server)?, hello))
            })
            .collect()
    }
}

fn connection(config: &Arc<ClientConfig>) -> Outcome<ClientConnection> {
    Ok(ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?)
}

/// What a server answers to `bytes`.
fn serve(tls: &mut Tls, bytes: &[u8]) -> Outcome<Vec<u8>> {
    let mut scratch = vec![0; SCRATCH_BYTES_MIN];
    let kept = tls.restore(&mut scratch);
    scratch[kept..kept + bytes.len()].copy_from_slice(bytes);
    let mut input = Input::new(&mut scratch[..kept + bytes.len()]);
    let mut reply = Vec::new();
    while tls.open(&mut input, &mut reply)? != Opened::Wanting {}
    Ok(reply)
}

/// How long echoes take, with one under way on each connection.
fn echo(sockets: &mut [TcpStream]) -> io::Result<Vec<Duration>> {
    let mut frame = Vec::new();
    encoder::encode_masked(&mut frame, Opcode::Binary, &[7; 64], MaskKey([1, 2, 3, 4]));
    let mut sent = Vec::new();
    for socket in &mut *sockets {
        sent.push(Instant::now());
        socket.write_all(&frame)?;
    }
    let mut took = Vec::new();
    let mut echo = [0; 66];
    for number in 0..ECHOES {
        let (socket, sent) = (&mut sockets[number % BUSY], &mut sent[number % BUSY]);
        socket.read_exact(&mut echo)?;
        took.push(sent.elapsed());
        *sent = Instant::now();
        socket.write_all(&frame)?;
    }
    Ok(took)
}

fn websocket(address: SocketAddr) -> Outcome<TcpStream> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.write_all(
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(socket)
}

/// The CPU time of this thread.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The CPU time of the thread of this name.
fn cpu_of(name: &str) -> Outcome<Duration> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == name {
            let times = fs::read_to_string(task.join("schedstat"))?;
            let nanos = times.split(' ').next().unwrap_or_default().parse()?;
            return Ok(Duration::from_nanos(nanos));
        }
    }
    Err(format!("there is no thread {name}").into())
}
