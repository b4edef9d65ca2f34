//! The two directions of a connection: keys, a sequence number, and the keys set up for use.
//!
//! ```text
//!                  secret, key, iv (130 bytes)
//!   Sealing  ----- set up ----> rustls' MessageEncrypter ----> records
//!   Opening  ----- set up ----> rustls' MessageDecrypter ----> plaintext, in place
//! ```
//!
//! Keys that are set up take several times the memory of the keys themselves. So what speaks once
//! in a while (a heartbeat) sets them up for that one record, and what speaks more often keeps them
//! until it rests.
//!
//! Invariant: a sequence number is used once for each key.

use std::mem;

use rustls::crypto::cipher::{
    InboundOpaqueMessage, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
};
use rustls::{ContentType, ProtocolVersion, Tls13CipherSuite};

use super::fault::Fault;
use super::header::{self, HEADER_BYTES};
use super::secrets::Keys;

/// The direction that we send in.
pub(super) struct Sealing {
    keys: Keys,
    sequence: u64,
    setup: Setup<dyn MessageEncrypter>,
    /// The sequence number that the keys kept were set up at.
    since: u64,
}

impl Sealing {
    /// The direction after `sequence` records.
    pub(super) fn new(keys: Keys, sequence: u64) -> Self {
        Self { keys, sequence, setup: Setup::default(), since: sequence }
    }

    /// Appends a record with one fragment of `typ` to `out`.
    pub(super) fn seal(
        &mut self,
        suite: &Tls13CipherSuite,
        typ: ContentType,
        fragment: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let payload = OutboundChunks::Single(fragment);
        let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        let mut encrypter = self.encrypter(suite);
        let record = encrypter.encrypt(message, self.sequence)?;
        self.setup.put(encrypter);
        self.sequence += 1;
        // rustls seals into a vector of its own, so that this is a second copy.
        out.extend_from_slice(&record.encode());
        Ok(())
    }

    /// Takes the keys kept if they serve for the next record, or sets them up.
    ///
    /// aws-lc takes the first nonce that it sees for that of sequence number 0, and refuses what
    /// then looks like a step back. From `since` on, `n` records ascend in its eyes too as long as
    /// `n` carries into no bit of `since`; then the keys are set up again, for twice as many.
    fn encrypter(&mut self, suite: &Tls13CipherSuite) -> Box<dyn MessageEncrypter> {
        let ascends = self.sequence - self.since == self.sequence ^ self.since;
        match self.setup.take() {
            Some(encrypter) if ascends => encrypter,
            _ => {
                self.since = self.sequence;
                self.keys.encrypter(suite)
            }
        }
    }

    /// Whether the keys have sealed as much as is safe (RFC 8446 §5.5), but for their last words.
    pub(super) fn is_spent(&self, suite: &Tls13CipherSuite) -> bool {
        self.sequence >= suite.common.confidentiality_limit - LAST_WORDS
    }

    /// Takes the next keys, and counts from 0 again (RFC 8446 §5.3).
    pub(super) fn update_keys(&mut self, suite: &Tls13CipherSuite) {
        *self = Self::new(self.keys.next(suite), 0);
    }

    /// Whether keys are kept set up.
    pub(super) const fn keeps_keys(&self) -> bool {
        self.setup.kept.is_some()
    }

    /// Gives back the memory of keys that are set up.
    pub(super) fn rest(&mut self) {
        self.setup.rest();
    }

    /// The number of the next record.
    #[cfg(test)]
    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// A key update and an alert.
const LAST_WORDS: u64 = 2;

/// What every record begins with after the handshake: `application_data`, and the version of 2008.
const PROTECTED: [u8; 3] = [23, 3, 3];

/// The direction that the peer sends in.
pub(super) struct Opening {
    keys: Keys,
    sequence: u64,
    setup: Setup<dyn MessageDecrypter>,
}

impl Opening {
    /// The direction after `sequence` records.
    pub(super) fn new(keys: Keys, sequence: u64) -> Self {
        Self { keys, sequence, setup: Setup::default() }
    }

    /// Opens `record` in place: what it is, and its content.
    pub(super) fn open<'b>(
        &mut self,
        suite: &Tls13CipherSuite,
        record: &'b mut [u8],
    ) -> Result<(ContentType, &'b mut [u8]), Fault> {
        let (header, body) = record.split_at_mut(HEADER_BYTES);
        // All that comes after the handshake is protected, and looks the same (RFC 8446 §5.2).
        if !header.starts_with(&PROTECTED) {
            return Err(Fault::UnexpectedMessage);
        }
        let start = body.as_ptr();
        let version = ProtocolVersion::TLSv1_2;
        let message = InboundOpaqueMessage::new(ContentType::ApplicationData, version, body);
        let mut decrypter = self.setup.take().unwrap_or_else(|| self.keys.decrypter(suite));
        let plain = decrypter.decrypt(message, self.sequence)?;
        let (typ, len) = (plain.typ, plain.payload.len());
        // rustls lends the plaintext read-only; it is ours to write to, and begins where the body
        // began, since TLS 1.3 has no explicit nonce.
        assert_eq!(plain.payload.as_ptr(), start, "records are opened where they are");
        self.setup.put(decrypter);
        self.sequence += 1;
        Ok((typ, header::front(body, len)))
    }

    /// Takes the next keys, and counts from 0 again (RFC 8446 §5.3).
    pub(super) fn update_keys(&mut self, suite: &Tls13CipherSuite) {
        *self = Self::new(self.keys.next(suite), 0);
    }

    /// Whether keys are kept set up.
    pub(super) const fn keeps_keys(&self) -> bool {
        self.setup.kept.is_some()
    }

    /// Gives back the memory of keys that are set up.
    pub(super) fn rest(&mut self) {
        self.setup.rest();
    }

    /// The number of the next record.
    #[cfg(test)]
    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// Keys set up for use, kept from their second use on until they rest.
struct Setup<T: ?Sized> {
    kept: Option<Box<T>>,
    is_warm: bool,
}

impl<T: ?Sized> Setup<T> {
    fn take(&mut self) -> Option<Box<T>> {
        self.kept.take()
    }

    fn put(&mut self, keys: Box<T>) {
        if mem::replace(&mut self.is_warm, true) {
            self.kept = Some(keys);
        }
    }

    fn rest(&mut self) {
        *self = Self::default();
    }
}

impl<T: ?Sized> Default for Setup<T> {
    fn default() -> Self {
        Self { kept: None, is_warm: false }
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::cipher_suite::{
        TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    use rustls::crypto::tls13::OkmBlock;

    use super::*;

    #[test]
    fn keys_that_are_kept_serve_from_any_record_on() {
        for suite in [TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256] {
            let suite = suite.tls13().unwrap();
            let keys = || Keys::derived(suite, OkmBlock::new(&[7; 32]));
            for sequence in (0..33).chain([65_500, 1_000_007]) {
                let mut sealing = Sealing::new(keys(), sequence);
                let mut opening = Opening::new(keys(), sequence);
                for round in 0..100 {
                    let mut record = Vec::new();
                    sealing.seal(suite, ContentType::Alert, &[round; 10], &mut record).unwrap();
                    let opened = opening.open(suite, &mut record).unwrap();
                    assert_eq!(opened, (ContentType::Alert, &mut [round; 10][..]), "{sequence}");
                }
                assert!(sealing.setup.kept.is_some() && opening.setup.kept.is_some());
            }
        }
    }

    #[test]
    fn kept_keys_are_set_up_seldom() {
        let suite = TLS13_AES_256_GCM_SHA384.tls13().unwrap();
        let mut sealing = Sealing::new(Keys::derived(suite, OkmBlock::new(&[7; 32])), 3);
        let mut setups = Vec::new();
        for _ in 0..1_000 {
            sealing.seal(suite, ContentType::Alert, b"", &mut Vec::new()).unwrap();
            setups.push(sealing.since);
        }
        setups.dedup();
        assert_eq!(setups, [3, 4, 8, 16, 32, 64, 128, 256, 512]);
    }
}
