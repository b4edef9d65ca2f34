//! The compact record layer of TLS 1.3: what is left of a connection once traffic flows.
//!
//! ```text
//!                  secret, key, iv, sequence number
//!   Sealing  ----- set up ----> rustls' MessageEncrypter ----> records
//!   Opening  ----- set up ----> rustls' MessageDecrypter ----> plaintext, in place
//! ```
//!
//! Keys that are set up take several times the memory of the keys themselves. So what speaks once
//! in a while (a heartbeat) sets them up for that one record, and what speaks more often keeps them
//! until [`Records::rest`] is called.
//!
//! Invariant: a sequence number is used once for each key. All cryptography is rustls'.

use std::mem;

use rustls::crypto::cipher::{
    InboundOpaqueMessage, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
};
use rustls::{
    AlertDescription, ContentType, ExtractedSecrets, ProtocolVersion, Side, Tls13CipherSuite,
};

use super::Opened;
use super::fault::Fault;
use super::header::{self, FRAGMENT_BYTES_MAX, HEADER_BYTES, TLS13_BODY_BYTES_MAX};
use super::messages::{KeyUpdate, Messages};
use super::secrets::{Keys, Overheard};
use crate::base::Input;

/// How many records in a row may bring no application data: empty ones, key updates, tickets.
///
/// Each costs us a decryption. rustls and `BoringSSL` allow 32 of a kind.
const FRUITLESS_RECORDS_MAX: u8 = 32;

/// Both directions of an established connection.
pub(super) struct Records {
    suite: &'static Tls13CipherSuite,
    sealing: Sealing,
    opening: Opening,
    /// The front of a record that has not come whole yet.
    unfinished: Box<[u8]>,
    messages: Messages,
    fruitless: u8,
    /// The peer asked for new keys of ours: they come before our next data (RFC 8446 §4.6.3).
    owes_key_update: bool,
    peer_has_closed: bool,
    has_closed: bool,
}

impl Records {
    /// Takes over from a handshake that is done.
    pub(super) fn new(
        side: Side,
        suite: &'static Tls13CipherSuite,
        secrets: ExtractedSecrets,
        overheard: &Overheard,
    ) -> Result<Self, Fault> {
        let ExtractedSecrets { tx: (sealed, tx), rx: (opened, rx) } = secrets;
        let peer = if side == Side::Server { Side::Client } else { Side::Server };
        Ok(Self {
            suite,
            sealing: Sealing::new(Keys::new(side, tx, overheard)?, sealed),
            opening: Opening::new(Keys::new(peer, rx, overheard)?, opened),
            unfinished: Box::default(),
            messages: Messages::new(peer),
            fruitless: 0,
            owes_key_update: false,
            peer_has_closed: false,
            has_closed: false,
        })
    }

    /// See [`super::Tls::restore`].
    pub(super) fn restore(&mut self, scratch: &mut [u8]) -> usize {
        header::restore(&mut self.unfinished, scratch)
    }

    /// See [`super::Tls::open`].
    pub(super) fn open<'b>(
        &mut self,
        input: &mut Input<'b>,
        reply: &mut Vec<u8>,
    ) -> Result<Opened<'b>, Fault> {
        let opened = self.open_next(input);
        if let Err(fault) = opened
            && let Some(alert) = fault.alert()
        {
            self.alert(AlertLevel::Fatal, alert, reply)?;
        }
        opened
    }

    /// See [`super::Tls::seal`].
    pub(super) fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.has_closed {
            return Err(Fault::Unwritable);
        }
        for fragment in plaintext.chunks(FRAGMENT_BYTES_MAX) {
            if self.owes_key_update || self.sealing.is_spent(self.suite) {
                self.update_keys(out)?;
            }
            self.sealing.seal(self.suite, ContentType::ApplicationData, fragment, out)?;
        }
        Ok(())
    }

    /// See [`super::Tls::close`].
    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        if !self.has_closed {
            // That nothing can be written any more is no news to somebody who leaves.
            let _ = self.alert(AlertLevel::Warning, AlertDescription::CloseNotify, out);
        }
        self.has_closed = true;
    }

    /// See [`super::Tls::rest`].
    pub(super) fn rest(&mut self) {
        self.sealing.setup.rest();
        self.opening.setup.rest();
    }

    /// Opens records up to the first that brings something for the caller.
    fn open_next<'b>(&mut self, input: &mut Input<'b>) -> Result<Opened<'b>, Fault> {
        while !self.peer_has_closed {
            let len = header::record_len(input.rest(), TLS13_BODY_BYTES_MAX)?;
            let Some(len) = len.filter(|len| *len <= input.len()) else {
                self.unfinished = Box::from(&*input.take_all());
                return Ok(Opened::Wanting);
            };
            let (typ, content) = self.opening.open(self.suite, input.take(len))?;
            if typ != ContentType::Handshake && self.messages.is_amid_message() {
                return Err(Fault::UnexpectedMessage); // RFC 8446 §5.1
            }
            match typ {
                ContentType::ApplicationData if !content.is_empty() => {
                    self.fruitless = 0;
                    return Ok(Opened::Plaintext(content));
                }
                ContentType::ApplicationData => {}
                ContentType::Handshake => self.hear(content)?,
                ContentType::Alert => self.heed(content)?,
                _ => return Err(Fault::UnexpectedMessage),
            }
            self.fruitless += 1;
            if self.fruitless > FRUITLESS_RECORDS_MAX {
                return Err(Fault::Fruitless);
            }
        }
        input.take_all();
        Ok(Opened::Closed)
    }

    /// Takes in a record of post-handshake messages (RFC 8446 §4.6).
    fn hear(&mut self, content: &[u8]) -> Result<(), Fault> {
        if let Some(update) = self.messages.read(content)? {
            self.opening.update_keys(self.suite);
            self.owes_key_update |= update == KeyUpdate::Requested;
        }
        Ok(())
    }

    /// Takes in an alert (RFC 8446 §6), whose level means nothing since TLS 1.3.
    fn heed(&mut self, content: &[u8]) -> Result<(), Fault> {
        let &[_level, description] = content else { return Err(Fault::Malformed) };
        match AlertDescription::from(description) {
            AlertDescription::CloseNotify => self.peer_has_closed = true,
            // A close_notify follows (RFC 8446 §6.1).
            AlertDescription::UserCanceled => {}
            alert => return Err(Fault::Alert(alert)),
        }
        Ok(())
    }

    /// Announces new keys of ours with the old ones, then takes them.
    fn update_keys(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.owes_key_update = false;
        let message = KeyUpdate::NotRequested.encode();
        self.sealing.seal(self.suite, ContentType::Handshake, &message, out)?;
        self.sealing.update_keys(self.suite);
        Ok(())
    }

    fn alert(
        &mut self,
        level: AlertLevel,
        description: AlertDescription,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let alert = [level as u8, u8::from(description)];
        self.sealing.seal(self.suite, ContentType::Alert, &alert, out)
    }
}

/// The first byte of an alert (RFC 8446 §6).
#[derive(Clone, Copy)]
enum AlertLevel {
    Warning = 1,
    Fatal = 2,
}

/// The direction that we send in.
struct Sealing {
    keys: Keys,
    sequence: u64,
    setup: Setup<dyn MessageEncrypter>,
    /// The sequence number that the keys kept were set up at.
    since: u64,
}

impl Sealing {
    fn new(keys: Keys, sequence: u64) -> Self {
        Self { keys, sequence, setup: Setup::default(), since: sequence }
    }

    /// Appends a record with one fragment of `typ` to `out`.
    fn seal(
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
    fn is_spent(&self, suite: &Tls13CipherSuite) -> bool {
        self.sequence >= suite.common.confidentiality_limit - LAST_WORDS
    }

    fn update_keys(&mut self, suite: &Tls13CipherSuite) {
        *self = Self::new(self.keys.next(suite), 0);
    }
}

/// A key update and an alert.
const LAST_WORDS: u64 = 2;

/// The direction that the peer sends in.
struct Opening {
    keys: Keys,
    sequence: u64,
    setup: Setup<dyn MessageDecrypter>,
}

impl Opening {
    fn new(keys: Keys, sequence: u64) -> Self {
        Self { keys, sequence, setup: Setup::default() }
    }

    /// Opens `record` in place: what it is, and its content.
    fn open<'b>(
        &mut self,
        suite: &Tls13CipherSuite,
        record: &'b mut [u8],
    ) -> Result<(ContentType, &'b mut [u8]), Fault> {
        // All that comes after the handshake is protected, and looks so (RFC 8446 §5.2).
        if record.first() != Some(&u8::from(ContentType::ApplicationData)) {
            return Err(Fault::UnexpectedMessage);
        }
        let (_header, body) = record.split_at_mut(HEADER_BYTES);
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

    fn update_keys(&mut self, suite: &Tls13CipherSuite) {
        *self = Self::new(self.keys.next(suite), 0);
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
