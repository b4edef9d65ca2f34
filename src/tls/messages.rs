//! What a peer may say after the handshake beside data: new keys and tickets (RFC 8446 §4.6).

use rustls::Side;

use super::fault::Fault;

/// The first byte of a `NewSessionTicket`.
const NEW_SESSION_TICKET: u8 = 4;
/// The first byte of a `KeyUpdate`.
const KEY_UPDATE: u8 = 24;

/// The peer has new keys (RFC 8446 §4.6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyUpdate {
    /// And leaves ours to us.
    NotRequested,
    /// And wants the same of us.
    Requested,
}

impl KeyUpdate {
    /// The whole message, with its header.
    pub(super) const fn encode(self) -> [u8; 5] {
        [KEY_UPDATE, 0, 0, 1, self as u8]
    }

    const fn decode(body: u8) -> Result<Self, Fault> {
        match body {
            0 => Ok(Self::NotRequested),
            1 => Ok(Self::Requested),
            _ => Err(Fault::Misbehaved),
        }
    }
}

/// Reads post-handshake messages, however the records cut them.
///
/// It keeps no message: tickets are read past, since our clients do not resume.
pub(super) struct Messages {
    peer: Side,
    at: At,
}

/// Where in a message the next byte belongs.
#[derive(Clone, Copy)]
enum At {
    /// In the header, type and length, of which `len` bytes have been `read`.
    Header { read: u32, len: u8 },
    /// In a ticket, of which so many bytes are to come.
    Ticket(u32),
    /// At the one byte of a key update.
    KeyUpdate,
}

impl At {
    const START: Self = Self::Header { read: 0, len: 0 };
}

impl Messages {
    /// The messages of a `peer`, which is a client or a server.
    pub(super) const fn new(peer: Side) -> Self {
        Self { peer, at: At::START }
    }

    /// Whether a message has begun and not ended.
    pub(super) const fn is_amid_message(&self) -> bool {
        !matches!(self.at, At::Header { len: 0, .. })
    }

    /// Reads the content of one record, and says whether it ended with a key update.
    ///
    /// Nothing may follow a key update in its record, for it would have the wrong keys
    /// (RFC 8446 §5.1). An empty record is refused by the same section.
    pub(super) fn read(&mut self, content: &[u8]) -> Result<Option<KeyUpdate>, Fault> {
        let Some((last, rest)) = content.split_last() else {
            return Err(Fault::UnexpectedMessage);
        };
        for byte in rest {
            if self.step(*byte)?.is_some() {
                return Err(Fault::UnexpectedMessage);
            }
        }
        self.step(*last)
    }

    /// Takes the next byte, and says whether it ends a key update.
    fn step(&mut self, byte: u8) -> Result<Option<KeyUpdate>, Fault> {
        let mut update = None;
        self.at = match self.at {
            At::Header { read, len: 3 } => self.begin(read << 8 | u32::from(byte))?,
            At::Header { read, len } => {
                At::Header { read: read << 8 | u32::from(byte), len: len + 1 }
            }
            At::Ticket(1) => At::START,
            At::Ticket(left) => At::Ticket(left - 1),
            At::KeyUpdate => {
                update = Some(KeyUpdate::decode(byte)?);
                At::START
            }
        };
        Ok(update)
    }

    /// Where the message with this `header` begins, if the peer may send it.
    fn begin(&self, header: u32) -> Result<At, Fault> {
        let [typ, len @ ..] = header.to_be_bytes();
        let len = len.into_iter().fold(0, |len, byte| len << 8 | u32::from(byte));
        match (typ, len) {
            (KEY_UPDATE, 1) => Ok(At::KeyUpdate),
            (NEW_SESSION_TICKET, 1..) if self.peer == Side::Server => Ok(At::Ticket(len)),
            (KEY_UPDATE, _) => Err(Fault::Malformed),
            _ => Err(Fault::UnexpectedMessage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: [u8; 10] = [4, 0, 0, 6, 24, 0, 0, 1, 1, 9];

    #[test]
    fn a_key_update_may_be_cut_anywhere() {
        let update = KeyUpdate::Requested.encode();
        for cut in 1..update.len() {
            let mut messages = Messages::new(Side::Client);
            assert_eq!(messages.read(&update[..cut]), Ok(None), "cut at {cut}");
            assert!(messages.is_amid_message());
            assert_eq!(messages.read(&update[cut..]), Ok(Some(KeyUpdate::Requested)));
            assert!(!messages.is_amid_message());
        }
    }

    #[test]
    fn tickets_are_read_past_wherever_they_are_cut() {
        let stream = [&TICKET[..], &TICKET, &KeyUpdate::NotRequested.encode()].concat();
        for cut in 1..stream.len() {
            let mut messages = Messages::new(Side::Server);
            assert_eq!(messages.read(&stream[..cut]), Ok(None), "cut at {cut}");
            assert_eq!(messages.read(&stream[cut..]), Ok(Some(KeyUpdate::NotRequested)));
        }
    }

    #[test]
    fn what_a_peer_may_not_say_is_refused() {
        let cases: [(Side, &[u8], Fault); 7] = [
            (Side::Client, &TICKET, Fault::UnexpectedMessage),
            (Side::Server, &[13, 0, 0, 1, 0], Fault::UnexpectedMessage),
            (Side::Server, &[4, 0, 0, 0], Fault::UnexpectedMessage),
            (Side::Client, &[24, 0, 0, 2, 0, 0], Fault::Malformed),
            (Side::Client, &[24, 0, 0, 1, 2], Fault::Misbehaved),
            (Side::Client, &[24, 0, 0, 1, 0, 24], Fault::UnexpectedMessage),
            (Side::Client, &[], Fault::UnexpectedMessage),
        ];
        for (peer, content, fault) in cases {
            assert_eq!(Messages::new(peer).read(content), Err(fault), "{content:?}");
        }
    }
}
