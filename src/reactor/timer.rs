//! A timer finer than the system's wait, which counts in whole milliseconds.

#[cfg(target_os = "linux")]
pub(super) use fine::Timer;

#[cfg(not(target_os = "linux"))]
pub(super) use coarse::Timer;

/// A file that becomes readable when its time has come.
#[cfg(target_os = "linux")]
mod fine {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd, RawFd};
    use std::time::Duration;

    /// One timer, which rings in the poller it is watched by.
    #[derive(Debug)]
    pub(in crate::reactor) struct Timer(OwnedFd);

    impl Timer {
        pub(in crate::reactor) fn new() -> io::Result<Option<Self>> {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            Ok(Some(Self(timerfd_create(TimerfdClockId::Monotonic, flags)?)))
        }

        /// Rings once, when `time` has passed, and not for what was set before.
        pub(in crate::reactor) fn set(&self, time: Duration) -> io::Result<()> {
            let once = Timespec { tv_sec: 0, tv_nsec: 0 };
            let it_value = Timespec::try_from(time).map_err(io::Error::other)?;
            let spec = Itimerspec { it_interval: once, it_value };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec)?;
            Ok(())
        }

        /// What the poller watches. It need not be read: setting the timer anew empties it.
        pub(in crate::reactor) fn file(&self) -> RawFd {
            self.0.as_raw_fd()
        }
    }
}

/// Where there is no such file, the wait itself has to do.
#[cfg(not(target_os = "linux"))]
mod coarse {
    use std::io;
    use std::os::fd::RawFd;
    use std::time::Duration;

    /// A timer that there is none of.
    #[derive(Debug)]
    pub(in crate::reactor) enum Timer {}

    impl Timer {
        #[allow(clippy::unnecessary_wraps)] // elsewhere it may fail
        pub(in crate::reactor) fn new() -> io::Result<Option<Self>> {
            Ok(None)
        }

        pub(in crate::reactor) fn set(&self, _: Duration) -> io::Result<()> {
            match *self {}
        }

        pub(in crate::reactor) fn file(&self) -> RawFd {
            match *self {}
        }
    }
}
