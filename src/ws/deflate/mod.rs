//! permessage-deflate (RFC 7692), both sides: agreeing on it, deflating what is sent, inflating
//! what arrives.
//!
//! ```text
//!   Sec-WebSocket-Extensions -> Parameters of each offer -> Agreement -> the answer's field
//!   Event::Deflated -> Inflater (stops at the limit) -> Message
//!   Message -> Deflater -> deflated_header + payload
//! ```
//!
//! Invariants: unless both sides keep their context, a connection needs neither an [`Inflater`] nor
//! a [`Deflater`] of its own, and one of each serves a whole core. A message costs no more memory
//! than the limit of messages allows, whatever its few bytes would grow to.

mod deflater;
mod extensions;
mod inflater;
mod negotiation;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use deflater::Deflater;
pub use inflater::{Deflated, Inflater};
pub use negotiation::{Agreement, ClientWindow, Context, Parameters, Takeover, WindowBits};

pub(in crate::ws) use negotiation::{answered, offered};

/// What every deflated message ends with and nobody sends (RFC 7692 §7.2.1): a block without
/// content.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
