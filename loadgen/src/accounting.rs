//! Every attempt has an end: opened, failed by class, or pending.

use std::collections::BTreeMap;

/// Why an attempt did not become an open connection.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Failure {
    /// Nobody listens there.
    Refused,
    /// It was not open in time.
    TimedOut,
    /// The server reset it.
    Reset,
    /// The server closed it before it was open.
    Closed,
    /// TLS did not come to stand, for this reason.
    Tls(&'static str),
    /// The server answered the upgrade with this status.
    Http(u16),
    /// The answer to the upgrade was none of HTTP or WebSocket.
    Upgrade,
    /// No free address and port were left on our side.
    Ports,
    /// Our own table of files was full.
    Files,
    /// The run ended before it was open.
    Abandoned,
    /// Any other error of the system.
    Other,
}

impl Failure {
    /// The name it has in a report.
    pub fn name(self) -> String {
        let name = match self {
            Self::Refused => "refused",
            Self::TimedOut => "timeout",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Tls(reason) => return format!("tls {reason}"),
            Self::Http(status) => return format!("http {status}"),
            Self::Upgrade => "upgrade",
            Self::Ports => "ports",
            Self::Files => "files",
            Self::Abandoned => "abandoned",
            Self::Other => "other",
        };
        name.to_owned()
    }
}

impl From<&std::io::Error> for Failure {
    fn from(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                Self::Reset
            }
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => Self::Ports,
            _ if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => Self::Files,
            _ => Self::Other,
        }
    }
}

/// Why an open connection ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Closure {
    /// We closed it at the end of the run.
    Ours,
    /// It left in the middle of a trial, as the scenario says.
    Planned,
    /// The server said a close frame with this code (1005 for none).
    Server(u16),
    /// The server ended the stream without a word.
    ServerEnd,
    /// The server reset it, or the system found it dead.
    ServerReset,
    /// The server broke the protocol and we closed it.
    Fault,
    /// The server did not read what we sent until we gave it up.
    Stalled,
    /// The server gave up one that read slowly, with this code (1005 for none).
    Slow(u16),
    /// The same without a word.
    SlowEnd,
    /// The same with a reset.
    SlowReset,
}

impl Closure {
    /// Whether the server ended it, and not we or because it read slowly.
    pub const fn is_unexpected(self) -> bool {
        !matches!(self, Self::Ours | Self::Planned) && !self.is_of_slow()
    }

    /// Whether the server gave up one that read slowly.
    pub const fn is_of_slow(self) -> bool {
        matches!(self, Self::Slow(_) | Self::SlowEnd | Self::SlowReset)
    }

    /// The same, of a connection that read slowly.
    pub const fn of_slow(self) -> Self {
        match self {
            Self::Server(code) => Self::Slow(code),
            Self::ServerEnd => Self::SlowEnd,
            Self::ServerReset => Self::SlowReset,
            other => other,
        }
    }

    /// The name it has in a report.
    pub fn name(self) -> String {
        match self {
            Self::Ours => "ours".to_owned(),
            Self::Planned => "planned".to_owned(),
            Self::Server(code) => format!("server {code}"),
            Self::ServerEnd => "server end".to_owned(),
            Self::ServerReset => "server reset".to_owned(),
            Self::Fault => "protocol fault".to_owned(),
            Self::Stalled => "server stalled".to_owned(),
            Self::Slow(code) => format!("slow {code}"),
            Self::SlowEnd => "slow end".to_owned(),
            Self::SlowReset => "slow reset".to_owned(),
        }
    }
}

impl From<&std::io::Error> for Closure {
    fn from(_: &std::io::Error) -> Self {
        Self::ServerReset
    }
}

/// The attempts, and what they came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Accounting {
    /// Begun.
    pub attempted: u64,
    /// Became open.
    pub opened: u64,
    /// Did not.
    pub failed: BTreeMap<Failure, u64>,
    /// Were open, and ended.
    pub closed: BTreeMap<Closure, u64>,
}

impl Accounting {
    /// Counts one failure.
    pub fn fail(&mut self, failure: Failure) {
        *self.failed.entry(failure).or_default() += 1;
    }

    /// Counts one end of an open connection.
    pub fn close(&mut self, closure: Closure) {
        *self.closed.entry(closure).or_default() += 1;
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.attempted += other.attempted;
        self.opened += other.opened;
        for (failure, count) in &other.failed {
            *self.failed.entry(*failure).or_default() += count;
        }
        for (closure, count) in &other.closed {
            *self.closed.entry(*closure).or_default() += count;
        }
    }

    /// How many attempts failed.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// How many connections ended.
    pub fn closures(&self) -> u64 {
        self.closed.values().sum()
    }

    /// How many connections the server ended.
    pub fn unexpected_closures(&self) -> u64 {
        let unexpected = self.closed.iter().filter(|(closure, _)| closure.is_unexpected());
        unexpected.map(|(_, count)| count).sum()
    }

    /// Whether it adds up with the connections that drivers hold: `pending` not yet open, `open`
    /// open. The two numbers are counted on their own, so that an end nobody counted shows.
    pub fn is_balanced(&self, pending: u64, open: u64) -> bool {
        self.attempted == self.opened + self.failures() + pending
            && self.opened == self.closures() + open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error;

    #[test]
    fn an_end_nobody_counted_shows() {
        let mut accounting = Accounting { attempted: 5, opened: 3, ..Accounting::default() };
        accounting.fail(Failure::Refused);
        assert!(accounting.is_balanced(1, 3));
        assert!(!accounting.is_balanced(0, 3), "an attempt vanished");
        assert!(!accounting.is_balanced(1, 2), "an open connection vanished");
        accounting.close(Closure::Server(1001));
        assert!(accounting.is_balanced(1, 2));
    }

    #[test]
    fn a_slow_reader_that_is_given_up_is_no_surprise_but_what_we_do_is_told_as_such() {
        let mut accounting = Accounting::default();
        for closure in [Closure::Server(1008), Closure::ServerReset, Closure::ServerEnd] {
            assert!(closure.is_unexpected());
            accounting.close(closure.of_slow());
        }
        assert_eq!((accounting.closures(), accounting.unexpected_closures()), (3, 0));
        assert_eq!(Closure::Fault.of_slow(), Closure::Fault, "a broken protocol stays one");
    }

    #[test]
    fn merging_adds_class_by_class() {
        let mut one = Accounting { attempted: 2, opened: 1, ..Accounting::default() };
        one.fail(Failure::Http(503));
        one.close(Closure::Ours);
        let mut sum = one.clone();
        sum.merge(&one);
        assert_eq!((sum.attempted, sum.opened, sum.failures()), (4, 2, 2));
        assert_eq!(sum.failed.get(&Failure::Http(503)), Some(&2));
        assert_eq!((sum.closures(), sum.unexpected_closures()), (2, 0));
    }

    #[test]
    fn errors_of_the_system_have_their_class() {
        for (errno, failure) in [
            (libc::ECONNREFUSED, Failure::Refused),
            (libc::ETIMEDOUT, Failure::TimedOut),
            (libc::ECONNRESET, Failure::Reset),
            (libc::EPIPE, Failure::Reset),
            (libc::EADDRNOTAVAIL, Failure::Ports),
            (libc::EADDRINUSE, Failure::Ports),
            (libc::EMFILE, Failure::Files),
            (libc::EIO, Failure::Other),
        ] {
            assert_eq!(Failure::from(&Error::from_raw_os_error(errno)), failure);
        }
    }
}
