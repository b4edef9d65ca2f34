//! What proves the server's name: the operator's files, or a development certificate that is made
//! once and kept in the user's state directory.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use corecast::config::Certificate;
use corecast::tls::config::{self, server_config};
use corecast::tls::{ServerConfig, pki};

use super::Failure;

/// What proves the server's name, by where it comes from: listeners with the same certificate
/// share what is made of it.
#[derive(Default)]
pub(super) struct Identities {
    found: Vec<(Certificate, Identity)>,
}

/// What proves the server's name on some listeners.
struct Identity {
    tls: Arc<ServerConfig>,
    origin: Origin,
}

/// Where a certificate comes from.
pub(super) enum Origin {
    /// The operator gave it.
    Given {
        /// The file of its chain.
        certificate: PathBuf,
    },
    /// We made it, for development.
    Made {
        /// The certificate of the authority, for clients to trust.
        authority: PathBuf,
        /// The certificate itself.
        certificate: PathBuf,
        /// Whether that was just now.
        is_new: bool,
    },
}

impl Identities {
    /// What TLS is told where `certificate` proves the server's name.
    pub(super) fn find(&mut self, certificate: &Certificate) -> Result<Arc<ServerConfig>, Failure> {
        if let Some((_, identity)) = self.found.iter().find(|(known, _)| known == certificate) {
            return Ok(Arc::clone(&identity.tls));
        }
        let identity = Identity::find(certificate)?;
        let tls = Arc::clone(&identity.tls);
        self.found.push((certificate.clone(), identity));
        Ok(tls)
    }

    /// Where all of them come from.
    pub(super) fn into_origins(self) -> Vec<Origin> {
        self.found.into_iter().map(|(_, identity)| identity.origin).collect()
    }
}

impl Identity {
    /// Reads what `certificate` says, or makes it.
    fn find(certificate: &Certificate) -> Result<Self, Failure> {
        match certificate {
            Certificate::Files { chain, key } => {
                let origin = Origin::Given { certificate: chain.clone() };
                Self::new(config::Identity::read(chain, key)?, origin)
            }
            Certificate::Development => {
                let made = pki::development(&directory()?, now())?;
                let pki::Development { identity, authority, certificate, is_new } = made;
                Self::new(identity, Origin::Made { authority, certificate, is_new })
            }
        }
    }

    fn new(identity: config::Identity, origin: Origin) -> Result<Self, Failure> {
        Ok(Self { tls: server_config(identity)?, origin })
    }
}

/// Our part of the user's state directory (XDG Base Directory Specification), made or not.
fn directory() -> Result<PathBuf, Failure> {
    // The specification wants relative paths to be ignored.
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    let state = absolute("XDG_STATE_HOME").or_else(home);
    state.map(|state| state.join("corecast")).ok_or_else(|| {
        let reason = "there is no place for a development certificate: \
            set HOME or XDG_STATE_HOME, or give --tls-cert and --tls-key";
        Failure::World(reason.to_owned())
    })
}

/// Where the certificate of the development authority is, whether or not it has been made.
pub(super) fn development_authority() -> Option<PathBuf> {
    Some(directory().ok()?.join("ca.pem"))
}

/// When a certificate that is made now begins to hold.
#[allow(clippy::disallowed_methods)] // below here time is an argument
fn now() -> SystemTime {
    SystemTime::now()
}
