//! What a handshake has settled, and with whom.

use rustls::pki_types::CertificateDer;
use rustls::{CommonState, HandshakeKind, ProtocolVersion, SupportedCipherSuite};

/// What a handshake has settled.
#[derive(Clone, Copy, Debug)]
pub struct Negotiated<'a> {
    /// What the peer showed, its own certificate first; nothing if it was not asked or has none.
    pub chain: &'a [CertificateDer<'static>],
    /// The version of the protocol, such as `TLS 1.3`.
    pub version: &'static str,
    suite: SupportedCipherSuite,
    /// Whether an earlier connection was resumed, which proves the peer without showing anew.
    pub is_resumed: bool,
}

impl<'a> Negotiated<'a> {
    /// What `common` knows once its handshake is done.
    pub(super) fn of(common: &'a CommonState) -> Option<Self> {
        let version = match common.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLS 1.2",
            ProtocolVersion::TLSv1_3 => "TLS 1.3",
            _ => return None,
        };
        Some(Self {
            chain: common.peer_certificates().unwrap_or_default(),
            version,
            suite: common.negotiated_cipher_suite()?,
            is_resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    /// The name of the cipher suite, as the registry of IANA has it.
    pub fn suite(&self) -> String {
        let name = format!("{:?}", self.suite.suite());
        name.replacen("TLS13_", "TLS_", 1)
    }
}
