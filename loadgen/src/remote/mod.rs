//! One load from several machines.
//!
//! ```text
//!   loadgen run --workers a,b               loadgen worker (a)        loadgen worker (b)
//!     prove the token, both ways  <---------> challenge, answer
//!     plan, shares, seeds          ---------> plan, check, sources
//!     measure clocks               <--------> 16 times
//!     Start, at a common moment    ---------> open connections
//!     all listen: Hold, the same   <--------> scenario, hold
//!     all are silent: Settle       <--------> who sent how much, of all workers
//!     results, whole histograms    <--------- Done
//!     merge
//! ```
//!
//! Every message is bounded in size and in time, and carries a code that only who knows the token
//! can make; the token itself is never sent. What is said is not secret, and nothing in it is: who
//! listens learns what is measured, and cannot change it.
//!
//! Invariant: whatever happens to one worker, the others end their run and are told of.

mod args;
mod clock;
mod coordinator;
mod crew;
mod link;
mod message;
mod page;
mod seat;
mod worker;

pub use self::args::{RemoteArgs, Shard, WorkerArgs};
pub use self::clock::Offset;
pub use self::coordinator::coordinate;
pub use self::worker::serve;
