//! `loadgen run --workers`: deals a run to workers, has them keep step, and merges what they find.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use corecast::base::Rng;
use corecast::tls::Random;

use super::args::{self, Start};
use super::clock::Offset;
use super::crew::{Crew, Stage, Worker};
use super::message::{Assignment, Order};
use super::page;
use crate::args::RunArgs;
use crate::casting;
use crate::html;
use crate::merge::{self, Together};
use crate::result::{Document, MergedRun, WorkerSheet};
use crate::run::{self, Refusal, clock};
use crate::units;
use crate::verdict::Exit;

/// How long before a common moment all workers have been told of it.
const LEAD: Duration = Duration::from_millis(300);

/// How often it is shown how all stand.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);

/// Has the workers that `args` name make the run, until it is `interrupted`.
///
/// # Errors
///
/// What stood in the way of the run. Workers that are lost later are told of in the result.
pub fn coordinate(args: &RunArgs, interrupted: &Arc<AtomicBool>) -> Result<Exit, Refusal> {
    let usage = |reason: String| Refusal::new(Exit::Usage, reason);
    let seed = args.generator.seed.unwrap_or_else(|| u64::from_ne_bytes(Random::new().draw()));
    let assignments = shares(args, seed)?;
    let token = args::token(args.remote.token_file.as_deref()).map_err(usage)?;
    let mut crew = Crew::gather(&args.remote.workers, &token)
        .map_err(|reason| Refusal::new(Exit::Unreachable, reason))?;
    let mut parts = assignments.into_iter();
    for worker in &mut crew.workers {
        let part = parts.next().expect("there is a part for each worker");
        worker.assign(part);
    }
    let mut conductor = Conductor { args, interrupted, shown: clock(), is_stopped: false };
    conductor.wait(&mut crew, |worker| matches!(worker.stage, Stage::Ready));
    if let Some(refusal) = refusal(&crew) {
        return Err(refusal);
    }
    let offsets = crew.measure_clocks();
    for (worker, offset) in crew.workers.iter_mut().zip(offsets) {
        worker.offset = offset;
    }
    let start = conductor.start()?;
    let at = |crew: &Crew, moment: Instant| crew.ns(moment);
    let ns = at(&crew, start);
    crew.tell(|worker| Order::Start { at_ns: worker.offset.reading(ns) });
    crew.workers.iter_mut().for_each(Worker::run);
    conductor.wait(&mut crew, |worker| matches!(worker.stage, Stage::Listening));
    let ns = at(&crew, clock() + LEAD);
    crew.tell(|worker| Order::Hold { at_ns: worker.offset.reading(ns) });
    crew.workers.iter_mut().for_each(Worker::run);
    conductor.wait(&mut crew, |worker| matches!(worker.stage, Stage::Hushed(_)));
    let published = published(&crew);
    crew.tell(|_| Order::Settle { published: published.clone() });
    conductor.wait(&mut crew, |_| false);
    let later = crew.measure_clocks();
    let whole = conclude(crew, &later, seed, args)?;
    report(args, &whole).map_err(|error| Refusal::new(Exit::Broken, error))?;
    Ok(Exit::from_code(whole.verdict.exit))
}

/// Who waits for workers, and looks after the user meanwhile.
struct Conductor<'a> {
    args: &'a RunArgs,
    interrupted: &'a AtomicBool,
    shown: Instant,
    is_stopped: bool,
}

impl Conductor<'_> {
    fn wait(&mut self, crew: &mut Crew, is_done: impl Fn(&Worker) -> bool) {
        crew.wait(is_done, |crew| {
            if self.interrupted.load(Ordering::Relaxed) && !self.is_stopped {
                self.is_stopped = true;
                crew.tell(|_| Order::Stop);
            }
            let now = clock();
            if now.saturating_duration_since(self.shown) >= SHOW_INTERVAL {
                self.shown = now;
                if !self.args.output.quiet {
                    // A terminal that is gone keeps nobody from measuring.
                    let _ = writeln!(io::stderr(), "{}", page::progress(&crew.workers));
                }
            }
        });
    }

    /// When all begin.
    fn start(&self) -> Result<Instant, Refusal> {
        let soon = clock() + LEAD;
        let wait = match self.args.remote.start_at {
            None => return Ok(soon),
            Some(Start::In(time)) => time,
            Some(Start::At(moment)) => moment.duration_since(run::started()).map_err(|_| {
                Refusal::new(Exit::Usage, "--start-at names a moment that has passed")
            })?,
        };
        Ok((clock() + wait).max(soon))
    }
}

/// What each worker is to do.
fn shares(args: &RunArgs, seed: u64) -> Result<Vec<Assignment>, Refusal> {
    let usage = |reason: &str| Refusal::new(Exit::Usage, reason);
    let count = u32::try_from(args.remote.workers.len()).unwrap_or(u32::MAX);
    let total = u32::try_from(args.conns).ok().filter(|total| *total >= count);
    let total = total.ok_or_else(|| usage("each worker takes a connection at least (--conns)"))?;
    let cast = casting::cast(&args.scenario, total, seed)?;
    let habits = casting::habits(&args.scenario, &args.turnover);
    if cast.publishers().is_some() && habits.is_restless() {
        return Err(usage(
            "who joins a broadcast late must know what publishers on other machines have sent by \
             then: use --storm, --lifetime and churn without --workers",
        ));
    }
    let mut rng = Rng::new(seed);
    let words: Vec<_> = std::env::args().collect();
    let share = |index: u32| total / count + u32::from(index < total % count);
    let mut first = 0;
    let assignments = (0..count).map(|index| {
        let conns = share(index);
        let assignment = Assignment {
            argv: words.clone(),
            conns,
            index,
            first,
            total,
            common_seed: seed,
            seed: rng.next_u64(),
        };
        first += conns;
        assignment
    });
    Ok(assignments.collect())
}

/// Why nobody begins, if somebody cannot: then nobody else should.
fn refusal(crew: &Crew) -> Option<Refusal> {
    crew.workers.iter().find_map(|worker| match &worker.stage {
        Stage::Refused(exit, reason) => {
            let reason = format!("worker {}: {reason}", worker.name);
            Some(Refusal::new(Exit::from_code(*exit), reason))
        }
        Stage::Lost(reason) => {
            Some(Refusal::new(Exit::Unreachable, format!("worker {}: {reason}", worker.name)))
        }
        _ => None,
    })
}

/// What all publishers of all workers have sent.
fn published(crew: &Crew) -> BTreeMap<u32, u64> {
    let mut sum = BTreeMap::new();
    for worker in &crew.workers {
        if let Stage::Hushed(published) = &worker.stage {
            for (publisher, sent) in published {
                *sum.entry(*publisher).or_default() += sent;
            }
        }
    }
    sum
}

/// One result of all that there are, with those that are missing.
fn conclude(crew: Crew, later: &[Offset], seed: u64, args: &RunArgs) -> Result<Document, Refusal> {
    let (mut documents, mut lost) = (Vec::new(), Vec::new());
    for (worker, later) in crew.workers.into_iter().zip(later) {
        let Worker { name, offset, stage, .. } = worker;
        let clock = if later.error_ns == u64::MAX { offset } else { offset.through(*later) };
        let sheet = WorkerSheet { name, clock, last_recipient_ns: None, lost: None };
        match stage {
            Stage::Done(document) => documents.push(signed(*document, &sheet)),
            Stage::Lost(reason) | Stage::Refused(_, reason) => {
                lost.push(WorkerSheet { lost: Some(reason), ..sheet });
            }
            _ => lost.push(WorkerSheet { lost: Some("it did not end".to_owned()), ..sheet }),
        }
    }
    if documents.is_empty() {
        let reasons = lost
            .iter()
            .map(|it| format!("worker {}: {}", it.name, it.lost.as_deref().unwrap_or_default()));
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        return Err(Refusal::new(Exit::Unreachable, format!("no worker is left: {reasons}")));
    }
    let whole = merge::merged(&documents, Together::Yes)
        .map_err(|unlike| Refusal::new(Exit::Usage, unlike))?;
    let mut whole = Document {
        seed: format!("{seed:x}"),
        labels: args.output.label.iter().cloned().collect(),
        ..whole
    };
    if whole.delivery.as_ref().is_some_and(|delivery| delivery.spread.is_some()) {
        let runs: Vec<_> = documents.iter().flat_map(|document| &document.merged).collect();
        whole.validity.notes.push(clock_note(&runs));
    }
    for sheet in lost {
        mourn(&mut whole, sheet);
    }
    Ok(whole)
}

/// How sure deliveries are whose publisher and recipient have different clocks.
fn clock_note(runs: &[&MergedRun]) -> String {
    let error = |run: &&MergedRun| run.worker.as_ref().map_or(0, |worker| worker.clock.error_ns);
    let mut errors: Vec<_> = runs.iter().map(error).collect();
    errors.sort_unstable();
    let both: u64 = errors.iter().rev().take(2).sum();
    format!(
        "deliveries from one worker to another are corrected by the offsets of their clocks, and \
         known to {}; how each spread is told by worker",
        units::time(both)
    )
}

/// The result of a worker, with its name.
fn signed(mut document: Document, sheet: &WorkerSheet) -> Document {
    let last = document.latency.get("last_recipient").and_then(Option::as_ref);
    let last = last.and_then(|it| it.latency().ok());
    let last_recipient_ns = last.and_then(|it| Some([it.quantile(0.5)?, it.quantile(0.99)?]));
    let mut runs = merge::runs(&document);
    for run in &mut runs {
        run.worker = Some(WorkerSheet { last_recipient_ns, ..sheet.clone() });
    }
    document.merged = runs;
    document
}

/// Notes a worker whose part is missing: what is left was measured under less than was asked for.
fn mourn(whole: &mut Document, sheet: WorkerSheet) {
    let reason = sheet.lost.clone().unwrap_or_default();
    whole.validity.valid = false;
    whole.validity.reasons.push(format!("worker {} was lost: {reason}", sheet.name));
    whole.verdict.text = format!("PARTIAL: worker {} was lost; {}", sheet.name, whole.verdict.text);
    let exit = Exit::from_code(whole.verdict.exit);
    if matches!(exit, Exit::Held | Exit::Broken) {
        whole.verdict.exit = Exit::Invalid as u8;
    }
    whole.merged.push(MergedRun {
        seed: String::new(),
        started: whole.started.clone(),
        url: whole.plan.url.clone(),
        conns: 0,
        valid: false,
        exit: Exit::Invalid as u8,
        labels: BTreeMap::new(),
        worker: Some(sheet),
    });
}

fn report(args: &RunArgs, whole: &Document) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let is_taken = args.output.json.as_deref() == Some(Path::new("-"));
    if !args.output.quiet && !is_taken {
        stdout.write_all(page::page(whole).as_bytes())?;
    }
    if let Some(path) = &args.output.csv {
        run::write(path, &whole.series.csv())?;
    }
    if let Some(path) = &args.output.html {
        html::command::write(path, whole, None)?;
    }
    match &args.output.json {
        Some(_) if is_taken => stdout.write_all(whole.text()?.as_bytes()),
        Some(path) => run::write(path, &whole.text()?),
        None => Ok(()),
    }
}
