//! What an operator or a supervisor tells a process without a connection.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Caught;
use signal_hook::low_level::pipe;
use std::io;
use std::os::unix::net::UnixStream;

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
/// so this belongs on a thread of its own.
#[derive(Debug)]
pub struct Signals(Caught);

impl Signals {
    /// Begins to catch.
    pub fn catch() -> io::Result<Self> {
        Caught::new([SIGHUP, SIGINT, SIGTERM]).map(Self)
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

/// A stream that has something to read once somebody wants an end (SIGINT, SIGTERM), for who waits
/// for other things as well. From then on they no longer end the process by themselves.
pub fn interrupts() -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    pipe::register(SIGINT, write.try_clone()?)?;
    pipe::register(SIGTERM, write)?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;

    #[test]
    fn signals_are_told_as_they_come() {
        let mut signals = Signals::catch().unwrap();
        raise(SIGHUP).unwrap();
        assert_eq!(signals.next(), Some(Signal::Hangup));
        raise(SIGTERM).unwrap();
        assert_eq!(signals.next(), Some(Signal::Terminate));
    }
}
