//! Values that mean more than their text.

use std::fmt;
use std::num::NonZeroUsize;

/// How many threads serve.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Workers {
    /// One a core, and more where the limit of open files demands it.
    Auto,
    /// So many.
    Exactly(NonZeroUsize),
}

/// How much memory there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemoryMax {
    /// As much as the control group of the process allows, or as the machine has.
    Auto,
    /// Nobody looks.
    Off,
    /// So many bytes.
    Bytes(u64),
}

/// Whether messages are deflated for clients that offer it (RFC 7692).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Deflate {
    /// Never.
    #[default]
    Off,
    /// Each by itself.
    On,
    /// With what came before it, where the client offers that.
    Takeover,
}

/// The bearer token of backends. It is never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct PublishKey(String);

impl PublishKey {
    pub(super) fn new(token: &str) -> Self {
        Self(token.to_owned())
    }

    /// The token, to be compared with what a backend shows.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PublishKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishKey({} bytes)", self.0.len())
    }
}
