//! A failure of the code that serves: what it costs, and who hears of it.
//!
//! A panic in what is done for one connection ends that connection, with 1011 or 500 where that can
//! still be said. It is counted each time and logged once a second at most, since whoever found
//! out how to cause one will do so again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::world::World;
use super::{CloseReason, Service, Worker};
use crate::base::{Key, Stream};
use crate::http::{Response, Status};
use crate::session::Session;
use crate::ws::CloseCode;

/// How often the log may say that connections were lost.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);

impl<S: Stream, V: Service> Worker<S, V> {
    /// Does something for one connection. If that fails in code of ours, the connection is lost and
    /// the core is not.
    pub(super) fn guard(&mut self, key: Key, act: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| act(self))).is_err() {
            self.world.mourn();
            // What failed once may fail again.
            if catch_unwind(AssertUnwindSafe(|| self.apologize(key))).is_err() {
                self.world.bury(key, CloseReason::Panicked);
            }
        }
    }

    /// Tells a peer that it was our fault, if it can be told, and lets it go.
    fn apologize(&mut self, key: Key) {
        let reason = CloseReason::Panicked;
        let Some(connection) = self.world.connections.get(key) else { return };
        match &connection.session {
            Session::WebSocket(_) => {
                self.world.close(key, CloseCode::INTERNAL, "internal error", reason);
                // It may be amid a message that we have lost, so its close is not awaited.
                self.closed(key);
            }
            Session::Greeting(_) | Session::Upgrading(_) => {
                let mut bytes = Vec::new();
                Response::new(Status::INTERNAL_ERROR).encode(false, true, &mut bytes);
                self.world.end(key, &bytes, reason);
            }
            // The others have no words for it, or no ear any more.
            _ => self.world.bury(key, reason),
        }
    }
}

impl<T> World<T> {
    /// Counts a failure, and logs it unless one was logged just now.
    pub(super) fn mourn(&mut self) {
        self.metrics().panics_total.add(1);
        let is_fresh = |last| self.now.saturating_duration_since(last) < COMPLAINT_INTERVAL;
        if !self.complained.is_some_and(is_fresh) {
            self.complained = Some(self.now);
            let count = self.metrics().panics_total.get();
            log::error!("a connection was lost to a panic while it was served; {count} so far");
        }
    }
}
