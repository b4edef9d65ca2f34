//! A fleet of connections that can grow, shrink and be put to trial, again and again: the core that
//! `run` and everything else that measures is built on.
//!
//! ```text
//!   launch --> resize(n) --> trial(hold) --> resize(m) --> trial(hold) --> ... --> dismiss
//!              until all     listen, warm up, hold,                                closes all
//!              are open or   drain, settle                                         and joins
//!              have failed
//! ```
//!
//! Connections are kept between trials, so that a step to a larger number opens the difference
//! only. Each trial is counted by itself; the accounting of attempts goes through the whole life.
//! Nothing is printed here: whoever wants to show something is called some times a second.
//!
//! An interruption, or a driver that fails, cuts the step under way short and makes all further
//! ones do nothing ([`Fleet::halt`]); what was counted until then stands. Whatever happens,
//! [`Fleet::dismiss`] has every driver quit and waits for it.

mod accord;
mod station;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

pub use self::accord::Accord;
use self::station::Station;
use crate::accounting::Accounting;
use crate::books::Books;
use crate::cost::Sample;
use crate::driver::link::{Command, Deed, Report, Variation};
use crate::driver::scene::Setting;
use crate::gauge::Reading;
use crate::journal::Journal;
use crate::payload::Verify;
use crate::plan::Plan;
use crate::ports::Sources;
use crate::series::{Recorder, Series};
use crate::spread::Recipients;
use crate::tally::Tally;
use crate::watch::{Seen, Watch};

/// How long a signal may wait to be noticed, and a screen to be drawn.
const TICK: Duration = Duration::from_millis(100);

/// How long before the first message all drivers have been told of it.
const LEAD: Duration = Duration::from_millis(20);

/// How often drivers are asked whether all messages have come.
const INQUIRY_INTERVAL: Duration = Duration::from_millis(100);

/// What a fleet is made of.
#[derive(Clone, Debug)]
pub struct Stand {
    /// What is to be done. Its number of connections is the most that there will be.
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

/// What a fleet is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// Opening or closing connections.
    Ramp,
    /// Running the scenario untimed.
    Warmup,
    /// Holding the connections.
    Hold {
        /// When it began.
        since: Instant,
    },
    /// Waiting for what is on its way.
    Drain,
    /// Closing.
    Close,
}

/// How a fleet stands, for whoever shows it.
#[derive(Clone, Copy, Debug)]
pub struct Glance<'a> {
    /// What is to be done.
    pub plan: &'a Plan,
    /// What has been counted.
    pub books: &'a Books,
    /// What happened tick by tick.
    pub series: &'a Series,
    /// What is being done.
    pub moment: Moment,
    /// The time.
    pub now: Instant,
}

/// Why a fleet does nothing more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Halt {
    /// Somebody wants an end.
    Interrupted,
    /// A driver has ended although nobody told it to.
    Broken,
}

/// A span of a fleet's life, counted from its launch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Span {
    /// When it began.
    pub from: Duration,
    /// When it ended.
    pub to: Duration,
}

impl Span {
    /// How long it is.
    pub fn len(&self) -> Duration {
        self.to.saturating_sub(self.from)
    }
}

/// What came of a change of size.
#[derive(Clone, Debug, Default)]
pub struct Resized {
    /// When.
    pub span: Span,
    /// What was counted.
    pub tally: Tally,
}

/// What came of a trial.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// Connections that were open when it began.
    pub held: u64,
    /// When the scenario ran untimed.
    pub warmup: Span,
    /// When it was timed.
    pub hold: Span,
    /// When what was on its way was waited for.
    pub drain: Span,
    /// What was counted in all three.
    pub tally: Tally,
    /// How many messages should have come.
    pub expected: u64,
    /// Nobody looked whether they did.
    pub is_unaudited: bool,
    /// When publications had their recipients.
    pub recipients: Recipients,
    /// What was used when the hold began, unless it did not.
    pub begin: Option<Sample>,
    /// What was used when it ended.
    pub end: Option<Sample>,
    /// How many connections the server counted at the end of the hold, if it was asked.
    pub reading: Option<Reading>,
    /// The drivers' CPU time in the hold.
    pub seen: Seen,
    /// How many connections somebody wanted in the midst of it, at last.
    pub resized_to: Option<u32>,
    /// Whether it went to its end.
    pub is_whole: bool,
}

/// What is left of a fleet.
#[derive(Debug)]
pub struct Ledger {
    /// Every attempt of its life.
    pub accounting: Accounting,
    /// Whether every attempt is somewhere, and nothing is left.
    pub is_balanced: bool,
    /// Attempts that were neither open nor failed in the end: none, or the ledger does not balance.
    pub pending: u64,
    /// What was used before the first connection.
    pub before: Sample,
    /// What happened tick by tick.
    pub series: Series,
    /// Why it ended early, if it did.
    pub halt: Option<Halt>,
}

/// Connections, and the threads that drive them.
pub struct Fleet<'a> {
    stand: Stand,
    stations: Vec<Station>,
    reports: Receiver<Report>,
    books: Books,
    recorder: Recorder,
    before: Sample,
    moment: Moment,
    order: u32,
    halt: Option<Halt>,
    wish: Arc<AtomicU32>,
    show: &'a mut dyn FnMut(&Glance<'_>),
    accord: Option<Box<dyn Accord>>,
}

impl<'a> Fleet<'a> {
    /// A fleet without connections. `show` is called some times a second while it does something.
    ///
    /// # Errors
    ///
    /// What kept a driver from being started.
    pub fn launch(stand: Stand, show: &'a mut dyn FnMut(&Glance<'_>)) -> io::Result<Self> {
        let before = Sample::take(stand.server_pid);
        let mut recorder = Recorder::new(stand.plan.tick, stand.setting.epoch, stand.server_pid);
        let (stations, reports) = station::start(&stand)?;
        let mut books = Books::new(stand.plan.drivers);
        if let Some(path) = &stand.plan.journal {
            recorder.keep(Journal::create(path)?, &mut books);
        }
        Ok(Self {
            stand,
            stations,
            reports,
            books,
            recorder,
            before,
            moment: Moment::Ramp,
            order: 0,
            halt: None,
            wish: Arc::default(),
            show,
            accord: None,
        })
    }

    /// Follows `wish` while connections are held: how many there shall be, 0 being no wish.
    pub fn heed(&mut self, wish: Arc<AtomicU32>) {
        self.wish = wish;
    }

    /// Opens or closes connections until there are `conns`, or as many as can be had.
    ///
    /// How many are open then is told by [`Fleet::open`].
    pub fn resize(&mut self, conns: u32) -> Resized {
        self.moment = Moment::Ramp;
        let from = self.now();
        let plan = Arc::clone(&self.stand.plan);
        let done = self.tell_each(|driver| Deed::Resize(plan.share(conns, driver)));
        let until = plan.ramp_max().map(|ramp| self.stand.setting.epoch + ramp);
        self.finish(done, until);
        if self.books.done() < done && self.halt.is_none() {
            let cut_short = self.tell(&Deed::CutShort);
            self.finish(cut_short, self.end());
        }
        let tally = std::mem::take(&mut self.books.between);
        self.books.opened = tally.phases.clone();
        Resized { span: Span { from, to: self.now() }, tally }
    }

    /// Runs the scenario with the connections there are, timed for `hold`.
    pub fn trial(&mut self, hold: Duration) -> Trial {
        self.trial_with(hold, Variation::default())
    }

    /// The same, but for what `variation` says.
    pub fn trial_with(&mut self, hold: Duration, variation: Variation) -> Trial {
        let mut trial = Trial::default();
        self.books.begin_trial();
        trial.held = self.books.held;
        trial.is_whole = self.try_trial(hold, variation, &mut trial).is_ok();
        self.books.end_trial();
        trial.tally = std::mem::take(&mut self.books.trial);
        trial.is_unaudited = self.stand.plan.verify == Verify::None;
        let traffic = &trial.tally.traffic;
        // A trial that was cut short has settled nothing, and nothing is known to be lost.
        trial.expected = traffic.expected.max(traffic.audit.received);
        trial.recipients = std::mem::take(&mut self.books.recipients);
        trial
    }

    /// Keeps the connections there are for `time`, and does nothing else with them. Returns what
    /// was counted.
    pub fn rest(&mut self, time: Duration) -> Tally {
        let until = self.stand.setting.now() + time;
        // Why it was cut short is kept in `halt`.
        let _ = self.attend(Some(until), |_| false);
        std::mem::take(&mut self.books.between)
    }

    /// Connections that are open.
    pub fn open(&self) -> u64 {
        self.books.open()
    }

    /// What happened tick by tick until now.
    pub fn series(&self) -> &Series {
        self.recorder.series()
    }

    /// What was used before the first connection.
    pub fn before(&self) -> &Sample {
        &self.before
    }

    /// Why nothing more is done, if so.
    pub fn halt(&self) -> Option<Halt> {
        self.halt
    }

    /// Closes everything and ends the drivers.
    ///
    /// # Errors
    ///
    /// What kept a driver from driving.
    pub fn dismiss(mut self) -> io::Result<Ledger> {
        self.moment = Moment::Close;
        self.show();
        self.tell(&Deed::Quit);
        for station in self.stations {
            // A panic in a driver goes on here, since its counts are lost.
            station.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        for report in self.reports.try_iter() {
            self.books.enter(report);
        }
        let now = self.stand.setting.now();
        let series = self.recorder.end(&mut self.books, now)?;
        let books = &self.books;
        Ok(Ledger {
            is_balanced: books.is_balanced() && books.pending() + books.open() == 0,
            pending: books.pending(),
            accounting: self.books.accounting,
            before: self.before,
            series,
            halt: self.halt,
        })
    }

    fn try_trial(
        &mut self,
        hold: Duration,
        variation: Variation,
        trial: &mut Trial,
    ) -> Result<(), Halt> {
        self.stand.setting.board.clear();
        // Nobody speaks before all listen, or a publication could come too early to be noted.
        let listening = self.tell(&Deed::Listen);
        self.attend(None, |books| books.done() >= listening)?;
        let from = self.speak_from()?;
        let timed_from = from + self.stand.plan.warmup;
        let until = timed_from + hold;
        self.tell(&Deed::Speak { from, timed_from, until, variation });
        self.moment = Moment::Warmup;
        trial.warmup.from = self.now();
        let warmed = self.attend(Some(timed_from), |_| false);
        trial.warmup.to = self.now();
        warmed?;
        self.hold(until, trial)?;
        self.drain(trial)
    }

    fn hold(&mut self, until: Instant, trial: &mut Trial) -> Result<(), Halt> {
        trial.begin = Some(Sample::take(self.stand.server_pid));
        let since = self.stand.setting.now();
        self.moment = Moment::Hold { since };
        trial.hold.from = self.now();
        let mut watch = Watch::new(self.stand.self_cpu_percent_max, since);
        let mut held = Ok(());
        while held.is_ok() && self.stand.setting.now() < until {
            held = self.attend(Some(until.min(watch.due())), |_| false);
            let now = self.stand.setting.now();
            if watch.due() <= now {
                watch.look(now);
            }
            trial.resized_to = self.follow().or(trial.resized_to);
        }
        trial.hold.to = self.now();
        trial.end = Some(Sample::take(self.stand.server_pid));
        trial.seen = watch.seen();
        let gauge = self.stand.plan.gauge.as_ref();
        trial.reading = gauge.map(|gauge| gauge.read(self.books.open()));
        held
    }

    /// Has so many connections as are wished for, where the plan allows it. Returns how many.
    fn follow(&mut self) -> Option<u32> {
        let plan = Arc::clone(&self.stand.plan);
        let wish = self.wish.swap(0, Ordering::Relaxed);
        let conns = Some(wish.min(plan.conns)).filter(|conns| *conns > 0 && plan.may_resize())?;
        self.tell_each(|driver| Deed::Resize(plan.share(conns, driver)));
        Some(conns)
    }

    /// Waits until all messages have come, but not for ever, and counts those that have not.
    fn drain(&mut self, trial: &mut Trial) -> Result<(), Halt> {
        self.moment = Moment::Drain;
        trial.drain.from = self.now();
        let hushed = self.tell(&Deed::Hush);
        let mut drained = self.attend(None, |books| books.done() >= hushed);
        drained = drained.and_then(|()| self.learn_what_others_sent());
        let patience = self.stand.setting.now() + self.stand.plan.drain;
        let patience = self.end().map_or(patience, |end| end.min(patience));
        while drained.is_ok() {
            let answered = self.tell(&Deed::Inquire);
            drained = self.attend(None, |books| books.done() >= answered);
            let now = self.stand.setting.now();
            if drained.is_ok() && (self.books.missing() == 0 || now >= patience) {
                let settled = self.tell(&Deed::Settle);
                drained = self.attend(None, |books| books.done() >= settled);
                break;
            }
            drained = drained.and_then(|()| self.attend(Some(now + INQUIRY_INTERVAL), |_| false));
        }
        trial.drain.to = self.now();
        drained
    }

    /// Waits until the command `order` has been done, or `until` has come.
    fn finish(&mut self, order: u32, until: Option<Instant>) {
        // Why it has not been done is kept in `halt`.
        let _ = self.attend(until, |books| books.done() >= order);
    }

    /// When the whole is to end at the latest.
    fn end(&self) -> Option<Instant> {
        Some(self.stand.setting.epoch + self.stand.plan.duration?)
    }

    /// Enters reports until `is_done` says so or `until` has come.
    fn attend(
        &mut self,
        until: Option<Instant>,
        is_done: impl Fn(&Books) -> bool,
    ) -> Result<(), Halt> {
        while !is_done(&self.books) {
            self.check()?;
            let now = self.stand.setting.now();
            let left = until.map(|until| until.saturating_duration_since(now));
            if left == Some(Duration::ZERO) {
                return Ok(());
            }
            let tick = self.recorder.due().saturating_duration_since(now);
            self.listen(left.unwrap_or(TICK).min(TICK).min(tick));
        }
        Ok(())
    }

    /// Notes why nothing more can be done.
    fn check(&mut self) -> Result<(), Halt> {
        if self.halt.is_none() && self.stations.iter().any(|it| it.thread.is_finished()) {
            self.halt = Some(Halt::Broken);
        }
        if self.halt.is_none() && self.stand.interrupted.load(Ordering::Relaxed) {
            self.halt = Some(Halt::Interrupted);
        }
        self.halt.map_or(Ok(()), Err)
    }

    /// Enters the reports of at most `timeout`, and shows them.
    fn listen(&mut self, timeout: Duration) {
        // A timeout is no news, and a channel without senders is found out by `check`.
        if let Ok(report) = self.reports.recv_timeout(timeout) {
            self.books.enter(report);
        }
        self.recorder.tick(&mut self.books, self.stand.setting.now());
        self.show();
    }

    fn show(&mut self) {
        let Self { stand, books, recorder, moment, .. } = self;
        let now = stand.setting.now();
        let (plan, series) = (&stand.plan, recorder.series());
        let glance = Glance { plan, books, series, moment: *moment, now };
        (self.show)(&glance);
        if let Some(accord) = &mut self.accord {
            accord.glance(&glance);
        }
    }

    fn tell(&mut self, deed: &Deed) -> u32 {
        self.tell_each(|_| deed.clone())
    }

    /// Tells each driver what it is to do. Returns the number of the command.
    fn tell_each(&mut self, deed: impl Fn(u32) -> Deed) -> u32 {
        self.order += 1;
        for (driver, station) in (0..).zip(&self.stations) {
            // A driver that has ended is found out by `check`.
            let _ = station.commands.send(Command { order: self.order, deed: deed(driver) });
            station.waker.wake();
        }
        self.order
    }

    /// How long it has been since the launch.
    fn now(&self) -> Duration {
        self.stand.setting.now().saturating_duration_since(self.stand.setting.epoch)
    }
}
