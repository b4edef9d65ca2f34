//! How an attack went: a few lines for people and a file for programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::args::AttackArgs;
use super::kind::Kind;
use super::load::Load;
use super::mob::Census;
use super::script::{Answer, Script};
use crate::fleet::Trial;
use crate::units;
use crate::verdict::{Exit, Validity};

/// The percentile that is compared.
const QUANTILE: f64 = 0.99;

/// What must hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    ratio_max: f64,
    growth_percent_max: u64,
    may_be_invalid: bool,
}

impl Bounds {
    /// What `args` ask for.
    pub fn new(args: &AttackArgs) -> Self {
        Self {
            ratio_max: args.max_ratio,
            growth_percent_max: args.max_growth,
            may_be_invalid: args.allow_invalid,
        }
    }
}

/// The echoes of those that mean well.
#[derive(Clone, Copy, Debug)]
pub struct Echoes<'a> {
    /// Before the attack.
    pub baseline: &'a Trial,
    /// While it lasted.
    pub attacked: &'a Trial,
}

/// How many mean well and are open.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Good {
    /// Before the attack.
    pub before: u64,
    /// After it.
    pub after: u64,
}

/// The server's own memory in bytes, if its process is known.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Footprint {
    /// Before the attack.
    pub before: Option<u64>,
    /// The most while it lasted.
    pub worst: Option<u64>,
    /// Once all attackers had gone.
    pub after: Option<u64>,
    /// The most that the kernel took meanwhile for the buffers of all sockets here, on both sides.
    pub worst_kernel: Option<u64>,
}

/// What is to be believed of the generator.
#[derive(Clone, Copy, Debug)]
pub struct Faith<'a> {
    /// Before the attack: this decides whether the comparison means anything.
    pub calm: &'a Validity,
    /// While it lasted: the server may well be why it was late then, so this is only told.
    pub attacked: &'a Validity,
}

/// What came of an attack.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The kind, by name.
    pub kind: String,
    limit: &'static str,
    /// How the program would end for this kind alone.
    pub exit: u8,
    /// The p99 of the good echoes before the attack.
    pub baseline_p99_ns: Option<u64>,
    /// The same while it lasted.
    pub attacked_p99_ns: Option<u64>,
    /// How much longer that is.
    pub ratio: Option<f64>,
    echoes_lost: u64,
    hold_ns: u64,
    /// The good connections.
    pub good: Good,
    /// The server's memory.
    pub memory: Footprint,
    baseline_load: Option<Load>,
    /// Whose CPU time it took.
    pub attacked_load: Option<Load>,
    awaited: Vec<Answer>,
    /// How the attackers were answered.
    pub answers: BTreeMap<String, u64>,
    unexpected: u64,
    replies: u64,
    shortfalls: Vec<String>,
    notes: Vec<String>,
}

impl Finding {
    /// Judges an attack by `bounds`.
    #[allow(clippy::too_many_arguments)] // each is one thing that was looked at
    pub fn new(
        kind: Kind,
        script: &Script,
        census: &Census,
        echoes: Echoes<'_>,
        good: Good,
        memory: Footprint,
        bounds: &Bounds,
        faith: Faith<'_>,
    ) -> Self {
        let p99 = |trial: &Trial| trial.tally.traffic.echo.corrected.quantile(QUANTILE);
        let (before, during) = (p99(echoes.baseline), p99(echoes.attacked));
        let is_awaited = |answer: &Answer| script.awaited.contains(answer);
        let unexpected = census.answers.iter().filter(|(answer, _)| !is_awaited(answer));
        let attacked = echoes.attacked;
        let validity = faith.calm;
        let meanwhile = faith.attacked.reasons.iter().map(|it| format!("under attack: {it}"));
        let mut finding = Self {
            kind: kind.to_string(),
            limit: script.limit,
            exit: Exit::Held as u8,
            baseline_p99_ns: before,
            attacked_p99_ns: during,
            ratio: before.zip(during).map(ratio),
            echoes_lost: attacked.expected.saturating_sub(attacked.tally.traffic.audit.received),
            hold_ns: units::ns(attacked.hold.len()),
            good,
            memory,
            baseline_load: Load::of(echoes.baseline),
            attacked_load: Load::of(attacked),
            awaited: script.awaited.clone(),
            unexpected: unexpected.map(|(_, count)| count).sum(),
            answers: census.answers.iter().map(|(it, count)| (it.name(), *count)).collect(),
            replies: census.replies,
            shortfalls: Vec::new(),
            notes: validity
                .reasons
                .iter()
                .chain(&validity.notes)
                .cloned()
                .chain(meanwhile)
                .collect(),
        };
        finding.judge(bounds);
        if !attacked.is_whole {
            finding.exit = Exit::Interrupted as u8;
        } else if !validity.valid && !bounds.may_be_invalid {
            finding.exit = Exit::Invalid as u8;
        }
        finding
    }

    fn judge(&mut self, bounds: &Bounds) {
        let lost = self.good.before.saturating_sub(self.good.after);
        let mut found = Vec::new();
        if lost > 0 {
            found.push(format!("{} good connections lost", units::count(lost)));
        }
        if self.echoes_lost > 0 {
            found.push(format!("{} echoes lost", units::count(self.echoes_lost)));
        }
        match self.ratio {
            None => found.push("no echo was timed".to_owned()),
            Some(ratio) if ratio > bounds.ratio_max => {
                found.push(format!("p99 {ratio:.2} times the baseline"));
            }
            Some(_) => {}
        }
        if let Some((before, after)) = self.memory.before.zip(self.memory.after)
            && after > before + before * bounds.growth_percent_max / 100
        {
            let grown = units::bytes(after - before);
            found.push(format!("{grown} of the server's memory did not come back"));
        }
        if self.unexpected > 0 {
            let unexpected = units::count(self.unexpected);
            found.push(format!("{unexpected} attackers not answered as awaited"));
        }
        if !found.is_empty() {
            self.exit = Exit::Broken as u8;
        }
        self.shortfalls = found;
    }

    /// The finding for people.
    pub fn page(&self) -> String {
        let mut page = String::new();
        for (name, line) in self.lines() {
            // Writing to a string does not fail.
            let _ = writeln!(page, "{name:<12}{line}");
        }
        page.push('\n');
        page
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let Footprint { before, worst, after, worst_kernel } = self.memory;
        let [before, worst, after] = [before, worst, after].map(|it| known(it, mebibytes));
        let kernel = known(worst_kernel, mebibytes);
        let [calm_load, load] =
            [self.baseline_load, self.attacked_load].map(|it| known(it, shares));
        let [calm, attacked] =
            [self.baseline_p99_ns, self.attacked_p99_ns].map(|it| known(it, units::time));
        let ratio = known(self.ratio, |ratio| format!("{ratio:.2}"));
        let Good { before: came, after: stayed } = self.good;
        let [came, stayed] = [came, stayed].map(units::count);
        let answers: Vec<_> = self
            .answers
            .iter()
            .map(|(it, count)| format!("{it} {}", units::count(*count)))
            .collect();
        let (answers, pongs) = (answers.join(", "), units::count(self.replies));
        let awaited: Vec<_> = self.awaited.iter().map(|answer| answer.name()).collect();
        let mut lines = vec![
            ("Attack", format!("{} for {}", self.kind, units::time(self.hold_ns))),
            ("Good echoes", format!("p99 {calm} before, {attacked} under attack: {ratio} times")),
            ("Good conns", format!("{came} before, {stayed} after")),
            (
                "Memory",
                format!(
                    "{before} before, {worst} at the worst, {after} after; sockets {kernel} at the \
                     worst, both ends"
                ),
            ),
            ("CPU", format!("{calm_load} before; {load} under attack")),
            ("Answered", format!("{answers}; {pongs} pongs")),
            ("Awaited", format!("{} ({})", awaited.join(" or "), self.limit)),
        ];
        lines.extend(self.notes.iter().map(|note| ("Note", note.clone())));
        lines.push(("Verdict", self.verdict()));
        lines
    }

    fn verdict(&self) -> String {
        let shortfalls = self.shortfalls.join("; ");
        match self.exit {
            0 => "PASS".to_owned(),
            4 => format!("INVALID: the generator did not keep pace with itself; {shortfalls}"),
            6 => "INTERRUPTED: what was counted until then".to_owned(),
            _ => format!("FAIL: {shortfalls}"),
        }
    }
}

/// Bytes as MiB, by the tenth: what comes and goes with an attack is a small part of a server.
#[allow(clippy::cast_precision_loss)] // for people to read
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

/// Who took how much of a core.
fn shares(load: Load) -> String {
    let Load { server, good, attackers } = load;
    let server = known(server, |percent| format!("{percent} %"));
    format!("server {server}, good {good} %, attackers {attackers} % of a core")
}

/// A quantity, if it is known.
pub fn known<T>(quantity: Option<T>, say: impl Fn(T) -> String) -> String {
    quantity.map_or_else(|| "unknown".to_owned(), say)
}

#[allow(clippy::cast_precision_loss)] // nanoseconds of 104 days are exact
fn ratio((before, during): (u64, u64)) -> f64 {
    during as f64 / before.max(1) as f64
}

/// What came of all attacks of a command.
#[derive(Debug, Serialize)]
pub struct Document {
    schema: &'static str,
    loadgen_version: &'static str,
    good: u64,
    attackers: u64,
    hasten: u64,
    seed: String,
    /// How the program ends.
    pub exit: u8,
    attacks: Vec<Finding>,
}

impl Document {
    /// One without attacks.
    pub fn new(args: &AttackArgs, seed: u64) -> Self {
        Self {
            schema: "loadgen-attack/1",
            loadgen_version: env!("CARGO_PKG_VERSION"),
            good: args.good,
            attackers: args.attackers,
            hasten: args.hasten,
            seed: format!("{seed:x}"),
            exit: Exit::Held as u8,
            attacks: Vec::new(),
        }
    }

    /// Adds what came of one; the worst decides how the program ends.
    pub fn add(&mut self, finding: Finding) {
        self.exit = self.exit.max(finding.exit);
        self.attacks.push(finding);
    }

    /// What came of each.
    pub fn attacks(&self) -> &[Finding] {
        &self.attacks
    }

    /// How the program ends.
    pub fn worst(&self) -> Exit {
        [Exit::Held, Exit::Broken, Exit::Invalid]
            .into_iter()
            .find(|exit| *exit as u8 == self.exit)
            .unwrap_or(Exit::Interrupted)
    }

    /// The document, as it is written.
    pub fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}
