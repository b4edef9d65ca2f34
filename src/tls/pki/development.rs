//! The development certificates: what a server shows until it is given better ones.
//!
//! ```text
//!   directory/   ca.pem  ca-key.pem  ca.crl    an authority of this machine, for ten years, and
//!                                            the list of what it has taken back: nothing
//!                server.pem  server-key.pem    localhost, 127.0.0.1, ::1, issued by it, for one
//! ```
//!
//! They are made once and reused; what is about to end, or does not fit together, is made anew. The
//! list is left alone once it is there: its owner may have put a longer one in its place.
//! A lock makes processes that start at once take turns: so nobody ever reads a key of one start
//! with the certificate of another.

use std::fs::File;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use super::super::config::{self, Identity};
use super::files::{self, AuthorityFiles, Readers, Replace};
use super::{
    Authority, CrlUrl, Description, KeyKind, Life, Name, NewKey, PkiError, Purpose, RENEWAL,
    Refusal, Request, verify,
};

const AUTHORITY_DAYS: u64 = 3_650;
/// Some clients refuse server certificates of more than 398 days.
const SERVER_DAYS: u64 = 365;
const KEY: KeyKind = KeyKind::P256;

/// The hosts that a development certificate is for: this machine, in all its spellings.
pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

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
    files::create_directory(directory)?;
    let path = directory.join("lock");
    let unwritable = |error| PkiError::unwritable(&path, error);
    let lock = File::create(&path).map_err(unwritable)?;
    lock.lock().map_err(unwritable)?;
    Places::new(directory).prepare(now)
}

/// Where things are in a directory.
struct Places {
    authority: AuthorityFiles,
    certificate: PathBuf,
    key: PathBuf,
}

impl Places {
    fn new(directory: &Path) -> Self {
        Self {
            authority: AuthorityFiles::new(directory),
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
        let (authority, certificate) = (self.authority.certificate, self.certificate);
        Ok(Development { identity, authority, certificate, is_new })
    }

    /// The identity on disk, if a client would accept it now and for some time.
    fn read_identity(&self, now: SystemTime) -> Option<Identity> {
        let authority = config::read_certificates(&self.authority.certificate).ok()?;
        let identity = Identity::read(&self.certificate, &self.key).ok()?;
        let is_listed = self.revoked_url().is_ok_and(|url| names_list(&identity, &url))
            && self.authority.revoked.exists();
        (is_listed && is_usable(&identity, &authority, now + RENEWAL)).then_some(identity)
    }

    fn renew(&self, now: SystemTime) -> Result<Identity, PkiError> {
        match self.authority.read().map(|authority| self.issue(authority, now)) {
            Ok(Ok(identity)) => Ok(identity),
            _ => self.issue(self.make_authority(now)?, now),
        }
    }

    /// A new authority, written to disk.
    fn make_authority(&self, now: SystemTime) -> Result<Authority, PkiError> {
        let refused = |refusal| PkiError::refused(&self.authority.certificate, refusal);
        let key = NewKey::generate(KEY).map_err(refused)?;
        let key_pem = key.pem();
        let life = Life::days(AUTHORITY_DAYS, now).map_err(refused)?;
        let name = format!("corecast development CA {}", key.tag());
        let authority = Authority::make(&name, key, life).map_err(refused)?;
        let own = std::slice::from_ref(authority.certificate());
        files::write(&self.authority.key, &key_pem, Readers::Owner, Replace::Always)?;
        write(&self.authority.certificate, own)?;
        self.write_list(&authority, now)?;
        Ok(authority)
    }

    fn write_list(&self, authority: &Authority, now: SystemTime) -> Result<(), PkiError> {
        let path = &self.authority.revoked;
        let refused = |refusal| PkiError::refused(path, refusal);
        let list = authority.revoke_nothing(now).map_err(refused)?;
        files::write(path, &list, Readers::Everybody, Replace::Always)
    }

    /// Where the list is, for those who read the certificate.
    fn revoked_url(&self) -> Result<CrlUrl, PkiError> {
        let path = &self.authority.revoked;
        let path = absolute(path).map_err(|error| PkiError::unwritable(path, error))?;
        CrlUrl::of_file(&path).map_err(|refusal| PkiError::refused(&path, refusal))
    }

    /// A new certificate for this machine, written to disk and read again as a server does.
    fn issue(&self, authority: Authority, now: SystemTime) -> Result<Identity, PkiError> {
        let refused = |refusal| PkiError::refused(&self.certificate, refusal);
        if !self.authority.revoked.exists() {
            self.write_list(&authority, now)?;
        }
        let authority = authority.with_crl_url(Some(self.revoked_url()?));
        let key = NewKey::generate(KEY).map_err(refused)?;
        let chain = sign(&authority, &key, now).map_err(refused)?;
        files::write(&self.key, key.pem(), Readers::Owner, Replace::Always)?;
        write(&self.certificate, &chain)?;
        Ok(Identity::read(&self.certificate, &self.key)?)
    }
}

fn write(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(), PkiError> {
    let pem = files::certificates_to_pem(chain);
    files::write(path, &pem, Readers::Everybody, Replace::Always)
}

fn sign(
    authority: &Authority,
    key: &NewKey,
    now: SystemTime,
) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let names = NAMES.iter().map(|name| name.parse()).collect::<Result<Vec<Name>, _>>()?;
    let request = Request::read(&Request::make(&names, key)?)?;
    authority.sign(&request, Purpose::Server, Life::days(SERVER_DAYS, now)?, now)
}

/// Whether the certificate says that the list is at `url`: one that was made before there was a
/// list, or in a directory that has been moved since, does not.
fn names_list(identity: &Identity, url: &CrlUrl) -> bool {
    let first = identity.chain.first().map(Description::read);
    first.is_some_and(|read| read.is_ok_and(|it| it.crl_urls == [url.as_str()]))
}

/// Whether the key fits the certificate, and a client that trusts `authority` would accept it for
/// every one of our names at the time `at`.
fn is_usable(identity: &Identity, authority: &[CertificateDer<'static>], at: SystemTime) -> bool {
    let provider = aws_lc_rs::default_provider();
    let (chain, key) = (identity.chain.clone(), identity.key.clone_key());
    if CertifiedKey::from_der(chain, key, &Arc::new(provider)).is_err() {
        return false;
    }
    NAMES.iter().all(|name| {
        let host = name.parse().ok().and_then(|name: Name| name.host());
        host.is_some_and(|host| verify::server(&identity.chain, authority, &host, at).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::super::DAY;
    use super::*;
    use std::fs;
    use std::time::Duration;

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
    fn a_list_of_what_was_taken_back_is_there_and_the_certificate_says_where() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("ca.crl");
        let made = development(directory.path(), day(0)).unwrap();
        let url = CrlUrl::of_file(&list).unwrap();
        assert!(names_list(&made.identity, &url));
        fs::write(&list, "a longer one of its owner").unwrap();
        assert!(development(directory.path(), day(336)).unwrap().is_new);
        assert_eq!(fs::read(&list).unwrap(), b"a longer one of its owner");
        fs::remove_file(&list).unwrap();
        assert!(development(directory.path(), day(336)).unwrap().is_new);
        assert!(list.exists());
    }

    #[test]
    fn a_certificate_of_before_there_were_lists_or_of_another_directory_is_made_anew() {
        let (ours, moved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = development(ours.path(), day(0)).unwrap();
        for file in ["ca.pem", "ca-key.pem", "ca.crl", "server.pem", "server-key.pem"] {
            fs::copy(ours.path().join(file), moved.path().join(file)).unwrap();
        }
        let second = development(moved.path(), day(0)).unwrap();
        assert!(second.is_new);
        assert_eq!(fs::read(first.authority).unwrap(), fs::read(second.authority).unwrap());
        assert!(!development(moved.path(), day(0)).unwrap().is_new);
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
            assert_eq!(mode & 0o777, 0o600, "{key}");
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
