//! The push service, or one of a test's own, with the server of the library, on ports of its own,
//! for one test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use corecast::http::Origins;
use corecast::hub::WorkerId;
use corecast::push::{Publishers, Push, Settings};
use corecast::server::{Running, Server};
use corecast::tls::{config, pki};
use corecast::worker::{Limits, Service};
use tempfile::TempDir;

use super::client::{Client, PATIENCE, Via, get};

/// A server that runs until the test has ended, however that ends.
pub(crate) struct House {
    running: Option<Running>,
    vias: [Via; 3],
    _state: TempDir,
}

impl House {
    /// Opens one with so many workers.
    pub(crate) fn open(workers: usize, limits: Limits) -> Self {
        let publishers = Publishers::Locals;
        let settings = Settings {
            subprotocols: Vec::new(),
            publish_key: None,
            publish_identities: Vec::new(),
            publishers,
            origins: Origins::SameHost,
        };
        let settings = Arc::new(settings);
        Self::serving(workers, limits, move |_| Push::new(Arc::clone(&settings)))
    }

    /// The same with a service of the test's own.
    pub(crate) fn serving<V: Service + 'static>(
        workers: usize,
        limits: Limits,
        service: impl Fn(WorkerId) -> V + Send + Sync + 'static,
    ) -> Self {
        let state = tempfile::tempdir().unwrap();
        let made = pki::development(state.path(), SystemTime::now()).unwrap();
        let tls = config::server_config(made.identity).unwrap();
        let running = Server::builder()
            .listen("127.0.0.1:0")
            .listen_tls("127.0.0.1:0", tls)
            .admin("127.0.0.1:0".parse().unwrap())
            .workers(NonZeroUsize::new(workers).unwrap())
            .limits(limits)
            .drain_timeout(Duration::from_millis(200))
            .start(service)
            .unwrap();
        Self { running: Some(running), vias: Via::all(&made.authority), _state: state }
    }

    /// All there is to connect by.
    pub(crate) fn vias(&self) -> &[Via; 3] {
        &self.vias
    }

    /// Where it is reached by `via`.
    pub(crate) fn address(&self, via: &Via) -> SocketAddr {
        let [plain, tls] = self.running().addresses() else { panic!("it listens twice") };
        match via {
            Via::Plain => *plain,
            Via::Tls(_) => *tls,
        }
    }

    /// A client that has seen its 101.
    pub(crate) fn client(&self, via: &Via, path: &str) -> Client {
        Client::connect(self.address(via), via, path)
    }

    /// What each worker has counted under `name`, with a label in braces if it has one.
    pub(crate) fn counts(&self, name: &str) -> Vec<u64> {
        let (name, label) = name.split_once('{').unwrap_or((name, "}"));
        let page = get(self.running().admin_address().unwrap(), "/metrics");
        let samples =
            page.lines().filter_map(|line| line.strip_prefix("corecast_")?.split_once(' '));
        let wanted = samples.filter(|(sample, _)| {
            sample
                .split_once('{')
                .is_some_and(|(family, labels)| family == name && labels.ends_with(label))
        });
        wanted.map(|(_, value)| value.parse().unwrap()).collect()
    }

    /// Waits until all workers together have counted `expected` under `name`, and no more.
    pub(crate) fn await_count(&self, name: &str, expected: u64) {
        let end = Instant::now() + PATIENCE;
        loop {
            let count: u64 = self.counts(name).iter().sum();
            if count == expected {
                return;
            }
            assert!(count < expected && Instant::now() < end, "{name} is {count}");
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is dropped")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
            // A second panic would hide the first.
            let outcome = running.join();
            assert!(std::thread::panicking() || outcome.is_ok(), "{outcome:?}");
        }
    }
}

/// Publishes `text` over a connection that stays open; gives back the status of the answer.
pub(crate) fn post(backend: &mut TcpStream, topic: &str, text: &str) -> u16 {
    let len = text.len();
    let request = format!(
        "POST /topics/{topic} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n\
         Content-Length: {len}\r\n\r\n{text}"
    );
    backend.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
    // The body is one line of JSON, behind a head that ends with an empty one.
    while !answer.ends_with(b"}\n") {
        let len = backend.read(&mut chunk).unwrap();
        assert_ne!(len, 0, "no whole answer: {}", answer.escape_ascii());
        answer.extend(&chunk[..len]);
    }
    let status = answer.split(|byte| *byte == b' ').nth(1).unwrap();
    str::from_utf8(status).unwrap().parse().unwrap()
}
