//! Signing requests: PKCS #10 (RFC 2986).

use rcgen::{
    CertificateParams, DistinguishedName, DnType, PublicKeyData, SanType, SubjectPublicKeyInfo,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::error::X509Error;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::text::{distinguished_name, printable};
use super::{Name, NewKey, PublicKey, Refusal};

/// The most names of one certificate: it is sent in every handshake.
pub const NAMES_MAX: usize = 100;

/// The longest common name that a certificate can carry (RFC 5280 appendix A, `ub-common-name`).
const COMMON_NAME_CHARS_MAX: usize = 64;

/// A request that its own key has signed.
#[derive(Debug)]
pub struct Request {
    /// Whom the certificate is to be for, as in [`super::Description::subject`].
    pub subject: String,
    /// The names asked for; without any, a subject that is called like a host.
    pub names: Vec<Name>,
    /// The kind of the key, which is a good one.
    pub key: PublicKey,
    distinguished_name: DistinguishedName,
    public_key: SubjectPublicKeyInfo,
}

impl Request {
    /// A request for these names, in DER, signed by the key that the certificate will be for.
    ///
    /// The subject is the first name that fits there: it is for people, programs compare the names.
    ///
    /// # Errors
    ///
    /// [`Refusal::BadName`] for one that is not ASCII.
    pub fn make(names: &[Name], key: &NewKey) -> Result<Vec<u8>, Refusal> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let mut texts = names.iter().map(ToString::to_string);
        if let Some(fitting) = texts.find(|text| text.chars().count() <= COMMON_NAME_CHARS_MAX) {
            params.distinguished_name.push(DnType::CommonName, fitting);
        }
        params.subject_alt_names = names.iter().map(Name::to_san).collect::<Result<_, _>>()?;
        Ok(params.serialize_request(key.pair())?.der().to_vec())
    }

    /// Reads a request in DER, and checks its signature and its key.
    ///
    /// Names and key are all that is taken from it: what else a certificate says is for who signs.
    ///
    /// # Errors
    ///
    /// Why it must not be signed.
    pub fn read(der: &[u8]) -> Result<Self, Refusal> {
        let request = parse(der)?;
        let info = &request.certification_request_info;
        let key = PublicKey::of(&info.subject_pki);
        // Before the signature, which cannot be checked with a key that is too weak.
        key.check()?;
        request.verify_signature().map_err(|error| match error {
            X509Error::SignatureUnsupportedAlgorithm => Refusal::UncheckableRequest,
            _ => Refusal::ForgedRequest,
        })?;
        let names = names(&request)?;
        let subject = distinguished_name(&info.subject);
        if names.is_empty() && subject.is_empty() {
            return Err(Refusal::Nameless);
        }
        Ok(Self {
            subject,
            names,
            key,
            distinguished_name: name_to_copy(&info.subject)?,
            public_key: SubjectPublicKeyInfo::from_der(info.subject_pki.raw)?,
        })
    }

    /// What of it goes into a certificate.
    pub(super) fn params(&self) -> Result<CertificateParams, Refusal> {
        let mut params = CertificateParams::default();
        params.distinguished_name = self.distinguished_name.clone();
        let names: Result<Vec<SanType>, _> = self.names.iter().map(Name::to_san).collect();
        params.subject_alt_names = names?;
        Ok(params)
    }

    pub(super) const fn public_key(&self) -> &impl PublicKeyData {
        &self.public_key
    }
}

fn parse(der: &[u8]) -> Result<X509CertificationRequest<'_>, Refusal> {
    match X509CertificationRequest::from_der(der) {
        Ok(([], request)) => Ok(request),
        Ok(_) => Err(Refusal::Malformed("bytes follow the signing request".to_owned())),
        Err(error) => {
            let reason = printable(&error.to_string());
            Err(Refusal::Malformed(format!("this is no signing request: {reason}")))
        }
    }
}

/// The names that `request` asks for, or its common name if that is all it has: so it was done
/// before there were others, and `openssl req -subj /CN=host` still does it.
fn names(request: &X509CertificationRequest<'_>) -> Result<Vec<Name>, Refusal> {
    let mut names = Vec::new();
    for extension in request.requested_extensions().into_iter().flatten() {
        match extension {
            ParsedExtension::BasicConstraints(wanted) if wanted.ca => {
                return Err(Refusal::AuthorityWanted);
            }
            ParsedExtension::SubjectAlternativeName(wanted) => {
                names.extend(wanted.general_names.iter().map(Name::of));
            }
            ParsedExtension::ParseError { .. } => {
                let reason = "an extension that it asks for is damaged";
                return Err(Refusal::Malformed(reason.to_owned()));
            }
            _ => {}
        }
    }
    if names.len() > NAMES_MAX {
        let reason = format!("it asks for {} names, and {NAMES_MAX} are the most", names.len());
        return Err(Refusal::Malformed(reason));
    }
    if names.is_empty() {
        let subject = &request.certification_request_info.subject;
        let common = subject.iter_common_name().filter_map(|name| name.as_str().ok());
        names.extend(common.filter_map(|name| name.parse().ok()));
    }
    Ok(names)
}

/// What rcgen makes of a subject.
///
/// It would make several relative names of one that has several parts, and forget one of two of the
/// same kind: another subject than the one asked for.
fn name_to_copy(subject: &X509Name<'_>) -> Result<DistinguishedName, Refusal> {
    let mut copy = DistinguishedName::new();
    for relative in subject.iter_rdn() {
        let mut parts = relative.iter();
        let (Some(part), None) = (parts.next(), parts.next()) else {
            let reason = "its subject has a part of several values, which cannot be copied";
            return Err(Refusal::Malformed(reason.to_owned()));
        };
        let oid = part.attr_type().iter().map(Iterator::collect::<Vec<u64>>);
        let oid = oid.ok_or_else(|| Refusal::Malformed("its subject is damaged".to_owned()))?;
        let value = part.as_str().map_err(|_| {
            Refusal::Malformed("its subject is not written in UTF-8 or ASCII".to_owned())
        })?;
        let kind = DnType::from_oid(&oid);
        if copy.get(&kind).is_some() {
            let reason = "its subject has two parts of one kind, which cannot be copied";
            return Err(Refusal::Malformed(reason.to_owned()));
        }
        copy.push(kind, value);
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::pki::KeyKind;
    use rcgen::{BasicConstraints, IsCa, KeyPair};

    fn names() -> Vec<Name> {
        ["localhost", "*.example.com", "::1", "ann@example.com", "spiffe://example/ann"]
            .map(|name| name.parse().unwrap())
            .into()
    }

    fn asked(change: impl FnOnce(&mut CertificateParams)) -> Result<Request, Refusal> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        change(&mut params);
        let request = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
        Request::read(request.der())
    }

    #[test]
    fn a_request_of_any_key_is_read_again() {
        for kind in KeyKind::ALL {
            let key = NewKey::generate(kind).unwrap();
            let request = Request::read(&Request::make(&names(), &key).unwrap()).unwrap();
            assert_eq!(request.subject, "CN=localhost");
            assert_eq!(request.names, names());
        }
    }

    #[test]
    fn a_request_that_was_changed_or_cut_is_refused() {
        let key = NewKey::generate(KeyKind::P256).unwrap();
        let request = Request::make(&names(), &key).unwrap();
        for cut in 0..request.len() {
            assert!(matches!(Request::read(&request[..cut]), Err(Refusal::Malformed(_))), "{cut}");
        }
        let at = request.windows(9).position(|part| part == b"localhost").unwrap();
        let mut changed = request.clone();
        changed[at] = b'L';
        assert_eq!(Request::read(&changed).unwrap_err(), Refusal::ForgedRequest);
        assert!(Request::read(&[&request[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_subject_that_is_called_like_a_host_is_a_name_if_there_is_no_other() {
        let common = |name: &'static str| {
            asked(|params| params.distinguished_name.push(DnType::CommonName, name)).unwrap()
        };
        assert_eq!(common("push.example").names, ["push.example".parse().unwrap()]);
        assert_eq!(common("Ann Example").names, []);
        assert_eq!(asked(|_| ()).unwrap_err(), Refusal::Nameless);
    }

    #[test]
    fn an_authority_is_not_given_to_who_asks_for_it() {
        let request = asked(|params| {
            params.distinguished_name.push(DnType::CommonName, "ann");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        });
        assert_eq!(request.unwrap_err(), Refusal::AuthorityWanted);
    }

    #[test]
    fn names_are_limited() {
        let many = |count: usize| {
            let names: Vec<_> = (0..count).map(|it| format!("n{it}").parse().unwrap()).collect();
            Request::read(&Request::make(&names, &NewKey::generate(KeyKind::P256)?)?)
        };
        assert_eq!(many(NAMES_MAX).unwrap().names.len(), NAMES_MAX);
        assert!(many(NAMES_MAX + 1).unwrap_err().to_string().contains("100 are the most"));
    }

    #[test]
    fn a_name_that_is_too_long_for_a_subject_is_left_to_the_names() {
        let long = Name::Dns(format!("{}.example", "a".repeat(60)));
        let key = NewKey::generate(KeyKind::P256).unwrap();
        let request = Request::make(std::slice::from_ref(&long), &key).unwrap();
        let request = Request::read(&request).unwrap();
        assert_eq!((request.subject.as_str(), request.names), ("", vec![long]));
    }
}
