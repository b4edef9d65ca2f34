//! The findings for people, for programs, and as a script.

use std::fmt::Write as _;

use serde::Serialize;

use super::finding::{Finding, Level};
use crate::units;

/// The schema of what programs read.
const SCHEMA: &str = "loadgen-check/1";

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct Page {
    schema: &'static str,
    /// How many connections it is about.
    conns: u64,
    /// To whom.
    url: String,
    /// The worst of all levels.
    level: Level,
    /// One finding for each look.
    findings: Vec<Finding>,
}

impl Page {
    /// What was found for `conns` connections to `url`.
    pub fn new(conns: u64, url: String, findings: Vec<Finding>) -> Self {
        let level = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        Self { schema: SCHEMA, conns, url, level, findings }
    }

    /// The worst of all levels.
    pub fn level(&self) -> Level {
        self.level
    }

    /// For people.
    pub fn text(&self) -> String {
        let conns = units::count(self.conns);
        let mut text = format!("{conns} connections to {}\n\n", self.url);
        let _ = writeln!(text, "{:<9}{:<28}{:>15}  found", "", "", "needed");
        for finding in &self.findings {
            text.push_str(&line(finding));
        }
        let count = |level| self.findings.iter().filter(|it| it.level == level).count();
        let _ = writeln!(
            text,
            "\n{} ok, {} unknown, {} warn, {} FAIL; commands want root, --fix-script FILE writes \
             them down",
            count(Level::Ok),
            count(Level::Unknown),
            count(Level::Warn),
            count(Level::Fail)
        );
        text
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Everything that mends something, as a script to be read before it is run.
    pub fn script(&self) -> String {
        let conns = units::count(self.conns);
        let mut text = format!(
            "#!/bin/sh\n# What `loadgen check` found wanting on this machine for {conns} \
             connections.\n# Read it, leave out what you do not want, and run it as root. Settings \
             of the kernel\n# last until the next start; /etc/sysctl.d keeps them.\nset -eu\n"
        );
        for finding in &self.findings {
            let Some(mend) = &finding.mend else { continue };
            let _ = writeln!(text, "\n# {}", commented(&finding.remark()));
            let command = mend.lasting.as_ref().unwrap_or(&mend.command);
            let mark = if mend.is_choice { "# yours to choose: " } else { "" };
            let _ = writeln!(text, "{mark}{}", commented(command));
        }
        text
    }
}

/// What would end a comment, or a command, is no part of one.
fn commented(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn line(finding: &Finding) -> String {
    let or_dash = |amount: &Option<_>, dash: &str| {
        amount.as_ref().map_or_else(|| dash.to_owned(), ToString::to_string)
    };
    let needed = or_dash(&finding.needed, "");
    let found = or_dash(&finding.found, "unknown");
    let mut line = format!("{:<9}{:<28}{needed:>15}  {found}\n", finding.level, finding.name);
    if finding.level != Level::Ok {
        let _ = writeln!(line, "{:<9}{}", "", finding.why);
    }
    if let Some(mend) = &finding.mend {
        let _ = writeln!(line, "{:<9}  {}", "", mend.command);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Amount, Mend};
    use super::*;

    fn page() -> Page {
        let good = Finding::at_least("files", 10, Some(20), Level::Fail);
        let low = Finding::at_least("ports", 70_000, Some(28_232), Level::Fail);
        let low = low.because("they are few").mended(|| Mend::sysctl("a.b", "'1 2'"));
        let choice = Finding::new("swap", Some(Level::Warn), Some(Amount::Bytes(1 << 20)));
        let choice =
            choice.because("a line\nrm -rf / is no part").mended(|| Mend::by_choice("off"));
        let unknown = Finding::new("governor", None, None).because("nobody says");
        Page::new(70_000, "ws://h/".to_owned(), vec![good, low, choice, unknown])
    }

    #[test]
    fn people_see_both_numbers_and_the_command() {
        let text = page().text();
        for part in ["FAIL     ports", "70,000  28,232", "sysctl -w a.b='1 2'", "1 ok, 1 unknown"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert_eq!(page().level(), Level::Fail);
    }

    #[test]
    fn programs_see_numbers_and_null_for_what_is_unknown() {
        let json: serde_json::Value = serde_json::from_str(&page().json().unwrap()).unwrap();
        assert_eq!(json["level"], "fail");
        assert_eq!(
            (&json["findings"][1]["needed"], &json["findings"][1]["found"]),
            (&70_000.into(), &28_232.into())
        );
        assert_eq!(json["findings"][1]["mend"]["command"], "sysctl -w a.b='1 2'");
        assert_eq!(json["findings"][3]["found"], serde_json::Value::Null);
    }

    #[test]
    fn a_script_runs_what_needs_no_choice_and_nothing_else() {
        let script = page().script();
        let run = script.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        assert_eq!(run.collect::<Vec<_>>(), ["set -eu", "sysctl -w a.b='1 2'"]);
        assert!(script.contains("# yours to choose: off"));
    }
}
