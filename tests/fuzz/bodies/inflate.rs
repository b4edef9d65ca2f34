//! Deflated messages: what RFC 1951 makes of them, never more than is allowed; one peer's nonsense
//! is no other's, though one inflater serves both; and what we deflate comes back.

use std::borrow::Cow;

use corecast::ws::deflate::{Context, Deflated, Deflater, Inflater, WindowBits};
use corecast::ws::{Fault, Opcode};

use super::Told;
use crate::rfc1951;

/// What every message ends with and nobody sends (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// "Hello" (RFC 7692 §7.2.3.1).
const HELLO: [u8; 7] = *b"\xF2\x48\xCD\xC9\xC9\x07\x00";

/// One byte is the window and whether it is kept, two how long a message may be.
pub fn run(bytes: &[u8]) {
    let mut told = Told::new(bytes);
    let first = told.byte();
    let window_bits = WindowBits::new(8 + first % 8).expect("8 to 15");
    let bytes_max = usize::from(told.byte()) << 8 | usize::from(told.byte());
    let rest = told.rest();
    read(rest, bytes_max);
    come_back(rest, Context { window_bits, takeover: first & 0x80 != 0 });
}

fn message(payload: &[u8]) -> Deflated<'_> {
    Deflated { opcode: Opcode::Binary, payload: Cow::Borrowed(payload) }
}

fn read(payload: &[u8], bytes_max: usize) {
    let context = Context { window_bits: WindowBits::MAX, takeover: false };
    let mut shared = Inflater::new(context);
    let inflated = shared.inflate(&message(payload), bytes_max);
    let inflated = inflated.map(|message| message.payload().to_vec());
    let slow = rfc1951::inflate(b"", &[payload, &TAIL].concat())
        .or_else(|| rfc1951::inflate(b"", payload))
        .map(|slow| slow.bytes);
    match &inflated {
        Ok(bytes) => {
            assert!(bytes.len() <= bytes_max, "{} of {bytes_max}", bytes.len());
            assert_eq!(slow.as_ref(), Some(bytes));
        }
        Err(Fault::OversizedMessage) => {
            assert!(slow.is_none_or(|slow| slow.len() > bytes_max), "it would have fitted");
        }
        Err(fault) => assert_eq!(*fault, Fault::Deflate),
    }
    let hello = shared.inflate(&message(&HELLO), 5).expect("it is another's");
    assert_eq!(hello.payload(), b"Hello");
}

/// What we deflate twice is inflated twice, with the window agreed on and no larger one.
fn come_back(payload: &[u8], context: Context) {
    let (mut ours, mut theirs) = (Deflater::new(context), Inflater::new(context));
    for _ in 0..2 {
        let Some(shorter) = ours.deflate(payload) else {
            ours.forget();
            continue;
        };
        assert!(shorter.len() < payload.len());
        let message = theirs.inflate(&message(shorter), payload.len()).unwrap();
        assert_eq!(message.payload(), payload);
    }
}
