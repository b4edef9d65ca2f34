//! A connection in memory: two ends, a bounded buffer each way, and the faults of a network.

// Each test uses the faults it needs.
#![allow(dead_code, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;

use corecast::base::Stream;

/// One direction of a connection.
#[derive(Debug)]
struct Lane {
    bytes: VecDeque<u8>,
    /// What the lane holds before a writer has to wait.
    capacity: usize,
    /// The most that one read or write moves.
    chunk: usize,
    finished: bool,
    reset: bool,
}

/// One end of a connection in memory. Never blocks.
#[derive(Clone, Debug)]
pub(crate) struct Pipe {
    incoming: Rc<RefCell<Lane>>,
    outgoing: Rc<RefCell<Lane>>,
    /// Dropping the last handle of an end ends its direction, as closing a socket does.
    alive: Rc<()>,
}

impl Pipe {
    /// Both ends of a connection whose directions hold `capacity` bytes each.
    pub(crate) fn pair(capacity: usize) -> (Self, Self) {
        let lane = || {
            let chunk = usize::MAX;
            let bytes = VecDeque::new();
            Rc::new(RefCell::new(Lane { bytes, capacity, chunk, finished: false, reset: false }))
        };
        let (there, back) = (lane(), lane());
        let end = |incoming: &Rc<RefCell<Lane>>, outgoing: &Rc<RefCell<Lane>>| Self {
            incoming: Rc::clone(incoming),
            outgoing: Rc::clone(outgoing),
            alive: Rc::new(()),
        };
        (end(&there, &back), end(&back, &there))
    }

    /// Lets one read or write of this end move `bytes` at most from now on.
    pub(crate) fn set_chunk(&self, bytes: usize) {
        self.incoming.borrow_mut().chunk = bytes;
        self.outgoing.borrow_mut().chunk = bytes;
    }

    /// Changes how much the other end may have written that this one has not read.
    pub(crate) fn set_capacity(&self, bytes: usize) {
        self.incoming.borrow_mut().capacity = bytes;
    }

    /// Breaks the connection for both ends.
    pub(crate) fn reset(&self) {
        self.incoming.borrow_mut().reset = true;
        self.outgoing.borrow_mut().reset = true;
    }

    /// How many bytes wait to be read here.
    pub(crate) fn readable(&self) -> usize {
        self.incoming.borrow().bytes.len()
    }

    /// Whether the other end has ended its writing.
    pub(crate) fn is_ended(&self) -> bool {
        let lane = self.incoming.borrow();
        lane.finished || lane.reset
    }

    /// Reads all that waits.
    pub(crate) fn drain(&self) -> Vec<u8> {
        self.incoming.borrow_mut().bytes.drain(..).collect()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if Rc::strong_count(&self.alive) == 1 {
            self.outgoing.borrow_mut().finished = true;
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut lane = self.incoming.borrow_mut();
        if lane.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if lane.bytes.is_empty() && !lane.finished {
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = out.len().min(lane.bytes.len()).min(lane.chunk);
        for (to, from) in out.iter_mut().zip(lane.bytes.drain(..len)) {
            *to = from;
        }
        Ok(len)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lane = self.outgoing.borrow_mut();
        if lane.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let free = lane.capacity.saturating_sub(lane.bytes.len());
        let len = bytes.len().min(free).min(lane.chunk);
        if len == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        lane.bytes.extend(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Pipe {
    fn finish(&mut self) -> io::Result<()> {
        self.outgoing.borrow_mut().finished = true;
        Ok(())
    }
}
