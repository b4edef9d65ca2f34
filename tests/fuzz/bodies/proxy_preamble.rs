//! What a proxy says in front of a connection: the same however it is cut, no more of it than is
//! allowed, and the client that a slow reading finds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use corecast::base::Input;
use corecast::proxy::{Announced, Fault, PREAMBLE_BYTES_MAX, Preamble};

use super::{Told, pieces};

pub fn run(bytes: &[u8]) {
    let mut told = Told::new(bytes);
    let lens = [told.byte(), told.byte()];
    let bytes = told.rest();
    let whole = read(&[bytes]);
    assert_eq!(read(&pieces(bytes, &lens)), whole);
    if let Ok(Some((announced, len))) = whole {
        assert!(len <= PREAMBLE_BYTES_MAX);
        let preamble = &bytes[..len];
        let slow = if preamble.starts_with(b"PROXY ") { line(preamble) } else { binary(preamble) };
        assert_eq!(announced, slow.map_or(Announced::Itself, Announced::Client));
    }
}

/// What `pieces` announce, and how long the announcement is.
fn read(pieces: &[&[u8]]) -> Result<Option<(Announced, usize)>, Fault> {
    let (mut preamble, mut len) = (Preamble::default(), 0);
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        let before = input.len();
        let announced = preamble.next(&mut input)?;
        len += before - input.len();
        if let Some(announced) = announced {
            return Ok(Some((announced, len)));
        }
        assert!(input.is_empty(), "more is wanted, and some was left");
    }
    Ok(None)
}

/// The client of `PROXY TCP4 SOURCE TARGET PORT PORT`.
fn line(preamble: &[u8]) -> Option<SocketAddr> {
    let text = str::from_utf8(preamble).expect("an announcement is text");
    let words: Vec<_> = text.strip_suffix("\r\n").expect("a line").split(' ').collect();
    match words[..] {
        ["PROXY", "TCP4", source, _, port, _] => {
            Some((source.parse::<Ipv4Addr>().unwrap(), port.parse().unwrap()).into())
        }
        ["PROXY", "TCP6", source, _, port, _] => {
            Some((source.parse::<Ipv6Addr>().unwrap(), port.parse().unwrap()).into())
        }
        ["PROXY", "UNKNOWN", ..] => None,
        _ => panic!("{text:?} announces somebody"),
    }
}

/// The client behind a signature of 12 bytes, command, family and two bytes of length.
fn binary(preamble: &[u8]) -> Option<SocketAddr> {
    let port = |at: usize| u16::from_be_bytes([preamble[at], preamble[at + 1]]);
    match preamble[12..14] {
        [0x21, 0x11] => {
            let ip: [u8; 4] = preamble[16..20].try_into().unwrap();
            Some(SocketAddr::new(IpAddr::from(ip), port(24)))
        }
        [0x21, 0x21] => {
            let ip: [u8; 16] = preamble[16..32].try_into().unwrap();
            Some(SocketAddr::new(IpAddr::from(ip), port(48)))
        }
        _ => None,
    }
}
