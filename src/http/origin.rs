//! Whose page a browser acts for (RFC 6454): its origin, and which origins are meant.
//!
//! Everything here compares whole parts, never beginnings or ends of text: a scheme, the labels of
//! a host, a port.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::RequestHead;

/// The origin of a page, as a browser writes it: `https://example.org:8443`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads a whole origin (RFC 6454 §6.2). `null`, which a page of anybody can have, is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = authority_of(authority)?;
        let port = port.unwrap_or(default_port(&scheme));
        (is_scheme && !scheme.is_empty()).then_some(Self { scheme, host, port })
    }

    /// The host, in small letters; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether a page of this origin came from where `Host: host` names, over TLS if `secure`.
    ///
    /// What comes to us without TLS may have been TLS up to a proxy in front of us, so then either
    /// scheme will do; a page that came without TLS is never the same as a host with it.
    pub fn is_of(&self, host: &[u8], secure: bool) -> bool {
        let written = str::from_utf8(host).ok().and_then(authority_of);
        let Some((host, port)) = written else { return false };
        let has_scheme = if secure { self.scheme == "https" } else { self.is_of_web() };
        has_scheme && self.host == host && port.unwrap_or(default_port(&self.scheme)) == self.port
    }

    fn is_of_web(&self) -> bool {
        self.scheme == "https" || self.scheme == "http"
    }
}

/// Which origins are meant: one, or those of all hosts below one (`https://*.example.org`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginPattern {
    origin: Origin,
    /// Whether the hosts below are meant, and not the host itself.
    is_below: bool,
}

impl OriginPattern {
    /// Reads an origin whose host may begin with `*.`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_below = text.contains("://*.");
        let origin = Origin::parse(&text.replacen("://*.", "://", 1))?;
        // Nothing is below an address, and everything is below a top-level name.
        let has_below = origin.host.contains('.') && !origin.host.ends_with(']');
        let is_address = origin.host.parse::<Ipv4Addr>().is_ok();
        (!is_below || has_below && !is_address).then_some(Self { origin, is_below })
    }

    /// Whether `origin` is meant.
    pub fn is_met_by(&self, origin: &Origin) -> bool {
        let host = if self.is_below {
            let below = origin.host.strip_suffix(&self.origin.host);
            below.and_then(|below| below.strip_suffix('.')).is_some_and(|below| !below.is_empty())
        } else {
            origin.host == self.origin.host
        };
        host && origin.scheme == self.origin.scheme && origin.port == self.origin.port
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin: Origin { scheme, host, port }, is_below } = self;
        let below = if *is_below { "*." } else { "" };
        write!(f, "{scheme}://{below}{host}")?;
        if default_port(scheme) == *port { Ok(()) } else { write!(f, ":{port}") }
    }
}

/// Whose pages may ask for what only pages of ours should.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Origins {
    /// Those that came from the host that they ask.
    #[default]
    SameHost,
    /// Those of these origins, and no others.
    Listed(Vec<OriginPattern>),
    /// Those of anybody.
    Any,
}

impl Origins {
    /// Whether the page is one of those for which a browser sends `head`, over TLS if `secure`. Who
    /// shows no `Origin` is no browser, and is not kept away by one.
    pub fn admit(&self, head: &RequestHead, secure: bool) -> bool {
        let mut shown = head.headers_of("Origin");
        let (Some(first), is_only) = (shown.next(), shown.next().is_none()) else { return true };
        let origin = str::from_utf8(first).ok().and_then(Origin::parse).filter(|_| is_only);
        match (self, origin) {
            (Self::Any, _) => true,
            (_, None) => false,
            (Self::SameHost, Some(origin)) => {
                head.header("Host").is_some_and(|host| origin.is_of(host, secure))
            }
            (Self::Listed(patterns), Some(origin)) => {
                patterns.iter().any(|pattern| pattern.is_met_by(&origin))
            }
        }
    }
}

/// The host, in small letters, and the port if it is written, of `HOST[:PORT]`.
fn authority_of(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.split_once(']') {
        Some((address, rest)) => {
            address.strip_prefix('[')?.parse::<Ipv6Addr>().ok()?;
            (text.get(..=address.len())?, rest)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let is_name = host.starts_with('[') || host.split('.').all(is_label);
    let port = match port.strip_prefix(':') {
        Some(digits) => Some(digits.parse().ok().filter(|_| !digits.starts_with('+'))?),
        None if port.is_empty() => None,
        None => return None,
    };
    is_name.then(|| (host.to_ascii_lowercase(), port))
}

fn default_port(scheme: &str) -> u16 {
    match scheme {
        "https" => 443,
        "http" => 80,
        // Pages of extensions and apps have no port; any one number does for all of them.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(pattern: &str, origin: &str) -> bool {
        let origin = Origin::parse(origin);
        origin.is_some_and(|origin| OriginPattern::parse(pattern).unwrap().is_met_by(&origin))
    }

    #[test]
    fn an_origin_is_met_by_itself_alone() {
        let rows = [
            ("https://example.org", true),
            ("https://EXAMPLE.org", true),
            ("HTTPS://example.org:443", true),
            ("http://example.org", false),
            ("https://example.org:8443", false),
            ("https://example.org.evil.net", false),
            ("https://evilexample.org", false),
            ("https://example.org@evil.net", false),
            ("https://evil.net/example.org", false),
            ("https://evil.net#example.org", false),
            ("https://example.orgx", false),
            ("https://a.example.org", false),
            ("https://example.org.", false),
            ("https://example.org/", false),
            ("https://example.org https://evil.net", false),
            ("https:/example.org", false),
            ("//example.org", false),
            ("example.org", false),
            ("null", false),
            ("", false),
            ("*", false),
        ];
        for (origin, is_met) in rows {
            assert_eq!(meets("https://example.org", origin), is_met, "{origin}");
        }
    }

    #[test]
    fn a_wildcard_means_all_hosts_below_and_not_the_one_above() {
        let rows = [
            ("https://a.example.org:8443", true),
            ("https://A.b.example.org:8443", true),
            ("https://example.org:8443", false),
            ("https://.example.org:8443", false),
            ("https://aexample.org:8443", false),
            ("https://a.example.org.evil.net:8443", false),
            ("https://a.example.org", false),
            ("http://a.example.org:8443", false),
            ("https://*.example.org:8443", false),
            ("https://a..example.org:8443", false),
        ];
        for (origin, is_met) in rows {
            assert_eq!(meets("https://*.example.org:8443", origin), is_met, "{origin}");
        }
    }

    #[test]
    fn the_same_host_is_the_same_in_scheme_name_and_port() {
        let rows = [
            ("https://a.org", "a.org", true, true),
            ("https://a.org", "A.org:443", true, true),
            ("https://a.org:8443", "a.org:8443", true, true),
            ("https://a.org:8443", "a.org", true, false),
            ("https://a.org", "a.org:8443", true, false),
            ("http://a.org", "a.org", true, false),
            ("http://a.org:443", "a.org:443", true, false),
            ("http://a.org", "a.org", false, true),
            ("https://a.org", "a.org", false, true),
            ("ftp://a.org", "a.org", false, false),
            ("https://b.a.org", "a.org", true, false),
            ("https://a.org.b", "a.org", true, false),
            ("http://[::1]:8080", "[::1]:8080", false, true),
            ("http://[::1]", "[::2]", false, false),
            ("http://127.0.0.1:1", "127.0.0.1:1", false, true),
            ("https://a.org", "", true, false),
            ("https://a.org", "a.org:", true, false),
        ];
        for (origin, host, secure, is_same) in rows {
            let found = Origin::parse(origin).unwrap().is_of(host.as_bytes(), secure);
            assert_eq!(found, is_same, "{origin} at {host}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        let refused = [
            "null",
            "*",
            "https://",
            "https://a b",
            "https://a/",
            "https://*.org",
            "https://*.1.2.3.4",
            "https://a:",
            "https://a:99999",
            "https://a:+1",
            "https://[::1",
            "https://[a]",
            "://a",
            "https://a.*.org",
            "https://\u{e4}.org",
            "https://*.[::1]",
            "https://a..b",
        ];
        for text in refused {
            assert_eq!(OriginPattern::parse(text), None, "{text}");
        }
        for text in ["https://a.org", "http://*.a.org:81", "http://[::1]:8080", "https://localhost"]
        {
            assert_eq!(OriginPattern::parse(text).unwrap().to_string(), text);
        }
        assert!(meets("chrome-extension://abc", "chrome-extension://abc"));
    }
}
