//! Keys: those we make, and what kind those of others are.

use std::fmt;
use std::str::FromStr;

use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    PublicKeyData,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::super::identity::Fingerprint;
use super::Refusal;

/// Fewer bits of RSA are refused by browsers and libraries (NIST SP 800-57: 112 bits of strength).
pub(super) const RSA_BITS_MIN: usize = 2_048;

/// The kinds of keys that are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyKind {
    /// Small and fast, but no browser believes certificates with it.
    Ed25519,
    /// ECDSA on P-256, which everybody understands.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA of 2,048 bits, for clients that know nothing else.
    Rsa2048,
}

impl KeyKind {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Ed25519, Self::P256, Self::P384, Self::Rsa2048];

    /// What it is called on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Rsa2048 => "rsa2048",
        }
    }
}

impl FromStr for KeyKind {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if let Some(kind) = Self::ALL.into_iter().find(|kind| kind.name() == text) {
            return Ok(kind);
        }
        match text.strip_prefix("rsa").and_then(|bits| bits.parse().ok()) {
            Some(bits) if bits < RSA_BITS_MIN => Err(Refusal::WeakRsa { bits }),
            _ => Err(Refusal::UnknownKey("the kinds are ed25519, p256, p384 and rsa2048".into())),
        }
    }
}

/// A private key that was made just now.
pub struct NewKey(KeyPair);

impl NewKey {
    /// Makes one; RSA takes a while.
    ///
    /// # Errors
    ///
    /// Only if the system has no randomness.
    pub fn generate(kind: KeyKind) -> Result<Self, Refusal> {
        let pair = KeyPair::generate_for(match kind {
            KeyKind::Ed25519 => return generate_ed25519(),
            KeyKind::P256 => &PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &PKCS_ECDSA_P384_SHA384,
            // Of 2,048 bits: what rcgen makes unless told otherwise.
            KeyKind::Rsa2048 => &PKCS_RSA_SHA256,
        })?;
        Ok(Self(pair))
    }

    /// As PKCS #8 in PEM, to be shown to nobody.
    pub fn pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// Six digits that tell it from others, to be put behind a name.
    ///
    /// Two authorities of one name are taken for each other, and then for forgers.
    pub fn tag(&self) -> String {
        let fingerprint = Fingerprint::of(&self.0.subject_public_key_info());
        let [one, two, three, ..] = *fingerprint.as_bytes();
        super::text::hex(&[one, two, three], "")
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.0
    }

    pub(super) fn into_pair(self) -> KeyPair {
        self.0
    }
}

/// A key of Ed25519 in the first version of PKCS #8 (RFC 8410 §7).
///
/// What is made by default is the second version (RFC 5958), which ends in the public key, and
/// which OpenSSL does not read.
fn generate_ed25519() -> Result<NewKey, Refusal> {
    const PREFIX: [u8; 16] =
        [0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let second = KeyPair::generate_for(&PKCS_ED25519)?.serialize_der();
    let secret = second.get(PREFIX.len()..PREFIX.len() + 32);
    let secret = secret.expect("a key has 32 bytes, behind a prefix that is as long in both");
    let first = PrivatePkcs8KeyDer::from([&PREFIX, secret].concat());
    Ok(NewKey(KeyPair::from_pkcs8_der_and_sign_algo(&first, &PKCS_ED25519)?))
}

/// The kind of a public key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PublicKey {
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// On the curve P-256.
    P256,
    /// On the curve P-384.
    P384,
    /// On the curve P-521.
    P521,
    /// RSA, with the bits of its modulus.
    Rsa {
        /// How many.
        bits: usize,
    },
    /// Anything else.
    Other,
}

impl PublicKey {
    pub(super) fn of(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let algorithm = &info.algorithm;
        if algorithm.algorithm == OID_SIG_ED25519 {
            return Self::Ed25519;
        }
        if algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
            return match info.parsed() {
                Ok(Parsed::RSA(key)) => Self::Rsa { bits: bits(key.modulus) },
                _ => Self::Other,
            };
        }
        let curve = algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
        match curve {
            Some(curve) if curve == OID_EC_P256 => Self::P256,
            Some(curve) if curve == OID_NIST_EC_P384 => Self::P384,
            Some(curve) if curve == OID_NIST_EC_P521 => Self::P521,
            _ => Self::Other,
        }
    }

    /// Refuses what should not get a certificate.
    pub(super) fn check(self) -> Result<(), Refusal> {
        match self {
            Self::Rsa { bits } if bits < RSA_BITS_MIN => Err(Refusal::WeakRsa { bits }),
            Self::P521 | Self::Other => {
                let reason = "keys that are neither ed25519, p256, p384 nor RSA are not signed, \
                    since few clients know them";
                Err(Refusal::UnknownKey(reason.into()))
            }
            _ => Ok(()),
        }
    }

    pub(super) const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa { .. })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::P256 => "ECDSA P-256",
            Self::P384 => "ECDSA P-384",
            Self::P521 => "ECDSA P-521",
            Self::Rsa { bits } => return write!(f, "RSA {bits}"),
            Self::Other => "of an unknown kind",
        })
    }
}

/// How many bits a number of big-endian bytes has.
fn bits(number: &[u8]) -> usize {
    let mut digits = number.iter().skip_while(|byte| **byte == 0);
    match digits.next() {
        None => 0,
        Some(first) => 8 * (digits.count() + 1) - first.leading_zeros() as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::FromDer;

    #[test]
    fn kinds_go_by_their_names() {
        for kind in KeyKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!("rsa1024".parse::<KeyKind>(), Err(Refusal::WeakRsa { bits: 1_024 }));
        for unknown in ["", "rsa", "rsa4096", "P256", "dsa"] {
            assert!(matches!(unknown.parse::<KeyKind>(), Err(Refusal::UnknownKey(_))), "{unknown}");
        }
    }

    #[test]
    fn a_key_is_of_the_kind_that_was_wanted() {
        let wanted = [
            (KeyKind::Ed25519, PublicKey::Ed25519),
            (KeyKind::P256, PublicKey::P256),
            (KeyKind::P384, PublicKey::P384),
            (KeyKind::Rsa2048, PublicKey::Rsa { bits: 2_048 }),
        ];
        for (kind, public) in wanted {
            let info = NewKey::generate(kind).unwrap().pair().subject_public_key_info();
            let (_, info) = SubjectPublicKeyInfo::from_der(&info).unwrap();
            assert_eq!(PublicKey::of(&info), public);
            assert_eq!(public.check(), Ok(()));
        }
    }

    #[test]
    fn keys_are_told_apart_by_a_few_digits() {
        let [one, other] = [(); 2].map(|()| NewKey::generate(KeyKind::P256).unwrap());
        assert_eq!((one.tag().len(), one.tag()), (6, one.tag()));
        assert_ne!(one.tag(), other.tag());
    }

    #[test]
    fn weak_and_unknown_keys_are_refused() {
        for (bits, is_weak) in [(1_024, true), (2_047, true), (2_048, false), (4_096, false)] {
            assert_eq!(PublicKey::Rsa { bits }.check().is_err(), is_weak, "{bits}");
        }
        assert!(PublicKey::P521.check().is_err());
        assert!(PublicKey::Other.check().is_err());
    }

    #[test]
    fn bits_are_counted_from_the_first_that_is_set() {
        for (number, count) in [(&[][..], 0), (&[0], 0), (&[0, 1], 1), (&[0x7F, 0], 15)] {
            assert_eq!(bits(number), count);
        }
    }
}
