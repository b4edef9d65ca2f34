//! The server's side: judging a request, choosing a subprotocol, writing the 101.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::Accept;
use crate::http::{Method, RequestHead, Response, Status};

/// Reads keys. The last digit of one carries four bits that mean nothing and need not be zero: the
/// example key of RFC 6455 §4.1 is written so.
const KEYS: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Why a request does not become a WebSocket. The connection is closed after the answer: what
/// follows a refused upgrade may not be HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The method is not GET (RFC 6455 §4.1).
    Method,
    /// HTTP/1.0 knows no upgrade.
    HttpVersion,
    /// A body where none may be.
    Body,
    /// No upgrade was asked for, and nothing else is served here.
    NotUpgrade,
    /// `Upgrade` does not list `websocket`, or lists HTTP/2, which a proxy may have let pass.
    Upgrade,
    /// `Connection` does not list `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Version` is not 13, once.
    Version,
    /// `Sec-WebSocket-Key` is not 16 bytes in base64, once.
    Key,
    /// `Sec-WebSocket-Protocol` lists what is no token, or one twice.
    Subprotocol,
}

impl Refusal {
    /// What to answer.
    pub const fn status(self) -> Status {
        match self {
            Self::Method => Status::METHOD_NOT_ALLOWED,
            Self::NotUpgrade | Self::Version => Status::UPGRADE_REQUIRED,
            Self::HttpVersion
            | Self::Body
            | Self::Upgrade
            | Self::Connection
            | Self::Key
            | Self::Subprotocol => Status::BAD_REQUEST,
        }
    }

    /// The whole answer; to be sent with `Connection: close`.
    pub fn response(self) -> Response {
        let response = Response::text(self.status(), format!("{self}\n"));
        match self {
            Self::Method => response.with_header("Allow", "GET"),
            Self::NotUpgrade | Self::Version => response
                .with_header("Upgrade", "websocket")
                .with_header("Sec-WebSocket-Version", "13"),
            _ => response,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "a WebSocket begins with GET",
            Self::HttpVersion => "a WebSocket needs HTTP/1.1",
            Self::Body => "a WebSocket begins without a body",
            Self::NotUpgrade => "this is for WebSocket clients",
            Self::Upgrade => "Upgrade must be websocket",
            Self::Connection => "Connection must list Upgrade",
            Self::Version => "Sec-WebSocket-Version must be 13",
            Self::Key => "Sec-WebSocket-Key must be 16 bytes in base64",
            Self::Subprotocol => "Sec-WebSocket-Protocol must list different tokens",
        })
    }
}

/// A request that may become a WebSocket, for as long as it takes to decide.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade {
    accept: Accept,
}

impl Upgrade {
    /// Writes the answer after which frames follow; `subprotocol` is one of ours.
    pub fn encode(&self, subprotocol: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: ",
        );
        out.extend_from_slice(&self.accept.0);
        if let Some(name) = subprotocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(name.as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// Whether a request asks to become something else, be it a WebSocket or not.
pub fn is_upgrade(head: &RequestHead) -> bool {
    head.header("upgrade").is_some()
}

/// Judges a request by the rules of RFC 6455 §4.2.1. Origin and subprotocol are for others to judge.
pub fn accept(head: &RequestHead) -> Result<Upgrade, Refusal> {
    if !is_upgrade(head) {
        return Err(Refusal::NotUpgrade);
    }
    if head.method() != Method::Get {
        return Err(Refusal::Method);
    }
    if head.minor_version() == 0 {
        return Err(Refusal::HttpVersion);
    }
    if head.body_len() > 0 {
        return Err(Refusal::Body);
    }
    check_upgrade(head)?;
    if !head.has_member("connection", "upgrade") {
        return Err(Refusal::Connection);
    }
    if sole(head, "sec-websocket-version") != Some(b"13") {
        return Err(Refusal::Version);
    }
    let key = sole(head, "sec-websocket-key").filter(|key| is_key(key)).ok_or(Refusal::Key)?;
    check_subprotocols(head)?;
    Ok(Upgrade { accept: Accept::new(key) })
}

/// The first of `supported`, in the server's order, that the client offers.
pub fn choose_subprotocol<'s>(head: &RequestHead, supported: &'s [String]) -> Option<&'s str> {
    let is_offered = |name: &&String| {
        head.members("sec-websocket-protocol").any(|offer| offer == name.as_bytes())
    };
    supported.iter().find(is_offered).map(String::as_str)
}

fn check_upgrade(head: &RequestHead) -> Result<(), Refusal> {
    let is_http2 = head.has_member("upgrade", "h2c") || head.has_member("upgrade", "h2");
    if is_http2 || !head.has_member("upgrade", "websocket") {
        return Err(Refusal::Upgrade);
    }
    Ok(())
}

/// Whatever is offered must be tokens, each once (RFC 6455 §4.1).
fn check_subprotocols(head: &RequestHead) -> Result<(), Refusal> {
    let offers = || head.members("sec-websocket-protocol");
    for (index, offer) in offers().enumerate() {
        let is_new = offers().take(index).all(|earlier| earlier != offer);
        if !is_new || !offer.iter().copied().all(is_token_byte) {
            return Err(Refusal::Subprotocol);
        }
    }
    Ok(())
}

/// What a token may be made of (RFC 9110 §5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The value of a field that must come once.
fn sole<'h>(head: &'h RequestHead, name: &str) -> Option<&'h [u8]> {
    let mut values = head.headers_of(name);
    values.next().filter(|_| values.next().is_none())
}

fn is_key(key: &[u8]) -> bool {
    let mut nonce = [0; 18];
    KEYS.decode_slice(key, &mut nonce) == Ok(16)
}
