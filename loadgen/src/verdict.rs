//! What a run comes to: did everything hold, and may the numbers be believed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::charge::Charges;
use crate::cost::Sample;
use crate::fleet::{Halt, Ledger, Resized, Trial};
use crate::payload::Verify;
use crate::plan::Plan;
use crate::slo::{Evidence, Judgement, Objective, State};
use crate::units;
use crate::watch::Seen;

/// How the program ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    /// Everything held.
    Held = 0,
    /// Something did not hold.
    Broken = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// It cannot be done on this machine.
    Preflight = 3,
    /// The generator was the bottleneck.
    Invalid = 4,
    /// Nobody answers.
    Unreachable = 5,
    /// Somebody ended it early.
    Interrupted = 6,
    /// The counters do not add up.
    Inconsistent = 7,
}

impl Exit {
    /// The exit with this code; one that there is not is a contradiction.
    pub fn from_code(code: u8) -> Self {
        let all = [
            Self::Held,
            Self::Broken,
            Self::Usage,
            Self::Preflight,
            Self::Invalid,
            Self::Unreachable,
            Self::Interrupted,
        ];
        all.into_iter().find(|exit| *exit as u8 == code).unwrap_or(Self::Inconsistent)
    }
}

/// What was measured.
#[derive(Debug)]
pub struct Outcome {
    /// How the connections were opened.
    pub resized: Resized,
    /// How they were held; nothing is held if none opened.
    pub trial: Trial,
    /// The whole life of the fleet.
    pub ledger: Ledger,
}

/// What the generator must keep to be believed.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// How late its loops may come round, at the 99th percentile of the hold.
    pub lag_max: Duration,
    /// What share of a core a driver may take, in per cent, in all but one of 20 seconds.
    pub cpu_percent_max: u64,
    /// Whether to overlook all this.
    pub may_be_invalid: bool,
    /// Whether the server runs on this machine.
    pub is_co_located: bool,
}

/// How many times as late as at its 99th percentile a loop may come round once. A pause beyond that
/// is short beside a long hold, and still spoils the tail of what is timed in it.
const PAUSE_FACTOR: u64 = 20;

/// With fewer echoes than this a mean says little.
const LITTLE_MIN: u64 = 100;

/// What a hypervisor may take of the machine, in tenths of a per cent.
const STEAL_PERMILLE_MAX: u64 = 20;

/// Whether the generator kept pace.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Validity {
    /// Whether it did.
    pub valid: bool,
    /// Whether the server had to share the machine with it.
    pub co_located: bool,
    /// Why it did not.
    pub reasons: Vec<String>,
    /// What to bear in mind.
    pub notes: Vec<String>,
    /// How late its loops came round in the hold, at the 99th percentile.
    pub lag_p99_ns: Option<u64>,
    /// How late they came round at most.
    #[serde(default)]
    pub lag_max_ns: Option<u64>,
    /// The 99th percentile while connections were opened.
    pub ramp_lag_p99_ns: Option<u64>,
    /// The largest share of a core that a driver took in one second of the hold.
    pub cpu_percent_max: u64,
    /// What a hypervisor took of the machine in the hold, in thousandths.
    pub steal_permille: Option<u64>,
    /// How many echoes were in flight on average, in thousandths: as counted, and by Little's law
    /// as their rate times their mean time. Unknown where some never came back or were not timed.
    #[serde(default)]
    pub in_flight_milli: Option<[u64; 2]>,
}

/// What a run comes to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// How the program ends.
    pub exit: Exit,
    /// What it comes to, in a sentence.
    pub text: String,
    /// What became of the objectives.
    pub judgements: Vec<Judgement>,
    /// Whether it may be believed.
    pub validity: Validity,
}

impl Verdict {
    /// Judges `outcome`, which cost `charges`, by what every run is to keep and by `objectives`.
    pub fn new(
        plan: &Plan,
        objectives: &[Objective],
        outcome: &Outcome,
        charges: &Charges,
        gate: &Gate,
    ) -> Self {
        let Outcome { resized, trial, ledger } = outcome;
        let validity = Validity::new(plan, resized, trial, gate);
        let (series, is_valid) = (&ledger.series, validity.valid);
        let evidence = Evidence { resized, trial, charges, series, is_valid };
        let asked: Vec<_> = objectives.iter().map(Objective::metric).collect();
        let promises = promises(plan);
        let promises = promises.iter().filter(|promise| !asked.contains(&promise.metric()));
        let judgements: Vec<_> =
            promises.chain(objectives).map(|objective| objective.judge(&evidence)).collect();
        let exit = exit(outcome, &judgements, validity.valid || gate.may_be_invalid);
        let text = sentence(exit, plan, outcome, &judgements);
        Self { exit, text, judgements, validity }
    }
}

fn exit(outcome: &Outcome, judgements: &[Judgement], is_believed: bool) -> Exit {
    let ledger = &outcome.ledger;
    if !ledger.is_balanced {
        Exit::Inconsistent
    } else if ledger.halt == Some(Halt::Interrupted) {
        Exit::Interrupted
    } else if ledger.accounting.opened == 0 {
        Exit::Unreachable
    } else if !is_believed {
        Exit::Invalid
    } else if judgements.iter().all(|judgement| judgement.pass) {
        Exit::Held
    } else {
        Exit::Broken
    }
}

fn sentence(exit: Exit, plan: &Plan, outcome: &Outcome, judgements: &[Judgement]) -> String {
    let conns = units::count(u64::from(plan.conns));
    let held = units::time(units::ns(outcome.trial.hold.len()));
    match exit {
        Exit::Held => format!("PASS: {conns} connections held for {held}, nothing lost"),
        Exit::Broken => {
            let of = |states: &[State]| -> Vec<_> {
                let some = judgements.iter().filter(|it| states.contains(&it.state));
                some.map(|judgement| judgement.expr.as_str()).collect()
            };
            let (broken, unclear) = (of(&[State::Broken]), of(&[State::Unclear, State::Unknown]));
            let broken = ("did not hold", broken.join(", "));
            let unclear = ("cannot be told", unclear.join(", "));
            let parts = [broken, unclear].into_iter().filter(|(_, which)| !which.is_empty());
            let parts: Vec<_> = parts.map(|(what, which)| format!("{what}: {which}")).collect();
            format!("FAIL: {}", parts.join("; "))
        }
        Exit::Invalid => "INVALID: the generator did not keep pace with itself".to_owned(),
        Exit::Unreachable => "UNREACHABLE: not one connection opened".to_owned(),
        Exit::Interrupted => "INTERRUPTED: what was counted until then".to_owned(),
        Exit::Inconsistent => "INCONSISTENT: the counters do not add up".to_owned(),
        Exit::Usage | Exit::Preflight => "nothing was done".to_owned(),
    }
}

/// What every run is to keep, unless an objective of the same metric says otherwise.
fn promises(plan: &Plan) -> Vec<Objective> {
    let held = format!("connections.held >= {}", plan.conns);
    let mut promises = vec![held.as_str(), "closes.unexpected == 0"];
    if plan.heartbeat.is_some() {
        promises.push("heartbeat.missed == 0");
    }
    if !plan.cast.is_idle() && plan.verify != Verify::None {
        promises.extend([
            "deliver.loss == 0",
            "seq.dup == 0",
            "seq.reorder == 0",
            "payload.corrupt == 0",
        ]);
    }
    let promises = promises.into_iter().map(str::parse);
    promises.collect::<Result<_, String>>().expect("our own objectives are well written")
}

impl Validity {
    /// Judges whether the generator kept pace in a trial.
    pub fn new(plan: &Plan, resized: &Resized, trial: &Trial, gate: &Gate) -> Self {
        let mut found = Self {
            valid: true,
            co_located: gate.is_co_located,
            reasons: Vec::new(),
            notes: Vec::new(),
            lag_p99_ns: trial.tally.lag.quantile(0.99),
            lag_max_ns: trial.tally.lag.max(),
            ramp_lag_p99_ns: resized.tally.lag.quantile(0.99),
            cpu_percent_max: trial.seen.busiest_percent,
            steal_permille: steal_permille(trial.begin.as_ref(), trial.end.as_ref()),
            in_flight_milli: in_flight(plan, trial),
        };
        found.judge_counts(trial);
        found.judge_lag(plan, units::ns(gate.lag_max));
        found.judge_cpu(trial.seen, gate.cpu_percent_max);
        if gate.is_co_located {
            found.notes.push("server and generator share this machine: a lower bound".to_owned());
        }
        if let Some(conns) = trial.resized_to {
            let conns = units::count(u64::from(conns));
            let note = "resized by hand in the hold, at last to";
            found.notes.push(format!("{note} {conns}: memory of a connection is unknown"));
        }
        found.valid = found.reasons.is_empty();
        found
    }

    /// Tells where two ways to count the same come to different numbers.
    fn judge_counts(&mut self, trial: &Trial) {
        if let Some([counted, derived]) = self.in_flight_milli
            && counted.abs_diff(derived) * 20 > counted.max(derived)
        {
            let milli = |milli: u64| format!("{}.{:03}", milli / 1_000, milli % 1_000);
            self.reasons.push(format!(
                "{} echoes were in flight on average, and rate times latency says {} (Little's \
                 law): the accounting is broken",
                milli(counted),
                milli(derived)
            ));
        }
        if let Some(reading) = trial.reading.as_ref().filter(|reading| !reading.agrees()) {
            let ours = units::count(reading.ours);
            self.notes.push(match &reading.server {
                Ok(count) => format!(
                    "the server counts {} connections ({}), we count {ours}",
                    units::count(*count),
                    reading.gauge
                ),
                Err(reason) => format!("the server's own count is not known: {reason}"),
            });
        }
    }

    /// Judges how late the loops came round. The hold is judged and not the ramp, in which a server
    /// on the same machine leaves the generator no CPU by design.
    fn judge_lag(&mut self, plan: &Plan, lag_max: u64) {
        let pause_max = lag_max.saturating_mul(PAUSE_FACTOR);
        let found =
            [("loop lag p99", self.lag_p99_ns, lag_max), ("pause", self.lag_max_ns, pause_max)];
        let late = found.into_iter().filter_map(|(what, lag, max)| Some((what, lag?, max)));
        for (what, lag, max) in late.filter(|(_, lag, max)| lag > max) {
            let (lag, max) = (units::time(lag), units::time(max));
            let lag = format!("{what} of {lag} in the hold, above {max}");
            // A lag spoils what is timed. Connections that are silent only have to be kept.
            if plan.cast.is_idle() && plan.heartbeat.is_none() {
                self.notes.push(format!("{lag}: noted only, as nothing is timed"));
            } else {
                self.reasons.push(format!("{lag} (--max-self-lag)"));
            }
        }
        if let Some(lag) = self.ramp_lag_p99_ns.filter(|lag| *lag > lag_max).map(units::time) {
            self.notes.push(format!(
                "loop lag p99 of {lag} in the ramp: its times include our waiting (the hold is \
                 judged)"
            ));
        }
    }

    /// Judges whether there was CPU enough: in all but one of 20 seconds.
    fn judge_cpu(&mut self, seen: Seen, percent_max: u64) {
        let Seen { looks, too_busy, .. } = seen;
        if too_busy * 20 > looks {
            self.reasons.push(format!(
                "a driver took more than {percent_max} % of its core in {too_busy} of {looks} \
                 seconds (--max-self-cpu)"
            ));
        }
        if let Some(steal) = self.steal_permille.filter(|steal| *steal > STEAL_PERMILLE_MAX) {
            self.reasons.push(format!("the hypervisor took {}.{} %", steal / 10, steal % 10));
        }
    }
}

/// The mean number of echoes in flight, counted and derived, where the one follows from the other:
/// every echo was timed and came back.
fn in_flight(plan: &Plan, trial: &Trial) -> Option<[u64; 2]> {
    let traffic = &trial.tally.traffic;
    let timed = &traffic.echo.uncorrected;
    let is_whole = trial.is_whole
        && trial.tally.accounting.closures() == 0
        && traffic.audit.lost == 0
        && plan.verify != Verify::None
        && timed.n() >= LITTLE_MIN;
    let hold_ns = u128::from(units::ns(trial.hold.len())).max(1);
    let milli = |area: u128| u64::try_from(area * 1_000 / hold_ns).unwrap_or(u64::MAX);
    let derived = u128::from(timed.n()) * u128::from(timed.mean()?);
    is_whole.then(|| [milli(u128::from(traffic.flight_ns)), milli(derived)])
}

/// What the hypervisor took in the hold.
fn steal_permille(begin: Option<&Sample>, end: Option<&Sample>) -> Option<u64> {
    let (stolen_before, all_before) = begin?.steal?;
    let (stolen, all) = end?.steal?;
    (stolen.saturating_sub(stolen_before) * 1_000).checked_div(all.saturating_sub(all_before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::{Closure, Failure};
    use crate::series::Series;
    use clap::Parser;
    use corecast::reactor::fds::Limit;

    const GATE: Gate = Gate {
        lag_max: Duration::from_millis(5),
        cpu_percent_max: 85,
        may_be_invalid: false,
        is_co_located: true,
    };

    fn args(line: &str) -> crate::args::RunArgs {
        let line = format!("loadgen --conns 10 {line}");
        crate::args::Cli::try_parse_from(line.split_whitespace()).unwrap().run.unwrap()
    }

    fn plan(line: &str) -> Plan {
        Plan::new(&args(line), Limit { before: 100, now: 20_000 }, || 7).unwrap()
    }

    fn sample(stolen: u64, all: u64) -> Sample {
        Sample { steal: Some((stolen, all)), ..Sample::default() }
    }

    /// Ten connections, all held and closed by us.
    fn good() -> Outcome {
        let mut resized = Resized::default();
        resized.tally.accounting.attempted = 10;
        resized.tally.accounting.opened = 10;
        let mut accounting = resized.tally.accounting.clone();
        accounting.closed.insert(Closure::Ours, 10);
        let trial = Trial {
            held: 10,
            begin: Some(sample(0, 0)),
            end: Some(sample(0, 1_000)),
            seen: Seen { looks: 30, too_busy: 0, busiest_percent: 3 },
            ..Trial::default()
        };
        let ledger = Ledger {
            accounting,
            is_balanced: true,
            pending: 0,
            before: Sample::default(),
            series: Series::default(),
            halt: None,
        };
        Outcome { resized, trial, ledger }
    }

    fn verdict(line: &str, outcome: &Outcome, gate: &Gate) -> Verdict {
        let charges = Charges::default();
        Verdict::new(&plan(line), &args(line).measure.slo, outcome, &charges, gate)
    }

    /// How a run ends that was good but for what `spoil` does to it.
    fn exit_after(line: &str, spoil: impl FnOnce(&mut Outcome)) -> Exit {
        let mut outcome = good();
        spoil(&mut outcome);
        verdict(line, &outcome, &GATE).exit
    }

    fn lag(outcome: &mut Outcome) {
        outcome.trial.tally.lag.record(Duration::from_millis(50));
    }

    #[test]
    fn each_way_to_fail_has_its_exit() {
        assert_eq!(exit_after("", |_| {}), Exit::Held);
        assert_eq!(
            exit_after("", |outcome| outcome.ledger.halt = Some(Halt::Interrupted)),
            Exit::Interrupted
        );
        assert_eq!(exit_after("", |outcome| outcome.trial.held = 9), Exit::Broken);
        assert_eq!(exit_after("", |outcome| outcome.trial.seen.too_busy = 2), Exit::Invalid);
        let stolen = |outcome: &mut Outcome| outcome.trial.end = Some(sample(30, 1_000));
        assert_eq!(exit_after("", stolen), Exit::Invalid);
        let vanished = |outcome: &mut Outcome| outcome.ledger.is_balanced = false;
        assert_eq!(exit_after("", vanished), Exit::Inconsistent);
        let lost = |outcome: &mut Outcome| {
            outcome.trial.tally.accounting.closed.insert(Closure::ServerReset, 1);
        };
        assert_eq!(exit_after("", lost), Exit::Broken);
        let nobody = |outcome: &mut Outcome| {
            outcome.ledger.accounting.opened = 0;
            outcome.ledger.accounting.failed.insert(Failure::Refused, 10);
        };
        assert_eq!(exit_after("", nobody), Exit::Unreachable);
    }

    #[test]
    fn a_late_loop_spoils_what_is_timed_and_only_that() {
        assert_eq!(exit_after("--scenario echo", lag), Exit::Invalid);
        assert_eq!(exit_after("--scenario idle", lag), Exit::Held);
        let mut outcome = good();
        lag(&mut outcome);
        let gate = Gate { may_be_invalid: true, ..GATE };
        let verdict = verdict("--scenario echo", &outcome, &gate);
        assert_eq!((verdict.exit, verdict.validity.valid), (Exit::Held, false));
    }

    #[test]
    fn one_pause_spoils_a_hold_however_long_that_is() {
        let once = |ms| {
            move |outcome: &mut Outcome| {
                let lag = &mut outcome.trial.tally.lag;
                (0..100_000).for_each(|_| lag.record(Duration::from_micros(50)));
                lag.record(Duration::from_millis(ms));
            }
        };
        assert_eq!(exit_after("--scenario echo", once(99)), Exit::Held);
        assert_eq!(exit_after("--scenario echo", once(101)), Exit::Invalid);
        assert_eq!(exit_after("--scenario idle", once(101)), Exit::Held);
        let mut outcome = good();
        once(300)(&mut outcome);
        let reasons = verdict("--scenario echo", &outcome, &GATE).validity.reasons;
        assert_eq!(reasons, ["pause of 300ms in the hold, above 100ms (--max-self-lag)"]);
    }

    #[test]
    fn a_ramp_without_cpu_is_noted_and_the_hold_is_judged() {
        let mut outcome = good();
        outcome.resized.tally.lag.record(Duration::from_secs(1));
        let verdict = verdict("--scenario echo", &outcome, &GATE);
        assert!(verdict.validity.valid);
        assert!(verdict.validity.notes.iter().any(|note| note.contains("in the ramp")));
    }

    #[test]
    fn every_message_fault_is_an_objective() {
        type Spoil = fn(&mut Outcome);
        let faults: [(&str, Spoil); 4] = [
            ("deliver.loss == 0", |outcome| outcome.trial.expected = 1),
            ("seq.dup == 0", |outcome| outcome.trial.tally.traffic.audit.doubled = 1),
            ("seq.reorder == 0", |outcome| outcome.trial.tally.traffic.audit.reordered = 1),
            ("payload.corrupt == 0", |outcome| outcome.trial.tally.traffic.audit.damaged = 1),
        ];
        for (expr, spoil) in faults {
            let mut outcome = good();
            spoil(&mut outcome);
            let verdict = verdict("--scenario echo", &outcome, &GATE);
            let broken = verdict.judgements.iter().filter(|judgement| !judgement.pass);
            assert_eq!(broken.map(|judgement| judgement.expr.as_str()).collect::<Vec<_>>(), [expr]);
            assert_eq!(verdict.exit, Exit::Broken);
        }
    }

    #[test]
    fn an_objective_takes_the_place_of_the_promise_of_its_metric() {
        let lost = |outcome: &mut Outcome| {
            outcome.trial.tally.accounting.closed.insert(Closure::ServerReset, 2);
        };
        assert_eq!(exit_after("--slo closes.unexpected<=1", lost), Exit::Broken);
        assert_eq!(exit_after("--slo closes.unexpected<=2", lost), Exit::Held);
        let mut outcome = good();
        lost(&mut outcome);
        let text = verdict("--slo establish.p99<=1s", &outcome, &GATE).text;
        assert_eq!(
            text,
            "FAIL: did not hold: closes.unexpected == 0; cannot be told: establish.p99 <= 1s"
        );
    }
}
