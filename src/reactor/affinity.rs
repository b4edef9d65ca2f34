//! Which cores there are, and staying on one.

use core_affinity::CoreId;

/// A core that this process may run on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Core(CoreId);

impl Core {
    /// Its number, as the system counts.
    pub fn number(self) -> usize {
        self.0.id
    }

    /// Keeps the calling thread on this core. Returns whether the system agreed.
    #[must_use]
    pub fn pin(self) -> bool {
        core_affinity::set_for_current(self.0)
    }
}

/// The cores that this process may run on; none where the system does not tell.
pub fn cores() -> Vec<Core> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(Core).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_pinned_thread_has_one_core() {
        for core in cores() {
            thread::scope(|scope| {
                scope.spawn(|| {
                    assert!(core.pin());
                    assert_eq!(cores(), [core]);
                });
            });
        }
    }
}
