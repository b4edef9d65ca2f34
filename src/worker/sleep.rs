//! Whether a worker sleeps: who posts to a sleeper wakes it, once, and who is awake costs nothing.
//!
//! ```text
//!  worker                             whoever posts
//!  asleep = true                      put mail into the inbox
//!  fence ------------- pairs -------- fence
//!  inbox empty? then block            asleep? then wake
//! ```
//!
//! Invariant: a worker that blocks has seen an empty inbox, or will be woken. `tests/wake.rs` runs
//! this very file under a model checker, which is why its atomics come from `super::atomic`.

use super::atomic::{AtomicBool, Ordering, fence};

/// The sleep of one worker.
// A cache line of its own: the worker writes it each time it blocks, and all others read it.
#[repr(align(64))]
#[derive(Debug)]
pub(super) struct Sleep {
    asleep: AtomicBool,
}

impl Sleep {
    /// A worker that is awake.
    pub(super) fn new() -> Self {
        Self { asleep: AtomicBool::new(false) }
    }

    /// Announces that the worker is about to block, unless `has_mail` finds that it must not.
    /// Called by the worker only.
    ///
    /// Returns whether it may block. Then it is woken for whatever `has_mail` did not find.
    pub(super) fn begin(&self, has_mail: impl FnOnce() -> bool) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        // Pairs with the fence in `must_wake`. Of two such fences one comes first: if ours does,
        // who posts sees `asleep`; if theirs does, `has_mail` sees what they posted. Without the
        // fences both may look away, and the mail waits for a timer.
        fence(Ordering::SeqCst);
        if has_mail() {
            self.end();
            return false;
        }
        true
    }

    /// Notes that the worker is awake, whatever woke it. Called by the worker only.
    ///
    /// It has yet to look at its inbox, so who posts from now on need not wake it; who decided to
    /// wake it just before does so in vain.
    pub(super) fn end(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Whether the worker must be woken for what has just been put into its inbox.
    ///
    /// Of all who post during one sleep one is told so.
    pub(super) fn must_wake(&self) -> bool {
        // Pairs with the fence in `begin`.
        fence(Ordering::SeqCst);
        // Looked at before it is taken: a worker that is awake is only read, so that its cache
        // line stays shared among all who post to it. And only a `true` is replaced: no `false` of
        // ours can hide the `true` of a later sleep.
        self.asleep.load(Ordering::Relaxed)
            && self
                .asleep
                .compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}
