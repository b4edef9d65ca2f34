//! Text in pieces: taken if the standard library takes the whole, and refused at the first byte
//! that nothing could make right.

use corecast::base::Input;
use corecast::ws::{Decoder, Event, Fault, Limits, Role};

use super::{Told, pieces};

const LIMITS: Limits = Limits { message_bytes_max: usize::MAX, fragments_max: u32::MAX };

/// Three bytes are how it is cut.
pub fn run(bytes: &[u8]) {
    let mut told = Told::new(bytes);
    let lens = told.take(3);
    let text = told.rest();
    let pieces = pieces(text, lens);
    let whole = str::from_utf8(text);
    for is_in_one_frame in [true, false] {
        let outcome = say(&pieces, text.len(), is_in_one_frame);
        match whole {
            Ok(text) => assert_eq!(outcome, Ok(text.to_owned())),
            Err(_) => assert_eq!(outcome, Err(refused_at(&pieces))),
        }
    }
}

/// The bytes after which a text must have been refused: those of the pieces up to the one that
/// brings the first impossible byte, or all of them if the text ends within a character.
fn refused_at(pieces: &[&[u8]]) -> usize {
    let mut arrived = Vec::new();
    for piece in pieces {
        arrived.extend_from_slice(piece);
        if str::from_utf8(&arrived).is_err_and(|error| error.error_len().is_some()) {
            break;
        }
    }
    arrived.len()
}

/// The text that a client takes for one that arrives in these pieces, as one frame or as many; or
/// after how many bytes it refuses it.
fn say(pieces: &[&[u8]], len: usize, is_in_one_frame: bool) -> Result<String, usize> {
    let mut decoder = Decoder::new(Role::Client);
    let header = |first: u8, len: usize| {
        let [.., high, low] = len.to_be_bytes();
        match len {
            ..126 => vec![first, low],
            126..65_536 => vec![first, 126, high, low],
            _ => [&[first, 127][..], &len.to_be_bytes()].concat(),
        }
    };
    let mut feed = |bytes: &[u8]| -> Result<Option<String>, Fault> {
        let mut bytes = bytes.to_vec();
        match decoder.next(&mut Input::new(&mut bytes), &LIMITS)? {
            Some(Event::Text(text)) => Ok(Some(text.into_owned())),
            None => Ok(None),
            Some(other) => panic!("{other:?}"),
        }
    };
    let mut arrived = 0;
    if is_in_one_frame && let Some(text) = feed(&header(0x81, len)).map_err(|_| 0usize)? {
        return Ok(text);
    }
    for (place, piece) in pieces.iter().enumerate() {
        arrived += piece.len();
        let first = u8::from(place == 0);
        let header = if is_in_one_frame { Vec::new() } else { header(first, piece.len()) };
        let bytes = [&header, *piece].concat();
        if let Some(text) = feed(&bytes).map_err(|_| arrived)? {
            return Ok(text);
        }
    }
    let last = if pieces.is_empty() { 0x81 } else { 0x80 };
    feed(&header(last, 0)).map_err(|_| arrived).map(|text| text.expect("it ends here"))
}
