//! What models are made of: each run as one point.

use crate::result::{Document, PlanSheet, differences};

/// One run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Point {
    /// Connections that were held.
    pub(super) conns: f64,
    /// Of these, the ones that did more than idle.
    pub(super) active: f64,
    /// Of these, the ones that spoke TLS.
    pub(super) secure: f64,
    /// Cores that the server could use, if that was said.
    pub(super) cores: Option<f64>,
    /// Messages a second to the server.
    pub(super) messages_in: f64,
    /// Messages a second from it.
    pub(super) messages_out: f64,
    /// Whether one message goes to many.
    pub(super) is_broadcast: bool,
    /// Bytes of the server's own memory.
    pub(super) user: Option<f64>,
    /// Bytes of the kernel for the server's ends.
    pub(super) kernel: Option<f64>,
    /// Open files of the server.
    pub(super) files: Option<f64>,
    /// Cores that the server kept busy.
    pub(super) cpu: Option<f64>,
    /// What was done, in words.
    pub(super) scenario: String,
}

/// How `loadgen sweep` says how many cores the server had.
const CORES_LABEL: &str = "sweep.cores";

impl Point {
    #[allow(clippy::cast_precision_loss)] // bytes and nanoseconds of one machine
    pub(super) fn new(document: &Document) -> Self {
        let Document { plan, cost, delivery, .. } = document;
        let conns = document.accounting.held as f64;
        let hold = plan.phases.iter().find(|phase| phase.name == "hold");
        let seconds = hold.map_or(0.0, |it| it.to_ns.saturating_sub(it.from_ns) as f64 / 1e9);
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let is_secure = ["wss:", "https:"].iter().any(|scheme| plan.url.starts_with(scheme));
        let kernel = cost.kernel_bytes_per_end.map(|bytes| bytes * cost.connections);
        Self {
            conns,
            active: conns * active_share(plan),
            secure: if is_secure { conns } else { 0.0 },
            cores: document.labels.get(CORES_LABEL).and_then(|cores| cores.parse().ok()),
            messages_in: delivery.as_ref().map_or(0.0, |it| per_second(it.published)),
            messages_out: delivery.as_ref().map_or(0.0, |it| per_second(it.received)),
            is_broadcast: plan.scenario.name == "broadcast",
            user: cost.server_held.map(|memory| memory.pss_bytes as f64),
            kernel: kernel.map(|bytes| bytes as f64),
            files: cost.server_files.map(|files| files as f64),
            cpu: cost
                .server_hold_cpu_ns
                .filter(|_| seconds > 0.0)
                .map(|ns| ns as f64 / 1e9 / seconds),
            scenario: scenario(plan),
        }
    }

    /// User and kernel memory together: both come out of the same.
    pub(super) fn memory(&self) -> Option<f64> {
        Some(self.user? + self.kernel?)
    }
}

/// What part of the connections does more than idle.
#[allow(clippy::cast_precision_loss)] // weights up to 10,000
fn active_share(plan: &PlanSheet) -> f64 {
    let parts = &plan.scenario.parts;
    let sum: u64 = parts.iter().map(|part| part.weight).sum();
    if sum == 0 {
        return if plan.scenario.name == "idle" { 0.0 } else { 1.0 };
    }
    let idle = parts.iter().filter(|part| part.does == "idle").map(|part| part.weight).sum::<u64>();
    1.0 - idle as f64 / sum as f64
}

fn scenario(plan: &PlanSheet) -> String {
    let rates = plan.scenario.parts.iter().filter_map(|part| part.rate_per_second);
    let rates: Vec<_> = rates.map(|rate| format!("{rate}/s")).collect();
    let bytes = plan.scenario.payload_bytes.map(|bytes| format!(" of {bytes} bytes"));
    let rates = if rates.is_empty() { String::new() } else { format!(" at {}", rates.join(", ")) };
    format!("{}{rates}{}", plan.scenario.name, bytes.unwrap_or_default())
}

/// Says in what two of `documents` differ that must be the same for a model of both.
pub(super) fn check(documents: &[Document]) -> Result<(), String> {
    let Some((first, rest)) = documents.split_first() else { return Ok(()) };
    for other in rest {
        let mut found = differences("tool.version", &first.tool.version, &other.tool.version);
        found.extend(differences("server.build", &first.server.build, &other.server.build));
        let name = |of: &Document| of.plan.scenario.name.clone();
        found.extend(differences("plan.scenario.name", &name(first), &name(other)));
        let payload = |of: &Document| of.plan.scenario.payload_bytes;
        found.extend(differences("plan.scenario.payload_bytes", &payload(first), &payload(other)));
        let heartbeat = |of: &Document| of.plan.scenario.heartbeat_ns;
        found.extend(differences(
            "plan.scenario.heartbeat_ns",
            &heartbeat(first),
            &heartbeat(other),
        ));
        if let Some(it) = found.first() {
            return Err(format!(
                "these runs make no model: {} is {} in one and {} in another",
                it.field, it.one, it.other
            ));
        }
    }
    Ok(())
}

/// All points, and those of them that had the most cores.
pub(super) struct Chosen<'a> {
    pub(super) all: &'a [Point],
    pub(super) kept: Vec<Point>,
}

/// Cores add memory of their own and change what a message costs, so connections are compared where
/// the server had all of them.
pub(super) fn of_most_cores(all: &[Point]) -> Chosen<'_> {
    let most = all.iter().filter_map(|point| point.cores).fold(f64::NEG_INFINITY, f64::max);
    let has_most = |point: &&Point| point.cores.is_none_or(|cores| cores >= most);
    Chosen { all, kept: all.iter().filter(has_most).cloned().collect() }
}
