//! The compact record layer of TLS 1.3: what is left of a connection once traffic flows.
//!
//! ```text
//!   scratch --one record--> Opening --+-- application data --> the caller, in place
//!                                     +-- key update, ticket -> Messages -> the next keys
//!                                     +-- alert -------------> closed, or a fault
//!   plaintext --fragments--> Sealing --> output
//! ```
//!
//! Invariant: between calls nothing is held but keys, counts, and the front of a record that has
//! not come whole.

use rustls::{AlertDescription, ContentType, ExtractedSecrets, Side, Tls13CipherSuite};

use super::Opened;
use super::direction::{Opening, Sealing};
use super::fault::Fault;
use super::header::{self, FRAGMENT_BYTES_MAX, TLS13_BODY_BYTES_MAX};
use super::messages::{KeyUpdate, Messages};
use super::negotiated::{Beginning, Negotiated};
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
    beginning: Beginning,
}

impl Records {
    /// Takes over from a handshake that is done.
    pub(super) fn new(
        side: Side,
        suite: &'static Tls13CipherSuite,
        secrets: ExtractedSecrets,
        overheard: &Overheard,
        beginning: Beginning,
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
            beginning,
        })
    }

    /// See [`super::Tls::negotiated`].
    pub(super) fn negotiated(&self) -> Negotiated<'static> {
        self.beginning.with(self.suite)
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
        if let Err(fault) = opened {
            self.refuse(fault, reply);
        }
        opened
    }

    /// Tells the peer of a fault that ends the connection.
    pub(super) fn refuse(&mut self, fault: Fault, reply: &mut Vec<u8>) {
        if let Some(alert) = fault.alert()
            && !self.has_closed
        {
            // That it cannot be told any more is no news to somebody who leaves.
            let _ = self.alert(AlertLevel::Fatal, alert, reply);
        }
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

    /// See [`super::Tls::keeps_keys`].
    pub(super) fn keeps_keys(&self) -> bool {
        self.sealing.keeps_keys() || self.opening.keeps_keys()
    }

    /// See [`super::Tls::rest`].
    pub(super) fn rest(&mut self) {
        self.sealing.rest();
        self.opening.rest();
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
        // A ticket right after the handshake does not make a connection busy.
        self.opening.rest();
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

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384;
    use rustls::crypto::tls13::OkmBlock;

    use super::*;

    /// Both ends of a connection that has sent and received `sequence` records in each direction.
    fn pair_at(sequence: u64) -> (Records, Records) {
        let suite = TLS13_AES_256_GCM_SHA384.tls13().unwrap();
        let keys = |byte| Keys::derived(suite, OkmBlock::new(&[byte; 32]));
        let records = |sender, receiver, peer| Records {
            suite,
            sealing: Sealing::new(keys(sender), sequence),
            opening: Opening::new(keys(receiver), sequence),
            unfinished: Box::default(),
            messages: Messages::new(peer),
            fruitless: 0,
            owes_key_update: false,
            peer_has_closed: false,
            has_closed: false,
            beginning: Beginning::NONE,
        };
        (records(1, 2, Side::Server), records(2, 1, Side::Client))
    }

    fn pair() -> (Records, Records) {
        pair_at(0)
    }

    /// What `records` makes of all of `bytes`.
    fn open(records: &mut Records, mut bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let mut input = Input::new(&mut bytes);
        let mut plaintext = Vec::new();
        while let Opened::Plaintext(part) = records.open(&mut input, &mut Vec::new())? {
            plaintext.extend_from_slice(part);
        }
        Ok(plaintext)
    }

    fn sealed(records: &mut Records, typ: ContentType, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        records.sealing.seal(records.suite, typ, content, &mut out).unwrap();
        out
    }

    fn said(records: &mut Records, plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        records.seal(plaintext, &mut out).unwrap();
        out
    }

    #[test]
    fn keys_are_updated_before_they_are_spent() {
        let limit = 1 << 24; // of AES-GCM
        let (mut client, mut server) = pair_at(limit - 5);
        for round in 0..10u8 {
            let record = said(&mut client, &[round; 10]);
            assert_eq!(open(&mut server, record), Ok(vec![round; 10]), "round {round}");
            assert!(client.sealing.sequence() < limit);
        }
        assert_eq!((client.sealing.sequence(), server.opening.sequence()), (7, 7));
        assert!(!server.owes_key_update, "only our own keys were spent");
    }

    #[test]
    fn a_key_update_asked_for_comes_before_the_next_data() {
        let (mut client, mut server) = pair();
        let asking = sealed(&mut client, ContentType::Handshake, &KeyUpdate::Requested.encode());
        client.sealing.update_keys(client.suite);
        assert_eq!(open(&mut server, asking), Ok(vec![]));
        let answer = said(&mut server, b"data");
        assert_eq!(server.sealing.sequence(), 1, "the first record of new keys");
        assert_eq!(open(&mut client, answer), Ok(b"data".to_vec()));
        assert_eq!(open(&mut server, said(&mut client, b"more")), Ok(b"more".to_vec()));
    }

    #[test]
    fn empty_records_are_bounded_in_number_between_data() {
        let (mut client, mut server) = pair();
        for _ in 0..FRUITLESS_RECORDS_MAX {
            let empty = sealed(&mut client, ContentType::ApplicationData, b"");
            assert_eq!(open(&mut server, empty), Ok(vec![]));
        }
        assert_eq!(open(&mut server, said(&mut client, b"data")), Ok(b"data".to_vec()));
        let empty: Vec<u8> = (0..=FRUITLESS_RECORDS_MAX)
            .flat_map(|_| sealed(&mut client, ContentType::ApplicationData, b""))
            .collect();
        assert_eq!(open(&mut server, empty), Err(Fault::Fruitless));
    }

    #[test]
    fn nothing_comes_between_the_parts_of_a_message() {
        let (mut client, mut server) = pair();
        let half = sealed(&mut client, ContentType::Handshake, &[24, 0, 0]);
        assert_eq!(open(&mut server, half), Ok(vec![]));
        let data = said(&mut client, b"data");
        assert_eq!(open(&mut server, data), Err(Fault::UnexpectedMessage));
    }

    #[test]
    fn what_may_not_come_after_the_handshake_is_refused() {
        let cases: [(ContentType, &[u8], Fault); 5] = [
            (ContentType::ChangeCipherSpec, &[1], Fault::UnexpectedMessage),
            (ContentType::Heartbeat, &[1], Fault::UnexpectedMessage),
            (ContentType::Handshake, &[4, 0, 0, 1, 0], Fault::UnexpectedMessage),
            (ContentType::Alert, &[2], Fault::Malformed),
            (ContentType::Alert, &[1, 80], Fault::Alert(AlertDescription::InternalError)),
        ];
        for (typ, content, fault) in cases {
            let (mut client, mut server) = pair();
            let record = sealed(&mut client, typ, content);
            assert_eq!(open(&mut server, record), Err(fault), "{typ:?}");
        }
        let (_, mut server) = pair();
        let plain = vec![0x15, 3, 3, 0, 2, 1, 0];
        assert_eq!(open(&mut server, plain), Err(Fault::UnexpectedMessage));
    }

    #[test]
    fn nothing_is_said_after_our_close_notify() {
        let (mut client, mut server) = pair();
        client.close(&mut Vec::new());
        let mut forged = said(&mut server, b"data");
        *forged.last_mut().unwrap() ^= 1;
        let mut reply = Vec::new();
        let fault = client.open(&mut Input::new(&mut forged), &mut reply).unwrap_err();
        assert_eq!((fault, reply.len()), (Fault::BadRecordMac, 0));
    }

    #[test]
    fn a_user_that_cancels_is_waited_for() {
        let (mut client, mut server) = pair();
        let canceled = sealed(&mut client, ContentType::Alert, &[1, 90]);
        assert_eq!(open(&mut server, canceled), Ok(vec![]));
        assert!(!server.peer_has_closed);
    }

    #[test]
    fn a_record_opened_twice_is_forged() {
        let (mut client, mut server) = pair();
        let record = said(&mut client, b"data");
        assert_eq!(open(&mut server, record.clone()), Ok(b"data".to_vec()));
        assert_eq!(open(&mut server, record), Err(Fault::BadRecordMac));
    }

    #[test]
    fn a_message_fills_as_many_records_as_it_needs() {
        for (len, records) in [(0, 0), (1, 1), (16_384, 1), (16_385, 2), (100_000, 7)] {
            let (mut client, mut server) = pair();
            let out = said(&mut client, &vec![7; len]);
            assert_eq!(out.len(), len + records * (5 + 1 + 16), "{len}");
            assert_eq!(open(&mut server, out), Ok(vec![7; len]));
        }
    }
}
