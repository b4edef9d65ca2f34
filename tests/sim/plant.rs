//! Bugs that are planted, to show that the checks would see them.
//!
//! Each sits in a seam that the simulation owns (the pipes, the wakers, the carriers between
//! workers, the service, the loop), and does there what a bug of the core would look like.

use corecast::worker::Limits;

/// A bug.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plant {
    Nothing,
    /// A waker that does not wake.
    ForgottenWake,
    /// Keys without their generation: late news finds the next one in the slot.
    ForgottenGeneration,
    /// The second half of a payload is masked one byte off.
    MaskOffset,
    /// A batch between two workers is lost.
    LostBatch,
    /// A batch between two workers arrives twice.
    DoubledBatch,
    /// A batch between two workers overtakes the one before it.
    OvertakingBatch,
    /// The loss of publications between two workers is not told.
    UntoldLoss,
    /// A subscriber is told yes before every worker has heard of it.
    EarlyAnswer,
    /// A worker is not told that bytes have arrived.
    ForgottenEdge,
    /// A worker is not told that a full socket takes bytes again.
    ForgottenRoom,
    /// A socket that is full drops what it was given.
    LeakingSocket,
    /// An echo goes to whoever spoke last.
    CrossedEcho,
    /// A worker that sleeps is not woken by its deadline.
    ForgottenDeadline,
    /// That the last subscriber of a topic has gone is not told to the other workers.
    ForgottenInterest,
    /// A worker takes one connection more than it may hold.
    OneTooMany,
    /// The time that a message may take is counted from too early.
    Impatience,
    /// A peer is given up with the first ping that it leaves unanswered.
    MiscountedPings,
    /// A connection is told to the service as closed twice.
    DoubleClose,
    /// A loop does not leave when its worker has drained.
    ForgottenExit,
    /// With whoever leaves, the last who came loses its subscriptions too.
    SwappedSubscriber,
    /// The descriptor of a connection that has ended is not closed.
    LeakedDescriptor,
    /// What a socket has taken of a write is written again.
    RepeatedBytes,
    /// A publication goes to the next topic.
    CrossedTopic,
    /// A close that the service asks for is not made.
    ForgottenClose,
    /// Of a connection through a proxy the proxy's own address is taken for the client's.
    ForgottenClient,
    /// A connection that has ended still counts for its address.
    ForgottenSeat,
    /// Of a stream, a byte is lost where a socket takes a write in part.
    SwallowedByte,
    /// That there is enough memory again is not told.
    ForgottenRelief,
    /// That memory is short does not keep anybody out.
    ForgottenShortage,
}

/// Every how many times a plant does its harm that would else show at once.
pub const SELDOM: u64 = 7;

impl Plant {
    pub const ALL: [Self; 29] = [
        Self::ForgottenWake,
        Self::ForgottenGeneration,
        Self::MaskOffset,
        Self::LostBatch,
        Self::DoubledBatch,
        Self::OvertakingBatch,
        Self::UntoldLoss,
        Self::EarlyAnswer,
        Self::ForgottenEdge,
        Self::ForgottenRoom,
        Self::LeakingSocket,
        Self::CrossedEcho,
        Self::ForgottenDeadline,
        Self::ForgottenInterest,
        Self::OneTooMany,
        Self::Impatience,
        Self::MiscountedPings,
        Self::DoubleClose,
        Self::ForgottenExit,
        Self::SwappedSubscriber,
        Self::LeakedDescriptor,
        Self::RepeatedBytes,
        Self::CrossedTopic,
        Self::ForgottenClose,
        Self::ForgottenClient,
        Self::ForgottenSeat,
        Self::SwallowedByte,
        Self::ForgottenRelief,
        Self::ForgottenShortage,
    ];

    /// The limits of a worker that is meant to have `limits`.
    pub const fn spoil(self, mut limits: Limits) -> Limits {
        match self {
            Self::OneTooMany => {
                limits.connections_max = limits.connections_max.saturating_add(1);
            }
            Self::Impatience => limits.message_ms_max /= 4,
            Self::MiscountedPings => limits.heartbeat_misses_max = 0,
            _ => {}
        }
        limits
    }
}
