//! Text that arrives in pieces.
//!
//! Invariant: no byte is accepted that could not be part of the text, and none is looked at twice
//! but those of a character that a piece ended in.

use super::Fault;

/// Collects the pieces of a text, each checked as it comes.
///
/// A piece may end within a character: its first bytes wait in `cut` for the others.
#[derive(Debug, Default)]
pub(super) struct PartialText {
    text: String,
    cut: [u8; 4],
    cut_len: u8,
}

impl PartialText {
    /// Adds a piece, or tells that no continuation can make this text valid (RFC 6455 §8.1).
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let rest = self.complete(piece)?;
        if rest.is_empty() {
            return Ok(());
        }
        let (whole, cut) = rest.split_at(rest.len() - cut_len(rest));
        self.text.push_str(check(whole)?);
        cut.iter().try_for_each(|byte| self.extend_cut(*byte))
    }

    /// The text, if it does not end within a character.
    pub(super) fn finish(self) -> Result<String, Fault> {
        if self.cut_len == 0 { Ok(self.text) } else { Err(Fault::InvalidUtf8) }
    }

    /// How many bytes have arrived.
    pub(super) fn len(&self) -> usize {
        self.text.len() + usize::from(self.cut_len)
    }

    /// Completes the character that was cut, and gives back what follows it.
    fn complete<'p>(&mut self, mut piece: &'p [u8]) -> Result<&'p [u8], Fault> {
        while self.cut_len > 0 {
            let [byte, rest @ ..] = piece else { break };
            self.extend_cut(*byte)?;
            piece = rest;
        }
        Ok(piece)
    }

    /// Adds a byte to the character that was cut, which it must be able to continue.
    fn extend_cut(&mut self, byte: u8) -> Result<(), Fault> {
        let slot = self.cut.get_mut(usize::from(self.cut_len)).ok_or(Fault::InvalidUtf8)?;
        *slot = byte;
        self.cut_len += 1;
        match str::from_utf8(self.cut.split_at(usize::from(self.cut_len)).0) {
            Ok(character) => {
                self.text.push_str(character);
                self.cut_len = 0;
            }
            Err(error) if error.error_len().is_none() => {}
            Err(_) => return Err(Fault::InvalidUtf8),
        }
        Ok(())
    }
}

/// The text that `bytes` are, which must not end within a character.
#[inline]
pub(super) fn check(bytes: &[u8]) -> Result<&str, Fault> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| Fault::InvalidUtf8)
}

/// How many bytes at the end of `bytes` begin a character that does not end there.
fn cut_len(bytes: &[u8]) -> usize {
    for (byte, len) in bytes.iter().rev().zip(1..=3) {
        let character_len = match byte {
            0x80..=0xBF => continue,
            0x00..=0x7F => 1,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
        };
        return if len < character_len { len } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `pieces` and tells after how many bytes the text was refused.
    fn refused_at(pieces: &[&[u8]]) -> Option<usize> {
        let mut text = PartialText::default();
        let mut fed = 0;
        for piece in pieces {
            fed += piece.len();
            if text.push(piece).is_err() {
                return Some(fed);
            }
        }
        text.finish().is_err().then_some(fed)
    }

    #[test]
    fn a_text_is_the_same_at_every_split_in_three() {
        let text = "aé€😀\u{10FFFF}\u{7FF}\u{800}\u{FFFF}z".repeat(2);
        let bytes = text.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut partial = PartialText::default();
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    partial.push(piece).unwrap();
                }
                assert_eq!(partial.len(), bytes.len());
                assert_eq!(partial.finish().as_deref(), Ok(&*text), "{first}, {second}");
            }
        }
    }

    #[test]
    fn the_first_byte_that_cannot_be_is_refused() {
        let table: [(&[u8], usize); 16] = [
            (b"a\x80", 2),
            (b"\xC0\x80", 1),
            (b"\xC1\xBF", 1),
            (b"\xC3a", 2),
            (b"\xE0\x9F\xBF", 2),
            (b"\xED\xA0\x80", 2),
            (b"\xE2\x82a", 3),
            (b"\xE2a", 2),
            (b"\xF0\x8F\xBF\xBF", 2),
            (b"\xF4\x90\x80\x80", 2),
            (b"\xF0\x9F\x98a", 4),
            (b"\xF5\x80\x80\x80", 1),
            (b"\xF8\x88\x80\x80\x80", 1),
            (b"\xFE", 1),
            (b"\xFF", 1),
            // Autobahn 6.4: fine up to a character beyond the last one.
            (b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80edited", 13),
        ];
        for (bytes, at) in table {
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(refused_at(&single), Some(at), "{bytes:?}");
            for cut in at..=bytes.len() {
                let pieces = [&bytes[..cut], &bytes[cut..]];
                assert_eq!(refused_at(&pieces), Some(cut), "{bytes:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_text_that_ends_within_a_character_is_no_text() {
        for bytes in [&b"\xC3"[..], b"a\xE2", b"\xE2\x82", b"\xF0\x9F\x98"] {
            assert_eq!(refused_at(&[bytes]), Some(bytes.len()), "{bytes:?}");
        }
    }

    #[test]
    fn pieces_are_judged_as_the_standard_library_judges_the_whole() {
        let mut rng = crate::base::Rng::new(6455);
        let alphabet = *b"a\x80\xBF\xC3\xE0\xA0\xE2\x82\xED\x9F\xF0\x90\xF4\x8F\xC0\xFF";
        let mut draw = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap();
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..draw(9)).map(|_| alphabet[draw(alphabet.len())]).collect();
            let cut = draw(bytes.len() + 1);
            let accepted = refused_at(&[&bytes[..cut], &bytes[cut..]]).is_none();
            assert_eq!(accepted, str::from_utf8(&bytes).is_ok(), "{bytes:?} cut at {cut}");
        }
    }
}
