//! Messages out of bytes: the hot path of everything that arrives.
//!
//! ```text
//!   input -> whole frame, nothing before it unfinished?  yes -> borrowed, unmasked in place
//!                                                        no  -> Partial keeps what there is
//! ```
//!
//! A deflated message is given as it arrived: whoever has an inflater inflates it.
//!
//! Invariant: between messages a decoder owns nothing but its role and what was agreed on.

use std::borrow::Cow;

use super::deflate::{Agreement, Deflated};
use super::partial::Partial;
use super::{CloseFrame, Fault, FrameHeader, Opcode, unmask, utf8};
use crate::base::Input;

/// Which side of the connection we are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The peer masks its frames, we do not.
    Server,
    /// We mask our frames, the peer does not.
    Client,
}

/// What a peer's frames must keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    role: Role,
    deflate: Option<Agreement>,
}

impl Terms {
    pub(super) const fn new(role: Role) -> Self {
        Self { role, deflate: None }
    }

    /// Reads a header from the front of `bytes`, as [`FrameHeader::decode`] does. Refuses a frame
    /// that is deflated without an agreement, or that is not masked as the peer must mask it
    /// (RFC 6455 §5.1 and §5.2).
    #[inline]
    pub(super) fn decode(self, bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, Fault> {
        if self.deflate.is_none() && FrameHeader::is_compressed(bytes) {
            return Err(Fault::ReservedBits);
        }
        let Some((header, header_len)) = FrameHeader::decode(bytes)? else { return Ok(None) };
        match (self.role, header.mask) {
            (Role::Server, Some(_)) | (Role::Client, None) => Ok(Some((header, header_len))),
            (Role::Server, None) => Err(Fault::Unmasked),
            (Role::Client, Some(_)) => Err(Fault::Masked),
        }
    }
}

/// How large a message may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of payload over all its frames.
    pub message_bytes_max: usize,
    /// Frames, empty ones included.
    pub fragments_max: u32,
}

impl Limits {
    /// Bytes of payload as it arrives. What cannot be deflated grows by an eighth at worst: nine
    /// bits a byte, and a few for a block (RFC 1951 §3.2.6).
    #[inline]
    pub(super) const fn wire_bytes_max(&self, compressed: bool) -> usize {
        let growth = if compressed { self.message_bytes_max / 8 + 64 } else { 0 };
        self.message_bytes_max.saturating_add(growth)
    }
}

/// What a peer said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// A whole message of text.
    Text(Cow<'a, str>),
    /// A whole message of bytes.
    Binary(Cow<'a, [u8]>),
    /// A whole message that an [`Inflater`](super::deflate::Inflater) makes one of the two.
    Deflated(Deflated<'a>),
    /// To be answered by a pong with the same payload.
    Ping(Cow<'a, [u8]>),
    /// Answers a ping, or stands for itself.
    Pong(Cow<'a, [u8]>),
    /// The peer will send nothing more.
    Close(Option<CloseFrame<'a>>),
}

/// Reads the frames of one peer, however they are cut.
#[derive(Debug)]
pub struct Decoder {
    terms: Terms,
    partial: Option<Box<Partial>>,
}

impl Decoder {
    /// A decoder of what the peer of `role` sends.
    pub const fn new(role: Role) -> Self {
        Self { terms: Terms::new(role), partial: None }
    }

    /// The same after both sides have agreed on permessage-deflate, if they have.
    pub const fn with_deflate(mut self, agreement: Option<Agreement>) -> Self {
        self.terms.deflate = agreement;
        self
    }

    /// What both sides have agreed on about deflating.
    #[inline]
    pub const fn deflate(&self) -> Option<Agreement> {
        self.terms.deflate
    }

    /// The next event, or `None` when all of `input` has been taken and more is needed.
    ///
    /// What came whole is borrowed from `input`, where it was unmasked in place; what came in
    /// pieces is owned. After a fault the decoder is of no more use.
    #[inline]
    pub fn next<'a>(
        &mut self,
        input: &mut Input<'a>,
        limits: &Limits,
    ) -> Result<Option<Event<'a>>, Fault> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.partial.is_none()
            && let Some(event) = self.whole(input, limits)?
        {
            return Ok(Some(event));
        }
        self.resume(input, limits)
    }

    /// Whether something has begun that has not ended: a header, a frame or a message.
    pub const fn is_amid_message(&self) -> bool {
        self.partial.is_some()
    }

    /// What the frame says that `input` begins with, if it lies there whole and stands for itself.
    #[inline]
    fn whole<'a>(
        &self,
        input: &mut Input<'a>,
        limits: &Limits,
    ) -> Result<Option<Event<'a>>, Fault> {
        let Some((header, header_len)) = self.terms.decode(input.rest())? else {
            return Ok(None);
        };
        let available = input.len() - header_len;
        let bytes_max = limits.wire_bytes_max(header.compressed);
        let len = match usize::try_from(header.payload_len) {
            Ok(len) if header.fin && len <= available && len <= bytes_max => len,
            _ => return Ok(None),
        };
        input.take(header_len);
        let payload = input.take(len);
        if let Some(key) = header.mask {
            unmask(payload, key, 0);
        }
        if header.compressed {
            let payload = Cow::Borrowed(&*payload);
            return Ok(Some(Event::Deflated(Deflated { opcode: header.opcode, payload })));
        }
        Event::borrowed(header.opcode, payload).map(Some)
    }

    #[cold]
    fn resume<'a>(
        &mut self,
        input: &mut Input<'a>,
        limits: &Limits,
    ) -> Result<Option<Event<'a>>, Fault> {
        let partial = self.partial.get_or_insert_default();
        let event = partial.next(self.terms, input, limits)?;
        if partial.is_finished() {
            self.partial = None;
        }
        Ok(event)
    }
}

impl<'a> Event<'a> {
    /// What a whole frame says while no message is unfinished.
    #[inline]
    fn borrowed(opcode: Opcode, payload: &'a [u8]) -> Result<Self, Fault> {
        Ok(match opcode {
            Opcode::Text => Event::Text(Cow::Borrowed(utf8::check(payload)?)),
            Opcode::Binary => Event::Binary(Cow::Borrowed(payload)),
            Opcode::Ping => Event::Ping(Cow::Borrowed(payload)),
            Opcode::Pong => Event::Pong(Cow::Borrowed(payload)),
            Opcode::Close => Event::Close(CloseFrame::parse(payload)?),
            Opcode::Continuation => return Err(Fault::UnexpectedContinuation),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CloseCode, MaskKey, encoder};
    use super::*;

    const KEY: MaskKey = MaskKey([0x37, 0xFA, 0x21, 0x3D]);
    const LIMITS: Limits = Limits { message_bytes_max: 100_000, fragments_max: 4 };

    /// A frame as a client sends it.
    fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encoder::encode_masked(&mut bytes, opcode, payload, KEY);
        bytes[0] &= if fin { 0xFF } else { 0x7F };
        bytes
    }

    /// What a server makes of `pieces`: the events in words, and the fault that ended them.
    fn decode(pieces: &[&[u8]]) -> (Vec<String>, Option<Fault>) {
        let (mut decoder, mut events) = (Decoder::new(Role::Server), Vec::new());
        for piece in pieces {
            let mut piece = piece.to_vec();
            let mut input = Input::new(&mut piece);
            loop {
                match decoder.next(&mut input, &LIMITS) {
                    Ok(Some(event)) => events.push(format!("{event:?}")),
                    Ok(None) => break,
                    Err(fault) => return (events, Some(fault)),
                }
            }
            assert!(input.is_empty(), "a decoder takes all it is given");
        }
        (events, None)
    }

    fn conversation() -> Vec<u8> {
        [
            frame(true, Opcode::Text, "Grüße".as_bytes()),
            frame(true, Opcode::Binary, b""),
            frame(false, Opcode::Text, &"€".as_bytes()[..2]),
            frame(true, Opcode::Ping, b"alive?"),
            frame(false, Opcode::Continuation, b""),
            frame(true, Opcode::Continuation, &"€".as_bytes()[2..]),
            frame(true, Opcode::Binary, &[7; 130]),
            frame(true, Opcode::Pong, b""),
            frame(false, Opcode::Binary, b"ab"),
            frame(true, Opcode::Continuation, b"c"),
            frame(true, Opcode::Close, b"\x03\xE8bye"),
        ]
        .concat()
    }

    #[test]
    fn an_idle_decoder_is_two_words() {
        assert_eq!(size_of::<Decoder>(), 16);
    }

    #[test]
    fn a_conversation_means_the_same_at_every_split() {
        let bytes = conversation();
        let whole = decode(&[&bytes]);
        let close = CloseFrame { code: CloseCode::NORMAL, reason: "bye".into() };
        let expected = [
            Event::Text("Grüße".into()),
            Event::Binary(Cow::default()),
            Event::Ping(b"alive?".into()),
            Event::Text("€".into()),
            Event::Binary(vec![7; 130].into()),
            Event::Pong(Cow::default()),
            Event::Binary(b"abc".into()),
            Event::Close(Some(close)),
        ];
        assert_eq!(whole, (expected.map(|event| format!("{event:?}")).to_vec(), None));
        for cut in 0..=bytes.len() {
            assert_eq!(decode(&[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decode(&single), whole);
    }

    #[test]
    fn lengths_of_every_form_survive_every_way_of_cutting() {
        for len in [0, 1, 125, 126, 127, 128, 65_535, 65_536] {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            let bytes = frame(true, Opcode::Binary, &payload);
            let expected = (vec![format!("{:?}", Event::Binary(payload.into()))], None);
            for piece_len in [bytes.len(), 1, 3, 1460] {
                let pieces: Vec<&[u8]> = bytes.chunks(piece_len).collect();
                assert_eq!(decode(&pieces), expected, "{len} in pieces of {piece_len}");
            }
        }
    }

    #[test]
    fn what_comes_whole_is_not_copied() {
        let mut bytes = frame(true, Opcode::Text, b"here");
        let range = bytes.as_ptr_range();
        let mut input = Input::new(&mut bytes);
        let event = Decoder::new(Role::Server).next(&mut input, &LIMITS);
        let Ok(Some(Event::Text(Cow::Borrowed(text)))) = event else { panic!("{event:?}") };
        assert!(range.contains(&text.as_ptr()));
    }

    #[test]
    fn a_breach_is_the_same_fault_at_every_split() {
        let open = frame(false, Opcode::Text, b"a");
        let unmasked = [0x81, 0x01, b'a'];
        let table = [
            (unmasked.to_vec(), Fault::Unmasked),
            ([&open[..], &unmasked].concat(), Fault::Unmasked),
            (frame(true, Opcode::Continuation, b"a"), Fault::UnexpectedContinuation),
            (frame(false, Opcode::Continuation, b"a"), Fault::UnexpectedContinuation),
            ([&open[..], &open].concat(), Fault::InterruptedMessage),
            ([open, frame(true, Opcode::Binary, b"")].concat(), Fault::InterruptedMessage),
            (frame(false, Opcode::Ping, b""), Fault::FragmentedControl),
            (frame(true, Opcode::Close, b"\x03"), Fault::TruncatedCloseCode),
            (frame(true, Opcode::Close, b"\x03\xEE"), Fault::ReservedCloseCode),
            (frame(true, Opcode::Close, b"\x03\xE8\xFF"), Fault::InvalidUtf8),
            (frame(true, Opcode::Text, b"a\xFFb"), Fault::InvalidUtf8),
            (frame(true, Opcode::Text, b"a\xC3"), Fault::InvalidUtf8),
            (b"\xC1\x80\0\0\0\0".to_vec(), Fault::ReservedBits),
            (b"\x83\x80\0\0\0\0".to_vec(), Fault::ReservedOpcode),
            (b"\x81\xFE\x00\x01\0\0\0\0a".to_vec(), Fault::NonMinimalLength),
            (b"\x82\xFF\xFF\0\0\0\0\0\0\0\0\0\0\0".to_vec(), Fault::NegativeLength),
        ];
        let before = frame(true, Opcode::Ping, b"before");
        for (breach, fault) in table {
            let bytes = [&before[..], &breach].concat();
            for cut in 0..=bytes.len() {
                let (events, found) = decode(&[&bytes[..cut], &bytes[cut..]]);
                assert_eq!((events.len(), found), (1, Some(fault)), "{breach:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_client_refuses_a_masked_frame() {
        let mut decoder = Decoder::new(Role::Client);
        let mut bytes = frame(true, Opcode::Text, b"a");
        let event = decoder.next(&mut Input::new(&mut bytes), &LIMITS);
        assert_eq!(event, Err(Fault::Masked));
        let mut bytes = *b"\x81\x01a";
        let event = Decoder::new(Role::Client).next(&mut Input::new(&mut bytes), &LIMITS);
        assert_eq!(event, Ok(Some(Event::Text("a".into()))));
    }

    #[test]
    fn a_bad_byte_is_refused_before_its_frame_has_ended() {
        let bytes = frame(true, Opcode::Text, b"good\xF5 and more");
        let bad_at = bytes.len() - b"\xF5 and more".len();
        assert_eq!(decode(&[&bytes[..bad_at]]), (Vec::new(), None));
        assert_eq!(decode(&[&bytes[..=bad_at]]).1, Some(Fault::InvalidUtf8));
    }

    #[test]
    fn a_message_may_be_as_big_as_the_limit_and_no_bigger() {
        let max = LIMITS.message_bytes_max;
        let halves = |over| {
            let front = frame(false, Opcode::Binary, &vec![0; max / 2]);
            [front, frame(true, Opcode::Continuation, &vec![0; max / 2 + over])].concat()
        };
        assert_eq!(decode(&[&frame(true, Opcode::Binary, &vec![0; max])]).1, None);
        assert_eq!(decode(&[&halves(0)]).1, None);
        assert_eq!(decode(&[&halves(1)]).1, Some(Fault::OversizedMessage));
        let over = frame(true, Opcode::Binary, &vec![0; max + 1]);
        assert_eq!(decode(&[&over]).1, Some(Fault::OversizedMessage));
        assert_eq!(decode(&[&over[..FrameHeader::LEN_MAX]]).1, Some(Fault::OversizedMessage));
    }

    #[test]
    fn every_length_that_can_be_declared_is_refused_or_waited_for() {
        for shift in 0..64 {
            for len in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut header = vec![0x82, 0xFF];
                header.extend_from_slice(&len.to_be_bytes());
                header.extend_from_slice(&KEY.0);
                let expected = match len {
                    0..65_536 => Some(Fault::NonMinimalLength),
                    65_536..=100_000 => None,
                    _ if len >> 63 == 1 => Some(Fault::NegativeLength),
                    _ => Some(Fault::OversizedMessage),
                };
                assert_eq!(decode(&[&header, b"x"]).1, expected, "{len}");
            }
        }
    }

    #[test]
    fn empty_fragments_count() {
        let open = frame(false, Opcode::Binary, b"");
        let more = frame(false, Opcode::Continuation, b"");
        let last = frame(true, Opcode::Continuation, b"");
        let pings = frame(true, Opcode::Ping, b"").repeat(9);
        let most = [&open[..], &more, &pings, &more, &last].concat();
        assert_eq!(decode(&[&most]).1, None);
        let over = [open, more.repeat(4)].concat();
        assert_eq!(decode(&[&over]).1, Some(Fault::TooManyFragments));
        assert_eq!(Fault::TooManyFragments.close_code(), CloseCode::POLICY);
    }

    #[test]
    fn a_decoder_knows_whether_something_is_unfinished() {
        let bytes = conversation();
        let mut ends = Vec::new();
        let mut decoder = Decoder::new(Role::Server);
        for (byte, len) in bytes.iter().zip(1..) {
            let mut byte = [*byte];
            let _ = decoder.next(&mut Input::new(&mut byte), &LIMITS).unwrap();
            if !decoder.is_amid_message() {
                ends.push(len);
            }
        }
        let lens = [13, 6, 8 + 12 + 6 + 7, 138, 6, 8 + 7, 11];
        let expected: Vec<usize> = lens
            .iter()
            .scan(0, |end, len| {
                *end += len;
                Some(*end)
            })
            .collect();
        assert_eq!(ends, expected);
    }
}
