//! A connection inside rustls: from its first byte to the end of the handshake, and for as long as
//! it lives where our own record layer cannot serve it (TLS 1.2, AES-128).
//!
//! ```text
//!   scratch --take one record--> given --process--> reply      handshake bytes, alerts
//!      ^                           |
//!      +-------- payload ----------+
//! ```
//!
//! rustls is given one record at a time. So it never sees what follows the last record of the
//! handshake, which belongs to the record layer that takes over there.
//!
//! Invariant: `given` holds exactly what rustls has been given and has not asked to discard: it
//! refers to these bytes by their position until a message is whole, however many records (and
//! calls) that takes.

use std::sync::Arc;

use rustls::Side;

use super::Opened;
use super::fault::Fault;
use super::header;
use super::identity::Identity;
use super::negotiated::{Beginning, Negotiated};
use super::record::Records;
use super::secrets::Overheard;
use super::unbuffered::{Connection, Outgoing, Step};
use crate::base::Input;

/// How much of a handshake a server holds for a client that it knows nothing of.
///
/// A first flight has 300 to 2,000 bytes, a chain of client certificates some thousands. What a
/// client holds for a server is bounded by rustls (64 KiB a message).
const STRANGER_BYTES_MAX: usize = 8 * 1024;

/// A connection that rustls drives.
pub(super) struct Held {
    connection: Connection,
    /// What the key schedule said, for the record layer that may take over.
    overheard: Arc<Overheard>,
    /// Whether our record layer may take over, and when.
    settling: Settling,
    /// Application data has come, and so all tickets have that were sent before it.
    has_heard: bool,
    /// See the module's invariant.
    given: Vec<u8>,
    /// The front of a record that has not come whole yet.
    unfinished: Box<[u8]>,
    peer_has_closed: bool,
    has_closed: bool,
}

/// When our record layer takes over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Settling {
    /// Never.
    Never,
    /// As soon as the handshake is done.
    AtOnce,
    /// When application data has come: rustls takes the tickets that come before it.
    Late,
}

/// Where a connection lives after its handshake.
pub(super) enum Settled {
    /// In our record layer.
    Compact(Box<Records>),
    /// Where it was.
    Held(Box<Held>),
}

impl Held {
    /// A connection about to shake hands, of which `settling` says when our record layer takes it.
    pub(super) fn new(
        connection: Connection,
        overheard: Arc<Overheard>,
        settling: Settling,
    ) -> Self {
        Self {
            connection,
            overheard,
            settling,
            has_heard: false,
            given: Vec::new(),
            unfinished: Box::default(),
            peer_has_closed: false,
            has_closed: false,
        }
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
        let was_handshaking = self.is_handshaking();
        let mut record: &'b mut [u8] = &mut [];
        while !self.peer_has_closed {
            match self.connection.advance(&mut self.given, record, reply)? {
                Step::Plaintext(len) => {
                    self.has_heard = true;
                    return Ok(Opened::Plaintext(header::front(record, len)));
                }
                Step::PeerClosed => break,
                Step::Blocked if was_handshaking && !self.is_handshaking() => {
                    return Ok(Opened::Established(None));
                }
                Step::Blocked => {}
            }
            record = match header::record_len(input.rest(), header::TLS12_BODY_BYTES_MAX) {
                Ok(len) => {
                    self.admit(len.unwrap_or(input.len()))?;
                    match len.filter(|len| *len <= input.len()) {
                        Some(len) => input.take(len),
                        None => return Ok(self.keep(input)),
                    }
                }
                // rustls finds the same fault, and seals the alert with the keys of the moment.
                Err(_) => input.take_all(),
            };
            self.given.extend_from_slice(record);
        }
        self.peer_has_closed = true;
        input.take_all();
        Ok(Opened::Closed)
    }

    /// See [`super::Tls::seal`].
    pub(super) fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.has_closed || self.is_handshaking() {
            return Err(Fault::Unwritable);
        }
        self.connection.write(&mut self.given, Outgoing::Plaintext(plaintext), out)
    }

    /// See [`super::Tls::close`].
    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        if !self.has_closed && !self.is_handshaking() {
            // That nothing can be written any more is no news to somebody who leaves.
            let _ = self.connection.write(&mut self.given, Outgoing::CloseNotify, out);
        }
        self.has_closed = true;
    }

    /// Who the peer has proved to be in the handshake, if anybody.
    pub(super) fn recognize(&self) -> Result<Option<Identity>, Fault> {
        assert!(!self.is_handshaking(), "a handshake proves who the peer is");
        self.connection.recognize()
    }

    /// Goes on without rustls where that can be: on TLS 1.3, with a suite of 32 byte keys.
    pub(super) fn settle(self: Box<Self>) -> Result<Settled, Fault> {
        assert!(!self.is_handshaking(), "a connection settles after its handshake");
        match self.connection.compact_suite() {
            Some(suite) if self.may_settle() && self.given.is_empty() => {
                let side = self.connection.side();
                let beginning = Beginning::of(self.connection.common());
                let secrets = self.connection.into_secrets()?;
                let records = Records::new(side, suite, secrets, &self.overheard, beginning)?;
                Ok(Settled::Compact(Box::new(records)))
            }
            _ => Ok(Settled::Held(self)),
        }
    }

    /// Whether it is time for our record layer to take over, if it can.
    pub(super) fn may_settle(&self) -> bool {
        match self.settling {
            Settling::Never => false,
            Settling::AtOnce => true,
            Settling::Late => self.has_heard,
        }
    }

    /// Whether that time came after the handshake.
    pub(super) fn is_late(&self) -> bool {
        self.settling == Settling::Late
            && self.has_heard
            && !self.peer_has_closed
            && !self.has_closed
            && self.given.is_empty()
            && self.unfinished.is_empty()
    }

    /// It stays where it is.
    pub(super) fn stay(&mut self) {
        self.settling = Settling::Never;
    }

    /// See [`super::Tls::negotiated`].
    pub(super) fn negotiated(&self) -> Option<Negotiated<'_>> {
        Negotiated::of(self.connection.common())
    }

    fn is_handshaking(&self) -> bool {
        self.connection.common().is_handshaking()
    }

    /// Whether a record of `len` bytes may be waited for.
    fn admit(&self, len: usize) -> Result<(), Fault> {
        let is_stranger = self.is_handshaking() && self.connection.side() == Side::Server;
        if is_stranger && self.given.len() + len > STRANGER_BYTES_MAX {
            return Err(Fault::OversizedHandshake);
        }
        Ok(())
    }

    /// Keeps the front of a record, and no more memory than that.
    fn keep<'b>(&mut self, input: &mut Input<'b>) -> Opened<'b> {
        self.unfinished = Box::from(&*input.take_all());
        self.given.shrink_to_fit();
        Opened::Wanting
    }
}
