//! Why a connection's TLS ended badly, and what the peer is told.

use std::fmt;

use rustls::{AlertDescription, CertificateError, Error, PeerMisbehaved};

/// Why a TLS connection cannot go on.
///
/// All but the last two are the peer's fault. Nothing can be opened or sealed afterwards; what the
/// peer is to be told (an alert) has been appended to the reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The peer gave up and said why (RFC 8446 §6.2).
    Alert(AlertDescription),
    /// A record was not sealed with the keys of this connection, or was changed on its way.
    BadRecordMac,
    /// A record is longer than any record may be (RFC 8446 §5.2).
    RecordOverflow,
    /// A message came that has no place here.
    UnexpectedMessage,
    /// A message does not follow the grammar, or this is not TLS at all.
    Malformed,
    /// A message follows the grammar and breaks a rule.
    Misbehaved,
    /// Too many records in a row brought no application data.
    Fruitless,
    /// A client's handshake needs more memory than a stranger is given.
    OversizedHandshake,
    /// The peer and we have no version, suite, group or protocol in common.
    Incompatible,
    /// The peer's certificate is not valid any more.
    CertificateExpired,
    /// The peer's certificate is not valid yet.
    CertificateNotYetValid,
    /// The peer's certificate has been revoked.
    CertificateRevoked,
    /// The peer's certificate is for another name.
    CertificateName,
    /// The peer's certificate was issued by nobody we trust.
    CertificateIssuer,
    /// Whether the peer's certificate has been revoked is not known: the list is missing, or old.
    CertificateStatus,
    /// The peer was to show a certificate, and has none.
    CertificateMissing,
    /// The peer's certificate is not acceptable for another reason.
    CertificateInvalid,
    /// There is nothing to write to: the handshake is not done, or `close` was called, or the keys
    /// are used up and cannot be renewed.
    Unwritable,
    /// Something on our side failed that has nothing to do with the peer.
    Internal,
}

impl Fault {
    /// What to tell the peer about a fault that our own record layer found (RFC 8446 §6.2).
    ///
    /// A peer that sent an alert is not answered by one.
    pub(super) const fn alert(self) -> Option<AlertDescription> {
        Some(match self {
            Self::Alert(_) | Self::Unwritable => return None,
            Self::BadRecordMac => AlertDescription::BadRecordMac,
            Self::RecordOverflow => AlertDescription::RecordOverflow,
            Self::UnexpectedMessage | Self::Fruitless => AlertDescription::UnexpectedMessage,
            Self::Malformed => AlertDescription::DecodeError,
            Self::Misbehaved => AlertDescription::IllegalParameter,
            Self::OversizedHandshake | Self::Incompatible => AlertDescription::HandshakeFailure,
            // "Has expired or is not currently valid" (RFC 8446 §6.2).
            Self::CertificateExpired | Self::CertificateNotYetValid => {
                AlertDescription::CertificateExpired
            }
            Self::CertificateRevoked => AlertDescription::CertificateRevoked,
            Self::CertificateIssuer | Self::CertificateStatus => AlertDescription::UnknownCA,
            Self::CertificateMissing => AlertDescription::CertificateRequired,
            Self::CertificateName | Self::CertificateInvalid => AlertDescription::BadCertificate,
            Self::Internal => AlertDescription::InternalError,
        })
    }

    /// A short word for a metric's label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Alert(_) => "alert",
            Self::BadRecordMac => "bad_record_mac",
            Self::RecordOverflow => "record_overflow",
            Self::UnexpectedMessage => "unexpected_message",
            Self::Malformed => "malformed",
            Self::Misbehaved => "misbehaved",
            Self::Fruitless => "fruitless",
            Self::OversizedHandshake => "oversized_handshake",
            Self::Incompatible => "incompatible",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::CertificateRevoked => "certificate_revoked",
            Self::CertificateName => "certificate_name",
            Self::CertificateIssuer => "certificate_issuer",
            Self::CertificateStatus => "certificate_status",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateInvalid => "certificate_invalid",
            Self::Unwritable => "unwritable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert(alert) => return write!(f, "the peer gave up: {alert:?}"),
            Self::BadRecordMac => "a record was damaged or forged",
            Self::RecordOverflow => "a record is too long",
            Self::UnexpectedMessage => "a message came that has no place here",
            Self::Malformed => "the peer does not speak TLS as it is written",
            Self::Misbehaved => "the peer broke a rule of TLS",
            Self::Fruitless => "too many records without data",
            Self::OversizedHandshake => "the handshake is too large",
            Self::Incompatible => "no version, suite or protocol in common",
            Self::CertificateExpired => "the peer's certificate has expired",
            Self::CertificateNotYetValid => "the peer's certificate is not valid yet",
            Self::CertificateRevoked => "the peer's certificate has been revoked",
            Self::CertificateName => "the peer's certificate is for another name",
            Self::CertificateIssuer => "the peer's certificate is of an unknown authority",
            Self::CertificateStatus => {
                "whether the peer's certificate has been revoked is not known"
            }
            Self::CertificateMissing => "the peer showed no certificate",
            Self::CertificateInvalid => "the peer's certificate is not acceptable",
            Self::Unwritable => "the connection cannot be written to",
            Self::Internal => "an internal error",
        })
    }
}

impl std::error::Error for Fault {}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::AlertReceived(alert) => Self::Alert(alert),
            Error::DecryptError => Self::BadRecordMac,
            Error::PeerSentOversizedRecord => Self::RecordOverflow,
            // RFC 8446 §5 and §5.4 name the alert for the last two.
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(
                PeerMisbehaved::IllegalMiddleboxChangeCipherSpec
                | PeerMisbehaved::IllegalTlsInnerPlaintext,
            ) => Self::UnexpectedMessage,
            Error::InvalidMessage(_) => Self::Malformed,
            Error::PeerMisbehaved(_) => Self::Misbehaved,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::InvalidCertificate(error) => Self::from(error),
            Error::NoCertificatesPresented => Self::CertificateMissing,
            Error::InvalidCertRevocationList(_) => Self::CertificateStatus,
            _ => Self::Internal,
        }
    }
}

impl From<CertificateError> for Fault {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Self::CertificateExpired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::CertificateNotYetValid
            }
            CertificateError::Revoked => Self::CertificateRevoked,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::CertificateName
            }
            CertificateError::UnknownIssuer => Self::CertificateIssuer,
            CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => Self::CertificateStatus,
            _ => Self::CertificateInvalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_what_is_wrong_with_it() {
        for (error, fault) in [
            (CertificateError::NotValidYet, Fault::CertificateNotYetValid),
            (CertificateError::Expired, Fault::CertificateExpired),
            (CertificateError::NotValidForName, Fault::CertificateName),
            (CertificateError::UnknownIssuer, Fault::CertificateIssuer),
            (CertificateError::Revoked, Fault::CertificateRevoked),
            (CertificateError::BadSignature, Fault::CertificateInvalid),
            (CertificateError::UnknownRevocationStatus, Fault::CertificateStatus),
        ] {
            assert_eq!(Fault::from(Error::InvalidCertificate(error.clone())), fault, "{error:?}");
        }
    }

    #[test]
    fn an_alert_is_not_answered_by_an_alert() {
        assert_eq!(Fault::Alert(AlertDescription::InternalError).alert(), None);
    }
}
