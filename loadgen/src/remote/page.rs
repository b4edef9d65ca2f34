//! What a run of several workers looks like.

use super::crew::{Stage, Worker};
use crate::result::{Distribution, Document, MergedRun};
use crate::units;

/// A line while it runs.
pub(super) fn progress(workers: &[Worker]) -> String {
    let sum = |of: fn(&Worker) -> u64| units::count(workers.iter().map(of).sum());
    let is_lost = |worker: &&Worker| matches!(worker.stage, Stage::Lost(_));
    let lost: Vec<_> = workers.iter().filter(is_lost).map(|worker| worker.name.as_str()).collect();
    let lost = if lost.is_empty() { String::new() } else { format!("; LOST {}", lost.join(", ")) };
    let (open, pending) = (sum(|worker| worker.open), sum(|worker| worker.pending));
    format!("{} workers: open {open}, pending {pending}{lost}", workers.len())
}

/// The page at the end.
pub(super) fn page(whole: &Document) -> String {
    let accounting = &whole.accounting;
    let count = units::count;
    let mut lines = vec![String::new(), format!("RESULT      {}", whole.verdict.text)];
    lines.extend(
        whole.validity.reasons.iter().map(|reason| format!("            invalid: {reason}")),
    );
    lines.extend(whole.validity.notes.iter().map(|note| format!("            {note}")));
    lines.push(format!(
        "Attempts    {} = {} opened + {} failed; {} held",
        count(accounting.attempted),
        count(accounting.opened),
        count(accounting.failed.values().sum()),
        count(accounting.held),
    ));
    if let Some(it) = &whole.delivery {
        lines.push(format!(
            "Messages    {} sent, {} of {} came; lost {}, doubled {}, reordered {}, damaged {}",
            count(it.published),
            count(it.received),
            count(it.expected),
            count(it.gap),
            count(it.dup),
            count(it.reorder),
            count(it.corrupt),
        ));
    }
    lines.push(String::new());
    let timed = whole.latency.iter().filter_map(|(name, it)| Some((name, it.as_ref()?)));
    lines.extend(timed.map(|(name, it)| distribution(name, it)));
    lines.push(String::new());
    lines.extend(whole.slo.iter().map(|it| {
        let mark = if it.pass { "held" } else { "NOT HELD" };
        format!("{mark:<12}{}  ({})", it.expr, it.reason())
    }));
    lines.extend(whole.merged.iter().filter_map(worker));
    lines.join("\n") + "\n"
}

fn distribution(name: &str, it: &Distribution) -> String {
    let percentile = |name| it.p.get(name).copied().flatten().map_or("-".to_owned(), units::time);
    format!(
        "{name:<20} p50 {:>8}  p99 {:>8}  p99.9 {:>8}  max {:>8}  n {}",
        percentile("50"),
        percentile("99"),
        percentile("99.9"),
        units::time(it.max),
        units::count(it.n)
    )
}

fn worker(run: &MergedRun) -> Option<String> {
    let sheet = run.worker.as_ref()?;
    let name = &sheet.name;
    if let Some(reason) = &sheet.lost {
        return Some(format!("Worker      {name}  LOST: {reason}"));
    }
    let spread = sheet.last_recipient_ns.map(|[median, tail]| {
        format!("; its last recipient p50 {}, p99 {}", units::time(median), units::time(tail))
    });
    Some(format!(
        "Worker      {name}  {} connections, {}; clock known to {}{}",
        units::count(u64::from(run.conns)),
        if run.valid { "valid" } else { "INVALID" },
        units::time(sheet.clock.error_ns),
        spread.unwrap_or_default()
    ))
}
