//! How connections speak TLS.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use corecast::tls::config::{NamedGroup, SupportedProtocolVersion, TLS12, TLS13};

use crate::sessions::{Cache, Percent};

/// How connections speak TLS. Refers to a positional argument `url`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Trust the authorities of this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Trust any certificate
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,

    /// The name that the server must prove, if it is not that of the URL
    #[arg(long, value_name = "NAME", requires = "url")]
    pub sni: Option<String>,

    /// The certificate that proves who we are, and those it follows from, as a PEM file
    #[arg(long, value_name = "FILE", requires = "client_key", requires = "url")]
    pub client_cert: Option<PathBuf>,

    /// The key of that certificate, as a PEM file
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,

    /// Speak no other version of TLS
    #[arg(long, value_name = "VERSION", value_enum)]
    pub tls: Option<Version>,

    /// Exchange keys in this group and offer no other
    #[arg(long, value_name = "GROUP", value_enum)]
    pub key_share: Option<KeyShare>,

    /// The share of the connections that come back to a session instead of shaking hands in full,
    /// without early data
    #[arg(long, value_name = "0..100%", default_value = "0%")]
    pub resume: Percent,

    /// Whose sessions they come back to
    #[arg(long, value_enum, default_value_t = Cache::Shared)]
    pub session_cache: Cache,

    /// Run the server brought along without TLS
    #[arg(long, conflicts_with = "url")]
    pub plain: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Version {
    /// RFC 5246
    #[value(name = "1.2")]
    Tls12,
    /// RFC 8446
    #[value(name = "1.3")]
    Tls13,
}

impl Version {
    /// As rustls has it.
    pub const fn rustls(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &TLS12,
            Self::Tls13 => &TLS13,
        }
    }
}

/// A group to exchange keys in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum KeyShare {
    /// Curve25519
    X25519,
    /// NIST P-256
    P256,
    /// NIST P-384
    P384,
    /// Curve25519 together with ML-KEM-768
    X25519mlkem768,
}

impl KeyShare {
    /// As rustls has it.
    pub const fn group(self) -> NamedGroup {
        match self {
            Self::X25519 => NamedGroup::X25519,
            Self::P256 => NamedGroup::secp256r1,
            Self::P384 => NamedGroup::secp384r1,
            Self::X25519mlkem768 => NamedGroup::X25519MLKEM768,
        }
    }
}
