//! Messages out of bytes: the hot path of everything that arrives.
//!
//! ```text
//!   input -> whole frame, nothing before it unfinished?  yes -> borrowed, unmasked in place
//!                                                        no  -> Partial keeps what there is
//! ```
//!
//! Invariant: between messages a decoder owns nothing but its role.

use std::borrow::Cow;

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

impl Role {
    /// Refuses a frame that is not masked as the peer must mask it (RFC 6455 §5.1).
    #[inline]
    pub(super) fn check(self, header: &FrameHeader) -> Result<(), Fault> {
        match (self, header.mask) {
            (Self::Server, Some(_)) | (Self::Client, None) => Ok(()),
            (Self::Server, None) => Err(Fault::Unmasked),
            (Self::Client, Some(_)) => Err(Fault::Masked),
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

/// What a peer said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// A whole message of text.
    Text(Cow<'a, str>),
    /// A whole message of bytes.
    Binary(Cow<'a, [u8]>),
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
    role: Role,
    partial: Option<Box<Partial>>,
}

impl Decoder {
    /// A decoder of what the peer of `role` sends.
    pub const fn new(role: Role) -> Self {
        Self { role, partial: None }
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
        let Some((header, header_len)) = FrameHeader::decode(input.rest())? else {
            return Ok(None);
        };
        self.role.check(&header)?;
        let available = input.len() - header_len;
        let len = match usize::try_from(header.payload_len) {
            Ok(len) if header.fin && len <= available && len <= limits.message_bytes_max => len,
            _ => return Ok(None),
        };
        input.take(header_len);
        let payload = input.take(len);
        if let Some(key) = header.mask {
            unmask(payload, key, 0);
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
        let event = partial.next(self.role, input, limits)?;
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
