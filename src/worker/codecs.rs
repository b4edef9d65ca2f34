//! What a core needs to deflate and to inflate (RFC 7692).
//!
//! ```text
//!   no context kept   one inflater and one deflater of each window for all connections of the core
//!   a context kept    an inflater and a deflater of the connection's own, up to a limit of those
//! ```
//!
//! Invariant: a connection that keeps no context owns nothing here, and nothing is made before it
//! is needed. So idle connections that may deflate cost what others cost.

use super::metrics::Metrics;
use crate::base::{Key, Map};
use crate::hub::Form;
use crate::ws::deflate::{Context, Deflated, Deflater, Inflater, WindowBits};
use crate::ws::{EncodedHeader, Fault, Message, Opcode, encoder};

/// The deflaters and inflaters of one core.
#[derive(Debug, Default)]
pub(super) struct Codecs {
    inflater: Option<Box<Inflater>>,
    /// By the size of their window; at most eight.
    deflaters: Vec<(WindowBits, Deflater)>,
    /// Of connections that keep a context.
    kept: Map<Key, Kept>,
}

/// What a connection keeps from message to message, as soon as it has sent or received one.
#[derive(Debug, Default)]
struct Kept {
    inflater: Option<Box<Inflater>>,
    deflater: Option<Box<Deflater>>,
}

/// A payload as it is to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded<'a> {
    pub(super) header: EncodedHeader,
    pub(super) payload: &'a [u8],
}

impl<'a> Encoded<'a> {
    /// As it is.
    pub(super) fn plain(opcode: Opcode, payload: &'a [u8]) -> Self {
        Self { header: encoder::header(opcode, payload.len()), payload }
    }

    fn deflated(opcode: Opcode, payload: &'a [u8]) -> Self {
        Self { header: encoder::deflated_header(opcode, payload.len()), payload }
    }

    /// The whole frame, to be joined.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [self.header.as_slice(), self.payload]
    }
}

impl Codecs {
    /// Sets a place aside for the context that `key` will keep.
    pub(super) fn keep(&mut self, key: Key, metrics: &Metrics) {
        if self.kept.insert(key, Kept::default()).is_none() {
            metrics.deflate_contexts.add(1);
        }
    }

    /// How many connections keep a context.
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Frees what `key` has kept, if it has.
    pub(super) fn remove(&mut self, key: Key, metrics: &Metrics) {
        if self.kept.remove(&key).is_some() {
            metrics.deflate_contexts.sub(1);
        }
    }

    /// The peer of `key` has been sent a message that others were sent too.
    pub(super) fn forget(&mut self, key: Key) {
        if let Some(Kept { deflater: Some(deflater), .. }) = self.kept.get_mut(&key) {
            deflater.forget();
        }
    }

    /// A frame for `key`, deflated as `context` says if that makes it shorter.
    pub(super) fn encode<'a>(
        &'a mut self,
        key: Key,
        context: Context,
        (opcode, payload): (Opcode, &'a [u8]),
        metrics: &Metrics,
    ) -> Encoded<'a> {
        let deflater = match self.kept.get_mut(&key) {
            Some(kept) if context.takeover => {
                kept.deflater.get_or_insert_with(|| Box::new(Deflater::new(context)))
            }
            _ => shared(&mut self.deflaters, context.window_bits),
        };
        deflate(deflater, opcode, payload, metrics)
            .unwrap_or_else(|| Encoded::plain(opcode, payload))
    }

    /// A frame for everybody who has agreed to a window of that size, unless it were no shorter
    /// than the plain one.
    pub(super) fn encode_shared<'a>(
        &'a mut self,
        window_bits: WindowBits,
        (opcode, payload): (Opcode, &'a [u8]),
        metrics: &Metrics,
    ) -> Option<Encoded<'a>> {
        deflate(shared(&mut self.deflaters, window_bits), opcode, payload, metrics)
    }

    /// Takes what inflates the messages of `key`, to be [put back](Self::put_inflater) afterwards.
    pub(super) fn take_inflater(&mut self, key: Key, context: Context) -> Box<Inflater> {
        let found = match self.kept.get_mut(&key) {
            Some(kept) if context.takeover => kept.inflater.take(),
            _ => self.inflater.take(),
        };
        found.unwrap_or_else(|| Box::new(Inflater::new(inflating(context))))
    }

    /// Puts back what inflated a message of `key`, who may have gone.
    pub(super) fn put_inflater(&mut self, key: Key, context: Context, inflater: Box<Inflater>) {
        if !context.takeover {
            self.inflater = Some(inflater);
        } else if let Some(kept) = self.kept.get_mut(&key) {
            kept.inflater = Some(inflater);
        }
    }
}

/// The deflater with that window that serves all who keep no context.
fn shared(deflaters: &mut Vec<(WindowBits, Deflater)>, window_bits: WindowBits) -> &mut Deflater {
    let found = deflaters.iter().position(|(bits, _)| *bits == window_bits);
    let index = found.unwrap_or_else(|| {
        deflaters.push((window_bits, Deflater::new(Context { window_bits, takeover: false })));
        deflaters.len() - 1
    });
    let (_, deflater) = deflaters.get_mut(index).expect("found or made just now");
    deflater
}

/// How messages of a peer with that `context` are inflated: one inflater for all who keep none has
/// the largest window, which holds the others.
fn inflating(context: Context) -> Context {
    let window_bits = if context.takeover { context.window_bits } else { WindowBits::MAX };
    Context { window_bits, ..context }
}

fn deflate<'a>(
    deflater: &'a mut Deflater,
    opcode: Opcode,
    payload: &'a [u8],
    metrics: &Metrics,
) -> Option<Encoded<'a>> {
    let shorter = deflater.deflate(payload);
    let len = shorter.map_or(payload.len(), <[u8]>::len);
    metrics.deflate_in_bytes_total.add(payload.len() as u64);
    metrics.deflate_out_bytes_total.add(len as u64);
    shorter.map(|shorter| Encoded::deflated(opcode, shorter))
}

/// Inflates a message of up to `bytes_max` bytes.
pub(super) fn inflate<'i>(
    inflater: &'i mut Inflater,
    message: &Deflated<'_>,
    bytes_max: usize,
    metrics: &Metrics,
) -> Result<Message<'i>, Fault> {
    metrics.inflate_in_bytes_total.add(message.payload.len() as u64);
    let message = inflater.inflate(message, bytes_max)?;
    metrics.inflate_out_bytes_total.add(message.payload().len() as u64);
    Ok(message)
}

/// The form of a publication for those with that window, and the reverse.
pub(super) const fn form(window_bits: WindowBits) -> Form {
    Form(window_bits.get())
}

/// Where connections with that window are counted.
pub(super) fn place(window_bits: WindowBits) -> usize {
    usize::from(window_bits.get() - WindowBits::MIN.get())
}
