//! A connection in memory: two ends, a bounded buffer each way, and the faults of a network.
// Each test uses the faults it needs, which are independent of each other.
#![allow(dead_code, clippy::struct_excessive_bools)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;

use corecast::base::Stream;

/// One direction of a connection.
#[derive(Debug, Default)]
struct Lane {
    bytes: VecDeque<u8>,
    /// What the lane holds before a writer has to wait.
    capacity: usize,
    /// The most that one read or write moves.
    chunk: usize,
    /// Whether a full lane takes bytes all the same, and loses them.
    leaks: bool,
    /// Whether a write that is taken in part is told as less than was taken.
    repeats: bool,
    /// Whether a write that is taken in part is told as more than was taken.
    swallows: bool,
    /// Whether the next read or write is interrupted.
    interrupts: bool,
    /// Whether the last write was not taken whole.
    owes: bool,
    finished: bool,
    /// Whether the writer has let go of the connection.
    dropped: bool,
    reset: bool,
}

impl Lane {
    fn check(&mut self) -> io::Result<()> {
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if std::mem::take(&mut self.interrupts) {
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(())
    }
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
            let lane = Lane { capacity, chunk: usize::MAX, ..Lane::default() };
            Rc::new(RefCell::new(lane))
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

    /// Whether reads and writes move less than they could.
    pub(crate) fn is_chunked(&self) -> bool {
        self.outgoing.borrow().chunk < usize::MAX
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

    /// Interrupts the other end's next read and its next write.
    pub(crate) fn interrupt(&self) {
        self.incoming.borrow_mut().interrupts = true;
        self.outgoing.borrow_mut().interrupts = true;
    }

    /// Makes this end lose what there is no room for, instead of waiting.
    pub(crate) fn leak(&self) {
        self.outgoing.borrow_mut().leaks = true;
    }

    /// Makes this end tell of a write that there is not room for one byte less than it took.
    pub(crate) fn repeat(&self) {
        self.outgoing.borrow_mut().repeats = true;
    }

    /// Makes this end tell of a write that there is not room for one byte more than it took.
    pub(crate) fn swallow(&self) {
        self.outgoing.borrow_mut().swallows = true;
    }

    /// How many bytes wait to be read here.
    pub(crate) fn readable(&self) -> usize {
        self.incoming.borrow().bytes.len()
    }

    /// How many bytes the other end has not read yet.
    pub(crate) fn unread(&self) -> usize {
        self.outgoing.borrow().bytes.len()
    }

    /// Whether the other end has ended its writing.
    pub(crate) fn is_ended(&self) -> bool {
        let lane = self.incoming.borrow();
        lane.finished || lane.reset
    }

    /// Whether the other end has let go of the connection.
    pub(crate) fn is_dropped(&self) -> bool {
        self.incoming.borrow().dropped
    }

    /// Whether the last write of the other end was not taken whole.
    pub(crate) fn is_owed(&self) -> bool {
        self.incoming.borrow().owes
    }

    /// Reads all that waits.
    pub(crate) fn drain(&self) -> Vec<u8> {
        self.take(usize::MAX)
    }

    /// Reads what waits, `len` bytes at most.
    pub(crate) fn take(&self, len: usize) -> Vec<u8> {
        let mut lane = self.incoming.borrow_mut();
        let len = len.min(lane.bytes.len());
        lane.bytes.drain(..len).collect()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if Rc::strong_count(&self.alive) == 1 {
            let mut lane = self.outgoing.borrow_mut();
            lane.finished = true;
            lane.dropped = true;
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut lane = self.incoming.borrow_mut();
        lane.check()?;
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
        if self.is_dropped() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let mut lane = self.outgoing.borrow_mut();
        lane.check()?;
        let free = lane.capacity.saturating_sub(lane.bytes.len());
        let len = bytes.len().min(free).min(lane.chunk);
        if lane.leaks {
            lane.bytes.extend(bytes.iter().take(len));
            return Ok(bytes.len());
        }
        lane.owes = len < bytes.len();
        if len == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        lane.bytes.extend(bytes.iter().take(len));
        let forgotten = usize::from(lane.repeats && lane.owes && len > 1);
        let swallowed = usize::from(lane.swallows && lane.owes);
        Ok(len - forgotten + swallowed)
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
