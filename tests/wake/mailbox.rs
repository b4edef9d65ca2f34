//! Two workers who post to each other through inboxes that hold one batch, and keep what does not
//! fit until there is room: no batch is lost, none overtakes another, and both come to an end.
//!
//! The inbox does what crossbeam promises of a bounded channel, and orders nothing: whoever finds
//! it full has the batch back. It is a model and not `worker::mesh` itself, because crossbeam's
//! channel is no part of a model: its atomics are not the checker's, so that no order of theirs
//! would be tried, and around it `mesh` has no atomic of its own. What has some is the sleep, and
//! that is the very file of the worker.

use loom::sync::atomic::AtomicU32;
use loom::sync::{Arc, Notify};
use loom::thread;

use super::atomic::Ordering::Relaxed;
use super::sleep::Sleep;

/// What is in an inbox that has room.
const NOTHING: u32 = 0;

/// What others see of a worker.
struct Shard {
    sleep: Sleep,
    /// Room for one batch, which are counted from 1.
    inbox: AtomicU32,
    waker: Notify,
}

impl Shard {
    fn new() -> Self {
        Self { sleep: Sleep::new(), inbox: AtomicU32::new(NOTHING), waker: Notify::new() }
    }

    /// What a door does. Returns whether there was room.
    fn post(&self, batch: u32) -> bool {
        if self.inbox.compare_exchange(NOTHING, batch, Relaxed, Relaxed).is_err() {
            return false;
        }
        if self.sleep.must_wake() {
            self.waker.notify();
        }
        true
    }

    fn take(&self) -> Option<u32> {
        Some(self.inbox.swap(NOTHING, Relaxed)).filter(|batch| *batch != NOTHING)
    }

    fn has_mail(&self) -> bool {
        self.inbox.load(Relaxed) != NOTHING
    }
}

/// Takes turns until `expected` batches have come and `staged` of its own have left.
fn work(me: &Shard, peer: &Shard, expected: u32, staged: u32) {
    let (mut heard, mut staged) = (0, (1..=staged).collect::<Vec<_>>());
    loop {
        me.sleep.end();
        if let Some(batch) = me.take() {
            heard += 1;
            assert_eq!(batch, heard, "a batch was lost or overtaken");
        }
        while let Some(batch) = staged.first() {
            if !peer.post(*batch) {
                break;
            }
            staged.remove(0);
        }
        if heard == expected && staged.is_empty() {
            return;
        }
        if !staged.is_empty() {
            // It has a deadline, since what is staged has to be offered again.
            thread::yield_now();
        } else if me.sleep.begin(|| me.has_mail()) {
            me.waker.wait();
        }
    }
}

/// Tries every history of two workers, one of which posts `there` batches and the other `back`.
fn check(there: u32, back: u32) {
    let mut model = loom::model::Builder::new();
    // A thread is interrupted thrice at most: without that bound the orders would take hours.
    model.preemption_bound = Some(3);
    model.check(move || {
        let shards = Arc::new([Shard::new(), Shard::new()]);
        let other = Arc::clone(&shards);
        let thread = thread::spawn(move || work(&other[1], &other[0], back, there));
        work(&shards[0], &shards[1], there, back);
        thread.join().expect("a worker does not panic");
    });
}

#[test]
fn batches_arrive_whole_and_in_order_through_full_inboxes() {
    check(2, 2);
    check(3, 0);
}
