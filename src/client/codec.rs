//! What a client needs to deflate what it says and to inflate what it hears (RFC 7692).

use crate::ws::deflate::{Agreement, Deflated, Deflater, Inflater};
use crate::ws::{Fault, Message};

/// Deflates and inflates as both sides have agreed, with a context of its own in each direction.
pub(super) struct Codec {
    pub(super) agreement: Agreement,
    deflater: Deflater,
    inflater: Inflater,
}

impl Codec {
    pub(super) fn new(agreement: Agreement) -> Self {
        let deflater = Deflater::new(agreement.client());
        Self { agreement, deflater, inflater: Inflater::new(agreement.server()) }
    }

    /// What is to be sent for `payload`, or nothing if that were no shorter.
    pub(super) fn deflate(&mut self, payload: &[u8]) -> Option<&[u8]> {
        self.deflater.deflate(payload)
    }

    /// The message, which may have up to `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn inflate(
        &mut self,
        message: &Deflated<'_>,
        bytes_max: usize,
    ) -> Result<Message<'_>, Fault> {
        self.inflater.inflate(message, bytes_max)
    }
}
