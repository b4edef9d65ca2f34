//! `X-Forwarded-For`: who a request comes from, by the word of each proxy it went through.
//!
//! Each proxy appends the address it was connected from, so the list is to be read from its end:
//! what a trusted proxy says is believed, and whoever is not trusted is the client, whatever stands
//! before. `Forwarded` (RFC 7239) is not read: a proxy writes one of the two and passes the other
//! on as the client wrote it, so who believes both believes the client.

use std::net::{IpAddr, SocketAddr};

use super::Network;

/// Who a request comes from that `peer` brought, with the `values` of its `X-Forwarded-For` in the
/// order in which they stand.
///
/// What is no address ends the search, and what brought it counts.
pub fn client_of<'a>(
    peer: SocketAddr,
    values: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &[Network],
) -> SocketAddr {
    let is_trusted = |it: SocketAddr| trusted.iter().any(|network| network.contains(it.ip()));
    let mut client = peer;
    for entry in values.rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
        if !is_trusted(client) {
            break;
        }
        match address(entry.trim_ascii()) {
            Some(before) => client = before,
            None => break,
        }
    }
    client
}

/// Reads `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; port 0 if there is none.
fn address(entry: &[u8]) -> Option<SocketAddr> {
    let entry = str::from_utf8(entry).ok()?;
    let bare = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']')).unwrap_or(entry);
    let alone = || Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, 0));
    entry.parse().ok().or_else(alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rightmost_address_that_is_not_trusted_is_the_client() {
        let rows: [(&str, &[&str], &str); 16] = [
            ("10.0.0.1:9", &[], "10.0.0.1:9"),
            ("10.0.0.1:9", &["192.0.2.1"], "192.0.2.1:0"),
            ("10.0.0.1:9", &["192.0.2.1:80"], "192.0.2.1:80"),
            ("10.0.0.1:9", &["198.51.100.7, 192.0.2.1"], "192.0.2.1:0"),
            ("10.0.0.1:9", &["198.51.100.7", "192.0.2.1"], "192.0.2.1:0"),
            ("10.0.0.1:9", &["198.51.100.7, 192.0.2.1, 10.0.0.2"], "192.0.2.1:0"),
            ("10.0.0.1:9", &["198.51.100.7", "192.0.2.1", "10.0.0.2"], "192.0.2.1:0"),
            ("10.0.0.1:9", &["10.0.0.3, 10.0.0.2"], "10.0.0.3:0"),
            ("10.0.0.1:9", &["2001:db8::1"], "[2001:db8::1]:0"),
            ("10.0.0.1:9", &["[2001:db8::1]"], "[2001:db8::1]:0"),
            ("10.0.0.1:9", &["[2001:db8::1]:80"], "[2001:db8::1]:80"),
            ("10.0.0.1:9", &["192.0.2.1, unknown"], "10.0.0.1:9"),
            ("10.0.0.1:9", &["192.0.2.1, , 10.0.0.2"], "10.0.0.2:0"),
            ("10.0.0.1:9", &[""], "10.0.0.1:9"),
            ("192.0.2.9:9", &["198.51.100.7"], "192.0.2.9:9"),
            ("[::ffff:10.0.0.1]:9", &["192.0.2.1"], "192.0.2.1:0"),
        ];
        let trusted = [Network::parse("10.0.0.0/8").unwrap()];
        for (peer, values, client) in rows {
            let values_read = values.iter().map(|value| value.as_bytes());
            let found = client_of(peer.parse().unwrap(), values_read, &trusted);
            assert_eq!(found, client.parse().unwrap(), "{peer} {values:?}");
        }
    }

    #[test]
    fn nobody_is_believed_unless_trusted() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(client_of(peer, [&b"192.0.2.1"[..]].into_iter(), &[]), peer);
    }
}
