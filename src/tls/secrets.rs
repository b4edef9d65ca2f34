//! The keys of one direction, and how they follow from one another.
//!
//! rustls gives its keys away after a handshake, but not the secrets that the next keys are derived
//! from: those stay in its kernel connection, which is several times larger than all that we keep.
//! So the secrets are overheard while rustls derives them, by its key log, and the few derivations
//! after that (RFC 8446 §7.2, §7.3) are done here with rustls' own HKDF.

use std::fmt;
use std::sync::OnceLock;

use rustls::crypto::cipher::{AeadKey, Iv, MessageDecrypter, MessageEncrypter};
use rustls::crypto::tls13::{HkdfExpander, OkmBlock, expand};
use rustls::{ConnectionTrafficSecrets, KeyLog, Side, Tls13CipherSuite};

use super::fault::Fault;

/// The length of the keys that can be made from bytes with rustls' public API.
pub(super) const KEY_BYTES: usize = 32;

/// The application traffic secrets of one connection, as its key schedule says them.
#[derive(Default)]
pub(super) struct Overheard {
    client: OnceLock<OkmBlock>,
    server: OnceLock<OkmBlock>,
}

impl Overheard {
    /// The secret of the direction that `sender` sends in.
    fn secret(&self, sender: Side) -> Option<&OkmBlock> {
        match sender {
            Side::Client => self.client.get(),
            Side::Server => self.server.get(),
        }
    }

    fn slot(&self, label: &str) -> Option<&OnceLock<OkmBlock>> {
        match label {
            "CLIENT_TRAFFIC_SECRET_0" => Some(&self.client),
            "SERVER_TRAFFIC_SECRET_0" => Some(&self.server),
            _ => None,
        }
    }
}

impl KeyLog for Overheard {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if let Some(slot) = self.slot(label) {
            slot.get_or_init(|| OkmBlock::new(secret));
        }
    }

    fn will_log(&self, label: &str) -> bool {
        self.slot(label).is_some()
    }
}

impl fmt::Debug for Overheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Overheard(..)")
    }
}

/// The keys of one direction: some 130 bytes, which wipe themselves when they go.
pub(super) struct Keys {
    secret: OkmBlock,
    key: AeadKey,
    iv: Iv,
}

impl Keys {
    /// The first keys after a handshake.
    ///
    /// `keys` are those that rustls gave away, `overheard` knows the secret that they came from.
    pub(super) fn new(
        sender: Side,
        keys: ConnectionTrafficSecrets,
        overheard: &Overheard,
    ) -> Result<Self, Fault> {
        let secret = overheard.secret(sender).ok_or(Fault::Internal)?.clone();
        let (ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = keys
        else {
            return Err(Fault::Internal);
        };
        Ok(Self { secret, key, iv })
    }

    /// The keys after a key update (RFC 8446 §7.2).
    pub(super) fn next(&self, suite: &Tls13CipherSuite) -> Self {
        let expander = suite.hkdf_provider.expander_for_okm(&self.secret);
        let len = expander.hash_len();
        let secret = with_label(b"traffic upd", len, |info| expander.expand_block(info));
        Self::derived(suite, secret)
    }

    /// The keys that follow from a traffic secret (RFC 8446 §7.3).
    pub(super) fn derived(suite: &Tls13CipherSuite, secret: OkmBlock) -> Self {
        let expander = suite.hkdf_provider.expander_for_okm(&secret);
        let expander: &dyn HkdfExpander = &*expander;
        let key =
            with_label(b"key", KEY_BYTES, |info| expand::<AeadKey, KEY_BYTES>(expander, info));
        let iv = with_label(b"iv", IV_BYTES, |info| expand::<Iv, IV_BYTES>(expander, info));
        Self { secret, key, iv }
    }

    /// Sets the keys up for sealing, which costs more than to seal a short record.
    pub(super) fn encrypter(&self, suite: &Tls13CipherSuite) -> Box<dyn MessageEncrypter> {
        suite.aead_alg.encrypter(self.key(), self.iv())
    }

    /// Sets the keys up for opening.
    pub(super) fn decrypter(&self, suite: &Tls13CipherSuite) -> Box<dyn MessageDecrypter> {
        suite.aead_alg.decrypter(self.key(), self.iv())
    }

    fn key(&self) -> AeadKey {
        let key: [u8; KEY_BYTES] = self.key.as_ref().try_into().expect("all our keys are so long");
        AeadKey::from(key)
    }

    fn iv(&self) -> Iv {
        Iv::copy(self.iv.as_ref())
    }
}

/// The length of a nonce in every suite (RFC 8446 §5.3).
const IV_BYTES: usize = 12;

/// Calls `expand` with the info of HKDF-Expand-Label for `label` and no context (RFC 8446 §7.1).
fn with_label<T>(label: &[u8], len: usize, expand: impl FnOnce(&[&[u8]]) -> T) -> T {
    const PREFIX: &[u8] = b"tls13 ";
    let len = u16::try_from(len).expect("no output is longer than a hash");
    let label_len = u8::try_from(PREFIX.len() + label.len()).expect("labels are short");
    expand(&[&len.to_be_bytes(), &[label_len], PREFIX, label, &[0]])
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;

    use super::*;

    #[test]
    fn labels_are_written_as_in_the_traces_of_rfc_8448() {
        let key = with_label(b"key", 16, |info| info.concat());
        assert_eq!(key, b"\x00\x10\x09tls13 key\x00");
        let iv = with_label(b"iv", 12, |info| info.concat());
        assert_eq!(iv, b"\x00\x0c\x08tls13 iv\x00");
    }

    #[test]
    fn secrets_are_told_apart_by_who_sends_with_them() {
        let overheard = Overheard::default();
        overheard.log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", &[], &[1; 32]);
        overheard.log("CLIENT_TRAFFIC_SECRET_0", &[], &[2; 32]);
        overheard.log("SERVER_TRAFFIC_SECRET_0", &[], &[3; 32]);
        let secret = |sender| overheard.secret(sender).unwrap().as_ref().to_vec();
        assert_eq!((secret(Side::Client), secret(Side::Server)), (vec![2; 32], vec![3; 32]));
        assert_eq!(format!("{overheard:?}"), "Overheard(..)");
    }

    #[test]
    fn the_next_keys_have_nothing_in_common_with_the_last() {
        let suite = TLS13_CHACHA20_POLY1305_SHA256.tls13().unwrap();
        let keys = Keys::derived(suite, OkmBlock::new(&[7; 32]));
        let next = keys.next(suite);
        assert_ne!(keys.secret.as_ref(), next.secret.as_ref());
        assert_ne!(keys.key.as_ref(), next.key.as_ref());
        assert_ne!(keys.iv.as_ref(), next.iv.as_ref());
    }
}
