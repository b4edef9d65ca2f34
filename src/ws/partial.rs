//! What a decoder keeps while something is unfinished.
//!
//! Invariant: it holds at most twice the payload that has arrived, and nothing of what was only
//! declared.

use std::borrow::Cow;
use std::mem;

use super::decoder::Terms;
use super::deflate::Deflated;
use super::utf8::PartialText;
use super::{CloseFrame, Event, Fault, FrameHeader, Limits, Opcode, unmask};
use crate::base::Input;

/// A header, a frame or a message of which a part is missing.
#[derive(Debug, Default)]
pub(super) struct Partial {
    header: PartialHeader,
    frame: Option<PartialFrame>,
    /// The payload of a control frame, which may stand between the frames of a message.
    control: Vec<u8>,
    message: Option<PartialMessage>,
}

impl Partial {
    /// Takes from `input` until something is whole, or all has been taken.
    pub(super) fn next<'a>(
        &mut self,
        terms: Terms,
        input: &mut Input<'a>,
        limits: &Limits,
    ) -> Result<Option<Event<'a>>, Fault> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.header.next(terms, input)? {
                    Some(header) => self.begin(header, limits)?,
                    None => return Ok(None),
                },
            };
            self.store(frame.header.opcode, frame.take(input))?;
            if frame.missing > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(event) = self.end(&frame.header)? {
                return Ok(Some(event));
            }
        }
    }

    /// Whether nothing is missing.
    pub(super) fn is_finished(&self) -> bool {
        self.header.len == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// Admits a frame by its header, before any of its payload.
    fn begin(&mut self, header: FrameHeader, limits: &Limits) -> Result<PartialFrame, Fault> {
        let missing = usize::try_from(header.payload_len).map_err(|_| Fault::OversizedMessage)?;
        if !header.opcode.is_control() {
            let message = match (header.opcode, &mut self.message) {
                (Opcode::Continuation, Some(message)) => message,
                (Opcode::Continuation, None) => return Err(Fault::UnexpectedContinuation),
                (_, Some(_)) => return Err(Fault::InterruptedMessage),
                (_, none) => none.insert(PartialMessage::new(&header)),
            };
            message.admit(missing, limits)?;
        }
        Ok(PartialFrame { header, position: 0, missing })
    }

    fn store(&mut self, opcode: Opcode, piece: &[u8]) -> Result<(), Fault> {
        match &mut self.message {
            Some(message) if !opcode.is_control() => message.payload.push(piece),
            _ => {
                self.control.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// What is whole now that a frame has ended.
    fn end<'a>(&mut self, header: &FrameHeader) -> Result<Option<Event<'a>>, Fault> {
        Ok(match header.opcode {
            Opcode::Ping => Some(Event::Ping(Cow::Owned(mem::take(&mut self.control)))),
            Opcode::Pong => Some(Event::Pong(Cow::Owned(mem::take(&mut self.control)))),
            Opcode::Close => {
                let payload = mem::take(&mut self.control);
                Some(Event::Close(CloseFrame::parse(&payload)?.map(CloseFrame::into_owned)))
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary if !header.fin => None,
            _ => self.message.take().map(|message| message.payload.finish()).transpose()?,
        })
    }
}

/// A header of which some bytes are missing.
#[derive(Debug, Default)]
struct PartialHeader {
    bytes: [u8; FrameHeader::LEN_MAX],
    len: usize,
}

impl PartialHeader {
    /// Takes a header off `input`, or as much of it as there is.
    fn next(&mut self, terms: Terms, input: &mut Input<'_>) -> Result<Option<FrameHeader>, Fault> {
        let free = self.bytes.split_at_mut(self.len).1;
        let copied = free.len().min(input.len());
        for (slot, byte) in free.iter_mut().zip(input.rest()) {
            *slot = *byte;
        }
        let known = self.bytes.split_at(self.len + copied).0;
        let Some((header, header_len)) = terms.decode(known)? else {
            self.len += copied;
            input.take(copied);
            return Ok(None);
        };
        input.take(header_len - self.len);
        self.len = 0;
        Ok(Some(header))
    }
}

/// A frame of whose payload a part is missing.
#[derive(Debug)]
struct PartialFrame {
    header: FrameHeader,
    position: usize,
    missing: usize,
}

impl PartialFrame {
    /// Takes what `input` has of the payload, unmasked.
    fn take<'a>(&mut self, input: &mut Input<'a>) -> &'a [u8] {
        let piece = input.take(self.missing);
        if let Some(key) = self.header.mask {
            unmask(piece, key, self.position);
        }
        self.position += piece.len();
        self.missing -= piece.len();
        piece
    }
}

/// A message of which a part is missing.
#[derive(Debug)]
struct PartialMessage {
    payload: PartialPayload,
    fragments: u32,
}

impl PartialMessage {
    fn new(header: &FrameHeader) -> Self {
        let payload = match header.opcode {
            opcode if header.compressed => PartialPayload::Deflated(opcode, Vec::new()),
            Opcode::Text => PartialPayload::Text(PartialText::default()),
            _ => PartialPayload::Binary(Vec::new()),
        };
        Self { payload, fragments: 0 }
    }

    /// Refuses a frame of `len` bytes with which the message would pass its limits.
    fn admit(&mut self, len: usize, limits: &Limits) -> Result<(), Fault> {
        let bytes_max = limits.wire_bytes_max(self.payload.is_deflated());
        let room = bytes_max.saturating_sub(self.payload.len());
        if len > room {
            return Err(Fault::OversizedMessage);
        }
        if self.fragments >= limits.fragments_max {
            return Err(Fault::TooManyFragments);
        }
        self.fragments += 1;
        Ok(())
    }
}

/// The payload of a message as far as it has arrived.
#[derive(Debug)]
enum PartialPayload {
    Text(PartialText),
    Binary(Vec<u8>),
    /// As it arrived: an inflater of its own would cost each unfinished message far more.
    Deflated(Opcode, Vec<u8>),
}

impl PartialPayload {
    fn push(&mut self, piece: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Text(text) => text.push(piece),
            Self::Binary(bytes) | Self::Deflated(_, bytes) => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    fn finish<'a>(self) -> Result<Event<'a>, Fault> {
        Ok(match self {
            Self::Text(text) => Event::Text(Cow::Owned(text.finish()?)),
            Self::Binary(bytes) => Event::Binary(Cow::Owned(bytes)),
            Self::Deflated(opcode, bytes) => {
                Event::Deflated(Deflated { opcode, payload: Cow::Owned(bytes) })
            }
        })
    }

    const fn is_deflated(&self) -> bool {
        matches!(self, Self::Deflated(..))
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Deflated(_, bytes) => bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    const LIMITS: Limits = Limits { message_bytes_max: usize::MAX, fragments_max: u32::MAX };

    fn feed(partial: &mut Partial, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let event = partial.next(Terms::new(Role::Client), &mut Input::new(&mut bytes), &LIMITS);
        assert_eq!(event, Ok(None));
    }

    #[test]
    fn a_declared_length_costs_nothing_before_it_arrives() {
        for opcode in [0x01, 0x02] {
            let mut partial = Partial::default();
            feed(&mut partial, &[opcode, 127, 0, 0, 1, 0, 0, 0, 0, 0, b'x']);
            let payload = partial.message.unwrap().payload;
            let capacity = match payload {
                PartialPayload::Text(text) => text.finish().unwrap().capacity(),
                PartialPayload::Binary(bytes) | PartialPayload::Deflated(_, bytes) => {
                    bytes.capacity()
                }
            };
            assert!(capacity <= 8, "{capacity}");
        }
    }

    #[test]
    fn memory_stays_below_twice_what_has_arrived() {
        let mut partial = Partial::default();
        feed(&mut partial, b"\x02\x01x");
        for len in 2..=2_000 {
            feed(&mut partial, b"\x00\x01x");
            let Some(PartialMessage { payload: PartialPayload::Binary(bytes), fragments }) =
                &partial.message
            else {
                panic!("a message of bytes is unfinished")
            };
            assert_eq!((bytes.len(), *fragments), (len, u32::try_from(len).unwrap()));
            assert!(bytes.capacity() <= (2 * len).max(8), "{} for {len}", bytes.capacity());
        }
    }
}
