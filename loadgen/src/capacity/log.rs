//! What is kept of the trials of a search.

use std::collections::BTreeMap;
use std::time::Duration;

use super::grade::{Grade, Made, Shortfall};
use super::search::{Mark, Order};
use crate::accounting::Accounting;
use crate::cost::Sample;
use crate::fleet::Ledger;
use crate::ports::Sources;
use crate::result::CapacityStep;
use crate::run::Subject;
use crate::series::Series;
use crate::slo::Judgement;
use crate::units;

/// A trial that was kept whole, to tell of the number that was found.
#[derive(Debug)]
pub struct Kept {
    /// What was measured.
    pub made: Made,
    /// What became of the objectives.
    pub judgements: Vec<Judgement>,
}

/// Everything that is left of a search.
#[derive(Debug, Default)]
pub struct Log {
    /// Every trial, in order.
    pub steps: Vec<CapacityStep>,
    /// What kept each from passing.
    shortfalls: Vec<Option<Shortfall>>,
    /// The last trial of each number that passed, and that of all.
    kept: BTreeMap<u64, Kept>,
    last: Option<Kept>,
    /// All fleets together.
    ledger: Option<Ledger>,
    /// The URL of the server, the last one if there were several.
    pub url: String,
    /// How many workers and cores it had, if it is ours.
    pub server_size: Option<(usize, usize)>,
    /// From how many addresses connections came, if not the system chose.
    pub addresses: Option<usize>,
}

impl Log {
    /// Whether no trial was made.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Notes against whom the next trials are made.
    pub fn site(&mut self, subject: &Subject, sources: Option<&Sources>) {
        self.url = subject.target.url();
        let embedded = subject.embedded.as_ref();
        self.server_size = embedded.map(|embedded| (embedded.workers(), embedded.cores()));
        self.addresses = sources.map(|sources| sources.addresses().len());
    }

    /// Notes a trial.
    pub fn made(&mut self, made: Made, grade: &Grade) {
        let mut step = step(&made.order, [made.from, made.to], grade);
        step.metrics = metrics(&made);
        self.steps.push(step);
        self.shortfalls.push(grade.binding().cloned());
        let n = made.order.n;
        let kept = Kept { made, judgements: grade.judgements.clone() };
        if grade.marks.slo == Mark::Pass {
            self.kept.insert(n, kept);
        } else {
            self.last = Some(kept);
        }
    }

    /// Notes a trial that could not be made, since nobody answered.
    pub fn missed(&mut self, order: &Order, now: Duration, grade: &Grade) {
        self.steps.push(step(order, [now, now], grade));
        self.shortfalls.push(grade.binding().cloned());
    }

    /// Adds what is left of a fleet.
    pub fn close(&mut self, ledger: Ledger) {
        let Some(sum) = &mut self.ledger else {
            self.ledger = Some(ledger);
            return;
        };
        sum.accounting.merge(&ledger.accounting);
        sum.is_balanced &= ledger.is_balanced;
        sum.pending += ledger.pending;
        sum.series.append(ledger.series);
        sum.halt = sum.halt.or(ledger.halt);
    }

    /// What kept `n` from passing the last time that it did not.
    pub fn shortfall(&self, n: u64) -> Option<&Shortfall> {
        let steps = self.steps.iter().zip(&self.shortfalls).rev();
        steps.filter(|(step, _)| step.n == n && !step.pass).find_map(|(_, it)| it.as_ref())
    }

    /// What was measured when `n` was verified and passed: least, median and most.
    pub fn spread(&self, n: u64) -> BTreeMap<String, [u64; 3]> {
        let steps = self.steps.iter().filter(|it| it.n == n && it.pass && it.phase == "verify");
        let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (name, value) in steps.flat_map(|step| &step.metrics) {
            found.entry(name.clone()).or_default().extend(value);
        }
        let of = |(name, mut values): (String, Vec<u64>)| {
            values.sort_unstable();
            let (least, most) = (values.first()?, values.last()?);
            Some((name, [*least, *values.get(values.len() / 2)?, *most]))
        };
        found.into_iter().filter_map(of).collect()
    }

    /// The trial that tells of `n`: the last one that passed, or the last of all.
    pub fn take(&mut self, n: Option<u64>) -> Option<Kept> {
        let kept = n.and_then(|n| self.kept.remove(&n));
        kept.or_else(|| self.last.take()).or_else(|| Some(self.kept.pop_last()?.1))
    }

    /// What was used before the first connection of all, once the first fleet is gone.
    pub fn before(&self) -> Option<&Sample> {
        self.ledger.as_ref().map(|ledger| &ledger.before)
    }

    /// What is left of all fleets. They are not added to any more.
    pub fn take_ledger(&mut self) -> Ledger {
        self.ledger.take().unwrap_or_else(|| Ledger {
            accounting: Accounting::default(),
            is_balanced: true,
            pending: 0,
            before: Sample::default(),
            series: Series::default(),
            halt: None,
        })
    }
}

fn step(order: &Order, [from, to]: [Duration; 2], grade: &Grade) -> CapacityStep {
    CapacityStep {
        phase: order.phase.name().to_owned(),
        n: order.n,
        trial: order.trial,
        hold_s: order.hold.as_secs_f64(),
        from_ns: units::ns(from),
        to_ns: units::ns(to),
        fresh: order.fresh,
        pass: grade.marks.slo == Mark::Pass,
        pass_zero: grade.marks.zero == Mark::Pass,
        binding: grade.binding().map(|it| it.binding.name().to_owned()),
        reasons: grade.shortfalls.iter().map(|shortfall| shortfall.text.clone()).collect(),
        metrics: BTreeMap::new(),
        slo: grade.judgements.clone(),
    }
}

/// What was measured, by names that end in their unit.
fn metrics(made: &Made) -> BTreeMap<String, Option<u64>> {
    let Made { resized, trial, charges, validity, facts, .. } = made;
    let opened = &resized.tally.accounting;
    let establish = &resized.tally.phases.establish;
    let traffic = &trial.tally.traffic;
    let hold_ns = units::ns(trial.hold.len());
    let permille = |ns: u64| ns.saturating_mul(1_000).checked_div(hold_ns);
    let rate = u128::from(opened.opened) * 1_000_000_000;
    let rate = rate.checked_div(u128::from(units::ns(resized.span.len())));
    let worker = facts.worker.as_ref().map(|(_, percent)| *percent);
    let mut metrics: BTreeMap<String, Option<u64>> = [
        ("held", Some(trial.held)),
        ("attempted", Some(opened.attempted)),
        ("failed", Some(opened.failures())),
        ("opened_per_second", rate.and_then(|rate| u64::try_from(rate).ok())),
        ("closes_unexpected", Some(trial.tally.accounting.unexpected_closures())),
        ("establish_p99_ns", establish.percentile(0.99)),
        ("sent", Some(traffic.sent)),
        ("expected", Some(trial.expected)),
        ("received", Some(traffic.audit.received)),
        ("pings", Some(traffic.pings_sent)),
        ("pongs", Some(traffic.pongs_heard)),
        ("server_bytes_per_conn", charges.server_bytes_per_conn),
        ("server_private_bytes_per_conn", charges.server_private_bytes_per_conn),
        ("kernel_bytes_per_end", charges.kernel_bytes_per_end),
        ("generator_bytes_per_conn", charges.generator_bytes_per_conn),
        ("server_cpu_permille_of_a_core", charges.server_hold_cpu_ns.and_then(permille)),
        ("server_busiest_thread_percent", worker),
        ("generator_cpu_permille_of_a_core", charges.generator_hold_cpu_ns.and_then(permille)),
        ("cores_busy_permille", facts.busy_permille),
        ("listen_drops", made.validity.co_located.then_some(facts.listen_drops)),
        ("self_lag_p99_ns", validity.lag_p99_ns),
        ("self_cpu_percent_max", Some(validity.cpu_percent_max)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let timed = [("ping", &traffic.ping), ("echo", &traffic.echo), ("deliver", &traffic.deliver)];
    for (name, timing) in timed.into_iter().filter(|(_, timing)| timing.corrected.n() > 0) {
        for (of, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            metrics.insert(format!("{name}_{of}_ns"), timing.corrected.percentile(quantile));
        }
    }
    if let Some(storm) = &made.storm {
        metrics.insert("storm_back".to_owned(), Some(storm.back));
        metrics.insert("storm_lost".to_owned(), Some(storm.lost));
    }
    metrics
}
