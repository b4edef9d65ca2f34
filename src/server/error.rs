//! Why a server does not start, or no longer runs.

use std::fmt;
use std::io;

use crate::reactor::fds::TooMany;

/// Why a server does not start, or no longer runs; its text is one line for an operator.
#[derive(Debug)]
pub enum ServerError {
    /// This is no address.
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        error: io::Error,
    },
    /// Nothing can listen at this address.
    Listen {
        /// What was given.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// There is no room for as many connections as were asked for.
    Room(TooMany),
    /// The system refuses what every server needs.
    System {
        /// What that is.
        what: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// A thread has ended before its time.
    Thread {
        /// Its name.
        name: String,
        /// How it ended.
        reason: String,
    },
}

impl ServerError {
    pub(super) fn system(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::System { what, error }
    }

    pub(super) fn failed(name: &str, error: &io::Error) -> Self {
        Self::Thread { name: name.to_owned(), reason: error.to_string() }
    }

    pub(super) fn panicked(name: &str) -> Self {
        Self::Thread { name: name.to_owned(), reason: "it panicked".to_owned() }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { address, error } => write!(f, "`{address}` is no address: {error}"),
            Self::Listen { address, error } => write!(f, "cannot listen at {address}: {error}"),
            Self::Room(too_many) => too_many.fmt(f),
            Self::System { what, error } => write!(f, "cannot {what}: {error}"),
            Self::Thread { name, reason } => write!(f, "thread {name} has failed: {reason}"),
        }
    }
}

impl std::error::Error for ServerError {}
