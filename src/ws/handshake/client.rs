//! The client's side: writing the request, and believing the answer only after it is proven.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::Accept;
use crate::base::Input;
use crate::http::{ResponseFault, ResponseHead, ResponseReader, Status, field};
use crate::ws::deflate::{self, Agreement, Parameters};

/// More than any server says before its first frame.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Why a server's answer is no WebSocket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandshakeFault {
    /// The answer is no HTTP, or too long.
    Response(ResponseFault),
    /// The server answered with another status than 101.
    Status(Status),
    /// A 101 to something that was not asked for: `Upgrade` or `Connection` is wrong.
    NotUpgraded,
    /// `Sec-WebSocket-Accept` is not the digest of our key, once.
    Accept,
    /// A subprotocol that was not offered, or several.
    Subprotocol,
    /// An extension that was not offered, or parameters that the offer does not allow.
    Extension,
}

impl fmt::Display for HandshakeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(fault) => fault.fmt(f),
            Self::Status(status) => {
                write!(f, "the server answered {status} instead of 101 Switching Protocols")
            }
            Self::NotUpgraded => f.write_str("the server switched to another protocol"),
            Self::Accept => f.write_str("the server did not prove that it speaks WebSocket"),
            Self::Subprotocol => {
                f.write_str("the server chose a subprotocol that it was not offered")
            }
            Self::Extension => f.write_str("the server chose an extension that it was not offered"),
        }
    }
}

impl From<ResponseFault> for HandshakeFault {
    fn from(fault: ResponseFault) -> Self {
        Self::Response(fault)
    }
}

/// What a server agreed to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The subprotocol it chose among those offered.
    pub subprotocol: Option<String>,
    /// How messages may be deflated, if that was offered.
    pub deflate: Option<Agreement>,
}

/// One handshake of a client, from the request to the answer.
#[derive(Debug)]
pub struct ClientHandshake {
    request: Vec<u8>,
    accept: Accept,
    subprotocols: Vec<String>,
    deflate: Option<Parameters>,
    reader: ResponseReader,
}

impl ClientHandshake {
    /// A request for `target` on `host` (with its port, if that is not the scheme's own).
    ///
    /// The `nonce` must be fresh for each connection and not to be foreseen (RFC 6455 §4.1);
    /// `headers` are further fields, such as `Authorization` or `Origin`.
    pub fn new(
        nonce: [u8; 16],
        host: &str,
        target: &str,
        subprotocols: &[&str],
        headers: &[(&str, &str)],
    ) -> Self {
        let key = BASE64_STANDARD.encode(nonce);
        let mut request = format!("GET {target} HTTP/1.1\r\n").into_bytes();
        field(&mut request, "Host", host);
        field(&mut request, "Upgrade", "websocket");
        field(&mut request, "Connection", "Upgrade");
        field(&mut request, "Sec-WebSocket-Key", &key);
        field(&mut request, "Sec-WebSocket-Version", "13");
        if !subprotocols.is_empty() {
            field(&mut request, "Sec-WebSocket-Protocol", &subprotocols.join(", "));
        }
        for (name, value) in headers {
            field(&mut request, name, value);
        }
        let subprotocols = subprotocols.iter().copied().map(String::from).collect();
        let accept = Accept::new(key.as_bytes());
        Self { request, accept, subprotocols, deflate: None, reader: ResponseReader::default() }
    }

    /// Offers permessage-deflate with these parameters too (RFC 7692 §5).
    pub fn offering_deflate(mut self, offer: Parameters) -> Self {
        self.request.extend_from_slice(b"Sec-WebSocket-Extensions: ");
        offer.encode(&mut self.request);
        self.request.extend_from_slice(b"\r\n");
        self.deflate = Some(offer);
        self
    }

    /// Appends the request.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.request);
        out.extend_from_slice(b"\r\n");
    }

    /// What the server agreed to, once its answer is whole. Frames that follow stay in `input`.
    pub fn read(&mut self, input: &mut Input<'_>) -> Result<Option<Accepted>, HandshakeFault> {
        let Some(head) = self.reader.next(input, HEAD_BYTES_MAX)? else { return Ok(None) };
        self.judge(&head).map(Some)
    }

    /// Holds an answer against the rules of RFC 6455 §4.1.
    fn judge(&self, head: &ResponseHead) -> Result<Accepted, HandshakeFault> {
        if head.status() != Status::SWITCHING_PROTOCOLS {
            return Err(HandshakeFault::Status(head.status()));
        }
        let is_upgraded =
            head.has_member("upgrade", "websocket") && head.has_member("connection", "upgrade");
        if !is_upgraded {
            return Err(HandshakeFault::NotUpgraded);
        }
        if !head.headers_of("sec-websocket-accept").eq([&self.accept.0]) {
            return Err(HandshakeFault::Accept);
        }
        let extensions = head.headers_of("sec-websocket-extensions");
        let deflate =
            deflate::answered(extensions, self.deflate).map_err(|_| HandshakeFault::Extension)?;
        Ok(Accepted { subprotocol: self.chosen(head)?, deflate })
    }

    fn chosen(&self, head: &ResponseHead) -> Result<Option<String>, HandshakeFault> {
        let mut chosen = head.headers_of("sec-websocket-protocol");
        let name = match (chosen.next(), chosen.next()) {
            (None, _) => return Ok(None),
            (Some(name), None) => name,
            (Some(_), Some(_)) => return Err(HandshakeFault::Subprotocol),
        };
        let offered = self.subprotocols.iter().find(|offer| offer.as_bytes() == name);
        offered.cloned().map(Some).ok_or(HandshakeFault::Subprotocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nonce of the example in RFC 6455 §1.3.
    const NONCE: [u8; 16] = *b"the sample nonce";
    const UPGRADED: &str =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: x, upgrade\r\n";
    const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn handshake() -> ClientHandshake {
        ClientHandshake::new(NONCE, "a:80", "/x?y", &["chat", "v2"], &[("Origin", "http://a")])
    }

    fn read(fields: &[&str]) -> Result<Option<Accepted>, HandshakeFault> {
        let mut answer = format!("{}\r\n", fields.concat()).into_bytes();
        handshake().read(&mut Input::new(&mut answer))
    }

    #[test]
    fn a_request_says_all_that_is_needed() {
        let mut out = Vec::new();
        handshake().encode(&mut out);
        assert_eq!(
            str::from_utf8(&out).unwrap(),
            "GET /x?y HTTP/1.1\r\nHost: a:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: chat, v2\r\nOrigin: http://a\r\n\r\n"
        );
    }

    #[test]
    fn an_answer_that_proves_itself_is_believed() {
        let none = Accepted { subprotocol: None, deflate: None };
        assert_eq!(read(&[UPGRADED, ACCEPT]), Ok(Some(none)));
        let chosen = Accepted { subprotocol: Some("v2".to_owned()), deflate: None };
        assert_eq!(read(&[UPGRADED, ACCEPT, "Sec-WebSocket-Protocol: v2\r\n"]), Ok(Some(chosen)));
    }

    #[test]
    fn deflating_is_offered_and_what_is_agreed_on_is_told() {
        let mut handshake = handshake().offering_deflate(Parameters::default());
        let mut request = Vec::new();
        handshake.encode(&mut request);
        assert!(request.ends_with(b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"));
        let window = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n";
        let mut answer = format!("{UPGRADED}{ACCEPT}{window}\r\n").into_bytes();
        let accepted = handshake.read(&mut Input::new(&mut answer)).unwrap().unwrap();
        assert_eq!(accepted.deflate.unwrap().server().window_bits.get(), 10);
    }

    #[test]
    fn an_answer_that_does_not_prove_itself_is_not_believed() {
        let ok = "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: upgrade\r\n";
        let other = "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n";
        let close = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: close\r\n";
        let lower = ACCEPT.to_lowercase();
        let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let protocol = |name: &str| format!("Sec-WebSocket-Protocol: {name}\r\n");
        let malformed = HandshakeFault::Response(ResponseFault::Malformed);
        let table: [(&[&str], HandshakeFault); 13] = [
            (&[ok, ACCEPT], HandshakeFault::Status(Status::OK)),
            (&[other, ACCEPT], HandshakeFault::NotUpgraded),
            (&[close, ACCEPT], HandshakeFault::NotUpgraded),
            (&[UPGRADED], HandshakeFault::Accept),
            (&[UPGRADED, ACCEPT, ACCEPT], HandshakeFault::Accept),
            (&[UPGRADED, &lower], HandshakeFault::Accept),
            (&[UPGRADED, "Sec-WebSocket-Accept:\r\n"], HandshakeFault::Accept),
            (&[UPGRADED, ACCEPT, extension], HandshakeFault::Extension),
            (&[UPGRADED, ACCEPT, &protocol("other")], HandshakeFault::Subprotocol),
            (&[UPGRADED, ACCEPT, &protocol("chat, v2")], HandshakeFault::Subprotocol),
            (&[UPGRADED, ACCEPT, &protocol("")], HandshakeFault::Subprotocol),
            (&[UPGRADED, ACCEPT, &protocol("v2").repeat(2)], HandshakeFault::Subprotocol),
            (&["nonsense\r\n"], malformed),
        ];
        for (fields, fault) in table {
            assert_eq!(read(fields), Err(fault), "{fields:?}");
        }
    }
}
