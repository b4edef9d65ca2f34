//! What clients and services say to each other: text that names everyone concerned, so that a
//! message in the wrong hands shows.

use super::journal::Conn;

/// A message, parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Words {
    /// To every subscriber of the topic.
    Publish { from: Conn, seq: u64, topic: u64 },
    /// To be sent back.
    Echo { from: Conn, seq: u64 },
    /// To another connection of the same worker.
    Whisper { from: Conn, seq: u64, to: Conn },
    /// A request to be closed with this code.
    Bye { code: u16 },
    /// Subscribe, or: the subscription counts.
    Join { topic: u64 },
    /// Unsubscribe, or: nothing more of the topic follows.
    Leave { topic: u64 },
}

impl Words {
    /// The text, stretched by `filler` bytes that tell whose they are.
    pub fn say(self, filler: usize) -> String {
        let mut text = match self {
            Self::Publish { from, seq, topic } => format!("p {from} {seq} {topic} "),
            Self::Echo { from, seq } => format!("e {from} {seq} 0 "),
            Self::Whisper { from, seq, to } => format!("w {from} {seq} {to} "),
            Self::Bye { code } => format!("b {code} 0 0 "),
            Self::Join { topic } => format!("j {topic} 0 0 "),
            Self::Leave { topic } => format!("l {topic} 0 0 "),
        };
        let pattern = filling(&text);
        text.extend(pattern.take(filler));
        text
    }

    /// What the text says, if every byte of it is as it was said.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let kind = fields.next()?;
        let mut number = || fields.next()?.parse::<u64>().ok();
        let numbers = [number()?, number()?, number()?];
        let words = Self::of(kind, numbers)?;
        let said = words.say(fields.next()?.len());
        (said == text).then_some(words)
    }

    fn of(kind: &str, [first, second, third]: [u64; 3]) -> Option<Self> {
        let conn = |number: u64| Conn::try_from(number).ok();
        Some(match kind {
            "p" => Self::Publish { from: conn(first)?, seq: second, topic: third },
            "e" => Self::Echo { from: conn(first)?, seq: second },
            "w" => Self::Whisper { from: conn(first)?, seq: second, to: conn(third)? },
            "b" => Self::Bye { code: u16::try_from(first).ok()? },
            "j" => Self::Join { topic: first },
            "l" => Self::Leave { topic: first },
            _ => return None,
        })
    }
}

/// Letters that depend on the text before them and on their place, so that a lost, doubled or
/// damaged byte shows.
fn filling(text: &str) -> impl Iterator<Item = char> + use<> {
    let start = text.bytes().fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    (0u8..=255)
        .cycle()
        .map(move |place| char::from(b'a' + start.wrapping_add(place.wrapping_mul(7)) % 26))
}
