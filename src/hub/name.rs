//! What topics are called.

use std::fmt;
use std::sync::Arc;

/// The name of a topic: 1 to 128 bytes of printable UTF-8 without `/`.
///
/// A clone is a count, so that a name may cross from core to core like counted bytes.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// The longest name, in bytes: as long as a path segment that people still read.
    pub const LEN_MAX: usize = 128;

    /// Checks `name`.
    pub fn new(name: &str) -> Result<Self, TopicFault> {
        if name.is_empty() {
            return Err(TopicFault::Empty);
        }
        if name.len() > Self::LEN_MAX {
            return Err(TopicFault::TooLong);
        }
        if name.chars().any(is_forbidden) {
            return Err(TopicFault::Forbidden);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `char` may not stand in a name: it would break a line, a path, or the order in which a
/// log shows what stands around it (the separators and directional marks of Unicode).
fn is_forbidden(char: char) -> bool {
    char == '/'
        || char.is_control()
        || matches!(char, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a name is no [`TopicName`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TopicFault {
    /// It has no bytes.
    Empty,
    /// It is longer than [`TopicName::LEN_MAX`].
    TooLong,
    /// It has a control character, a directional mark, or a `/`.
    Forbidden,
}

impl fmt::Display for TopicFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a topic needs a name",
            Self::TooLong => "a topic's name has at most 128 bytes",
            Self::Forbidden => "a topic's name has no control characters and no slash",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_printable_and_of_limited_length() {
        let longest = "x".repeat(TopicName::LEN_MAX);
        let too_long = "x".repeat(TopicName::LEN_MAX + 1);
        let table = [
            ("demo", Ok(())),
            ("Prices of today", Ok(())),
            ("Größe 👩‍👩‍👧 №1", Ok(())),
            (longest.as_str(), Ok(())),
            ("", Err(TopicFault::Empty)),
            (too_long.as_str(), Err(TopicFault::TooLong)),
            ("a/b", Err(TopicFault::Forbidden)),
            ("a\nb", Err(TopicFault::Forbidden)),
            ("a\u{7f}", Err(TopicFault::Forbidden)),
            ("a\u{85}", Err(TopicFault::Forbidden)),
            ("a\u{202e}b", Err(TopicFault::Forbidden)),
        ];
        for (name, expected) in table {
            assert_eq!(TopicName::new(name).map(drop), expected, "{name:?}");
        }
    }

    #[test]
    fn a_name_stays_as_it_was_given() {
        let name = TopicName::new("demo").unwrap();
        assert_eq!((name.as_str(), name.to_string()), ("demo", "demo".to_owned()));
        assert_eq!(name, TopicName::new("demo").unwrap());
    }
}
