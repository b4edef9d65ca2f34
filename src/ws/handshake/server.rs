//! The server's side: judging a request, choosing a subprotocol, writing the 101.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::Accept;
use crate::http::{Method, RequestHead, Response, Status};
use crate::ws::deflate::{self, Agreement, Parameters, Takeover};

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
    /// `Sec-WebSocket-Extensions` does not follow its grammar (RFC 6455 §9.1).
    Extensions,
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
            | Self::Subprotocol
            | Self::Extensions => Status::BAD_REQUEST,
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
            Self::Extensions => "Sec-WebSocket-Extensions must list names with their parameters",
        })
    }
}

/// A request that may become a WebSocket, for as long as it takes to decide.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade {
    accept: Accept,
    deflate: Option<Parameters>,
}

impl Upgrade {
    /// What is agreed on when the client's first offer of permessage-deflate that makes sense is
    /// accepted; `None` if it made none (RFC 7692 §5.1).
    pub fn deflate(&self, takeover: Takeover) -> Option<Agreement> {
        self.deflate.map(|offer| Agreement::new(offer, takeover))
    }

    /// Writes the answer after which frames follow; `subprotocol` is one of ours, and `deflate`
    /// follows from this request.
    pub fn encode(&self, subprotocol: Option<&str>, deflate: Option<Agreement>, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: ",
        );
        out.extend_from_slice(&self.accept.0);
        if let Some(name) = subprotocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(name.as_bytes());
        }
        if let Some(agreement) = deflate {
            out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
            agreement.encode(out);
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// Whether a request asks to become something else, be it a WebSocket or not.
pub fn is_upgrade(head: &RequestHead) -> bool {
    head.header("upgrade").is_some()
}

/// Judges a request by the rules of RFC 6455 §4.2.1; its origin is for others to judge.
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
    let deflate = deflate::offered(head.headers_of("sec-websocket-extensions"))
        .map_err(|_| Refusal::Extensions)?;
    Ok(Upgrade { accept: Accept::new(key), deflate })
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
///
/// The offers are sorted, since comparing each with each would let one head of 8 KiB cost us
/// milliseconds.
fn check_subprotocols(head: &RequestHead) -> Result<(), Refusal> {
    let mut offers: Vec<&[u8]> = head.members("sec-websocket-protocol").collect();
    offers.sort_unstable();
    let are_different = offers.is_sorted_by(|one, next| one < next);
    let are_tokens = offers.iter().copied().flatten().copied().all(is_token_byte);
    if are_different && are_tokens { Ok(()) } else { Err(Refusal::Subprotocol) }
}

/// What a token may be made of (RFC 9110 §5.6.2).
pub(in crate::ws) fn is_token_byte(byte: u8) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Input;
    use crate::http::{Limits, Reader};

    const UPGRADE: &str = "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

    fn head(fields: &[&str]) -> RequestHead {
        let mut bytes = format!("GET / HTTP/1.1\r\n{}\r\n", fields.concat()).into_bytes();
        let request = Reader::default().next(&mut Input::new(&mut bytes), &Limits::default());
        request.unwrap().unwrap().0
    }

    fn judge(fields: &[&str]) -> Result<(), Refusal> {
        accept(&head(fields)).map(|_| ())
    }

    #[test]
    fn the_example_of_the_rfc_holds() {
        let upgrade = accept(&head(&[UPGRADE, KEY, VERSION])).unwrap();
        let mut out = Vec::new();
        upgrade.encode(Some("chat"), None, &mut out);
        assert_eq!(
            str::from_utf8(&out).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: chat\r\n\r\n"
        );
    }

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        let table = [
            ("AQIDBAUGBwgJCgsMDQ4PEA==", true),
            ("AQIDBAUGBwgJCgsMDQ4PEC==", true),
            ("AQIDBAUGBwgJCgsMDQ4PEBE=", false),
            ("AQIDBAUGBwgJCgsMDQ4P", false),
            ("AQIDBAUGBwgJCgsMDQ4PEA", false),
            ("AQIDBAUGBwgJCgsMDQ4PE===", false),
            ("AQIDBAUGBwgJCgsMDQ-_EA==", false),
            ("", false),
        ];
        for (key, valid) in table {
            let field = format!("Sec-WebSocket-Key: {key}\r\n");
            let expected = if valid { Ok(()) } else { Err(Refusal::Key) };
            assert_eq!(judge(&[UPGRADE, &field, VERSION]), expected, "{key}");
        }
    }

    #[test]
    fn a_version_that_is_not_ours_is_told_which_is() {
        for version in ["", "Sec-WebSocket-Version: 8\r\n", &VERSION.repeat(2)] {
            assert_eq!(judge(&[UPGRADE, KEY, version]), Err(Refusal::Version), "{version:?}");
        }
        let mut out = Vec::new();
        Refusal::Version.response().encode(false, true, &mut out);
        let answer = String::from_utf8(out).unwrap();
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }

    #[test]
    fn the_server_prefers_and_only_its_own_names_are_sent() {
        let supported = ["v2.chat".to_owned(), "chat".to_owned()];
        let table = [
            ("chat, v2.chat", Some("v2.chat")),
            ("chat", Some("chat")),
            ("x, chat\r\nSec-WebSocket-Protocol: y", Some("chat")),
            ("x\r\nSec-WebSocket-Protocol: v2.chat", Some("v2.chat")),
            ("Chat, chat2", None),
            ("", None),
        ];
        for (offer, expected) in table {
            let offer = format!("Sec-WebSocket-Protocol: {offer}\r\n");
            let head = head(&[UPGRADE, KEY, VERSION, &offer]);
            assert_eq!(choose_subprotocol(&head, &supported), expected, "{offer:?}");
            assert!(accept(&head).is_ok(), "{offer:?}");
        }
    }

    #[test]
    fn an_extension_is_agreed_on_only_if_it_was_offered() {
        let rows = [
            ("", None),
            ("Sec-WebSocket-Extensions: foo\r\n", None),
            (
                "Sec-WebSocket-Extensions: foo; bar=\"1\"\r\n\
                 Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
                Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
            ),
        ];
        for (field, expected) in rows {
            let upgrade = accept(&head(&[UPGRADE, KEY, VERSION, field])).unwrap();
            let mut out = Vec::new();
            upgrade.encode(None, upgrade.deflate(Takeover::Never), &mut out);
            let answer = String::from_utf8(out).unwrap();
            let said = answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Ext"));
            assert_eq!(said.and_then(|line| line.strip_prefix("ensions: ")), expected, "{answer}");
        }
    }

    #[test]
    fn extensions_follow_their_grammar() {
        for list in ["foo bar", "foo; =", "foo; bar=\"", "permessage-deflate;", "a;b=\"c d\""] {
            let field = format!("Sec-WebSocket-Extensions: {list}\r\n");
            let judged = judge(&[UPGRADE, KEY, VERSION, &field]);
            assert_eq!(judged, Err(Refusal::Extensions), "{list:?}");
        }
    }

    #[test]
    fn offers_are_different_tokens() {
        for offer in ["a b", "a, a", "a\r\nSec-WebSocket-Protocol: a", "a;b", "\"a\"", "é"] {
            let offer = format!("Sec-WebSocket-Protocol: {offer}\r\n");
            let judged = judge(&[UPGRADE, KEY, VERSION, &offer]);
            assert_eq!(judged, Err(Refusal::Subprotocol), "{offer:?}");
        }
    }
}
