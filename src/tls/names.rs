//! Which of several certificates a client is shown: by the name it asks for (SNI, RFC 6066 §3).
//!
//! The names come out of the certificates. A name in full goes before a pattern such as
//! `*.example.com`, which stands for exactly one label (RFC 9525 §6.3). Where several certificates
//! have the same name, say with keys of different kinds, the client is shown the first whose key it
//! can verify. Who asks for nothing, or for a name that nobody has, is shown the first of all.

use std::fmt;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::base::Map;

/// Certificates with their keys, by the names that they are for.
pub(super) struct Names {
    all: Vec<Arc<CertifiedKey>>,
    /// Their places in `all`, in that order, by a name as it is in a certificate, in lower case.
    places: Map<String, Vec<usize>>,
}

impl Names {
    /// The names of `all` certificates, the first of which is shown to who asks for none of them.
    pub(super) fn new(all: Vec<Arc<CertifiedKey>>) -> Self {
        let mut places: Map<_, Vec<_>> = Map::default();
        for (place, certificate) in all.iter().enumerate() {
            for name in certificate.cert.first().map(host_names).unwrap_or_default() {
                places.entry(name.to_ascii_lowercase()).or_default().push(place);
            }
        }
        Self { all, places }
    }

    /// The certificate for a client that asks for `name` and can verify `schemes`.
    fn find(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let can_verify =
            |certificate: &&Arc<CertifiedKey>| certificate.key.choose_scheme(schemes).is_some();
        let named = name.map(str::to_ascii_lowercase).and_then(|name| self.places_of(&name));
        let mut named = named.into_iter().flatten().filter_map(|place| self.all.get(*place));
        let first = named.clone().next();
        named
            .find(can_verify)
            .or(first)
            .or_else(|| self.all.iter().find(can_verify))
            .or_else(|| self.all.first())
    }

    fn places_of(&self, name: &str) -> Option<&Vec<usize>> {
        self.places.get(name).or_else(|| {
            let (_label, parent) = name.split_once('.')?;
            self.places.get(&format!("*.{parent}"))
        })
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name(), hello.signature_schemes()).cloned()
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.places.keys()).finish()
    }
}

/// The names of hosts that `certificate` is for: its alternative names, as browsers want it.
pub(super) fn host_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(host).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::PrivateKeyDer;

    use super::*;

    const ECDSA: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
    const EDDSA: SignatureScheme = SignatureScheme::ED25519;

    /// Names with a certificate for each list of these, all with keys of P-256 but those that begin
    /// with `ed.`.
    fn names(lists: &[&[&str]]) -> Names {
        let certificate = |list: &&[&str]| {
            let is_ed = list.first().is_some_and(|name| name.starts_with("ed."));
            let kind = if is_ed { &PKCS_ED25519 } else { &PKCS_ECDSA_P256_SHA256 };
            let key = KeyPair::generate_for(kind).unwrap();
            let names: Vec<String> = list.iter().map(|name| (*name).to_owned()).collect();
            let made = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let provider = aws_lc_rs::default_provider();
            Arc::new(CertifiedKey::from_der(vec![made.der().clone()], key, &provider).unwrap())
        };
        Names::new(lists.iter().map(certificate).collect())
    }

    /// The number of the certificate that is shown.
    fn shown(names: &Names, name: Option<&str>, schemes: &[SignatureScheme]) -> usize {
        let shown = names.find(name, schemes).unwrap();
        names.all.iter().position(|certificate| Arc::ptr_eq(certificate, shown)).unwrap()
    }

    #[test]
    fn the_certificate_of_the_name_is_shown_and_the_first_to_everybody_else() {
        let names = names(&[
            &["default.example"],
            &["a.example", "*.example", "192.0.2.1"],
            &["B.example"],
            &["*.b.example"],
        ]);
        for (name, number) in [
            (None, 0),
            (Some("default.example"), 0),
            (Some("a.example"), 1),
            (Some("A.EXAMPLE"), 1),
            (Some("other.example"), 1),
            (Some("b.example"), 2),
            (Some("c.b.example"), 3),
            (Some("d.c.b.example"), 0),
            (Some("example"), 0),
            (Some("192.0.2.1"), 0),
            (Some("*.example"), 1),
            (Some(""), 0),
        ] {
            assert_eq!(shown(&names, name, &[ECDSA]), number, "{name:?}");
        }
    }

    #[test]
    fn of_two_certificates_with_a_name_the_first_is_shown_that_can_be_verified() {
        let names = names(&[&["ed.example", "both.example"], &["both.example"]]);
        let both = Some("both.example");
        assert_eq!(shown(&names, both, &[ECDSA, EDDSA]), 0);
        assert_eq!(shown(&names, both, &[ECDSA]), 1);
        assert_eq!(shown(&names, None, &[ECDSA]), 1);
        assert_eq!(shown(&names, Some("ed.example"), &[ECDSA]), 0, "the name comes first");
        assert_eq!(shown(&names, both, &[]), 0);
    }
}
