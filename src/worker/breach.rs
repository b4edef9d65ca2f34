//! Limits that were reached: what each is called, so that it can be counted.

use crate::http::Refusal;
use crate::session::{CloseReason, Session};
use crate::ws::Fault;

/// Declares each limit once, with the name that it has in the configuration.
macro_rules! breaches {
    ($($name:ident = $label:literal, $doc:literal;)*) => {
        /// A limit that a connection ran into. Its label is the key of the configuration that sets
        /// it, so whoever sees the figure rise knows what to change.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Breach {
            $(#[doc = $doc] $name,)*
        }

        impl Breach {
            /// Every label, in the order of [`Breach::index`].
            pub const LABELS: &[&'static str] = &[$($label,)*];

            /// The place of this limit in [`Breach::LABELS`].
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

breaches! {
    HandshakeTime = "handshake-time", "TLS was not established in time: dropped.";
    RequestTime = "request-time", "A request was not whole in time: 408.";
    KeepAlive = "keep-alive", "No request came, or no further one: closed.";
    HeadBytes = "head-bytes", "A head was too long: 431.";
    TargetBytes = "target-bytes", "A target was too long: 414.";
    Headers = "headers", "A head had too many fields: 431.";
    MessageBytes = "message-bytes", "A message was too big: 1009; a body was: 413.";
    Fragments = "fragments", "A message came in too many frames: 1008.";
    MessageTime = "message-time", "A message was not whole in time: 1008.";
    Rate = "rate-time", "A peer sent too fast for too long: 1008.";
    OutboxBytes = "outbox-bytes", "Too much waited for a peer: 1013.";
    OutboxFrames = "outbox-frames", "Too many frames waited for a peer: 1013.";
    OutboxTime = "outbox-time", "What waited for a peer was too old: 1013.";
    StallTime = "stall-time", "A socket took nothing for too long: dropped.";
    HeartbeatMisses = "heartbeat-misses", "Pings went unanswered: dropped.";
    StreamIdle = "stream-idle", "Neither side of a stream said anything: ended.";
    CloseTime = "close-time", "A peer did not answer our close: dropped.";
    Topics = "topics-per-conn", "A connection asked for one topic too many: refused.";
    MemoryShed = "memory-shed", "Much waited for a peer while memory was short: 1013.";
}

impl Breach {
    /// The limit that a refused request went beyond, if it was one.
    pub(super) const fn of_request(refusal: Refusal) -> Option<Self> {
        match refusal {
            Refusal::OversizedHead => Some(Self::HeadBytes),
            Refusal::OversizedTarget => Some(Self::TargetBytes),
            Refusal::TooManyHeaders => Some(Self::Headers),
            Refusal::OversizedBody => Some(Self::MessageBytes),
            _ => None,
        }
    }

    /// The limit of time that ends `session` for this reason, if it is one.
    pub(super) fn of_time(reason: CloseReason, session: &Session) -> Option<Self> {
        match (reason, session) {
            (CloseReason::Request, Session::Greeting(greeting)) if greeting.is_idle() => {
                Some(Self::KeepAlive)
            }
            (CloseReason::Silent, Session::Stream) => Some(Self::StreamIdle),
            (reason, _) => Self::of_reason(reason),
        }
    }

    const fn of_reason(reason: CloseReason) -> Option<Self> {
        match reason {
            CloseReason::Handshake => Some(Self::HandshakeTime),
            CloseReason::Request => Some(Self::RequestTime),
            CloseReason::Unfinished => Some(Self::MessageTime),
            CloseReason::Stalled => Some(Self::StallTime),
            CloseReason::Silent => Some(Self::HeartbeatMisses),
            CloseReason::Unanswered => Some(Self::CloseTime),
            _ => None,
        }
    }

    /// The limit that refused frames went beyond, if it was one.
    pub(super) const fn of_frames(fault: Fault) -> Option<Self> {
        match fault {
            Fault::OversizedMessage => Some(Self::MessageBytes),
            Fault::TooManyFragments => Some(Self::Fragments),
            _ => None,
        }
    }
}

/// Why a caller was not let in. Nothing was read from it, and nothing said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turned {
    /// The worker has as many connections as it may have.
    Full,
    /// The server is shutting down.
    Draining,
    /// There was no file left for it.
    Files,
    /// Memory was short.
    Memory,
    /// Its address has as many connections as it may have.
    AddressConnections,
    /// Its address has brought too many within a second.
    AddressRate,
    /// It came to a listener for proxies, and is none that is trusted.
    Untrusted,
    /// TLS could not begin.
    Internal,
}

impl Turned {
    /// Every label, in the order of [`Turned::index`].
    pub const LABELS: &[&'static str] = &[
        "full",
        "draining",
        "files",
        "memory",
        "address-connections",
        "address-rate",
        "untrusted",
        "internal",
    ];

    /// The place of this reason in [`Turned::LABELS`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_label() {
        assert_eq!(Turned::LABELS[Turned::Full.index()], "full");
        assert_eq!(Turned::Internal.index() + 1, Turned::LABELS.len());
        assert_eq!(Breach::LABELS[Breach::Rate.index()], "rate-time");
        assert_eq!(Breach::MemoryShed.index() + 1, Breach::LABELS.len());
    }
}
