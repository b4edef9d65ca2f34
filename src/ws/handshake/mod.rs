//! How an HTTP connection becomes a WebSocket (RFC 6455 §4), seen from both sides.
//!
//! Invariant: nothing that a peer wrote is sent back to it. The answer is made of the digest of the
//! key and of names from our own list.

mod client;
mod server;

pub use client::{Accepted, ClientHandshake, HandshakeFault};
pub(in crate::ws) use server::is_token_byte;
pub use server::{Refusal, Upgrade, accept, choose_subprotocol, is_upgrade};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};

/// What a server appends to the key before it digests it (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A SHA-1 digest in base64.
const ACCEPT_LEN: usize = 28;

/// The proof that a server has understood the handshake of this `key`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Accept([u8; ACCEPT_LEN]);

impl Accept {
    fn new(key: &[u8]) -> Self {
        let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
        let mut text = [0; ACCEPT_LEN];
        let written = BASE64_STANDARD.encode_slice(digest, &mut text);
        assert_eq!(written, Ok(ACCEPT_LEN), "20 bytes make 28 digits");
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_holds() {
        assert_eq!(&Accept::new(b"dGhlIHNhbXBsZSBub25jZQ==").0, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
