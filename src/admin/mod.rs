//! The control plane: metrics and health, on a thread and at an address of their own.
//!
//! ```text
//! GET /metrics        every figure of every worker, in the text format of Prometheus
//! GET /health/live    200 while the process runs
//! GET /health/ready   200 while it takes new connections, 503 once it drains
//! ```
//!
//! It is driven by the same loop as a worker and shares nothing with one but counters that the
//! worker writes and this reads, so a scrape costs no worker a cycle.
//!
//! Invariant: a connection brings one request, gets one answer and is gone by its deadline,
//! whatever its peer does; and there are never more than a fixed number of them.

mod answer;
mod certificates;
mod exchange;

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::base::{Handler, Key, Origin, Readiness, Request, Slab, Stream, Wake};
use crate::worker::metrics::Metrics;

pub use certificates::Certificates;

use answer::Health;
use certificates::Told;
use exchange::{Exchange, Progress};

/// Connections at once: a scraper or two, the probes of a platform and a person who looks.
const EXCHANGES_MAX: usize = 64;

/// From the accept to the last byte of the answer.
const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(10);

/// Metrics and health, to be driven by a loop.
#[derive(Debug)]
pub struct Admin<S> {
    exchanges: Slab<Exchange<S>>,
    /// Exchanges of which there is news.
    ready: Vec<Key>,
    orders: Receiver<Order>,
    metrics: Arc<[Arc<Metrics>]>,
    certificates: Told,
    health: Health,
    is_leaving: bool,
}

/// What the rest of the process tells its control plane. It may be sent to other threads.
#[derive(Clone)]
pub struct Remote {
    orders: Sender<Order>,
    waker: Arc<dyn Wake>,
}

/// A change that concerns the control plane.
#[derive(Clone, Debug)]
enum Order {
    /// The certificates are these now.
    Tell(Vec<Certificates>),
    /// The workers take nobody new any more.
    Drain,
    /// The process ends.
    Leave,
}

impl Remote {
    /// From now on tells of these certificates.
    pub fn tell(&self, certificates: Vec<Certificates>) {
        self.order(Order::Tell(certificates));
    }

    /// From now on says that the server is not ready.
    pub fn drain(&self) {
        self.order(Order::Drain);
    }

    /// Ends the loop.
    pub fn leave(&self) {
        self.order(Order::Leave);
    }

    /// An admin that has ended already needs no orders.
    fn order(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            self.waker.wake();
        }
    }
}

impl<S: Stream> Admin<S> {
    /// A control plane that shows `metrics`, and what reaches it through the `waker` of its loop.
    pub fn new(metrics: Arc<[Arc<Metrics>]>, waker: Arc<dyn Wake>) -> (Self, Remote) {
        let (sender, orders) = unbounded();
        let admin = Self {
            exchanges: Slab::default(),
            ready: Vec::new(),
            orders,
            metrics,
            certificates: Told::default(),
            health: Health::Ready,
            is_leaving: false,
        };
        (admin, Remote { orders: sender, waker })
    }

    fn obey(&mut self, now: Instant) {
        for order in self.orders.try_iter() {
            match order {
                Order::Tell(certificates) => self.certificates = Told::new(certificates, now),
                Order::Drain => self.health = Health::Draining,
                Order::Leave => self.is_leaving = true,
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let is_over =
            |(key, exchange): (Key, &Exchange<S>)| (exchange.deadline() <= now).then_some(key);
        let over: Vec<_> = self.exchanges.iter().filter_map(is_over).collect();
        for key in over {
            self.exchanges.remove(key);
        }
    }

    fn progress(&mut self, now: Instant) {
        for key in mem::take(&mut self.ready) {
            let Some(exchange) = self.exchanges.get_mut(key) else { continue };
            let more = |page: &mut String| self.certificates.encode(now, page);
            let answer = |head: &_| answer::answer(head, self.health, &self.metrics, more);
            if exchange.progress(answer) == Progress::Over {
                self.exchanges.remove(key);
            }
        }
    }
}

impl<S: Stream> Handler for Admin<S> {
    type Stream = S;

    fn open(&mut self, stream: S, _: Origin, now: Instant) -> Option<Key> {
        if self.exchanges.len() >= EXCHANGES_MAX {
            return None;
        }
        Some(self.exchanges.insert(Exchange::new(stream, now + EXCHANGE_TIME_MAX)))
    }

    fn ready(&mut self, key: Key, _: Readiness, _: Instant) {
        self.ready.push(key);
    }

    fn turn(&mut self, now: Instant) {
        self.obey(now);
        self.progress(now);
        self.expire(now);
        debug_assert!(self.exchanges.len() <= EXCHANGES_MAX);
    }

    fn deadline(&self) -> Option<Instant> {
        self.exchanges.iter().map(|(_, exchange)| exchange.deadline()).min()
    }

    fn poll_request(&mut self) -> Option<Request> {
        mem::take(&mut self.is_leaving).then_some(Request::Exit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{self, ErrorKind, Read, Write};
    use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
    use std::sync::mpsc;

    use super::*;
    use crate::base::time::real_now;

    /// Reads what it was given, piece by piece, and tells what is written to it.
    struct Script {
        pieces: VecDeque<Vec<u8>>,
        written: mpsc::Sender<Vec<u8>>,
        takes_max: usize,
    }

    impl Read for Script {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let piece = self.pieces.pop_front().ok_or(ErrorKind::WouldBlock)?;
            bytes[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let len = bytes.len().min(self.takes_max);
            self.written.send(bytes[..len].to_vec()).unwrap();
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Script {
        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Silent;

    impl Wake for Silent {
        fn wake(&self) {}
    }

    const ORIGIN: Origin =
        Origin { via: 0, peer: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9)) };

    struct Bench {
        admin: Admin<Script>,
        remote: Remote,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let metrics = [Arc::new(Metrics::default())].into();
            let (admin, remote) = Admin::new(metrics, Arc::new(Silent));
            Self { admin, remote, now: real_now() }
        }

        /// Opens a connection that sends `pieces`, and gives what it gets.
        fn ask(&mut self, pieces: &[&str], takes_max: usize) -> String {
            let (written, got) = mpsc::channel();
            let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
            let script = Script { pieces, written, takes_max };
            let key = self.admin.open(script, ORIGIN, self.now).unwrap();
            self.admin.ready(key, Readiness::READABLE, self.now);
            self.admin.turn(self.now);
            String::from_utf8(got.try_iter().flatten().collect()).unwrap()
        }

        fn status(&mut self, request_line: &str) -> String {
            let answer = self.ask(&[request_line, " HTTP/1.1\r\nHost: a\r\n\r\n"], usize::MAX);
            assert!(answer.contains("Connection: close\r\n"), "{answer}");
            answer.split(' ').nth(1).unwrap().to_owned()
        }
    }

    #[test]
    fn every_path_has_its_answer() {
        let mut bench = Bench::new();
        let rows = [
            ("GET /metrics", "200"),
            ("HEAD /metrics", "200"),
            ("GET /health/live", "200"),
            ("GET /health/ready", "200"),
            ("POST /health/ready", "405"),
            ("GET /", "404"),
            ("POST /", "404"),
        ];
        for (line, status) in rows {
            assert_eq!(bench.status(line), status, "{line}");
        }
        assert!(bench.admin.exchanges.is_empty(), "an answered exchange is over");
    }

    #[test]
    fn a_server_that_drains_lives_and_is_not_ready() {
        let mut bench = Bench::new();
        bench.remote.drain();
        bench.admin.turn(bench.now);
        assert_eq!(bench.status("GET /health/live"), "200");
        assert_eq!(bench.status("GET /health/ready"), "503");
    }

    #[test]
    fn an_answer_is_whole_however_little_the_socket_takes() {
        let mut bench = Bench::new();
        let request = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        let whole = bench.ask(&[request], usize::MAX);
        let pieces: Vec<_> = request.split_inclusive('/').collect();
        assert_eq!(bench.ask(&pieces, 1), whole);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let answer = Bench::new().ask(&["what\r\n\r\n"], usize::MAX);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }

    #[test]
    fn whoever_is_slow_is_gone_by_the_deadline() {
        let mut bench = Bench::new();
        assert_eq!(bench.ask(&["GET /met"], usize::MAX), "");
        let deadline = bench.admin.deadline().unwrap();
        assert_eq!(deadline, bench.now + EXCHANGE_TIME_MAX);
        bench.admin.turn(deadline);
        assert!(bench.admin.exchanges.is_empty());
        assert_eq!(bench.admin.deadline(), None);
    }

    #[test]
    fn only_so_many_are_let_in() {
        let mut bench = Bench::new();
        for _ in 0..EXCHANGES_MAX {
            bench.ask(&[], usize::MAX);
        }
        let (written, _) = mpsc::channel();
        let script = Script { pieces: VecDeque::new(), written, takes_max: 0 };
        assert_eq!(bench.admin.open(script, ORIGIN, bench.now), None);
    }

    #[test]
    fn whoever_is_told_to_leave_leaves_once() {
        let mut bench = Bench::new();
        assert_eq!(bench.admin.poll_request(), None);
        bench.remote.leave();
        bench.admin.turn(bench.now);
        assert_eq!(bench.admin.poll_request(), Some(Request::Exit));
        assert_eq!(bench.admin.poll_request(), None);
    }
}
