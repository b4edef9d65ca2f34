//! The PROXY protocol, versions 1 and 2 (`proxy-protocol.txt` of HAProxy): what a proxy says before
//! the first byte of its client.
//!
//! ```text
//! version 1   PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 CR LF
//! version 2   12 bytes of signature | version and command | family | length (2) | addresses, TLVs
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::base::Input;

/// The longest preamble. Addresses take 52 bytes at most and what proxies add (a name, what they
/// know of a certificate) some hundreds; the two bytes of its length could ask for 64 KiB.
pub const PREAMBLE_BYTES_MAX: usize = 4_096;

/// The longest line of version 1, with its CR LF (§2.1).
const LINE_BYTES_MAX: usize = 107;

/// How version 2 begins: no other protocol does (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, command, family, length.
const HEADER_BYTES: usize = 16;

/// Whom a proxy connects for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Announced {
    /// For the client at this address.
    Client(SocketAddr),
    /// For itself, to see whether we live, or for somebody whose address is none of ours to know:
    /// the address of the connection counts.
    Itself,
}

/// Why what came first is no announcement of a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It is not the PROXY protocol.
    Absent,
    /// It says nothing that the protocol knows.
    Malformed,
    /// It is longer than [`PREAMBLE_BYTES_MAX`].
    Oversized,
}

/// The announcement in front of a connection, of which a part may have come.
#[derive(Debug, Default)]
pub struct Preamble {
    kept: Vec<u8>,
}

impl Preamble {
    /// Reads on until the announcement is whole; what follows it stays in `input`.
    ///
    /// Returns `None` when all input is used up; what is unfinished has been kept.
    ///
    /// # Errors
    ///
    /// As soon as what came can no longer become an announcement.
    pub fn next(&mut self, input: &mut Input<'_>) -> Result<Option<Announced>, Fault> {
        let before = self.kept.len();
        let room = PREAMBLE_BYTES_MAX - before;
        self.kept.extend(input.rest().iter().take(room));
        let Some((announced, len)) = decode(&self.kept)? else {
            input.take(room);
            return Ok(None);
        };
        input.take(len - before);
        Ok(Some(announced))
    }
}

/// Reads the announcement at the front of `bytes`, with its length. `None` while there is too
/// little of it.
fn decode(bytes: &[u8]) -> Result<Option<(Announced, usize)>, Fault> {
    if let Some(rest) = bytes.strip_prefix(SIGNATURE) {
        return decode_binary(rest);
    }
    if let Some(rest) = bytes.strip_prefix(b"PROXY ") {
        return decode_line(rest, bytes);
    }
    let may_become = SIGNATURE.starts_with(bytes) || b"PROXY ".starts_with(bytes);
    if may_become { Ok(None) } else { Err(Fault::Absent) }
}

/// Reads a line of version 1, whose words are `words` and which begins with `line`.
fn decode_line(words: &[u8], line: &[u8]) -> Result<Option<(Announced, usize)>, Fault> {
    let within = line.get(..LINE_BYTES_MAX).unwrap_or(line);
    let Some(end) = within.windows(2).position(|two| two == b"\r\n") else {
        return if line.len() < LINE_BYTES_MAX { Ok(None) } else { Err(Fault::Malformed) };
    };
    let len = words.len() - (line.len() - end);
    let words = words.get(..len).and_then(|words| str::from_utf8(words).ok());
    let announced = words.and_then(client_of_line).ok_or(Fault::Malformed)?;
    Ok(Some((announced, end + 2)))
}

/// Reads `TCP4 SOURCE TARGET PORT PORT`; what follows `UNKNOWN` means nothing (§2.1).
fn client_of_line(words: &str) -> Option<Announced> {
    let mut words = words.split(' ');
    let mut is_v4 = false;
    match words.next()? {
        "UNKNOWN" => return Some(Announced::Itself),
        "TCP4" => is_v4 = true,
        "TCP6" => {}
        _ => return None,
    }
    let mut address = || words.next()?.parse().ok().filter(|it: &IpAddr| it.is_ipv4() == is_v4);
    let (source, _target) = (address()?, address()?);
    let mut port = || {
        let word = words.next()?;
        let is_plain = word == "0" || !word.starts_with(['0', '+']);
        word.parse().ok().filter(|_: &u16| is_plain)
    };
    let (source_port, _target_port) = (port()?, port()?);
    words.next().is_none().then_some(Announced::Client(SocketAddr::new(source, source_port)))
}

/// Reads what follows the signature of version 2 (§2.2). TLVs are skipped.
fn decode_binary(rest: &[u8]) -> Result<Option<(Announced, usize)>, Fault> {
    let [version, family, high, low, body @ ..] = rest else {
        // What is wrong already need not become whole.
        return rest.first().map_or(Ok(None), |first| command(*first).map(|_| None));
    };
    let is_proxied = command(*version)?;
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    if HEADER_BYTES + len > PREAMBLE_BYTES_MAX {
        return Err(Fault::Oversized);
    }
    let Some(body) = body.get(..len) else { return Ok(None) };
    let client = if is_proxied { client_of_body(*family, body)? } else { None };
    let announced = client.map_or(Announced::Itself, Announced::Client);
    Ok(Some((announced, HEADER_BYTES + len)))
}

/// Whether the command is PROXY, and not LOCAL.
const fn command(byte: u8) -> Result<bool, Fault> {
    match byte {
        0x20 => Ok(false),
        0x21 => Ok(true),
        _ => Err(Fault::Malformed),
    }
}

/// The source address of a body: none for UNSPEC, for UNIX sockets and for datagrams, which no
/// client of a TCP connection has.
fn client_of_body(family: u8, body: &[u8]) -> Result<Option<SocketAddr>, Fault> {
    let (ip, ports): (IpAddr, _) = match family {
        0x11 => {
            let (source, rest) = body.split_first_chunk::<4>().ok_or(Fault::Malformed)?;
            (Ipv4Addr::from(*source).into(), rest.get(4..8))
        }
        0x21 => {
            let (source, rest) = body.split_first_chunk::<16>().ok_or(Fault::Malformed)?;
            (Ipv6Addr::from(*source).into(), rest.get(16..20))
        }
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => return Ok(None),
        _ => return Err(Fault::Malformed),
    };
    let Some([high, low, ..]) = ports else { return Err(Fault::Malformed) };
    Ok(Some(SocketAddr::new(ip, u16::from_be_bytes([*high, *low]))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A preamble of version 2.
    fn binary(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[version, family][..], &len, body].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 0x04, 1, 0xBB];

    fn v6() -> Vec<u8> {
        let source = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets();
        [&source[..], &[0; 16], &[0, 80, 1, 0xBB]].concat()
    }

    /// What `bytes` announce when they come in pieces of `piece`, and how many were left over.
    fn read(bytes: &[u8], piece: usize) -> Result<Option<(Announced, usize)>, Fault> {
        let mut preamble = Preamble::default();
        let mut left = bytes.len();
        for part in bytes.chunks(piece) {
            let mut part = part.to_vec();
            let mut input = Input::new(&mut part);
            let len = input.len();
            let announced = preamble.next(&mut input)?;
            left -= len - input.len();
            if let Some(announced) = announced {
                return Ok(Some((announced, left)));
            }
            assert!(input.is_empty(), "bytes were left although more are wanted");
        }
        Ok(None)
    }

    fn client(address: &str) -> Announced {
        Announced::Client(address.parse().unwrap())
    }

    /// Every preamble that says something, and what.
    fn good() -> Vec<(Vec<u8>, Announced)> {
        let with_tlvs = [&V4[..], &[4, 0, 2, 1, 1], &[0; 300]].concat();
        vec![
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".to_vec(),
                client("192.0.2.1:56324"),
            ),
            (
                b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n".to_vec(),
                client("255.255.255.255:65535"),
            ),
            (b"PROXY TCP6 2001:db8::1 ::1 80 443\r\n".to_vec(), client("[2001:db8::1]:80")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Announced::Itself),
            (b"PROXY UNKNOWN ffff::1 any words\r\n".to_vec(), Announced::Itself),
            (binary(0x21, 0x11, &V4), client("192.0.2.1:56324")),
            (binary(0x21, 0x11, &with_tlvs), client("192.0.2.1:56324")),
            (binary(0x21, 0x21, &v6()), client("[2001:db8::1]:80")),
            (binary(0x20, 0x00, &[]), Announced::Itself),
            (binary(0x20, 0x11, &V4), Announced::Itself),
            (binary(0x20, 0x77, &[1, 2, 3]), Announced::Itself),
            (binary(0x21, 0x00, &[]), Announced::Itself),
            (binary(0x21, 0x31, &[0; 216]), Announced::Itself),
            (binary(0x21, 0x12, &V4), Announced::Itself),
        ]
    }

    #[test]
    fn an_announcement_is_read_however_it_is_cut_and_nothing_behind_it_is() {
        for (bytes, announced) in good() {
            let followed = [&bytes[..], b"GET / "].concat();
            for piece in 1..=followed.len() {
                let found = read(&followed, piece);
                assert_eq!(found.map(|it| it.map(|it| it.0)), Ok(Some(announced)), "{piece}");
            }
            assert_eq!(read(&followed, usize::MAX), Ok(Some((announced, 6))));
            for cut in 0..bytes.len() {
                assert_eq!(read(&bytes[..cut], 5), Ok(None), "cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_announcement_is_refused_as_soon_as_it_shows() {
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'a'; 93]].concat();
        let rows: Vec<(Vec<u8>, Fault)> = vec![
            (b"G".to_vec(), Fault::Absent),
            (b"PROXX".to_vec(), Fault::Absent),
            (b"proxy TCP4".to_vec(), Fault::Absent),
            (b"\x16\x03\x01".to_vec(), Fault::Absent),
            (b"\r\n\r\n\0\r\nQUIX".to_vec(), Fault::Absent),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n".to_vec(), Fault::Malformed),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 1\r\n".to_vec(), Fault::Malformed),
            (b"PROXY TCP4 192.0.2.1  198.51.100.7 56324 443\r\n".to_vec(), Fault::Malformed),
            (b"PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n".to_vec(), Fault::Malformed),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n".to_vec(), Fault::Malformed),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n".to_vec(), Fault::Malformed),
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 +1 443\r\n".to_vec(), Fault::Malformed),
            (b"PROXY TCP4 ::1 ::1 1 1\r\n".to_vec(), Fault::Malformed),
            (b"PROXY TCP6 192.0.2.1 198.51.100.7 1 1\r\n".to_vec(), Fault::Malformed),
            (b"PROXY UDP4 192.0.2.1 198.51.100.7 1 1\r\n".to_vec(), Fault::Malformed),
            (b"PROXY \r\n".to_vec(), Fault::Malformed),
            (long, Fault::Malformed),
            (binary(0x11, 0x11, &V4), Fault::Malformed),
            (binary(0x22, 0x11, &V4), Fault::Malformed),
            (binary(0x31, 0x11, &V4), Fault::Malformed),
            (binary(0x21, 0x41, &V4), Fault::Malformed),
            (binary(0x21, 0x13, &V4), Fault::Malformed),
            (binary(0x21, 0x11, &V4[..11]), Fault::Malformed),
            (binary(0x21, 0x21, &V4), Fault::Malformed),
            (binary(0x20, 0, &[0; PREAMBLE_BYTES_MAX - HEADER_BYTES + 1]), Fault::Oversized),
        ];
        for (bytes, fault) in rows {
            for piece in [1, 2, 7, usize::MAX] {
                assert_eq!(read(&bytes, piece), Err(fault), "{}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn the_longest_line_and_the_longest_preamble_are_read() {
        let line = [b"PROXY UNKNOWN ".as_slice(), &[b'a'; 91], b"\r\n"].concat();
        assert_eq!(line.len(), LINE_BYTES_MAX);
        assert_eq!(read(&line, 9), Ok(Some((Announced::Itself, 0))));
        let binary = binary(0x20, 0, &[0; PREAMBLE_BYTES_MAX - HEADER_BYTES]);
        assert_eq!(read(&binary, 9), Ok(Some((Announced::Itself, 0))));
    }

    proptest! {
        #[test]
        fn every_client_is_announced_in_both_versions(ip: IpAddr, port: u16, tlvs: [u8; 9]) {
            let address = SocketAddr::new(ip, port);
            let line = match ip {
                IpAddr::V4(_) => format!("PROXY TCP4 {ip} 0.0.0.0 {port} 1\r\n"),
                IpAddr::V6(_) => format!("PROXY TCP6 {ip} :: {port} 1\r\n"),
            };
            let (family, source, target) = match ip {
                IpAddr::V4(ip) => (0x11, ip.octets().to_vec(), vec![0; 4]),
                IpAddr::V6(ip) => (0x21, ip.octets().to_vec(), vec![0; 16]),
            };
            let body = [&source[..], &target, &port.to_be_bytes(), &[0, 1], &tlvs].concat();
            for bytes in [line.into_bytes(), binary(0x21, family, &body)] {
                prop_assert_eq!(read(&bytes, 3), Ok(Some((Announced::Client(address), 0))));
            }
        }

        #[test]
        fn any_bytes_are_judged_alike_however_they_are_cut(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            start in 0usize..3,
            piece in 1usize..50,
        ) {
            let front: &[u8] = [&b""[..], b"PROXY ", SIGNATURE][start];
            bytes.splice(..0, front.iter().copied());
            let whole = read(&bytes, usize::MAX).map(|found| found.map(|it| it.0));
            let cut = read(&bytes, piece).map(|found| found.map(|it| it.0));
            prop_assert_eq!(whole, cut);
        }
    }
}
