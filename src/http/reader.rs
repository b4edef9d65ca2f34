//! Requests out of bytes, one after the other on a connection.
//!
//! Invariant: memory held for an unfinished request is at most twice what has arrived of it; what
//! it declares costs nothing.

use super::head::Gather;
use super::{Refusal, RequestHead};
use crate::base::Input;

/// How large a request may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The head with its empty line. 8 KiB is what browsers with many cookies stay under.
    pub head_bytes_max: usize,
    /// Header fields of a head.
    pub headers_max: usize,
    /// The target; what is longer gets 414 and not 431.
    pub target_bytes_max: usize,
    /// The body.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 8 * 1024,
            headers_max: 64,
            target_bytes_max: 4 * 1024,
            body_bytes_max: 64 * 1024,
        }
    }
}

/// Reads the requests of one connection, however they are cut.
#[derive(Debug, Default)]
pub struct Reader {
    head: Gather,
    unfinished: Option<Unfinished>,
}

/// A request whose body is still arriving.
#[derive(Debug)]
struct Unfinished {
    head: RequestHead,
    body: Vec<u8>,
}

impl Reader {
    /// The next request with its body, once it is whole.
    ///
    /// Takes all of `input` while the request is unfinished, and not a byte beyond its end: frames
    /// that follow an upgrade stay where they are. After a refusal the reader is of no more use.
    pub fn next(
        &mut self,
        input: &mut Input<'_>,
        limits: &Limits,
    ) -> Result<Option<(RequestHead, Vec<u8>)>, Refusal> {
        if self.unfinished.is_none() {
            self.unfinished = self.begin(input, limits)?;
        }
        let Some(Unfinished { head, mut body }) = self.unfinished.take() else { return Ok(None) };
        body.extend_from_slice(input.take(head.body_len() - body.len()));
        if body.len() < head.body_len() {
            self.unfinished = Some(Unfinished { head, body });
            return Ok(None);
        }
        Ok(Some((head, body)))
    }

    /// Whether nothing of a request has arrived, so that silence is no slowness.
    pub fn is_idle(&self) -> bool {
        self.head.is_empty() && self.unfinished.is_none()
    }

    fn begin(
        &mut self,
        input: &mut Input<'_>,
        limits: &Limits,
    ) -> Result<Option<Unfinished>, Refusal> {
        let Some(bytes) = self.head.next(input, limits.head_bytes_max)? else { return Ok(None) };
        let head = RequestHead::parse(bytes, limits)?;
        Ok(Some(Unfinished { head, body: Vec::new() }))
    }
}
