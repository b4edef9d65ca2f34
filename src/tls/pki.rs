//! The development certificates: what a server shows until it is given better ones.
//!
//! ```text
//!   directory/   ca.pem  ca-key.pem            an authority of this machine, for ten years
//!                server.pem  server-key.pem    localhost, 127.0.0.1, ::1, issued by it, for one
//! ```
//!
//! They are made once and reused; what is about to end, or does not fit together, is made anew.
//! Keys are readable by their owner only. Each file is written whole under another name and then
//! renamed, and a lock makes processes that start at once take turns: so nobody ever reads half a
//! file, or a key of one start with the certificate of another.
//!
//! The time is an argument.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;

use super::config::{self, Identity};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_LIFE: Duration = Duration::from_secs(3_650 * DAY.as_secs());
/// Some clients refuse server certificates of more than 398 days.
const SERVER_LIFE: Duration = Duration::from_secs(365 * DAY.as_secs());
/// What ends sooner than this is made anew.
pub(super) const RENEWAL: Duration = Duration::from_secs(30 * DAY.as_secs());
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The development certificates of one directory.
#[derive(Debug)]
pub struct Development {
    /// What the server shows.
    pub identity: Identity,
    /// The authority's certificate, which clients are given to trust.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Whether something was made anew.
    pub is_new: bool,
}

/// The development certificates in `directory`, made or renewed if need be at `now`.
///
/// # Errors
///
/// The file that cannot be read or written, and why.
pub fn development(directory: &Path, now: SystemTime) -> Result<Development, PkiError> {
    let files = Files::new(directory);
    create_private_directory(directory).map_err(|error| PkiError::new(directory, error))?;
    let lock = File::create(&files.lock).map_err(|error| PkiError::new(&files.lock, error))?;
    lock.lock().map_err(|error| PkiError::new(&files.lock, error))?;
    files.prepare(now)
}

/// Where things are in a directory.
struct Files {
    lock: PathBuf,
    authority: PathBuf,
    authority_key: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(directory: &Path) -> Self {
        Self {
            lock: directory.join("lock"),
            authority: directory.join("ca.pem"),
            authority_key: directory.join("ca-key.pem"),
            certificate: directory.join("server.pem"),
            key: directory.join("server-key.pem"),
        }
    }

    /// Reuses what is there, or replaces it: the server's certificate first, the authority that
    /// people may have told their browsers to trust only if it cannot issue another.
    fn prepare(self, now: SystemTime) -> Result<Development, PkiError> {
        let (identity, is_new) = match self.read_identity(now) {
            Some(identity) => (identity, false),
            None => (self.renew(now)?, true),
        };
        let (authority, certificate) = (self.authority, self.certificate);
        Ok(Development { identity, authority, certificate, is_new })
    }

    /// The identity on disk, if a client would accept it now and for some time.
    fn read_identity(&self, now: SystemTime) -> Option<Identity> {
        let authority = config::read_certificates(&self.authority).ok()?;
        let identity = Identity::read(&self.certificate, &self.key).ok()?;
        verify(&identity, authority, now + RENEWAL).is_ok().then_some(identity)
    }

    fn renew(&self, now: SystemTime) -> Result<Identity, PkiError> {
        match Authority::read(self, now).map(|authority| authority.issue(self, now)) {
            Some(Ok(identity)) => Ok(identity),
            _ => Authority::make(self, now)?.issue(self, now),
        }
    }
}

/// What issues certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority on disk, if it lasts longer than what it would issue.
    fn read(files: &Files, now: SystemTime) -> Option<Self> {
        let pem = fs::read_to_string(&files.authority_key).ok()?;
        let end = pem.lines().next()?.strip_prefix(END)?.parse().ok()?;
        if SystemTime::UNIX_EPOCH + Duration::from_secs(end) < now + SERVER_LIFE {
            return None;
        }
        let key = KeyPair::from_pem(&pem).ok()?;
        Some(Self { issuer: Issuer::new(authority_params(now), key) })
    }

    /// A new authority, written to disk.
    fn make(files: &Files, now: SystemTime) -> Result<Self, PkiError> {
        let params = authority_params(now);
        let key = KeyPair::generate().map_err(|error| PkiError::new(&files.authority, error))?;
        let certificate =
            params.self_signed(&key).map_err(|error| PkiError::new(&files.authority, error))?;
        let pem = format!("{END}{}\n{}", unix_seconds(now + AUTHORITY_LIFE), key.serialize_pem());
        write(&files.authority_key, &pem, PRIVATE)?;
        write(&files.authority, &certificate.pem(), PUBLIC)?;
        Ok(Self { issuer: Issuer::new(params, key) })
    }

    /// A new certificate for this machine, written to disk and read again as a client would.
    fn issue(&self, files: &Files, now: SystemTime) -> Result<Identity, PkiError> {
        let failed = |error| PkiError::new(&files.certificate, error);
        let key = KeyPair::generate().map_err(failed)?;
        let params = server_params(now).map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        write(&files.key, &key.serialize_pem(), PRIVATE)?;
        write(&files.certificate, &certificate.pem(), PUBLIC)?;
        let identity = Identity::read(&files.certificate, &files.key)
            .map_err(|error| PkiError::new(&files.certificate, error))?;
        let authority = config::read_certificates(&files.authority)
            .map_err(|error| PkiError::new(&files.authority, error))?;
        verify(&identity, authority, now)
            .map_err(|error| PkiError::new(&files.certificate, error))?;
        Ok(identity)
    }
}

/// The first line of the authority's key file says when its certificate ends, in Unix seconds, so
/// that nobody has to take the certificate apart for that.
const END: &str = "# ends at ";

fn authority_params(now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "corecast development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - DAY).into();
    params.not_after = (now + AUTHORITY_LIFE).into();
    params
}

fn server_params(now: SystemTime) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(NAMES.map(String::from))?;
    params.distinguished_name.push(DnType::CommonName, "corecast development server");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - DAY).into();
    params.not_after = (now + SERVER_LIFE).into();
    Ok(params)
}

/// Whether the key fits the certificate, and a client that trusts `authority` would accept it for
/// every one of our names at the time `at`.
fn verify(
    identity: &Identity,
    authority: Vec<CertificateDer<'static>>,
    at: SystemTime,
) -> Result<(), rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    CertifiedKey::from_der(identity.chain.clone(), identity.key.clone_key(), &provider)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authority);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(unix_seconds(at)));
    let (leaf, intermediates) =
        identity.chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
    for name in NAMES {
        let name = ServerName::try_from(name).expect("our own names are names");
        verifier.verify_server_cert(leaf, intermediates, &name, &[], at)?;
    }
    Ok(())
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// For the owner only.
const PRIVATE: u32 = 0o600;
/// For everybody to read.
const PUBLIC: u32 = 0o644;

/// Writes a file that is either the old one or wholly the new one, and never readable by more
/// people than `mode` says.
fn write(path: &Path, pem: &str, mode: u32) -> Result<(), PkiError> {
    write_and_rename(path, pem, mode).map_err(|error| PkiError::new(path, error))
}

fn write_and_rename(path: &Path, pem: &str, mode: u32) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    // What a crash has left may have another mode.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    set_mode(&mut options, mode);
    let mut file = options.open(&unfinished)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

#[cfg(unix)]
fn set_mode(options: &mut OpenOptions, mode: u32) {
    std::os::unix::fs::OpenOptionsExt::mode(options, mode);
}

#[cfg(not(unix))]
fn set_mode(_options: &mut OpenOptions, _mode: u32) {}

#[cfg(unix)]
fn create_private_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn create_private_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

/// Why there is no development certificate.
#[derive(Debug)]
pub struct PkiError {
    /// The file concerned.
    pub path: PathBuf,
    /// What is wrong with it.
    pub error: Box<dyn std::error::Error + Send + Sync>,
}

impl PkiError {
    fn new(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { path: path.into(), error: Box::new(error) }
    }
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot make {}: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for PkiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(days: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs((20_000 + days) * DAY.as_secs())
    }

    #[test]
    fn certificates_are_made_once_and_reused() {
        let directory = tempfile::tempdir().unwrap();
        let first = development(directory.path(), day(0)).unwrap();
        let second = development(directory.path(), day(300)).unwrap();
        assert_eq!((first.is_new, second.is_new), (true, false));
        assert_eq!(first.identity.chain, second.identity.chain);
    }

    #[test]
    fn a_server_certificate_is_renewed_before_it_ends_under_the_same_authority() {
        let directory = tempfile::tempdir().unwrap();
        let first = development(directory.path(), day(0)).unwrap();
        let authority = fs::read(&first.authority).unwrap();
        let second = development(directory.path(), day(336)).unwrap();
        assert!(second.is_new);
        assert_ne!(first.identity.chain, second.identity.chain);
        assert_eq!(authority, fs::read(&second.authority).unwrap());
    }

    #[test]
    fn an_authority_is_renewed_before_what_it_issues_outlives_it() {
        let directory = tempfile::tempdir().unwrap();
        let first = development(directory.path(), day(0)).unwrap();
        let authority = fs::read(&first.authority).unwrap();
        let second = development(directory.path(), day(3_500)).unwrap();
        assert_ne!(authority, fs::read(second.authority).unwrap());
    }

    #[test]
    fn what_does_not_fit_together_is_made_anew() {
        for damaged in ["ca.pem", "ca-key.pem", "server.pem", "server-key.pem"] {
            let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            development(ours.path(), day(0)).unwrap();
            development(other.path(), day(0)).unwrap();
            fs::copy(other.path().join(damaged), ours.path().join(damaged)).unwrap();
            development(ours.path(), day(336)).unwrap();
            assert!(!development(ours.path(), day(336)).unwrap().is_new, "{damaged}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_for_their_owner_only() {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        development(directory.path(), day(0)).unwrap();
        for key in ["ca-key.pem", "server-key.pem"] {
            let mode = fs::metadata(directory.path().join(key)).unwrap().mode();
            assert_eq!(mode & 0o777, PRIVATE, "{key}");
        }
    }

    #[test]
    fn processes_that_start_at_once_agree() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let chains = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| development(path, day(0)).unwrap().identity.chain))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(chains.iter().all(|chain| *chain == chains[0]));
    }

    #[test]
    fn an_error_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = development(&file.join("below"), day(0)).unwrap_err();
        assert!(error.to_string().contains("file/below"), "{error}");
    }
}
