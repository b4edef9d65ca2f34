//! What the drivers of a broadcast show each other while it goes on.
//!
//! Publishers and their subscribers are on different threads. Who comes to a broadcast late is owed
//! what is published from then on, so it must know at that moment how far each publisher is; and a
//! publication is whole when all have it who were there when it was sent, so its publisher must
//! know how many these are. Nothing else is shared between drivers.
//!
//! Invariant: a publication has its number before its first byte is written. So one whose number is
//! at or above what [`Board::sent`] said was written later, and whoever listened by then must get
//! it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cast::Cast;

/// How far every publisher is, and how many listen to each part of the cast.
#[derive(Debug)]
pub struct Board {
    sent: Box<[AtomicU64]>,
    listening: Box<[AtomicU64]>,
}

impl Board {
    /// An empty board for `cast`.
    pub fn new(cast: &Cast) -> Self {
        let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        let publishers = cast.publishers().unwrap_or(0) as usize;
        Self { sent: zeros(publishers), listening: zeros(cast.parts().len()) }
    }

    /// Begins anew: no publisher has sent anything, and nobody listens.
    pub fn clear(&self) {
        for number in self.sent.iter().chain(&self.listening) {
            number.store(0, Ordering::SeqCst);
        }
    }

    /// The number of the next publication of `publisher`, which is given once.
    pub fn publish(&self, publisher: u32) -> u64 {
        // A total order with the loads of those who join: see the invariant.
        self.sent.get(publisher as usize).map_or(0, |sent| sent.fetch_add(1, Ordering::SeqCst))
    }

    /// How many publications `publisher` has sent.
    pub fn sent(&self, publisher: u32) -> u64 {
        self.sent.get(publisher as usize).map_or(0, |sent| sent.load(Ordering::SeqCst))
    }

    /// What every publisher here has sent that has sent anything.
    pub fn all_sent(&self) -> BTreeMap<u32, u64> {
        let sent = self.sent.iter().map(|sent| sent.load(Ordering::SeqCst));
        (0..).zip(sent).filter(|(_, sent)| *sent > 0).collect()
    }

    /// Notes that `publisher` has sent so many on another machine, and will send no more.
    pub fn learn(&self, publisher: u32, count: u64) {
        if let Some(sent) = self.sent.get(publisher as usize) {
            sent.fetch_max(count, Ordering::SeqCst);
        }
    }

    /// Somebody listens to part `part` from now on.
    pub fn joined(&self, part: usize) {
        if let Some(listening) = self.listening.get(part) {
            listening.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Somebody has listened to part `part` until now.
    pub fn left(&self, part: usize) {
        if let Some(listening) = self.listening.get(part) {
            listening.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// How many listen to part `part`.
    pub fn listening(&self, part: usize) -> u64 {
        self.listening.get(part).map_or(0, |listening| listening.load(Ordering::SeqCst))
    }
}
