//! One core's world.

pub mod mesh;
pub mod metrics;
mod sleep;
pub mod staging;

/// The atomics of `sleep`, for which a model checker puts its own.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
}
