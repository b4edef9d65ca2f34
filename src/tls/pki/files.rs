//! Certificates, keys and requests in files.
//!
//! A key is readable by its owner only, from its first byte. What is replaced is written whole
//! under another name and then renamed, so that nobody ever reads half a file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use x509_parser::pem::Pem;

use super::super::config;
use super::{Authority, PkiError, Refusal};

/// The largest file that is read: more than any bundle of authorities, less than memory.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// For the owner only.
const PRIVATE: u32 = 0o600;
/// For everybody to read.
const PUBLIC: u32 = 0o644;

/// Where the parts of an authority are in its directory.
pub struct AuthorityFiles {
    /// Its certificate, for those who are to trust it.
    pub certificate: PathBuf,
    /// Its key, for nobody else.
    pub key: PathBuf,
    /// The list of what it has taken back, for those who want to know (DER, as RFC 5280 §4.2.1.13
    /// has it published).
    pub revoked: PathBuf,
}

impl AuthorityFiles {
    /// Those in `directory`.
    pub fn new(directory: &Path) -> Self {
        let [certificate, key, revoked] =
            ["ca.pem", "ca-key.pem", "ca.crl"].map(|name| directory.join(name));
        Self { certificate, key, revoked }
    }

    /// Reads the authority.
    ///
    /// # Errors
    ///
    /// The file at fault, and why.
    pub fn read(&self) -> Result<Authority, PkiError> {
        let chain = config::read_certificates(&self.certificate)?;
        let key = config::read_key(&self.key)?;
        Authority::read(chain, &key).map_err(|refusal| match refusal {
            Refusal::ForeignKey => PkiError::refused(&self.key, refusal),
            refusal => PkiError::refused(&self.certificate, refusal),
        })
    }
}

/// What may become of a file that is there already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replace {
    /// It stays, and nothing is written.
    Never,
    /// The new one takes its place.
    Always,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Readers {
    /// Its owner.
    Owner,
    /// Everybody.
    Everybody,
}

/// Fails if one of `paths` exists and is not to be replaced: to be asked before anything is made.
///
/// # Errors
///
/// [`PkiError::Exists`], naming the first of them.
pub fn check(paths: &[&Path], replace: Replace) -> Result<(), PkiError> {
    // Also a link that leads nowhere is there.
    let is_there = |path: &&&Path| fs::symlink_metadata(path).is_ok();
    match paths.iter().find(is_there) {
        Some(path) if replace == Replace::Never => {
            Err(PkiError::Exists { path: path.to_path_buf() })
        }
        _ => Ok(()),
    }
}

/// Writes a file, which is never readable by others than `readers`, not for a moment.
///
/// # Errors
///
/// The file, and what the system says.
pub fn write(
    path: &Path,
    content: impl AsRef<[u8]>,
    readers: Readers,
    replace: Replace,
) -> Result<(), PkiError> {
    let content = content.as_ref();
    let written = match replace {
        Replace::Always => replace_file(path, content, readers),
        Replace::Never => create(path, content, readers),
    };
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => PkiError::Exists { path: path.into() },
        _ => PkiError::unwritable(path, error),
    })
}

/// Leaves either the old file or the whole new one.
fn replace_file(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    // What a crash has left may have another mode.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create(&unfinished, content, readers)?;
    fs::rename(&unfinished, path)
}

/// Writes a file that is not there yet, or leaves none.
fn create(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    set_mode(&mut options, if readers == Readers::Owner { PRIVATE } else { PUBLIC });
    let mut file = options.open(path)?;
    file.write_all(content).and_then(|()| file.sync_all()).inspect_err(|_| {
        // The first error is the one to tell.
        let _ = fs::remove_file(path);
    })
}

#[cfg(unix)]
fn set_mode(options: &mut OpenOptions, mode: u32) {
    std::os::unix::fs::OpenOptionsExt::mode(options, mode);
}

#[cfg(not(unix))]
fn set_mode(_options: &mut OpenOptions, _mode: u32) {}

/// Makes a directory for its owner only, unless it is there.
///
/// # Errors
///
/// The directory, and what the system says.
pub fn create_directory(directory: &Path) -> Result<(), PkiError> {
    create_private_directory(directory).map_err(|error| PkiError::unwritable(directory, error))
}

#[cfg(unix)]
fn create_private_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

#[cfg(not(unix))]
fn create_private_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

/// Certificates as they stand in files.
pub fn certificates_to_pem(chain: &[CertificateDer<'_>]) -> String {
    chain.iter().map(|certificate| to_pem("CERTIFICATE", certificate)).collect()
}

/// A signing request as it stands in a file.
pub fn request_to_pem(der: &[u8]) -> String {
    to_pem("CERTIFICATE REQUEST", der)
}

fn to_pem(label: &str, der: &[u8]) -> String {
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    // RFC 7468 §2: lines of 64.
    let (lines, rest) = text.as_bytes().as_chunks::<64>();
    let lines = lines.iter().map(<[u8; 64]>::as_slice).chain([rest]);
    let lines = lines.filter(|line| !line.is_empty()).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// What of X.509 may stand in a file.
#[derive(Debug)]
pub enum Item {
    /// A certificate.
    Certificate(CertificateDer<'static>),
    /// A signing request, in DER.
    Request(Vec<u8>),
}

/// Reads all certificates and signing requests of a file, which is PEM, or one of them in DER.
///
/// # Errors
///
/// The file, and what is wrong with it; also if there are none.
pub fn read_items(path: &Path) -> Result<Vec<Item>, PkiError> {
    let bytes = read(path)?;
    items(&bytes).map_err(|refusal| PkiError::refused(path, refusal))
}

fn read(path: &Path) -> Result<Vec<u8>, PkiError> {
    let unreadable =
        |error| PkiError::Unreadable(config::ConfigError::Unreadable { path: path.into(), error });
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    io::Read::read_to_end(&mut io::Read::take(file, FILE_BYTES_MAX + 1), &mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let reason = format!("it has more than {FILE_BYTES_MAX} bytes");
        return Err(PkiError::refused(path, Refusal::Malformed(reason)));
    }
    Ok(bytes)
}

fn items(bytes: &[u8]) -> Result<Vec<Item>, Refusal> {
    if !bytes.windows(11).any(|part| part == b"-----BEGIN ") {
        return Ok(vec![item_of_der(bytes)?]);
    }
    let (mut items, mut other) = (Vec::new(), None);
    for pem in Pem::iter_from_buffer(bytes) {
        let pem = pem.map_err(|error| Refusal::Malformed(format!("bad PEM: {error}")))?;
        match pem.label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => {
                items.push(Item::Certificate(pem.contents.into()));
            }
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
                items.push(Item::Request(pem.contents));
            }
            label => other = Some(super::text::printable(label)),
        }
    }
    match (items.is_empty(), other) {
        (false, _) => Ok(items),
        (true, Some(label)) => Err(Refusal::Malformed(format!(
            "there is neither a certificate nor a signing request in it, but a {label}"
        ))),
        (true, None) => Err(neither()),
    }
}

fn item_of_der(bytes: &[u8]) -> Result<Item, Refusal> {
    let certificate = CertificateDer::from(bytes.to_vec());
    if super::description::parse(&certificate).is_ok() {
        return Ok(Item::Certificate(certificate));
    }
    match super::Request::read(bytes) {
        Err(Refusal::Malformed(_)) => Err(neither()),
        _ => Ok(Item::Request(bytes.to_vec())),
    }
}

fn neither() -> Refusal {
    Refusal::Malformed("there is neither a certificate nor a signing request in it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::pki::{KeyKind, Life, NewKey, Request};
    use std::time::{Duration, SystemTime};

    fn request() -> Vec<u8> {
        let names = ["localhost".parse().unwrap()];
        Request::make(&names, &NewKey::generate(KeyKind::P256).unwrap()).unwrap()
    }

    fn certificate() -> CertificateDer<'static> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let key = NewKey::generate(KeyKind::P256).unwrap();
        let life = Life::days(10, now).unwrap();
        Authority::make("an authority", key, life).unwrap().certificate().clone()
    }

    fn complaint(bytes: &[u8]) -> String {
        items(bytes).unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_overwritten_unless_that_is_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        write(&path, "one", Readers::Owner, Replace::Never).unwrap();
        let refused = write(&path, "two", Readers::Owner, Replace::Never).unwrap_err();
        assert!(refused.to_string().ends_with("key.pem exists already (--force replaces it)"));
        assert!(check(&[&path], Replace::Never).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        check(&[&path], Replace::Always).unwrap();
        write(&path, "two", Readers::Owner, Replace::Always).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing unfinished stays");
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_key_is_for_its_owner_only_whatever_was_there() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        for there in [&path, &directory.path().join("key.pem.unfinished")] {
            fs::write(there, "for all to read").unwrap();
            fs::set_permissions(there, fs::Permissions::from_mode(0o666)).unwrap();
        }
        write(&path, "secret", Readers::Owner, Replace::Always).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn pem_and_der_are_read_with_whatever_stands_around_them() {
        let (certificate, request) = (certificate(), request());
        let pem = format!(
            "Certificate:\n    Data:\n{}-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n\
             -----END EC PARAMETERS-----\n{}",
            certificates_to_pem(std::slice::from_ref(&certificate)),
            request_to_pem(&request)
                .replace("BEGIN C", "BEGIN NEW C")
                .replace("END C", "END NEW C")
        );
        let read = items(pem.as_bytes()).unwrap();
        assert!(
            matches!(&read[..], [Item::Certificate(one), Item::Request(two)]
                if *one == certificate && *two == request),
            "{read:?}"
        );
        assert!(matches!(&items(&certificate).unwrap()[..], [Item::Certificate(_)]));
        assert!(matches!(&items(&request).unwrap()[..], [Item::Request(_)]));
    }

    #[test]
    fn what_is_neither_is_named() {
        let key = NewKey::generate(KeyKind::P256).unwrap().pem();
        assert!(complaint(key.as_bytes()).ends_with("but a PRIVATE KEY"));
        assert!(complaint(b"").starts_with("there is neither"));
        assert!(complaint(b"plain text").starts_with("there is neither"));
        assert!(complaint(b"-----BEGIN CERTIFICATE-----\n!").starts_with("bad PEM: "));
    }

    #[test]
    fn a_file_too_large_to_be_meant_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        fs::File::create(&path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(read_items(&path).unwrap_err().to_string().contains("more than 16777216 bytes"));
    }
}
