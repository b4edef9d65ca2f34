//! All attacks of a command as one table, in Markdown: a row for each kind.

use super::load::Load;
use super::report::{Finding, known, mebibytes};
use crate::units;

const HEAD: [&str; 8] = [
    "attack",
    "p99 before",
    "under attack",
    "times",
    "good lost",
    "memory before, worst, after",
    "CPU of server / attackers",
    "answered",
];

/// The table of `findings`.
pub fn markdown(findings: &[Finding]) -> String {
    let rows = findings.iter().map(cells);
    let rule = HEAD.map(|_| "---".to_owned());
    let rows = [HEAD.map(str::to_owned), rule].into_iter().chain(rows);
    let lines: Vec<_> = rows.map(|cells| format!("| {} |", cells.join(" | "))).collect();
    lines.join("\n") + "\n"
}

fn cells(finding: &Finding) -> [String; 8] {
    let memory = &finding.memory;
    let sizes = [memory.before, memory.worst, memory.after].map(|size| known(size, mebibytes));
    let answers = finding.answers.iter();
    let answers: Vec<_> =
        answers.map(|(answer, count)| format!("{answer}: {}", units::count(*count))).collect();
    let shares = |load: Load| {
        let server = known(load.server, |percent| percent.to_string());
        format!("{server} / {} %", load.attackers)
    };
    [
        finding.kind.clone(),
        known(finding.baseline_p99_ns, units::time),
        known(finding.attacked_p99_ns, units::time),
        known(finding.ratio, |ratio| format!("{ratio:.2}")),
        units::count(finding.good.before.saturating_sub(finding.good.after)),
        sizes.join(", "),
        known(finding.attacked_load, shares),
        answers.join(", "),
    ]
}
