//! The network between one client and its worker.

use std::collections::VecDeque;
use std::io::Write;
use std::time::{Duration, Instant};

use corecast::base::{Key, Readiness};

use super::pipe::Pipe;

/// A connection as its client holds it: the pipe, what is on the way, and what the worker has not
/// been told of it yet.
pub struct Wire {
    pub worker: usize,
    pub key: Key,
    pub pipe: Pipe,
    in_flight: VecDeque<u8>,
    /// Whether the client's writing ends behind what is in flight.
    finishing: bool,
    finished: bool,
    /// What the loop knows and has not told the worker.
    edges: Readiness,
    /// When bytes last arrived.
    pub delivered_at: Instant,
    /// When the worker was last told that there is something to read. It may be stopped meanwhile.
    told_at: Instant,
    /// The longest for which none did, before that.
    silence_max: Duration,
    delivered: u64,
    /// Where each message in flight or unread ends, counted from the first byte.
    ends: VecDeque<u64>,
    written: u64,
    /// Since when the worker has had a part of a message, and where that message begins.
    partial: Option<(u64, Instant)>,
    last_end: u64,
    /// The longest that the worker has had a part of one message.
    pub partial_max: Duration,
}

impl Wire {
    pub fn new(worker: usize, key: Key, pipe: Pipe, now: Instant) -> Self {
        Self {
            worker,
            key,
            pipe,
            in_flight: VecDeque::new(),
            finishing: false,
            finished: false,
            edges: Readiness::default(),
            delivered_at: now,
            told_at: now,
            silence_max: Duration::ZERO,
            delivered: 0,
            ends: VecDeque::new(),
            written: 0,
            partial: None,
            last_end: 0,
            partial_max: Duration::ZERO,
        }
    }

    /// Puts bytes on their way; `whole` if a message ends with them.
    pub fn write(&mut self, bytes: &[u8], whole: bool) {
        if bytes.is_empty() {
            return;
        }
        self.in_flight.extend(bytes);
        self.written += bytes.len() as u64;
        if whole {
            self.ends.push_back(self.written);
        }
    }

    /// Ends the client's writing, behind what is on its way.
    pub const fn finish(&mut self) {
        self.finishing = true;
    }

    /// The longest for which the worker has ever been told of nothing.
    pub fn silence_before(&self, now: Instant) -> Duration {
        self.silence_max.max(now - self.told_at)
    }

    /// Whether something of the client is on its way.
    pub fn is_underway(&self) -> bool {
        !self.in_flight.is_empty() || (self.finishing && !self.finished)
    }

    /// Lets up to `len` bytes arrive. Returns how many did.
    pub fn deliver(&mut self, len: usize, now: Instant) -> usize {
        if self.pipe.is_dropped() {
            self.in_flight.clear();
            self.finished = self.finishing;
            return 0;
        }
        let (front, _) = self.in_flight.as_slices();
        let front = &front[..len.min(front.len())];
        let arrived = self.pipe.write(front).unwrap_or(0);
        self.in_flight.drain(..arrived);
        self.delivered += arrived as u64;
        if arrived > 0 {
            self.delivered_at = now;
            self.note(Readiness::READABLE);
        }
        if self.finishing && !self.finished && self.in_flight.is_empty() {
            self.finished = true;
            let _ = corecast::base::Stream::finish(&mut self.pipe);
            self.note(Readiness::READABLE | Readiness::ENDED);
        }
        arrived
    }

    /// Reads up to `len` bytes, which makes room for a worker that waits for it.
    pub fn read(&mut self, len: usize) -> Vec<u8> {
        let bytes = self.pipe.take(len);
        if !bytes.is_empty() && self.pipe.is_owed() {
            self.note(Readiness::WRITABLE);
        }
        bytes
    }

    /// Tells the worker of what a read has left behind.
    pub fn tell_rest(&mut self) {
        if self.pipe.is_chunked() && self.pipe.unread() > 0 {
            self.note(Readiness::READABLE);
        }
    }

    /// Breaks the connection.
    pub fn reset(&mut self) {
        self.pipe.reset();
        self.in_flight.clear();
        self.note(Readiness::READABLE | Readiness::WRITABLE | Readiness::ENDED);
    }

    /// Adds to what the worker is to be told.
    pub fn note(&mut self, readiness: Readiness) {
        self.edges = self.edges | readiness;
    }

    /// Takes note that the worker is told of what it is to be told.
    pub fn tell(&mut self, now: Instant) {
        if self.take_edges().is_readable() {
            self.silence_max = self.silence_before(now);
            self.told_at = now;
        }
    }

    /// What the worker is to be told, which is as good as told.
    pub fn take_edges(&mut self) -> Readiness {
        std::mem::take(&mut self.edges)
    }

    /// What the worker is to be told.
    pub const fn edges(&self) -> Readiness {
        self.edges
    }

    /// Whether the worker has read all that was ever written.
    pub fn is_read(&self) -> bool {
        self.delivered == self.written && self.pipe.unread() == 0
    }

    /// Notes after a turn of the worker how long it has had a part of a message.
    pub fn date(&mut self, now: Instant) {
        let read = self.delivered - self.pipe.unread() as u64;
        while self.ends.front().is_some_and(|end| *end <= read) {
            self.last_end = self.ends.pop_front().unwrap_or(self.last_end);
        }
        self.partial = match self.partial {
            Some((start, since)) if start == self.last_end && read > start => Some((start, since)),
            _ if read > self.last_end => Some((self.last_end, now)),
            _ => None,
        };
        if let Some((_, since)) = self.partial {
            self.partial_max = self.partial_max.max(now - since);
        }
    }
}
