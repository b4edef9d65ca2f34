//! Who a peer has proved to be.
//!
//! An identity is made of a certificate that the handshake has verified, and of nothing else: it is
//! there, or the peer is a stranger. It takes some hundred bytes, so whoever does not need it any
//! more lets it go.

use std::fmt;
use std::net::IpAddr;

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
use rustls::crypto::hash::Hash;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::fault::Fault;

/// Who a peer has proved to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    subject: Box<str>,
    names: Box<[Box<str>]>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// What `certificate`, which somebody else has verified, says of its owner.
    ///
    /// # Errors
    ///
    /// [`Fault::CertificateInvalid`] if it cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Fault> {
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| Fault::CertificateInvalid)?;
        Ok(Self {
            subject: printable(&parsed.subject().to_string()),
            names: names(&parsed)?,
            fingerprint: Fingerprint::of(certificate),
        })
    }

    /// The distinguished name, in text, such as `O=Example, CN=backend`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The alternative names of the subject: of hosts, addresses, mailboxes and services (URIs).
    /// Only where there are none, its common name stands for them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Whether the peer goes by `name`, in whatever case it is written.
    pub fn is(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// What no other certificate has.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}), SHA-256 {}", self.subject, self.names.join(", "), self.fingerprint)
    }
}

/// The SHA-256 of a certificate, which is written in hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The SHA-256 of `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let digest = sha256().hash(bytes);
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Its bytes.
    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The hash of a suite whose hash is SHA-256.
fn sha256() -> &'static dyn Hash {
    let suite = TLS13_CHACHA20_POLY1305_SHA256.tls13().expect("it is a suite of TLS 1.3");
    suite.common.hash_provider
}

/// The names in `certificate` that can be told from names of another kind.
///
/// They are compared as text, so that a mailbox called `backend` must not pass for a host of that
/// name. An authority that would issue one is to be pitied, and not to be relied on.
fn names(certificate: &X509Certificate<'_>) -> Result<Box<[Box<str>]>, Fault> {
    let alternative =
        certificate.subject_alternative_name().map_err(|_| Fault::CertificateInvalid)?;
    Ok(match alternative {
        Some(names) => names.value.general_names.iter().filter_map(name).collect(),
        None => certificate
            .subject()
            .iter_common_name()
            .filter_map(|name| name.as_str().ok())
            .filter(|name| is_plain(name))
            .map(printable)
            .collect(),
    })
}

fn name(name: &GeneralName<'_>) -> Option<Box<str>> {
    match name {
        GeneralName::DNSName(host) => is_plain(host).then(|| printable(host)),
        GeneralName::RFC822Name(mailbox) => mailbox.contains('@').then(|| printable(mailbox)),
        GeneralName::URI(uri) => is_uri(uri).then(|| printable(uri)),
        GeneralName::IPAddress(address) => {
            ip_address(address).map(|address| address.to_string().into())
        }
        _ => None,
    }
}

/// Whether `name` can be that of a host, or of somebody, and of nothing else.
fn is_plain(name: &str) -> bool {
    !name.contains(['@', ':', '/']) && name.parse::<IpAddr>().is_err()
}

/// Whether `uri` can be nothing but one: `fe80::1` has a colon, too, and so has `a@b:c`.
fn is_uri(uri: &str) -> bool {
    let scheme = uri.split(['@', ':']).next().unwrap_or_default();
    uri.strip_prefix(scheme).is_some_and(|rest| rest.starts_with(':'))
        && uri.parse::<IpAddr>().is_err()
}

fn ip_address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// `text` in one line: whoever chose it must not write lines of our log.
fn printable(text: &str) -> Box<str> {
    let escape = |c: char| -> Box<dyn Iterator<Item = char>> {
        if c.is_control() { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) }
    };
    text.chars().flat_map(escape).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    /// The identity in a certificate with this common name and these alternative names.
    fn identity(common_name: &str, names: Vec<SanType>) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = names;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Identity::of(certificate.der()).unwrap()
    }

    fn names(identity: &Identity) -> Vec<&str> {
        identity.names().collect()
    }

    #[test]
    fn alternative_names_of_every_kind_are_known() {
        let identity = identity(
            "ignored",
            vec![
                SanType::DnsName("backend.example".try_into().unwrap()),
                SanType::Rfc822Name("ops@example".try_into().unwrap()),
                SanType::URI("spiffe://example/backend".try_into().unwrap()),
                SanType::IpAddress("192.0.2.1".parse().unwrap()),
                SanType::IpAddress("2001:db8::1".parse().unwrap()),
            ],
        );
        let all = [
            "backend.example",
            "ops@example",
            "spiffe://example/backend",
            "192.0.2.1",
            "2001:db8::1",
        ];
        assert_eq!(names(&identity), all);
        assert!(identity.is("Backend.Example") && !identity.is("ignored"));
    }

    #[test]
    fn the_common_name_stands_in_for_alternative_ones() {
        let identity = identity("backend", vec![]);
        assert_eq!(names(&identity), ["backend"]);
        assert!(identity.subject().contains("CN=backend"), "{identity}");
    }

    #[test]
    fn a_name_of_one_kind_does_not_pass_for_one_of_another() {
        let identity = identity(
            "unused",
            vec![
                SanType::Rfc822Name("backend".try_into().unwrap()),
                SanType::URI("backend".try_into().unwrap()),
                SanType::URI("2001:db8::1".try_into().unwrap()),
                SanType::URI("ops@example:1".try_into().unwrap()),
                SanType::DnsName("192.0.2.1".try_into().unwrap()),
                SanType::DnsName("ops@example".try_into().unwrap()),
            ],
        );
        assert_eq!(names(&identity), [""; 0]);
    }

    #[test]
    fn nobody_writes_lines_of_our_log() {
        let identity = identity("a\nb\u{1b}[2J", vec![]);
        assert_eq!(names(&identity), ["a\\nb\\u{1b}[2J"]);
        assert_eq!(identity.to_string().lines().count(), 1);
    }

    #[test]
    fn a_fingerprint_is_the_sha_256() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Fingerprint::of(b"abc").to_string(), abc);
    }

    #[test]
    fn what_is_no_certificate_has_no_owner() {
        let nonsense = CertificateDer::from(vec![0x30, 0x80]);
        assert_eq!(Identity::of(&nonsense), Err(Fault::CertificateInvalid));
    }
}
