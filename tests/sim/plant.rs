//! Bugs that are planted, to show that the checks would see them.
//!
//! Each sits in a seam that the simulation owns (the pipes, the wakers, the carriers between
//! workers, the service, the loop), and does there what a bug of the core would look like.

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
}

impl Plant {
    pub const ALL: [Self; 13] = [
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
    ];
}
