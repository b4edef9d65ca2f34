//! What issues certificates (RFC 5280).

use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PublicKeyData, SerialNumber,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::description::parse;
use super::text::{system_time, unix_seconds};
use super::{CrlUrl, DAY, Life, Name, NewKey, PublicKey, Refusal, Request, verify};

/// What issues certificates: one of its own, and the key of that.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    own: CertificateDer<'static>,
    /// The certificates that lead from its own to a root.
    above: Vec<CertificateDer<'static>>,
    not_after: SystemTime,
    /// Where what it issues says that its list is.
    crl_url: Option<CrlUrl>,
}

/// Who shows a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A server, to its clients.
    Server,
    /// A client, to its servers.
    Client,
}

impl Authority {
    /// A new authority that has signed itself.
    ///
    /// It may issue for servers and clients, but not make further authorities.
    ///
    /// # Errors
    ///
    /// Only if the system has no randomness.
    pub fn make(common_name: &str, key: NewKey, life: Life) -> Result<Self, Refusal> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial_number()?);
        life.write(&mut params);
        let key = key.into_pair();
        let own = params.self_signed(&key)?.into();
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, own, above: Vec::new(), not_after: life.not_after, crl_url: None })
    }

    /// An authority that was made before, by us or by others: its certificate, perhaps followed by
    /// those of who issued it, and its key.
    ///
    /// # Errors
    ///
    /// Why it cannot issue.
    pub fn read(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Self, Refusal> {
        let mut chain = chain.into_iter();
        let own = chain.next().ok_or(Refusal::NoAuthority)?;
        let parsed = parse(&own)?;
        PublicKey::of(parsed.public_key()).check()?;
        let may_sign = match parsed.key_usage() {
            Ok(Some(usage)) => usage.value.key_cert_sign(),
            Ok(None) => true,
            Err(_) => false,
        };
        if !parsed.is_ca() || !may_sign {
            return Err(Refusal::NoAuthority);
        }
        let key = KeyPair::try_from(key)?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.der_bytes() {
            return Err(Refusal::ForeignKey);
        }
        let not_after = system_time(parsed.validity().not_after);
        let issuer = Issuer::from_ca_cert_der(&own, key)?;
        Ok(Self { issuer, own, above: chain.collect(), not_after, crl_url: None })
    }

    /// Has what it issues from now on say where its list of revoked certificates is to be had.
    #[must_use]
    pub fn with_crl_url(self, url: Option<CrlUrl>) -> Self {
        Self { crl_url: url, ..self }
    }

    /// The list of what it has taken back, which is nothing, from a little before `now` until its
    /// own end (RFC 5280 §5).
    ///
    /// # Errors
    ///
    /// If it may not sign lists.
    pub fn revoke_nothing(
        &self,
        now: SystemTime,
    ) -> Result<CertificateRevocationListDer<'static>, Refusal> {
        let params = CertificateRevocationListParams {
            this_update: Life::days(0, now)?.not_before.into(),
            next_update: self.not_after.into(),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&self.issuer)?.into())
    }

    /// Its own certificate.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.own
    }

    /// Until when it can issue.
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// The certificate that `request` asks for, and those between it and the root.
    ///
    /// It has been verified at the time `now` as those who are shown it will do it.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn sign(
        &self,
        request: &Request,
        purpose: Purpose,
        life: Life,
        now: SystemTime,
    ) -> Result<Vec<CertificateDer<'static>>, Refusal> {
        self.check(request, purpose, life, now)?;
        let mut params = request.params()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if request.key.is_rsa() {
            // What old clients encrypt their secret for (RFC 5246 §7.4.2).
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![match purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        params.crl_distribution_points =
            self.crl_url.iter().map(CrlUrl::to_distribution_point).collect();
        params.serial_number = Some(serial_number()?);
        life.write(&mut params);
        let certificate = params.signed_by(request.public_key(), &self.issuer)?.into();
        let chain = self.chain_of(certificate);
        self.verify(&chain, request, purpose, now)?;
        Ok(chain)
    }

    fn check(
        &self,
        request: &Request,
        purpose: Purpose,
        life: Life,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        if purpose == Purpose::Server && request.names.iter().all(|name| name.host().is_none()) {
            return Err(Refusal::Hostless);
        }
        if life.not_after > self.not_after {
            let left = unix_seconds(self.not_after).saturating_sub(unix_seconds(now));
            return Err(Refusal::OutlivesAuthority { days: left / DAY.as_secs() });
        }
        Ok(())
    }

    /// `certificate` and what a client does not have: everything up to the root.
    fn chain_of(&self, certificate: CertificateDer<'static>) -> Vec<CertificateDer<'static>> {
        let is_root = |it: &&CertificateDer<'_>| {
            parse(it).is_ok_and(|parsed| parsed.verify_signature(None).is_ok())
        };
        let known = std::iter::once(&self.own).chain(&self.above);
        let between = known.take_while(|it| !is_root(it)).cloned();
        [certificate].into_iter().chain(between).collect()
    }

    /// Refuses what would be refused later, as by an authority that may issue for some names only.
    fn verify(
        &self,
        chain: &[CertificateDer<'static>],
        request: &Request,
        purpose: Purpose,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let own = std::slice::from_ref(&self.own);
        let verdict = match purpose {
            Purpose::Client => verify::client(chain, own, now),
            Purpose::Server => {
                let mut hosts = request.names.iter().filter_map(Name::host);
                hosts.try_for_each(|host| verify::server(chain, own, &host, now))
            }
        };
        verdict.map_err(|error| Refusal::Unbelievable(error.to_string()))
    }
}

/// A number that no other certificate has: 127 random bits (RFC 5280 §4.1.2.2 allows 159, the rules
/// of browsers want 64 at least).
fn serial_number() -> Result<SerialNumber, Refusal> {
    let mut bytes = [0; 16];
    let provider = aws_lc_rs::default_provider();
    let unseeded = |_| Refusal::Malformed("the system has no randomness".to_owned());
    provider.secure_random.fill(&mut bytes).map_err(unseeded)?;
    let [first, ..] = &mut bytes;
    // A positive number, which does not lose its first byte for being zero.
    *first = *first & 0x7F | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

#[cfg(test)]
mod tests;
