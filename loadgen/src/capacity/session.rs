//! The trials of a search, made: the server, the fleet, and one trial after the other.
//!
//! ```text
//!   search --order--> session -- come down, grow, settle, hold, storm --> grade --marks--> search
//!                        |
//!                        +-- begins anew where the order says so: a new server, a new fleet
//! ```

use std::cell::Cell;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::course::Course;
use super::facts::{self, Facts};
use super::grade::{Grade, Made, Standard, Storm};
use super::ladder::{Ladder, Status};
use super::log::Log;
use super::search::{Mark, Order, Phase, Search};
use crate::accounting::Accounting;
use crate::charge::Charges;
use crate::check;
use crate::cost::Sample;
use crate::driver::link::Variation;
use crate::fleet::{Fleet, Glance, Halt, Span, Stand};
use crate::plan::Plan;
use crate::run::{self, Refusal, Subject};
use crate::server::Embedded;
use crate::verdict::{Exit, Gate, Validity};

/// How long a server that was restarted may take until it listens.
const RESTART: Duration = Duration::from_secs(30);

/// How often it is asked meanwhile.
const RESTART_INTERVAL: Duration = Duration::from_millis(100);

/// Everything that a search is made with.
pub struct Session<'a> {
    /// What it is to be.
    pub course: &'a Course,
    /// The run with the largest fleet.
    pub plan: Arc<Plan>,
    /// What restarts a server that is not ours.
    pub restart: Option<&'a str>,
    /// What must hold.
    pub standard: Standard,
    /// What the generator must keep.
    pub gate: Gate,
    /// When it began.
    pub epoch: Instant,
    /// Somebody wants an end.
    pub interrupted: Arc<AtomicBool>,
}

/// A server, and how to connect to it.
struct Site {
    subject: Subject,
    stand: Stand,
}

impl Session<'_> {
    /// Makes all trials of `search`, and logs them. Returns whether it came to its end, and was
    /// not interrupted.
    ///
    /// # Errors
    ///
    /// What kept it from beginning, or a driver from driving.
    pub fn conduct(
        &self,
        search: &mut Search,
        ladder: &Ladder,
        log: &mut Log,
    ) -> Result<bool, Refusal> {
        let mut next = search.next(self.elapsed());
        let mut pid = self.course.run.server.server_pid;
        while let Some(order) = next {
            let site = if log.is_empty() {
                self.first_site(pid, ladder)
            } else {
                pid = self.begin_anew(order.fresh).or(pid);
                self.site(pid)
            };
            next = match site {
                Ok(site) => self.sit(site, order, search, ladder, log)?,
                // That nobody answers any more is an answer, but not the first one.
                Err(refusal) if !log.is_empty() && refusal.exit == Exit::Unreachable => {
                    let grade = Grade::unreachable(&refusal.to_string());
                    let now = self.elapsed();
                    ladder.step(&order, None, &grade);
                    search.enter(grade.marks);
                    log.missed(&order, now, &grade);
                    search.next(now)
                }
                Err(refusal) => return Err(refusal),
            };
            if self.interrupted.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes trials with one server and one fleet, beginning with `first`. Returns the next one
    /// that needs others.
    fn sit(
        &self,
        mut site: Site,
        first: Order,
        search: &mut Search,
        ladder: &Ladder,
        log: &mut Log,
    ) -> Result<Option<Order>, Refusal> {
        log.site(&site.subject, site.stand.sources.as_deref());
        let current = Cell::new(first);
        let mut status = Status::new(ladder);
        let mut show = |glance: &Glance<'_>| status.show(&current.get(), glance);
        let mut fleet = Fleet::launch(site.stand.clone(), &mut show).map_err(broke)?;
        if !log.is_empty() && site.subject.embedded.is_none() {
            // Those of the last fleet have gone, and the server may still be at it.
            fleet.rest(self.course.settle);
        }
        let mut next = Some(first);
        while let Some(order) = next {
            current.set(order);
            let made = self.make(&mut site, &mut fleet, order, log.before());
            if fleet.halt().is_some() {
                break;
            }
            let grade = self.standard.grade(&made, fleet.series());
            ladder.step(&order, Some(&made), &grade);
            search.enter(grade.marks);
            let is_gone = made.facts.is_gone;
            log.made(made, &grade);
            next = search.next(self.elapsed());
            if is_gone || next.is_some_and(|order| order.fresh) {
                break;
            }
        }
        let halt = fleet.halt();
        log.close(fleet.dismiss().map_err(broke)?);
        match halt {
            Some(Halt::Broken) => Err(Refusal::new(Exit::Inconsistent, "a driver has ended")),
            Some(Halt::Interrupted) => Ok(None),
            None => Ok(next),
        }
    }

    /// Makes one trial.
    fn make(
        &self,
        site: &mut Site,
        fleet: &mut Fleet<'_>,
        order: Order,
        first: Option<&Sample>,
    ) -> Made {
        let (course, settle) = (self.course, self.course.settle);
        let from = self.elapsed();
        let swapped = facts::swapped_pages();
        if let Some(via) = order.via {
            fleet.resize(course.conns(via));
            fleet.rest(settle);
        }
        let conns = course.conns(order.n);
        let resized = fleet.resize(conns);
        let settled = fleet.rest(settle);
        let trial = fleet.trial_with(order.hold, course.variation(order.n));
        let is_here = self.gate.is_co_located;
        let before = before(fleet.before(), first, site);
        let charges = Charges::new(&before, &resized, &trial, is_here);
        let validity = Validity::new(&self.plan, &resized, &trial, &self.gate);
        let span = Span { from, to: self.elapsed() };
        let mut facts = Facts::gather(fleet.series(), &trial, span, is_here, swapped);
        facts.is_gone = site.has_ended();
        if is_short(&resized.tally.accounting) || is_short(&trial.tally.accounting) {
            facts.files = site.stand.server_pid.and_then(facts::files);
        }
        let embedded = site.subject.embedded.as_ref();
        let mut made = Made {
            order,
            conns: u64::from(conns),
            from,
            to: self.elapsed(),
            resized,
            settled,
            trial,
            charges,
            is_believed: validity.valid || self.gate.may_be_invalid,
            validity,
            facts,
            server_cores: embedded.map(|embedded| embedded.cores() as u64),
            storm: None,
        };
        if order.phase == Phase::Verify && fleet.halt().is_none() {
            let has_passed = self.standard.grade(&made, fleet.series()).marks.slo == Mark::Pass;
            let storm = course.storm(order.n).filter(|_| has_passed);
            made.storm = storm.map(|storm| self.storm(site, fleet, order, storm));
            made.to = self.elapsed();
        }
        made
    }

    /// Lets a storm strike, and looks whether all holds again after it.
    fn storm(
        &self,
        site: &mut Site,
        fleet: &mut Fleet<'_>,
        order: Order,
        (variation, hold): (Variation, Duration),
    ) -> Storm {
        let before = fleet.open();
        let struck = fleet.trial_with(hold, variation);
        let back = fleet.open();
        let order = Order { phase: Phase::Bracket, hold: self.course.rules.trial, ..order };
        let order = Order { via: None, is_repeated: true, ..order };
        let after = self.make(site, fleet, order, None);
        let lost = struck.tally.accounting.unexpected_closures();
        let after = self.standard.grade(&after, fleet.series()).shortfalls;
        Storm { before, back, lost, after }
    }

    /// The first server, if this machine is up to the largest number.
    fn first_site(&self, pid: Option<u32>, ladder: &Ladder) -> Result<Site, Refusal> {
        let site = self.site(pid)?;
        check::gate(&self.course.run, &self.plan, &site.subject)?;
        ladder.begin(&site.subject, self.course, &self.plan);
        Ok(site)
    }

    /// The server, as new if it is ours, and what it takes to connect to it.
    fn site(&self, pid: Option<u32>) -> Result<Site, Refusal> {
        let run = &self.course.run;
        let subject = Subject::find(run, &self.plan)?;
        let mut setting = run::setting(run, &self.plan, &subject);
        // The times of all fleets count from the same beginning.
        setting.epoch = self.epoch;
        let stand = Stand {
            setting: Arc::new(setting),
            plan: Arc::clone(&self.plan),
            target: subject.address,
            sources: self.plan.sources(subject.address)?,
            server_pid: subject.embedded.as_ref().map(Embedded::pid).or(pid),
            self_cpu_percent_max: run.generator.max_self_cpu,
            interrupted: Arc::clone(&self.interrupted),
        };
        Ok(Site { subject, stand })
    }

    /// Restarts a server that is not ours, if it is known how and to be done. Returns the number of
    /// its process, if the command prints it.
    fn begin_anew(&self, fresh: bool) -> Option<u32> {
        let (Some(command), Some(target)) = (self.restart, &self.course.run.url) else {
            return None;
        };
        if !fresh {
            return None;
        }
        let output = Command::new("sh").arg("-c").arg(command).output();
        let output =
            output.inspect_err(|error| log::warn!("--server-restart-cmd: {error}")).ok()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            log::warn!("--server-restart-cmd: {}; {}", output.status, said.trim());
        }
        let patience = run::clock() + RESTART;
        let listens = || target.resolve().is_ok_and(|address| TcpStream::connect(address).is_ok());
        while !listens() && run::clock() < patience && !self.interrupted.load(Ordering::Relaxed) {
            // The command has said that it is there, so this is rare.
            std::thread::park_timeout(RESTART_INTERVAL);
        }
        String::from_utf8_lossy(&output.stdout).split_whitespace().last()?.parse().ok()
    }

    fn elapsed(&self) -> Duration {
        run::clock().saturating_duration_since(self.epoch)
    }
}

impl Site {
    /// Whether the server's process has ended, where it is known.
    fn has_ended(&mut self) -> bool {
        match &mut self.subject.embedded {
            Some(embedded) => embedded.has_ended(),
            None => self.stand.server_pid.is_some_and(|pid| {
                cfg!(target_os = "linux") && crate::proc::read(&format!("{pid}/stat")).is_none()
            }),
        }
    }
}

/// What was used before any connection: by a new server now, and by all else before the `first` of
/// all, since the kernel and we give back late what many connections took.
fn before(now: &Sample, first: Option<&Sample>, site: &Site) -> Sample {
    let mut before = now.clone();
    if let Some(first) = first {
        (before.kernel, before.generator) = (first.kernel, first.generator);
        if site.subject.embedded.is_none() {
            before.server = first.server;
        }
    }
    before
}

/// Whether some did not open, or did not stay.
fn is_short(accounting: &Accounting) -> bool {
    accounting.failures() + accounting.unexpected_closures() > 0
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` gives it
fn broke(error: std::io::Error) -> Refusal {
    Refusal::new(Exit::Inconsistent, format!("a driver failed: {error}"))
}
