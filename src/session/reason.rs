//! Why a connection ended.

use crate::http::Status;
use crate::ws::CloseCode;

/// Why a connection ended. The label of each is what metrics and logs call it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloseReason {
    /// The peer closed, with this code if it gave one.
    Peer(Option<CloseCode>),
    /// The peer's stream ended or broke without a close (1006 in the terms of RFC 6455).
    Lost,
    /// The service asked for it, or a handle on another thread, with this code.
    Service(CloseCode),
    /// What the peer sent broke a rule of its protocol.
    Fault(CloseCode),
    /// A plain HTTP connection that has had its last answer.
    Answered(Status),
    /// The server is shutting down.
    Draining,
    /// The peer read more slowly than it was written to.
    Slow,
    /// Publications for the peer were lost between cores.
    Gap,
    /// Pings went unanswered.
    Silent,
    /// TLS was not established in time, or failed.
    Handshake,
    /// No whole request came in time.
    Request,
    /// A message stayed unfinished for too long.
    Unfinished,
    /// The peer took no bytes for too long.
    Stalled,
    /// The peer did not answer our close in time.
    Unanswered,
    /// The code that served it failed.
    Panicked,
    /// The service wanted no stream of this peer.
    Unwanted,
    /// The peer sent faster than it may, for too long.
    Flooding,
    /// Memory was short, and much waited for the peer.
    Memory,
    /// A proxy did not say, in the words of its protocol, whose connection it was.
    Unannounced,
    /// The address that a proxy named has as many connections as it may have, or brings too many.
    Crowded,
}

impl CloseReason {
    /// Every label, in the order of [`CloseReason::index`].
    pub const LABELS: [&'static str; 20] = [
        "peer",
        "lost",
        "service",
        "fault",
        "answered",
        "draining",
        "slow",
        "gap",
        "silent",
        "handshake",
        "request",
        "unfinished",
        "stalled",
        "unanswered",
        "panicked",
        "unwanted",
        "flooding",
        "memory",
        "unannounced",
        "crowded",
    ];

    /// The place of this reason in [`CloseReason::LABELS`].
    pub const fn index(self) -> usize {
        match self {
            Self::Peer(_) => 0,
            Self::Lost => 1,
            Self::Service(_) => 2,
            Self::Fault(_) => 3,
            Self::Answered(_) => 4,
            Self::Draining => 5,
            Self::Slow => 6,
            Self::Gap => 7,
            Self::Silent => 8,
            Self::Handshake => 9,
            Self::Request => 10,
            Self::Unfinished => 11,
            Self::Stalled => 12,
            Self::Unanswered => 13,
            Self::Panicked => 14,
            Self::Unwanted => 15,
            Self::Flooding => 16,
            Self::Memory => 17,
            Self::Unannounced => 18,
            Self::Crowded => 19,
        }
    }

    /// What metrics and logs call it.
    pub fn label(self) -> &'static str {
        Self::LABELS.get(self.index()).copied().unwrap_or("unknown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_reached_by_its_own_index() {
        let reasons = [CloseReason::Peer(None), CloseReason::Lost, CloseReason::Crowded];
        for reason in reasons {
            assert_eq!(CloseReason::LABELS[reason.index()], reason.label());
        }
        assert_eq!(CloseReason::Crowded.index() + 1, CloseReason::LABELS.len());
    }
}
