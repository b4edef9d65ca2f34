//! What TLS costs: `cargo bench --bench seal`.
//!
//! A record is sealed and opened with keys that are set up already (a busy connection) and with
//! keys set up for it alone (a connection that rests), and hands are shaken in full, both sides.

#![allow(clippy::disallowed_methods)] // certificates are made for the real time
#![allow(clippy::unwrap_used)] // a benchmark fails where it must

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use corecast::base::Input;
use corecast::tls::{Opened, SCRATCH_BYTES_MIN, ServerConfig, Tls, config, pki};
use criterion::{BatchSize, Criterion, Throughput};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{CipherSuite, ClientConfig, RootCertStore};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for (name, suite) in [
        ("AES-256-GCM", CipherSuite::TLS13_AES_256_GCM_SHA384),
        ("ChaCha20-Poly1305", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ] {
        let configs = Configs::new(suite);
        for len in [100, 16 * 1024] {
            records(&mut criterion, name, &configs, len);
        }
        handshakes(&mut criterion, name, &configs);
    }
}

/// Seals and opens records of `len` bytes.
fn records(criterion: &mut Criterion, suite: &str, configs: &Configs, len: usize) {
    let (mut client, mut server) = configs.pair();
    let payload = vec![0xA5; len];
    let mut out = Vec::with_capacity(SCRATCH_BYTES_MIN);
    let mut group = criterion.benchmark_group(format!("{suite}, {len} bytes"));
    group.throughput(Throughput::Bytes(len as u64));
    for (name, rests) in [("keys kept", false), ("keys set up", true)] {
        group.bench_function(format!("seal, {name}"), |bencher| {
            // Another connection: what it seals, nobody opens.
            let (_, mut server) = configs.pair();
            bencher.iter(|| {
                if rests {
                    server.rest();
                }
                out.clear();
                server.seal(black_box(&payload), &mut out).unwrap();
            });
        });
        group.bench_function(format!("open, {name}"), |bencher| {
            let seal = || {
                let mut out = Vec::new();
                client.seal(&payload, &mut out).unwrap();
                out
            };
            let open = |record: &mut Vec<u8>| {
                if rests {
                    server.rest();
                }
                take_in(&mut server, record)
            };
            bencher.iter_batched_ref(seal, open, BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// Shakes hands, as often as one core can for both sides.
fn handshakes(criterion: &mut Criterion, suite: &str, configs: &Configs) {
    let mut group = criterion.benchmark_group(format!("{suite}, handshake"));
    group.throughput(Throughput::Elements(1));
    group.bench_function("full, both sides", |bencher| bencher.iter(|| configs.pair()));
    group.finish();
}

struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Configs {
    /// A server as it is, and a client that offers it nothing but `suite`.
    fn new(suite: CipherSuite) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = pki::development(directory.path(), SystemTime::now()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(config::read_certificates(&made.authority).unwrap());
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|supported| supported.suite() == suite);
        let mut client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.resumption = Resumption::disabled();
        client.enable_secret_extraction = true;
        Self { server: config::server_config(made.identity).unwrap(), client: Arc::new(client) }
    }

    /// A client and a server that have shaken hands.
    fn pair(&self) -> (Tls, Tls) {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = Tls::client(&self.client, name).unwrap();
        let mut server = Tls::server(&self.server).unwrap();
        let mut to_server = take_in(&mut client, &mut []);
        while !to_server.is_empty() {
            let mut to_client = take_in(&mut server, &mut to_server);
            to_server = take_in(&mut client, &mut to_client);
        }
        (client, server)
    }
}

/// Takes in `bytes`, which end where a record ends, and gives back what is to be sent.
fn take_in(tls: &mut Tls, bytes: &mut [u8]) -> Vec<u8> {
    let (mut input, mut reply) = (Input::new(bytes), Vec::new());
    while black_box(tls.open(&mut input, &mut reply).unwrap()) != Opened::Wanting {}
    reply
}
