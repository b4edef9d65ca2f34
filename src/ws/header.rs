//! The first bytes of a frame, both ways.
//!
//! ```text
//!   byte 0           byte 1           then                          then
//!   FIN RSV OPCODE   MASKED LENGTH7   0, 2 or 8 bytes of length     0 or 4 bytes of key
//!    1   3    4        1      7       (126)  (127)
//! ```

use super::{Fault, MaskKey, Opcode};

/// The longest payload of a control frame (RFC 6455 §5.5).
pub(super) const CONTROL_PAYLOAD_MAX: usize = 125;

const FIN: u8 = 0x80;
/// RSV1, which permessage-deflate gives a meaning (RFC 7692 §6).
const COMPRESSED: u8 = 0x40;
/// RSV2 and RSV3, which have none.
const RESERVED: u8 = 0x30;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;
const LEN_7: u8 = 0x7F;
/// What stands for a length in the next two bytes, and in the next eight.
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

/// What a frame is, how long, how masked (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameHeader {
    /// Whether the message ends with this frame.
    pub fin: bool,
    /// Whether the message that begins with this frame is deflated.
    pub compressed: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The key its payload is masked with.
    pub mask: Option<MaskKey>,
    /// Bytes of payload, below 2^63.
    pub payload_len: u64,
}

impl FrameHeader {
    /// The longest header: two bytes, eight of length, four of key.
    pub const LEN_MAX: usize = 14;

    /// Reads a header from the front of `bytes`, with the number of bytes it took.
    ///
    /// Returns `None` while too few have arrived. Nothing is consumed: ask again with more.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Fault> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(Fault::ReservedBits);
        }
        let opcode = Opcode::try_from(first & OPCODE)?;
        let fin = first & FIN != 0;
        let compressed = first & COMPRESSED != 0;
        if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Fault::ReservedBits);
        }
        if opcode.is_control() {
            check_control(fin, second & LEN_7)?;
        }
        let Some((payload_len, rest)) = decode_len(second & LEN_7, rest)? else { return Ok(None) };
        let (mask, rest) = match (second & MASKED, rest.split_first_chunk()) {
            (0, _) => (None, rest),
            (_, Some((key, rest))) => (Some(MaskKey(*key)), rest),
            (_, None) => return Ok(None),
        };
        let consumed = bytes.len() - rest.len();
        debug_assert!(consumed <= Self::LEN_MAX);
        Ok(Some((Self { fin, compressed, opcode, mask, payload_len }, consumed)))
    }

    /// Whether the header that `bytes` begin with says that a message is deflated, which is told
    /// as soon as anything is told of it.
    #[inline]
    pub(super) fn is_compressed(bytes: &[u8]) -> bool {
        matches!(bytes, [first, _, ..] if first & COMPRESSED != 0)
    }

    /// Writes the header in its shortest form.
    #[inline]
    pub fn encode(&self) -> EncodedHeader {
        debug_assert!(!self.opcode.is_control() || self.payload_len <= CONTROL_PAYLOAD_MAX as u64);
        let mut header = EncodedHeader { bytes: [0; Self::LEN_MAX], len: 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        let fin = if self.fin { FIN } else { 0 };
        let compressed = if self.compressed { COMPRESSED } else { 0 };
        header.push([self.opcode as u8 | fin | compressed]);
        match (u8::try_from(self.payload_len), u16::try_from(self.payload_len)) {
            (Ok(len @ ..126), _) => header.push([len | masked]),
            (_, Ok(len)) => {
                header.push([LEN_16 | masked]);
                header.push(len.to_be_bytes());
            }
            _ => {
                header.push([LEN_64 | masked]);
                header.push(self.payload_len.to_be_bytes());
            }
        }
        if let Some(MaskKey(key)) = self.mask {
            header.push(key);
        }
        header
    }
}

/// A control frame is whole and short (RFC 6455 §5.5).
fn check_control(fin: bool, len: u8) -> Result<(), Fault> {
    if !fin {
        return Err(Fault::FragmentedControl);
    }
    if usize::from(len) > CONTROL_PAYLOAD_MAX {
        return Err(Fault::OversizedControl);
    }
    Ok(())
}

/// Reads the length that `short` announces, with what follows it (RFC 6455 §5.2).
#[inline]
fn decode_len(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Fault> {
    let (len, rest, min) = match short {
        LEN_16 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*len)), rest, 126)
        }
        LEN_64 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*len), rest, 1 << 16)
        }
        _ => (u64::from(short), rest, 0),
    };
    if len < min {
        return Err(Fault::NonMinimalLength);
    }
    if len >> 63 != 0 {
        return Err(Fault::NegativeLength);
    }
    Ok(Some((len, rest)))
}

/// A header as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct EncodedHeader {
    bytes: [u8; FrameHeader::LEN_MAX],
    len: u8,
}

impl EncodedHeader {
    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.split_at(usize::from(self.len)).0
    }

    fn push<const LEN: usize>(&mut self, part: [u8; LEN]) {
        let free = self.bytes.split_at_mut(usize::from(self.len)).1;
        for (slot, byte) in free.iter_mut().zip(part) {
            *slot = byte;
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: MaskKey = MaskKey([1, 2, 3, 4]);

    #[test]
    fn a_header_survives_the_way_there_and_back_at_every_split() {
        let lens = [0, 1, 125, 126, 127, 128, 65_535, 65_536, (1 << 63) - 1];
        for payload_len in lens {
            for (opcode, mask) in [(Opcode::Text, Some(KEY)), (Opcode::Continuation, None)] {
                let fin = mask.is_some();
                let compressed = fin && payload_len % 2 == 0;
                let header = FrameHeader { fin, compressed, opcode, mask, payload_len };
                let encoded = header.encode();
                let bytes = encoded.as_slice();
                for cut in 0..bytes.len() {
                    assert_eq!(FrameHeader::decode(&bytes[..cut]), Ok(None), "cut at {cut}");
                }
                let longer = [bytes, b"rest"].concat();
                assert_eq!(FrameHeader::decode(&longer), Ok(Some((header, bytes.len()))));
            }
        }
    }

    #[test]
    fn a_length_takes_no_more_bytes_than_it_needs() {
        for (payload_len, len) in [(125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let (fin, compressed, opcode) = (true, false, Opcode::Binary);
            let header = FrameHeader { fin, compressed, opcode, mask: None, payload_len };
            assert_eq!(header.encode().as_slice().len(), len, "{payload_len}");
        }
    }

    #[test]
    fn a_header_that_breaks_a_rule_is_refused() {
        let table: [(&[u8], Fault); 16] = [
            (b"\xC0\x80", Fault::ReservedBits),
            (b"\xC8\x80", Fault::ReservedBits),
            (b"\xC9\x80", Fault::ReservedBits),
            (b"\xA1\x80", Fault::ReservedBits),
            (b"\x91\x80", Fault::ReservedBits),
            (b"\x83\x80", Fault::ReservedOpcode),
            (b"\x87\x80", Fault::ReservedOpcode),
            (b"\x8B\x80", Fault::ReservedOpcode),
            (b"\x8F\x80", Fault::ReservedOpcode),
            (b"\x09\x80", Fault::FragmentedControl),
            (b"\x89\xFE", Fault::OversizedControl),
            (b"\x88\xFF", Fault::OversizedControl),
            (b"\x82\xFE\x00\x7D", Fault::NonMinimalLength),
            (b"\x82\xFF\0\0\0\0\0\0\xFF\xFF", Fault::NonMinimalLength),
            (b"\x82\x7F\x80\0\0\0\0\0\0\0", Fault::NegativeLength),
            (b"\x82\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", Fault::NegativeLength),
        ];
        for (bytes, fault) in table {
            assert_eq!(FrameHeader::decode(bytes), Err(fault), "{bytes:?}");
            for cut in 0..bytes.len() {
                let early = FrameHeader::decode(&bytes[..cut]);
                assert!(early == Ok(None) || early == Err(fault), "{bytes:?} cut at {cut}");
            }
        }
    }
}
