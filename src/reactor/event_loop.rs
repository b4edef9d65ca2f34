//! The order in which things happen on one thread.
//!
//! ```text
//!         +--------------------------------------------------------------+
//!         v                                                              |
//!   handler.turn -> its requests -> wait -> handler.ready -> handler.open
//!                   (connect,       (poll)  (each stream     (each caller,
//!                    stop, exit)             with news)       up to a budget)
//! ```
//!
//! The handler acts before the first wait, so one that begins by calling out needs no wake.
//!
//! Invariant: the loop blocks only after the handler agreed, and not past its deadline.

use super::listener::{Caller, Listener, Spare};
use super::poll::{News, Poller};
use super::{fds, socket};
use crate::base::{Handler, Origin, Readiness, Request};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// So many callers are let in before the streams that are open get their turn again: each takes
/// some 20 us, and a turn without news one.
const ACCEPTS_PER_TURN_MAX: usize = 4;

/// Drives one handler on the thread that runs it.
#[derive(Debug)]
pub struct Reactor {
    poller: Poller,
    listeners: Vec<Listener>,
    spare: Spare,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Course {
    Stay,
    Leave,
}

impl Reactor {
    /// A loop that waits at `poller` and accepts from `listeners`, which must not block.
    ///
    /// What it accepts comes with the position of its listener as [`Origin::via`].
    pub fn new(poller: Poller, listeners: Vec<TcpListener>) -> io::Result<Self> {
        let mut listeners: Vec<_> = listeners.into_iter().map(Listener::new).collect();
        for (number, listener) in (0..).zip(&mut listeners) {
            poller.add_listener(listener.source(), number)?;
        }
        Ok(Self { poller, listeners, spare: Spare::new()? })
    }

    /// Keeps the last few files of the table from callers, fewer than `reserve`.
    ///
    /// For loops that share a table: the descriptor that one of them gives up to turn a caller
    /// away could go to a caller of another, and would be lost. Whoever answers operators does not
    /// need it, and so is still reached when there is no room for others.
    pub fn with_margin(mut self, reserve: u64) -> io::Result<Self> {
        let (limit, _) = fds::limits()?;
        self.spare.keep_free(limit, fds::margin(limit, reserve));
        Ok(self)
    }

    /// Drives `handler` until it asks to exit. An error means that waiting itself has failed.
    pub fn run<H: Handler<Stream = TcpStream>>(mut self, handler: &mut H) -> io::Result<()> {
        let mut now = clock();
        loop {
            handler.turn(now);
            if self.grant(handler, now) == Course::Leave {
                return Ok(());
            }
            let timeout = self.timeout(handler, now);
            self.poller.wait(timeout)?;
            now = clock();
            self.tell(handler, now);
            self.accept(handler, now);
        }
    }

    /// Does what the handler cannot do itself.
    fn grant<H: Handler<Stream = TcpStream>>(&mut self, handler: &mut H, now: Instant) -> Course {
        while let Some(request) = handler.poll_request() {
            match request {
                Request::Connect { via, to, from } => match socket::connect(to, from) {
                    Ok(stream) => {
                        hand_over(&self.poller, handler, stream, Origin { via, peer: to }, now);
                    }
                    Err(error) => handler.connect_failed(via, &error, now),
                },
                Request::StopAccepting => self.listeners.clear(),
                Request::Exit => return Course::Leave,
            }
        }
        Course::Stay
    }

    /// How long to wait; `None` is for as long as nothing happens.
    fn timeout<H: Handler>(&self, handler: &mut H, now: Instant) -> Option<Duration> {
        let is_anybody_waiting = self.listeners.iter().any(|listener| listener.is_due(now));
        if is_anybody_waiting || !handler.may_sleep() {
            return Some(Duration::ZERO);
        }
        let deadlines = self.listeners.iter().filter_map(Listener::deadline);
        let deadline = deadlines.chain(handler.deadline()).min()?;
        // Read again, since the turn took its time and would make every deadline late by it.
        Some(deadline.saturating_duration_since(clock()))
    }

    /// Tells the handler, and the listeners, what the wait has brought.
    fn tell<H: Handler>(&mut self, handler: &mut H, now: Instant) {
        for news in self.poller.news() {
            match news {
                News::Stream(key, readiness) => handler.ready(key, readiness, now),
                News::Listener(number) => {
                    if let Some(listener) = self.listeners.get_mut(number as usize) {
                        listener.knock();
                    }
                }
                News::Woken => {}
            }
        }
    }

    /// Lets callers in, as many as a turn allows.
    fn accept<H: Handler<Stream = TcpStream>>(&mut self, handler: &mut H, now: Instant) {
        for (via, listener) in (0..).zip(&mut self.listeners) {
            for _ in 0..ACCEPTS_PER_TURN_MAX {
                match listener.accept(&mut self.spare, now) {
                    Caller::Stream(stream, peer) => {
                        hand_over(&self.poller, handler, stream, Origin { via, peer }, now);
                    }
                    Caller::Gone => {}
                    Caller::TurnedAway => handler.turned_away(now),
                    Caller::Nobody => break,
                }
            }
        }
    }
}

/// Gives `stream` to the handler, and its news from then on.
///
/// The key is known only after the handler has the stream, so the poller comes second. Nothing is
/// missed: it begins by telling what is ready already.
fn hand_over<H: Handler<Stream = TcpStream>>(
    poller: &Poller,
    handler: &mut H,
    stream: TcpStream,
    origin: Origin,
    now: Instant,
) {
    let descriptor = stream.as_raw_fd();
    let Some(key) = handler.open(stream, origin, now) else { return };
    if let Err(error) = poller.add_stream(descriptor, key) {
        log::error!("cannot watch a connection, so it is closed: {error}");
        // Nothing would ever be heard of it. Now the handler, when it tries, finds its end.
        socket::shut_down(descriptor);
        handler.ready(key, Readiness::ENDED | Readiness::WRITABLE, now);
    }
}

/// The one clock of a loop.
#[allow(clippy::disallowed_methods)] // from here on time is an argument
fn clock() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Key, Slab, Wake};
    use crate::reactor::alone::run_alone;
    use crate::reactor::fds;
    use crate::reactor::listener::{Reservation, reserve};
    use std::io::{ErrorKind, Read, Write};
    use std::iter::repeat_with;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::thread;

    /// What an [`Echo`] has seen.
    #[derive(Debug, Eq, PartialEq)]
    enum Sight {
        Opened(u32),
        ConnectFailed(u32, ErrorKind),
        Closed(Option<ErrorKind>),
        TurnedAway,
        Deadline,
    }

    /// Sends back what it gets and does what it is told from another thread.
    struct Echo {
        streams: Slab<TcpStream>,
        is_open_house: bool,
        deadline: Option<Instant>,
        requests: Receiver<Request>,
        sights: Sender<Sight>,
    }

    impl Echo {
        fn echo(stream: &mut TcpStream) -> io::Result<()> {
            let mut bytes = [0; 64];
            loop {
                match stream.read(&mut bytes)? {
                    0 => return Err(ErrorKind::UnexpectedEof.into()),
                    len => stream.write_all(&bytes[..len])?,
                }
            }
        }
    }

    impl Handler for Echo {
        type Stream = TcpStream;

        fn open(&mut self, stream: TcpStream, origin: Origin, _: Instant) -> Option<Key> {
            if !self.is_open_house {
                return None;
            }
            self.sights.send(Sight::Opened(origin.via)).unwrap();
            Some(self.streams.insert(stream))
        }

        fn connect_failed(&mut self, via: u32, error: &io::Error, _: Instant) {
            self.sights.send(Sight::ConnectFailed(via, error.kind())).unwrap();
        }

        fn turned_away(&mut self, _: Instant) {
            self.sights.send(Sight::TurnedAway).unwrap();
        }

        fn ready(&mut self, key: Key, _: Readiness, _: Instant) {
            let Some(stream) = self.streams.get_mut(key) else { return };
            let error = Self::echo(stream).unwrap_err().kind();
            if error != ErrorKind::WouldBlock {
                self.streams.remove(key);
                let reason = Some(error).filter(|error| *error != ErrorKind::UnexpectedEof);
                self.sights.send(Sight::Closed(reason)).unwrap();
            }
        }

        fn turn(&mut self, now: Instant) {
            if self.deadline.take_if(|deadline| *deadline <= now).is_some() {
                self.sights.send(Sight::Deadline).unwrap();
            }
        }

        fn deadline(&self) -> Option<Instant> {
            self.deadline
        }

        fn poll_request(&mut self) -> Option<Request> {
            self.requests.try_recv().ok()
        }
    }

    /// A reactor on a thread of its own, as a test sees it.
    struct Driven {
        address: SocketAddr,
        requests: Sender<Request>,
        waker: Arc<dyn Wake>,
        sights: Receiver<Sight>,
    }

    impl Driven {
        fn ask(&self, request: Request) {
            self.requests.send(request).unwrap();
            self.waker.wake();
        }

        fn sees(&self, sight: &Sight) {
            assert_eq!(self.sights.recv().unwrap(), *sight);
        }

        fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).unwrap()
        }
    }

    /// Lets the reactor exit at the end of a test, also of one that fails.
    struct Leaving<'a>(&'a Driven);

    impl Drop for Leaving<'_> {
        fn drop(&mut self) {
            self.0.ask(Request::Exit);
        }
    }

    /// Runs `test` against a reactor that accepts from `listener`, then lets it exit.
    fn drive(listener: TcpListener, test: impl FnOnce(&Driven)) {
        drive_prepared(listener, |_| {}, test);
    }

    /// The same, with something to do when all is made and nothing runs.
    fn drive_prepared(
        listener: TcpListener,
        prepare: impl FnOnce(&mut Echo),
        test: impl FnOnce(&Driven),
    ) {
        let poller = Poller::new().unwrap();
        let (requests, asked) = mpsc::channel();
        let (seen, sights) = mpsc::channel();
        let address = listener.local_addr().unwrap();
        let driven = Driven { address, requests, waker: poller.waker(), sights };
        let reactor = Reactor::new(poller, vec![listener]).unwrap();
        let streams = Slab::default();
        let mut echo =
            Echo { streams, is_open_house: true, deadline: None, requests: asked, sights: seen };
        prepare(&mut echo);
        thread::scope(|scope| {
            scope.spawn(move || reactor.run(&mut echo).unwrap());
            let _leaving = Leaving(&driven);
            test(&driven);
        });
    }

    fn port() -> Reservation {
        reserve("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    fn listener() -> TcpListener {
        port().seat().unwrap().listen().unwrap()
    }

    fn is_echoed(stream: &mut TcpStream) -> bool {
        let mut answer = [0; 5];
        let outcome = stream.write_all(b"hello").and_then(|()| stream.read_exact(&mut answer));
        outcome.is_ok() && answer == *b"hello"
    }

    #[test]
    fn what_is_sent_comes_back() {
        drive(listener(), |driven| {
            let mut streams = [(); 5].map(|()| driven.connect());
            for stream in streams.iter_mut().rev() {
                assert!(is_echoed(stream));
            }
        });
    }

    #[test]
    fn an_end_reaches_the_handler() {
        drive(listener(), |driven| {
            drop(driven.connect());
            driven.sees(&Sight::Opened(0));
            driven.sees(&Sight::Closed(None));
        });
    }

    #[test]
    fn more_callers_than_a_turn_takes_all_get_in() {
        drive(listener(), |driven| {
            let streams: Vec<_> = (0..3 * ACCEPTS_PER_TURN_MAX).map(|_| driven.connect()).collect();
            for _ in &streams {
                driven.sees(&Sight::Opened(0));
            }
        });
    }

    #[test]
    fn a_stream_that_is_not_wanted_is_closed() {
        let refuse = |echo: &mut Echo| echo.is_open_house = false;
        drive_prepared(listener(), refuse, |driven| {
            assert_eq!(driven.connect().read(&mut [0]).unwrap(), 0);
        });
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let soon = clock() + Duration::from_millis(2);
        let wait = |echo: &mut Echo| echo.deadline = Some(soon);
        drive_prepared(listener(), wait, |driven| {
            driven.sees(&Sight::Deadline);
            assert!(clock() >= soon);
        });
    }

    #[test]
    fn who_calls_after_the_listeners_closed_is_refused() {
        drive(listener(), |driven| {
            let mut before = driven.connect();
            driven.sees(&Sight::Opened(0));
            driven.ask(Request::StopAccepting);
            assert!(is_echoed(&mut before));
            // Two turns have passed by now, and the first has closed the listener.
            assert!(is_echoed(&mut before));
            // A child that another test just forked may hold the listener open until it execs.
            let refusal = repeat_with(|| TcpStream::connect(driven.address)).find_map(Result::err);
            assert_eq!(refusal.unwrap().kind(), ErrorKind::ConnectionRefused);
        });
    }

    #[test]
    fn a_handler_can_call_out() {
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = outside.local_addr().unwrap();
        drive(listener(), |driven| {
            driven.ask(Request::Connect { via: 9, to, from: None });
            driven.sees(&Sight::Opened(9));
            let (mut stream, _) = outside.accept().unwrap();
            assert!(is_echoed(&mut stream));
        });
    }

    #[test]
    fn a_refused_call_is_a_stream_that_errs() {
        let to = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        drive(listener(), |driven| {
            driven.ask(Request::Connect { via: 9, to, from: None });
            driven.sees(&Sight::Opened(9));
            driven.sees(&Sight::Closed(Some(ErrorKind::ConnectionRefused)));
        });
    }

    #[test]
    fn a_call_that_cannot_begin_is_reported() {
        drive(listener(), |driven| {
            let from = Some(driven.address);
            driven.ask(Request::Connect { via: 9, to: driven.address, from });
            driven.sees(&Sight::ConnectFailed(9, ErrorKind::AddrInUse));
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn two_reactors_share_a_port() {
        let shared = port();
        let [one, other] = [(); 2].map(|()| shared.seat().unwrap().listen().unwrap());
        drive(one, |first| {
            drive(other, |second| {
                // Where a caller lands is a matter of a hash, so it may take a few.
                let mut streams = Vec::new();
                let [mut is_first_called, mut is_second_called] = [false; 2];
                while !(is_first_called && is_second_called) {
                    let mut stream = first.connect();
                    assert!(is_echoed(&mut stream));
                    streams.push(stream);
                    assert!(streams.len() < 200, "all callers land on one reactor");
                    is_first_called |= first.sights.try_recv().is_ok();
                    is_second_called |= second.sights.try_recv().is_ok();
                }
            });
        });
    }

    #[test]
    fn a_caller_without_a_descriptor_is_turned_away() {
        let this = "reactor::event_loop::tests::a_caller_without_a_descriptor_is_turned_away";
        run_alone(this, run_out_of_descriptors);
    }

    fn run_out_of_descriptors() {
        let listener = listener();
        // They wait in the queue before the loop runs, so they have their own descriptors.
        let address = listener.local_addr().unwrap();
        let mut callers: Vec<_> = (0..6).map(|_| TcpStream::connect(address).unwrap()).collect();
        let leave_two = |_: &mut Echo| {
            let next = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
            let (_, hard) = fds::limits().unwrap();
            fds::set_soft_limit(u64::try_from(next).unwrap() + 2, hard).unwrap();
        };
        drive_prepared(listener, leave_two, |driven| {
            let mut refused = callers.split_off(2);
            assert!(callers.iter_mut().all(is_echoed));
            for caller in &mut refused {
                assert_eq!(caller.read(&mut [0]).unwrap(), 0, "closed on");
            }
            drop(refused);
            drop(callers);
            let sights: Vec<_> = driven.sights.iter().take(8).collect();
            let count = |sight| sights.iter().filter(|seen| **seen == sight).count();
            assert_eq!(count(Sight::Opened(0)), 2);
            assert_eq!(count(Sight::TurnedAway), 4, "{sights:?}");
            assert!(is_echoed(&mut driven.connect()));
        });
    }
}
