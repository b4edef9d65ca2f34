//! What one look came to: what is needed, what was found, and the command that mends it.

use std::fmt;

use serde::Serialize;

use crate::units;

/// How good or bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It suffices.
    Ok,
    /// It could not be read, so nobody knows.
    Unknown,
    /// It is worth a thought: figures may suffer.
    Warn,
    /// The run cannot succeed.
    Fail,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        })
    }
}

/// How much of something.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// A number of things.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
    /// What is no number.
    Word(String),
}

impl From<&str> for Amount {
    fn from(word: &str) -> Self {
        Self::Word(word.to_owned())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => f.pad(&units::count(*count)),
            Self::Bytes(bytes) => f.pad(&units::bytes(*bytes)),
            Self::Word(word) => f.pad(word),
        }
    }
}

/// What mends a finding, as root.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Mend {
    /// The command for a shell.
    pub command: String,
    /// What a script does instead, if the command serves only the shell it is typed into.
    #[serde(skip)]
    pub lasting: Option<String>,
    /// Whether something in it is to be chosen first, so that a script only shows it.
    pub is_choice: bool,
}

impl Mend {
    /// A command that can be run as it stands.
    pub fn by(command: impl Into<String>) -> Self {
        Self { command: command.into(), lasting: None, is_choice: false }
    }

    /// A command in which something is to be chosen first, or which somebody should think over.
    pub fn by_choice(command: impl Into<String>) -> Self {
        Self { is_choice: true, ..Self::by(command) }
    }

    /// A setting of the kernel.
    pub fn sysctl(name: &str, value: impl fmt::Display) -> Self {
        Self::by(format!("sysctl -w {name}={value}"))
    }

    /// The same, but for a script that does this.
    pub fn lastingly(self, script: impl Into<String>) -> Self {
        Self { lasting: Some(script.into()), ..self }
    }
}

/// What one look came to.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// How good or bad it is.
    pub level: Level,
    /// What the run needs; `None` where there is nothing to compare.
    pub needed: Option<Amount>,
    /// What there is; `None` is unknown.
    pub found: Option<Amount>,
    /// Why it matters, or what was seen.
    pub why: String,
    /// What mends it, if it wants mending.
    pub mend: Option<Mend>,
}

impl Finding {
    /// That `found` must be `needed` or more, or it is as bad as `otherwise`.
    pub fn at_least(name: &'static str, needed: u64, found: Option<u64>, otherwise: Level) -> Self {
        let level = found.map(|found| if found >= needed { Level::Ok } else { otherwise });
        Self::new(name, level, found.map(Amount::Count)).needing(Amount::Count(needed))
    }

    /// A finding of which nobody knows how bad it is if `level` is `None`.
    pub fn new(name: &'static str, level: Option<Level>, found: Option<Amount>) -> Self {
        let level = level.unwrap_or(Level::Unknown);
        Self { name, level, needed: None, found, why: String::new(), mend: None }
    }

    /// With what the run needs.
    pub fn needing(self, needed: Amount) -> Self {
        Self { needed: Some(needed), ..self }
    }

    /// With the reason.
    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    /// With what mends it, where something is wrong.
    pub fn mended(self, mend: impl FnOnce() -> Mend) -> Self {
        let mend = matches!(self.level, Level::Warn | Level::Fail).then(mend);
        Self { mend, ..self }
    }

    /// What was found, and why it matters, in a sentence.
    pub fn remark(&self) -> String {
        let unknown = || Amount::from("unknown");
        let found = self.found.clone().unwrap_or_else(unknown);
        let needed = self.needed.as_ref().map(|needed| format!("needed {needed}, "));
        format!("{}: {}found {found}: {}", self.name, needed.unwrap_or_default(), self.why)
    }

    /// The same with the mend, for who is refused because of it.
    pub fn sentence(&self) -> String {
        let mend = self.mend.as_ref().map(|mend| format!(" (as root: {})", mend.command));
        self.remark() + &mend.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_neither_good_nor_bad() {
        for (found, level) in [
            (Some(10), Level::Ok),
            (Some(11), Level::Ok),
            (Some(9), Level::Fail),
            (None, Level::Unknown),
        ] {
            let finding = Finding::at_least("a thing", 10, found, Level::Fail);
            assert_eq!(finding.level, level, "{found:?}");
            let mended = finding.mended(|| Mend::sysctl("a.b", 10));
            assert_eq!(mended.mend.is_some(), level == Level::Fail, "{found:?}");
        }
    }

    #[test]
    fn a_sentence_has_both_numbers_and_the_command() {
        let finding = Finding::at_least("a thing", 10_000, Some(9), Level::Fail)
            .because("it matters")
            .mended(|| Mend::sysctl("a.b", 10_000));
        assert_eq!(
            finding.sentence(),
            "a thing: needed 10,000, found 9: it matters (as root: sysctl -w a.b=10000)"
        );
    }
}
