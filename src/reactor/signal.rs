//! What an operator or a supervisor tells a process without a connection.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals as Caught};
use std::io;

/// A wish from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGHUP: read again what may have changed on disk.
    Hangup,
    /// SIGINT: somebody at the terminal wants an end.
    Interrupt,
    /// SIGTERM: a supervisor wants an end.
    Terminate,
}

/// The signals sent to this process, one after the other, as they come.
///
/// From its making on they no longer end the process by themselves. [`Iterator::next`] blocks,
/// so this belongs on a thread of its own; it gives `None` after [`Closer::close`].
#[derive(Debug)]
pub struct Signals(Caught);

/// Ends a wait for signals from another thread.
#[derive(Clone, Debug)]
pub struct Closer(Handle);

impl Signals {
    /// Begins to catch.
    pub fn catch() -> io::Result<Self> {
        Caught::new([SIGHUP, SIGINT, SIGTERM]).map(Self)
    }

    /// What ends the wait.
    pub fn closer(&self) -> Closer {
        Closer(self.0.handle())
    }
}

impl Iterator for Signals {
    type Item = Signal;

    fn next(&mut self) -> Option<Signal> {
        self.0.forever().find_map(|number| match number {
            SIGHUP => Some(Signal::Hangup),
            SIGINT => Some(Signal::Interrupt),
            SIGTERM => Some(Signal::Terminate),
            _ => None,
        })
    }
}

impl Closer {
    /// Lets [`Signals`] end.
    pub fn close(&self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;

    #[test]
    fn signals_are_told_until_they_are_closed() {
        let mut signals = Signals::catch().unwrap();
        raise(SIGHUP).unwrap();
        assert_eq!(signals.next(), Some(Signal::Hangup));
        raise(SIGTERM).unwrap();
        assert_eq!(signals.next(), Some(Signal::Terminate));
        signals.closer().close();
        assert_eq!(signals.next(), None);
    }
}
