//! What a TLS 1.3 handshake costs a server: `cargo bench --bench handshake`.
//!
//! ```text
//!   full, in memory       the server's half alone, no sockets
//!   full, over sockets    a server with one worker, clients on other threads
//!   resumed, over sockets the same clients come back with tickets
//!   echo p99              100 busy WebSockets, alone and while 2,000 hellos arrive at once
//! ```
//!
//! Cost is the CPU time of the thread that serves, so it matters little what else runs. The hellos
//! of the storm are sent as fast as one thread can, and nobody goes on with them: what they cost, a
//! key exchange and a signature each, comes before that. Linux only: threads are weighed through
//! /proc.
#![allow(clippy::disallowed_methods)] // a measurement reads the clock, and waits
#![allow(clippy::indexing_slicing)] // it ends where it is surprised

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use corecast::base::{Input, Key};
use corecast::server::{Running, Server};
use corecast::tls::{Opened, SCRATCH_BYTES_MIN, ServerConfig, Tls, config, pki};
use corecast::worker::{Context, Incoming, Service, Verdict};
use corecast::ws::{MaskKey, Message, Opcode, encoder};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};

const HANDSHAKES: u32 = 2_000;
const BUSY: usize = 100;
const ECHOES: usize = 20_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let bench = Bench::start()?;
    let memory = bench.in_memory()?;
    let full = bench.over_sockets(false)?;
    let resumed = bench.over_sockets(true)?;
    for (name, cost) in [("full, in memory", memory), ("full", full), ("resumed", resumed)] {
        println!("{name:16} {:7.1} us of CPU, {:6.0} a CPU second", cost * 1e6, 1.0 / cost);
    }
    println!("sockets beside memory   {:5.2}", memory / full);
    println!("resumed beside full     {:5.2}", full / resumed);
    let (calm, storm) = (bench.echo_p99(false)?, bench.echo_p99(true)?);
    println!("echo p99         {:7.0} us, {:7.0} us in the storm", us(calm), us(storm));
    println!("storm beside calm       {:5.2}", us(storm) / us(calm));
    bench.running.stop();
    Ok(bench.running.join()?)
}

/// The share of one handshake, in seconds.
fn each(all: Duration) -> f64 {
    all.as_secs_f64() / f64::from(HANDSHAKES)
}

fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

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

struct Bench {
    running: Running,
    server: Arc<ServerConfig>,
    client: ClientConfig,
}

impl Bench {
    fn start() -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let made = pki::development(directory.path(), SystemTime::now())?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(config::read_certificates(&made.authority)?);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = config::server_config(made.identity)?;
        let running = Server::builder()
            .workers(NonZeroUsize::MIN)
            .listen_tls("127.0.0.1:0", Arc::clone(&server))
            .listen("127.0.0.1:0")
            .start(|_| Echo)?;
        Ok(Self { running, server, client })
    }

    fn client(&self, resumes: bool) -> Arc<ClientConfig> {
        let mut config = self.client.clone();
        config.resumption =
            if resumes { Resumption::in_memory_sessions(64) } else { Resumption::disabled() };
        Arc::new(config)
    }

    /// Seconds of CPU time that the server's half of a full handshake takes.
    fn in_memory(&self) -> Outcome<f64> {
        let config = self.client(false);
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
    fn over_sockets(&self, resumes: bool) -> Outcome<f64> {
        let address = self.address(0);
        let config = self.client(resumes);
        // The first client of those that come back has to come for the first time.
        shake_hands(address, &config)?;
        let before = worker_cpu()?;
        let threads: Vec<_> = (0..2)
            .map(|_| {
                // Tickets are not shared: two clients would take each other's.
                let config = if resumes { self.client(true) } else { Arc::clone(&config) };
                thread::spawn(move || {
                    (0..HANDSHAKES / 2)
                        .filter(|_| {
                            let kind = shake_hands(address, &config).expect("a handshake");
                            kind == HandshakeKind::Resumed
                        })
                        .count() as u64
                })
            })
            .collect();
        let mut come_back = 0;
        for thread in threads {
            come_back += thread.join().map_err(|_| "a client has panicked")?;
        }
        let expected = if resumes { u64::from(HANDSHAKES) - 2 } else { 0 };
        assert_eq!(come_back, expected, "clients that came back");
        Ok(each(worker_cpu()?.saturating_sub(before)))
    }

    /// The p99 of echoes, alone or in a storm.
    fn echo_p99(&self, in_storm: bool) -> Outcome<Duration> {
        let mut sockets =
            (0..BUSY).map(|_| websocket(self.address(1))).collect::<Outcome<Vec<_>>>()?;
        let mut frame = Vec::new();
        encoder::encode_masked(&mut frame, Opcode::Binary, &[7; 64], MaskKey([1, 2, 3, 4]));
        let callers = if in_storm { self.hellos()? } else { Vec::new() };
        let mut sent = Vec::new();
        for socket in &mut sockets {
            socket.write_all(&frame)?;
            sent.push(Instant::now());
        }
        let storm = thread::spawn(move || {
            callers
                .into_iter()
                .map(|(mut socket, hello)| socket.write_all(&hello).map(|()| socket))
                .collect::<Result<Vec<_>, _>>()
        });
        let mut took = Vec::new();
        let mut echo = [0; 66];
        for number in 0..ECHOES {
            let (socket, sent) = (&mut sockets[number % BUSY], &mut sent[number % BUSY]);
            socket.read_exact(&mut echo)?;
            took.push(sent.elapsed());
            *sent = Instant::now();
            socket.write_all(&frame)?;
        }
        storm.join().map_err(|_| "the storm has panicked")??;
        took.sort_unstable();
        Ok(took[took.len() * 99 / 100])
    }

    /// Connections that have not said hello yet, with what they would say.
    fn hellos(&self) -> Outcome<Vec<(TcpStream, Vec<u8>)>> {
        let config = self.client(false);
        (0..HANDSHAKES)
            .map(|_| {
                let mut hello = Vec::new();
                connection(&config)?.write_tls(&mut hello)?;
                Ok((TcpStream::connect(self.address(0))?, hello))
            })
            .collect()
    }

    fn address(&self, listener: usize) -> SocketAddr {
        self.running.addresses()[listener]
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

/// A handshake, up to the ticket that the server gives at its end.
fn shake_hands(address: SocketAddr, config: &Arc<ClientConfig>) -> Outcome<HandshakeKind> {
    let mut client = connection(config)?;
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let mut tickets = 0;
    while tickets == 0 {
        while client.wants_write() {
            client.write_tls(&mut socket)?;
        }
        client.read_tls(&mut socket)?;
        client.process_new_packets()?;
        tickets = client.tls13_tickets_received();
    }
    client.handshake_kind().ok_or_else(|| "no handshake".into())
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

/// The CPU time of the thread that serves.
fn worker_cpu() -> Outcome<Duration> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "worker-0" {
            let times = fs::read_to_string(task.join("schedstat"))?;
            let nanos = times.split(' ').next().unwrap_or_default().parse()?;
            return Ok(Duration::from_nanos(nanos));
        }
    }
    Err("there is no worker".into())
}
