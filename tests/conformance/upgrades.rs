//! Requests to become a WebSocket, each one change away from one that is accepted.

use corecast::base::Input;
use corecast::http::{Limits, Reader};
use corecast::ws::handshake::{accept, choose_subprotocol};

use self::Part::{Connection, Extra, Host, Key, Line, Protocol, Upgrade, Version};

/// What the server of these tests speaks, best first.
const SUPPORTED: [&str; 2] = ["v2.corecast", "v1.corecast"];

/// The parts of a request, in the order they are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Line,
    Host,
    Upgrade,
    Connection,
    Key,
    Version,
    Protocol,
    Extra,
}

/// A request that is accepted.
const ACCEPTED: [(Part, &[u8]); 8] = [
    (Line, b"GET /topics/a HTTP/1.1\r\n"),
    (Host, b"Host: example.com\r\n"),
    (Upgrade, b"Upgrade: websocket\r\n"),
    (Connection, b"Connection: Upgrade\r\n"),
    (Key, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
    (Version, b"Sec-WebSocket-Version: 13\r\n"),
    (Protocol, b""),
    (Extra, b"\r\n"),
];

/// What is put in the place of a part, and the status that is then answered.
///
/// `Extra` ends the head, so that rows may leave that out or add what follows.
const ROWS: &[(Part, &[u8], u16)] = &[
    // Method, target and version (RFC 6455 §4.1, RFC 9112 §3).
    (Line, b"GET / HTTP/1.1\r\n", 101),
    (Line, b"GET /a?b=c&d HTTP/1.1\r\n", 101),
    (Line, b"GET /%2e%2e/a HTTP/1.1\r\n", 101),
    (Line, b"GET /../../a HTTP/1.1\r\n", 101),
    (Line, b"GET http://example.com/a HTTP/1.1\r\n", 101),
    (Line, b"\r\nGET / HTTP/1.1\r\n", 101),
    (Line, b"\r\n\r\nGET / HTTP/1.1\r\n", 101),
    (Line, b"POST / HTTP/1.1\r\n", 405),
    (Line, b"HEAD / HTTP/1.1\r\n", 405),
    (Line, b"PUT / HTTP/1.1\r\n", 405),
    (Line, b"DELETE / HTTP/1.1\r\n", 405),
    (Line, b"OPTIONS * HTTP/1.1\r\n", 405),
    (Line, b"CONNECT a:80 HTTP/1.1\r\n", 405),
    (Line, b"TRACE / HTTP/1.1\r\n", 405),
    (Line, b"BREW / HTTP/1.1\r\n", 405),
    (Line, b"get / HTTP/1.1\r\n", 405),
    (Line, b"GET / HTTP/1.0\r\n", 400),
    (Line, b"GET / HTTP/0.9\r\n", 505),
    (Line, b"GET / HTTP/1.2\r\n", 505),
    (Line, b"GET / HTTP/2.0\r\n", 505),
    (Line, b"GET / HTTP/3.0\r\n", 505),
    (Line, b"GET / HTTP/2\r\n", 400),
    (Line, b"GET / HTTP/1.1 \r\n", 400),
    (Line, b"GET / http/1.1\r\n", 400),
    (Line, b"GET / HTTPS/1.1\r\n", 400),
    (Line, b"GET /\r\n", 400),
    (Line, b"GET\r\n", 400),
    (Line, b"GET  / HTTP/1.1\r\n", 400),
    (Line, b"GET /  HTTP/1.1\r\n", 400),
    (Line, b"GET /a b HTTP/1.1\r\n", 400),
    (Line, b"GET /a#b HTTP/1.1\r\n", 400),
    (Line, b"GET /\0 HTTP/1.1\r\n", 400),
    (Line, b"GET /\x7F HTTP/1.1\r\n", 400),
    (Line, b"GET /\xC3\xA9 HTTP/1.1\r\n", 400),
    (Line, b"GET /\xFF HTTP/1.1\r\n", 400),
    (Line, b"G\xC3\xA9T / HTTP/1.1\r\n", 400),
    (Line, b" GET / HTTP/1.1\r\n", 400),
    (Line, b"GET / HTTP/1.1\n", 400),
    (Line, b"\nGET / HTTP/1.1\r\n", 400),
    (Line, b"GET / HTTP/1.1\r", 400),
    (Line, b"PRI * HTTP/2.0\r\n", 505),
    (Line, b"\x16\x03\x01\x02\x00\x01\r\n", 400),
    // Host (RFC 9112 §3.2).
    (Host, b"host: example.com\r\n", 101),
    (Host, b"HOST:example.com:8443\r\n", 101),
    (Host, b"Host: [::1]:8080\r\n", 101),
    (Host, b"Host:\r\n", 101),
    (Host, b"", 400),
    (Host, b"Host: example.com\r\nHost: example.com\r\n", 400),
    (Host, b"Host: a\r\nhost: b\r\n", 400),
    (Host, b"Host : example.com\r\n", 400),
    (Host, b"Host: a, b\r\n", 400),
    (Host, b"Host: a b\r\n", 400),
    (Host, b"Host: user@a\r\n", 400),
    (Host, b"Host: a/b\r\n", 400),
    (Host, b"Host: \xC3\xA9\r\n", 400),
    // Upgrade (RFC 6455 §4.2.1).
    (Upgrade, b"upgrade: WebSocket\r\n", 101),
    (Upgrade, b"Upgrade:  websocket \r\n", 101),
    (Upgrade, b"Upgrade: foo, websocket\r\n", 101),
    (Upgrade, b"Upgrade: websocket,foo/2\r\n", 101),
    (Upgrade, b"Upgrade: foo\r\nUpgrade: websocket\r\n", 101),
    (Upgrade, b"", 426),
    (Upgrade, b"Upgrade:\r\n", 400),
    (Upgrade, b"Upgrade: h2c\r\n", 400),
    (Upgrade, b"Upgrade: h2c, websocket\r\n", 400),
    (Upgrade, b"Upgrade: websocket, H2C\r\n", 400),
    (Upgrade, b"Upgrade: websocket\r\nUpgrade: h2c\r\n", 400),
    (Upgrade, b"Upgrade: websocket/13\r\n", 400),
    (Upgrade, b"Upgrade: websockets\r\n", 400),
    (Upgrade, b"Upgrade: web socket\r\n", 400),
    (Upgrade, b"Upgrade: \"websocket\"\r\n", 400),
    (Upgrade, b"Upgrade: TLS/1.0\r\n", 400),
    // Connection (RFC 6455 §4.2.1).
    (Connection, b"connection: upgrade\r\n", 101),
    (Connection, b"Connection: UPGRADE\r\n", 101),
    (Connection, b"Connection: keep-alive, Upgrade\r\n", 101),
    (Connection, b"Connection: Upgrade,keep-alive\r\n", 101),
    (Connection, b"Connection: ,, Upgrade ,\r\n", 101),
    (Connection, b"Connection: keep-alive\r\nConnection: Upgrade\r\n", 101),
    (Connection, b"", 400),
    (Connection, b"Connection:\r\n", 400),
    (Connection, b"Connection: keep-alive\r\n", 400),
    (Connection, b"Connection: close\r\n", 400),
    (Connection, b"Connection: upgraded\r\n", 400),
    (Connection, b"Connection: not-upgrade\r\n", 400),
    (Connection, b"Connection: keep-alive Upgrade\r\n", 400),
    // The key (RFC 6455 §4.2.1).
    (Key, b"sec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n", 101),
    (Key, b"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n", 101),
    (Key, b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", 101),
    (Key, b"Sec-WebSocket-Key:\t//////////////////////==\t\r\n", 101),
    (Key, b"", 400),
    (Key, b"Sec-WebSocket-Key:\r\n", 400),
    (Key, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n", 400),
    (Key, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n", 400),
    (Key, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=\r\n", 400),
    (Key, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWVl\r\n", 400),
    (Key, b"Sec-WebSocket-Key: dGhlIHNhbXBsZS_ub25jZQ==\r\n", 400),
    (Key, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSB ub25jZQ=\r\n", 400),
    (Key, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j====\r\n", 400),
    (Key, b"Sec-WebSocket-Key: \xFF\xFF\xFFlIHNhbXBsZSBub25jZQ==\r\n", 400),
    (Key, b"Sec-WebSocket-Key: A\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400),
    (Key, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==\r\n", 400),
    // The version (RFC 6455 §4.2.2, §4.4).
    (Version, b"SEC-WEBSOCKET-VERSION:13\r\n", 101),
    (Version, b"", 426),
    (Version, b"Sec-WebSocket-Version:\r\n", 426),
    (Version, b"Sec-WebSocket-Version: 0\r\n", 426),
    (Version, b"Sec-WebSocket-Version: 7\r\n", 426),
    (Version, b"Sec-WebSocket-Version: 8\r\n", 426),
    (Version, b"Sec-WebSocket-Version: 12\r\n", 426),
    (Version, b"Sec-WebSocket-Version: 14\r\n", 426),
    (Version, b"Sec-WebSocket-Version: 013\r\n", 426),
    (Version, b"Sec-WebSocket-Version: +13\r\n", 426),
    (Version, b"Sec-WebSocket-Version: 13, 8\r\n", 426),
    (Version, b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n", 426),
    (Version, b"Sec-WebSocket-Version: 8\r\nSec-WebSocket-Version: 13\r\n", 426),
    // Subprotocols and extensions (RFC 6455 §4.1, §9.1).
    (Protocol, b"Sec-WebSocket-Protocol:\r\n", 101),
    (Protocol, b"Sec-WebSocket-Protocol: unknown\r\n", 101),
    (Protocol, b"Sec-WebSocket-Protocol: a, a\r\n", 400),
    (Protocol, b"Sec-WebSocket-Protocol: a b\r\n", 400),
    (Protocol, b"Sec-WebSocket-Protocol: a/b\r\n", 400),
    (Protocol, b"Sec-WebSocket-Protocol: \xE9\r\n", 400),
    (Protocol, b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n", 400),
    (Protocol, b"Sec-WebSocket-Extensions: permessage-deflate\r\n", 101),
    (Protocol, b"Sec-WebSocket-Extensions: x; y=\"1\", permessage-deflate; z\r\n", 101),
    // Other fields, bodies and line ends (RFC 9112 §2.2, §5, §6).
    (Extra, b"Origin: null\r\n\r\n", 101),
    (Extra, b"Cookie: a=\"\xC3\xA9\"\r\n\r\n", 101),
    (Extra, b"X: \xFF\x80\r\n\r\n", 101),
    (Extra, b"Content-Length: 0\r\n\r\n", 101),
    (Extra, b"\r\n\x81\x80\0\0\0\0", 101),
    (Extra, b"Content-Length: 1\r\n\r\nx", 400),
    (Extra, b"Content-Length: +0\r\n\r\n", 400),
    (Extra, b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400),
    (Extra, b"Content-Length: 0, 0\r\n\r\n", 400),
    (Extra, b"Content-Length: 65537\r\n\r\n", 413),
    (Extra, b"Content-Length: 18446744073709551616\r\n\r\n", 413),
    (Extra, b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    (Extra, b"Transfer-Encoding: x\r\n\r\n", 501),
    (Extra, b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400),
    (Extra, b"X: a\r\n b\r\n\r\n", 400),
    (Extra, b"X: a\r\n\tb\r\n\r\n", 400),
    (Extra, b"X: a\n\r\n", 400),
    (Extra, b"X: a\r\n\n", 400),
    (Extra, b"X: a\rb\r\n\r\n", 400),
    (Extra, b"X: a\0b\r\n\r\n", 400),
    (Extra, b"X: a\x08b\r\n\r\n", 400),
    (Extra, b"X : a\r\n\r\n", 400),
    (Extra, b"X\r\n\r\n", 400),
    (Extra, b": a\r\n\r\n", 400),
    (Extra, b"X Y: a\r\n\r\n", 400),
    (Extra, b"\xC3\xA9: a\r\n\r\n", 400),
];

/// The accepted request with another text in the place of `part`.
fn request(part: Part, text: &[u8]) -> Vec<u8> {
    let replace =
        |(place, default): (Part, &'static [u8])| if place == part { text } else { default };
    ACCEPTED.map(replace).concat()
}

/// What a server answers to a request that comes in `pieces`, and what it leaves of the last one.
fn answer(pieces: &[&[u8]]) -> (Option<u16>, String, Vec<u8>) {
    let mut reader = Reader::default();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        let mut out = Vec::new();
        match reader.next(&mut input, &Limits::default()) {
            Ok(None) => continue,
            Err(refusal) => refusal.response().encode(false, true, &mut out),
            Ok(Some((head, _))) => match accept(&head) {
                Ok(upgrade) => {
                    let supported = SUPPORTED.map(String::from);
                    upgrade.encode(choose_subprotocol(&head, &supported), None, &mut out);
                }
                Err(refusal) => refusal.response().encode(false, true, &mut out),
            },
        }
        let text = String::from_utf8(out).unwrap();
        let status = text.strip_prefix("HTTP/1.1 ").unwrap().split(' ').next().unwrap().parse();
        return (Some(status.unwrap()), text, input.rest().to_vec());
    }
    (None, String::new(), Vec::new())
}

#[test]
fn there_are_as_many_vectors_as_were_promised() {
    assert!(ROWS.len() >= 120, "{}", ROWS.len());
}

#[test]
fn each_request_gets_its_status() {
    for (part, text, status) in ROWS {
        let (found, answer, _) = answer(&[&request(*part, text)]);
        let row = String::from_utf8_lossy(text);
        assert_eq!(found, Some(*status), "{part:?}: {row:?} got {answer}");
    }
}

#[test]
fn each_request_gets_its_status_at_every_split() {
    for (part, text, status) in ROWS {
        let bytes = request(*part, text);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(answer(&single).0, Some(*status), "{:?}", String::from_utf8_lossy(text));
        for cut in 0..bytes.len() {
            let found = answer(&[&bytes[..cut], &bytes[cut..]]).0;
            assert_eq!(found, Some(*status), "{:?} cut at {cut}", String::from_utf8_lossy(text));
        }
    }
}

#[test]
fn a_refusal_closes_and_tells_what_would_do() {
    for (part, text, status) in ROWS.iter().filter(|(_, _, status)| *status != 101) {
        let (_, answer, _) = answer(&[&request(*part, text)]);
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.contains("\r\nContent-Length: "), "{answer}");
        assert_eq!(
            *status == 426,
            answer.contains("\r\nSec-WebSocket-Version: 13\r\n"),
            "{answer}"
        );
        assert_eq!(*status == 426, answer.contains("\r\nUpgrade: websocket\r\n"), "{answer}");
        assert_eq!(*status == 405, answer.contains("\r\nAllow: GET\r\n"), "{answer}");
    }
}

#[test]
fn nothing_that_was_asked_is_echoed() {
    for (part, text, _) in ROWS.iter().filter(|(_, _, status)| *status == 101) {
        let (_, answer, _) = answer(&[&request(*part, text)]);
        let lines: Vec<&str> =
            answer.lines().map(|line| line.split(": ").next().unwrap()).collect();
        let expected = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Accept",
            "",
        ];
        assert_eq!(lines, expected, "{answer}");
    }
}

#[test]
fn the_server_chooses_the_subprotocol() {
    let table: [(&str, Option<&str>); 8] = [
        ("v1.corecast", Some("v1.corecast")),
        ("v1.corecast, v2.corecast", Some("v2.corecast")),
        ("other,v1.corecast", Some("v1.corecast")),
        ("other\r\nSec-WebSocket-Protocol: v2.corecast", Some("v2.corecast")),
        ("other", None),
        ("V1.CORECAST", None),
        ("v1.corecast.", None),
        ("v1", None),
    ];
    for (offer, expected) in table {
        let offer = format!("Sec-WebSocket-Protocol: {offer}\r\n");
        let (_, answer, _) = answer(&[&request(Protocol, offer.as_bytes())]);
        let chosen = answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(chosen, expected, "{offer:?}");
    }
}

#[test]
fn a_head_full_of_offers_is_judged_like_any_other() {
    let offers: Vec<String> = (0..2_000).map(|number| format!("{number:x}")).collect();
    let offer = |last: &str| format!("Sec-WebSocket-Protocol: {},{last}\r\n", offers.join(","));
    for (last, status) in [("v1.corecast", 101), ("7", 400), ("/", 400)] {
        let bytes = request(Protocol, offer(last).as_bytes());
        assert!(bytes.len() > 6_000);
        assert_eq!(answer(&[&bytes]).0, Some(status), "{last}");
    }
}

#[test]
fn frames_that_follow_the_request_are_left_to_be_read() {
    let frame = b"\x81\x82\0\0\0\0hi";
    let bytes = request(Extra, &[b"\r\n", &frame[..]].concat());
    let head_len = bytes.len() - frame.len();
    for cut in 0..head_len {
        let (status, _, left) = answer(&[&bytes[..cut], &bytes[cut..]]);
        assert_eq!((status, &*left), (Some(101), &frame[..]), "cut at {cut}");
    }
}

#[test]
fn heads_are_limited_in_every_direction() {
    let limits = Limits::default();
    let fits = |part, text: String| answer(&[&request(part, text.as_bytes())]).0;
    let header_count = request(Extra, b"\r\n").split(|byte| *byte == b'\n').count() - 3;
    let bare_len = request(Extra, b"X: \r\n\r\n").len();
    let table = [
        (Line, format!("GET /{} HTTP/1.1\r\n", "a".repeat(limits.target_bytes_max - 1)), 101),
        (Line, format!("GET /{} HTTP/1.1\r\n", "a".repeat(limits.target_bytes_max)), 414),
        (Line, format!("GET /{}", "a".repeat(limits.head_bytes_max)), 414),
        (Extra, format!("X: {}\r\n\r\n", "a".repeat(limits.head_bytes_max - bare_len)), 101),
        (Extra, format!("X: {}\r\n\r\n", "a".repeat(limits.head_bytes_max - bare_len + 1)), 431),
        (Extra, "X: ".to_owned() + &"a".repeat(limits.head_bytes_max), 431),
        (Extra, "X: a\r\n".repeat(limits.headers_max - header_count) + "\r\n", 101),
        (Extra, "X: a\r\n".repeat(limits.headers_max - header_count + 1) + "\r\n", 431),
        (Extra, "X: a\r\n".repeat(2_000) + "\r\n", 431),
    ];
    for (part, text, status) in table {
        assert_eq!(fits(part, text.clone()), Some(status), "{part:?}, {} bytes", text.len());
    }
}
