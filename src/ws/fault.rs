//! Why a peer's frames were refused, and what it is told.

use std::fmt;

use super::CloseCode;

/// A breach of RFC 6455 or of our limits. It ends the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// A reserved bit was set without an extension (§5.2).
    ReservedBits,
    /// An opcode has no meaning (§5.2).
    ReservedOpcode,
    /// A control frame was fragmented (§5.5).
    FragmentedControl,
    /// A control frame had more than 125 bytes of payload (§5.5).
    OversizedControl,
    /// A length was written in more bytes than it needs (§5.2).
    NonMinimalLength,
    /// The top bit of a length was set (§5.2).
    NegativeLength,
    /// A client sent a frame without a mask (§5.1).
    Unmasked,
    /// A server sent a frame with a mask (§5.1).
    Masked,
    /// A continuation came with nothing to continue (§5.4).
    UnexpectedContinuation,
    /// A message began before the last one had ended (§5.4).
    InterruptedMessage,
    /// The payload of a close frame was half a code (§5.5.1).
    TruncatedCloseCode,
    /// A close frame carried a code that may not be sent (§7.4).
    ReservedCloseCode,
    /// Text was not UTF-8 (§8.1).
    InvalidUtf8,
    /// A message grew past `Limits::message_bytes_max`.
    OversizedMessage,
    /// A message came in more frames than `Limits::fragments_max`.
    TooManyFragments,
    /// A message said to be deflated could not be inflated (RFC 7692 §7.2.2).
    Deflate,
}

impl Fault {
    /// What to tell the peer. A new variant does not compile until it has an answer.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::FragmentedControl
            | Self::OversizedControl
            | Self::NonMinimalLength
            | Self::NegativeLength
            | Self::Unmasked
            | Self::Masked
            | Self::UnexpectedContinuation
            | Self::InterruptedMessage
            | Self::TruncatedCloseCode
            | Self::ReservedCloseCode => CloseCode::PROTOCOL,
            Self::InvalidUtf8 | Self::Deflate => CloseCode::INVALID_PAYLOAD,
            Self::OversizedMessage => CloseCode::TOO_BIG,
            Self::TooManyFragments => CloseCode::POLICY,
        }
    }

    /// The same in words, short enough to be the reason of a close frame.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bits are set",
            Self::ReservedOpcode => "reserved opcode",
            Self::FragmentedControl => "fragmented control frame",
            Self::OversizedControl => "control frame over 125 bytes",
            Self::NonMinimalLength => "length not in its shortest form",
            Self::NegativeLength => "length with its top bit set",
            Self::Unmasked => "client frame without mask",
            Self::Masked => "server frame with mask",
            Self::UnexpectedContinuation => "nothing to continue",
            Self::InterruptedMessage => "message inside a message",
            Self::TruncatedCloseCode => "half a close code",
            Self::ReservedCloseCode => "reserved close code",
            Self::InvalidUtf8 => "text is not UTF-8",
            Self::OversizedMessage => "message too big",
            Self::TooManyFragments => "too many fragments",
            Self::Deflate => "message cannot be inflated",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
