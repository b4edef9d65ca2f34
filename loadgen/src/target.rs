//! What is measured: the server that a URL names.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// A WebSocket server, as a URL names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Whether to speak TLS.
    pub secure: bool,
    /// A name or an address, without the brackets of IPv6.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
}

impl Target {
    /// The address to connect to: the first one the name has.
    pub fn resolve(&self) -> io::Result<SocketAddr> {
        let mut addresses = (self.host.as_str(), self.port).to_socket_addrs()?;
        addresses.next().ok_or_else(|| io::Error::other("the name has no address"))
    }

    /// What belongs into the Host header (RFC 9110 §7.2): the port only if it is not the usual one.
    pub fn authority(&self) -> String {
        let host = self.bracketed();
        if self.port == usual_port(self.secure) { host } else { format!("{host}:{}", self.port) }
    }

    /// The URL, whole.
    pub fn url(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        format!("{scheme}://{}:{}{}", self.bracketed(), self.port, self.path)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let (scheme, rest) =
            url.split_once("://").ok_or("expected a URL such as wss://host:port/path")?;
        let secure = match scheme {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(format!("`{scheme}` is not ws, wss, http or https")),
        };
        // A fragment is for the one who holds the URL, never for the server.
        let rest = rest.split('#').next().unwrap_or_default();
        let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        let (host, port) = split_authority(authority, usual_port(secure))?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { secure, host: host.to_owned(), port, path: format!("{slash}{path}") })
    }
}

const fn usual_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

fn split_authority(authority: &str, usual: u16) -> Result<(&str, u16), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("an IPv6 address lacks its `]`")?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() || host.contains('@') || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("`{authority}` does not name a host"));
    }
    let port = match port {
        None => usual,
        Some(port) => port.parse().map_err(|_| format!("`{port}` is not a port"))?,
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_put_together() {
        for (url, secure, host, port, path) in [
            ("ws://localhost", false, "localhost", 80, "/"),
            ("wss://push.example/a/b?c=d", true, "push.example", 443, "/a/b?c=d"),
            ("wss://127.0.0.1:9443/echo", true, "127.0.0.1", 9443, "/echo"),
            ("http://[::1]:8080?x", false, "::1", 8080, "/?x"),
            ("https://h/#part", true, "h", 443, "/"),
        ] {
            let target: Target = url.parse().unwrap();
            let expected = Target { secure, host: host.to_owned(), port, path: path.to_owned() };
            assert_eq!(target, expected, "{url}");
            assert_eq!(target.url().parse(), Ok(target));
        }
    }

    #[test]
    fn a_url_that_names_nothing_is_refused() {
        for url in
            ["", "host", "ftp://h/", "ws://", "ws://:80", "ws://h:port", "ws://[::1", "ws://u@h"]
        {
            assert!(url.parse::<Target>().is_err(), "{url}");
        }
    }

    #[test]
    fn the_usual_port_stays_out_of_the_host_header() {
        let authority = |url: &str| url.parse::<Target>().unwrap().authority();
        assert_eq!(authority("wss://h/"), "h");
        assert_eq!(authority("ws://h:443/"), "h:443");
        assert_eq!(authority("ws://[::1]:81/"), "[::1]:81");
    }
}
