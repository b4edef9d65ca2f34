//! On which connections messages are timed.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::units::parse_count;

/// How many connections are timed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sampling {
    /// All of them.
    All,
    /// So many.
    Some(NonZeroU32),
}

impl Sampling {
    /// Whether connection `number` of `conns` is timed. Those that are lie evenly among the others.
    pub fn takes(self, number: u32, conns: u32) -> bool {
        let Self::Some(sample) = self else { return true };
        let sample = u64::from(sample.get());
        (u64::from(number) * sample) % u64::from(conns.max(1)) < sample
    }
}

/// Whether the one with this number belongs to a share. Of the first n ones, for every n, as many
/// do as the share says.
pub fn share_takes(percent: f64, number: u32) -> bool {
    let until = |number: f64| (number * percent / 100.0).floor();
    until(f64::from(number) + 1.0) > until(f64::from(number))
}

impl FromStr for Sampling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let count = u32::try_from(parse_count(text)?).map_err(|_| "is too large".to_owned())?;
        NonZeroU32::new(count).map(Self::Some).ok_or_else(|| "nothing would be timed".to_owned())
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Some(count) => count.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_timed_as_were_asked_for() {
        for (text, conns, timed) in
            [("all", 10, 10), ("1", 1_000, 1), ("7", 20_000, 7), ("10", 10, 10), ("50", 10, 10)]
        {
            let sampling: Sampling = text.parse().unwrap();
            assert_eq!((0..conns).filter(|it| sampling.takes(*it, conns)).count(), timed, "{text}");
            assert_eq!(sampling.to_string(), text);
        }
        for text in ["0", "none", "5G"] {
            assert!(text.parse::<Sampling>().is_err(), "{text}");
        }
    }
}
