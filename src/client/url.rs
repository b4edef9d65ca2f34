//! What a URL names, checked.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// Bytes.
    Tcp,
    /// Bytes over TLS.
    Tls,
    /// HTTP/1.1.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

/// The schemes by name, each with its usual port if it has one.
const SCHEMES: [(&str, Scheme, Option<u16>); 6] = [
    ("tcp", Scheme::Tcp, None),
    ("tls", Scheme::Tls, None),
    ("http", Scheme::Http, Some(80)),
    ("https", Scheme::Https, Some(443)),
    ("ws", Scheme::Ws, Some(80)),
    ("wss", Scheme::Wss, Some(443)),
];

impl Scheme {
    /// Whether it is spoken over TLS.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Wss)
    }

    /// Whether it begins with HTTP, which TLS is told by ALPN.
    pub const fn is_http(self) -> bool {
        !matches!(self, Self::Tcp | Self::Tls)
    }

    fn row(self) -> &'static (&'static str, Self, Option<u16>) {
        let row = SCHEMES.iter().find(|(_, scheme, _)| *scheme == self);
        row.expect("every scheme has a row")
    }
}

/// A server, and what is wanted of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Url {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// A name or an address, without the brackets of IPv6.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Path and query, beginning with `/`. Nothing for bytes.
    pub target: String,
}

impl Url {
    /// Whether a connection to one serves for the other.
    pub fn has_origin_of(&self, other: &Self) -> bool {
        let origin = |url: &Self| (url.scheme, url.host.to_ascii_lowercase(), url.port);
        origin(self) == origin(other)
    }

    /// The host with its port, if that is not the usual one (RFC 9110 §7.2).
    pub fn authority(&self) -> String {
        let (_, _, usual_port) = self.scheme.row();
        if *usual_port == Some(self.port) { self.bracketed() } else { self.place() }
    }

    /// The host with its port.
    pub fn place(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// Whether the host is this machine by its very name.
    pub fn is_local(&self) -> bool {
        let is_loopback = |address: IpAddr| address.is_loopback();
        self.host.eq_ignore_ascii_case("localhost") || self.host.parse().is_ok_and(is_loopback)
    }

    /// The addresses of the host, in the order in which the system would have them tried.
    pub(super) fn resolve(&self) -> std::io::Result<Vec<SocketAddr>> {
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, _, _) = self.scheme.row();
        write!(f, "{scheme}://{}{}", self.authority(), self.target)
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("`{text}` is no URL such as wss://host:port/path"))?;
        let row = SCHEMES.iter().find(|(name, ..)| scheme.eq_ignore_ascii_case(name));
        let Some((_, scheme, usual_port)) = row else {
            return Err(format!("`{scheme}` is not tls, tcp, https, http, wss or ws"));
        };
        // A fragment is for the one who holds the URL, never for the server.
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = split_authority(authority)?;
        let port = port.or(*usual_port).ok_or_else(|| format!("`{text}` lacks a port"))?;
        let target = checked_target(*scheme, target)?;
        Ok(Self { scheme: *scheme, host: host.to_owned(), port, target })
    }
}

fn split_authority(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("an IPv6 address lacks its `]`")?;
            let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
            let port = if port.is_empty() { Some(None) } else { port.strip_prefix(':').map(Some) };
            (host, port.filter(|_| is_address).ok_or(not_a_host(authority))?)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_host_byte) {
        return Err(not_a_host(authority));
    }
    let port = port.map(|port| port.parse().map_err(|_| format!("`{port}` is not a port")));
    Ok((host, port.transpose()?))
}

fn not_a_host(authority: &str) -> String {
    format!("`{authority}` does not name a host")
}

/// Path and query as they are sent: visible ASCII, since nobody knows how the rest is meant.
fn checked_target(scheme: Scheme, target: &str) -> Result<String, String> {
    if !scheme.is_http() {
        let is_empty = matches!(target, "" | "/");
        let complaint =
            || format!("`{target}` leads nowhere: behind the port there are only bytes");
        return if is_empty { Ok(String::new()) } else { Err(complaint()) };
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("`{target}` has characters that must be written as %XX"));
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok(format!("{slash}{target}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_put_together() {
        for (text, scheme, host, port, target) in [
            ("ws://localhost", Scheme::Ws, "localhost", 80, "/"),
            ("wss://push.example/a/b?c=d", Scheme::Wss, "push.example", 443, "/a/b?c=d"),
            ("HTTPS://127.0.0.1:9443/echo", Scheme::Https, "127.0.0.1", 9443, "/echo"),
            ("http://[::1]:8080?x", Scheme::Http, "::1", 8080, "/?x"),
            ("https://[2001:db8::1]/#part", Scheme::Https, "2001:db8::1", 443, "/"),
            ("tls://h:1", Scheme::Tls, "h", 1, ""),
            ("tcp://[::1]:65535/", Scheme::Tcp, "::1", 65535, ""),
        ] {
            let url: Url = text.parse().unwrap();
            let (host, target) = (host.to_owned(), target.to_owned());
            assert_eq!(url, Url { scheme, host, port, target }, "{text}");
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }

    #[test]
    fn a_url_that_names_nothing_is_refused_with_what_is_wrong() {
        for (text, words) in [
            ("host", "`host` is no URL"),
            ("ftp://h/", "`ftp` is not"),
            ("ws://", "does not name a host"),
            ("ws://:80", "does not name a host"),
            ("ws://u@h", "`u@h` does not name a host"),
            ("ws://h\r\nA: b/", "does not name a host"),
            ("ws://h:port", "`port` is not a port"),
            ("ws://h:65536", "`65536` is not a port"),
            ("ws://[::1", "lacks its `]`"),
            ("ws://[::1]80", "does not name a host"),
            ("ws://[h]:80", "does not name a host"),
            ("tls://h", "lacks a port"),
            ("tls://h:1/path", "`/path` leads nowhere"),
            ("http://h/a b", "must be written as %XX"),
            ("http://h/é", "must be written as %XX"),
        ] {
            let complaint = text.parse::<Url>().unwrap_err();
            assert!(complaint.contains(words), "{text}: {complaint}");
        }
    }

    #[test]
    fn the_usual_port_stays_out_of_the_host_header() {
        let authority = |text: &str| text.parse::<Url>().unwrap().authority();
        assert_eq!(authority("wss://h/"), "h");
        assert_eq!(authority("ws://h:443/"), "h:443");
        assert_eq!(authority("ws://[::1]:81/"), "[::1]:81");
    }

    #[test]
    fn this_machine_is_known_by_its_names_only() {
        let is_local = |host: &str| format!("http://{host}/").parse::<Url>().unwrap().is_local();
        assert!(
            ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"].into_iter().all(is_local)
        );
        assert!(!["localhost.example", "10.0.0.1", "[::2]"].into_iter().any(is_local));
    }

    #[test]
    fn a_connection_serves_for_the_same_scheme_host_and_port_only() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        assert!(url("http://h/a").has_origin_of(&url("http://H:80/b?c")));
        for other in ["https://h:80/", "http://i/", "http://h:81/"] {
            assert!(!url("http://h/a").has_origin_of(&url(other)), "{other}");
        }
    }
}
