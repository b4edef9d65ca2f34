//! The header of a frame: as RFC 6455 has it, as tungstenite reads it, and the same after it has
//! been written again.

use std::io::Cursor;

use corecast::ws::{FrameHeader, MaskKey};

use crate::rfc6455;

pub fn run(bytes: &[u8]) {
    let ours = FrameHeader::decode(bytes);
    let theirs = rfc6455::header(bytes);
    let Ok(Some((header, len))) = ours else {
        assert_eq!(ours.map(|_| None), theirs.map(|header| header.map(drop)));
        return;
    };
    let read = rfc6455::Header {
        fin: header.fin,
        opcode: header.opcode,
        key: header.mask.map(|MaskKey(key)| key),
        payload_len: header.payload_len,
        len,
    };
    assert_eq!(theirs, Ok(Some(read)));
    assert_eq!(header.encode().as_slice(), &bytes[..len], "its shortest form is its only one");
    for cut in 0..len {
        assert_eq!(FrameHeader::decode(&bytes[..cut]), Ok(None), "cut at {cut}");
    }
    let stranger = tungstenite::protocol::frame::FrameHeader::parse(&mut Cursor::new(bytes));
    let (stranger, payload_len) = stranger.unwrap().expect("we had enough");
    assert_eq!(
        (stranger.is_final, u8::from(stranger.opcode), stranger.mask, payload_len),
        (read.fin, read.opcode as u8, read.key, read.payload_len)
    );
}
