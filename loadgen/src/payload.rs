//! What messages are made of, as it is written on the command line and as it is meant.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::ValueEnum;

use crate::units::parse_bytes;

/// The longest payload.
pub const PAYLOAD_LEN_MAX: usize = 1 << 20;

/// What a payload is to be, as it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wish {
    /// So many bytes, or as many as chance wants between two numbers.
    Sizes(RangeInclusive<usize>),
    /// The stamp, and what is in this file behind it.
    File(PathBuf),
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = |text: &str| {
            let bytes = usize::try_from(parse_bytes(text)?).unwrap_or(usize::MAX);
            if bytes <= PAYLOAD_LEN_MAX {
                Ok(bytes)
            } else {
                Err("a payload has 1 MiB at most".to_owned())
            }
        };
        if !text.starts_with(|letter: char| letter.is_ascii_digit()) {
            return Ok(Self::File(text.into()));
        }
        let (shortest, longest) = match text.split_once("..") {
            Some((shortest, longest)) => (size(shortest)?, size(longest)?),
            None => (size(text)?, size(text)?),
        };
        if shortest <= longest {
            Ok(Self::Sizes(shortest..=longest))
        } else {
            Err(format!("`{text}`: the smaller number comes first"))
        }
    }
}

/// Whether messages are binary or text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Any bytes, the stamp among them as it is.
    Binary,
    /// UTF-8, with the stamp in letters.
    Text,
}

impl Form {
    /// What a stamp takes.
    pub const fn stamp_len(self) -> usize {
        match self {
            Self::Binary => 40,
            // The same in base64, without padding.
            Self::Text => 54,
        }
    }
}

/// What follows the stamp.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    /// Bytes at random.
    Noise,
    /// Sixteen letters at random, which deflate to about half.
    Letters,
    /// These.
    Given(Arc<[u8]>),
}

/// What the payloads of a run are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payload {
    /// How many bytes they have, the stamp included.
    pub sizes: RangeInclusive<usize>,
    /// Of what kind they are.
    pub form: Form,
    /// What they hold.
    pub content: Content,
}

impl Payload {
    /// What `wish` means.
    ///
    /// # Errors
    ///
    /// That there is no room for a stamp, or what is wrong with the file.
    pub fn new(wish: &Wish, form: Form, has_letters: bool) -> Result<Self, String> {
        let stamp = form.stamp_len();
        let sizes = match wish {
            Wish::Sizes(sizes) => sizes.clone(),
            Wish::File(path) => return Self::of_file(path, form),
        };
        if *sizes.start() < stamp {
            return Err(format!("{} bytes have no room for a stamp of {stamp}", sizes.start()));
        }
        let content =
            if has_letters || form == Form::Text { Content::Letters } else { Content::Noise };
        Ok(Self { sizes, form, content })
    }

    fn of_file(path: &Path, form: Form) -> Result<Self, String> {
        let in_file = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
        let bytes = std::fs::read(path).map_err(|error| in_file(&error))?;
        let len = bytes.len() + form.stamp_len();
        if len > PAYLOAD_LEN_MAX {
            return Err(in_file(&"a payload has 1 MiB at most, its stamp included"));
        }
        if form == Form::Text && std::str::from_utf8(&bytes).is_err() {
            return Err(in_file(&"it is not UTF-8, as text messages are"));
        }
        Ok(Self { sizes: len..=len, form, content: Content::Given(bytes.into()) })
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shortest, longest) = (self.sizes.start(), self.sizes.end());
        if shortest == longest {
            write!(f, "{shortest} bytes a message")?;
        } else {
            write!(f, "{shortest} to {longest} bytes a message")?;
        }
        match self.form {
            Form::Binary => Ok(()),
            Form::Text => f.write_str(" of text"),
        }
    }
}

/// How closely what comes is looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Verify {
    /// Every byte, and that every message comes once and in its place
    #[default]
    Payload,
    /// The stamp of each message, and that every message comes once and in its place
    Seq,
    /// Nothing: messages are only timed
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: &str, form: Form) -> Result<Payload, String> {
        Payload::new(&text.parse()?, form, false)
    }

    #[test]
    fn a_size_a_range_and_a_file_are_understood() {
        let told = |text: &str, form| payload(text, form).unwrap().to_string();
        assert_eq!(told("64", Form::Binary), "64 bytes a message");
        assert_eq!(told("64..4KiB", Form::Text), "64 to 4096 bytes a message of text");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("body.json");
        std::fs::write(&path, "{\"a\":1}").unwrap();
        let given = payload(path.to_str().unwrap(), Form::Text).unwrap();
        assert_eq!(given.sizes, 61..=61);
        assert_eq!(given.content, Content::Given(b"{\"a\":1}"[..].into()));
    }

    #[test]
    fn what_makes_no_payload_is_refused_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("noise");
        std::fs::write(&path, [0xFF]).unwrap();
        for (text, form, reason) in [
            ("39", Form::Binary, "no room for a stamp of 40"),
            ("53..99", Form::Text, "no room for a stamp of 54"),
            ("2M", Form::Binary, "1 MiB at most"),
            ("99..64", Form::Binary, "smaller number comes first"),
            ("64..", Form::Binary, "not a number"),
            ("nowhere.bin", Form::Binary, "nowhere.bin: "),
            (path.to_str().unwrap(), Form::Text, "not UTF-8"),
        ] {
            let error = payload(text, form).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
