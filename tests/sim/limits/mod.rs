//! Every limit of a worker at its edge, in the simulated world: one less than it, the limit itself,
//! one more; what the peer is told beyond it, and under which name it is counted.
//!
//! Each holds in several worlds, which differ in what a limit must not depend on. Time passes in
//! ticks of an eighth of a second, so that is what "one less" means for a time. Files are the
//! reactor's, which has its own test of the spare ones.

mod crowds;
mod failures;
mod messages;
mod outboxes;
mod requests;
mod subject;
mod world;

use corecast::base::Tick;

/// A tick less than a time, the time, and a tick more, with whether it is over.
fn around(ms: u64) -> [(u64, bool); 3] {
    [(ms - Tick::MS, false), (ms, true), (ms + Tick::MS, true)]
}
