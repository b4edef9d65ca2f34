//! What rustls is told, for both sides, and where certificates and keys are read from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::aws_lc_rs;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::DefaultTimeProvider;
pub use rustls::version::{TLS12, TLS13};
use rustls::{
    ALL_VERSIONS, CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error,
    RootCertStore, SignatureScheme,
};
pub use rustls::{NamedGroup, SupportedProtocolVersion};

use super::server::{Clients, Parts, ServerConfig};
use super::sources;
pub use super::sources::{
    Authorities, CertificateFiles, Certificates, ClientAuth, Loaded, Sources, Stamp,
};

/// A chain of certificates, the server's own first, and its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificates that are sent.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first one.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads both from PEM files.
    ///
    /// # Errors
    ///
    /// The file at fault, and what is wrong with it.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, ConfigError> {
        Ok(Self { chain: read_certificates(chain)?, key: read_key(key)? })
    }
}

/// Whom a client believes.
#[derive(Debug)]
pub enum Trust {
    /// Servers whose certificate one of these authorities has issued.
    Authorities(Vec<CertificateDer<'static>>),
    /// Any server at all, whoever it claims to be. For measuring and for tests.
    Anyone,
}

/// The configuration of a server that has one certificate and asks nothing of its clients.
///
/// # Errors
///
/// [`ConfigError::Unusable`] if the key does not belong to the certificate, or is of a kind that
/// cannot be used.
pub fn server_config(identity: Identity) -> Result<Arc<ServerConfig>, ConfigError> {
    let key = sources::certified_key(identity).map_err(ConfigError::Unusable)?;
    let shown = sources::shown(&key.cert)
        .ok_or(ConfigError::Unusable(Error::InvalidCertificate(CertificateError::BadEncoding)))?;
    let parts = Parts {
        certificates: vec![(key, shown)],
        clients: Clients::Ignored,
        clock: Arc::new(DefaultTimeProvider),
    };
    ServerConfig::new(parts, None).map(Arc::new).map_err(ConfigError::Unusable)
}

/// The configuration of a client, which never resumes: each of its handshakes is a full one.
///
/// # Errors
///
/// [`ConfigError::Unusable`] if an authority's certificate cannot be used.
pub fn client_config(trust: Trust) -> Result<Arc<ClientConfig>, ConfigError> {
    compact_client_config(trust, Wishes::default())
}

/// What a client may want of its handshakes beside a server to trust.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Who it is, for servers that ask.
    pub identity: Option<Identity>,
    /// The only version of the protocol that it speaks.
    pub version: Option<&'static SupportedProtocolVersion>,
    /// The only group in which it exchanges keys (RFC 8446 §4.2.7).
    pub group: Option<NamedGroup>,
}

/// The same with `wishes`.
///
/// # Errors
///
/// [`ConfigError::Unusable`] if an authority's certificate, the identity or the group cannot be
/// used.
pub fn compact_client_config(
    trust: Trust,
    wishes: Wishes,
) -> Result<Arc<ClientConfig>, ConfigError> {
    let Wishes { identity, version, group } = wishes;
    let mut config = with_identity(client_of(trust, version, group)?, identity)?;
    config.resumption = Resumption::disabled();
    config.enable_secret_extraction = true;
    Ok(Arc::new(config))
}

/// The configuration of a client that comes back: it resumes, and shows `identity` to who asks.
///
/// Its connections stay in rustls, which takes care of the tickets that come after the handshake
/// and remembers who the server is ([`super::Tls::negotiated`]). `protocols` are offered by ALPN
/// (RFC 7301), the best first.
///
/// # Errors
///
/// [`ConfigError::Unusable`] if an authority's certificate or the identity cannot be used.
pub fn returning_client_config(
    trust: Trust,
    identity: Option<Identity>,
    protocols: &[&str],
) -> Result<Arc<ClientConfig>, ConfigError> {
    let mut config = with_identity(client_of(trust, None, None)?, identity)?;
    config.resumption = Resumption::in_memory_sessions(SERVERS_REMEMBERED_MAX);
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

/// How many servers a client can come back to. A command names a few.
const SERVERS_REMEMBERED_MAX: usize = 32;

fn with_identity(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    identity: Option<Identity>,
) -> Result<ClientConfig, ConfigError> {
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { chain, key }) => {
            builder.with_client_auth_cert(chain, key).map_err(ConfigError::Unusable)
        }
    }
}

fn client_of(
    trust: Trust,
    version: Option<&'static SupportedProtocolVersion>,
    group: Option<NamedGroup>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, ConfigError> {
    let mut provider = provider();
    if let Some(group) = group {
        let groups = aws_lc_rs::ALL_KX_GROUPS.iter().filter(|it| it.name() == group);
        Arc::make_mut(&mut provider).kx_groups = groups.copied().collect();
    }
    let algorithms = provider.signature_verification_algorithms;
    let versions = version.map_or_else(|| ALL_VERSIONS.to_vec(), |version| vec![version]);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(ConfigError::Unusable)?;
    Ok(match trust {
        Trust::Authorities(authorities) => builder.with_root_certificates(roots(authorities)?),
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate { algorithms })),
    })
}

/// Reads the certificates of a PEM file, in their order; there is at least one.
///
/// # Errors
///
/// The file, and what is wrong with it.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let pem = read(path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| ConfigError::BadPem { path: path.into(), error })?;
    if certificates.is_empty() {
        return Err(ConfigError::NothingIn { path: path.into(), wanted: "certificate" });
    }
    Ok(certificates)
}

/// Reads the first private key of a PEM file (PKCS#8, PKCS#1 or SEC1).
///
/// # Errors
///
/// The file, and what is wrong with it.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, ConfigError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            ConfigError::NothingIn { path: path.into(), wanted: "private key" }
        }
        error => ConfigError::BadPem { path: path.into(), error },
    })
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| ConfigError::Unreadable { path: path.into(), error })
}

fn roots(authorities: Vec<CertificateDer<'static>>) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(ConfigError::Unusable)?;
    }
    Ok(roots)
}

/// aws-lc's cryptography, its suites in our order.
///
/// Its own order already begins with AES-256 in TLS 1.3, which AES instructions make the fastest.
/// `ChaCha20` goes before AES-128 because its keys are of the length that our record layer serves.
pub(super) fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        suite
            .tls13()
            .map_or(2, |suite| u8::from(suite.aead_alg.key_len() != super::secrets::KEY_BYTES))
    });
    Arc::new(provider)
}

/// Believes any certificate, but not that somebody else's can be used: the handshake must still be
/// signed with its key.
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Why a configuration cannot be had.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is not PEM.
    BadPem {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// The file is PEM, but holds nothing of what is wanted.
    NothingIn {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The system has no certificates of authorities where they are looked for.
    NoAuthorities,
    /// The file holds what is wanted, but that cannot be used.
    Refused {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key can be read, but not be used.
    Unusable(Error),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            Self::BadPem { path, error } => {
                write!(f, "{} is not good PEM: {error}", path.display())
            }
            Self::NothingIn { path, wanted } => {
                write!(f, "there is no {wanted} in {}", path.display())
            }
            Self::NoAuthorities => f.write_str(
                "no certificates of authorities were found on this system; \
                 give --ca FILE or --insecure",
            ),
            Self::Refused { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Unusable(Error::InconsistentKeys(_)) => {
                f.write_str("the private key does not belong to the certificate")
            }
            Self::Unusable(error) => write!(f, "certificate or key cannot be used: {error}"),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// What reading a file with this content complains about.
    fn complaints(content: &str) -> [String; 2] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("given.pem");
        std::fs::write(&path, content).unwrap();
        let complaints = [read_certificates(&path).map(drop), read_key(&path).map(drop)];
        complaints.map(|complaint| complaint.unwrap_err().to_string())
    }

    #[test]
    fn an_error_names_the_file_and_what_is_wrong_with_it() {
        let missing = read_key(Path::new("/nowhere/key.pem")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read /nowhere/key.pem: "), "{missing}");
        let [certificate, key] = complaints("no PEM at all");
        assert!(certificate.starts_with("there is no certificate in /"), "{certificate}");
        assert!(key.starts_with("there is no private key in /"), "{key}");
        assert!(key.ends_with("/given.pem"), "{key}");
        for cut in ["-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n!\n-----END"] {
            for complaint in complaints(cut) {
                assert!(complaint.contains("given.pem is not good PEM: "), "{complaint}");
            }
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let identities = [(); 2].map(|()| {
            let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
            let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
            Identity { chain: vec![made.cert.der().clone()], key }
        });
        let [mut one, other] = identities;
        one.key = other.key;
        let error = server_config(one).unwrap_err().to_string();
        assert_eq!(error, "the private key does not belong to the certificate");
    }

    #[test]
    fn suites_of_our_record_layer_come_first() {
        let suites = provider().cipher_suites.clone();
        let is_compact: Vec<_> = suites
            .iter()
            .map(|suite| suite.tls13().is_some_and(|suite| suite.aead_alg.key_len() == 32))
            .collect();
        assert!(is_compact.starts_with(&[true, true, false]), "{suites:?}");
    }
}
