//! The contract of a loop: what is driven, and what drives it may be told.

use std::io::{Error, Read, Write};
use std::net::SocketAddr;
use std::ops::BitOr;
use std::time::Instant;

use super::Key;

/// What a loop drives: a worker, the admin thread, a load driver, a subject of simulation.
///
/// `ready` collects and `turn` acts, so that a handler works at its own pace. A stream is closed
/// by dropping it.
pub trait Handler {
    /// What bytes are read from and written to, without blocking.
    type Stream: Read + Write;

    /// A connection came to be. `None` refuses it: the stream has been dropped.
    ///
    /// A returned key names the stream in every later call, until the handler drops the stream.
    fn open(&mut self, stream: Self::Stream, origin: Origin, now: Instant) -> Option<Key>;

    /// A connection asked for by [`Request::Connect`] as `via` could not even begin.
    fn connect_failed(&mut self, via: u32, error: &Error, now: Instant) {
        let _ = (via, error, now);
    }

    /// A caller had to be turned away, because there was no file for it.
    fn turned_away(&mut self, now: Instant) {
        let _ = now;
    }

    /// The outside says that `key` may be read or written. It may be wrong, and it may be late.
    fn ready(&mut self, key: Key, readiness: Readiness, now: Instant);

    /// A batch of readiness has ended: do what is due, then write what waits.
    fn turn(&mut self, now: Instant);

    /// When to take a turn even if nothing happens; a time that has passed means at once.
    fn deadline(&self) -> Option<Instant>;

    /// Announces that the loop is about to block.
    ///
    /// Returns `false` when it must not: something arrived by another way than a stream. A handler
    /// that answers `true` is woken through its [`Wake`].
    fn may_sleep(&mut self) -> bool {
        true
    }

    /// What only the outside can do, one at a time, until there is nothing more.
    fn poll_request(&mut self) -> Option<Request>;
}

/// A stream that can also say that nothing more will be written.
pub trait Stream: Read + Write {
    /// Ends the writing direction and leaves the reading one open.
    fn finish(&mut self) -> Result<(), Error>;
}

/// What a handler asks of its loop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request {
    /// Open a connection to `to`, from the address and port `from` if one is given.
    ///
    /// It appears in [`Handler::open`] when connecting has begun and becomes writable when it has
    /// succeeded. What fails at once is told by [`Handler::connect_failed`], what fails later by a
    /// stream that is ready and errs.
    Connect {
        /// What the origin of the connection will say.
        via: u32,
        /// The peer.
        to: SocketAddr,
        /// Our own address and port; `None` leaves both to the system.
        from: Option<SocketAddr>,
    },
    /// Close the listeners: nobody new gets in.
    StopAccepting,
    /// Leave the loop.
    Exit,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin {
    /// The listener that accepted it, by its number, or what [`Request::Connect`] said.
    pub via: u32,
    /// The address at the other end.
    pub peer: SocketAddr,
}

/// What may be done with a stream without blocking, as far as the outside knows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Readiness(u8);

impl Readiness {
    /// Reading may give bytes, the end, or an error.
    pub const READABLE: Self = Self(1);
    /// Writing may take bytes.
    pub const WRITABLE: Self = Self(2);

    /// The peer writes no more: reading goes on until the end has been seen. Without this, a read
    /// that took all there was would leave the end behind it unseen, since no edge follows.
    pub const ENDED: Self = Self(4);

    /// Whether reading is worth a try.
    pub const fn is_readable(self) -> bool {
        self.0 & (Self::READABLE.0 | Self::ENDED.0) != 0
    }

    /// Whether reading should go on until the end of the stream.
    pub const fn is_ended(self) -> bool {
        self.0 & Self::ENDED.0 != 0
    }

    /// Whether writing is worth a try.
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE.0 != 0
    }
}

impl BitOr for Readiness {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Ends the sleep of a loop, from any thread.
pub trait Wake: Send + Sync {
    /// Makes the loop take a turn soon; one that is awake takes one more.
    fn wake(&self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_joins() {
        let both = Readiness::READABLE | Readiness::WRITABLE;
        assert!(both.is_readable() && both.is_writable());
        assert!(!Readiness::READABLE.is_writable());
        assert!(Readiness::ENDED.is_readable() && !Readiness::READABLE.is_ended());
    }
}
