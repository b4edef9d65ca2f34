//! What breaks, and what is slow: the network, a client, a worker, the house.

use super::history::History;
use super::plan::usize_of;

/// A fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    /// The connection breaks.
    Reset,
    /// The client ends its writing and still reads.
    HalfClose,
    /// The client is gone without a word.
    Leave,
    /// The client reads nothing for a while.
    Stall,
    /// A system call is interrupted.
    Interrupt,
    /// The buffers of the connection shrink.
    Narrow,
    /// Reads and writes give and take less than they could.
    Short,
    /// From now on the client leaves a close unanswered and the connection open.
    Rudeness,
    /// Bytes that are no TLS, to a worker that expects some.
    Forgery,
    /// A worker takes no turns for a while, as if its thread had been stopped.
    Pause,
    /// Most connections break at once.
    Storm,
    /// The server is told to shut down.
    Drain,
}

impl Fault {
    const ALL: [Self; 12] = [
        Self::Reset,
        Self::HalfClose,
        Self::Leave,
        Self::Stall,
        Self::Interrupt,
        Self::Narrow,
        Self::Short,
        Self::Rudeness,
        Self::Forgery,
        Self::Pause,
        Self::Storm,
        Self::Drain,
    ];

    /// How many times more often it comes than what ends a history.
    const fn weight(self) -> u64 {
        match self {
            Self::Drain => 1,
            Self::Storm => 2,
            Self::Stall => 24,
            Self::Interrupt => 12,
            _ => 6,
        }
    }
}

impl History {
    /// Lets something break; most of it is a client's.
    pub fn fault(&mut self, number: usize) {
        let fault = self.draw_fault();
        self.trace.note(format_args!("fault of {number}: {fault:?}"));
        match fault {
            Fault::Pause => {
                let core = self.below(self.cores.len());
                self.cores[core].paused_until = Some(self.now + self.plan.jump * 20);
            }
            Fault::Storm => {
                for client in 0..self.clients.len() {
                    if self.rng.one_of(3, 4) {
                        self.strike(client, Fault::Reset);
                    }
                }
            }
            Fault::Drain => self.drain(),
            fault => self.strike(number, fault),
        }
    }

    fn draw_fault(&mut self) -> Fault {
        let total = Fault::ALL.into_iter().map(Fault::weight).sum();
        let mut drawn = self.rng.below(total);
        for fault in Fault::ALL {
            if drawn < fault.weight() {
                return fault;
            }
            drawn -= fault.weight();
        }
        Fault::Reset
    }

    /// Lets a fault happen to one client, if it is connected.
    fn strike(&mut self, number: usize, fault: Fault) {
        let until = self.now + self.plan.jump.saturating_mul(50);
        let size = 1 + usize_of(self.rng.below(400));
        let client = &mut self.clients[number];
        let Some(wire) = &mut client.wire else { return };
        match fault {
            Fault::Reset => {
                wire.reset();
                client.faults.broken = true;
            }
            Fault::HalfClose => {
                wire.finish();
                client.faults.broken = true;
            }
            Fault::Leave => client.leave(),
            Fault::Stall => client.stalled_until = Some(until),
            Fault::Interrupt => wire.pipe.interrupt(),
            Fault::Narrow => wire.pipe.set_capacity(size),
            Fault::Short => wire.pipe.set_chunk(size),
            Fault::Rudeness => client.rude = true,
            Fault::Forgery if client.secure.is_some() => {
                wire.write(b"\x17\x03\x03\x00\x20 nobody has ever sealed these bytes", true);
                client.faults.broken = true;
            }
            Fault::Forgery | Fault::Pause | Fault::Storm | Fault::Drain => {}
        }
    }
}
