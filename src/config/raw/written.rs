//! Values as they were written, and where they are kept.

use toml::Value;

/// A value as it was written; a number or a truth of a file is kept as its text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written(String);

impl Written {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(value: Value) -> Result<Self, &'static str> {
        match value {
            Value::String(text) => Ok(Self(text)),
            Value::Integer(number) => Ok(Self(number.to_string())),
            Value::Boolean(truth) => Ok(Self(truth.to_string())),
            _ => Err("write a text, a whole number, true or false"),
        }
    }
}

impl From<&str> for Written {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Written {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// What was written for a key, if anything was.
pub(in crate::config) trait Slot {
    /// Takes `value`, or says what should have been written.
    fn fill(&mut self, value: Value) -> Result<(), &'static str>;
}

impl Slot for Option<Written> {
    fn fill(&mut self, value: Value) -> Result<(), &'static str> {
        *self = Some(Written::read(value)?);
        Ok(())
    }
}

/// A text is a list with commas.
impl Slot for Option<Vec<Written>> {
    fn fill(&mut self, value: Value) -> Result<(), &'static str> {
        let written = match value {
            Value::Array(values) => values.into_iter().map(Written::read).collect(),
            Value::String(text) => Ok(text.split(',').map(|one| one.trim().into()).collect()),
            one => Written::read(one).map(|one| vec![one]),
        };
        *self = Some(written?);
        Ok(())
    }
}
