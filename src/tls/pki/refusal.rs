//! Why something is not made, not signed or not read, and which file it was about.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::super::config::ConfigError;
use super::key::RSA_BITS_MIN;

/// Why something is not made, not signed or not read. Always the fault of what was given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The bytes are not what they should be, as the reason says.
    Malformed(String),
    /// An RSA key of fewer than 2,048 bits.
    WeakRsa {
        /// How many it has.
        bits: usize,
    },
    /// A kind of key that cannot be worked with.
    UnknownKey(String),
    /// Not a name that a certificate can carry, with the reason.
    BadName {
        /// As it was written.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A request whose signature was not made with its own key (RFC 2986 §3).
    ForgedRequest,
    /// A request signed in a way that cannot be checked.
    UncheckableRequest,
    /// A request for a certificate that could issue others.
    AuthorityWanted,
    /// Nothing says whom the certificate would be for.
    Nameless,
    /// A server's certificate that would name no host.
    Hostless,
    /// A certificate that may not issue others.
    NoAuthority,
    /// An authority's key that belongs to another certificate.
    ForeignKey,
    /// An authority that ends before what it is to issue, in so many whole days.
    OutlivesAuthority {
        /// How long the authority still lasts.
        days: u64,
    },
    /// A life that ends behind the last day that a certificate can write down.
    BeyondCalendar,
    /// What was made would not be believed by those who are to believe it.
    Unbelievable(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(reason) | Self::UnknownKey(reason) => reason,
            Self::WeakRsa { bits } => {
                return write!(
                    f,
                    "RSA keys of {bits} bits can be broken, and clients refuse them: \
                     {RSA_BITS_MIN} bits are the least"
                );
            }
            Self::BadName { name, reason } => return write!(f, "{name:?} {reason}"),
            Self::ForgedRequest => "its signature was not made with the key that it carries",
            Self::UncheckableRequest => {
                "its signature is of a kind that cannot be checked: make the request with SHA-256"
            }
            Self::AuthorityWanted => {
                "it asks for an authority (CA:TRUE), and only servers and clients are signed"
            }
            Self::Nameless => "it names nobody: neither a subject alternative name nor a subject",
            Self::Hostless => {
                "it names no host: a server's certificate needs a DNS name or an IP address \
                 (--client signs it for a client)"
            }
            Self::NoAuthority => "it is not an authority: it may not issue certificates",
            Self::ForeignKey => "the authority's key does not belong to its certificate",
            Self::OutlivesAuthority { days: 0 } => "the authority has expired or is about to",
            Self::OutlivesAuthority { days } => {
                return write!(
                    f,
                    "the authority ends before that: --days {days} is the most it can issue"
                );
            }
            Self::BeyondCalendar => "a certificate cannot last beyond the year 9999",
            Self::Unbelievable(reason) => {
                return write!(f, "what this authority issues would not be believed: {reason}");
            }
        })
    }
}

impl std::error::Error for Refusal {}

impl From<rcgen::Error> for Refusal {
    fn from(error: rcgen::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Which file there is trouble with, and why.
#[derive(Debug)]
pub enum PkiError {
    /// It cannot be read.
    Unreadable(ConfigError),
    /// It cannot be written.
    Unwritable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is there already, and is not to be replaced.
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// It can be read, but what it holds is refused; or it would hold something that is.
    Refused {
        /// Which.
        path: PathBuf,
        /// Why.
        refusal: Refusal,
    },
}

impl PkiError {
    pub(super) fn unwritable(path: &Path, error: io::Error) -> Self {
        Self::Unwritable { path: path.into(), error }
    }

    /// What `path` holds, or would hold, is refused.
    pub fn refused(path: &Path, refusal: Refusal) -> Self {
        Self::Refused { path: path.into(), refusal }
    }
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Unwritable { path, error } => {
                write!(f, "cannot write {}: {error}", path.display())
            }
            Self::Exists { path } => {
                write!(f, "{} exists already (--force replaces it)", path.display())
            }
            Self::Refused { path, refusal } => write!(f, "{}: {refusal}", path.display()),
        }
    }
}

impl std::error::Error for PkiError {}

impl From<PkiError> for ConfigError {
    /// What a server is told that finds no certificate.
    fn from(error: PkiError) -> Self {
        match error {
            PkiError::Unreadable(error) => error,
            PkiError::Unwritable { path, error } => {
                Self::Refused { path, reason: format!("it cannot be written: {error}") }
            }
            PkiError::Exists { path } => {
                Self::Refused { path, reason: "it exists already".to_owned() }
            }
            PkiError::Refused { path, refusal } => {
                Self::Refused { path, reason: refusal.to_string() }
            }
        }
    }
}

impl From<ConfigError> for PkiError {
    fn from(error: ConfigError) -> Self {
        Self::Unreadable(error)
    }
}
