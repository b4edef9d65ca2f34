//! Masking: byte for byte what RFC 6455 §5.3 says, at every length, alignment and position, and
//! nothing beyond.

use corecast::ws::{MaskKey, unmask};

use super::Told;
use crate::rfc6455;

/// Four bytes are the key, one the position, one where the payload begins, one how often it is
/// repeated, so that long ones come about too.
pub fn run(bytes: &[u8]) {
    let mut told = Told::new(bytes);
    let key = [told.byte(), told.byte(), told.byte(), told.byte()];
    let position = usize::from(told.byte()).wrapping_mul(usize::MAX / 255);
    let start = told.below(64);
    let times = 1 + told.below(32);
    let payload = told.rest().repeat(times);
    let mut fast = vec![0xA5; start + payload.len() + 64];
    fast[start..start + payload.len()].copy_from_slice(&payload);
    let mut slow = fast.clone();
    unmask(&mut fast[start..start + payload.len()], MaskKey(key), position);
    // The position counts modulo four, wherever it overflows.
    rfc6455::unmask(&mut slow[start..start + payload.len()], key, position % 4);
    assert_eq!(fast, slow, "key {key:?}, position {position}, start {start}");
    unmask(&mut fast[start..start + payload.len()], MaskKey(key), position);
    assert_eq!(&fast[start..start + payload.len()], &payload, "twice is not at all");
}
