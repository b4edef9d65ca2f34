//! What each fuzz target does with its input: no more than must not fail, whatever the bytes.
//!
//! A target is a function from bytes to nothing that panics where something is wrong: where two
//! ways to the same answer differ, where the slow reading of an RFC says something else, where
//! something was made up. `tests/fuzz/run` lets libFuzzer choose the bytes; `cargo test --test
//! fuzz` replays those that it has found to be different from each other.

pub mod close_payload;
pub mod config_file;
pub mod deflate_params;
pub mod forwarded_for;
pub mod frame_header;
pub mod frame_stream;
pub mod http_head;
pub mod inflate;
pub mod proxy_preamble;
pub mod tls_records;
pub mod unmask;
pub mod upgrade;
pub mod utf8;

/// Decisions out of the front of an input; none left is as good as zeros.
pub(crate) struct Told<'b>(&'b [u8]);

impl<'b> Told<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub(crate) const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A small number.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// Up to `len` bytes as they are.
    pub(crate) fn take(&mut self, len: usize) -> &'b [u8] {
        let (front, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        front
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'b [u8] {
        self.take(usize::MAX)
    }
}

/// `bytes` in pieces whose lengths are `lens`, over and over; none is empty.
pub(crate) fn pieces<'b>(bytes: &'b [u8], lens: &[u8]) -> Vec<&'b [u8]> {
    let mut lens = lens.iter().cycle();
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let len = lens.next().map_or(usize::MAX, |len| usize::from(*len) + 1);
        let (piece, after) = rest.split_at(len.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
