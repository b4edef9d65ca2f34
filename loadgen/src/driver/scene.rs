//! What a connection needs while it is tended: the run, the driver's desk, and where it counts.

use std::time::{Duration, Instant};

use corecast::tls;

use super::board::Board;
use super::flight::Flight;
use crate::client::{Greeting, Mask, Pen};
use crate::payload::Verify;
use crate::stamp::Press;
use crate::tally::Tally;
use crate::units;

/// How much is read at once: eight of the longest records.
const SCRATCH_LEN: usize = 128 * 1024;
const _: () = assert!(SCRATCH_LEN >= tls::SCRATCH_BYTES_MIN);

/// What all drivers of a run have in common.
#[derive(Debug)]
pub struct Setting {
    /// What every connection says to open.
    pub greeting: Greeting,
    /// Writes and reads the payloads.
    pub press: Press,
    /// How far the publishers are.
    pub board: Board,
    /// How closely messages are looked at.
    pub verify: Verify,
    /// When the run began; the times in payloads count from here.
    pub epoch: Instant,
    /// Reads the clock. The loop's own reading is as old as its batch of news, which may be
    /// milliseconds while handshakes are worked through.
    pub clock: fn() -> Instant,
}

impl Setting {
    /// The time now.
    pub fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Nanoseconds from the beginning of the run.
    pub fn ns(&self, moment: Instant) -> u64 {
        units::ns(moment.saturating_duration_since(self.epoch))
    }

    /// How long it has been since `ns` nanoseconds from the beginning.
    pub fn since(&self, ns: u64, now: Instant) -> Duration {
        Duration::from_nanos(self.ns(now).saturating_sub(ns))
    }
}

/// The buffers of a driver, shared by all its connections.
#[derive(Debug)]
pub struct Desk {
    /// Where bytes are read to and understood.
    pub scratch: Box<[u8]>,
    /// The message at hand.
    pub payload: Vec<u8>,
    /// What is written with.
    pub pen: Pen,
    /// Echoes that have not come back.
    pub flight: Flight,
}

impl Desk {
    /// An empty desk.
    pub fn new(mask: Mask) -> Self {
        Self {
            scratch: vec![0; SCRATCH_LEN].into(),
            payload: Vec::new(),
            pen: Pen::new(mask),
            flight: Flight::default(),
        }
    }
}

/// What is lent to a connection while it is tended.
pub struct Scene<'a> {
    /// The run.
    pub setting: &'a Setting,
    /// The driver's buffers.
    pub desk: &'a mut Desk,
    /// Where to count.
    pub tally: &'a mut Tally,
    /// What should have been sent before then is audited and not timed.
    pub timed_from: Instant,
}
