//! The operating system: what a machine of ours cannot do by itself.
//!
//! A [`Reactor`] waits, accepts, connects, reads the clock, and drives one
//! [`Handler`](crate::base::Handler) on one thread. Whatever is decided about bytes is decided by
//! the handler, so a simulation that takes the place of this module runs the same code.
//!
//! ```text
//!  event_loop   the order of things; the only clock
//!  poll         waiting for streams, listeners and wakes; being woken
//!  listener     reserving a port, listening on every core, surviving the end of descriptors
//!  socket       calling out, from a port of our own
//!  affinity     staying on a core
//!  fds          how many files may be open, and what that means for the number of workers
//!  memory       what backs the memory of the process
//!  usage        how much of it there may be, and is
//!  signal       what an operator says
//! ```

pub mod affinity;
#[cfg(test)]
mod alone;
mod event_loop;
pub mod fds;
pub mod listener;
pub mod memory;
pub mod poll;
pub mod signal;
mod socket;
mod timer;
pub mod usage;

pub use event_loop::Reactor;
pub use poll::Poller;
