//! The files that a server's TLS is made of: reading them, and noticing that they have changed.
//!
//! ```text
//!   certificates, keys ---.
//!   what is asked of       +-- load(now) --> ServerConfig, remarks      or the file at fault
//!   clients, OCSP --------'
//!        '-- stamp -------- who each file is: another one after a rename, a swap of links, a write
//! ```
//!
//! Invariant: a configuration is made of files that have all been read and fit together, or not at
//! all.

use std::fmt::Display;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{Error, InconsistentKeys, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

use super::config::{self, ConfigError};
use super::identity::Identity;
use super::ocsp::OcspResponse;
use super::pki;
use super::server::{Clients, Parts, ServerConfig, Shown};

/// Who has a certificate that ends sooner than this is told so.
const NOTICE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Where what a listener's TLS is made of is read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sources {
    /// What proves the server's names.
    pub certificates: Certificates,
    /// What authorities say of their validity (OCSP responses in DER), for those that have it.
    pub ocsp: Vec<PathBuf>,
    /// What is asked of clients.
    pub clients: ClientAuth,
}

/// What proves a server's names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Certificates {
    /// The development certificate of this directory, made and renewed as need be.
    Development(PathBuf),
    /// These files. The first is for clients that ask for a name that none of them has.
    Files(Vec<CertificateFiles>),
}

/// A certificate and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFiles {
    /// The chain in PEM, the server's own certificate first.
    pub chain: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

/// Whether clients are to prove who they are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked, and may come without a certificate; with one that does not verify they may
    /// not.
    Request(Authorities),
    /// They are asked, and come with a certificate that verifies or not at all.
    Require(Authorities),
}

/// Whose certificates clients may have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authorities {
    /// The certificates of the authorities, in PEM.
    pub certificates: PathBuf,
    /// What these have revoked, in PEM or DER. With one list there must be one of each authority in
    /// a client's chain, and none may have ended.
    pub revocations: Vec<PathBuf>,
}

/// What has been made of [`Sources`].
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What a server is told.
    pub config: Arc<ServerConfig>,
    /// What an operator should know, a line each.
    pub remarks: Vec<String>,
    /// When it should be loaded again although no file has changed.
    pub due: Option<SystemTime>,
}

/// Who the files of [`Sources`] are at a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stamp(Vec<Option<FileStamp>>);

/// What tells one file, and one content of it, from another: device, inode, length, times.
type FileStamp = [u64; 7];

impl Sources {
    /// Reads all files and makes a configuration of them, as it is to be at the time of `clock`.
    ///
    /// Where it asks the same of clients as its `predecessor`, and shows the same certificates, it
    /// takes over the keys of its tickets.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used, and why.
    pub fn load(
        &self,
        clock: Arc<dyn TimeProvider>,
        predecessor: Option<&ServerConfig>,
    ) -> Result<Loaded, ConfigError> {
        let now =
            clock.current_time().unwrap_or_else(|| UnixTime::since_unix_epoch(Duration::ZERO));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
        let mut loading = Loading { now, remarks: Vec::new(), due: None };
        let mut certificates = match &self.certificates {
            Certificates::Development(directory) => vec![loading.development(directory)?],
            Certificates::Files(files) => {
                files.iter().map(|files| loading.certificate(files)).collect::<Result<_, _>>()?
            }
        };
        for path in &self.ocsp {
            loading.staple(path, &mut certificates)?;
        }
        let clients = loading.clients(&self.clients)?;
        let parts = Parts { certificates, clients, clock };
        let config = ServerConfig::new(parts, predecessor).map_err(ConfigError::Unusable)?;
        let Loading { remarks, due, .. } = loading;
        Ok(Loaded { config: Arc::new(config), remarks, due })
    }

    /// Who the files are now: another stamp means that there is something to load.
    pub fn stamp(&self) -> Stamp {
        Stamp(self.files().map(|path| fs::metadata(path).ok().map(|file| stamp(&file))).collect())
    }

    /// Every file that is read; of the development certificate there is none to watch.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs: &[CertificateFiles] = match &self.certificates {
            Certificates::Development(_) => &[],
            Certificates::Files(pairs) => pairs,
        };
        let clients = match &self.clients {
            ClientAuth::Off => None,
            ClientAuth::Request(authorities) | ClientAuth::Require(authorities) => {
                Some(authorities)
            }
        };
        let pairs = pairs.iter().flat_map(|pair| [&pair.chain, &pair.key]);
        let lists = clients.into_iter().flat_map(|clients| &clients.revocations);
        let authorities = clients.into_iter().map(|clients| &clients.certificates);
        pairs.chain(&self.ocsp).chain(authorities).chain(lists).map(PathBuf::as_path)
    }
}

#[cfg(unix)]
fn stamp(file: &Metadata) -> FileStamp {
    use std::os::unix::fs::MetadataExt;
    let [mtime, mtime_nsec, ctime, ctime_nsec] =
        [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()].map(i64::cast_unsigned);
    [file.dev(), file.ino(), file.size(), mtime, mtime_nsec, ctime, ctime_nsec]
}

#[cfg(not(unix))]
fn stamp(file: &Metadata) -> FileStamp {
    let since =
        file.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let since = since.unwrap_or_default();
    [0, 0, file.len(), since.as_secs(), u64::from(since.subsec_nanos()), 0, 0]
}

/// What is noticed on the way.
struct Loading {
    now: SystemTime,
    remarks: Vec<String>,
    due: Option<SystemTime>,
}

impl Loading {
    fn development(&mut self, directory: &Path) -> Result<(CertifiedKey, Shown), ConfigError> {
        let made = pki::development(directory, self.now)?;
        let certified = self.certified(made.identity, &made.certificate, &made.certificate)?;
        self.due_at(certified.1.until - pki::RENEWAL);
        Ok(certified)
    }

    fn certificate(
        &mut self,
        files: &CertificateFiles,
    ) -> Result<(CertifiedKey, Shown), ConfigError> {
        let identity = config::Identity::read(&files.chain, &files.key)?;
        self.certified(identity, &files.chain, &files.key)
    }

    fn certified(
        &mut self,
        identity: config::Identity,
        chain: &Path,
        key: &Path,
    ) -> Result<(CertifiedKey, Shown), ConfigError> {
        let certified = certified_key(identity).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let certificate = chain.display();
                refused(
                    key,
                    format_args!("this is not the key of the certificate in {certificate}"),
                )
            }
            error => refused(key, format_args!("the key cannot be used: {error}")),
        })?;
        let shown =
            shown(&certified.cert).ok_or_else(|| refused(chain, "no certificate of X.509"))?;
        if shown.until < self.now + NOTICE {
            self.remark(chain, format_args!("the certificate {}", self.end(shown.until)));
        }
        Ok((certified, shown))
    }

    /// Adds what the authority says in `path` to the certificate that it says it of.
    fn staple(
        &mut self,
        path: &Path,
        certificates: &mut [(CertifiedKey, Shown)],
    ) -> Result<(), ConfigError> {
        let response = OcspResponse::read(config::read(path)?)
            .ok_or_else(|| refused(path, "no successful OCSP response in DER"))?;
        let found = certificates
            .iter_mut()
            .find_map(|(key, _)| Some((response.answer(&serial(key.cert.first()?)?)?, key)));
        let (answer, key) =
            found.ok_or_else(|| refused(path, "it is about none of the certificates"))?;
        if !answer.is_good {
            return Err(refused(path, "the certificate has been revoked, or is not known"));
        }
        match answer.until {
            Some(until) if until <= self.now => {
                self.remark(path, format_args!("not stapled, since it {}", self.end(until)));
            }
            until => {
                if let Some(until) = until {
                    self.due_at(until);
                }
                key.ocsp = Some(response.der);
            }
        }
        Ok(())
    }

    fn clients(&mut self, auth: &ClientAuth) -> Result<Clients, ConfigError> {
        let (paths, is_required) = match auth {
            ClientAuth::Off => return Ok(Clients::Ignored),
            ClientAuth::Request(paths) => (paths, false),
            ClientAuth::Require(paths) => (paths, true),
        };
        let authorities = config::read_certificates(&paths.certificates)?;
        for authority in &authorities {
            let mut roots = RootCertStore::empty();
            roots.add(authority.clone()).map_err(|error| {
                refused(&paths.certificates, format_args!("not an authority: {error}"))
            })?;
        }
        let mut revocations = Vec::new();
        for path in &paths.revocations {
            revocations.extend(self.revocations(path)?);
        }
        Ok(Clients::Asked { authorities, revocations, is_required })
    }

    fn revocations(
        &mut self,
        path: &Path,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, ConfigError> {
        let bytes = config::read(path)?;
        let mut lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| ConfigError::BadPem { path: path.into(), error })?;
        if lists.is_empty() {
            lists.push(bytes.into());
        }
        for list in &lists {
            let (_, parsed) = CertificateRevocationList::from_der(list)
                .map_err(|_| refused(path, "no list of revoked certificates"))?;
            let until = parsed.next_update().and_then(system_time);
            if let Some(until) = until.filter(|until| *until <= self.now) {
                let end = self.end(until);
                self.remark(path, format_args!("the list {end}, so nobody of its issuer gets in"));
            }
        }
        Ok(lists)
    }

    fn remark(&mut self, path: &Path, remark: impl Display) {
        self.remarks.push(format!("{}: {remark}", path.display()));
    }

    fn due_at(&mut self, time: SystemTime) {
        self.due = Some(self.due.map_or(time, |due| due.min(time)));
    }

    /// When something ends or has ended, in words.
    fn end(&self, until: SystemTime) -> String {
        let days = |span: Duration| span.as_secs() / (24 * 60 * 60);
        match until.duration_since(self.now) {
            Ok(left) => format!("ends in {} days", days(left)),
            Err(past) => format!("ended {} days ago", days(past.duration())),
        }
    }
}

/// A certificate with its key, which must belong to it.
pub(super) fn certified_key(identity: config::Identity) -> Result<CertifiedKey, Error> {
    CertifiedKey::from_der(identity.chain, identity.key, &config::provider())
}

/// What is known of the first certificate of `chain`.
pub(super) fn shown(chain: &[CertificateDer<'_>]) -> Option<Shown> {
    let certificate = chain.first()?;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let until = system_time(parsed.validity().not_after)?;
    let identity = Identity::of(certificate).ok()?;
    let name = identity.names().next().unwrap_or(identity.subject()).to_owned();
    Some(Shown { name, until })
}

/// The number that its authority gave a certificate, as it is encoded.
fn serial(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.raw_serial().to_vec())
}

fn system_time(time: ASN1Time) -> Option<SystemTime> {
    let seconds = u64::try_from(time.timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn refused(path: &Path, reason: impl Display) -> ConfigError {
    ConfigError::Refused { path: path.into(), reason: reason.to_string() }
}
