//! What an authority issues, and what it refuses to.

use std::time::Duration;

use rcgen::{GeneralSubtree, NameConstraints};
use x509_parser::extensions::ParsedExtension;

use super::*;
use crate::tls::pki::{Description, KeyKind, Standing, is_signed_by};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

fn life(days: u64) -> Life {
    Life::days(days, now()).unwrap()
}

fn authority(kind: KeyKind) -> Authority {
    Authority::make("an authority", NewKey::generate(kind).unwrap(), life(3_650)).unwrap()
}

fn request(names: &[&str], kind: KeyKind) -> Request {
    let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
    let key = NewKey::generate(kind).unwrap();
    Request::read(&Request::make(&names, &key).unwrap()).unwrap()
}

/// Makes an authority with rcgen alone, as strangers may have made theirs.
fn foreign(change: impl FnOnce(&mut CertificateParams)) -> Result<Authority, Refusal> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    life(3_650).write(&mut params);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().into();
    Authority::read(vec![certificate], &key.into())
}

#[test]
fn authorities_of_all_keys_sign_for_all_keys() {
    for issuer in KeyKind::ALL {
        let authority = authority(issuer);
        for kind in KeyKind::ALL {
            for purpose in [Purpose::Server, Purpose::Client] {
                let request = request(&["localhost", "*.example.com", "::1"], kind);
                let chain = authority.sign(&request, purpose, life(90), now()).unwrap();
                assert_eq!(chain.len(), 1, "a root is not sent");
                assert!(is_signed_by(&chain[0], authority.certificate()));
            }
        }
    }
}

#[test]
fn a_certificate_says_what_was_asked_for_and_nothing_more() {
    let authority = authority(KeyKind::P256);
    let request = request(&["localhost", "127.0.0.1"], KeyKind::Rsa2048);
    let chain = authority.sign(&request, Purpose::Server, life(90), now()).unwrap();
    let read = Description::read(&chain[0]).unwrap();
    assert_eq!(read.names, request.names);
    assert_eq!(read.purposes, ["servers"]);
    assert!(!read.is_authority && !read.is_self_signed);
    assert_eq!(read.issuer, "CN=an authority");
    assert_eq!(read.standing(now()), Standing::Valid { days: 90 });
    assert_eq!(read.standing(now() - Duration::from_secs(3_000)), Standing::Valid { days: 90 });
}

#[test]
fn a_certificate_and_its_issuer_name_each_others_keys() {
    let authority = authority(KeyKind::P256);
    let request = request(&["localhost"], KeyKind::P256);
    let chain = authority.sign(&request, Purpose::Server, life(90), now()).unwrap();
    let identifiers = |certificate| {
        let parsed = parse(certificate).unwrap();
        let mut found = (None, None);
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => found.0 = Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    found.1 = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                _ => {}
            }
        }
        (found.0.unwrap(), found.1.unwrap())
    };
    let (own, issuer) = identifiers(&chain[0]);
    let (authority_own, authority_issuer) = identifiers(authority.certificate());
    assert_eq!(issuer, authority_own);
    assert_eq!(authority_issuer, authority_own);
    assert_ne!(own, authority_own);
}

#[test]
fn no_two_certificates_have_the_same_number() {
    let authority = authority(KeyKind::P256);
    let request = request(&["localhost"], KeyKind::P256);
    let serial = || {
        let chain = authority.sign(&request, Purpose::Server, life(1), now()).unwrap();
        let serial = Description::read(&chain[0]).unwrap().serial;
        assert_eq!(serial.split(':').count(), 16);
        serial
    };
    assert_ne!(serial(), serial());
}

#[test]
fn nothing_outlives_its_authority() {
    let key = NewKey::generate(KeyKind::P256).unwrap();
    let authority = Authority::make("an authority", key, life(100)).unwrap();
    let request = request(&["localhost"], KeyKind::P256);
    let sign = |days| authority.sign(&request, Purpose::Server, life(days), now());
    assert!(sign(100).is_ok());
    assert_eq!(sign(101).unwrap_err(), Refusal::OutlivesAuthority { days: 100 });
}

#[test]
fn a_server_without_a_host_is_refused() {
    let authority = authority(KeyKind::P256);
    let request = request(&["ann@example.com"], KeyKind::P256);
    let sign = |purpose| authority.sign(&request, purpose, life(1), now());
    assert_eq!(sign(Purpose::Server).unwrap_err(), Refusal::Hostless);
    assert!(sign(Purpose::Client).is_ok());
}

#[test]
fn what_is_no_authority_does_not_sign() {
    assert!(foreign(|_| ()).is_ok());
    let refused = foreign(|params| params.is_ca = IsCa::ExplicitNoCa);
    assert_eq!(refused.err(), Some(Refusal::NoAuthority));
    let refused = foreign(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(refused.err(), Some(Refusal::NoAuthority));
    let [one, other] = [(); 2].map(|()| authority(KeyKind::P256));
    let key = PrivateKeyDer::try_from(other.issuer.key().serialize_der()).unwrap();
    assert_eq!(Authority::read(vec![one.own], &key).err(), Some(Refusal::ForeignKey));
}

#[test]
fn an_authority_that_may_not_issue_for_a_name_does_not() {
    let authority = foreign(|params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example.com".into())];
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    let authority = authority.unwrap();
    let sign = |name| {
        let request = request(&[name], KeyKind::P256);
        authority.sign(&request, Purpose::Server, life(1), now())
    };
    assert!(sign("push.example.com").is_ok());
    assert!(matches!(sign("localhost"), Err(Refusal::Unbelievable(_))));
}

#[test]
fn what_stands_between_an_authority_and_its_root_is_sent() {
    let root_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "a root");
    life(3_650).write(&mut params);
    let root: CertificateDer<'_> = params.self_signed(&root_key).unwrap().into();
    let root_issuer = Issuer::new(params.clone(), root_key);
    params.distinguished_name.push(DnType::CommonName, "in between");
    let key = KeyPair::generate().unwrap();
    let between = params.signed_by(&key, &root_issuer).unwrap().into();
    let chain = vec![CertificateDer::clone(&between), root.clone()];
    let authority = Authority::read(chain, &key.into()).unwrap();
    let request = request(&["localhost"], KeyKind::P256);
    let sent = authority.sign(&request, Purpose::Server, life(1), now()).unwrap();
    assert_eq!(&sent[1..], [between]);
    let host = request.names[0].host().unwrap();
    assert_eq!(verify::server(&sent, &[root], &host, now()), Ok(()));
}
