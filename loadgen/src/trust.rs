//! Whom we believe to be the server.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use corecast::tls::config::{self, ConfigError, Trust};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// Where systems keep the authorities that are known for the web.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// TLS that believes the authorities in the PEM file `path`.
pub fn in_file(path: &Path) -> Result<Arc<ClientConfig>, ConfigError> {
    config::client_config(Trust::Authorities(config::read_certificates(path)?))
}

/// TLS that believes the authorities that `pem` holds.
pub fn in_text(pem: &str) -> Result<Arc<ClientConfig>, String> {
    let authorities: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let authorities = authorities.map_err(|error| error.to_string())?;
    config::client_config(Trust::Authorities(authorities)).map_err(|error| error.to_string())
}

/// TLS that believes anybody.
pub fn anyone() -> Result<Arc<ClientConfig>, ConfigError> {
    config::client_config(Trust::Anyone)
}

/// TLS that believes the system's authorities, or those of `SSL_CERT_FILE` if that is set.
pub fn system() -> Result<Arc<ClientConfig>, String> {
    let named = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut candidates = named.into_iter().chain(BUNDLES.map(PathBuf::from));
    let bundle = candidates.find(|path| path.is_file()).ok_or(
        "no certificates of authorities were found on this system; give --ca FILE or --insecure",
    )?;
    in_file(&bundle).map_err(|error| error.to_string())
}
