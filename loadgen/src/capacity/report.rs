//! What a search comes to: the part of the result file, the sentence, and the page.

use std::fmt::Write as _;

use super::course::Course;
use super::grade::Shortfall;
use super::log::Log;
use super::search::{Bracket, End, Goal, Search, pass_rate_low95};
use crate::fleet::Ledger;
use crate::result::{Capacity, Verification};
use crate::units;
use crate::verdict::{Exit, Gate};

/// What a search came to.
#[derive(Debug)]
pub struct Finding {
    /// What of it goes into the result.
    pub capacity: Capacity,
    /// How the program ends.
    pub exit: Exit,
    /// The same in a sentence.
    pub text: String,
}

/// What is known beside the trials.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// What is left of all fleets.
    pub ledger: &'a Ledger,
    /// Whether somebody wanted an end before it came to one.
    pub is_interrupted: bool,
    /// What the generator had to keep.
    pub gate: &'a Gate,
    /// Whether the server's process is known.
    pub is_seen: bool,
}

impl Finding {
    /// What `search` came to, of which `log` tells.
    pub fn new(course: &Course, search: &Search, log: &Log, around: &Circumstances<'_>) -> Self {
        let Bracket { low, high } = search.bracket(Goal::Slo);
        // Where nothing was verified, what failed above the best is what stood in the way.
        let shortfall = high.and_then(|high| log.shortfall(high));
        let exit = exit(around, low, shortfall);
        let zero = search.bracket(Goal::Zero);
        let reason = reason(course, high, shortfall);
        let capacity = Capacity {
            axis: course.axis.to_string(),
            unit: course.axis.unit().to_owned(),
            conns: course.fixed_conns(),
            quick: course.is_quick,
            max: course.rules.max,
            steps: log.steps.clone(),
            n_zero: [zero.low, zero.high],
            n_slo: [low, high],
            verify: low.map(|n| verification(course, search, log, Goal::Slo, n)),
            verify_zero: zero.low.map(|n| verification(course, search, log, Goal::Zero, n)),
            binding: shortfall.map(|it| it.binding.name().to_owned()),
            reason,
            hysteresis: search.has_hysteresis(),
            notes: notes(course, search, around),
        };
        let text = sentence(course, search, exit, &capacity);
        Self { capacity, exit, text }
    }

    /// The lines that follow the page of the trial that tells of the number found.
    pub fn page(&self) -> String {
        let capacity = &self.capacity;
        let unit = capacity.unit.as_str();
        let mut page = String::from("\n");
        let mut line = |title: &str, text: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(page, "{title:<12}{text}");
        };
        line("Capacity", &self.text);
        line("n_slo", &format!("{} {unit}, within the tolerance", bracket(capacity.n_slo)));
        line("n_zero", &format!("{} {unit}, without any error", bracket(capacity.n_zero)));
        let verified = [("Verified", &capacity.verify), ("of n_zero", &capacity.verify_zero)];
        let same = capacity.verify == capacity.verify_zero;
        for (title, verification) in verified.into_iter().take(if same { 1 } else { 2 }) {
            if let Some(it) = verification {
                line(title, &verified_text(it, unit));
            }
        }
        line("Broke first", &capacity.reason);
        for note in &capacity.notes {
            line("", note);
        }
        page
    }
}

fn exit(around: &Circumstances<'_>, low: Option<u64>, shortfall: Option<&Shortfall>) -> Exit {
    let is_ours = shortfall.is_some_and(|it| it.binding.is_ours());
    let ledger = around.ledger;
    if !ledger.is_balanced {
        Exit::Inconsistent
    } else if around.is_interrupted {
        Exit::Interrupted
    } else if ledger.accounting.opened == 0 {
        Exit::Unreachable
    } else if is_ours && !around.gate.may_be_invalid {
        Exit::Invalid
    } else if low.is_none() {
        Exit::Broken
    } else {
        Exit::Held
    }
}

fn verification(course: &Course, search: &Search, log: &Log, goal: Goal, n: u64) -> Verification {
    let (passes, trials) = search.verified(goal, n);
    Verification {
        n,
        passes,
        trials,
        hold_s: course.rules.verify_hold.as_secs_f64(),
        p_pass_low95: (passes == trials).then(|| pass_rate_low95(trials)),
        spread: log.spread(n),
    }
}

/// What broke first, in a sentence.
fn reason(course: &Course, high: Option<u64>, shortfall: Option<&Shortfall>) -> String {
    match (high, shortfall) {
        (Some(high), Some(it)) => {
            let (high, unit) = (units::count(high), course.axis.unit());
            format!("{} at {high} {unit}: {}", it.binding.title(), it.text)
        }
        _ => "nothing".to_owned(),
    }
}

fn bracket([low, high]: [Option<u64>; 2]) -> String {
    let low = low.map_or_else(|| "none verified".to_owned(), units::count);
    let high = high.map_or_else(|| "none failed".to_owned(), units::count);
    format!("[{low}, {high}]")
}

fn verified_text(it: &Verification, unit: &str) -> String {
    let (n, held) = (units::count(it.n), it.hold_s);
    let sure = it.p_pass_low95.map(|p| {
        format!(": in 95 of 100 cases such a trial passes {:.0} % of the time or more", p * 100.0)
    });
    format!(
        "{} of {} trials of {n} {unit}, {held}s each from zero connections{}",
        it.passes,
        it.trials,
        sure.unwrap_or_default()
    )
}

fn sentence(course: &Course, search: &Search, exit: Exit, capacity: &Capacity) -> String {
    let (unit, max) = (course.axis.unit(), units::count(course.rules.max));
    let found = match (capacity.n_slo, search.best(Goal::Slo)) {
        ([Some(low), Some(high)], _) => {
            let (low, high) = (units::count(low), units::count(high));
            format!("{low} {unit} held, {high} did not")
        }
        ([Some(low), None], _) if low >= course.rules.max => {
            format!("{max} {unit} held and nothing failed: it lies above --max")
        }
        ([Some(low), None], _) => {
            let low = units::count(low);
            format!("{low} {unit} held and nothing failed, but it was not tried up to --max {max}")
        }
        ([None, _], Some(best)) => {
            format!("{} {unit} passed a trial, and were not verified", units::count(best))
        }
        ([None, high], None) => {
            let high = high.map(|high| format!(": {} did not", units::count(high)));
            format!("no number of {unit} held{}", high.unwrap_or_default())
        }
    };
    match exit {
        Exit::Invalid => format!("{found}, for the generator's sake: the server may hold more"),
        Exit::Interrupted => format!("interrupted; {found}"),
        Exit::Inconsistent => format!("the counters do not add up; {found}"),
        Exit::Unreachable => "not one connection opened".to_owned(),
        _ => found,
    }
}

/// What to bear in mind.
fn notes(course: &Course, search: &Search, around: &Circumstances<'_>) -> Vec<String> {
    let rules = &course.rules;
    let mut notes = Vec::new();
    if course.is_quick {
        notes.push(format!(
            "quick: verified {} times for {} s, without its neighbours, too short to see memory \
             grow slowly; a capacity to plan with takes 5 times 300 s (leave --quick out)",
            rules.verify_trials,
            rules.verify_hold.as_secs_f64()
        ));
    }
    if around.gate.is_co_located {
        let text = "server and generator share this machine's cores: a lower bound";
        notes.push(text.to_owned());
    }
    if !around.is_seen {
        notes.push("the server's memory and CPU were not seen (--server-pid)".to_owned());
    }
    if course.recovery.is_none() {
        notes.push("whether it recovers from a storm was not looked at (--recovery)".to_owned());
    }
    if search.end() == End::OutOfTime {
        let text = "its time was over: the bracket is wider, or less sure, than it could be";
        notes.push(text.to_owned());
    }
    if search.has_hysteresis() {
        let text = "an overload outlasts its load: what had passed failed after it, until the \
                    connections were made anew";
        notes.push(text.to_owned());
    }
    if search.is_noisy(Goal::Slo) {
        let text = "trials of the verified number or below failed too, before it was verified";
        notes.push(text.to_owned());
    }
    notes
}
