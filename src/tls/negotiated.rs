//! What a handshake has settled, and with whom.

use rustls::crypto::SupportedKxGroup;
use rustls::pki_types::CertificateDer;
use rustls::{
    CipherSuite, CommonState, HandshakeKind, NamedGroup, ProtocolVersion, SupportedCipherSuite,
    Tls13CipherSuite,
};

/// What a handshake has settled.
#[derive(Clone, Copy, Debug)]
pub struct Negotiated<'a> {
    /// What the peer showed, its own certificate first; nothing if it was not asked or has none,
    /// and once our own record layer has taken over, which keeps no certificates.
    pub chain: &'a [CertificateDer<'static>],
    /// The version of the protocol, such as `TLS 1.3`.
    pub version: &'static str,
    suite: SupportedCipherSuite,
    /// Whether an earlier connection was resumed, which proves the peer without showing anew.
    pub is_resumed: bool,
    /// In which group keys were exchanged, if they were.
    pub group: Option<NamedGroup>,
}

/// What our record layer keeps of a handshake: four bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    is_resumed: bool,
    group: Option<NamedGroup>,
}

impl Beginning {
    /// What is known of a connection that had none, in tests.
    #[cfg(test)]
    pub(super) const NONE: Self = Self { is_resumed: false, group: None };

    /// What `common` knows once its handshake is done.
    pub(super) fn of(common: &CommonState) -> Self {
        Self {
            is_resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
            group: common.negotiated_key_exchange_group().map(SupportedKxGroup::name),
        }
    }

    /// The same of a connection in our record layer.
    pub(super) fn with(self, suite: &'static Tls13CipherSuite) -> Negotiated<'static> {
        let Self { is_resumed, group } = self;
        let suite = SupportedCipherSuite::Tls13(suite);
        Negotiated { chain: &[], version: "TLS 1.3", suite, is_resumed, group }
    }
}

impl<'a> Negotiated<'a> {
    /// What `common` knows once its handshake is done.
    pub(super) fn of(common: &'a CommonState) -> Option<Self> {
        let version = match common.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLS 1.2",
            ProtocolVersion::TLSv1_3 => "TLS 1.3",
            _ => return None,
        };
        let Beginning { is_resumed, group } = Beginning::of(common);
        Some(Self {
            is_resumed,
            group,
            chain: common.peer_certificates().unwrap_or_default(),
            version,
            suite: common.negotiated_cipher_suite()?,
        })
    }

    /// The name of the cipher suite, as the registry of IANA has it.
    pub fn suite(&self) -> String {
        suite_name(self.suite.suite())
    }

    /// The number of the cipher suite there, of which [`suite_name`] makes the name.
    pub fn suite_number(&self) -> u16 {
        self.suite.suite().into()
    }
}

/// The name of a cipher suite, as the registry of IANA has it.
pub fn suite_name(suite: CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}
