//! How to get to a server, and whom to believe that it is the one.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use corecast::client::{Dialer, Url};
use corecast::tls::config::{Identity, Trust, returning_client_config};
use corecast::tls::trust;

use super::say;
use crate::cli::{Failure, identity};

/// What may be said about trust.
#[derive(Args, Debug)]
pub(super) struct TrustArguments {
    /// Believe the authorities in this PEM file only [default: those of the system, and the
    /// development authority if the host is this machine]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Show this certificate chain (PEM) to a server that asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Believe anybody: for trying things out, never for secrets
    #[arg(short = 'k', long)]
    insecure: bool,
    /// Ask for this name and expect it in the certificate, and not the host of the URL
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
}

impl TrustArguments {
    /// Whether anybody is believed.
    pub(super) const fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// What gets to all of `urls`.
    pub(super) fn dialer(&self, urls: &[Url], timeout: Duration) -> Result<Dialer, Failure> {
        let tls = if urls.iter().any(|url| url.scheme.is_secure()) {
            let is_http = urls.iter().all(|url| url.scheme.is_http());
            let protocols: &[&str] = if is_http { &["http/1.1"] } else { &[] };
            Some(returning_client_config(self.trust(urls)?, self.identity()?, protocols)?)
        } else {
            None
        };
        Ok(Dialer { tls, server_name: self.server_name.clone(), timeout })
    }

    fn trust(&self, urls: &[Url]) -> Result<Trust, Failure> {
        if self.insecure {
            say("corecast: warning: --insecure: nobody checks who the server is");
            return Ok(Trust::Anyone);
        }
        if let Some(path) = &self.ca {
            return Ok(trust::in_file(path)?);
        }
        // The development authority vouches for nobody elsewhere, not even beside a local host.
        let is_local = urls.iter().filter(|url| url.scheme.is_secure()).all(Url::is_local);
        let development = is_local.then(identity::development_authority).flatten();
        Ok(trust::system(development.as_deref())?)
    }

    fn identity(&self) -> Result<Option<Identity>, Failure> {
        let files = self.cert.as_ref().zip(self.key.as_ref());
        Ok(files.map(|(chain, key)| Identity::read(chain, key)).transpose()?)
    }
}
