//! No wake-up is lost: every order in which the memory of two or three threads may behave is tried
//! on the very file that workers sleep by.
//!
//! A worker takes what was posted and blocks when it believes that there is nothing more; others
//! post and wake it if they must. Were a wake-up lost, the worker would block for ever with mail in
//! its inbox, which the model checker reports. That it can report it is proved by leaving out a
//! fence.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::sync::atomic::AtomicUsize;
use loom::sync::{Arc, Notify};
use loom::thread;

use sleep::Sleep;

#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // in a test, a panic is the report
#[path = "wake/mailbox.rs"]
mod mailbox;
#[path = "../src/worker/sleep.rs"]
mod sleep;

/// The atomics of `sleep.rs`: those of the model checker, with fences that may be left out.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};

    pub(crate) fn fence(order: Ordering) {
        if crate::HAS_FENCE.with(std::cell::Cell::get) {
            loom::sync::atomic::fence(order);
        }
    }
}

use atomic::Ordering::Relaxed;

loom::thread_local! {
    /// Whether the fences of this thread are there.
    static HAS_FENCE: Cell<bool> = Cell::new(true);
}

/// What is left out of the protocol.
#[derive(Clone, Copy, PartialEq)]
enum Planted {
    Nothing,
    NoFenceWhereOnePosts,
    NoFenceWhereOneSleeps,
}

/// A worker's end of the mesh, with no more to it than matters for its sleep.
struct Worker {
    sleep: Sleep,
    /// How much was ever posted. Nothing but the fences orders it against `sleep`.
    posted: AtomicUsize,
    /// Counted outside of the model, for it orders nothing.
    wakes: std::sync::atomic::AtomicUsize,
    waker: Notify,
}

impl Worker {
    fn new() -> Self {
        Self {
            sleep: Sleep::new(),
            posted: AtomicUsize::new(0),
            wakes: 0.into(),
            waker: Notify::new(),
        }
    }

    /// What a door does.
    fn post(&self) {
        self.posted.fetch_add(1, Relaxed);
        if self.sleep.must_wake() {
            self.wakes.fetch_add(1, Relaxed);
            self.waker.notify();
        }
    }

    /// What a loop does until `posts` have arrived. Returns how often it lay down to sleep.
    fn run(&self, posts: usize) -> usize {
        let mut sleeps = 0;
        loop {
            let taken = self.posted.load(Relaxed);
            if taken == posts {
                return sleeps;
            }
            sleeps += 1;
            if self.sleep.begin(|| self.posted.load(Relaxed) != taken) {
                self.waker.wait();
                self.sleep.end();
            }
        }
    }
}

/// Tries every history of one worker and `posters` threads that post once each.
fn check(posters: usize, planted: Planted) {
    let mut model = loom::model::Builder::new();
    // Two threads are tried in every order. With three, a thread is interrupted thrice at most:
    // without that bound the orders would take hours.
    model.preemption_bound = (posters > 1).then_some(3);
    model.check(move || {
        let worker = Arc::new(Worker::new());
        let threads: Vec<_> = (0..posters)
            .map(|_| {
                let worker = Arc::clone(&worker);
                thread::spawn(move || {
                    HAS_FENCE.with(|has| has.set(planted != Planted::NoFenceWhereOnePosts));
                    worker.post();
                })
            })
            .collect();
        HAS_FENCE.with(|has| has.set(planted != Planted::NoFenceWhereOneSleeps));
        let sleeps = worker.run(posters);
        for thread in threads {
            thread.join().expect("a poster does not panic");
        }
        assert!(worker.wakes.load(Relaxed) <= sleeps, "woken twice for one sleep");
    });
}

fn is_found(planted: Planted) -> bool {
    catch_unwind(AssertUnwindSafe(|| check(1, planted))).is_err()
}

#[test]
fn one_who_posts_wakes_who_sleeps() {
    check(1, Planted::Nothing);
}

#[test]
fn two_who_post_wake_who_sleeps() {
    check(2, Planted::Nothing);
}

#[test]
fn a_fence_left_out_is_found() {
    assert!(is_found(Planted::NoFenceWhereOnePosts));
    assert!(is_found(Planted::NoFenceWhereOneSleeps));
}
