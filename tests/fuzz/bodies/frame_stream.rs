//! Frames in any number of pieces: the events and the fault that RFC 6455 has for them, however
//! they are cut.

use corecast::base::Input;
use corecast::ws::{Decoder, Event, Fault, Limits, Role};

use super::{Told, pieces};
use crate::rfc6455;

/// One byte is the role and how many fragments a message may have, one how long it may be, four
/// how the rest is cut.
pub fn run(bytes: &[u8]) {
    let mut told = Told::new(bytes);
    let first = told.byte();
    let role = if first & 1 == 0 { Role::Server } else { Role::Client };
    let message_bytes_max = 4 * usize::from(told.byte());
    let limits = Limits { message_bytes_max, fragments_max: 1 + u32::from(first >> 1) };
    let lens = told.take(4);
    let bytes = told.rest();
    let expected = rfc6455::frames(bytes, role, &limits);
    assert_eq!(decode(&[bytes], role, &limits), expected, "whole");
    assert_eq!(decode(&pieces(bytes, lens), role, &limits), expected, "in pieces of {lens:?}");
    assert_eq!(decode(&pieces(bytes, &[0]), role, &limits), expected, "byte by byte");
}

fn decode(pieces: &[&[u8]], role: Role, limits: &Limits) -> (Vec<Event<'static>>, Option<Fault>) {
    let (mut decoder, mut events) = (Decoder::new(role), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match decoder.next(&mut input, limits) {
                Ok(Some(event)) => events.push(rfc6455::owned(event)),
                Ok(None) => break,
                Err(fault) => return (events, Some(fault)),
            }
        }
        assert!(input.is_empty(), "a decoder takes all it is given");
    }
    (events, None)
}
