//! What is sent, deflated where that makes it shorter.

use flate2::{Compress, Compression, FlushCompress};

use super::inflater::ZLIB_BITS_MIN;
use super::{Context, TAIL};

/// How hard zlib looks for what repeats, from 1 to 9. On JSON this comes within a hundredth of the
/// best there is, and level 6, which is the usual one, takes nearly twice as long for 16 KiB.
const LEVEL: u32 = 4;

/// What a deflater keeps of the memory of a large message.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Deflates messages for one peer, or for all peers with the same window that keep no context.
#[derive(Debug)]
pub struct Deflater {
    stream: Compress,
    takeover: bool,
    out: Vec<u8>,
}

impl Deflater {
    /// Deflates so.
    ///
    /// zlib has no window of 2^8 bytes. But within its window of 2^9 it never points further back
    /// than 2^9 - 262 = 250 bytes, which the smaller one holds.
    pub fn new(context: Context) -> Self {
        let bits = context.window_bits.get().max(ZLIB_BITS_MIN);
        let stream = Compress::new_with_window_bits(Compression::new(LEVEL), false, bits);
        Self { stream, takeover: context.takeover, out: Vec::new() }
    }

    /// The payload as it is to be sent (RFC 7692 §7.2.1), or `None` if that were no shorter: then
    /// it is to be sent as it is.
    pub fn deflate(&mut self, payload: &[u8]) -> Option<&[u8]> {
        self.out.clear();
        self.out.shrink_to(KEPT_BYTES_MAX);
        // What needs more room than this is no shorter.
        self.out.reserve(payload.len() + TAIL.len());
        let before = self.stream.total_in();
        let outcome = self.stream.compress_vec(payload, &mut self.out, FlushCompress::Sync);
        let is_whole = outcome.is_ok()
            && self.stream.total_in() - before == payload.len() as u64
            && self.out.len() < self.out.capacity()
            && self.out.ends_with(&TAIL);
        self.out.truncate(self.out.len().saturating_sub(TAIL.len()));
        let is_shorter = is_whole && self.out.len() < payload.len();
        // A peer's window does not hold what it is sent as it is, so ours must not.
        if !self.takeover || !is_shorter {
            self.stream.reset();
        }
        is_shorter.then_some(&self.out)
    }

    /// Forgets the messages before: the peer has been sent one, deflated, that was not deflated
    /// here. Whatever is in its window, the next message will not point there.
    pub fn forget(&mut self) {
        self.stream.reset();
    }
}
