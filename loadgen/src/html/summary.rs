//! The top of the page: the verdict, what was asked for, the figures that matter, the machine.

use super::axis::Unit;
use super::markup::escaped;
use super::number;
use super::part::Part;
use super::subject::Subject;
use super::table::{Cell, Table};
use crate::host::Machine;
use crate::slo::{Judgement, State};
use crate::units;

/// The verdict, the figures that matter and what had to hold.
pub fn head(run: &Subject<'_>) -> String {
    let document = run.document;
    let (word, text) = verdict(run);
    let mut html = format!(
        "<header class=\"{word}\"><p class=\"kind\">loadgen report</p>\
         <h1><span class=\"word\">{}</span> {}</h1>\n<p class=\"what\">{}</p>\n{}",
        word.to_uppercase(),
        escaped(text),
        escaped(&what(run)),
        labels(run),
    );
    if !document.validity.valid {
        html += &format!(
            "<div class=\"banner\" role=\"alert\"><strong>Do not use these figures.</strong> The \
             generator did not keep pace with itself: {}.</div>\n",
            escaped(&document.validity.reasons.join("; "))
        );
    }
    html += "</header>\n";
    html + &figures(run)
}

/// What had to hold, and what to bear in mind.
pub fn judgements(run: &Subject<'_>) -> String {
    let Subject { document, .. } = run;
    format!(
        "<section id=\"objectives\" class=\"part\"><h2>What had to hold</h2>\n{}{}</section>\n",
        objectives(&document.slo),
        notes(&document.validity.notes)
    )
}

/// The verdict in a word, which is a class of the style sheet too, and in a sentence without it.
fn verdict<'a>(run: &Subject<'a>) -> (&'static str, &'a str) {
    let text = run.document.verdict.text.as_str();
    let word = match run.document.verdict.exit {
        0 => "pass",
        1 => "fail",
        4 => "invalid",
        5 => "unreachable",
        6 => "interrupted",
        _ => "inconsistent",
    };
    let is_said = |front: &str| front.eq_ignore_ascii_case(word);
    match text.split_once(": ") {
        Some((front, rest)) if is_said(front) => (word, rest),
        _ => (word, text),
    }
}

fn what(run: &Subject<'_>) -> String {
    let document = run.document;
    let plan = &document.plan;
    let conns = units::count(u64::from(plan.conns));
    let mut what = format!("{conns} connections to {}, {}", plan.url, plan.scenario.name);
    if let Some(bytes) = plan.scenario.payload_bytes {
        what += &format!(" with {} a message", units::bytes(bytes as u64));
    }
    what += &format!(", held for {}", number::time(plan.hold_ns));
    what + &format!(". {}, seed {}.", document.started, document.seed)
}

fn labels(run: &Subject<'_>) -> String {
    let labels = run.document.labels.iter();
    let labels: String = labels
        .map(|(key, value)| format!("<li>{} <b>{}</b></li>", escaped(key), escaped(value)))
        .collect();
    if labels.is_empty() { labels } else { format!("<ul class=\"labels\">{labels}</ul>\n") }
}

/// The figures that matter, as many as there are.
fn figures(run: &Subject<'_>) -> String {
    let document = run.document;
    let (cost, accounting) = (&document.cost, &document.accounting);
    let tail = |name: &str, quantile| Some(number::time(run.latency(name)?.percentile(quantile)?));
    let bytes = |bytes: Option<u64>| bytes.map(units::bytes);
    let failed: u64 = accounting.failed.values().sum();
    let found = [
        ("held", Some(units::count(accounting.held)), "connections"),
        ("failed", Some(units::count(failed)), "attempts"),
        ("establish p99", tail("establish", 0.99), "from the intended start"),
        ("echo p99", tail("echo", 0.99), "from the intended sending"),
        ("echo p99.9", tail("echo", 0.999), "from the intended sending"),
        ("deliver p99", tail("deliver", 0.99), "from the intended publication"),
        ("server", bytes(cost.server_bytes_per_conn), "of memory a connection"),
        ("kernel", bytes(cost.kernel_bytes_per_end), "for one end of a connection"),
        ("loadgen", bytes(cost.generator_bytes_per_conn), "of memory a connection"),
        (
            "messages",
            cost.messages_per_server_cpu_second.map(units::count),
            "a second of the server's CPU",
        ),
        (
            "opened",
            cost.opened_per_server_cpu_second.map(units::count),
            "a second of the server's CPU",
        ),
    ];
    let known = found.into_iter().filter_map(|(name, value, unit)| Some((name, value?, unit)));
    let tiles: String = known
        .map(|(name, value, unit)| {
            format!("<div><dt>{name}</dt><dd>{value}</dd><dd class=\"quiet\">{unit}</dd></div>")
        })
        .collect();
    format!("<dl class=\"tiles\">{tiles}</dl>\n")
}

fn objectives(judgements: &[Judgement]) -> String {
    if judgements.is_empty() {
        return "<p class=\"about\">Nothing was asked for.</p>\n".to_owned();
    }
    let rows: String = judgements
        .iter()
        .map(|judgement| {
            let (class, word) = match judgement.state {
                State::Held => ("good", "held"),
                State::Broken => ("bad", "broken"),
                State::Unclear => ("bad", "unclear"),
                State::Unknown => ("bad", "unknown"),
            };
            format!(
                "<tr><td class=\"{class}\"><span class=\"dot\"></span>{word}</td><td>{}</td>\
                 <td>{}</td></tr>",
                escaped(&judgement.expr),
                escaped(&judgement.reason())
            )
        })
        .collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\"><table class=\"slo\"><thead><tr>\
         <th scope=\"col\">Result</th><th scope=\"col\">Objective</th>\
         <th scope=\"col\">Found</th></tr></thead><tbody>{rows}</tbody></table></div>\n"
    )
}

fn notes(notes: &[String]) -> String {
    let items: String = notes.iter().map(|note| format!("<li>{}</li>", escaped(note))).collect();
    if items.is_empty() {
        return items;
    }
    format!("<ul class=\"notes\" aria-label=\"To bear in mind\">{items}</ul>\n")
}

/// The machine that the figures are of.
pub fn machine(run: &Subject<'_>) -> Part {
    let document = run.document;
    let about = "A figure without its machine means little.";
    let mut part = Part::new("machine", "Machine and run", about);
    let mut table = Table::new("machine", &[("what", None), ("is", None)]);
    let mut say = |what: &str, is: String| {
        table.rows.push(vec![Cell::word(what), Cell::word(is)]);
    };
    say("command", document.argv.join(" "));
    say("loadgen", document.tool.version.clone());
    if let Some(build) = &document.server.build {
        say("server", build.clone());
    }
    if let Some(workers) = document.server.workers {
        say("server's workers", workers.to_string());
    }
    say("drivers", document.plan.drivers.to_string());
    for (name, value) in sheet(&document.machine) {
        say(&name, value);
    }
    match &document.server.machine {
        Some(machine) if *machine == document.machine => {
            say("server's machine", "the same".to_owned());
        }
        Some(machine) => {
            for (name, value) in sheet(machine) {
                say(&format!("server's {name}"), value);
            }
        }
        None => say("server's machine", "unknown".to_owned()),
    }
    part.table(table);
    part
}

/// What is known of a machine.
fn sheet(machine: &Machine) -> Vec<(String, String)> {
    let cpu = &machine.cpu;
    let yes = |yes: bool| if yes { "on" } else { "off" }.to_owned();
    let model = cpu.model.clone().unwrap_or_else(|| "unknown".to_owned());
    let known = [
        ("kernel", machine.kernel.clone()),
        ("processor", Some(format!("{} × {model}", cpu.cores))),
        ("SMT", cpu.smt.map(yes)),
        ("governor", cpu.governor.clone()),
        ("memory", machine.mem_bytes.map(units::bytes)),
        ("memory free at the start", machine.mem_available_bytes.map(units::bytes)),
        ("swap in use", machine.swap_used_bytes.map(units::bytes)),
        ("cgroup cpu.max", machine.cgroup.cpu_max.clone()),
        ("cgroup memory.max", machine.cgroup.memory_max.clone()),
        ("clock", machine.clocksource.clone()),
        ("open files", Some(units::count(machine.limits.nofile[1]))),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let settings = machine.sysctl.iter().map(|(name, value)| (name.clone(), value.clone()));
    known.chain(settings).collect()
}

/// Both runs side by side.
pub fn comparison(run: &Subject<'_>, base: &Subject<'_>) -> Part {
    let about = format!(
        "This run beside {} of {}, which every plot shows in grey. What is slower or larger than \
         chance explains is for `loadgen compare` to say.",
        base.document.plan.url, base.document.started
    );
    let mut part = Part::new("comparison", "Compared", about);
    let mut table = Table::new(
        "comparison",
        &[("figure", None), ("base", None), ("this run", None), ("change", Some(Unit::Percent))],
    );
    for (name, unit, of) in FIGURES {
        let (Some(before), Some(now)) = (of(base), of(run)) else { continue };
        let change = (before > 0)
            .then(|| (number::of(now) - number::of(before)) / number::of(before) * 100.0);
        let said = |value| Cell::word(number::said(unit, value));
        table.rows.push(vec![Cell::word(name), said(before), said(now), Cell::Number(change)]);
    }
    part.table(table);
    part
}

type Figure = (&'static str, Unit, fn(&Subject<'_>) -> Option<u64>);

/// What two runs are compared by.
const FIGURES: [Figure; 13] = [
    ("connections held", Unit::Count, |run| Some(run.document.accounting.held)),
    ("attempts failed", Unit::Count, |run| Some(run.document.accounting.failed.values().sum())),
    ("establish p50", Unit::Nanoseconds, |run| run.latency("establish")?.percentile(0.5)),
    ("establish p99", Unit::Nanoseconds, |run| run.latency("establish")?.percentile(0.99)),
    ("echo p50", Unit::Nanoseconds, |run| run.latency("echo")?.percentile(0.5)),
    ("echo p99", Unit::Nanoseconds, |run| run.latency("echo")?.percentile(0.99)),
    ("echo p99.9", Unit::Nanoseconds, |run| run.latency("echo")?.percentile(0.999)),
    ("deliver p99", Unit::Nanoseconds, |run| run.latency("deliver")?.percentile(0.99)),
    ("server, a connection", Unit::Bytes, |run| run.document.cost.server_bytes_per_conn),
    ("kernel, one end", Unit::Bytes, |run| run.document.cost.kernel_bytes_per_end),
    ("loadgen, a connection", Unit::Bytes, |run| run.document.cost.generator_bytes_per_conn),
    ("server's CPU in the hold", Unit::Nanoseconds, |run| run.document.cost.server_hold_cpu_ns),
    ("messages a CPU second", Unit::Count, |run| run.document.cost.messages_per_server_cpu_second),
];
