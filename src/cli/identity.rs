//! What proves the server's name: the operator's files, or a development certificate that is made
//! once and kept in the user's state directory.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corecast::config::Security;
use corecast::tls::config::{Certificates, Loaded, Sources};
use corecast::tls::{DefaultTimeProvider, pki};

use super::{Failure, now};

/// What proves the server's names on its listeners.
#[derive(Default)]
pub(super) struct Identities {
    origins: Vec<Origin>,
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
    /// Reads what a listener's TLS is made of; each has tickets of its own.
    pub(super) fn find(&mut self, security: &Security) -> Result<(Sources, Loaded), Failure> {
        let Security { certificates, ocsp, clients } = security.clone();
        let certificates = if certificates.is_empty() {
            let directory = directory()?;
            self.note(Origin::made(&directory)?);
            Certificates::Development(directory)
        } else {
            for pair in &certificates {
                self.note(Origin::Given { certificate: pair.chain.clone() });
            }
            Certificates::Files(certificates)
        };
        let sources = Sources { certificates, ocsp, clients };
        let loaded = sources.load(Arc::new(DefaultTimeProvider), None)?;
        for remark in &loaded.remarks {
            log::warn!("{remark}");
        }
        Ok((sources, loaded))
    }

    /// Where all of them come from.
    pub(super) fn into_origins(self) -> Vec<Origin> {
        self.origins
    }

    /// Notes where a certificate comes from, once.
    fn note(&mut self, origin: Origin) {
        if !self.origins.iter().any(|known| known.certificate() == origin.certificate()) {
            self.origins.push(origin);
        }
    }
}

impl Origin {
    /// The development certificate of `directory`, made if need be.
    fn made(directory: &Path) -> Result<Self, Failure> {
        let made = pki::development(directory, now())?;
        let pki::Development { authority, certificate, is_new, .. } = made;
        Ok(Self::Made { authority, certificate, is_new })
    }

    fn certificate(&self) -> &Path {
        match self {
            Self::Given { certificate } | Self::Made { certificate, .. } => certificate,
        }
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
