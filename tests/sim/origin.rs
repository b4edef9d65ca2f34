//! Where a client comes from: how it connects, and what the worker must take its address for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use corecast::base::Origin;
use corecast::proxy::Network;
use corecast::tls::ServerConfig;
use corecast::worker::{Listener, Speech};

use super::dice::Dice;
use super::journal::Conn;
use super::plan::Plan;

/// How a client connects: three questions, and a listener for every answer to them.
#[derive(Clone, Copy, Debug)]
pub struct Approach {
    /// Through TLS.
    pub is_secure: bool,
    /// Through a proxy that announces it.
    pub is_announced: bool,
    /// To a listener that speaks no HTTP.
    pub is_stream: bool,
}

/// Where the proxy stands.
const PROXY: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The addresses of clients: few, so that they are crowded.
pub const ADDRESSES: u16 = 6;

impl Approach {
    pub fn draw(plan: &Plan, rng: &mut Dice) -> Self {
        Self {
            is_secure: plan.is_secure && rng.one_of(1, 2),
            is_announced: plan.is_announced && rng.one_of(1, 2),
            is_stream: plan.is_streaming && rng.one_of(1, 2),
        }
    }

    /// The listener of each, in the order of [`Approach::via`].
    pub fn listeners(tls: &Arc<ServerConfig>) -> Vec<Listener> {
        let listener = |number: u32| {
            let listener = match number & 1 {
                0 => Listener::plain(),
                _ => Listener::tls(Arc::clone(tls)),
            };
            let proxies = Network::parse("127.0.0.1").into_iter().collect();
            let listener = match number & 2 {
                0 => listener,
                _ => listener.behind(proxies, true),
            };
            listener.with_speech(if number & 4 == 0 { Speech::Http } else { Speech::Stream })
        };
        (0..8).map(listener).collect()
    }

    fn via(self) -> u32 {
        u32::from(self.is_secure)
            | u32::from(self.is_announced) << 1
            | u32::from(self.is_stream) << 2
    }

    /// What a worker sees of the connection when it comes.
    pub fn origin(self, conn: Conn) -> Origin {
        let proxy = SocketAddr::from((PROXY, 9));
        let peer = if self.is_announced { proxy } else { address(conn) };
        Origin { via: self.via(), peer }
    }
}

/// The address of a client. Its port is its own, so that it says whose the connection is.
pub fn address(conn: Conn) -> SocketAddr {
    let port = u16::try_from(conn).expect("few connections");
    SocketAddr::new(host(port % ADDRESSES), port)
}

/// One of the few hosts of which clients come, by either version of IP.
pub fn host(number: u16) -> IpAddr {
    match number % 2 {
        0 => Ipv4Addr::new(10, 0, number.to_be_bytes()[1], 1).into(),
        _ => Ipv6Addr::new(0x2001, 0xDB8, 0, number, 0, 0, 0, 1).into(),
    }
}

/// What a proxy says of the client `conn`, in the version of its protocol that is due.
pub fn preamble(conn: Conn) -> Vec<u8> {
    let address = address(conn);
    let port = address.port();
    if conn % 4 < 2 {
        return match address.ip() {
            IpAddr::V4(ip) => format!("PROXY TCP4 {ip} 127.0.0.1 {port} 443\r\n"),
            IpAddr::V6(ip) => format!("PROXY TCP6 {ip} ::1 {port} 443\r\n"),
        }
        .into_bytes();
    }
    let (family, source) = match address.ip() {
        IpAddr::V4(ip) => (0x11, ip.octets().to_vec()),
        IpAddr::V6(ip) => (0x21, ip.octets().to_vec()),
    };
    let len = u8::try_from(2 * source.len() + 4).expect("two addresses and two ports");
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    bytes.extend([family, 0, len]);
    bytes.extend(&source);
    bytes.extend(&source);
    bytes.extend(port.to_be_bytes());
    bytes.extend(443u16.to_be_bytes());
    bytes
}
