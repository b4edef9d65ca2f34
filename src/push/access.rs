//! Who may publish.
//!
//! Whoever can open a connection on this machine is trusted to publish, and nobody else without
//! the key of the operator. A connection from loopback is not always somebody on this machine: a
//! proxy forwards strangers, and a browser runs the pages of strangers. Both say so in the head of
//! the request, and then are strangers. So does a browser that proves with a certificate who sits
//! before it.

use std::fmt;
use std::hint;
use std::net::{IpAddr, SocketAddr};

use crate::http::{Origin, Origins, RequestHead, Response, Status};

use super::routes::refuse;

/// What a proxy adds to a request that it forwards.
const FORWARDED: [&str; 4] = ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"];

/// The token that backends show. It is never printed.
#[derive(Clone)]
pub struct PublishKey(String);

impl PublishKey {
    /// The key that is written so.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Compares in a time that tells how long the key is, and nothing else of it.
    fn is(&self, shown: &[u8]) -> bool {
        let key = self.0.as_bytes();
        let difference = key.iter().zip(shown).fold(0, |sum, (a, b)| sum | (a ^ b));
        key.len() == shown.len() && hint::black_box(difference) == 0
    }
}

impl fmt::Debug for PublishKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishKey({} bytes)", self.0.len())
    }
}

/// Which WebSocket clients may publish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Publishers {
    /// All of them.
    Everyone,
    /// Those on this machine, and not the pages of other sites that a browser here runs.
    Locals,
    /// None of them.
    Nobody,
}

impl Publishers {
    /// Whether the WebSocket that `peer` opens with `head` may publish.
    pub(super) fn admit(self, peer: SocketAddr, head: &RequestHead) -> bool {
        match self {
            Self::Everyone => true,
            Self::Locals => is_local(peer, head),
            Self::Nobody => false,
        }
    }
}

/// Whether `peer` may publish by POST, or the answer that it may not.
pub(super) fn check_post(
    peer: SocketAddr,
    head: &RequestHead,
    key: Option<&PublishKey>,
) -> Result<(), Response> {
    if is_local(peer, head) {
        return Ok(());
    }
    let Some(key) = key else {
        let reason = "without --publish-key only this machine may publish";
        return Err(refuse(Status::FORBIDDEN, reason));
    };
    match bearer(head) {
        Some(shown) if key.is(shown) => Ok(()),
        Some(_) => Err(unauthorized("this is not the publish key", "Bearer error=invalid_token")),
        None => Err(unauthorized("the publish key is needed as a bearer token", "Bearer")),
    }
}

/// Whether a request may come from where it does, or the answer that it may not: a browser sends
/// the requests of any page, with what it knows of its user, and says in `Origin` whose page it is.
/// Other clients say nothing, or what they like.
pub(super) fn check_origin(
    head: &RequestHead,
    secure: bool,
    origins: &Origins,
) -> Result<(), Response> {
    if origins.admit(head, secure) {
        return Ok(());
    }
    let shown: Vec<_> =
        head.headers_of("Origin").map(|origin| String::from_utf8_lossy(origin)).collect();
    let shown = shown.join(", ");
    let reason = format!("pages of the origin {shown} are not let in; --allow-origin says who is");
    Err(refuse(Status::FORBIDDEN, &reason))
}

/// Whether a request comes from somebody on this machine.
fn is_local(peer: SocketAddr, head: &RequestHead) -> bool {
    let is_forwarded = FORWARDED.iter().any(|name| head.header(name).is_some());
    let is_page_of_others = head.header("Origin").is_some_and(|origin| !is_local_origin(origin));
    peer.ip().to_canonical().is_loopback() && !is_forwarded && !is_page_of_others
}

/// Whether a page of `origin` was served by this machine: `http://localhost:3000` was, and `null`,
/// which a page of anybody can have, is not.
fn is_local_origin(origin: &[u8]) -> bool {
    let origin = str::from_utf8(origin).ok().and_then(Origin::parse);
    origin.is_some_and(|origin| {
        let host = origin.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    })
}

/// Whether a browser sends a request for a page of another site than the one it goes to.
pub(super) fn is_page_of_another_site(head: &RequestHead) -> bool {
    let is_ours = |origin: &[u8]| {
        let site = origin.strip_prefix(b"https://");
        site.is_some_and(|site| {
            head.header("Host").is_some_and(|host| host.eq_ignore_ascii_case(site))
        })
    };
    head.header("Origin").is_some_and(|origin| !is_ours(origin))
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750 §2.1).
fn bearer(head: &RequestHead) -> Option<&[u8]> {
    let (scheme, token) = head.header("Authorization")?.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

fn unauthorized(reason: &str, challenge: &'static str) -> Response {
    refuse(Status::UNAUTHORIZED, reason).with_header("WWW-Authenticate", challenge)
}

#[cfg(test)]
mod tests {
    use super::super::testing::head;
    use super::*;

    const KEY: &str = "0123456789abcdef";

    /// The status of a POST from `peer` with one more header; 200 if it may publish.
    fn post(peer: &str, header: &str, key: Option<&str>) -> u16 {
        let head = head(&format!("POST /topics/a HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n"));
        let peer = SocketAddr::new(peer.parse().unwrap(), 9);
        check_post(peer, &head, key.map(PublishKey::new).as_ref())
            .map_or_else(|response| response.status.0, |()| 200)
    }

    #[test]
    fn this_machine_needs_no_key() {
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(post(peer, "A: b", None), 200, "{peer}");
            assert_eq!(post(peer, "A: b", Some(KEY)), 200, "{peer}");
        }
    }

    #[test]
    fn others_need_the_key() {
        let rows = [
            ("Authorization: Bearer 0123456789abcdef", 200),
            ("authorization: bearer  0123456789abcdef", 200),
            ("Authorization: Bearer 0123456789abcdeg", 401),
            ("Authorization: Bearer 0123456789abcde", 401),
            ("Authorization: Bearer 0123456789abcdef0", 401),
            ("Authorization: Bearer ", 401),
            ("Authorization: Basic 0123456789abcdef", 401),
            ("A: b", 401),
        ];
        for (header, status) in rows {
            assert_eq!(post("192.0.2.1", header, Some(KEY)), status, "{header}");
        }
        assert_eq!(post("192.0.2.1", "Authorization: Bearer x", None), 403);
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", PublishKey::new(KEY)), "PublishKey(16 bytes)");
    }

    #[test]
    fn strangers_behind_a_proxy_or_in_a_browser_are_not_local() {
        let rows = [
            ("X-Forwarded-For: 192.0.2.1", 403),
            ("Forwarded: for=192.0.2.1", 403),
            ("Via: 1.1 proxy", 403),
            ("Origin: https://example.com", 403),
            ("Origin: https://localhost.example.com", 403),
            ("Origin: null", 403),
            ("Origin: http://localhost", 200),
            ("Origin: http://localhost:3000", 200),
            ("Origin: https://127.0.0.1:8443", 200),
            ("Origin: http://[::1]:8080", 200),
            ("Origin: http://[::1]", 200),
        ];
        for (header, status) in rows {
            assert_eq!(post("127.0.0.1", header, None), status, "{header}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_told_by_its_origin() {
        let rows = [
            ("A: b", false),
            ("Origin: https://a.example:8443", false),
            ("Origin: https://A.example:8443", false),
            ("Origin: http://a.example:8443", true),
            ("Origin: https://a.example", true),
            ("Origin: https://b.example:8443", true),
            ("Origin: null", true),
        ];
        for (header, is_other) in rows {
            let head = head(&format!(
                "POST /topics/a HTTP/1.1\r\nHost: a.example:8443\r\n{header}\r\n\r\n"
            ));
            assert_eq!(is_page_of_another_site(&head), is_other, "{header}");
        }
    }

    #[test]
    fn clients_publish_as_they_are_let() {
        let local = SocketAddr::from(([127, 0, 0, 1], 9));
        let plain = head("GET /topics/a HTTP/1.1\r\nHost: a\r\n\r\n");
        let foreign = head("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://example.com\r\n\r\n");
        let rows = [
            (Publishers::Everyone, true, true),
            (Publishers::Locals, true, false),
            (Publishers::Nobody, false, false),
        ];
        for (publishers, of_ours, of_others) in rows {
            assert_eq!(publishers.admit(local, &plain), of_ours, "{publishers:?}");
            assert_eq!(publishers.admit(local, &foreign), of_others, "{publishers:?}");
        }
    }
}
