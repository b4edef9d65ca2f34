//! Why a client did not get what it wanted, each in a sentence of its own.

use std::fmt;
use std::io;

use crate::http::{ResponseFault, Status};
use crate::tls;
use crate::ws::handshake::HandshakeFault;
use crate::ws::{self, CloseFrame};

/// Why a client did not get what it wanted.
#[derive(Debug)]
pub enum Failure {
    /// The host's name leads nowhere.
    Unknown(io::Error),
    /// No address of the host takes a connection.
    Unreachable(io::Error),
    /// The connection broke.
    Broken(io::Error),
    /// Nothing came for as long as was to be waited.
    TimedOut(Awaited),
    /// The TLS of the two does not come about, or was broken.
    Tls(tls::Fault),
    /// TLS cannot prove such a name.
    Unprovable(String),
    /// The connection ended amid the handshake of TLS.
    HungUp,
    /// The connection ended without the last word of TLS, so that something may be missing.
    Truncated,
    /// The connection ended before an answer began.
    Unanswered,
    /// The connection ended before an answer did.
    Unfinished,
    /// The answer is none of HTTP/1.1.
    Response(ResponseFault),
    /// A 101 to who asked for no other protocol.
    Switched,
    /// A refusal, properly said.
    Status(Status),
    /// The answer to the upgrade is none.
    Handshake(HandshakeFault),
    /// The server broke the rules of WebSocket.
    Frame(ws::Fault),
    /// The WebSocket was closed with a code that says that something went wrong.
    Closed(CloseFrame<'static>),
    /// The connection of a WebSocket ended without a close.
    Abandoned,
    /// What we read from or write to on this side failed.
    Local(io::Error),
}

/// What was waited for in vain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Awaited {
    /// That the connection is taken.
    Connection,
    /// The handshake of TLS.
    Handshake,
    /// An answer, or more of it.
    Answer,
    /// That the server takes what is sent.
    Reader,
    /// The answer to a ping.
    Pong,
    /// The answer to a close.
    Close,
}

/// Which layer failed: what a program that calls us decides by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layer {
    /// There is no connection, or none any more.
    Connection,
    /// TLS.
    Tls,
    /// The server understood, and refused.
    Http,
    /// The server speaks otherwise than it should.
    Protocol,
    /// This machine.
    Local,
}

impl Failure {
    /// Which layer failed.
    pub const fn layer(&self) -> Layer {
        match self {
            Self::Unknown(_) | Self::Unreachable(_) | Self::Broken(_) | Self::TimedOut(_) => {
                Layer::Connection
            }
            Self::Tls(_) | Self::Unprovable(_) | Self::HungUp | Self::Truncated => Layer::Tls,
            Self::Status(_) | Self::Handshake(HandshakeFault::Status(_)) => Layer::Http,
            Self::Unanswered
            | Self::Unfinished
            | Self::Response(_)
            | Self::Switched
            | Self::Handshake(_)
            | Self::Frame(_)
            | Self::Closed(_)
            | Self::Abandoned => Layer::Protocol,
            Self::Local(_) => Layer::Local,
        }
    }
}

impl From<tls::Fault> for Failure {
    fn from(fault: tls::Fault) -> Self {
        Self::Tls(fault)
    }
}

impl From<ResponseFault> for Failure {
    fn from(fault: ResponseFault) -> Self {
        Self::Response(fault)
    }
}

impl From<HandshakeFault> for Failure {
    fn from(fault: HandshakeFault) -> Self {
        Self::Handshake(fault)
    }
}

impl From<ws::Fault> for Failure {
    fn from(fault: ws::Fault) -> Self {
        Self::Frame(fault)
    }
}

/// The sentence goes on from the name of the server and a colon.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(error) => write!(f, "the name cannot be resolved: {error}"),
            Self::Unreachable(error) => write!(f, "cannot connect: {error}"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::TimedOut(awaited) => f.write_str(awaited.complaint()),
            Self::Tls(fault) => tls_sentence(*fault, f),
            Self::Unprovable(name) => write!(f, "no certificate can be for the name `{name}`"),
            Self::HungUp => f.write_str("the server hung up during the TLS handshake"),
            Self::Truncated => f.write_str(
                "the connection was cut off without close_notify: something may be missing",
            ),
            Self::Unanswered => f.write_str("the server hung up without an answer"),
            Self::Unfinished => f.write_str("the server hung up amid its answer"),
            Self::Response(fault) => fault.fmt(f),
            Self::Switched => {
                f.write_str("its answer is a change of protocol that nobody asked for")
            }
            Self::Status(status) => write!(f, "the server answered {status}"),
            Self::Handshake(fault) => fault.fmt(f),
            Self::Frame(fault) => write!(f, "it breaks the rules of WebSocket: {fault}"),
            Self::Closed(frame) => write!(f, "the server closed with {}", said(frame)),
            Self::Abandoned => f.write_str("the connection ended without a close frame (1006)"),
            Self::Local(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

/// What a close frame says, code and reason.
pub fn said(CloseFrame { code, reason }: &CloseFrame<'_>) -> String {
    if reason.is_empty() { code.to_string() } else { format!("{code}: {}", reason.escape_debug()) }
}

impl Awaited {
    const fn complaint(self) -> &'static str {
        match self {
            Self::Connection => "cannot connect in time",
            Self::Handshake => "the TLS handshake took too long",
            Self::Answer => "no answer came in time",
            Self::Reader => "the server did not take what was sent in time",
            Self::Pong => "the server does not answer pings any more",
            Self::Close => "the server did not answer the close in time",
        }
    }
}

/// What a fault of TLS means to somebody who wants to connect, and what helps.
fn tls_sentence(fault: tls::Fault, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use tls::{Alert, Fault};
    f.write_str(match fault {
        Fault::CertificateExpired => "the server's certificate has expired",
        Fault::CertificateNotYetValid => "the server's certificate is not valid yet",
        Fault::CertificateRevoked => "the server's certificate has been revoked",
        Fault::CertificateName => {
            "the server's certificate is for another name (--server-name says which to expect)"
        }
        Fault::CertificateIssuer => {
            "the server's certificate is of an unknown authority (--ca FILE makes one known)"
        }
        Fault::CertificateInvalid => "the server's certificate is not acceptable",
        Fault::Incompatible => "no version, suite or protocol of TLS in common",
        Fault::Malformed => "what answers there does not speak TLS",
        Fault::Alert(Alert::CertificateRequired) => {
            "the server wants a certificate of the client (--cert and --key)"
        }
        Fault::Alert(Alert::CertificateExpired) => {
            "the server refused our certificate: it has expired"
        }
        Fault::Alert(Alert::CertificateRevoked) => {
            "the server refused our certificate: it has been revoked"
        }
        Fault::Alert(Alert::UnknownCA) => {
            "the server refused our certificate: it is of an authority unknown there"
        }
        Fault::Alert(
            Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate,
        ) => "the server refused our certificate: it is not acceptable there",
        Fault::Alert(Alert::AccessDenied) => "the server knows our certificate and lets it not in",
        Fault::Alert(Alert::UnrecognisedName) => "the server has no certificate for this name",
        Fault::Alert(Alert::HandshakeFailure) => {
            "the server found nothing in common with us, or wants a certificate (--cert and --key)"
        }
        Fault::Alert(Alert::ProtocolVersion) => "the server speaks no version of TLS that we do",
        Fault::Alert(alert) => return write!(f, "the server gave up on TLS: {alert:?}"),
        fault => return write!(f, "TLS failed: {fault}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::CloseCode;

    #[test]
    fn the_layers_are_told_apart() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        for (failure, layer) in [
            (Failure::Unreachable(refused), Layer::Connection),
            (Failure::TimedOut(Awaited::Handshake), Layer::Connection),
            (Failure::Tls(tls::Fault::CertificateName), Layer::Tls),
            (Failure::Truncated, Layer::Tls),
            (Failure::Status(Status::NOT_FOUND), Layer::Http),
            (Failure::Handshake(HandshakeFault::Status(Status::OK)), Layer::Http),
            (Failure::Handshake(HandshakeFault::Accept), Layer::Protocol),
            (Failure::Abandoned, Layer::Protocol),
        ] {
            assert_eq!(failure.layer(), layer, "{failure}");
        }
    }

    #[test]
    fn each_trouble_with_a_certificate_has_a_sentence_of_its_own() {
        use tls::{Alert, Fault};
        let faults = [
            Fault::CertificateExpired,
            Fault::CertificateNotYetValid,
            Fault::CertificateRevoked,
            Fault::CertificateName,
            Fault::CertificateIssuer,
            Fault::CertificateInvalid,
            Fault::Alert(Alert::CertificateRequired),
            Fault::Alert(Alert::CertificateExpired),
            Fault::Alert(Alert::CertificateRevoked),
            Fault::Alert(Alert::UnknownCA),
            Fault::Alert(Alert::BadCertificate),
            Fault::Alert(Alert::AccessDenied),
            Fault::Alert(Alert::InternalError),
        ];
        let mut sentences: Vec<_> = faults.map(|it| Failure::Tls(it).to_string()).into();
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), faults.len(), "{sentences:?}");
    }

    #[test]
    fn what_a_close_says_cannot_disturb_a_terminal() {
        let frame = CloseFrame { code: CloseCode::POLICY, reason: "\x1b[2J".into() };
        assert_eq!(said(&frame), "1008: \\u{1b}[2J");
    }
}
