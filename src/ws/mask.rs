//! Masking (RFC 6455 §5.3), which is its own inverse.

use fearless_simd::{Level, dispatch};

/// What the payload of a client's frame is combined with, so that no one who chooses the payload
/// chooses the bytes on the wire (RFC 6455 §10.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MaskKey(pub [u8; 4]);

impl MaskKey {
    /// The key for a part of a payload that starts `position` bytes in.
    const fn rotated(self, position: usize) -> Self {
        let [a, b, c, d] = self.0;
        Self(match position % 4 {
            0 => [a, b, c, d],
            1 => [b, c, d, a],
            2 => [c, d, a, b],
            _ => [d, a, b, c],
        })
    }
}

/// From this length on, wider vectors gain more than it costs to choose them.
const WIDE_LEN_MIN: usize = 512;

/// Applies `key` to the part of a payload that starts `position` bytes in.
///
/// Masking and unmasking are the same operation, so this serves both sides.
#[inline]
pub fn unmask(part: &mut [u8], key: MaskKey, position: usize) {
    let key = key.rotated(position);
    if part.len() < WIDE_LEN_MIN { apply(part, key) } else { apply_wide(part, key) }
}

/// Applies `key` by words; since none depends on another, the compiler makes vectors of them.
#[allow(clippy::inline_always)] // vectors are as wide as those of the function it is part of
#[inline(always)]
fn apply(part: &mut [u8], MaskKey([a, b, c, d]): MaskKey) {
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = part.as_chunks_mut();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key;
    }
}

/// The same with the widest vectors of the processor it runs on.
fn apply_wide(part: &mut [u8], key: MaskKey) {
    dispatch!(Level::new(), _simd => apply(part, key));
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MaskKey = MaskKey([0x37, 0xFA, 0x21, 0x3D]);

    /// Word for word as in RFC 6455 §5.3.
    fn oracle(part: &mut [u8], MaskKey(key): MaskKey, position: usize) {
        for (index, byte) in part.iter_mut().enumerate() {
            *byte ^= key[(position + index) % 4];
        }
    }

    #[test]
    fn unmask_agrees_with_the_oracle_at_every_length_and_position() {
        let lens = (0..=131).chain(WIDE_LEN_MIN - 1..WIDE_LEN_MIN + 131);
        for len in lens {
            for position in 0..8 {
                let mut fast: Vec<u8> = (0..u8::MAX).cycle().take(len).collect();
                let mut slow = fast.clone();
                unmask(&mut fast, KEY, position);
                oracle(&mut slow, KEY, position);
                assert_eq!(fast, slow, "len {len}, position {position}");
            }
        }
    }

    #[test]
    fn a_payload_may_be_unmasked_in_pieces_cut_anywhere() {
        let payload: Vec<u8> = (0..100).collect();
        for cut in 0..=payload.len() {
            let mut masked = payload.clone();
            oracle(&mut masked, KEY, 0);
            let (front, back) = masked.split_at_mut(cut);
            unmask(front, KEY, 0);
            unmask(back, KEY, cut);
            assert_eq!(masked, payload, "cut at {cut}");
        }
    }

    #[test]
    fn the_example_of_the_rfc_holds() {
        let mut hello = *b"\x7F\x9F\x4D\x51\x58";
        unmask(&mut hello, KEY, 0);
        assert_eq!(&hello, b"Hello");
    }

    #[test]
    fn a_key_of_zeros_changes_nothing() {
        let mut bytes = *b"0123456789";
        unmask(&mut bytes, MaskKey([0; 4]), 3);
        assert_eq!(&bytes, b"0123456789");
    }
}
