//! Whether a trial passed: the seven conditions of a capacity, each by what was counted.
//!
//! ```text
//!   established  all open in time         live         every ping answered, in time
//!   retained     nobody lost              delivered    nothing lost, doubled, damaged
//!   sustainable  CPU, memory, queues      recoverable  a storm is over in time
//!   valid        the generator kept pace
//! ```
//!
//! Within the tolerance of the objectives one attempt in 10,000 may fail, and one connection in
//! 100,000 be lost in a minute. Without it, none.

use std::time::Duration;

use super::binding::Binding;
use super::facts::Facts;
use super::search::{Mark, Marks, Order, Phase};
use crate::accounting::{Accounting, Failure};
use crate::charge::Charges;
use crate::fleet::{Resized, Span, Trial};
use crate::host;
use crate::plan::Plan;
use crate::series::Series;
use crate::slo::bounds;
use crate::slo::{Evidence, Judgement, Metric, Objective, State};
use crate::tally::Tally;
use crate::units;
use crate::verdict::Validity;

/// One attempt in so many may fail.
const ATTEMPTS_PER_FAILURE: u64 = 10_000;

/// One connection in so many may be lost in a minute.
const CONNECTIONS_PER_LOSS: u64 = 100_000;

/// What the server may take of its cores, so that there is room for a storm.
const CPU_PERCENT_MAX: u64 = 80;

/// After so long, but for what a clock may be off, a connection is tried again whose first packet
/// was not answered (RFC 6298 §2.1).
const SYN_RETRY: Duration = Duration::from_millis(900);

/// The server's memory may grow by so much in a minute.
const GROWTH_MAX: f64 = 1_048_576.0;

/// In shorter holds memory that grows less than that is not told from memory that is touched for
/// the first time, as by the second heartbeat of every connection.
const GROWTH_HOLD_MIN: Duration = Duration::from_secs(120);

/// In a hold it may touch so many bytes for the first time, or this part of what it has.
const TOUCHED_BYTES: f64 = 65_536.0;
const TOUCHED_PART: f64 = 1e-3;

/// Everything that was measured of a trial.
#[derive(Debug)]
pub struct Made {
    /// What was to be tried.
    pub order: Order,
    /// How many connections there were to be.
    pub conns: u64,
    /// When it was approached, from the start of the search.
    pub from: Duration,
    /// When it ended.
    pub to: Duration,
    /// How the connections came to be.
    pub resized: Resized,
    /// What happened while nothing was done with them.
    pub settled: Tally,
    /// How they were held.
    pub trial: Trial,
    /// What they cost.
    pub charges: Charges,
    /// Whether the generator kept pace.
    pub validity: Validity,
    /// Whether it did, or that shall be overlooked.
    pub is_believed: bool,
    /// What the system says.
    pub facts: Facts,
    /// How many cores the server may use, if it is on this machine.
    pub server_cores: Option<u64>,
    /// What came of a storm, if there was one.
    pub storm: Option<Storm>,
}

/// What came of a storm.
#[derive(Debug)]
pub struct Storm {
    /// Connections that were open before.
    pub before: u64,
    /// Those that were open when it had to be over.
    pub back: u64,
    /// Connections that ended although nobody planned it.
    pub lost: u64,
    /// What kept the trial after it from passing.
    pub after: Vec<Shortfall>,
}

/// Something that did not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Shortfall {
    /// What it says of the cause.
    pub binding: Binding,
    /// What it is, with its numbers.
    pub text: String,
    /// Whether it is within the tolerance of the objectives.
    pub is_tolerable: bool,
}

/// What a trial came to.
#[derive(Clone, Debug)]
pub struct Grade {
    /// What it tells the search.
    pub marks: Marks,
    /// What did not hold, the likely cause first.
    pub shortfalls: Vec<Shortfall>,
    /// What became of the objectives.
    pub judgements: Vec<Judgement>,
}

impl Grade {
    /// What a trial of a server that nobody could reach comes to.
    pub fn unreachable(reason: &str) -> Self {
        let marks = Marks { slo: Mark::Fail, zero: Mark::Fail };
        let shortfalls = vec![shortfall(Binding::ServerGone, reason.to_owned())];
        Self { marks, shortfalls, judgements: Vec::new() }
    }

    /// What kept it from passing within the tolerance, or without it.
    pub fn binding(&self) -> Option<&Shortfall> {
        let intolerable = self.shortfalls.iter().find(|it| !it.is_tolerable);
        intolerable.or(self.shortfalls.first())
    }
}

/// What objectives there are, of which those that were asked for take the place of ours.
#[derive(Clone, Debug)]
pub struct Standard {
    ours: Vec<Objective>,
    asked: Vec<Objective>,
}

impl Standard {
    /// What connections that do what `plan` says must keep, and what was `asked` for.
    pub fn new(plan: &Plan, asked: &[Objective]) -> Self {
        let mut ours = Vec::new();
        if plan.heartbeat.is_some() {
            ours.extend(["heartbeat.missed == 0", "ping.p99.9 <= 50ms"]);
        }
        let does = |name| plan.cast.parts().iter().any(|part| part.role.name() == name);
        if does("echo") {
            ours.push("echo.p99.9 <= 50ms");
        }
        if does("broadcast") {
            ours.push("deliver.p99 <= 250ms");
        }
        if !plan.cast.is_idle() {
            ours.extend(["deliver.loss == 0", "seq.dup == 0", "seq.reorder == 0"]);
            ours.push("payload.corrupt == 0");
        }
        let ours = ours.into_iter().map(str::parse).collect::<Result<Vec<Objective>, String>>();
        let mut ours = ours.expect("our own objectives are well written");
        ours.retain(|own| !asked.iter().any(|other| is_of(own.metric(), other.metric())));
        Self { ours, asked: asked.to_vec() }
    }

    /// Judges what was `made`.
    pub fn grade(&self, made: &Made, series: &Series) -> Grade {
        let mut shortfalls = Vec::new();
        shortfalls.extend(established(made));
        shortfalls.extend(retained(made).filter(|_| !self.asks(Metric::ClosesUnexpected)));
        let sustainable = sustainable(made, series).into_iter();
        shortfalls.extend(sustainable.filter(|it| !self.asks_instead(it.binding)));
        let (judgements, is_unclear) = self.judge(made, series, &mut shortfalls);
        shortfalls.extend(recoverable(made));
        explain(made, &mut shortfalls);
        shortfalls.sort_by_key(|shortfall| shortfall.binding);
        let slo = slo_mark(made, &shortfalls, is_unclear);
        if slo == Mark::Unclear && shortfalls.iter().all(|shortfall| shortfall.is_tolerable) {
            let text = "too few samples, or too close to the limit".to_owned();
            shortfalls.push(shortfall(Binding::Unclear, text));
        }
        let zero = match slo {
            Mark::Pass if !shortfalls.is_empty() => Mark::Fail,
            slo => slo,
        };
        Grade { marks: Marks { slo, zero }, shortfalls, judgements }
    }

    fn asks(&self, metric: Metric) -> bool {
        self.asked.iter().any(|objective| objective.metric() == metric)
    }

    /// Whether an objective was asked for that takes the place of what was found.
    fn asks_instead(&self, found: Binding) -> bool {
        found == Binding::ServerCpu && self.asks(Metric::ServerCpu)
    }

    /// Judges the objectives. Returns whether some could not be told.
    fn judge(
        &self,
        made: &Made,
        series: &Series,
        shortfalls: &mut Vec<Shortfall>,
    ) -> (Vec<Judgement>, bool) {
        let Made { resized, trial, charges, validity, .. } = made;
        let evidence = Evidence { resized, trial, charges, series, is_valid: validity.valid };
        let mut judgements = Vec::new();
        let mut is_unclear = false;
        let all =
            self.ours.iter().map(|it| (it, false)).chain(self.asked.iter().map(|it| (it, true)));
        for (objective, is_asked) in all {
            let judgement = objective.judge(&evidence);
            let is_timed = matches!(objective.metric(), Metric::Quantile(..));
            // Where nothing was timed it can be told when more is.
            let is_unknown = judgement.state == State::Unknown && !is_timed;
            is_unclear |= matches!(judgement.state, State::Unclear | State::Unknown) && !is_unknown;
            // What nobody asked for is not missed.
            if judgement.state == State::Broken || (is_unknown && is_asked) {
                let text = format!("{} ({})", judgement.expr, judgement.reason());
                shortfalls.push(shortfall(cause(objective.metric()), text));
            }
            if !is_unknown || is_asked {
                judgements.push(judgement);
            }
        }
        (judgements, is_unclear)
    }
}

/// Whether both are of the same thing.
fn is_of(one: Metric, other: Metric) -> bool {
    match (one, other) {
        (Metric::Quantile(one, _), Metric::Quantile(other, _)) => one == other,
        _ => one == other,
    }
}

/// What it says of the cause that an objective does not hold.
const fn cause(metric: Metric) -> Binding {
    match metric {
        Metric::Quantile(..) | Metric::Max(_) | Metric::Mean(_) => Binding::Latency,
        Metric::ConnectSuccess | Metric::ConnectionsHeld | Metric::ClosesUnexpected => {
            Binding::ServerRefused
        }
        Metric::DeliverLoss
        | Metric::DeliverReach
        | Metric::SeqGap
        | Metric::SeqDup
        | Metric::SeqReorder
        | Metric::PayloadCorrupt
        | Metric::HeartbeatMissed => Binding::Delivery,
        Metric::ServerRssPerConn | Metric::ServerRssSlope => Binding::ServerMemory,
        Metric::ServerCpu => Binding::ServerCpu,
        Metric::SelfValid => Binding::Objective,
    }
}

fn shortfall(binding: Binding, text: String) -> Shortfall {
    Shortfall { binding, text, is_tolerable: false }
}

/// All open within the time that an attempt may take, repetitions counted.
fn established(made: &Made) -> Option<Shortfall> {
    let accounting = &made.resized.tally.accounting;
    let (attempted, failed) = (accounting.attempted, accounting.failures());
    let missing = made.conns.saturating_sub(made.trial.held);
    if failed == 0 && missing == 0 {
        return None;
    }
    let classes = accounting.failed.iter();
    let classes: Vec<_> =
        classes.map(|(class, n)| format!("{} {}", class.name(), units::count(*n))).collect();
    let text = format!(
        "{} of {} connections open; {} of {} attempts failed ({})",
        units::count(made.trial.held),
        units::count(made.conns),
        units::count(failed),
        units::count(attempted),
        if classes.is_empty() { "lost before the hold".to_owned() } else { classes.join(", ") },
    );
    let is_tolerable =
        failed <= attempted / ATTEMPTS_PER_FAILURE && missing <= made.conns / ATTEMPTS_PER_FAILURE;
    let most = accounting.failed.iter().max_by_key(|(_, n)| **n).map(|(class, _)| *class);
    let binding = match most {
        Some(Failure::Ports | Failure::Files) => Binding::Generator,
        Some(Failure::TimedOut) => Binding::Latency,
        _ => Binding::ServerRefused,
    };
    Some(Shortfall { binding, text, is_tolerable })
}

/// Nobody lost that was open.
fn retained(made: &Made) -> Option<Shortfall> {
    let tallies = [&made.resized.tally, &made.settled, &made.trial.tally];
    let mut all = Accounting::default();
    for tally in tallies {
        all.merge(&tally.accounting);
    }
    let lost = all.unexpected_closures();
    if lost == 0 {
        return None;
    }
    let classes = all.closed.iter().filter(|(class, _)| class.is_unexpected());
    let classes: Vec<_> =
        classes.map(|(class, n)| format!("{} {}", class.name(), units::count(*n))).collect();
    let text = format!("{} open connections lost ({})", units::count(lost), classes.join(", "));
    let seconds = made.to.saturating_sub(made.from).as_secs();
    let tolerable = made.conns * seconds / 60 / CONNECTIONS_PER_LOSS;
    Some(Shortfall { binding: Binding::ServerRefused, text, is_tolerable: lost <= tolerable })
}

/// CPU, memory and queues leave room.
fn sustainable(made: &Made, series: &Series) -> Vec<Shortfall> {
    let facts = &made.facts;
    let mut found = Vec::new();
    if facts.is_gone {
        found.push(shortfall(Binding::ServerGone, "the server's process has ended".to_owned()));
    }
    if facts.aborts_on_memory > 0 {
        let aborts = units::count(facts.aborts_on_memory);
        let text = format!("the kernel gave {aborts} connections up for lack of memory (tcp_mem)");
        found.push(shortfall(Binding::ServerMemory, text));
    }
    if facts.swapped_pages > 0 {
        let text = format!("{} pages were swapped out", units::count(facts.swapped_pages));
        found.push(shortfall(Binding::ServerMemory, text));
    }
    found.extend(growth(made, series));
    if facts.listen_drops > 0 && has_waited(made) {
        let drops = units::count(facts.listen_drops);
        let text = format!("{drops} connections found the accept queue full (somaxconn, backlog)");
        found.push(shortfall(Binding::ServerAccept, text));
    }
    found.extend(cpu(made));
    found
}

/// Whether a connection of ours was held up as one is that is dropped: the kernel counts those of
/// all servers of the machine, and whom it drops tries again after a second.
fn has_waited(made: &Made) -> bool {
    let tally = &made.resized.tally;
    let is_long = |ns| ns >= units::ns(SYN_RETRY);
    tally.accounting.failures() > 0 || tally.phases.establish.max().is_some_and(is_long)
}

fn cpu(made: &Made) -> Option<Shortfall> {
    let hold_ns = units::ns(made.trial.hold.len());
    let cores = made.server_cores.unwrap_or(host::cores() as u64);
    let spent = made.charges.server_hold_cpu_ns.unwrap_or(0);
    let percent = spent.saturating_mul(100).checked_div(hold_ns.saturating_mul(cores)).unwrap_or(0);
    let text = match &made.facts.worker {
        Some((name, busy)) if *busy > CPU_PERCENT_MAX => {
            format!("its thread {name} takes {busy} % of a core (at most {CPU_PERCENT_MAX} %)")
        }
        _ if percent > CPU_PERCENT_MAX => {
            format!("it takes {percent} % of its {cores} cores (at most {CPU_PERCENT_MAX} %)")
        }
        _ => return None,
    };
    Some(shortfall(Binding::ServerCpu, text))
}

/// The server's memory does not grow with the time of the hold. A trial that does not verify is
/// too short to tell, and in the first third of one that does each connection speaks for the first
/// time, for which a server may take memory that it keeps.
fn growth(made: &Made, series: &Series) -> Option<Shortfall> {
    if made.order.phase != Phase::Verify {
        return None;
    }
    let hold = made.trial.hold;
    let span = Span { from: hold.from + hold.len() / 3, to: hold.to };
    #[allow(clippy::cast_precision_loss)] // bytes and nanoseconds of some minutes
    let point = |(ns, bytes): &(u64, u64)| (*ns as f64 / 60e9, *bytes as f64);
    let points: Vec<_> = series.column("srv_rss", span).iter().map(point).collect();
    let (slope, bounds) = bounds::of_slope(&points)?;
    let surely = bounds.low?;
    let before = points.first()?.1;
    let minutes = span.len().as_secs_f64() / 60.0;
    let is_touched = surely * minutes <= TOUCHED_BYTES.max(before * TOUCHED_PART);
    let is_tolerable = surely <= GROWTH_MAX;
    let is_short = hold.len() < GROWTH_HOLD_MIN;
    if surely <= 0.0 || (is_tolerable && (is_touched || is_short)) {
        return None;
    }
    let mib = |bytes: f64| bytes / 1_048_576.0;
    let text = format!(
        "the server's memory grows by {:.2} MiB a minute (surely by {:.2})",
        mib(slope),
        mib(surely)
    );
    Some(Shortfall { binding: Binding::ServerMemory, text, is_tolerable })
}

/// After a storm all holds again.
fn recoverable(made: &Made) -> Option<Shortfall> {
    let storm = made.storm.as_ref()?;
    let missing = storm.before.saturating_sub(storm.back);
    let after = storm.after.first();
    if missing == 0 && storm.lost == 0 && after.is_none() {
        return None;
    }
    let text = format!(
        "after a storm {} of {} were open, {} of those that stayed were lost{}",
        units::count(storm.back),
        units::count(storm.before),
        units::count(storm.lost),
        after.map(|after| format!("; then: {}", after.text)).unwrap_or_default()
    );
    let tolerable = made.conns / ATTEMPTS_PER_FAILURE;
    let is_tolerable =
        missing + storm.lost <= tolerable && storm.after.iter().all(|after| after.is_tolerable);
    let binding = after.filter(|it| it.binding.is_ours()).map(|it| it.binding);
    Some(Shortfall { binding: binding.unwrap_or(Binding::Recovery), text, is_tolerable })
}

/// Finds the causes of what was found: why connections were refused, and why things took long.
fn explain(made: &Made, shortfalls: &mut Vec<Shortfall>) {
    let facts = &made.facts;
    for shortfall in shortfalls.iter_mut() {
        match (shortfall.binding, facts.files) {
            (Binding::ServerRefused, Some((open, limit))) if facts.is_out_of_files() => {
                shortfall.binding = Binding::ServerFiles;
                let (open, limit) = (units::count(open), units::count(limit));
                let more = format!("; it has {open} of {limit} files open");
                shortfall.text.push_str(&more);
            }
            (Binding::Latency, _) if made.validity.co_located && facts.is_busy() => {
                shortfall.binding = Binding::MachineCpu;
                shortfall.text += "; all cores are busy, and both sides share them";
            }
            _ => {}
        }
    }
    if !made.is_believed {
        let reasons = made.validity.reasons.join("; ");
        let is_shared = made.validity.co_located && facts.is_busy();
        let binding = if is_shared { Binding::MachineCpu } else { Binding::GeneratorPace };
        shortfalls.push(shortfall(binding, reasons));
    }
}

/// What it tells of the objectives. A generator that did not keep pace tells nothing of the server,
/// unless that gave way for a reason of its own; once it is asked again, and then believed.
fn slo_mark(made: &Made, shortfalls: &[Shortfall], is_unclear: bool) -> Mark {
    let intolerable = || shortfalls.iter().filter(|shortfall| !shortfall.is_tolerable);
    let is_plain = |it: &Shortfall| it.binding < Binding::MachineCpu;
    if intolerable().any(is_plain) {
        return Mark::Fail;
    }
    match (made.is_believed, intolerable().next().is_some(), is_unclear) {
        (false, ..) if !made.order.is_repeated => Mark::Unclear,
        (false, ..) | (true, true, _) => Mark::Fail,
        (true, false, true) => Mark::Unclear,
        (true, false, false) => Mark::Pass,
    }
}

#[cfg(test)]
mod tests;
