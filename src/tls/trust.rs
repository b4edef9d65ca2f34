//! Whom a client believes, and where their certificates are found.

use std::env;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use super::config::{self, ConfigError, Trust};

/// Where systems keep the authorities that are known for the web.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The authorities in the PEM file `path`.
///
/// # Errors
///
/// The file, and what is wrong with it.
pub fn in_file(path: &Path) -> Result<Trust, ConfigError> {
    config::read_certificates(path).map(Trust::Authorities)
}

/// The authorities that `pem` holds.
///
/// # Errors
///
/// What is wrong with the text.
pub fn in_text(pem: &str) -> Result<Trust, pem::Error> {
    let authorities: Result<_, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    authorities.map(Trust::Authorities)
}

/// The system's authorities, or those of `SSL_CERT_FILE` if that is set, and the one in the file
/// `also`, if there is such a file.
///
/// A bundle holds what others chose, so that one certificate in it that cannot be used is left out.
///
/// # Errors
///
/// [`ConfigError::NoAuthorities`] if there are none at all, or the file that cannot be read.
pub fn system(also: Option<&Path>) -> Result<Trust, ConfigError> {
    let named = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let bundle = named.or_else(|| BUNDLES.map(PathBuf::from).into_iter().find(|it| it.is_file()));
    gathered(bundle.as_deref(), also.filter(|path| path.is_file()))
}

fn gathered(bundle: Option<&Path>, also: Option<&Path>) -> Result<Trust, ConfigError> {
    let mut authorities = bundle.map_or(Ok(Vec::new()), config::read_certificates)?;
    authorities.retain(|authority| RootCertStore::empty().add(authority.clone()).is_ok());
    authorities.extend(also.map_or(Ok(Vec::new()), config::read_certificates)?);
    if authorities.is_empty() {
        return Err(ConfigError::NoAuthorities);
    }
    Ok(Trust::Authorities(authorities))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn authority() -> String {
        rcgen::generate_simple_self_signed(["localhost".into()]).unwrap().cert.pem()
    }

    fn count(trust: Result<Trust, ConfigError>) -> usize {
        let Ok(Trust::Authorities(authorities)) = trust else { panic!("{trust:?}") };
        authorities.len()
    }

    #[test]
    fn a_bundle_is_believed_but_for_what_cannot_be_used() {
        let directory = tempfile::tempdir().unwrap();
        let [bundle, also, missing] =
            ["bundle.pem", "also.pem", "missing.pem"].map(|name| directory.path().join(name));
        std::fs::write(&bundle, [&authority(), BROKEN, &authority()].concat()).unwrap();
        std::fs::write(&also, authority()).unwrap();
        assert_eq!(count(gathered(Some(&bundle), None)), 2);
        assert_eq!(count(gathered(Some(&bundle), Some(&also))), 3);
        assert_eq!(count(gathered(None, Some(&also))), 1);
        assert!(matches!(gathered(None, None), Err(ConfigError::NoAuthorities)));
        assert!(matches!(gathered(Some(&missing), None), Err(ConfigError::Unreadable { .. })));
    }

    #[test]
    fn text_and_file_hold_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let (path, text) = (directory.path().join("ca.pem"), authority());
        std::fs::write(&path, &text).unwrap();
        assert_eq!((count(in_file(&path)), in_text(&text).is_ok()), (1, true));
        assert!(in_text("-----BEGIN CERTIFICATE-----\n").is_err());
    }
}
