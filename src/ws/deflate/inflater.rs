//! Messages out of what a peer deflated.

use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Context, TAIL};
use crate::ws::{Fault, Message, Opcode, utf8};

/// A last block without content: what follows a message that ended where blocks end.
const LAST: [u8; 5] = [0x01, 0x00, 0x00, 0xFF, 0xFF];

/// How many times the deflating of one message may end and begin anew. It need not do so at all;
/// each costs us more than its two bytes cost the peer.
const LAST_BLOCKS_MAX: u32 = 64;

/// What is set aside for a message before anything is known of it.
const FIRST_BYTES: usize = 4 * 1024;

/// What an inflater keeps of the memory of a large message.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// The smallest window that zlib has, which holds what was deflated with the smallest there is.
pub(super) const ZLIB_BITS_MIN: u8 = 9;

/// A message as it arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deflated<'a> {
    /// What it is: text or binary.
    pub opcode: Opcode,
    /// Its payload, without the tail.
    pub payload: Cow<'a, [u8]>,
}

/// Inflates the messages of one peer, or of all peers that keep no context, one after the other.
#[derive(Debug)]
pub struct Inflater {
    stream: Decompress,
    takeover: bool,
    out: Vec<u8>,
}

impl Inflater {
    /// Inflates what was deflated so.
    pub fn new(context: Context) -> Self {
        let bits = context.window_bits.get().max(ZLIB_BITS_MIN);
        let stream = Decompress::new_with_window_bits(false, bits);
        Self { stream, takeover: context.takeover, out: Vec::new() }
    }

    /// The message, if it is one and no longer than `message_bytes_max`. Whatever it would grow to,
    /// it costs no more memory than that.
    ///
    /// Where a context is kept, an inflater that has failed is of no more use.
    pub fn inflate(
        &mut self,
        message: &Deflated<'_>,
        message_bytes_max: usize,
    ) -> Result<Message<'_>, Fault> {
        self.out.clear();
        self.out.shrink_to(KEPT_BYTES_MAX);
        let inflated = self.run(&message.payload, message_bytes_max);
        if !self.takeover {
            self.stream.reset(false);
        }
        inflated?;
        Ok(match message.opcode {
            Opcode::Text => Message::Text(utf8::check(&self.out)?),
            _ => Message::Binary(&self.out),
        })
    }

    /// How many bytes of messages there is memory for.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.out.capacity()
    }

    fn run(&mut self, payload: &[u8], bytes_max: usize) -> Result<(), Fault> {
        let mut restarts = 0;
        let is_ended = self.feed(payload, bytes_max, &mut restarts)? == Status::StreamEnd;
        // A peer may end with a last block, and then needs no tail (RFC 7692 §7.2.3.4).
        if is_ended {
            return Ok(());
        }
        self.feed(&TAIL, bytes_max, &mut restarts)?;
        // Whether blocks end where the message does shows only in what one more would mean. A
        // context that is to be kept would not survive the question.
        if !self.takeover && self.feed(&LAST, bytes_max, &mut restarts)? != Status::StreamEnd {
            return Err(Fault::Deflate);
        }
        Ok(())
    }

    /// Inflates all of `bytes`. Tells whether a last block ended where they do.
    fn feed(
        &mut self,
        mut bytes: &[u8],
        bytes_max: usize,
        restarts: &mut u32,
    ) -> Result<Status, Fault> {
        loop {
            self.make_room(bytes_max);
            let before = self.stream.total_in();
            let status = self
                .stream
                .decompress_vec(bytes, &mut self.out, FlushDecompress::Sync)
                .map_err(|_| Fault::Deflate)?;
            let taken = usize::try_from(self.stream.total_in() - before).unwrap_or(usize::MAX);
            bytes = bytes.get(taken..).unwrap_or_default();
            if self.out.len() > bytes_max {
                return Err(Fault::OversizedMessage);
            }
            let has_room = self.out.len() < self.out.capacity();
            match status {
                Status::StreamEnd => {
                    *restarts += 1;
                    if *restarts > LAST_BLOCKS_MAX {
                        return Err(Fault::Deflate);
                    }
                    self.stream.reset(false);
                    if bytes.is_empty() {
                        return Ok(Status::StreamEnd);
                    }
                }
                Status::Ok | Status::BufError if bytes.is_empty() && has_room => {
                    return Ok(Status::Ok);
                }
                Status::BufError if taken == 0 && has_room => return Err(Fault::Deflate),
                Status::Ok | Status::BufError => {}
            }
        }
    }

    /// Makes room for at least one byte, twice as much as before, but for no more than one byte
    /// beyond the limit: that one tells that it was passed.
    fn make_room(&mut self, bytes_max: usize) {
        if self.out.len() == self.out.capacity() {
            let most = bytes_max.saturating_add(1).saturating_sub(self.out.len());
            self.out.reserve_exact(self.out.len().max(FIRST_BYTES).min(most));
        }
    }
}
