//! Bytes that are shared, and bytes that are being read.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Counted, immutable bytes: the only kind that crosses from core to core.
#[derive(Clone, Eq, Hash, PartialEq, PartialOrd, Ord)]
pub struct Shared(Arc<[u8]>);

impl Shared {
    /// Joins `parts` into one run of bytes, with one allocation and one copy.
    pub fn from_parts(parts: &[&[u8]]) -> Self {
        let len = parts.iter().map(|part| part.len()).sum();
        let mut bytes = Vec::with_capacity(len);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        Self(bytes.into())
    }
}

impl From<&[u8]> for Shared {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for Shared {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<Vec<u8>> for Shared {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl Deref for Shared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({} bytes)", self.len())
    }
}

/// Bytes that arrived and wait to be understood, in place: a cursor over a core's scratch.
///
/// What is taken off the front may be written to (unmasking, decrypting) and lives as long as the
/// scratch, not as long as the borrow of the cursor.
#[derive(Debug, Default)]
pub struct Input<'a> {
    rest: &'a mut [u8],
}

impl<'a> Input<'a> {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been taken yet.
    pub fn rest(&self) -> &[u8] {
        self.rest
    }

    /// How many bytes have not been taken yet.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether all has been taken.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes `len` bytes off the front, or all if there are fewer.
    pub fn take(&mut self, len: usize) -> &'a mut [u8] {
        let len = len.min(self.rest.len());
        let (front, rest) = std::mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        front
    }

    /// Takes all that is left.
    pub fn take_all(&mut self) -> &'a mut [u8] {
        std::mem::take(&mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_order() {
        assert_eq!(&*Shared::from_parts(&[b"ab", b"", b"c"]), b"abc");
    }

    #[test]
    fn an_input_gives_its_bytes_once() {
        let mut bytes = *b"abcdef";
        let mut input = Input::new(&mut bytes);
        let front = input.take(2);
        front[0] = b'A';
        assert_eq!((front, input.rest()), (&mut b"Ab"[..].to_owned()[..], &b"cdef"[..]));
        assert_eq!(input.take(9), b"cdef");
        assert!(input.is_empty());
    }
}
