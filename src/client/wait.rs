//! Waiting: for files to be ready, and for the clock, which is read nowhere else in the client.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What a file is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Interest {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Interest {
    const READ: Self = Self { read: true, write: false };

    /// Whether it is one at all. A file that has ended is ready for none, again and again.
    const fn is_any(self) -> bool {
        self.read || self.write
    }

    fn flags(self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.read);
        flags.set(PollFlags::OUT, self.write);
        flags
    }
}

/// When waiting ends that lasts `timeout` from now.
#[allow(clippy::disallowed_methods)] // the one place where a client looks at the clock
pub fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout
}

/// How long it is until `deadline`; nothing once it has passed.
pub(super) fn left(deadline: Instant) -> Option<Duration> {
    Some(deadline.saturating_duration_since(self::deadline(Duration::ZERO)))
        .filter(|left| !left.is_zero())
}

/// Blocks until `file` is ready for its interest, or one of `others` has something to read, or
/// `deadline` has passed; tells which are ready. An end and a fault are something to read.
///
/// A signal may end it too.
pub(super) fn wait<const N: usize>(
    (file, interest): (BorrowedFd<'_>, Interest),
    others: [Option<BorrowedFd<'_>>; N],
    deadline: Option<Instant>,
) -> io::Result<(bool, [bool; N])> {
    let others_polled = others.iter().flatten().map(|other| (*other, Interest::READ));
    let polled = interest.is_any().then_some((file, interest)).into_iter().chain(others_polled);
    let mut polled: Vec<_> =
        polled.map(|(file, it)| PollFd::from_borrowed_fd(file, it.flags())).collect();
    let time = deadline.map(|deadline| left(deadline).unwrap_or_default());
    let time = time.map(|time| Timespec::try_from(time).map_err(io::Error::other)).transpose()?;
    match poll(&mut polled, time.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = polled.iter().map(|polled| !polled.revents().is_empty());
    let mut is_ready = |is_polled: bool| is_polled && ready.next().unwrap_or_default();
    let file_is_ready = is_ready(interest.is_any());
    Ok((file_is_ready, others.map(|other| is_ready(other.is_some()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    const NONE: Interest = Interest { read: false, write: false };

    #[test]
    fn who_is_ready_is_told_apart_from_who_is_not() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (silent, _other) = UnixStream::pair().unwrap();
        far.write_all(b"x").unwrap();
        let others = [Some(silent.as_fd()), None, Some(near.as_fd())];
        let ready = wait((silent.as_fd(), Interest::READ), others, None).unwrap();
        assert_eq!(ready, (false, [false, false, true]));
        let room = Interest { read: true, write: true };
        assert_eq!(wait((silent.as_fd(), room), [None], None).unwrap(), (true, [false]));
        let ready = wait((near.as_fd(), NONE), [Some(near.as_fd())], None).unwrap();
        assert_eq!(ready, (false, [true]));
    }

    #[test]
    fn a_deadline_ends_the_waiting() {
        let (silent, _other) = UnixStream::pair().unwrap();
        let soon = deadline(Duration::from_millis(1));
        while left(soon).is_some() {
            let ready = wait((silent.as_fd(), Interest::READ), [None], Some(soon)).unwrap();
            assert_eq!(ready, (false, [false]));
        }
        assert_eq!(left(soon), None);
    }
}
