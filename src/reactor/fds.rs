//! Open files: how many there may be, and how many workers a number of connections takes.
//!
//! The system limits the files of a *table*. A process has one, unless a thread asks for its own
//! (Linux), and then the limit counts for each. Whoever shares descriptors between threads must
//! not ask: after [`take_own_table`] a number names another file in each table.
//!
//! ```text
//!  one table:     connections + what each worker opens + the reserve      <= limit
//!  a table each:  the largest share of the connections + the same, once   <= limit
//! ```

use std::fmt;
use std::io;

/// What a table usually keeps for all that is neither a connection nor a loop's own: the three
/// standard streams, the log, the reading of certificates, the admin listener and those who ask it.
pub const RESERVE: u64 = 64;

/// How many files of a table of `limit` no caller gets: less than the `reserve`, so that all
/// connections that there is room for come in, and more than loops that accept at one instant.
pub(super) fn margin(limit: u64, reserve: u64) -> u64 {
    (limit / 8).min(reserve / 2)
}

/// The wait and the wake of a loop. Every table has those of all workers.
const FILES_PER_POLLER: u64 = 2;

/// The descriptor that is spared for turning away.
const SPARE: u64 = 1;

/// Beyond this many standard deviations no share of a kernel's spreading by hash has been seen.
const SHARE_DEVIATIONS: u64 = 6;

/// The limit of open files, before and after [`raise_limit`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    /// What it was.
    pub before: u64,
    /// What it is now.
    pub now: u64,
}

/// Raises the soft limit of open files as far as the system lets us without privileges.
pub fn raise_limit() -> io::Result<Limit> {
    let (soft, hard) = limits()?;
    if soft < hard && set_soft_limit(hard, hard).is_err() {
        // macOS says that there is no limit and takes no more than this.
        let most = hard.min(10_240);
        if soft < most {
            set_soft_limit(most, hard)?;
        }
    }
    Ok(Limit { before: soft, now: limits()?.0 })
}

/// The soft and the hard limit of open files.
pub(super) fn limits() -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: The call writes one `rlimit`, to the place that is borrowed for it.
    #[allow(unsafe_code)]
    let outcome = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if outcome == 0 {
        Ok((limit.rlim_cur, limit.rlim_max))
    } else {
        Err(io::Error::last_os_error())
    }
}

pub(super) fn set_soft_limit(soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: The call reads one `rlimit`, from the place that is borrowed for it.
    #[allow(unsafe_code)]
    let outcome = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether threads of this system can have tables of their own.
pub const HAS_OWN_TABLES: bool = cfg!(target_os = "linux");

/// Gives the calling thread its own table: a copy, in which all that is open now stays open.
///
/// A file that another thread closes later stays open in the copy. So pollers are made before,
/// and listeners and connections after.
#[cfg(target_os = "linux")]
pub fn take_own_table() -> io::Result<()> {
    // SAFETY: The call touches no memory. It changes which file a number names in other threads'
    // future only, and no thread of ours uses a number that another one opened afterwards.
    #[allow(unsafe_code)]
    let outcome = unsafe { libc::unshare(libc::CLONE_FILES) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gives the calling thread its own table, which this system cannot do.
#[cfg(not(target_os = "linux"))]
pub fn take_own_table() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What is asked of the open files.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// How many connections shall be open at once.
    pub connections: u64,
    /// How many addresses each worker listens at.
    pub listeners: u64,
    /// How many files a table may hold.
    pub limit: u64,
    /// How many of them no connection gets.
    pub reserve: u64,
    /// How many workers there are at least, one a core; more are started by the same number
    /// again, so that the cores have the same to do.
    pub workers_min: u64,
    /// How many there may be.
    pub workers_max: u64,
    /// Whether workers may have tables of their own.
    pub may_split: bool,
}

/// How the demand is met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    /// How many workers to start.
    pub workers: u64,
    /// Whether each takes its own table.
    pub has_own_tables: bool,
}

/// A number of connections that the open files do not allow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooMany {
    /// How many were asked for.
    pub connections: u64,
    /// How many are possible.
    pub possible: u64,
    /// How many files a table may hold.
    pub limit: u64,
}

impl Demand {
    /// The smallest number of workers that holds all connections, with one table if that is enough.
    pub fn plan(&self) -> Result<Layout, TooMany> {
        self.layouts().find(|layout| self.capacity(layout) >= self.connections).ok_or_else(|| {
            let possible = self.layouts().map(|layout| self.capacity(&layout)).max().unwrap_or(0);
            TooMany { connections: self.connections, possible, limit: self.limit }
        })
    }

    /// How many connections `layout` surely holds, however the system spreads them.
    pub fn capacity(&self, layout: &Layout) -> u64 {
        let own = self.listeners + SPARE;
        let pollers = FILES_PER_POLLER * layout.workers;
        if layout.has_own_tables {
            let room = self.limit.saturating_sub(self.reserve + pollers + own);
            layout.workers * share_in(room)
        } else {
            self.limit.saturating_sub(self.reserve + pollers + own * layout.workers)
        }
    }

    /// What may be tried, cheapest first.
    fn layouts(&self) -> impl Iterator<Item = Layout> {
        let step = usize::try_from(self.workers_min.max(1)).unwrap_or(usize::MAX);
        let split_max = if self.may_split { self.workers_max } else { 0 };
        let together = Layout { workers: self.workers_min, has_own_tables: false };
        let split = (self.workers_min..=split_max).step_by(step);
        let split = split.map(|workers| Layout { workers, has_own_tables: true });
        std::iter::once(together).chain(split)
    }
}

/// The largest even share whose uneven part still fits into `room`.
///
/// A kernel spreads connections by a hash, so a share of n varies by about the root of n.
fn share_in(room: u64) -> u64 {
    room.saturating_sub(SHARE_DEVIATIONS * room.isqrt())
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, possible, limit } = self;
        write!(
            f,
            "{connections} connections are not possible: with a limit of {limit} open files it is \
             {possible} at most (raise the hard limit with `ulimit -Hn`, or ask for fewer)"
        )
    }
}

impl std::error::Error for TooMany {}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMAND: Demand = Demand {
        connections: 100_000,
        listeners: 2,
        limit: 20_000,
        reserve: RESERVE,
        workers_min: 2,
        workers_max: 256,
        may_split: true,
    };

    fn plan(connections: u64) -> Result<Layout, TooMany> {
        Demand { connections, ..DEMAND }.plan()
    }

    #[test]
    fn few_connections_share_one_table() {
        assert_eq!(plan(0), Ok(Layout { workers: 2, has_own_tables: false }));
        assert_eq!(plan(19_900), Ok(Layout { workers: 2, has_own_tables: false }));
    }

    #[test]
    fn more_than_a_table_holds_are_split() {
        assert_eq!(plan(20_000), Ok(Layout { workers: 2, has_own_tables: true }));
        assert_eq!(plan(100_000), Ok(Layout { workers: 6, has_own_tables: true }));
    }

    #[test]
    fn the_last_connection_that_fits_fits() {
        let layout = Layout { workers: 2, has_own_tables: false };
        let most = DEMAND.capacity(&layout);
        assert_eq!(most, 20_000 - 64 - 2 * (2 + 2 + 1));
        assert_eq!(plan(most), Ok(layout));
        assert_ne!(plan(most + 1), Ok(layout));
    }

    #[test]
    fn what_is_kept_back_is_kept_from_connections() {
        let layout = Layout { workers: 2, has_own_tables: false };
        for reserve in [63, 64, 65] {
            let demand = Demand { reserve, ..DEMAND };
            assert_eq!(demand.capacity(&layout), 20_000 - reserve - 2 * (2 + 2 + 1));
        }
    }

    #[test]
    fn callers_are_turned_away_before_the_reserve_is_used_up() {
        for (limit, reserve, kept) in [(20_000, 64, 32), (100, 64, 12), (20_000, 1_000, 500)] {
            assert_eq!(margin(limit, reserve), kept);
        }
    }

    #[test]
    fn a_share_with_its_unevenness_fits_into_the_table() {
        for room in [0, 1, 30, 36, 37, 1_000, 19_900, 1_000_000] {
            let share = share_in(room);
            assert!(share + SHARE_DEVIATIONS * share.isqrt() <= room, "room {room}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_could() {
        let asked = Demand { workers_max: 4, ..DEMAND };
        let refusal = asked.plan().unwrap_err();
        assert!(refusal.possible < 80_000);
        assert!(Demand { connections: refusal.possible, ..asked }.plan().is_ok());
        assert!(refusal.to_string().starts_with("100000 connections are not possible"));
    }

    #[test]
    fn without_tables_of_their_own_more_workers_do_not_help() {
        let refusal = Demand { may_split: false, ..DEMAND }.plan().unwrap_err();
        assert_eq!(refusal.possible, 19_926);
    }

    #[test]
    fn a_limit_smaller_than_the_reserve_holds_nobody() {
        let refusal = Demand { limit: 10, ..DEMAND }.plan().unwrap_err();
        assert_eq!(refusal.possible, 0);
    }

    #[test]
    fn the_soft_limit_rises_to_the_hard_one() {
        let limit = raise_limit().unwrap();
        assert!(limit.before <= limit.now);
        assert_eq!(raise_limit().unwrap().before, limit.now);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_opened_in_an_own_table_is_not_seen_by_others() {
        use crate::reactor::alone::run_alone;
        // Alone, since the copy would hold open what other tests close.
        let this = "reactor::fds::tests::a_file_opened_in_an_own_table_is_not_seen_by_others";
        run_alone(this, open_in_an_own_table);
    }

    #[cfg(target_os = "linux")]
    fn open_in_an_own_table() {
        use std::fs::{File, read_link};
        use std::os::fd::AsRawFd;
        use std::sync::Barrier;

        let [opened, looked] = [(); 2].map(|()| Barrier::new(2));
        let number = File::open("/dev/null").unwrap().as_raw_fd();
        let name = || read_link(format!("/proc/thread-self/fd/{number}"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                take_own_table().unwrap();
                let file = File::open("/dev/zero").unwrap();
                assert_eq!(file.as_raw_fd(), number);
                assert_eq!(name().unwrap().to_str(), Some("/dev/zero"));
                opened.wait();
                looked.wait();
            });
            opened.wait();
            assert!(name().is_err());
            looked.wait();
        });
    }
}
