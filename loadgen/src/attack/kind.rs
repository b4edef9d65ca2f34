//! The kinds of attack, by name.

use std::fmt;

use clap::ValueEnum;

use super::script::{Ground, Script};
use super::{abuse, message, opening};

/// A kind of attack.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Kind {
    /// Requests that never end, a field at a time
    Slowloris,
    /// Questions whose answers are not read
    SlowRead,
    /// Messages that come a byte at a time
    Drip,
    /// Messages in very many pieces
    Fragments,
    /// Messages in very many empty pieces
    EmptyFragments,
    /// Pings without end
    PingFlood,
    /// TLS handshakes that never go on
    HalfOpen,
    /// Goodbyes after which nobody leaves
    NeverClose,
    /// Subscriptions to topics without end
    SubscribeFlood,
    /// Frames that announce 2^62 bytes
    HugeLength,
    /// Small messages that inflate to large ones
    Bomb,
    /// Noise instead of requests
    Garbage,
    /// One after the other
    All,
}

impl Kind {
    /// The kinds that are meant: itself, or each one.
    pub fn each(self) -> Vec<Self> {
        match self {
            Self::All => {
                Self::value_variants().iter().copied().filter(|kind| *kind != Self::All).collect()
            }
            kind => vec![kind],
        }
    }

    /// Whether it can only be done to a server that speaks TLS.
    pub fn needs_tls(self) -> bool {
        self == Self::HalfOpen
    }

    /// What its attackers do; `None` for all of them together.
    pub fn script(self, ground: &mut Ground) -> Option<Script> {
        Some(match self {
            Self::Slowloris => opening::slowloris(ground),
            Self::SlowRead => abuse::slow_read(ground),
            Self::Drip => message::drip(ground),
            Self::Fragments => message::fragments(ground, b"x"),
            Self::EmptyFragments => message::fragments(ground, b""),
            Self::PingFlood => abuse::ping_flood(ground),
            Self::HalfOpen => opening::half_open(ground),
            Self::NeverClose => abuse::never_close(ground),
            Self::SubscribeFlood => abuse::subscribe_flood(ground),
            Self::HugeLength => message::huge_length(ground),
            Self::Bomb => message::bomb(ground),
            Self::Garbage => opening::garbage(ground),
            Self::All => return None,
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
