//! The page for people: every number with its unit, every unit with its meaning.

use std::fmt::Write as _;

use super::Findings;
use crate::accounting::Closure;
use crate::result::TlsSheet;
use crate::sampling::Sampling;
use crate::slo::State;
use crate::verdict::Outcome;
use crate::{table, units};

/// With fewer connections than this, what a process takes anyway is a large part of each share.
const FEW: u64 = 10_000;

/// Writes the page.
pub fn page(findings: &Findings<'_>) -> String {
    let mut lines = vec![String::new(), format!("RESULT      {}", findings.verdict.text)];
    lines.extend(remarks(findings));
    lines.push(target(findings));
    lines.push(attempts(findings));
    lines.push(closes(findings));
    lines.extend(secured(findings));
    lines.extend(counted(findings));
    lines.extend(returns(findings));
    lines.extend(storm(findings));
    lines.extend(slow(findings));
    lines.extend(traffic(findings));
    lines.push(String::new());
    let Outcome { resized, trial, .. } = findings.outcome;
    let (phases, tally) = (&resized.tally.phases, &trial.tally);
    lines.extend(table::rows(table::distributions(phases, tally, &trial.recipients)));
    lines.push(String::new());
    lines.extend(objectives(findings));
    lines.extend(cost(findings));
    lines.push(generator(findings));
    lines.push(machine(findings));
    lines.join("\n") + "\n"
}

/// A line with its title at the front.
fn titled(title: &str, text: &str) -> String {
    format!("{title:<12}{text}")
}

fn remarks(findings: &Findings<'_>) -> Vec<String> {
    let validity = &findings.verdict.validity;
    let reasons = validity.reasons.iter().map(|reason| titled("", &format!("invalid: {reason}")));
    let notes = validity.notes.iter().map(|note| titled("", note));
    reasons.chain(notes).collect()
}

fn target(findings: &Findings<'_>) -> String {
    let Findings { plan, url, server_workers, addresses, .. } = findings;
    let mut text = format!("{url}, {}", plan.cast);
    if !plan.cast.is_idle() {
        let _ = write!(text, ", {}", plan.payload);
    }
    if let Some(workers) = server_workers {
        let _ = write!(text, "; its own server with {workers} workers");
    }
    let _ = write!(text, "; {} drivers", plan.drivers);
    if let Some(addresses) = addresses {
        let plural = if *addresses == 1 { "" } else { "es" };
        let _ = write!(text, ", {addresses} source address{plural}");
    }
    if plan.sampling != Sampling::All && !plan.cast.is_idle() {
        let _ = write!(text, "; messages timed on {} connections", plan.sampling);
    }
    titled("Run", &text)
}

fn attempts(findings: &Findings<'_>) -> String {
    let Outcome { resized, ledger, .. } = findings.outcome;
    let accounting = &ledger.accounting;
    let mut text = format!(
        "{} = {} opened + {} failed",
        units::count(accounting.attempted),
        units::count(accounting.opened),
        units::count(accounting.failures())
    );
    if !accounting.failed.is_empty() {
        let classes = accounting.failed.iter();
        let classes: Vec<_> =
            classes.map(|(class, n)| format!("{} {}", class.name(), units::count(*n))).collect();
        let _ = write!(text, " ({})", classes.join(", "));
    }
    let opened = resized.tally.accounting.opened;
    let ramp_ns = units::ns(resized.span.len());
    let rate = (u128::from(opened) * 1_000_000_000).checked_div(u128::from(ramp_ns));
    if let Some(rate) = rate.and_then(|rate| u64::try_from(rate).ok()) {
        let _ = write!(text, "; {} a second for {}", units::count(rate), units::time(ramp_ns));
    }
    titled("Attempts", &text)
}

fn closes(findings: &Findings<'_>) -> String {
    let accounting = &findings.outcome.ledger.accounting;
    let classes = accounting.closed.iter();
    let classes: Vec<_> =
        classes.map(|(class, n)| format!("{} {}", class.name(), units::count(*n))).collect();
    let text = if classes.is_empty() { "none".to_owned() } else { classes.join(", ") };
    titled("Closed", &text)
}

/// How many connections both sides counted, if the server was asked.
fn counted(findings: &Findings<'_>) -> Option<String> {
    let reading = findings.outcome.trial.reading.as_ref()?;
    let server = reading.server.as_ref().map_or("unknown".to_owned(), |it| units::count(*it));
    let text =
        format!("the server {server} ({}), we {}", reading.gauge, units::count(reading.ours));
    Some(titled("Counted", &text))
}

/// What handshakes of TLS agreed on, if there were any.
fn secured(findings: &Findings<'_>) -> Option<String> {
    let sheet = TlsSheet::of(&findings.agreements())?;
    let kx = sheet.kx.unwrap_or_else(|| "no exchange of keys".to_owned());
    let mut text = format!(
        "{}, {}, {kx}; {} handshakes",
        sheet.version,
        sheet.suite,
        units::count(sheet.handshakes)
    );
    if sheet.resumed > 0 {
        let _ = write!(text, ", {:.1} % of them resumed", sheet.resumed_pct);
    }
    Some(titled("TLS", &text))
}

/// Who came back, if anybody left by plan.
fn returns(findings: &Findings<'_>) -> Option<String> {
    let tally = &findings.outcome.trial.tally;
    let left = tally.accounting.closed.get(&Closure::Planned)?;
    let mut text = format!(
        "{} left by plan; {} attempts to come back, {} opened",
        units::count(*left),
        units::count(tally.accounting.attempted),
        units::count(tally.accounting.opened)
    );
    let establish = &tally.phases.establish;
    if let (Some(median), Some(max)) = (establish.percentile(0.5), establish.max()) {
        let _ = write!(text, ", each in {} (p50)", units::time(median));
        if let Some(tail) = establish.percentile(0.99) {
            let _ = write!(text, ", {} (p99)", units::time(tail));
        }
        let _ = write!(text, ", {} at most", units::time(max));
    }
    Some(titled("Returns", &text))
}

/// How a storm passed, if one struck.
fn storm(findings: &Findings<'_>) -> Option<String> {
    let squall = &findings.outcome.trial.tally.squall;
    squall.struck?;
    let (vanished, back) = (units::count(squall.vanished), units::count(squall.back));
    let text = match squall.recovery() {
        Some(took) => {
            let took = units::time(units::ns(took));
            format!("{vanished} vanished at once; all were open again {took} after that")
        }
        None => format!("{vanished} vanished at once; {back} were open again when the hold ended"),
    };
    Some(titled("Storm", &text))
}

/// What became of those that read slowly, if there were any.
fn slow(findings: &Findings<'_>) -> Option<String> {
    let slow = findings.plan.cast.slow()?;
    let tally = &findings.outcome.trial.tally;
    let closed = tally.accounting.closed.iter().filter(|(closure, _)| closure.is_of_slow());
    let given_up: u64 = closed.clone().map(|(_, n)| n).sum();
    let codes: Vec<_> =
        closed.map(|(closure, n)| format!("{} {}", closure.name(), units::count(*n))).collect();
    let mut text = format!(
        "{} read {} a second and got {} messages; the server closed {}",
        units::count(tally.slow_readers),
        units::bytes(slow.rate()),
        units::count(tally.traffic.slow.received),
        units::count(given_up)
    );
    if given_up > 0 {
        let _ = write!(text, " ({})", codes.join(", "));
    }
    let lost = tally.traffic.slow.lost;
    if lost > 0 {
        let _ = write!(text, "; it passed over {} messages", units::count(lost));
    }
    Some(titled("Slow", &text))
}

fn traffic(findings: &Findings<'_>) -> Vec<String> {
    let trial = &findings.outcome.trial;
    let traffic = &trial.tally.traffic;
    let pongs = traffic.pongs;
    let mut heartbeats = format!("{} pings answered in the hold", units::count(pongs));
    if traffic.pings_sent > 0 {
        let (heard, sent) = (units::count(traffic.pongs_heard), units::count(traffic.pings_sent));
        let _ = write!(heartbeats, "; {heard} of our {sent} were");
        if traffic.pings_excused > 0 {
            let excused = units::count(traffic.pings_excused);
            let _ = write!(heartbeats, ", {excused} left with their connection by plan");
        }
    }
    let mut lines = vec![titled("Heartbeats", &heartbeats)];
    if findings.plan.cast.is_idle() {
        return lines;
    }
    let audit = &traffic.audit;
    if trial.is_unaudited {
        let (sent, came) = (units::count(traffic.sent), units::count(audit.received));
        lines.push(titled("Messages", &format!("{sent} sent, {came} came; nobody looked at them")));
        return lines;
    }
    let mut messages = format!(
        "{} sent, {} of {} came; lost {}, doubled {}, reordered {}, damaged {}, foreign {}",
        units::count(traffic.sent),
        units::count(audit.received),
        units::count(trial.expected),
        units::count(audit.lost),
        units::count(audit.doubled),
        units::count(audit.reordered),
        units::count(audit.damaged),
        units::count(audit.foreign)
    );
    if traffic.away > 0 {
        let away = units::count(traffic.away);
        let _ = write!(messages, "; {away} more went to subscribers who were away by plan");
    }
    lines.push(titled("Messages", &messages));
    lines
}

fn objectives(findings: &Findings<'_>) -> Vec<String> {
    let judgements = findings.verdict.judgements.iter();
    judgements
        .map(|judgement| {
            let mark = match judgement.state {
                State::Held => "held",
                State::Broken => "BROKEN",
                State::Unclear => "UNCLEAR",
                State::Unknown => "UNKNOWN",
            };
            titled(mark, &format!("{}  ({})", judgement.expr, judgement.reason()))
        })
        .collect()
}

fn cost(findings: &Findings<'_>) -> Vec<String> {
    let charges = findings.charges;
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), units::bytes);
    let time = |ns| match ns {
        None => "unknown".to_owned(),
        // The system counts in ticks of a hundredth of a second.
        Some(0) => "less than 10ms".to_owned(),
        Some(ns) => units::time(ns),
    };
    let ends = if charges.ends_here == 2 { " (both ends are here: halved)" } else { "" };
    let few = if charges.connections < FEW { "; so few that fixed memory weighs in" } else { "" };
    let mut lines = vec![titled(
        "Memory",
        &format!(
            "a connection: server {} user (private {}), generator {} user, kernel {} an \
             end{ends}{few}",
            bytes(charges.server_bytes_per_conn),
            bytes(charges.server_private_bytes_per_conn),
            bytes(charges.generator_bytes_per_conn),
            bytes(charges.kernel_bytes_per_end),
        ),
    )];
    let mut cpu = format!(
        "server {} in the ramp, {} in the hold; generator {} in the hold",
        time(charges.server_ramp_cpu_ns),
        time(charges.server_hold_cpu_ns),
        time(charges.generator_hold_cpu_ns),
    );
    let opened = charges.opened_per_server_cpu_second;
    let messages = charges.messages_per_server_cpu_second;
    let rates = [("connections opened", opened), ("messages", messages)];
    for (what, rate) in rates.into_iter().filter_map(|(what, rate)| Some((what, rate?))) {
        let _ = write!(cpu, "; {} {what}/CPU-s", units::count(rate));
    }
    lines.push(titled("CPU", &cpu));
    lines
}

fn generator(findings: &Findings<'_>) -> String {
    let validity = &findings.verdict.validity;
    let lag = |lag: Option<u64>| lag.map_or_else(|| "unknown".to_owned(), units::time);
    let mut text = format!(
        "{}; loop lag p99 {} in the hold, {} in the ramp; busiest driver {} % of a core",
        if validity.valid { "valid" } else { "INVALID" },
        lag(validity.lag_p99_ns),
        lag(validity.ramp_lag_p99_ns),
        validity.cpu_percent_max
    );
    if let Some(steal) = validity.steal_permille {
        let _ = write!(text, "; stolen {}.{} %", steal / 10, steal % 10);
    }
    titled("Generator", &text)
}

fn machine(findings: &Findings<'_>) -> String {
    let machine = findings.machine;
    let mut text = format!("{} cores", machine.cpu.cores);
    if let Some(model) = &machine.cpu.model {
        let _ = write!(text, " of {model}");
    }
    if let Some(bytes) = machine.mem_bytes {
        let _ = write!(text, ", {} of memory", units::bytes(bytes));
    }
    if let Some(kernel) = &machine.kernel {
        let _ = write!(text, ", {kernel}");
    }
    let _ = write!(text, ", {} open files", units::count(findings.plan.files.now));
    titled("Machine", &text)
}
