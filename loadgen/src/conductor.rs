//! Leads the drivers through a run: ramp, hold, drain, and out.
//!
//! ```text
//!   ramp ------------> listen, speak ---> drain --> settle --> quit
//!   until all drivers  hold for as long   until all messages
//!   say so             as asked           have come, or time is up
//! ```
//!
//! Whatever happens in between (an interruption, a driver that fails), every driver is told to quit
//! and waited for.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use corecast::base::Wake;
use corecast::reactor::{Poller, Reactor, affinity, fds};

use crate::books::Books;
use crate::cost::Sample;
use crate::driver::link::{Command, Progress, Report};
use crate::driver::scene::Setting;
use crate::driver::{Driver, Part};
use crate::plan::Plan;
use crate::ports::{Hand, Sources};
use crate::watch::{DRIVER_NAME, Seen, Watch};

/// How long a signal may wait to be noticed, and a screen to be drawn.
const TICK: Duration = Duration::from_millis(100);

/// What a run is done with.
#[derive(Debug)]
pub struct Stand {
    /// What is to be done.
    pub plan: Arc<Plan>,
    /// What the drivers have in common.
    pub setting: Arc<Setting>,
    /// The server.
    pub target: SocketAddr,
    /// Where connections come from.
    pub sources: Option<Arc<Sources>>,
    /// The server's process, if it is known.
    pub server_pid: Option<u32>,
    /// What share of a core a driver may take, in per cent.
    pub self_cpu_percent_max: u64,
    /// Somebody wants an end.
    pub interrupted: Arc<AtomicBool>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// Opening connections since the start.
    Ramp,
    /// Holding them, until then.
    Hold {
        /// When it began.
        since: Instant,
    },
    /// Waiting for what is on its way.
    Drain,
    /// Closing.
    Close,
}

/// What was measured.
#[derive(Debug)]
pub struct Outcome {
    /// What the drivers counted.
    pub books: Books,
    /// What was used before the first connection.
    pub before: Sample,
    /// When the hold began.
    pub hold_begin: Option<Sample>,
    /// When it ended.
    pub hold_end: Option<Sample>,
    /// How long opening took.
    pub ramp: Duration,
    /// How long connections were held.
    pub held: Duration,
    /// The drivers' CPU time in the hold.
    pub seen: Seen,
    /// Whether somebody ended it early.
    pub is_interrupted: bool,
}

/// Why a stage ended before its time.
#[derive(Debug)]
enum Break {
    Interrupted,
    /// A driver has ended although nobody told it to.
    Broken,
}

/// One driver, from outside.
struct Station {
    commands: Sender<Command>,
    waker: Arc<dyn Wake>,
    thread: JoinHandle<io::Result<()>>,
}

/// Leads the drivers of one run.
struct Conductor<'a> {
    stand: &'a Stand,
    stations: Vec<Station>,
    reports: Receiver<Report>,
    outcome: Outcome,
    moment: Moment,
    show: &'a mut dyn FnMut(&Books, Moment, Instant),
}

/// Does the whole run. `show` is called some times a second with what there is to see.
///
/// # Errors
///
/// What kept a driver from driving.
pub fn conduct(
    stand: &Stand,
    show: &mut dyn FnMut(&Books, Moment, Instant),
) -> io::Result<Outcome> {
    let before = Sample::take(stand.server_pid);
    let (stations, reports) = start(stand)?;
    let outcome = Outcome {
        books: Books::new(stand.plan.drivers),
        before,
        hold_begin: None,
        hold_end: None,
        ramp: Duration::ZERO,
        held: Duration::ZERO,
        seen: Seen::default(),
        is_interrupted: false,
    };
    let conductor = Conductor { stand, stations, reports, outcome, moment: Moment::Ramp, show };
    conductor.run()
}

impl Conductor<'_> {
    fn run(mut self) -> io::Result<Outcome> {
        let performed = self.perform();
        self.outcome.is_interrupted = matches!(performed, Err(Break::Interrupted));
        self.moment = Moment::Close;
        (self.show)(&self.outcome.books, self.moment, self.stand.setting.now());
        self.tell(&Command::Quit);
        for station in self.stations {
            // A panic in a driver goes on here, since its counts are lost.
            station.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        for report in self.reports.try_iter() {
            self.outcome.books.enter(report);
        }
        Ok(self.outcome)
    }

    fn perform(&mut self) -> Result<(), Break> {
        let start = self.stand.setting.now();
        let ramped = self.attend(None, |books| books.progress() >= Progress::Ramped);
        self.outcome.ramp = self.stand.setting.now() - start;
        ramped?;
        if self.outcome.books.open() == 0 {
            return Ok(());
        }
        self.hold()?;
        self.moment = Moment::Drain;
        self.tell(&Command::Drain);
        let patience = self.stand.setting.now() + self.stand.plan.drain;
        self.attend(Some(patience), Books::is_quiet)?;
        let published = self.outcome.books.hold.traffic.published.clone();
        self.tell(&Command::Settle(Arc::new(published)));
        self.attend(None, |books| books.progress() >= Progress::Settled)?;
        self.outcome.books.end_hold();
        Ok(())
    }

    fn hold(&mut self) -> Result<(), Break> {
        self.outcome.books.begin_hold();
        // Nobody speaks before all listen, or a publication could come too early to be noted.
        self.tell(&Command::Listen);
        self.attend(None, |books| books.progress() >= Progress::Listening)?;
        self.outcome.hold_begin = Some(Sample::take(self.stand.server_pid));
        let since = self.stand.setting.now();
        self.moment = Moment::Hold { since };
        let mut watch = Watch::new(self.stand.self_cpu_percent_max, since);
        self.tell(&Command::Speak);
        let end = since + self.stand.plan.hold;
        let mut held = Ok(());
        while held.is_ok() && self.stand.setting.now() < end {
            held = self.attend(Some(end.min(watch.due())), |_| false);
            let now = self.stand.setting.now();
            if watch.due() <= now {
                watch.look(now);
            }
        }
        self.outcome.held = self.stand.setting.now() - since;
        self.outcome.hold_end = Some(Sample::take(self.stand.server_pid));
        self.outcome.seen = watch.seen();
        held
    }

    /// Enters reports until `is_done` says so or `until` has come.
    fn attend(
        &mut self,
        until: Option<Instant>,
        is_done: impl Fn(&Books) -> bool,
    ) -> Result<(), Break> {
        while !is_done(&self.outcome.books) {
            if self.stand.interrupted.load(Ordering::Relaxed) {
                return Err(Break::Interrupted);
            }
            let now = self.stand.setting.now();
            let left = until.map(|until| until.saturating_duration_since(now));
            if left == Some(Duration::ZERO) {
                return Ok(());
            }
            self.listen(left.unwrap_or(TICK).min(TICK))?;
        }
        Ok(())
    }

    /// Enters the reports of at most `timeout`, and shows them.
    fn listen(&mut self, timeout: Duration) -> Result<(), Break> {
        if self.stations.iter().any(|station| station.thread.is_finished()) {
            return Err(Break::Broken);
        }
        // A timeout is no news, and a channel without senders has been found out above.
        if let Ok(report) = self.reports.recv_timeout(timeout) {
            self.outcome.books.enter(report);
        }
        (self.show)(&self.outcome.books, self.moment, self.stand.setting.now());
        Ok(())
    }

    fn tell(&self, command: &Command) {
        for station in &self.stations {
            // A driver that has ended is found out by listening.
            let _ = station.commands.send(command.clone());
            station.waker.wake();
        }
    }
}

/// Starts all drivers. The pollers are made before the first thread, as their makers demand.
fn start(stand: &Stand) -> io::Result<(Vec<Station>, Receiver<Report>)> {
    let drivers = 0..stand.plan.drivers;
    let pollers = drivers.map(|_| Poller::new()).collect::<io::Result<Vec<_>>>()?;
    let cores = affinity::cores();
    let (reporter, reports) = mpsc::channel();
    let mut stations = Vec::new();
    for (number, poller) in (0..).zip(pollers) {
        let (commands, orders) = mpsc::channel();
        let hand = |sources| Hand::new(sources, number as usize, stand.plan.drivers as usize);
        let part = Part {
            number,
            plan: Arc::clone(&stand.plan),
            setting: Arc::clone(&stand.setting),
            target: stand.target,
            hand: stand.sources.clone().map(hand),
            commands: orders,
            reports: reporter.clone(),
        };
        let core = cores.get(number as usize % cores.len().max(1)).copied();
        let waker = poller.waker();
        let thread = thread::Builder::new()
            .name(format!("{DRIVER_NAME}{number}"))
            .spawn(move || drive(part, poller, core))?;
        stations.push(Station { commands, waker, thread });
    }
    Ok((stations, reports))
}

/// The life of a driver's thread.
fn drive(part: Part, poller: Poller, core: Option<affinity::Core>) -> io::Result<()> {
    if part.plan.has_own_tables {
        fds::take_own_table()?;
    }
    if let Some(core) = core
        && !core.pin()
    {
        log::warn!("driver {} could not be pinned to core {}", part.number, core.number());
    }
    let now = part.setting.now();
    let mut driver = Driver::<TcpStream>::new(part, now);
    // A schedule of milliseconds would be charged to the server.
    Reactor::new(poller.with_fine_timer()?, Vec::new())?.run(&mut driver)
}
