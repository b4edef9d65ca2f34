//! What a server's TLS is made of: its certificates, what it asks of its clients, its tickets.
//!
//! Invariant: who is recognized has a certificate that this configuration accepts now. rustls
//! verifies it in a full handshake; a ticket only brings it back, so it is verified once more then.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{CommonState, Error, HandshakeKind, KeyLog, RootCertStore};

use super::config::provider;
use super::fault::Fault;
use super::identity::{Fingerprint, Identity};
use super::names::Names;
use super::tickets::Tickets;

/// What a server is told: TLS 1.3 and 1.2, HTTP/1.1, stateless tickets, no early data.
#[derive(Debug)]
pub struct ServerConfig {
    rustls: rustls::ServerConfig,
    /// Who verifies the certificates of clients, if they are asked for any.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    tickets: Arc<Tickets>,
    /// What tickets are bound to.
    binding: Fingerprint,
    certificates: Vec<Shown>,
}

/// A certificate that clients are shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shown {
    /// Its first name.
    pub name: String,
    /// When it ends.
    pub until: SystemTime,
}

/// What a [`ServerConfig`] is made of.
pub(super) struct Parts {
    /// The certificates, the one for unknown names first, with what is known of each.
    pub(super) certificates: Vec<(CertifiedKey, Shown)>,
    pub(super) clients: Clients,
    pub(super) clock: Arc<dyn TimeProvider>,
}

/// What is asked of clients.
pub(super) enum Clients {
    /// Nothing.
    Ignored,
    /// A certificate, of one of these authorities.
    Asked {
        authorities: Vec<CertificateDer<'static>>,
        revocations: Vec<CertificateRevocationListDer<'static>>,
        /// Whether there is no way in without one.
        is_required: bool,
    },
}

impl ServerConfig {
    /// A configuration with tickets of its own, or those of its `predecessor` if both show the
    /// same certificates and ask the same of clients.
    pub(super) fn new(parts: Parts, predecessor: Option<&Self>) -> Result<Self, Error> {
        let Parts { certificates, clients, clock } = parts;
        let binding = binding(&certificates, &clients);
        let tickets = match predecessor.filter(|predecessor| predecessor.binding == binding) {
            Some(predecessor) => Arc::clone(&predecessor.tickets),
            None => Arc::new(Tickets::new(Arc::clone(&clock))?),
        };
        let clients = clients.verifier()?;
        let builder = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match &clients {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let (keys, certificates): (Vec<_>, Vec<_>) = certificates.into_iter().unzip();
        let names = Names::new(keys.into_iter().map(Arc::new).collect());
        let mut rustls = builder.with_cert_resolver(Arc::new(names));
        // Our order of suites counts, or clients that prefer AES-128 could never become compact.
        rustls.ignore_client_order = true;
        rustls.alpn_protocols = vec![b"http/1.1".to_vec()];
        rustls.ticketer = Arc::<Tickets>::clone(&tickets);
        rustls.session_storage = Arc::new(NoServerSessionStorage {});
        rustls.time_provider = clock;
        // A client of ours holds one connection, and needs one ticket to come back.
        rustls.send_tls13_tickets = 1;
        rustls.enable_secret_extraction = true;
        Ok(Self { rustls, clients, tickets, binding, certificates })
    }

    /// What clients are shown, the certificate for unknown names first.
    pub fn certificates(&self) -> &[Shown] {
        &self.certificates
    }

    /// What rustls is told for one connection: a copy for each, since each has its own key log. It
    /// shares what is large.
    pub(super) fn for_connection(&self, key_log: Arc<dyn KeyLog>) -> Arc<rustls::ServerConfig> {
        let mut config = self.rustls.clone();
        config.key_log = key_log;
        Arc::new(config)
    }

    /// Who the peer of a connection that has shaken hands has proved to be, if anybody.
    pub(super) fn recognize(&self, connection: &CommonState) -> Result<Option<Identity>, Fault> {
        let Some(verifier) = &self.clients else { return Ok(None) };
        match connection.peer_certificates().and_then(<[_]>::split_first) {
            Some((certificate, issuers)) => {
                if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
                    let now = self.rustls.time_provider.current_time().ok_or(Fault::Internal)?;
                    verifier.verify_client_cert(certificate, issuers, now)?;
                }
                Identity::of(certificate).map(Some)
            }
            None if verifier.client_auth_mandatory() => Err(Fault::CertificateMissing),
            None => Ok(None),
        }
    }
}

impl Clients {
    fn verifier(self) -> Result<Option<Arc<dyn ClientCertVerifier>>, Error> {
        let Self::Asked { authorities, revocations, is_required } = self else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority)?;
        }
        // A list that has ended says nothing of what has been revoked since.
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .with_crls(revocations)
            .enforce_revocation_expiration();
        let builder = if is_required { builder } else { builder.allow_unauthenticated() };
        builder.build().map(Some).map_err(|error| Error::General(error.to_string()))
    }
}

/// What has to be the same for a ticket to be good: who we are, and what we ask of clients.
///
/// A new list of what has been revoked is no reason to turn tickets away, since who comes back with
/// one is verified by the list of the day.
fn binding(certificates: &[(CertifiedKey, Shown)], clients: &Clients) -> Fingerprint {
    let mut bytes = Vec::new();
    let mut bind = |certificate: &CertificateDer<'_>| {
        bytes.extend_from_slice(Fingerprint::of(certificate).as_bytes());
    };
    certificates.iter().flat_map(|(key, _)| &key.cert).for_each(&mut bind);
    match clients {
        Clients::Ignored => bytes.push(0),
        Clients::Asked { authorities, is_required, .. } => {
            authorities.iter().for_each(bind);
            bytes.push(1 + u8::from(*is_required));
        }
    }
    Fingerprint::of(&bytes)
}
