//! An authority that issues, and takes back, whatever certificates a test needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3600);

/// An authority, and the directory of what it has issued.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.pem"), params.self_signed(&key).unwrap().pem())
            .unwrap();
        fs::write(directory.path().join("ca-key.pem"), key.serialize_pem()).unwrap();
        Self { issuer: Issuer::new(params, key), directory }
    }

    /// The authority's own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A file of its directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Issues a certificate with these `names` that lasts an hour from now, and writes `name.pem`
    /// and `name-key.pem`. It serves servers and clients.
    pub(crate) fn issue(&self, name: &str, names: &[&str], now: SystemTime) -> [PathBuf; 2] {
        self.issue_until(name, names, now + HOUR)
    }

    /// The same with an end of one's own.
    pub(crate) fn issue_until(&self, name: &str, names: &[&str], end: SystemTime) -> [PathBuf; 2] {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial(name));
        params.not_before = (end - 1_000 * HOUR).into();
        params.not_after = end.into();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let paths = [self.path(&format!("{name}.pem")), self.path(&format!("{name}-key.pem"))];
        fs::write(&paths[0], certificate.pem()).unwrap();
        fs::write(&paths[1], key.serialize_pem()).unwrap();
        paths
    }

    /// Writes the list of the certificates with these names, which it takes back, until `end`.
    pub(crate) fn revoke(&self, list: &str, names: &[&str], end: SystemTime) -> PathBuf {
        let revoked = |name: &&str| RevokedCertParams {
            serial_number: serial(name),
            revocation_time: (end - 2 * HOUR).into(),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: (end - 2 * HOUR).into(),
            next_update: end.into(),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: names.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let path = self.path(list);
        fs::write(&path, params.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
        path
    }
}

/// The number of the certificate called `name`, which comes from it.
fn serial(name: &str) -> SerialNumber {
    SerialNumber::from_slice(&[&[1], name.as_bytes()].concat())
}

/// Puts one file in the place of another, as a careful operator does: by a rename.
pub(crate) fn replace(target: &Path, source: &Path) {
    let waiting = target.with_extension("waiting");
    fs::copy(source, &waiting).unwrap();
    fs::rename(waiting, target).unwrap();
}
