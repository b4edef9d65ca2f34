//! Where the list of the certificates that an authority has taken back is to be had.

use std::fmt::Write;
use std::path::Path;
use std::str::FromStr;

use rcgen::CrlDistributionPoint;

use super::Refusal;

/// What an address of a list may begin with (RFC 5280 §4.2.1.13 wants HTTP or LDAP of those who
/// publish theirs). Not `https`: to verify that server, a client would need a list first (§8).
const SCHEMES: [&str; 3] = ["http://", "ldap://", "file:///"];

/// The longest address: it is sent in every handshake.
const URL_CHARS_MAX: usize = 1_024;

/// Where the list of the certificates that an authority has taken back is to be had, as the
/// certificates that it issues say (RFC 5280 §4.2.1.13).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CrlUrl(String);

impl CrlUrl {
    /// That of a file of this machine (RFC 8089).
    ///
    /// # Errors
    ///
    /// [`Refusal::BadName`] if its path is not absolute, or too long.
    pub fn of_file(path: &Path) -> Result<Self, Refusal> {
        let mut url = "file://".to_owned();
        for byte in path.as_os_str().as_encoded_bytes() {
            if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
                url.push(char::from(*byte));
            } else {
                // Writing to a string does not fail.
                let _ = write!(url, "%{byte:02X}");
            }
        }
        url.parse()
    }

    pub(super) fn to_distribution_point(&self) -> CrlDistributionPoint {
        CrlDistributionPoint { uris: vec![self.0.clone()] }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CrlUrl {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let bad = |reason| Refusal::BadName { name: text.to_owned(), reason };
        let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme));
        match rest {
            None => Err(bad("is not the URL of a list: http://, ldap:// or file:///")),
            Some("") => Err(bad("names no list")),
            Some(_) if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(bad("has characters that a URL writes with percent signs"))
            }
            Some(_) if text.len() > URL_CHARS_MAX => Err(bad("has more than 1024 characters")),
            Some(_) => Ok(Self(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_one_that_clients_of_lists_understand() {
        let long = format!("http://a/{}", "a".repeat(URL_CHARS_MAX - 9));
        for (text, is_good) in [
            ("http://ca.example/ca.crl", true),
            ("ldap://ca.example/cn=ca?certificateRevocationList", true),
            ("file:///srv/ca.crl", true),
            (&long, true),
            (&format!("{long}a"), false),
            ("https://ca.example/ca.crl", false),
            ("file://ca.crl", false),
            ("http://", false),
            ("http://ca.example/a b", false),
            ("http://ca.example/ä", false),
            ("ca.crl", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<CrlUrl>().is_ok(), is_good, "{text}");
        }
    }

    #[test]
    fn a_path_becomes_a_url_byte_by_byte() {
        for (path, url) in [
            ("/srv/ca.crl", "file:///srv/ca.crl"),
            ("/my files/50%/ä", "file:///my%20files/50%25/%C3%A4"),
        ] {
            assert_eq!(CrlUrl::of_file(Path::new(path)).unwrap().as_str(), url);
        }
        assert!(CrlUrl::of_file(Path::new("ca.crl")).is_err());
    }
}
