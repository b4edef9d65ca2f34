//! Whom `X-Forwarded-For` names: nobody by the word of somebody who is not trusted.

use std::net::{IpAddr, SocketAddr};

use corecast::proxy::{Network, client_of};

use super::Told;

/// The first byte says who brings the request; each line of the rest is a field.
pub fn run(bytes: &[u8]) {
    let mut told = Told::new(bytes);
    let peer = ["10.0.0.1:9", "192.0.2.1:9", "[2001:db8::1]:9"][told.below(3)];
    let peer: SocketAddr = peer.parse().unwrap();
    let trusted: Vec<_> =
        ["10.0.0.0/8", "2001:db8::/32"].into_iter().filter_map(Network::parse).collect();
    let fields: Vec<_> = told.rest().split(|byte| *byte == b'\n').collect();
    let found = client_of(peer, fields.iter().copied(), &trusted);
    assert_eq!(found, slow(peer, &fields.join(&b','), &trusted));
}

/// The way that a request went, from us backwards, as far as it can be believed.
fn slow(peer: SocketAddr, list: &[u8], trusted: &[Network]) -> SocketAddr {
    let list = String::from_utf8_lossy(list);
    let mut way = vec![peer];
    for entry in list.split(',').rev() {
        let entry = entry.trim_matches([' ', '\t', '\n', '\x0C', '\r']);
        let from = way[way.len() - 1];
        let is_trusted = trusted.iter().any(|network| network.contains(from.ip()));
        let bare = entry.trim_start_matches('[').trim_end_matches(']');
        let is_bracketed = entry.len() == bare.len() + 2 && entry.starts_with('[');
        let alone = if is_bracketed || bare.len() == entry.len() { bare } else { entry };
        let alone = alone.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
        match entry.parse().or(alone) {
            Ok(before) if is_trusted => way.push(before),
            _ => break,
        }
    }
    way[way.len() - 1]
}
