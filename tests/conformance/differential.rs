//! Our readers beside others: the head of a request beside httparse and beside a slow reading of
//! RFC 9112, an upgrade beside one of RFC 6455, frames beside another.
//!
//! Every disagreement is explained in `tests/support/disagreements.txt`, or fails.

use corecast::base::Input;
use corecast::ws::{Decoder, Event, Fault, Limits, MaskKey, Opcode, Role};
use proptest::prelude::*;

use super::rfc6455;
use super::verdicts::{Disagreement, EXPLAINED, check_head, heads};

/// Lines of requests, some of them nearly right.
const FIRST_LINES: [&str; 20] = [
    "GET / HTTP/1.1\r\n",
    "GET /a?b=%20c HTTP/1.1\r\n",
    "GET http://a:80/b?c HTTP/1.1\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "CONNECT a:80 HTTP/1.1\r\n",
    "POST /a HTTP/1.0\r\n",
    "\r\nGET / HTTP/1.1\r\n",
    "\r\n\r\nHEAD / HTTP/1.1\r\n",
    "GET * HTTP/1.1\r\n",
    "GET //a/../b HTTP/1.1\r\n",
    "GET /%zz HTTP/1.1\r\n",
    "GET /#a HTTP/1.1\r\n",
    "GET / HTTP/1.2\r\n",
    "GET / HTTP/2.0\r\n",
    "GET  / HTTP/1.1\r\n",
    "GET / HTTP/1.1 \r\n",
    "G(T / HTTP/1.1\r\n",
    "GET / HTTP/1.1\n",
    " GET / HTTP/1.1\r\n",
    "GET /\u{e9} HTTP/1.1\r\n",
];

const FIELDS: [&str; 40] = [
    "Host: a\r\n",
    "Host: a:80\r\n",
    "Host: [::1]:8080\r\n",
    "Host:\r\n",
    "Host: a:b\r\n",
    "Host: a b\r\n",
    "Host: a]\r\n",
    "host : a\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: 03\r\n",
    "Content-Length: +3\r\n",
    "Content-Length: 3, 3\r\n",
    "Content-Length:\r\n",
    "Content-Length: 65\r\n",
    "Content-Length: 99999999999999999999999999999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, Chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "Upgrade: websocket\r\n",
    "Upgrade: h2c, WebSocket\r\n",
    "Upgrade: websocket/13\r\n",
    "Connection: Upgrade\r\n",
    "Connection: keep-alive,, upgrade\r\n",
    "Connection: close\r\n",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n",
    "Sec-WebSocket-Version: 13\r\n",
    "Sec-WebSocket-Version: 8\r\n",
    "Sec-WebSocket-Protocol: a, b\r\n",
    "Sec-WebSocket-Protocol: b\r\n",
    "Sec-WebSocket-Protocol: b c\r\n",
    "X:\t a\tb \t\r\n",
    "X: a\r\n b\r\n",
    "X: a\rb\r\n",
    "X: a\n",
    "X: \u{e9}\r\n",
    "X\r\n",
    ": x\r\n",
];

/// Fields of an upgrade, each of which may be left out.
const UPGRADE: [&str; 5] = [
    "Host: a\r\n",
    "Upgrade: websocket\r\n",
    "Connection: Upgrade\r\n",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "Sec-WebSocket-Version: 13\r\n",
];

fn request() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        3 => Just(FIRST_LINES[0]),
        1 => prop::sample::select(FIRST_LINES.to_vec()),
    ];
    let kept = prop::collection::vec(prop::bool::weighted(0.9), UPGRADE.len());
    let odd = prop::collection::vec(prop::sample::select(FIELDS.to_vec()), 0..4);
    let change = prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (first, kept, odd, change).prop_map(|(first, kept, odd, change)| {
        let usual = UPGRADE.iter().zip(kept).filter(|(_, is_kept)| *is_kept);
        let usual: Vec<&str> = usual.map(|(field, _)| *field).collect();
        let mut bytes = [&[first], &usual[..], &odd[..], &["\r\n"]].concat().concat().into_bytes();
        if let Some((at, byte)) = change {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

/// The frames of a client, nearly right.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        6 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x80, 0x00, 0x89, 0x8A, 0x88]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        "[a-z\u{e9}\u{20ac}\u{1f600}]{0,30}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..5),
        (990u16..1020).prop_map(|code| code.to_be_bytes().to_vec()),
        prop::collection::vec(0x80u8.., 130..140),
    ];
    let frame = (first, payload, any::<[u8; 4]>(), prop::bool::weighted(0.95)).prop_map(
        |(first, payload, key, is_masked)| {
            let mask = is_masked.then_some(MaskKey(key));
            let (opcode, payload_len) = (Opcode::Binary, payload.len() as u64);
            let header = corecast::ws::FrameHeader {
                fin: true,
                compressed: false,
                opcode,
                mask,
                payload_len,
            };
            let mut bytes = header.encode().as_slice().to_vec();
            bytes[0] = first;
            let mut masked = payload;
            rfc6455::unmask(&mut masked, if is_masked { key } else { [0; 4] }, 0);
            bytes.extend(masked);
            bytes
        },
    );
    prop::collection::vec(frame, 1..8).prop_map(|frames| frames.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn who_reads_heads_otherwise_is_explained(bytes in request()) {
        check_head(&bytes);
    }

    #[test]
    fn frames_are_read_as_the_rfc_has_them(
        bytes in frames(),
        piece_len in 1usize..200,
        cut in any::<prop::sample::Index>(),
        fragments_max in 1u32..5,
    ) {
        let limits = Limits { message_bytes_max: 100, fragments_max };
        let bytes = &bytes[..=cut.index(bytes.len())];
        let expected = rfc6455::frames(bytes, Role::Server, &limits);
        prop_assert_eq!(decode(bytes, piece_len, &limits), expected);
    }
}

fn decode(bytes: &[u8], piece_len: usize, limits: &Limits) -> (Vec<Event<'static>>, Option<Fault>) {
    let (mut decoder, mut events) = (Decoder::new(Role::Server), Vec::new());
    for piece in bytes.chunks(piece_len) {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match decoder.next(&mut input, limits) {
                Ok(Some(event)) => events.push(rfc6455::owned(event)),
                Ok(None) => break,
                Err(fault) => return (events, Some(fault)),
            }
        }
    }
    (events, None)
}

#[test]
fn every_row_of_the_list_explains_something() {
    let rows = &*EXPLAINED;
    for row in rows.iter().filter(|row| row.disagreement.with != "tungstenite") {
        let found = heads(&row.example);
        assert!(found.contains(&row.disagreement), "{row:?} found {found:?}");
    }
    for (place, row) in rows.iter().enumerate() {
        let twin = rows[..place].iter().find(|twin| twin.disagreement == row.disagreement);
        assert!(twin.is_none(), "explained twice: {row:?}");
    }
}

#[test]
fn a_disagreement_without_a_row_is_found() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nX: \n\r\n\r\n";
    let found = heads(bytes);
    let with_httparse = Disagreement {
        with: "httparse".to_owned(),
        ours: "BareLineFeed".to_owned(),
        theirs: "accepts".to_owned(),
    };
    assert_eq!(found, [with_httparse]);
}
