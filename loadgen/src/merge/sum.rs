//! One document of many.

use std::collections::{BTreeMap, BTreeSet};

use super::{Together, bill, rows};
use crate::latency::Latency;
use crate::result::{
    Attempts, Delivery, Distribution, Document, Ending, Heartbeats, MergedRun, Phase, PlanSheet,
    SCHEMA, ServerSheet, SlowReaders, Spread, StormSheet, TlsSheet,
};
use crate::slo;
use crate::units;
use crate::verdict::{Exit, Validity};

/// With what seconds are drawn again: a fixed number, so that the order of files changes nothing.
const SEED: u64 = 1;

/// The sum of `documents`, which did the same. There is at least one of them.
pub(super) fn of(documents: &[&Document], together: Together) -> Document {
    let first = *documents.first().expect("the command line asks for two files or more");
    let series = rows::side_by_side(documents);
    let latency = distributions(documents, &series.heat);
    let mut slo = slo::pooled(documents.iter().map(|it| it.slo.as_slice()), &latency);
    let validity = validity(documents, &latency);
    if let Some(valid) = slo.iter_mut().find(|it| it.expr.starts_with("self.valid")) {
        valid.pass = validity.valid;
    }
    let accounting = attempts(documents);
    let plan = plan(documents, &accounting);
    let is_kept = slo.iter().all(|judgement| judgement.pass);
    let exit = exit(documents, is_kept);
    Document {
        schema: SCHEMA.to_owned(),
        tool: first.tool.clone(),
        seed: first.seed.clone(),
        argv: std::env::args().collect(),
        started: first.started.clone(),
        labels: labels(documents),
        machine: first.machine.clone(),
        server: server(documents),
        verdict: Ending { exit: exit as u8, text: sentence(exit, &plan, documents) },
        plan,
        accounting,
        latency,
        delivery: delivery(documents),
        heartbeats: heartbeats(documents),
        slow: SlowReaders::together(documents.iter().filter_map(|it| it.slow.as_ref())),
        storm: StormSheet::together(documents.iter().filter_map(|it| it.storm.as_ref())),
        cost: bill::of(documents, together),
        series,
        slo,
        validity,
        capacity: None,
        models: None,
        merged: documents.iter().flat_map(|document| runs(document)).collect(),
    }
}

/// The runs that `document` tells of: itself, unless it was merged already.
pub fn runs(document: &Document) -> Vec<MergedRun> {
    if !document.merged.is_empty() {
        return document.merged.clone();
    }
    vec![MergedRun {
        seed: document.seed.clone(),
        started: document.started.clone(),
        url: document.plan.url.clone(),
        conns: document.plan.conns,
        valid: document.validity.valid,
        exit: document.verdict.exit,
        labels: document.labels.clone(),
        worker: None,
    }]
}

/// What all have in common.
fn labels(documents: &[&Document]) -> BTreeMap<String, String> {
    let mut labels = documents.first().map(|first| first.labels.clone()).unwrap_or_default();
    let is_everywhere = |name: &String, value: &mut String| {
        documents.iter().all(|document| document.labels.get(name) == Some(value))
    };
    labels.retain(is_everywhere);
    labels
}

/// The server, in what is the same of all.
fn server(documents: &[&Document]) -> ServerSheet {
    let mut sheets = documents.iter().map(|document| &document.server);
    let first = sheets.next().cloned().unwrap_or_default();
    sheets.fold(first, |common, other| {
        if common == *other {
            common
        } else {
            ServerSheet {
                machine: common.machine.filter(|it| Some(it) == other.machine.as_ref()),
                counted: common.counted.filter(|it| Some(it) == other.counted.as_ref()),
                tls: TlsSheet::together(&common.tls.iter().chain(&other.tls).collect::<Vec<_>>()),
                build: common.build.filter(|it| Some(it) == other.build.as_ref()),
                workers: common.workers.filter(|it| Some(*it) == other.workers),
                cores: common.cores.filter(|it| Some(*it) == other.cores),
            }
        }
    })
}

fn plan(documents: &[&Document], accounting: &Attempts) -> PlanSheet {
    let plans: Vec<_> = documents.iter().map(|document| &document.plan).collect();
    let first = plans.first().copied().expect("there is at least one");
    let several = |of: fn(&PlanSheet) -> &str| {
        let all: BTreeSet<_> = plans.iter().flat_map(|plan| of(plan).split(" + ")).collect();
        all.into_iter().collect::<Vec<_>>().join(" + ")
    };
    PlanSheet {
        url: several(|plan| &plan.url),
        conns: accounting.requested,
        ramp: several(|plan| &plan.ramp),
        drivers: plans.iter().map(|plan| plan.drivers).sum(),
        own_file_tables: plans.iter().any(|plan| plan.own_file_tables),
        source_addresses: plans.iter().map(|plan| plan.source_addresses).sum(),
        phases: phases(&plans),
        ..first.clone()
    }
}

/// Each phase from when the first run began it to when the last one ended it.
fn phases(plans: &[&PlanSheet]) -> Vec<Phase> {
    let mut phases: Vec<Phase> = Vec::new();
    for phase in plans.iter().flat_map(|plan| &plan.phases) {
        match phases.iter_mut().find(|it| it.name == phase.name) {
            None => phases.push(phase.clone()),
            Some(whole) => {
                whole.from_ns = whole.from_ns.min(phase.from_ns);
                whole.to_ns = whole.to_ns.max(phase.to_ns);
            }
        }
    }
    phases.sort_by_key(|phase| (phase.from_ns, phase.to_ns));
    phases
}

fn attempts(documents: &[&Document]) -> Attempts {
    let all: Vec<_> = documents.iter().map(|document| &document.accounting).collect();
    let sum = |of: fn(&Attempts) -> u64| all.iter().map(|it| of(it)).sum();
    let classes = |of: fn(&Attempts) -> &BTreeMap<String, u64>| {
        let mut sum = BTreeMap::new();
        for (class, count) in all.iter().flat_map(|it| of(it)) {
            *sum.entry(class.clone()).or_default() += count;
        }
        sum
    };
    Attempts {
        requested: all.iter().fold(0, |sum: u32, it| sum.saturating_add(it.requested)),
        attempted: sum(|it| it.attempted),
        opened: sum(|it| it.opened),
        pending: sum(|it| it.pending),
        held: sum(|it| it.held),
        failed: classes(|it| &it.failed),
        closed: classes(|it| &it.closed),
        ports_taken: sum(|it| it.ports_taken),
        balanced: all.iter().all(|it| it.balanced),
    }
}

/// Every distribution that one of them has, with the percentiles of all times together.
fn distributions(
    documents: &[&Document],
    heat: &crate::heat::Heat,
) -> BTreeMap<String, Option<Distribution>> {
    let names: BTreeSet<_> =
        documents.iter().flat_map(|document| document.latency.keys()).collect();
    let mut whole: BTreeMap<String, Option<Distribution>> = names
        .into_iter()
        .map(|name| {
            let parts = documents.iter().filter_map(|it| it.latency.get(name)?.as_ref());
            (name.clone(), distribution(parts))
        })
        .collect();
    // The series knows echoes and deliveries together, so an interval is known of one kind alone.
    let timed = ["echo", "deliver"].map(|name| whole.get(name).is_some_and(Option::is_some));
    let name = match timed {
        [true, false] => "echo",
        [false, true] => "deliver",
        _ => return whole,
    };
    if let Some(Some(timed)) = whole.get_mut(name) {
        *timed = timed.clone().with_intervals(|quantile| heat.interval(quantile, SEED));
    }
    whole
}

fn distribution<'a>(parts: impl Iterator<Item = &'a Distribution>) -> Option<Distribution> {
    let mut sum = Latency::default();
    let (mut saturated, mut co) = (0, None);
    for part in parts {
        // Reading the file has decoded it once, so it can be decoded.
        sum.merge(&part.latency().ok()?);
        saturated += part.saturated;
        co = Some(part.co);
    }
    let distribution = Distribution::new(&sum, co?)?;
    Some(Distribution { saturated, ..distribution })
}

fn delivery(documents: &[&Document]) -> Option<Delivery> {
    let all: Vec<_> = documents.iter().filter_map(|document| document.delivery.as_ref()).collect();
    let sum = |of: fn(&Delivery) -> u64| all.iter().map(|it| of(it)).sum();
    let spreads: Vec<_> = all.iter().filter_map(|it| it.spread.as_ref()).collect();
    (!all.is_empty()).then(|| Delivery {
        published: sum(|it| it.published),
        expected: sum(|it| it.expected),
        received: sum(|it| it.received),
        gap: sum(|it| it.gap),
        dup: sum(|it| it.dup),
        reorder: sum(|it| it.reorder),
        corrupt: sum(|it| it.corrupt),
        foreign: sum(|it| it.foreign),
        away: sum(|it| it.away),
        spread: (!spreads.is_empty()).then(|| Spread {
            whole: spreads.iter().map(|it| it.whole).sum(),
            partial: spreads.iter().map(|it| it.partial).sum(),
        }),
    })
}

fn heartbeats(documents: &[&Document]) -> Heartbeats {
    let sum = |of: fn(&Heartbeats) -> u64| documents.iter().map(|it| of(&it.heartbeats)).sum();
    Heartbeats {
        pings: sum(|it| it.pings),
        pongs: sum(|it| it.pongs),
        sent: sum(|it| it.sent),
        answered: sum(|it| it.answered),
        excused: sum(|it| it.excused),
    }
}

/// Valid only if all were.
fn validity(documents: &[&Document], latency: &BTreeMap<String, Option<Distribution>>) -> Validity {
    let all: Vec<_> = documents.iter().map(|document| &document.validity).collect();
    let texts = |of: fn(&Validity) -> &Vec<String>| {
        let texts: BTreeSet<_> = all.iter().flat_map(|it| of(it)).cloned().collect();
        texts.into_iter().collect()
    };
    let lag = latency.get("self_lag").and_then(Option::as_ref);
    let lag = lag.and_then(|lag| lag.latency().ok()?.quantile(0.99));
    Validity {
        valid: all.iter().all(|it| it.valid),
        co_located: all.iter().any(|it| it.co_located),
        reasons: texts(|it| &it.reasons),
        notes: texts(|it| &it.notes),
        lag_p99_ns: lag.or_else(|| all.iter().filter_map(|it| it.lag_p99_ns).max()),
        lag_max_ns: all.iter().filter_map(|it| it.lag_max_ns).max(),
        ramp_lag_p99_ns: all.iter().filter_map(|it| it.ramp_lag_p99_ns).max(),
        cpu_percent_max: all.iter().map(|it| it.cpu_percent_max).max().unwrap_or(0),
        steal_permille: all.iter().filter_map(|it| it.steal_permille).max(),
        in_flight_milli: None,
    }
}

/// How a run would have ended that was all of them.
fn exit(documents: &[&Document], is_kept: bool) -> Exit {
    let some = |exit: Exit| documents.iter().any(|it| it.verdict.exit == exit as u8);
    let opened: u64 = documents.iter().map(|it| it.accounting.opened).sum();
    if some(Exit::Inconsistent) {
        Exit::Inconsistent
    } else if some(Exit::Interrupted) {
        Exit::Interrupted
    } else if opened == 0 {
        Exit::Unreachable
    } else if some(Exit::Invalid) {
        Exit::Invalid
    } else if is_kept && !some(Exit::Unreachable) {
        Exit::Held
    } else {
        Exit::Broken
    }
}

/// The sentence without what a merge has added to it.
fn bare(text: &str) -> &str {
    let added = text.ends_with(MERGED).then(|| text.rsplit_once(" (")).flatten();
    added.map_or(text, |(bare, _)| bare)
}

/// How the sentence of a merge ends.
const MERGED: &str = "runs merged)";

fn sentence(exit: Exit, plan: &PlanSheet, documents: &[&Document]) -> String {
    let runs: usize = documents.iter().map(|document| document.merged.len().max(1)).sum();
    let conns = units::count(u64::from(plan.conns));
    let what = match exit {
        Exit::Held => format!("PASS: {conns} connections held, nothing lost"),
        Exit::Invalid => "INVALID: a generator did not keep pace with itself".to_owned(),
        Exit::Unreachable => "UNREACHABLE: not one connection opened".to_owned(),
        Exit::Interrupted => "INTERRUPTED: what was counted until then".to_owned(),
        Exit::Inconsistent => "INCONSISTENT: the counters do not add up".to_owned(),
        Exit::Broken | Exit::Usage | Exit::Preflight => {
            let texts = documents.iter().map(|document| document.verdict.text.as_str());
            let texts = texts.flat_map(|text| bare(text).split(" | "));
            let failed: BTreeSet<_> = texts.filter(|text| !text.starts_with("PASS")).collect();
            let failed = failed.into_iter().collect::<Vec<_>>().join(" | ");
            if failed.is_empty() { "FAIL: an objective did not hold".to_owned() } else { failed }
        }
    };
    format!("{what} ({runs} {MERGED}")
}
