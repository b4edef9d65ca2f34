//! Whom a certificate is for: subject alternative names (RFC 5280 §4.2.1.6).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use rcgen::SanType;
use rustls::pki_types::{DnsName, ServerName};
use x509_parser::extensions::GeneralName;

use super::Refusal;
use super::text::printable;

/// Whom a certificate is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Name {
    /// A host, or with `*.` before it those below it.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// A mailbox.
    Email(String),
    /// A resource, such as a SPIFFE identity.
    Uri(String),
    /// A name of a kind that is shown, but neither made nor compared.
    Other(String),
}

impl Name {
    /// A name that a certificate carries, whatever it may be.
    pub(super) fn of(name: &GeneralName<'_>) -> Self {
        match name {
            GeneralName::DNSName(host) if is_graphic(host) => Self::Dns((*host).to_owned()),
            GeneralName::RFC822Name(mail) if is_graphic(mail) => Self::Email((*mail).to_owned()),
            GeneralName::URI(uri) if is_graphic(uri) => Self::Uri((*uri).to_owned()),
            GeneralName::IPAddress(octets) => match address(octets) {
                Some(address) => Self::Ip(address),
                None => Self::Other(printable(&name.to_string())),
            },
            _ => Self::Other(printable(&name.to_string())),
        }
    }

    /// A host that this name stands for, if it stands for any.
    pub(super) fn host(&self) -> Option<ServerName<'static>> {
        match self {
            // What stands for the star may be any label.
            Self::Dns(name) => ServerName::try_from(name.replacen('*', "any", 1)).ok(),
            Self::Ip(address) => Some(ServerName::from(*address)),
            Self::Email(_) | Self::Uri(_) | Self::Other(_) => None,
        }
    }

    pub(super) fn to_san(&self) -> Result<SanType, Refusal> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Ip(address) => SanType::IpAddress(*address),
            Self::Email(name) => SanType::Rfc822Name(name.as_str().try_into()?),
            Self::Uri(name) => SanType::URI(name.as_str().try_into()?),
            Self::Other(name) => return Err(bad(name, "is a name of a kind that is not signed")),
        })
    }

    /// What a file that belongs to it may be called, without an extension.
    pub fn file_stem(&self) -> String {
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "._-@".contains(*c);
        let plain = |c| if is_plain(&c) { c } else { '_' };
        self.to_string().chars().map(plain).take(FILE_STEM_CHARS_MAX).collect()
    }
}

/// File names end at 255 bytes, and `-key.pem.unfinished` follows.
const FILE_STEM_CHARS_MAX: usize = 200;

impl FromStr for Name {
    type Err = Refusal;

    /// Takes an address for an address, what contains `://` for a URI, what contains `@` for a
    /// mailbox, and everything else for a host.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = inside.unwrap_or(text).parse() {
            return Ok(Self::Ip(address));
        }
        if text.contains("://") {
            return graphic(text).map(Self::Uri);
        }
        if let Some((user, host)) = text.split_once('@') {
            let is_mailbox = !user.is_empty() && !host.is_empty() && !host.contains('@');
            return if is_mailbox {
                graphic(text).map(Self::Email)
            } else {
                Err(bad(text, "is not an e-mail address"))
            };
        }
        host(text).map(Self::Dns)
    }
}

fn host(text: &str) -> Result<String, Refusal> {
    if !text.is_ascii() {
        return Err(bad(text, "is not ASCII: write it in its xn-- form"));
    }
    let host = text.strip_prefix("*.").unwrap_or(text);
    let is_number = host.rsplit('.').next().is_some_and(|last| last.parse::<u64>().is_ok());
    if is_number || host.ends_with('.') || DnsName::try_from(host).is_err() {
        let reason = "is neither a DNS name nor an IP address, an e-mail address or a URI";
        return Err(bad(text, reason));
    }
    Ok(text.to_ascii_lowercase())
}

fn graphic(text: &str) -> Result<String, Refusal> {
    if is_graphic(text) {
        Ok(text.to_owned())
    } else {
        Err(bad(text, "has blanks in it, or letters that are not ASCII"))
    }
}

fn is_graphic(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn bad(name: &str, reason: &'static str) -> Refusal {
    Refusal::BadName { name: name.to_owned(), reason }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(|four| IpAddr::V4(Ipv4Addr::from(four)));
    let sixteen = <[u8; 16]>::try_from(octets).map(|sixteen| IpAddr::V6(Ipv6Addr::from(sixteen)));
    four.or(sixteen).ok()
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Email(name) | Self::Uri(name) | Self::Other(name) => {
                f.write_str(name)
            }
            Self::Ip(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_for_what_it_looks_like() {
        let dns = |text: &str| Name::Dns(text.into());
        for (text, name) in [
            ("localhost", dns("localhost")),
            (" push.Example ", dns("push.example")),
            ("*.example.com", dns("*.example.com")),
            ("device-17", dns("device-17")),
            ("127.0.0.1", Name::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            ("::1", Name::Ip(IpAddr::V6(Ipv6Addr::LOCALHOST))),
            ("[::1]", Name::Ip(IpAddr::V6(Ipv6Addr::LOCALHOST))),
            ("ann@example.com", Name::Email("ann@example.com".into())),
            ("spiffe://example/ann", Name::Uri("spiffe://example/ann".into())),
        ] {
            assert_eq!(text.parse(), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "neither"),
            ("a b", "neither"),
            ("*", "neither"),
            ("a.*.example", "neither"),
            ("example.com.", "neither"),
            ("300.1.1.1", "neither"),
            ("bücher.example", "xn--"),
            ("@example.com", "e-mail"),
            ("a@b@c", "e-mail"),
            ("a b@c", "blanks"),
            ("spiffe://ä", "ASCII"),
        ] {
            match text.parse::<Name>() {
                Ok(name) => panic!("{text:?} was taken for {name:?}"),
                Err(refusal) => assert!(refusal.to_string().contains(reason), "{text}: {refusal}"),
            }
        }
    }

    #[test]
    fn a_file_stem_is_safe_in_every_shell_and_folder() {
        for (name, stem) in [
            ("localhost", "localhost"),
            ("*.example.com", "_.example.com"),
            ("::1", "__1"),
            ("ann@example.com", "ann@example.com"),
            ("spiffe://a/../b", "spiffe___a_.._b"),
        ] {
            assert_eq!(name.parse::<Name>().unwrap().file_stem(), stem);
        }
        let long = format!("spiffe://{}", "a".repeat(1_000)).parse::<Name>().unwrap();
        assert_eq!(long.file_stem().len(), FILE_STEM_CHARS_MAX);
    }

    #[test]
    fn a_star_stands_for_a_host() {
        let host = "*.example.com".parse::<Name>().unwrap().host().unwrap();
        assert_eq!(host.to_str(), "any.example.com");
        assert!(Name::Email("a@b".into()).host().is_none());
    }

    #[test]
    fn what_a_certificate_calls_a_name_cannot_forge_a_line() {
        let forged = Name::of(&GeneralName::DNSName("a\nsubject: b"));
        assert!(matches!(&forged, Name::Other(text) if !text.contains('\n')), "{forged:?}");
        assert!(matches!(Name::of(&GeneralName::IPAddress(&[1, 2, 3])), Name::Other(_)));
    }
}
