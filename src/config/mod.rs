//! What the operator wants: as written, then as meant.
//!
//! ```text
//! file ──┐
//! env  ──┼─> RawConfig (text, known keys only) ── check ──> Config (values that can be used)
//! flags ─┘
//! ```
//!
//! Flags win over the environment, which wins over the file. All complaints are made here, each in
//! one line that names the key, what was written and what is allowed.
//!
//! Invariant: a [`Config`] can be served without another check of its values; only the world
//! (ports, files, limits of the system) may still say no.

mod checked;
mod raw;
mod rules;
mod units;
mod values;

pub use checked::{ClientPublish, Config, Kind, Listener, Security};
pub use raw::{RawConfig, Written};
pub use units::duration;
pub use values::{Deflate, MemoryMax, PublishKey, Workers};

use std::fmt;
use std::net::SocketAddr;

/// Why a configuration cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConfigError {
    /// A key that nobody knows.
    UnknownKey {
        /// The file or the environment.
        place: String,
        /// The key as written.
        key: String,
        /// The known key that comes nearest, spelled as that place spells it.
        nearest: String,
    },
    /// A value outside of what its key allows.
    BadValue {
        /// The key, as in a flag without its dashes.
        key: &'static str,
        /// The value as written.
        value: String,
        /// What would be right.
        allowed: &'static str,
    },
    /// Lists of addresses that are all empty.
    Nowhere,
    /// An address of two listeners.
    Twice(SocketAddr),
    /// Something is wrong with the listener of a table.
    InListener {
        /// Which one it is, counted from 1.
        number: usize,
        /// What is wrong with it.
        error: Box<ConfigError>,
    },
    /// A key without which a table says nothing.
    Needed {
        /// The key.
        key: &'static str,
    },
    /// A key that lets nobody in without another.
    Closed {
        /// The key.
        key: &'static str,
        /// The key that would let somebody in.
        needed: &'static str,
    },
    /// A key that means nothing for a listener of this kind.
    Meaningless {
        /// The key.
        key: String,
        /// The kind.
        kind: &'static str,
    },
    /// A key that means nothing without another.
    Missing {
        /// The key that was given.
        given: &'static str,
        /// The key that it needs.
        missing: &'static str,
    },
    /// A key that says more of what another one says, which was not given.
    Lacks {
        /// The key that was given.
        given: &'static str,
        /// The key that it needs.
        missing: &'static str,
    },
    /// More or fewer keys than certificates.
    Unpaired {
        /// How many certificates there are.
        certificates: usize,
        /// How many keys.
        keys: usize,
    },
    /// A value that leaves no room for what another one allows.
    TooNarrow {
        /// The key whose value is too small.
        narrow: &'static str,
        /// The key whose value is too large for it.
        wide: &'static str,
    },
    /// A value that is below another one, and may not be.
    Below {
        /// The key whose value is too small.
        low: &'static str,
        /// The key whose value it must not be below.
        high: &'static str,
    },
    /// A file that is not TOML, or holds a value of a kind that no key has.
    Malformed {
        /// The file, and the line if it is known.
        place: String,
        /// What is wrong there.
        reason: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { place, key, nearest } => {
                write!(f, "{place}: unknown key `{key}`; the nearest known one is `{nearest}`")
            }
            Self::BadValue { key, value, allowed } => {
                write!(f, "{key}: `{value}` is not allowed; {allowed}")
            }
            Self::Nowhere => f.write_str("there is no address to listen on: every list is empty"),
            Self::Twice(address) => write!(f, "the address {address} is written twice"),
            Self::InListener { number, error } => write!(f, "listener {number}: {error}"),
            Self::Needed { key } => write!(f, "{key} is missing"),
            Self::Closed { key, needed } => {
                write!(f, "{key} lets nobody in without {needed}, which says who may come")
            }
            Self::Meaningless { key, kind } => write!(f, "{key} means nothing for kind = `{kind}`"),
            Self::Missing { given, missing } => {
                write!(f, "{given} is given without {missing}; each needs the other")
            }
            Self::Lacks { given, missing } => {
                write!(f, "{given} means nothing without {missing}")
            }
            Self::Unpaired { certificates, keys } => write!(
                f,
                "tls-cert is given {certificates} times and tls-key {keys} times; \
                 write one key for each certificate, in the same order"
            ),
            Self::TooNarrow { narrow, wide } => {
                write!(f, "{narrow} is too small for one message as large as {wide} allows")
            }
            Self::Below { low, high } => write!(f, "{low} is below {high}"),
            Self::Malformed { place, reason } => write!(f, "{place}: {reason}"),
        }
    }
}

impl std::error::Error for ConfigError {}
