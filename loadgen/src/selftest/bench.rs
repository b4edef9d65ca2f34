//! Drivers at work: one over memory, turned by hand, and one over loopback, as in every run.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use corecast::base::{Handler, Key, Origin, Readiness, Request};
use corecast::reactor::fds::Limit;

use super::SelftestArgs;
use super::rate::{FlatOut, Pace};
use super::sink::{Carrier, Server};
use crate::args::Cli;
use crate::books::Books;
use crate::driver::link::{Command, Deed, Report, Variation};
use crate::driver::{Driver, Part};
use crate::fleet::{Fleet, Glance, Stand, Trial};
use crate::plan::Plan;
use crate::run::{self, Refusal, Subject};
use crate::target::Target;
use crate::verdict::Exit;
use crate::{cost, units};

/// More messages a second than any driver sends.
const FLAT_OUT: u64 = 5_000_000;

/// How long messages may take to come back after the last one was sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What both are made of: a run of echoes by one driver at `per_second` to `address`.
fn stand(args: &SelftestArgs, per_second: u64, address: SocketAddr) -> Result<Stand, Refusal> {
    let usage = |error: String| Refusal::new(Exit::Usage, error);
    let conns = args.conns.min(per_second).max(1);
    let hundredths = per_second.saturating_mul(100) / conns;
    let line = format!(
        "loadgen run --conns {conns} --threads 1 --scenario echo --arrivals constant \
         --rate {}.{:02}/s --payload {} --source none --drain 10s --seed {:x}",
        hundredths / 100,
        hundredths % 100,
        args.payload,
        per_second
    );
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    let run_args = Cli::run_of(&words).map_err(usage)?;
    let files = Limit { before: u64::MAX, now: u64::MAX >> 1 };
    let plan = Plan::new(&run_args, files, || 0)?;
    let target = Target {
        secure: false,
        host: address.ip().to_string(),
        port: address.port(),
        path: "/".to_owned(),
    };
    let subject = Subject { target, address, tls: None, embedded: None };
    Ok(Stand {
        setting: Arc::new(run::setting(&run_args, &plan, &subject)),
        plan: Arc::new(plan),
        target: address,
        sources: None,
        server_pid: None,
        self_cpu_percent_max: 100,
        interrupted: Arc::new(AtomicBool::new(false)),
    })
}

/// One driver over loopback, the sink on another core.
///
/// # Errors
///
/// What kept the driver from driving.
pub fn over_loopback(args: &SelftestArgs, per_second: u64) -> Result<Pace, Refusal> {
    let failed = |error| Refusal::new(Exit::Inconsistent, format!("loopback: {error}"));
    let server = Server::start().map_err(failed)?;
    let stand = stand(args, per_second, server.address())?;
    let conns = stand.plan.conns;
    let mut show = |_: &Glance<'_>| {};
    let mut fleet = Fleet::launch(stand, &mut show).map_err(failed)?;
    fleet.resize(conns);
    let trial = fleet.trial(args.time);
    fleet.dismiss().map_err(failed)?;
    Ok(Pace::of(per_second, &trial))
}

/// One driver over memory, the sinks on the same core, with more to send than it can: what it gets
/// done in the time that it has the core. Others that want the core take nothing from that.
///
/// # Errors
///
/// What is wrong with the command line.
pub fn in_memory(args: &SelftestArgs) -> Result<FlatOut, Refusal> {
    // Nobody connects to it: an address of documentation (RFC 5737).
    let stand = stand(args, FLAT_OUT, SocketAddr::from(([192, 0, 2, 1], 1)))?;
    let mut bench = Bench::new(&stand);
    bench.does(Deed::Resize(stand.plan.conns));
    // What is due in a tenth of the time takes about all of it.
    let before = cost::own_cpu_ns();
    let start = run::clock();
    let trial = bench.trial(args.time / 10);
    let elapsed_ns = units::ns(run::clock().saturating_duration_since(start));
    let cpu_ns = cost::grown(before, cost::own_cpu_ns()).unwrap_or(elapsed_ns);
    Ok(FlatOut::new(&trial, cpu_ns))
}

/// A driver that is turned by hand, with the books of a fleet.
struct Bench {
    driver: Driver<Carrier>,
    /// Its connections, and whether they have something to read.
    lines: Vec<(Key, Rc<Cell<bool>>)>,
    commands: Sender<Command>,
    reports: Receiver<Report>,
    books: Books,
    order: u32,
}

impl Bench {
    fn new(stand: &Stand) -> Self {
        let (commands, orders) = mpsc::channel();
        let (reporter, reports) = mpsc::channel();
        let part = Part {
            number: 0,
            plan: Arc::clone(&stand.plan),
            setting: Arc::clone(&stand.setting),
            target: stand.target,
            hand: None,
            commands: orders,
            reports: reporter,
        };
        let driver = Driver::new(part, run::clock());
        let (lines, books) = (Vec::new(), Books::new(1));
        Self { driver, lines, commands, reports, books, order: 0 }
    }

    /// A trial as a fleet leads it.
    fn trial(&mut self, hold: Duration) -> Trial {
        self.books.begin_trial();
        self.does(Deed::Listen);
        let from = run::clock();
        let until = from + hold;
        let variation = Variation::default();
        self.tell(Deed::Speak { from, timed_from: from, until, variation });
        while run::clock() < until {
            self.step();
        }
        self.does(Deed::Hush);
        let patience = run::clock() + PATIENCE;
        loop {
            self.does(Deed::Inquire);
            if self.books.missing() == 0 || run::clock() >= patience {
                self.does(Deed::Settle);
                let tally = std::mem::take(&mut self.books.trial);
                return Trial { held: self.books.held, tally, ..Trial::default() };
            }
        }
    }

    fn tell(&mut self, deed: Deed) {
        self.order += 1;
        // The driver is ours, so it hears.
        let _ = self.commands.send(Command { order: self.order, deed });
    }

    /// Tells the driver to do something, and goes on until it has.
    fn does(&mut self, deed: Deed) {
        self.tell(deed);
        while self.books.done() < self.order {
            self.step();
        }
    }

    /// One round of the loop.
    fn step(&mut self) {
        let now = run::clock();
        self.driver.turn(now);
        while let Some(Request::Connect { via, to, .. }) = self.driver.poll_request() {
            let has_news = Rc::new(Cell::new(true));
            let carrier = Carrier::new(Rc::clone(&has_news));
            let key = self.driver.open(carrier, Origin { via, peer: to }, now);
            self.lines.extend(key.map(|key| (key, has_news)));
        }
        for (key, has_news) in &self.lines {
            if has_news.take() {
                self.driver.ready(*key, Readiness::READABLE | Readiness::WRITABLE, now);
            }
        }
        for report in self.reports.try_iter() {
            self.books.enter(report);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> SelftestArgs {
        SelftestArgs {
            time: Duration::from_millis(100),
            conns: 10,
            payload: 64,
            max_slip: Duration::from_millis(5),
            json: None,
            quiet: true,
        }
    }

    #[test]
    fn every_message_comes_back_over_memory_and_over_loopback() {
        let pace = over_loopback(&args(), 2_000).unwrap();
        // By the schedule, whatever the machine had to do beside.
        assert_eq!((pace.sent, pace.received), (200, 200));
        let flat_out = in_memory(&args()).unwrap();
        assert_eq!((flat_out.sent, flat_out.received), (50_000, 50_000));
        assert!(flat_out.per_second > 0);
    }
}
