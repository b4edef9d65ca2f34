//! How large a server can be here: cores, workers, open files, and so connections.

use std::num::NonZeroUsize;
use std::thread;

use crate::reactor::affinity::{self, Core};
use crate::reactor::fds::{self, Demand, Layout};

use super::{Server, ServerError};

/// A set of workers is a bitmap of so many.
const WORKERS_MAX: u64 = 256;

/// How large a server is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Size {
    /// How many threads serve.
    pub workers: usize,
    /// The cores they stay on, in turn; none where the system does not tell.
    pub cores: Vec<usize>,
    /// How many connections there surely is room for.
    pub connections: u64,
    /// How many files a table may hold.
    pub files: u64,
    /// Whether each worker has its own table of open files.
    pub has_own_tables: bool,
}

/// How many work, and where.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) layout: Layout,
    demand: Demand,
    cores: Vec<Core>,
}

impl Places {
    /// The core that `worker` stays on: they are dealt out in turn.
    pub(super) fn core(&self, worker: usize) -> Option<Core> {
        let place = worker.checked_rem(self.cores.len())?;
        self.cores.get(place).copied()
    }

    /// What is told to whoever asks.
    pub(super) fn size(&self) -> Size {
        Size {
            workers: usize::try_from(self.layout.workers).unwrap_or(usize::MAX),
            cores: self.cores.iter().map(|core| core.number()).collect(),
            connections: self.demand.capacity(&self.layout),
            files: self.demand.limit,
            has_own_tables: self.layout.has_own_tables,
        }
    }
}

impl Server {
    /// Raises the limit of open files and plans what to do with it.
    pub(super) fn places(&self) -> Result<Places, ServerError> {
        let limit = fds::raise_limit().map_err(ServerError::system("raise the file limit"))?.now;
        let mut cores = affinity::cores();
        cores.truncate(self.cores.map_or(usize::MAX, NonZeroUsize::get));
        let demand = self.demand(limit, cores.len());
        let layout = demand.plan().map_err(ServerError::Room)?;
        Ok(Places { layout, demand, cores })
    }

    fn demand(&self, limit: u64, cores: usize) -> Demand {
        let found = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let cores = if cores == 0 { found() } else { cores };
        let cores = self.cores.map_or(cores, |most| most.get().min(cores));
        let exactly = self.workers.map(NonZeroUsize::get);
        let count = |workers: usize| u64::try_from(workers).unwrap_or(WORKERS_MAX).min(WORKERS_MAX);
        Demand {
            connections: self.connections.unwrap_or_default(),
            listeners: count(self.listeners.len()),
            limit,
            reserve: self.limits.spare_files,
            workers_min: count(exactly.unwrap_or(cores)),
            workers_max: exactly.map_or(WORKERS_MAX, count),
            may_split: fds::HAS_OWN_TABLES && self.connections.is_some(),
        }
    }
}
