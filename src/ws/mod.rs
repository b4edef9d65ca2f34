//! WebSocket (RFC 6455 and 7692), both sides, without a socket, a clock or randomness of its own.
//!
//! ```text
//!   bytes -> FrameHeader -> unmask in place -> UTF-8 -> Event        Decoder
//!   Message -> header + payload (masked by a client) -> bytes        encoder
//!   RequestHead -> Upgrade -> 101        ClientHandshake <- 101      handshake
//! ```
//!
//! Invariants: a peer's bytes give the same events and the same fault however they are cut. What a
//! header declares never costs memory; only what has arrived does.

mod close;
mod decoder;
pub mod deflate;
pub mod encoder;
mod fault;
pub mod handshake;
mod header;
mod mask;
mod opcode;
mod partial;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use decoder::{Decoder, Event, Limits, Role};
pub use fault::Fault;
pub use header::{EncodedHeader, FrameHeader};
pub use mask::{MaskKey, unmask};
pub use opcode::Opcode;

/// What is sent or was received, whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Any bytes.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The opcode of its first frame.
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Text(_) => Opcode::Text,
            Self::Binary(_) => Opcode::Binary,
        }
    }

    /// Its bytes.
    pub const fn payload(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}
