//! What really happened, as the services of all workers saw it: what the clients' claims are held
//! against.

use corecast::base::Map;
use corecast::session::CloseReason;

/// One connection of a client, never used twice.
pub type Conn = u32;

/// Where a publication stands in the order of the worker that accepted it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Acceptance {
    pub topic: u64,
    pub worker: usize,
    /// Counted for each topic and worker from 0.
    pub number: u64,
}

/// The truth of one history.
#[derive(Debug, Default)]
pub struct Journal {
    publications: Map<(Conn, u64), Acceptance>,
    counts: Map<(u64, usize), u64>,
    /// Upgrades that a service accepted, and how many of those have been opened.
    pub accepted: u64,
    pub opened: u64,
    pub closed: u64,
    /// Connections that have ended and were not looked at yet.
    pub endings: Vec<(Conn, CloseReason)>,
    /// What a service has seen that nobody said.
    pub garbled: Option<String>,
}

impl Journal {
    /// Notes that `worker` accepted the publication `seq` of `publisher`.
    pub fn accept(&mut self, publisher: Conn, seq: u64, topic: u64, worker: usize) {
        let count = self.counts.entry((topic, worker)).or_default();
        let acceptance = Acceptance { topic, worker, number: *count };
        *count += 1;
        if self.publications.insert((publisher, seq), acceptance).is_some() {
            self.garbled = Some(format!("{publisher} published {seq} twice"));
        }
    }

    /// What became of a publication, if a worker accepted it.
    pub fn publication(&self, publisher: Conn, seq: u64) -> Option<Acceptance> {
        self.publications.get(&(publisher, seq)).copied()
    }

    /// How many publications of `topic` a worker has accepted.
    pub fn count(&self, topic: u64, worker: usize) -> u64 {
        self.counts.get(&(topic, worker)).copied().unwrap_or(0)
    }
}
