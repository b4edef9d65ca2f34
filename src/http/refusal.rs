//! Why a request is not served, and with which status that is said.

use std::fmt;

use super::head::HeadFault;
use super::{Response, Status};

/// Why a request was refused. After any of these the connection is closed, since where the next
/// request would begin is no longer certain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The bytes are no request.
    Malformed,
    /// A line ended without a carriage return (RFC 9112 §2.2).
    BareLineFeed,
    /// No `Host` where one must be, several, or one that is none (RFC 9112 §3.2).
    BadHost,
    /// `Content-Length` is doubled, is not a number, or stands beside `Transfer-Encoding`
    /// (RFC 9112 §6.3).
    BadLength,
    /// The request did not arrive in time.
    TooSlow,
    /// The body is longer than `Limits::body_bytes_max`.
    OversizedBody,
    /// The target is longer than `Limits::target_bytes_max`.
    OversizedTarget,
    /// The head is longer than `Limits::head_bytes_max`.
    OversizedHead,
    /// The head has more fields than `Limits::headers_max`.
    TooManyHeaders,
    /// The body comes in a transfer coding; none is understood here (RFC 9112 §6.1).
    TransferCoding,
    /// Something is expected of us that we do not know (RFC 9110 §10.1.1).
    Expectation,
    /// The version is not HTTP/1.0 or HTTP/1.1.
    Version,
}

impl Refusal {
    /// What to answer.
    pub const fn status(self) -> Status {
        match self {
            Self::Malformed | Self::BareLineFeed | Self::BadHost | Self::BadLength => {
                Status::BAD_REQUEST
            }
            Self::TooSlow => Status::REQUEST_TIMEOUT,
            Self::OversizedBody => Status::CONTENT_TOO_LARGE,
            Self::OversizedTarget => Status::URI_TOO_LONG,
            Self::OversizedHead | Self::TooManyHeaders => Status::HEADER_FIELDS_TOO_LARGE,
            Self::TransferCoding => Status::NOT_IMPLEMENTED,
            Self::Expectation => Status::EXPECTATION_FAILED,
            Self::Version => Status::VERSION_NOT_SUPPORTED,
        }
    }

    /// The whole answer; to be sent with `Connection: close`.
    pub fn response(self) -> Response {
        Response::text(self.status(), format!("{self}\n"))
    }
}

impl From<HeadFault> for Refusal {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::BareLineFeed => Self::BareLineFeed,
            HeadFault::LongFirstLine => Self::OversizedTarget,
            HeadFault::LongHead => Self::OversizedHead,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "this is not an HTTP request",
            Self::BareLineFeed => "a line ends without a carriage return",
            Self::BadHost => "exactly one valid Host is needed",
            Self::BadLength => "the length of the body is not certain",
            Self::TooSlow => "the request did not arrive in time",
            Self::OversizedBody => "the body is too long",
            Self::OversizedTarget => "the target is too long",
            Self::OversizedHead => "the head is too long",
            Self::TooManyHeaders => "there are too many header fields",
            Self::TransferCoding => "transfer codings are not understood here",
            Self::Expectation => "only 100-continue may be expected here",
            Self::Version => "only HTTP/1.1 is spoken here",
        })
    }
}
