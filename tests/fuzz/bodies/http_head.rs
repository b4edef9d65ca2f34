//! Requests out of bytes: the same however they are cut, and the same as httparse and the RFC read
//! them, but for what the list of disagreements explains.

use corecast::base::Input;
use corecast::http::{Limits, Reader, Refusal};

use super::{Told, pieces};
use crate::verdicts;

const LIMITS: Limits =
    Limits { head_bytes_max: 300, headers_max: 8, target_bytes_max: 80, body_bytes_max: 64 };

/// The first three bytes are how it is cut.
pub fn run(bytes: &[u8]) {
    let mut told = Told::new(bytes);
    let lens = told.take(3);
    let bytes = told.rest();
    verdicts::check_head(bytes);
    let whole = read(&[bytes]);
    assert_eq!(read(&pieces(bytes, lens)), whole, "in pieces of {lens:?}");
    assert_eq!(read(&pieces(bytes, &[0])), whole, "byte by byte");
}

/// The requests that `pieces` make, in words, and the refusal that ended them.
fn read(pieces: &[&[u8]]) -> (Vec<String>, Option<Refusal>) {
    let (mut reader, mut requests) = (Reader::default(), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match reader.next(&mut input, &LIMITS) {
                Ok(Some((head, body))) => {
                    assert_eq!(head.body_len(), body.len());
                    assert!(head.target().len() <= LIMITS.target_bytes_max);
                    assert!(head.headers().count() <= LIMITS.headers_max);
                    assert!(head.target().contains(head.path()) || head.path() == "/");
                    requests.push(format!("{head:?} {body:?}"));
                }
                Ok(None) => break,
                Err(refusal) => return (requests, Some(refusal)),
            }
        }
        assert!(input.is_empty(), "a reader takes all it is given");
    }
    (requests, None)
}
