//! The file for programs: schema `loadgen/1`, integers in nanoseconds and bytes, `null` for what is
//! unknown. Within `/1` fields are only added.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Findings;
use crate::charge::Charges;
use crate::host::Machine;
use crate::latency::{Latency, Summary};
use crate::plan::Scenario;
use crate::ramp::Pace;
use crate::units;
use crate::verdict::{Objective, Validity};

/// Writes the file's text.
pub fn document(findings: &Findings<'_>) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Document::new(findings)).map(|text| text + "\n")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    tool: Tool,
    seed: String,
    argv: Vec<String>,
    started: String,
    machine: &'a Machine,
    plan: PlanPart<'a>,
    accounting: AccountingPart,
    latency: BTreeMap<&'static str, Option<Summary>>,
    delivery: Option<Delivery>,
    heartbeats: Heartbeats,
    cost: &'a Charges,
    slo: &'a [Objective],
    validity: &'a Validity,
    verdict: VerdictPart<'a>,
}

#[derive(Serialize)]
struct Tool {
    version: &'static str,
}

#[derive(Serialize)]
struct PlanPart<'a> {
    url: &'a str,
    conns: u32,
    scenario: ScenarioPart,
    ramp: String,
    hold_ns: u64,
    drivers: u32,
    own_file_tables: bool,
    source_addresses: Option<usize>,
    server_workers: Option<usize>,
    phases: [PhasePart; 2],
}

#[derive(Serialize)]
struct ScenarioPart {
    name: &'static str,
    payload_bytes: Option<usize>,
    rate_per_second: Option<f64>,
    publishers: Option<u32>,
}

#[derive(Serialize)]
struct PhasePart {
    name: &'static str,
    duration_ns: u64,
}

#[derive(Serialize)]
struct AccountingPart {
    requested: u32,
    attempted: u64,
    opened: u64,
    pending: u64,
    held: u64,
    failed: BTreeMap<String, u64>,
    closed: BTreeMap<String, u64>,
    ports_taken: u64,
    balanced: bool,
}

#[derive(Serialize)]
struct Delivery {
    published: u64,
    expected: u64,
    received: u64,
    gap: u64,
    dup: u64,
    reorder: u64,
    corrupt: u64,
    foreign: u64,
}

#[derive(Serialize)]
struct Heartbeats {
    pings: u64,
    pongs: u64,
}

#[derive(Serialize)]
struct VerdictPart<'a> {
    exit: u8,
    text: &'a str,
}

impl<'a> Document<'a> {
    fn new(findings: &'a Findings<'a>) -> Self {
        let verdict = findings.verdict;
        Self {
            schema: "loadgen/1",
            tool: Tool { version: env!("CARGO_PKG_VERSION") },
            seed: format!("{:x}", findings.plan.seed),
            argv: std::env::args().collect(),
            started: units::rfc3339(findings.started),
            machine: findings.machine,
            plan: plan(findings),
            accounting: accounting(findings),
            latency: latency(findings),
            delivery: delivery(findings),
            heartbeats: heartbeats(findings),
            cost: findings.charges,
            slo: &verdict.objectives,
            validity: &verdict.validity,
            verdict: VerdictPart { exit: verdict.exit as u8, text: &verdict.text },
        }
    }
}

fn plan<'a>(findings: &'a Findings<'a>) -> PlanPart<'a> {
    let Findings { plan, outcome, .. } = findings;
    let rate = plan.scenario.rate();
    let publishers = match plan.scenario {
        Scenario::Idle | Scenario::Echo(_) => None,
        Scenario::Broadcast { publishers, .. } => Some(publishers),
    };
    PlanPart {
        url: findings.url,
        conns: plan.conns,
        scenario: ScenarioPart {
            name: plan.scenario.name(),
            payload_bytes: rate.map(|_| plan.payload_len),
            rate_per_second: rate.map(units::Rate::per_second),
            publishers,
        },
        ramp: match plan.pace {
            Pace::Adaptive => "adaptive".to_owned(),
            Pace::Fixed(rate) => rate.to_string(),
        },
        hold_ns: units::ns(plan.hold),
        drivers: plan.drivers,
        own_file_tables: plan.has_own_tables,
        source_addresses: findings.addresses,
        server_workers: findings.server_workers,
        phases: [
            PhasePart { name: "ramp", duration_ns: units::ns(outcome.ramp) },
            PhasePart { name: "hold", duration_ns: units::ns(outcome.held) },
        ],
    }
}

fn accounting(findings: &Findings<'_>) -> AccountingPart {
    let books = &findings.outcome.books;
    let accounting = books.accounting();
    AccountingPart {
        requested: findings.plan.conns,
        attempted: accounting.attempted,
        opened: accounting.opened,
        pending: books.pending(),
        held: books.held,
        failed: accounting.failed.iter().map(|(class, n)| (class.name(), *n)).collect(),
        closed: accounting.closed.iter().map(|(class, n)| (class.name(), *n)).collect(),
        ports_taken: books.ramp.ports_taken,
        balanced: books.is_balanced(),
    }
}

fn latency(findings: &Findings<'_>) -> BTreeMap<&'static str, Option<Summary>> {
    let books = &findings.outcome.books;
    let (phases, traffic) = (&books.ramp.phases, &books.hold.traffic);
    let (corrected, uncorrected) = match findings.plan.scenario {
        Scenario::Broadcast { .. } => ("deliver", "deliver_uncorrected"),
        Scenario::Idle | Scenario::Echo(_) => ("echo", "echo_uncorrected"),
    };
    [
        ("tcp", &phases.tcp),
        ("tls", &phases.tls),
        ("upgrade", &phases.upgrade),
        ("first_msg", &phases.first_message),
        ("establish", &phases.establish),
        (corrected, &traffic.corrected),
        (uncorrected, &traffic.uncorrected),
        ("schedule_slip", &traffic.slip),
        ("first_recipient", &books.first_recipient),
        ("last_recipient", &books.last_recipient),
    ]
    .map(|(name, latency)| (name, Latency::summary(latency)))
    .into()
}

fn delivery(findings: &Findings<'_>) -> Option<Delivery> {
    let books = &findings.outcome.books;
    let traffic = &books.hold.traffic;
    let audit = &traffic.audit;
    (findings.plan.scenario != Scenario::Idle).then(|| Delivery {
        published: traffic.sent,
        expected: books.expected(),
        received: audit.received,
        gap: audit.lost,
        dup: audit.doubled,
        reorder: audit.reordered,
        corrupt: audit.damaged,
        foreign: audit.foreign,
    })
}

fn heartbeats(findings: &Findings<'_>) -> Heartbeats {
    let books = &findings.outcome.books;
    Heartbeats {
        pings: books.ramp.traffic.pings + books.hold.traffic.pings,
        pongs: books.ramp.traffic.pongs + books.hold.traffic.pongs,
    }
}
