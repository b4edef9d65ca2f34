//! Frames out of payloads. Nothing we send is fragmented.

use super::close::CloseFrame;
use super::{CloseCode, EncodedHeader, FrameHeader, MaskKey, Opcode, unmask};

/// The header of an unmasked, unfragmented frame, to be joined with its payload.
#[inline]
pub fn header(opcode: Opcode, payload_len: usize) -> EncodedHeader {
    unmasked(opcode, false, payload_len)
}

/// The same for a payload that a [`Deflater`](super::deflate::Deflater) has made.
#[inline]
pub fn deflated_header(opcode: Opcode, payload_len: usize) -> EncodedHeader {
    unmasked(opcode, true, payload_len)
}

/// Appends a frame as a server sends it.
#[inline]
pub fn encode(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.extend_from_slice(header(opcode, payload.len()).as_slice());
    out.extend_from_slice(payload);
}

/// Appends a frame as a client sends it.
///
/// The key must be fresh for each frame and not to be foreseen (RFC 6455 §10.3).
#[inline]
pub fn encode_masked(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: MaskKey) {
    masked(out, opcode, false, payload, key);
}

/// The same for a payload that a [`Deflater`](super::deflate::Deflater) has made.
pub fn encode_masked_deflated(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: MaskKey) {
    masked(out, opcode, true, payload, key);
}

fn masked(out: &mut Vec<u8>, opcode: Opcode, compressed: bool, payload: &[u8], key: MaskKey) {
    let payload_len = payload.len() as u64;
    let header =
        FrameHeader { fin: true, compressed, opcode, mask: Some(key), payload_len }.encode();
    out.extend_from_slice(header.as_slice());
    let start = out.len();
    out.extend_from_slice(payload);
    unmask(out.split_at_mut(start).1, key, 0);
}

fn unmasked(opcode: Opcode, compressed: bool, payload_len: usize) -> EncodedHeader {
    let payload_len = payload_len as u64;
    FrameHeader { fin: true, compressed, opcode, mask: None, payload_len }.encode()
}

/// Appends a close frame as a server sends it.
pub fn encode_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    encode(out, Opcode::Close, &close_payload(code, reason));
}

/// The payload of a close frame; a reason that is too long is cut between two characters.
pub fn close_payload(code: CloseCode, reason: &str) -> Vec<u8> {
    let len_max = reason.len().min(CloseFrame::REASON_LEN_MAX);
    let len = (0..=len_max).rev().find(|len| reason.is_char_boundary(*len)).unwrap_or(0);
    [&code.get().to_be_bytes(), reason.as_bytes().split_at(len).0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 6455 §5.7.
    #[test]
    fn the_examples_of_the_rfc_hold() {
        let mut out = Vec::new();
        encode(&mut out, Opcode::Text, b"Hello");
        encode_masked(&mut out, Opcode::Text, b"Hello", MaskKey([0x37, 0xFA, 0x21, 0x3D]));
        encode(&mut out, Opcode::Ping, b"Hello");
        assert_eq!(out, b"\x81\x05Hello\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58\x89\x05Hello");
        assert_eq!(header(Opcode::Binary, 256).as_slice(), b"\x82\x7E\x01\x00");
        assert_eq!(deflated_header(Opcode::Text, 7).as_slice(), b"\xC1\x07");
        assert_eq!(header(Opcode::Binary, 65_536).as_slice(), b"\x82\x7F\0\0\0\0\0\x01\0\0");
    }

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let reason = "é".repeat(62);
        let payload = close_payload(CloseCode::NORMAL, &reason);
        let frame = CloseFrame::parse(&payload).unwrap().unwrap();
        assert_eq!((payload.len(), &*frame.reason), (124, &*"é".repeat(61)));
    }
}
