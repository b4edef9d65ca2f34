//! The driver against servers in memory, which refuse, stall, reset, close and cut at random.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc;

use corecast::base::{Input, Rng};
use corecast::http;
use corecast::reactor::fds::Limit;
use corecast::ws::handshake::accept;
use corecast::ws::{self, Decoder, Event, Opcode, Role, encoder};

use super::board::Board;
use super::link::{Command, Deed, Report, Variation};
use super::socket::Sockets;
use super::*;
use crate::args::Cli;
use crate::books::Books;
use crate::client::{Greeting, Mask};
use crate::stamp::Press;
use clap::Parser;

thread_local! {
    /// The time of the simulated world.
    static NOW: Cell<Option<Instant>> = const { Cell::new(None) };
}

#[allow(clippy::disallowed_methods)] // some instant to start from
fn now() -> Instant {
    NOW.get().unwrap_or_else(|| {
        let now = Instant::now();
        NOW.set(Some(now));
        now
    })
}

fn pass(time: Duration) {
    NOW.set(Some(now() + time));
}

/// What a server in memory does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Manner {
    /// It is a good echo server.
    Good,
    /// Nobody listens.
    Refuses,
    /// It accepts and says nothing.
    Silent,
    /// It answers with 503.
    Unavailable,
    /// It says goodbye at the first message.
    Leaves,
    /// It resets the connection at the first message.
    Resets,
}

/// A stream with its server at the other end. It gives a few bytes a time.
struct Pipe {
    manner: Manner,
    rng: Rng,
    reader: http::Reader,
    decoder: Decoder,
    is_upgraded: bool,
    is_reset: bool,
    back: Vec<u8>,
}

impl Pipe {
    fn new(manner: Manner, rng: Rng) -> Self {
        let (reader, decoder) = (http::Reader::default(), Decoder::new(Role::Server));
        Self { manner, rng, reader, decoder, is_upgraded: false, is_reset: false, back: Vec::new() }
    }

    fn serve(&mut self, mut bytes: Vec<u8>) {
        let mut input = Input::new(&mut bytes);
        if !self.is_upgraded {
            let request = self.reader.next(&mut input, &http::Limits::default()).unwrap();
            let Some((head, _)) = request else { return };
            accept(&head).unwrap().encode(None, None, &mut self.back);
            self.is_upgraded = true;
        }
        let limits = ws::Limits { message_bytes_max: 1_024, fragments_max: 1 };
        while let Some(event) = self.decoder.next(&mut input, &limits).unwrap() {
            match (event, self.manner) {
                (Event::Binary(_), Manner::Resets) => self.is_reset = true,
                (Event::Binary(_), Manner::Leaves) => {
                    encoder::encode_close(&mut self.back, ws::CloseCode::GOING_AWAY, "");
                }
                (Event::Binary(message), _) => {
                    encoder::encode(&mut self.back, Opcode::Binary, &message);
                }
                _ => {}
            }
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.back.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let some = 1 + usize::try_from(self.rng.below(90)).unwrap();
        let len = some.min(self.back.len()).min(buffer.len());
        buffer[..len].copy_from_slice(&self.back[..len]);
        self.back.drain(..len);
        Ok(len)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.manner {
            Manner::Refuses => return Err(ErrorKind::ConnectionRefused.into()),
            _ if self.is_reset => return Err(ErrorKind::BrokenPipe.into()),
            // A socket that is full now and then.
            _ if self.rng.one_of(1, 8) => return Err(ErrorKind::WouldBlock.into()),
            Manner::Silent => {}
            Manner::Unavailable => {
                self.back = b"HTTP/1.1 503 Service Unavailable\r\n\r\n".to_vec();
            }
            Manner::Good | Manner::Leaves | Manner::Resets => self.serve(bytes.to_vec()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Pipe {
    fn set(&self, _: &Sockets) -> io::Result<()> {
        Ok(())
    }
}

/// A driver in a world of its own, with a conductor's books.
struct World {
    driver: Driver<Pipe>,
    rng: Rng,
    /// One of so many connections gets a server that is not good; 0 for none.
    misfits: u64,
    keys: Vec<Key>,
    commands: mpsc::Sender<Command>,
    reports: mpsc::Receiver<Report>,
    books: Books,
    order: u32,
    conns: u32,
    has_left: bool,
}

impl World {
    fn new(line: &str, seed: u64, misfits: u64) -> Self {
        let line =
            format!("loadgen --threads 1 --arrivals constant --hold 1s --seed {seed:x} {line}");
        let args = Cli::try_parse_from(line.split_whitespace()).unwrap().run.unwrap();
        let files = Limit { before: 20_000, now: 20_000 };
        let plan = Arc::new(Plan::new(&args, files, || seed).unwrap());
        let greeting = Greeting {
            tls: None,
            sessions: None,
            authority: "h".to_owned(),
            paths: vec!["/".to_owned()],
            subprotocols: Vec::new(),
            deflate: false,
            headers: Vec::new(),
            mask: Mask::Random,
            limits: ws::Limits { message_bytes_max: 1_024, fragments_max: 1 },
        };
        let press = Press::new(plan.run_id(), &plan.payload, plan.verify);
        let conns = plan.conns;
        let board = Board::new(&plan.cast);
        let setting = Arc::new(Setting {
            greeting,
            press,
            board,
            verify: plan.verify,
            epoch: now(),
            clock: now,
        });
        let (commands, orders) = mpsc::channel();
        let (reporter, reports) = mpsc::channel();
        let target = "127.0.0.1:1".parse().unwrap();
        let part = Part {
            number: 0,
            plan,
            setting,
            target,
            hand: None,
            commands: orders,
            reports: reporter,
        };
        Self {
            driver: Driver::new(part, now()),
            rng: Rng::new(seed),
            misfits,
            keys: Vec::new(),
            commands,
            reports,
            books: Books::new(1),
            order: 0,
            conns,
            has_left: false,
        }
    }

    fn manner(&mut self) -> Manner {
        let manners =
            [Manner::Refuses, Manner::Silent, Manner::Unavailable, Manner::Leaves, Manner::Resets];
        if self.misfits == 0 || !self.rng.one_of(1, self.misfits) {
            return Manner::Good;
        }
        manners[usize::try_from(self.rng.below(5)).unwrap()]
    }

    /// One round of the loop, and a look at the books.
    fn step(&mut self) {
        self.driver.turn(now());
        while let Some(request) = self.driver.poll_request() {
            let Request::Connect { via, to, .. } = request else {
                self.has_left = true;
                break;
            };
            if self.misfits > 0 && self.rng.one_of(1, 20) {
                let error = io::Error::from(ErrorKind::ConnectionRefused);
                self.driver.connect_failed(via, &error, now());
                continue;
            }
            let pipe = Pipe::new(self.manner(), Rng::new(self.rng.next_u64()));
            self.keys.extend(self.driver.open(pipe, Origin { via, peer: to }, now()));
        }
        for key in self.keys.clone() {
            // News may be spurious, and for connections that are no more.
            if self.rng.one_of(2, 3) {
                self.driver.ready(key, Readiness::READABLE | Readiness::WRITABLE, now());
            }
        }
        pass(Duration::from_micros(self.rng.below(2_000)));
        for report in self.reports.try_iter() {
            self.books.enter(report);
            assert!(self.books.is_balanced(), "{:?}", self.books.accounting);
        }
    }

    fn tell(&mut self, deed: Deed) {
        self.order += 1;
        self.commands.send(Command { order: self.order, deed }).unwrap();
    }

    /// Tells the driver to do something, and goes on until it has.
    fn does(&mut self, deed: Deed) {
        self.tell(deed);
        self.run_until(|world| world.books.done() >= world.order);
    }

    fn run_until(&mut self, is_done: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if is_done(self) {
                return;
            }
            self.step();
        }
        panic!("it never ends: {:?}", self.books);
    }

    /// A trial of one second, as a fleet leads it.
    fn trial(&mut self) {
        self.books.begin_trial();
        self.driver.part.setting.board.clear();
        self.does(Deed::Listen);
        let from = now();
        let until = from + Duration::from_secs(1);
        let variation = Variation::default();
        self.tell(Deed::Speak { from, timed_from: from, until, variation });
        self.run_until(|_| now() >= until);
        self.does(Deed::Hush);
        let patience = now() + Duration::from_secs(1);
        loop {
            self.does(Deed::Inquire);
            if self.books.missing() == 0 || now() >= patience {
                return self.does(Deed::Settle);
            }
        }
    }

    fn quit(&mut self) {
        self.tell(Deed::Quit);
        self.run_until(|world| world.has_left);
        assert_eq!((self.books.open(), self.books.pending()), (0, 0));
    }

    /// A whole run.
    fn run(mut self) -> Books {
        self.does(Deed::Resize(self.conns));
        self.trial();
        self.quit();
        self.books
    }
}

#[test]
fn every_message_of_good_servers_comes_back() {
    let books = World::new("--conns 20 --scenario echo --rate 10/s", 1, 0).run();
    assert_eq!((books.held, books.accounting.failures()), (20, 0));
    let traffic = &books.trial.traffic;
    assert_eq!(traffic.sent, 20 * 10, "by the schedule, however late the loop comes round");
    assert_eq!((traffic.audit.received, traffic.audit.lost), (traffic.sent, 0));
    assert!(traffic.echo.corrected.mean() >= traffic.echo.uncorrected.mean());
}

#[test]
fn the_books_balance_whatever_servers_do() {
    for seed in 0..48 {
        let books = World::new("--conns 60 --scenario echo --open-timeout 300ms", seed, 3).run();
        let accounting = &books.accounting;
        assert!(books.is_balanced(), "seed {seed}");
        assert!(accounting.failures() > 0 && accounting.opened > 0, "seed {seed}");
        let audit = &books.trial.traffic.audit;
        assert_eq!((audit.doubled, audit.reordered, audit.damaged), (0, 0, 0), "seed {seed}");
    }
}

#[test]
fn a_run_may_end_at_any_step() {
    for steps in 0..60 {
        let mut world = World::new("--conns 40 --open-timeout 50ms", steps, 4);
        world.tell(Deed::Resize(40));
        for _ in 0..steps {
            world.step();
        }
        world.quit();
        assert!(world.books.is_balanced(), "after {steps} steps");
    }
}

#[test]
fn a_silent_server_is_given_up_in_time() {
    let mut world = World::new("--conns 1 --open-timeout 100ms", 3, 0);
    world.tell(Deed::Resize(1));
    world.driver.turn(now());
    let Some(Request::Connect { via, to, .. }) = world.driver.poll_request() else {
        panic!("the first attempt begins at once");
    };
    let pipe = Pipe::new(Manner::Silent, Rng::new(1));
    let key = world.driver.open(pipe, Origin { via, peer: to }, now()).unwrap();
    world.driver.ready(key, Readiness::WRITABLE, now());
    pass(Duration::from_millis(99));
    world.driver.turn(now());
    assert_eq!(world.driver.tally.accounting.failures(), 0);
    pass(Duration::from_millis(1));
    world.driver.turn(now());
    assert_eq!(world.driver.tally.accounting.failed.get(&Failure::TimedOut), Some(&1));
}

#[test]
fn a_fleet_grows_and_shrinks_and_counts_each_trial_by_itself() {
    let mut world = World::new("--conns 40 --scenario echo --rate 10/s", 9, 0);
    for (conns, attempted) in [(10, 10), (40, 40), (15, 40), (20, 45)] {
        world.does(Deed::Resize(conns));
        assert_eq!(world.books.open(), u64::from(conns));
        assert_eq!(world.books.accounting.attempted, attempted, "only the difference is opened");
        world.trial();
        let traffic = &world.books.trial.traffic;
        assert_eq!((traffic.sent, traffic.audit.received), (u64::from(conns) * 10, traffic.sent));
    }
    world.quit();
    assert!(world.books.is_balanced());
}

#[test]
fn those_a_storm_takes_come_back_and_nothing_counts_as_lost() {
    for reconnect in ["fixed", "exp-jitter"] {
        let line = format!(
            "--conns 40 --scenario echo --rate 20/s --storm 50%/200ms --reconnect {reconnect}"
        );
        let mut world = World::new(&line, 11, 0);
        world.does(Deed::Resize(40));
        world.trial();
        assert_eq!(world.books.open(), 40, "{reconnect}");
        let trial = &world.books.trial;
        assert_eq!((trial.accounting.attempted, trial.accounting.opened), (20, 20));
        assert_eq!(trial.accounting.closed, [(Closure::Planned, 20)].into());
        assert_eq!(trial.accounting.unexpected_closures(), 0);
        assert_eq!(trial.phases.establish.n(), 20, "each return is timed");
        let traffic = &trial.traffic;
        assert_eq!((traffic.audit.lost, traffic.audit.doubled), (0, 0));
        assert_eq!(traffic.expected, traffic.audit.received, "planned departures are no losses");
        assert!(traffic.sent >= traffic.audit.received);
        world.quit();
    }
}

#[test]
fn the_books_balance_while_connections_come_and_go() {
    for seed in 0..24 {
        let line = "--conns 40 --scenario echo --open-timeout 200ms --lifetime exp:400ms";
        let storm = ["", " --storm 30%/100ms", " --storm 30%/100ms --reconnect none"];
        let line = format!("{line}{}", storm[usize::try_from(seed % 3).unwrap()]);
        // Every step of a world looks whether its books balance.
        let books = World::new(&line, seed, if seed % 2 == 0 { 0 } else { 4 }).run();
        let closed = &books.accounting.closed;
        assert!(closed.get(&Closure::Planned).is_some_and(|planned| *planned > 0), "seed {seed}");
        if seed % 2 == 0 {
            assert_eq!(books.trial.traffic.audit.lost, 0, "seed {seed}");
        }
    }
}

#[test]
fn a_pause_of_our_own_counts_for_every_pulse_that_it_missed() {
    let mut world = World::new("--conns 1", 5, 0);
    world.driver.turn(now());
    for _ in 0..50 {
        pass(PULSE);
        world.driver.turn(now());
    }
    pass(15 * PULSE);
    world.driver.turn(now());
    let lags: Vec<_> = world.reports.try_iter().map(|report| report.tally.lag).collect();
    let mut lag = world.driver.tally.lag.clone();
    for told in &lags {
        lag.merge(told);
    }
    assert_eq!(lag.n(), 50 + 15);
    // A fifth of the time it would have been late, by half of the pause on average.
    assert!(lag.quantile(0.9).unwrap() > crate::units::ns(7 * PULSE));
    assert_eq!(lag.quantile(0.5), Some(0));
}
