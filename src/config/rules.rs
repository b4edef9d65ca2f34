//! What each key allows: one rule a key, and the words that say so.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use super::checked::{ClientAuthName, KindName};
use super::raw::Written;
use super::values::{Deflate, MemoryMax, PublishKey, Workers};
use super::{ConfigError, units};
use crate::http::OriginPattern;
use crate::proxy::Network;

const HOUR: Duration = Duration::from_secs(3600);

pub(super) const LISTEN: Rule<SocketAddr> = Rule {
    key: "listen",
    allowed: "write IP:PORT once, such as 127.0.0.1:8080 or [::]:8080",
    read: address,
};

pub(super) const LISTEN_TLS: Rule<SocketAddr> = Rule {
    key: "listen-tls",
    allowed: "write IP:PORT once, such as 127.0.0.1:8443 or [::]:8443",
    read: address,
};

pub(super) const LISTEN_STREAM: Rule<SocketAddr> = Rule {
    key: "listen-stream",
    allowed: "write IP:PORT once, such as 127.0.0.1:7443 or [::]:7443",
    read: address,
};

pub(super) const ADDRESS: Rule<SocketAddr> = Rule {
    key: "address",
    allowed: "write IP:PORT, such as 127.0.0.1:8080 or [::]:8080",
    read: address,
};

pub(super) const KIND: Rule<KindName> = Rule {
    key: "kind",
    allowed: "write http, https or stream-echo",
    read: |text| match text {
        "http" => Some(KindName::Http),
        "https" => Some(KindName::Https),
        "stream-echo" => Some(KindName::StreamEcho),
        _ => None,
    },
};

pub(super) const TLS_CERT: Rule<PathBuf> =
    Rule { key: "tls-cert", allowed: "write the name of a PEM file", read: path };

pub(super) const TLS_KEY: Rule<PathBuf> =
    Rule { key: "tls-key", allowed: "write the name of a PEM file", read: path };

pub(super) const TLS_OCSP: Rule<PathBuf> =
    Rule { key: "tls-ocsp", allowed: "write the name of a file, once", read: path };

pub(super) const CLIENT_CA: Rule<PathBuf> =
    Rule { key: "client-ca", allowed: "write the name of a PEM file", read: path };

pub(super) const CLIENT_CRL: Rule<PathBuf> =
    Rule { key: "client-crl", allowed: "write the name of a file, once", read: path };

pub(super) const CLIENT_AUTH: Rule<ClientAuthName> = Rule {
    key: "client-auth",
    allowed: "write off, request or require",
    read: |text| match text {
        "off" => Some(ClientAuthName::Off),
        "request" => Some(ClientAuthName::Request),
        "require" => Some(ClientAuthName::Require),
        _ => None,
    },
};

pub(super) const DEFLATE: Rule<Deflate> = Rule {
    key: "deflate",
    allowed: "write off, on or takeover",
    read: |text| match text {
        "off" => Some(Deflate::Off),
        "on" => Some(Deflate::On),
        "takeover" => Some(Deflate::Takeover),
        _ => None,
    },
};

pub(super) const WATCH_CERTS: Rule<bool> =
    Rule { key: "watch-certs", allowed: "write true or false", read: |text| text.parse().ok() };

/// As long as a name of a host or a mailbox can be.
pub(super) const PUBLISH_IDENTITY: Rule<String> = Rule {
    key: "publish-identity",
    allowed: "write a name as it is in a certificate, once, in 1 to 255 characters",
    read: |text| {
        between(1, 255, text.chars().count())?;
        (!text.contains(char::is_control)).then(|| text.to_owned())
    },
};

pub(super) const TRUSTED_PROXY: Rule<Network> = Rule {
    key: "trusted-proxy",
    allowed: "write an address or a network once, such as 192.0.2.1, 10.0.0.0/8 or fd00::/8, \
              with nothing but zeros behind its prefix",
    read: Network::parse,
};

pub(super) const PROXY_PROTOCOL: Rule<bool> =
    Rule { key: "proxy-protocol", allowed: "write true or false", read: |text| text.parse().ok() };

/// `None` within lets the pages of anybody in.
pub(super) const ALLOW_ORIGIN: Rule<Option<OriginPattern>> = Rule {
    key: "allow-origin",
    allowed: "write SCHEME://HOST or SCHEME://HOST:PORT once, such as https://example.org or \
              https://*.example.org, or *",
    read: |text| if text == "*" { Some(None) } else { OriginPattern::parse(text).map(Some) },
};

/// A set of workers is a bitmap of 256.
pub(super) const WORKERS: Rule<Workers> = Rule {
    key: "workers",
    allowed: "write auto or 1 to 256",
    read: |text| match text {
        "auto" => Some(Workers::Auto),
        text => {
            between(1, 256, text.parse().ok()?).and_then(NonZeroUsize::new).map(Workers::Exactly)
        }
    },
};

/// Far above what one machine holds; below it no sum can overflow.
pub(super) const MAX_CONNS: Rule<u64> = Rule {
    key: "max-conns",
    allowed: "write 1 to 10000000",
    read: |text| between(1, 10_000_000, text.parse().ok()?),
};

/// RFC 6455 §4.1 takes the grammar of a token from HTTP.
pub(super) const SUBPROTOCOL: Rule<String> = Rule {
    key: "subprotocol",
    allowed: "write letters, digits and !#$%&'*+-.^_`|~, each name once",
    read: |text| (!text.is_empty() && text.bytes().all(is_token)).then(|| text.to_owned()),
};

/// Anything shorter could be guessed; the alphabet is that of a bearer token (RFC 6750 §2.1).
pub(super) const PUBLISH_KEY: Rule<PublishKey> = Rule {
    key: "publish-key",
    allowed: "write 16 to 512 letters, digits and -._~+/=",
    read: |text| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        between(16, 512, text.len())?;
        text.bytes().all(is_allowed).then(|| PublishKey::new(text))
    },
};

pub(super) const ALLOW_PUBLISH: Rule<bool> =
    Rule { key: "allow-publish", allowed: "write true or false", read: |text| text.parse().ok() };

/// `None` within is an admin listener that is turned off.
pub(super) const ADMIN: Rule<Option<SocketAddr>> = Rule {
    key: "admin",
    allowed: "write off or IP:PORT, such as 127.0.0.1:9090",
    read: |text| if text == "off" { Some(None) } else { address(text).map(Some) },
};

pub(super) const DRAIN_TIMEOUT: Rule<Duration> = Rule {
    key: "drain-timeout",
    allowed: "write 0s to 1h, such as 10s",
    read: |text| between(Duration::ZERO, HOUR, units::duration(text)?),
};

pub(super) const HEARTBEAT: Rule<Duration> = Rule {
    key: "heartbeat",
    allowed: "write 1s to 1h, such as 25s",
    read: |text| between(Duration::from_secs(1), HOUR, units::duration(text)?),
};

pub(super) const STREAM_IDLE: Rule<Duration> = Rule {
    key: "stream-idle",
    allowed: "write 1s to 24h, such as 10m",
    read: |text| between(Duration::from_secs(1), 24 * HOUR, units::duration(text)?),
};

pub(super) const OUTBOX_BYTES: Rule<usize> = Rule {
    key: "outbox-bytes",
    allowed: "write 4KiB to 64MiB, such as 64KiB",
    read: |text| between(4 << 10, 64 << 20, units::bytes(text)?),
};

pub(super) const MESSAGE_BYTES: Rule<usize> = Rule {
    key: "message-bytes",
    allowed: "write 1 to 64MiB, such as 64KiB",
    read: |text| between(1, 64 << 20, units::bytes(text)?),
};

/// How long a peer may take for something.
const fn patience(key: &'static str) -> Rule<Duration> {
    Rule {
        key,
        allowed: "write 100ms to 1h, such as 5s",
        read: |text| between(Duration::from_millis(100), HOUR, units::duration(text)?),
    }
}

pub(super) const HANDSHAKE_TIME: Rule<Duration> = patience("handshake-time");
pub(super) const REQUEST_TIME: Rule<Duration> = patience("request-time");
pub(super) const KEEP_ALIVE: Rule<Duration> = patience("keep-alive");
pub(super) const MESSAGE_TIME: Rule<Duration> = patience("message-time");
pub(super) const RATE_TIME: Rule<Duration> = patience("rate-time");
pub(super) const OUTBOX_TIME: Rule<Duration> = patience("outbox-time");
pub(super) const STALL_TIME: Rule<Duration> = patience("stall-time");
pub(super) const CLOSE_TIME: Rule<Duration> = patience("close-time");

/// Browsers send heads of some hundred bytes, and cookies; a core holds one for each stranger.
pub(super) const HEAD_BYTES: Rule<usize> = Rule {
    key: "head-bytes",
    allowed: "write 1KiB to 64KiB, such as 8KiB",
    read: |text| between(1 << 10, 64 << 10, units::bytes(text)?),
};

pub(super) const TARGET_BYTES: Rule<usize> = Rule {
    key: "target-bytes",
    allowed: "write 256 to 64KiB, such as 4KiB",
    read: |text| between(256, 64 << 10, units::bytes(text)?),
};

/// A handshake has five, and what browsers and proxies add.
pub(super) const HEADERS: Rule<usize> = Rule {
    key: "headers",
    allowed: "write 5 to 1000, such as 64",
    read: |text| between(5, 1_000, text.parse().ok()?),
};

pub(super) const FRAGMENTS: Rule<u32> = Rule {
    key: "fragments",
    allowed: "write 1 to 1000000, such as 128",
    read: |text| between(1, 1_000_000, text.parse().ok()?),
};

pub(super) const FRAMES_PER_SECOND: Rule<Option<NonZeroU32>> = Rule {
    key: "frames-per-second",
    allowed: "write off or 1 to 1000000, such as 100",
    read: |text| at_most(1_000_000, text),
};

pub(super) const BYTES_PER_SECOND: Rule<Option<NonZeroU32>> = Rule {
    key: "bytes-per-second",
    allowed: "write off or 1KiB to 1GiB, such as 1MiB",
    read: |text| match text {
        "off" => Some(None),
        text => {
            let bytes = between(1 << 10, 1 << 30, units::bytes(text)?)?;
            Some(NonZeroU32::new(u32::try_from(bytes).ok()?))
        }
    },
};

pub(super) const OUTBOX_FRAMES: Rule<usize> = Rule {
    key: "outbox-frames",
    allowed: "write 16 to 1000000, such as 4096",
    read: |text| between(16, 1_000_000, text.parse().ok()?),
};

pub(super) const HEARTBEAT_MISSES: Rule<u8> = Rule {
    key: "heartbeat-misses",
    allowed: "write 1 to 100, such as 2",
    read: |text| between(1, 100, text.parse().ok()?),
};

/// They are looked through when the connection subscribes.
pub(super) const TOPICS_PER_CONN: Rule<usize> = Rule {
    key: "topics-per-conn",
    allowed: "write 1 to 100000, such as 128",
    read: |text| between(1, 100_000, text.parse().ok()?),
};

/// Beyond this nothing would be deflated that clients send or servers publish.
pub(super) const DEFLATE_BYTES: Rule<usize> = Rule {
    key: "deflate-bytes",
    allowed: "write 1 to 1MiB, such as 128",
    read: |text| between(1, 1 << 20, units::bytes(text)?),
};

/// Each may take 450 KB.
pub(super) const DEFLATE_CONTEXTS: Rule<usize> = Rule {
    key: "deflate-contexts",
    allowed: "write 0 to 1000000, such as 256",
    read: |text| between(0, 1_000_000, text.parse().ok()?),
};

pub(super) const CONNS_PER_ADDRESS: Rule<Option<NonZeroU32>> = Rule {
    key: "conns-per-address",
    allowed: "write off or 1 to 10000000, such as 1000",
    read: |text| at_most(10_000_000, text),
};

pub(super) const CONNECTS_PER_ADDRESS: Rule<Option<NonZeroU32>> = Rule {
    key: "connects-per-address",
    allowed: "write off or 1 to 100000, such as 50",
    read: |text| at_most(100_000, text),
};

/// Less than this is taken before anybody has come.
pub(super) const MEMORY_MAX: Rule<MemoryMax> = Rule {
    key: "memory-max",
    allowed: "write auto, off or 16MiB to 1048576GiB, such as 2GiB",
    read: |text| match text {
        "auto" => Some(MemoryMax::Auto),
        "off" => Some(MemoryMax::Off),
        text => {
            let bytes = u64::try_from(units::bytes(text)?).ok()?;
            between(16 << 20, 1 << 50, bytes).map(MemoryMax::Bytes)
        }
    },
};

pub(super) const MEMORY_STOP: Rule<u8> = percent("memory-stop");
pub(super) const MEMORY_SHED: Rule<u8> = percent("memory-shed");

const fn percent(key: &'static str) -> Rule<u8> {
    Rule {
        key,
        allowed: "write 1% to 100%, such as 85%",
        read: |text| between(1, 100, text.trim_end_matches('%').parse().ok()?),
    }
}

/// Twenty are those of the process itself.
pub(super) const SPARE_FILES: Rule<u64> = Rule {
    key: "spare-files",
    allowed: "write 20 to 100000, such as 64",
    read: |text| between(20, 100_000, text.parse().ok()?),
};

/// What a key allows.
pub(super) struct Rule<T> {
    pub(super) key: &'static str,
    allowed: &'static str,
    read: fn(&str) -> Option<T>,
}

impl<T> Rule<T> {
    /// Reads the one value of the key, if it was written.
    pub(super) fn one(&self, written: Option<Written>) -> Result<Option<T>, ConfigError> {
        written.map(|written| self.take(&written)).transpose()
    }

    /// Reads every value of the key; the same twice is one too many.
    pub(super) fn each(&self, written: Option<Vec<Written>>) -> Result<Vec<T>, ConfigError>
    where
        T: PartialEq,
    {
        let mut values = Vec::new();
        for written in written.unwrap_or_default() {
            let value = self.take(&written)?;
            if values.contains(&value) {
                return Err(self.refuse(&written));
            }
            values.push(value);
        }
        Ok(values)
    }

    fn take(&self, written: &Written) -> Result<T, ConfigError> {
        (self.read)(written.as_str()).ok_or_else(|| self.refuse(written))
    }

    fn refuse(&self, written: &Written) -> ConfigError {
        let value = written.as_str().to_owned();
        ConfigError::BadValue { key: self.key, value, allowed: self.allowed }
    }
}

fn between<T: Copy + PartialOrd>(least: T, most: T, value: T) -> Option<T> {
    (least <= value && value <= most).then_some(value)
}

/// Reads `off`, or a number up to `most`.
#[allow(clippy::option_option)] // no rule, or a rule that says no
fn at_most(most: u32, text: &str) -> Option<Option<NonZeroU32>> {
    match text {
        "off" => Some(None),
        text => between(1, most, text.parse().ok()?).map(NonZeroU32::new),
    }
}

/// Reads `IP:PORT`; `localhost` needs no one to look it up.
fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?)),
        None => text.parse().ok(),
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds `rule` against texts that are allowed and texts that are not.
    fn hold<T>(rule: &Rule<T>, allowed: &[&str], refused: &[&str]) {
        for text in allowed {
            assert!((rule.read)(text).is_some(), "{} {text}", rule.key);
        }
        for text in refused {
            let error = rule.one(Some((*text).into())).err().unwrap().to_string();
            assert!(error.contains(rule.key) && error.contains(rule.allowed), "{error}");
        }
    }

    #[test]
    fn every_rule_ends_where_it_says() {
        hold(&LISTEN, &["127.0.0.1:0", "[::1]:80", "localhost:1"], &["", "8080", ":80", "a:b:c"]);
        hold(&TRUSTED_PROXY, &["10.0.0.0/8", "::1"], &["10.0.0.1/8", "proxy", ""]);
        hold(&PROXY_PROTOCOL, &["true", "false"], &["v2", ""]);
        hold(&ALLOW_ORIGIN, &["*", "https://*.a.org"], &["", "a.org", "https://a/", "null"]);
        hold(&WORKERS, &["auto", "1", "256"], &["0", "257", "-1", "lots", ""]);
        hold(&MAX_CONNS, &["1", "10000000"], &["0", "10000001", "1e5"]);
        hold(&REQUEST_TIME, &["100ms", "1h"], &["99ms", "3601s", "off"]);
        hold(&HEAD_BYTES, &["1024", "64k"], &["1023", "65537"]);
        hold(&TARGET_BYTES, &["256", "64k"], &["255", "65537"]);
        hold(&HEADERS, &["5", "1000"], &["4", "1001"]);
        hold(&FRAGMENTS, &["1", "1000000"], &["0", "1000001"]);
        hold(&FRAMES_PER_SECOND, &["off", "1", "1000000"], &["0", "1000001", "1k"]);
        hold(&BYTES_PER_SECOND, &["off", "1k", "1g"], &["1023", "2g", "on"]);
        hold(&OUTBOX_FRAMES, &["16", "1000000"], &["15", "1000001"]);
        hold(&HEARTBEAT_MISSES, &["1", "100"], &["0", "101"]);
        hold(&TOPICS_PER_CONN, &["1", "100000"], &["0", "100001"]);
        hold(&CONNS_PER_ADDRESS, &["off", "1", "10000000"], &["0", "10000001"]);
        hold(&CONNECTS_PER_ADDRESS, &["off", "1", "100000"], &["0", "100001"]);
        hold(&MEMORY_MAX, &["auto", "off", "16m", "2GiB"], &["16383k", "max"]);
        hold(&MEMORY_STOP, &["1", "85%", "100%"], &["0", "101%", "%"]);
        hold(&SPARE_FILES, &["20", "100000"], &["19", "100001"]);
        hold(&SUBPROTOCOL, &["chat.v1"], &["", "a b", "a,b", "\u{e4}"]);
        hold(&PUBLISH_KEY, &["0123456789abcdef"], &["0123456789abcde", "0123456789 abcdef"]);
        hold(&ALLOW_PUBLISH, &["true", "false"], &["yes", "", "1"]);
        hold(&CLIENT_AUTH, &["off", "request", "require"], &["on", "", "Require"]);
        hold(&CLIENT_CA, &["ca.pem"], &[""]);
        hold(&WATCH_CERTS, &["true", "false"], &["on", ""]);
        hold(&PUBLISH_IDENTITY, &["a", "spiffe://a/b", &"a".repeat(255)], &["", "a\nb"]);
        hold(&PUBLISH_IDENTITY, &["ops@example"], &[&"a".repeat(256)]);
        hold(&ADMIN, &["off", "[::1]:9090"], &["on", "9090"]);
        hold(&DRAIN_TIMEOUT, &["0", "1h"], &["3601s", "soon"]);
        hold(&HEARTBEAT, &["1s", "1h"], &["999ms", "61m"]);
        hold(&STREAM_IDLE, &["1s", "24h"], &["999ms", "25h"]);
        hold(&OUTBOX_BYTES, &["4k", "64MiB"], &["4095", "65MiB"]);
        hold(&DEFLATE, &["off", "on", "takeover"], &["", "true", "On", "15"]);
        hold(&MESSAGE_BYTES, &["1", "64MiB"], &["0", "67108865"]);
    }

    #[test]
    fn the_same_twice_is_refused() {
        let twice = Some(vec!["a".into(), "b".into(), "a".into()]);
        assert!(SUBPROTOCOL.each(twice).is_err());
    }
}
