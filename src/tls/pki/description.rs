//! What a certificate says, taken apart for people, for rules and for metrics.
//!
//! Reading proves nothing: whoever made a certificate wrote into it what he liked. Whether it is to
//! be believed is another question, and [`super::verify`] answers it.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use super::super::identity::Fingerprint;
use super::text::{distinguished_name, hex, printable, system_time};
use super::{DAY, Name, PublicKey, RENEWAL, Refusal};

/// What a certificate says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Description {
    /// Whom it is for, as `CN=localhost, O=Example`; safe to print.
    pub subject: String,
    /// Whom else, or rather: clients compare these and not the subject.
    pub names: Vec<Name>,
    /// Who has signed it, written like the subject.
    pub issuer: String,
    /// Since when it holds.
    pub not_before: SystemTime,
    /// Until when.
    pub not_after: SystemTime,
    /// The kind of its key.
    pub key: PublicKey,
    /// What it may be used for, in words; empty if that is not limited.
    pub purposes: Vec<&'static str>,
    /// Where the list of those that its issuer has taken back is to be had.
    pub crl_urls: Vec<String>,
    /// Whether it may issue others.
    pub is_authority: bool,
    /// Whether its issuer is itself.
    pub is_self_signed: bool,
    /// Its number with its issuer, in hexadecimal digits.
    pub serial: String,
    /// What nobody else's certificate has: its SHA-256, as openssl and browsers show it.
    pub fingerprint: String,
}

impl Description {
    /// Reads a certificate.
    ///
    /// # Errors
    ///
    /// What is wrong with its form.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, Refusal> {
        let parsed = parse(certificate)?;
        Ok(Self {
            subject: distinguished_name(parsed.subject()),
            names: names(&parsed),
            issuer: distinguished_name(parsed.issuer()),
            not_before: system_time(parsed.validity().not_before),
            not_after: system_time(parsed.validity().not_after),
            key: PublicKey::of(parsed.public_key()),
            purposes: purposes(&parsed),
            crl_urls: crl_urls(&parsed),
            is_authority: parsed.is_ca(),
            is_self_signed: parsed.verify_signature(None).is_ok(),
            serial: hex(parsed.raw_serial(), ":"),
            fingerprint: hex(Fingerprint::of(certificate).as_bytes(), ":"),
        })
    }

    /// How the time `now` stands to its dates.
    pub fn standing(&self, now: SystemTime) -> Standing {
        if now < self.not_before {
            return Standing::NotYet;
        }
        match self.not_after.duration_since(now) {
            Err(since) => Standing::Expired { days: days(since.duration()) },
            Ok(left) if left < RENEWAL => Standing::EndsSoon { days: days(left) },
            Ok(left) => Standing::Valid { days: days(left) },
        }
    }
}

/// How the time stands to the dates of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It does not hold yet.
    NotYet,
    /// It holds, for so many whole days more.
    Valid {
        /// How many.
        days: u64,
    },
    /// It holds for less than 30 days more.
    EndsSoon {
        /// How many whole ones.
        days: u64,
    },
    /// It held until so many whole days ago.
    Expired {
        /// How many.
        days: u64,
    },
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet => f.write_str("does not hold yet"),
            Self::Valid { days } => write!(f, "{} left", count(*days)),
            Self::EndsSoon { days: 0 } => f.write_str("ends within a day"),
            Self::EndsSoon { days } => write!(f, "ends in {}", count(*days)),
            Self::Expired { days: 0 } => f.write_str("EXPIRED less than a day ago"),
            Self::Expired { days } => write!(f, "EXPIRED {} ago", count(*days)),
        }
    }
}

fn count(days: u64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

const fn days(time: Duration) -> u64 {
    time.as_secs() / DAY.as_secs()
}

/// Whether `issuer` has signed `certificate`.
///
/// Dates, names and permissions are not looked at: that is for [`super::verify`].
pub fn is_signed_by(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let (Ok(certificate), Ok(issuer)) = (parse(certificate), parse(issuer)) else { return false };
    certificate.issuer().as_raw() == issuer.subject().as_raw()
        && certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

pub(super) fn parse<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, Refusal> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) => Err(Refusal::Malformed("bytes follow the certificate".to_owned())),
        Err(error) => {
            let reason = printable(&error.to_string());
            Err(Refusal::Malformed(format!("this is no certificate: {reason}")))
        }
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    extension.value.general_names.iter().map(Name::of).collect()
}

fn purposes(certificate: &X509Certificate<'_>) -> Vec<&'static str> {
    let Ok(Some(extension)) = certificate.extended_key_usage() else { return Vec::new() };
    let usage = extension.value;
    let known = [
        (usage.server_auth, "servers"),
        (usage.client_auth, "clients"),
        (usage.any, "anything"),
        (usage.code_signing, "code"),
        (usage.email_protection, "e-mail"),
        (usage.time_stamping, "time stamps"),
        (usage.ocsp_signing, "OCSP"),
        (!usage.other.is_empty(), "other purposes"),
    ];
    known.into_iter().filter_map(|(is_set, purpose)| is_set.then_some(purpose)).collect()
}

fn crl_urls(certificate: &X509Certificate<'_>) -> Vec<String> {
    let points = certificate.extensions().iter().filter_map(|it| match it.parsed_extension() {
        ParsedExtension::CRLDistributionPoints(points) => Some(&points.points),
        _ => None,
    });
    let names = points.flatten().filter_map(|point| match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) => Some(names),
        _ => None,
    });
    let urls = names.flatten().filter_map(|name| match name {
        GeneralName::URI(url) => Some(printable(url)),
        _ => None,
    });
    urls.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

    fn at(days: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(days * DAY.as_secs())
    }

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let names = ["localhost".to_owned(), "::1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, "Ann, O=Other");
        (params.not_before, params.not_after) = (at(100).into(), at(200).into());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    #[test]
    fn a_certificate_says_whom_it_is_for_and_until_when() {
        let read = Description::read(&certificate(|_| ())).unwrap();
        assert_eq!(read.subject, "O=Example, CN=Ann\\, O\\=Other");
        assert_eq!(read.issuer, read.subject);
        assert!(read.is_self_signed && !read.is_authority);
        assert_eq!(read.names, ["localhost", "::1"].map(|name| name.parse().unwrap()));
        assert_eq!((read.not_before, read.not_after), (at(100), at(200)));
        assert_eq!((read.key, read.purposes), (PublicKey::P256, vec!["servers"]));
    }

    #[test]
    fn its_end_comes_nearer() {
        let read = Description::read(&certificate(|_| ())).unwrap();
        for (now, standing, words) in [
            (99, Standing::NotYet, "does not hold yet"),
            (100, Standing::Valid { days: 100 }, "100 days left"),
            (170, Standing::Valid { days: 30 }, "30 days left"),
            (171, Standing::EndsSoon { days: 29 }, "ends in 29 days"),
            (199, Standing::EndsSoon { days: 1 }, "ends in 1 day"),
            (200, Standing::EndsSoon { days: 0 }, "ends within a day"),
            (212, Standing::Expired { days: 12 }, "EXPIRED 12 days ago"),
        ] {
            assert_eq!(read.standing(at(now)), standing, "day {now}");
            assert_eq!(standing.to_string(), words);
        }
        let just_now = at(200) + Duration::from_secs(1);
        assert_eq!(read.standing(just_now).to_string(), "EXPIRED less than a day ago");
    }

    #[test]
    fn a_certificate_that_is_cut_or_goes_on_is_refused() {
        let whole = certificate(|_| ());
        for cut in 0..whole.len() {
            let cut = CertificateDer::from(whole[..cut].to_vec());
            assert!(matches!(Description::read(&cut), Err(Refusal::Malformed(_))));
        }
        let longer = CertificateDer::from([&whole[..], &[0]].concat());
        assert!(matches!(Description::read(&longer), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn who_signed_is_known_by_the_signature_and_not_by_the_name() {
        let (one, other) = (certificate(|_| ()), certificate(|_| ()));
        assert!(is_signed_by(&one, &one));
        assert!(!is_signed_by(&one, &other));
    }
}
