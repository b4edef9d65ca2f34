//! How late a loop comes round when it has asked to be woken, and nothing else to do: by the same
//! reactor and the same timer that drive connections.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use corecast::base::{Handler, Key, Origin, Readiness, Request};
use corecast::reactor::{Poller, Reactor};

use crate::latency::Latency;
use crate::run;

/// How far apart the wakes are that are asked for.
const INTERVAL: Duration = Duration::from_millis(1);

/// How late wakes were that were asked for until `time` had passed.
///
/// # Errors
///
/// What kept the loop from waiting.
pub fn slip(time: Duration) -> io::Result<Latency> {
    let start = run::clock();
    let mut sleeper =
        Sleeper { due: start + INTERVAL, end: start + time, slip: Latency::default() };
    Reactor::new(Poller::new()?.with_fine_timer()?, Vec::new())?.run(&mut sleeper)?;
    Ok(sleeper.slip)
}

/// Sleeps, and notes how late it was woken.
struct Sleeper {
    due: Instant,
    end: Instant,
    slip: Latency,
}

impl Handler for Sleeper {
    type Stream = TcpStream;

    fn open(&mut self, _: TcpStream, _: Origin, _: Instant) -> Option<Key> {
        None
    }

    fn ready(&mut self, _: Key, _: Readiness, _: Instant) {}

    fn turn(&mut self, _: Instant) {
        let now = run::clock();
        // Every wake that was due counts, also those that one sleep has missed.
        while self.due <= now {
            self.slip.record(now - self.due);
            self.due += INTERVAL;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.due)
    }

    fn poll_request(&mut self) -> Option<Request> {
        (self.due > self.end).then_some(Request::Exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wake_that_was_due_is_counted() {
        let slip = slip(Duration::from_millis(50)).unwrap();
        assert!((49..=51).contains(&slip.n()), "{}", slip.n());
    }
}
