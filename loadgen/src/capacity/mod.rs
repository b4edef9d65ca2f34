//! Finds out how far a server goes: the largest number of connections, of messages a second or of
//! subscribers that it holds with everything that was promised, and what breaks first.
//!
//! ```text
//!   args -> course --rules--> search <--marks-- grade
//!                               |                 ^
//!                               +----order---> session -- fleet, server     log -> report
//! ```
//!
//! The search is pure and knows nothing of connections; the session makes its trials real; a grade
//! is what a trial came to. The lower end of what is told was verified as often as was asked for.

mod args;
mod axis;
mod binding;
mod course;
mod facts;
mod grade;
mod ladder;
mod log;
mod report;
mod search;
mod session;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use corecast::reactor::fds;
use corecast::tls::Random;

use self::course::Course;
use self::grade::Standard;
use self::ladder::Ladder;
use self::log::{Kept, Log};
use self::report::{Circumstances, Finding};
use self::search::{Goal, Search};
use self::session::Session;
use crate::charge::Charges;
use crate::fleet::{Resized, Trial};
use crate::host::Machine;
use crate::html;
use crate::plan::Plan;
use crate::report::{Findings, file, text};
use crate::result::Document;
use crate::run::{self, Refusal};
use crate::verdict::{Exit, Gate, Outcome, Validity, Verdict};

pub use self::args::CapacityArgs;

/// Does what `args` ask for, and reports.
///
/// # Errors
///
/// What stood in the way of a search. A server that holds little is no error but a finding.
pub fn capacity(args: &CapacityArgs) -> Result<Exit, Refusal> {
    let preflight = |error: io::Error| Refusal::new(Exit::Preflight, error);
    let course = Course::new(args).map_err(|reason| Refusal::new(Exit::Usage, reason))?;
    let interrupted = run::interruption().map_err(preflight)?;
    let files = fds::raise_limit().map_err(preflight)?;
    let plan = Plan::new(&course.run, files, || u64::from_ne_bytes(Random::new().draw()))?;
    plan.cast.check(course.conns(course.rules.start)).map_err(|allowed| {
        Refusal::new(Exit::Usage, format!("--publishers must be {allowed}, also at --start"))
    })?;
    let is_taken = args.output.json.as_deref() == Some(Path::new("-"));
    let ladder = Ladder::new(args.output.quiet, is_taken);
    let generator = &args.bench.generator;
    let session = Session {
        course: &course,
        restart: args.server_restart_cmd.as_deref(),
        standard: Standard::new(&plan, &args.bench.measure.slo),
        gate: Gate {
            lag_max: generator.max_self_lag,
            cpu_percent_max: generator.max_self_cpu,
            may_be_invalid: generator.allow_invalid,
            is_co_located: is_here(args),
        },
        plan: Arc::new(plan),
        epoch: run::clock(),
        interrupted,
    };
    let started = run::started();
    let machine = Machine::here([files.before, files.now]);
    let mut search = Search::new(course.rules.clone(), session.plan.seed);
    let mut log = Log::default();
    let is_interrupted = !session.conduct(&mut search, &ladder, &mut log)?;
    let found = Found { search, log, is_interrupted };
    let exit = conclude(args, &session, found, started, &machine);
    exit.map_err(|error| Refusal::new(Exit::Broken, error))
}

/// Whether the server shares this machine with us, as far as is known before it is there.
fn is_here(args: &CapacityArgs) -> bool {
    let is_loopback = |target: &crate::target::Target| {
        target.resolve().is_ok_and(|address| address.ip().is_loopback())
    };
    args.url.as_ref().is_none_or(is_loopback)
}

/// What there is at the end of a search.
struct Found {
    search: Search,
    log: Log,
    is_interrupted: bool,
}

/// Puts together what was found, and tells it.
fn conclude(
    args: &CapacityArgs,
    session: &Session<'_>,
    Found { search, mut log, is_interrupted }: Found,
    started: SystemTime,
    machine: &Machine,
) -> io::Result<Exit> {
    let bracket = search.bracket(Goal::Slo);
    let kept = log.take(bracket.low.or_else(|| search.best(Goal::Slo)));
    let gate = &session.gate;
    let ledger = log.take_ledger();
    let is_seen = args.url.is_none() || args.bench.server.server_pid.is_some();
    let around = Circumstances { ledger: &ledger, is_interrupted, gate, is_seen };
    let finding = Finding::new(session.course, &search, &log, &around);
    let mut plan = (*session.plan).clone();
    let (verdict, charges, resized, trial) = if let Some(Kept { made, judgements }) = kept {
        plan.conns = u32::try_from(made.conns).unwrap_or(u32::MAX);
        plan.hold = made.order.hold;
        let verdict = verdict(&finding, judgements, made.validity);
        (verdict, made.charges, made.resized, made.trial)
    } else {
        let (resized, trial) = (Resized::default(), Trial::default());
        let validity = Validity::new(&plan, &resized, &trial, gate);
        (verdict(&finding, Vec::new(), validity), Charges::default(), resized, trial)
    };
    let outcome = Outcome { resized, trial, ledger };
    let findings = Findings {
        plan: &plan,
        url: &log.url,
        epoch: session.epoch,
        labels: &args.output.label.iter().cloned().collect(),
        server_workers: log.server_size.map(|(workers, _)| workers),
        server_cores: log.server_size.map(|(_, cores)| cores),
        addresses: log.addresses,
        started,
        machine,
        charges: &charges,
        verdict: &verdict,
        outcome: &outcome,
    };
    tell(args, &findings, finding)
}

fn verdict(
    finding: &Finding,
    judgements: Vec<crate::slo::Judgement>,
    validity: Validity,
) -> Verdict {
    let text = format!("CAPACITY: {}", finding.text);
    Verdict { exit: finding.exit, text, judgements, validity }
}

/// Writes what was asked for: the page, unless all shall be quiet, and the files.
fn tell(args: &CapacityArgs, findings: &Findings<'_>, finding: Finding) -> io::Result<Exit> {
    let mut stdout = io::stdout().lock();
    let json_to = args.output.json.as_deref();
    let is_taken = json_to == Some(Path::new("-"));
    if !args.output.quiet && !is_taken {
        stdout.write_all(text::page(findings).as_bytes())?;
        stdout.write_all(finding.page().as_bytes())?;
    }
    if let Some(path) = &args.output.csv {
        run::write(path, &findings.outcome.ledger.series.csv())?;
    }
    let exit = finding.exit;
    if json_to.is_none() && args.output.html.is_none() {
        return Ok(exit);
    }
    let document = Document { capacity: Some(finding.capacity), ..file::document(findings) };
    if let Some(path) = &args.output.html {
        html::command::write(path, &document, None)?;
    }
    let Some(path) = json_to else { return Ok(exit) };
    if is_taken {
        stdout.write_all(document.text()?.as_bytes())?;
    } else {
        run::write(path, &document.text()?)?;
    }
    Ok(exit)
}
