//! Watches the memory that a server takes, its own and that of the kernel for its sockets.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::cost::{Kernel, Memory};

/// How often the memory is looked at: it takes about a millisecond.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Watches it from time to time.
pub struct Lookout {
    process: Option<String>,
    due: Cell<Instant>,
    worst: Cell<u64>,
    worst_kernel: Cell<u64>,
}

impl Lookout {
    /// Watches `process`, if it is known, and the kernel from `now` on.
    pub fn new(process: Option<u32>, now: Instant) -> Self {
        let process = process.map(|pid| pid.to_string());
        let (worst, worst_kernel) = (Cell::new(0), Cell::new(0));
        Self { process, due: Cell::new(now), worst, worst_kernel }
    }

    /// The memory of the process now.
    pub fn now(&self) -> Option<u64> {
        self.process.as_deref().and_then(Memory::of).map(|memory| memory.pss_bytes)
    }

    /// Looks, if it is time.
    pub fn look(&self, now: Instant) {
        if self.due.get() <= now {
            self.due.set(now + LOOK_INTERVAL);
            self.worst.set(self.worst.get().max(self.now().unwrap_or(0)));
            self.worst_kernel.set(self.worst_kernel.get().max(kernel().unwrap_or(0)));
        }
    }

    /// Begins anew.
    pub fn forget(&self) {
        self.worst.set(0);
        self.worst_kernel.set(0);
    }

    /// The most of the process that was seen since it was told to forget.
    pub fn worst(&self) -> Option<u64> {
        Some(self.worst.get().max(self.now()?))
    }

    /// The most that the kernel was seen to take for the buffers of all sockets of the machine.
    pub fn worst_kernel(&self) -> Option<u64> {
        Some(self.worst_kernel.get().max(kernel()?))
    }
}

/// What the buffers of TCP take now, for both ends where they are on this machine.
fn kernel() -> Option<u64> {
    Kernel::now().map(|kernel| kernel.tcp_bytes)
}
