//! A worker's place among the others: what its fleet hears of the coordinator.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::message::{Note, Order, Published};
use crate::fleet::{Accord, Glance};
use crate::run::clock;

/// How often a worker says that it is alive.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How long a stop may take to be noticed.
const TICK: Duration = Duration::from_millis(100);

/// Where a fleet asks what the others do.
pub(super) struct Seat {
    notes: Sender<Note>,
    orders: Receiver<Order>,
    /// What the worker's clock counts from.
    base: Instant,
    stop: Arc<AtomicBool>,
    progress_due: Instant,
    has_listened: bool,
    has_hushed: bool,
}

impl Seat {
    /// A seat that says `notes` and hears `orders`, whose clock counts from `base`.
    pub(super) fn new(
        notes: Sender<Note>,
        orders: Receiver<Order>,
        base: Instant,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let (has_listened, has_hushed) = (false, false);
        Self { notes, orders, base, stop, progress_due: base, has_listened, has_hushed }
    }

    /// Says something. If nobody hears it any more, the run is stopped already.
    fn say(&self, note: Note) {
        let _ = self.notes.send(note);
    }

    fn progress(&mut self, open: u64, pending: u64) {
        let now = clock();
        if self.progress_due <= now {
            self.progress_due = now + PROGRESS_INTERVAL;
            self.say(Note::Progress { open, pending });
        }
    }

    fn moment(&self, at_ns: u64) -> Instant {
        self.base + Duration::from_nanos(at_ns)
    }
}

impl Accord for Seat {
    fn start(&mut self) -> io::Result<Instant> {
        let stopped =
            || io::Error::new(io::ErrorKind::Interrupted, "it was stopped before it began");
        self.say(Note::Ready);
        let mut start = None;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            self.progress(0, 0);
            let now = clock();
            let left = start.map(|start: Instant| start.saturating_duration_since(now));
            match start {
                Some(start) if start <= now => return Ok(start),
                _ => {}
            }
            match self.orders.recv_timeout(left.unwrap_or(TICK).min(TICK)) {
                Ok(Order::Start { at_ns }) => start = Some(self.moment(at_ns)),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(stopped()),
            }
        }
    }

    fn glance(&mut self, glance: &Glance<'_>) {
        self.progress(glance.books.open(), glance.books.pending());
    }

    fn speak_at(&mut self) -> Option<Instant> {
        if !self.has_listened {
            self.has_listened = true;
            self.say(Note::Listening);
        }
        match self.orders.try_recv() {
            Ok(Order::Hold { at_ns }) => Some(self.moment(at_ns)),
            _ => None,
        }
    }

    fn published_by_all(&mut self, ours: Published) -> Option<Published> {
        if !self.has_hushed {
            self.has_hushed = true;
            self.say(Note::Hushed { published: ours });
        }
        match self.orders.try_recv() {
            Ok(Order::Settle { published }) => Some(published),
            _ => None,
        }
    }
}
