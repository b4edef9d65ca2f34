//! The findings as a result file.

use std::collections::BTreeMap;

use super::Findings;
use crate::accounting::Closure;
use crate::cast::Part;
use crate::gauge::Reading;
use crate::latency::Latency;
use crate::ramp::Pace;
use crate::result::{
    Attempts, CountSheet, Delivery, Distribution, Document, Ending, Heartbeats, Origin, PartSheet,
    Phase, PlanSheet, SCHEMA, ScenarioSheet, ServerSheet, SlowReaders, Spread, StormSheet,
    TlsSheet, Tool,
};
use crate::units;
use crate::verdict::Outcome;

/// Makes the file of `findings`.
pub fn document(findings: &Findings<'_>) -> Document {
    let verdict = findings.verdict;
    Document {
        schema: SCHEMA.to_owned(),
        tool: tool(),
        seed: format!("{:x}", findings.plan.seed),
        argv: std::env::args().collect(),
        started: units::rfc3339(findings.started),
        labels: findings.labels.clone(),
        machine: findings.machine.clone(),
        server: server(findings),
        plan: plan(findings),
        accounting: attempts(findings),
        latency: latency(findings),
        delivery: delivery(findings),
        heartbeats: heartbeats(findings),
        slow: slow(findings),
        storm: storm(findings),
        cost: findings.charges.clone(),
        series: findings.outcome.ledger.series.clone(),
        slo: verdict.judgements.clone(),
        validity: verdict.validity.clone(),
        capacity: None,
        verdict: Ending { exit: verdict.exit as u8, text: verdict.text.clone() },
        models: None,
        merged: Vec::new(),
    }
}

fn tool() -> Tool {
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git: option_env!("LOADGEN_GIT").map(str::to_owned),
        rustc: option_env!("LOADGEN_RUSTC").map(str::to_owned),
        // There are none to choose.
        features: Vec::new(),
    }
}

fn server(findings: &Findings<'_>) -> ServerSheet {
    let is_brought = findings.server_workers.is_some();
    ServerSheet {
        machine: findings.verdict.validity.co_located.then(|| findings.machine.clone()),
        build: is_brought.then(|| format!("corecast {}", env!("CARGO_PKG_VERSION"))),
        counted: findings.outcome.trial.reading.as_ref().map(counted),
        tls: TlsSheet::of(&findings.agreements()),
        workers: findings.server_workers.map(|workers| workers as u64),
        cores: findings.server_cores.map(|cores| cores as u64),
    }
}

fn counted(reading: &Reading) -> CountSheet {
    CountSheet {
        gauge: reading.gauge.clone(),
        server: reading.server.as_ref().ok().copied(),
        ours: reading.ours,
        agrees: reading.agrees(),
    }
}

fn plan(findings: &Findings<'_>) -> PlanSheet {
    let Findings { plan, outcome, .. } = findings;
    PlanSheet {
        url: findings.url.to_owned(),
        conns: plan.conns,
        scenario: ScenarioSheet {
            name: plan.cast.name().to_owned(),
            payload_bytes: (!plan.cast.is_idle()).then_some(*plan.payload.sizes.end()),
            payload_bytes_min: (!plan.cast.is_idle()).then_some(*plan.payload.sizes.start()),
            arrivals: plan.arrivals.to_string(),
            storm: plan.habits.storm.map(|storm| storm.to_string()),
            lifetime: plan.habits.lifetime.map(|lifetime| lifetime.to_string()),
            reconnect: plan.habits.is_restless().then(|| plan.habits.reconnect.to_string()),
            heartbeat_ns: plan.heartbeat.map(units::ns),
            parts: plan.cast.parts().iter().map(part).collect(),
        },
        ramp: match plan.pace {
            Pace::Adaptive => "adaptive".to_owned(),
            Pace::Fixed(rate) => rate.to_string(),
        },
        warmup_ns: units::ns(plan.warmup),
        hold_ns: units::ns(plan.hold),
        drivers: plan.drivers,
        own_file_tables: plan.has_own_tables,
        source_addresses: findings.addresses,
        phases: phases(outcome),
    }
}

fn part(part: &Part) -> PartSheet {
    PartSheet {
        does: part.name().to_owned(),
        weight: part.weight,
        rate_per_second: part.role.rate().map(units::Rate::per_second),
        publishers: part.role.publishers(),
        path: part.path.clone(),
        slow: part.slow.map(|slow| slow.to_string()),
    }
}

/// The phases that there were.
fn phases(outcome: &Outcome) -> Vec<Phase> {
    let trial = &outcome.trial;
    let spans = [
        ("ramp", outcome.resized.span),
        ("warmup", trial.warmup),
        ("hold", trial.hold),
        ("drain", trial.drain),
    ];
    let phases = spans.into_iter().filter(|(_, span)| !span.len().is_zero());
    phases
        .map(|(name, span)| Phase {
            name: name.to_owned(),
            from_ns: units::ns(span.from),
            to_ns: units::ns(span.to),
        })
        .collect()
}

fn attempts(findings: &Findings<'_>) -> Attempts {
    let Outcome { resized, trial, ledger } = findings.outcome;
    let accounting = &ledger.accounting;
    Attempts {
        requested: findings.plan.conns,
        attempted: accounting.attempted,
        opened: accounting.opened,
        pending: ledger.pending,
        held: trial.held,
        failed: accounting.failed.iter().map(|(class, n)| (class.name(), *n)).collect(),
        closed: accounting.closed.iter().map(|(class, n)| (class.name(), *n)).collect(),
        ports_taken: resized.tally.ports_taken + trial.tally.ports_taken,
        balanced: ledger.is_balanced,
    }
}

fn latency(findings: &Findings<'_>) -> BTreeMap<String, Option<Distribution>> {
    let Outcome { resized, trial, ledger } = findings.outcome;
    let (phases, traffic) = (&resized.tally.phases, &trial.tally.traffic);
    let recipients = &trial.recipients;
    let entry = |(name, co, latency): (&str, Origin, &Latency)| {
        (name.to_owned(), Distribution::new(latency, co))
    };
    let mut latency: BTreeMap<_, _> = [
        ("tcp", Origin::ActualStart, &phases.tcp),
        ("tls", Origin::ActualStart, &phases.tls),
        ("upgrade", Origin::ActualStart, &phases.upgrade),
        ("first_msg", Origin::ActualStart, &phases.first_message),
        ("establish", Origin::IntendedStart, &phases.establish),
        ("return", Origin::IntendedStart, &trial.tally.phases.establish),
        ("echo", Origin::IntendedStart, &traffic.echo.corrected),
        ("echo_uncorrected", Origin::ActualStart, &traffic.echo.uncorrected),
        ("echo_closed_loop", Origin::ActualStart, &traffic.echo.closed_loop),
        ("deliver", Origin::IntendedStart, &traffic.deliver.corrected),
        ("deliver_uncorrected", Origin::ActualStart, &traffic.deliver.uncorrected),
        ("ping", Origin::IntendedStart, &traffic.ping.corrected),
        ("ping_uncorrected", Origin::ActualStart, &traffic.ping.uncorrected),
        ("schedule_slip", Origin::IntendedStart, &traffic.slip),
        ("self_lag", Origin::IntendedStart, &trial.tally.lag),
        ("first_recipient", Origin::IntendedStart, &recipients.first),
        ("median_recipient", Origin::IntendedStart, &recipients.median),
        ("p99_recipient", Origin::IntendedStart, &recipients.p99),
        ("last_recipient", Origin::IntendedStart, &recipients.last),
    ]
    .map(entry)
    .into();
    // The series knows echoes and deliveries together, so an interval is known of one kind alone.
    let timed = ["echo", "deliver"].map(|name| latency.get(name).is_some_and(Option::is_some));
    let name = match timed {
        [true, false] => "echo",
        [false, true] => "deliver",
        _ => return latency,
    };
    if let Some(Some(timed)) = latency.get_mut(name) {
        let heat = &ledger.series.heat;
        let seed = findings.plan.seed;
        *timed = timed.clone().with_intervals(|quantile| heat.interval(quantile, seed));
    }
    latency
}

fn delivery(findings: &Findings<'_>) -> Option<Delivery> {
    let trial = &findings.outcome.trial;
    let traffic = &trial.tally.traffic;
    let audit = &traffic.audit;
    let cast = &findings.plan.cast;
    let is_broadcast = cast.publishers().is_some();
    let recipients = &trial.recipients;
    let has_left = trial.tally.accounting.closed.contains_key(&Closure::Planned);
    (!cast.is_idle() && !trial.is_unaudited).then(|| Delivery {
        published: traffic.sent,
        expected: trial.expected,
        received: audit.received,
        gap: audit.lost,
        dup: audit.doubled,
        reorder: audit.reordered,
        corrupt: audit.damaged,
        foreign: audit.foreign,
        away: traffic.away,
        spread: (is_broadcast && !has_left)
            .then_some(Spread { whole: recipients.whole, partial: recipients.partial }),
    })
}

fn heartbeats(findings: &Findings<'_>) -> Heartbeats {
    let Outcome { resized, trial, .. } = findings.outcome;
    let (before, during) = (&resized.tally.traffic, &trial.tally.traffic);
    Heartbeats {
        pings: before.pings + during.pings,
        pongs: before.pongs + during.pongs,
        sent: during.pings_sent,
        answered: during.pongs_heard,
        excused: during.pings_excused,
    }
}

fn slow(findings: &Findings<'_>) -> Option<SlowReaders> {
    let tally = &findings.outcome.trial.tally;
    let audit = &tally.traffic.slow;
    let closed = tally.accounting.closed.iter().filter(|(closure, _)| closure.is_of_slow());
    findings.plan.cast.slow().map(|slow| SlowReaders {
        connections: tally.slow_readers,
        bytes_per_second: slow.rate(),
        received: audit.received,
        gap: audit.lost,
        dup: audit.doubled,
        reorder: audit.reordered,
        corrupt: audit.damaged,
        closed: closed.map(|(closure, n)| (closure.name(), *n)).collect(),
    })
}

fn storm(findings: &Findings<'_>) -> Option<StormSheet> {
    let squall = &findings.outcome.trial.tally.squall;
    let struck = squall.struck?.saturating_duration_since(findings.epoch);
    Some(StormSheet {
        struck_ns: units::ns(struck),
        vanished: squall.vanished,
        back: squall.back,
        recovery_ns: squall.recovery().map(units::ns),
    })
}
