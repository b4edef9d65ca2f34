//! What a frame is for.

use super::Fault;

/// The meaning of a frame (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message that a frame before began.
    Continuation = 0,
    /// Begins a message of UTF-8 text.
    Text = 1,
    /// Begins a message of any bytes.
    Binary = 2,
    /// Nothing will follow from this side.
    Close = 8,
    /// To be answered by a pong.
    Ping = 9,
    /// Answers a ping, or stands for itself.
    Pong = 10,
}

impl Opcode {
    /// Whether the frame speaks of the connection and may stand between the fragments of a message.
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

impl TryFrom<u8> for Opcode {
    type Error = Fault;

    fn try_from(bits: u8) -> Result<Self, Fault> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(Fault::ReservedOpcode),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opcode_and_its_bits_are_one_to_one() {
        for bits in 0..=u8::MAX {
            match Opcode::try_from(bits) {
                Ok(opcode) => assert_eq!(opcode as u8, bits),
                Err(fault) => assert_eq!(fault, Fault::ReservedOpcode),
            }
        }
        assert_eq!((0..=u8::MAX).filter(|bits| Opcode::try_from(*bits).is_ok()).count(), 6);
    }
}
