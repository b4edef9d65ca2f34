//! Whether a certificate would be believed, asked of the code that clients and servers ask.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{Error, RootCertStore};

use super::text::unix_seconds;

/// Whether who trusts `authorities` would believe at the time `at` that `chain` belongs to the
/// server `name`.
///
/// # Errors
///
/// Why not.
pub fn server(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'static>],
    name: &ServerName<'_>,
    at: SystemTime,
) -> Result<(), Error> {
    let (leaf, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(authorities), provider)
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    verifier.verify_server_cert(leaf, intermediates, name, &[], unix_time(at)).map(drop)
}

/// Whether a server that trusts `authorities` would let in a client with `chain` at the time `at`.
///
/// # Errors
///
/// Why not.
pub(super) fn client(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'static>],
    at: SystemTime,
) -> Result<(), Error> {
    let (leaf, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authorities), provider)
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    verifier.verify_client_cert(leaf, intermediates, unix_time(at)).map(drop)
}

/// Those of `authorities` that can be used; of a system's hundreds some may not be.
fn roots(authorities: &[CertificateDer<'static>]) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned());
    Arc::new(roots)
}

fn unix_time(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(unix_seconds(time)))
}
