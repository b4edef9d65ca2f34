//! What grows in a search.

use std::fmt;

use clap::ValueEnum;

/// What grows in a search.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Axis {
    /// Connections, each of which does what the scenario says
    Conns,
    /// Messages a second in all, with a fixed number of connections (--conns)
    Rate,
    /// Connections that all subscribe to one topic
    Subscribers,
}

impl Axis {
    /// What its numbers count.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Conns => "connections",
            Self::Rate => "messages a second",
            Self::Subscribers => "subscribers",
        }
    }

    /// The scenario of which it makes sense, where none is named that does something.
    pub const fn scenario(self) -> &'static str {
        match self {
            Self::Conns => "idle",
            Self::Rate => "echo",
            Self::Subscribers => "broadcast",
        }
    }

    /// How far a search goes unless it is told.
    pub const fn max(self) -> u64 {
        match self {
            Self::Conns => 100_000,
            Self::Rate => 1_000_000,
            Self::Subscribers => 50_000,
        }
    }

    /// Where it begins, if it goes up to `max`: six to twelve steps below.
    pub fn start(self, max: u64) -> u64 {
        let part = match self {
            Self::Conns | Self::Subscribers => 10,
            Self::Rate => 100,
        };
        (max / part).max(1)
    }

    /// How wide a bracket may stay in any case.
    pub const fn width(self) -> u64 {
        match self {
            Self::Conns | Self::Subscribers => 1_000,
            Self::Rate => 0,
        }
    }

    /// Whether it is connections that grow.
    pub const fn opens(self) -> bool {
        !matches!(self, Self::Rate)
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conns => "conns",
            Self::Rate => "rate",
            Self::Subscribers => "subscribers",
        })
    }
}
