//! Which cores there are, staying on one, and giving way there.

use std::io;

use core_affinity::CoreId;

/// So much nicer than the others is a thread that gives way: it gets a tenth of what they get.
#[cfg(target_os = "linux")]
const WAY: i32 = 10;

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

/// Lets all other threads go first where they want the same core as the calling one.
///
/// Under a real-time policy all stays as it is, and elsewhere than on Linux, where a whole process
/// would give way.
///
/// # Errors
///
/// If the system refuses: then all is as it was.
pub fn give_way() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::nice(WAY)?;
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn one_thread_gives_way_and_no_other() {
        let niceness = || rustix::process::nice(0).unwrap();
        let before = niceness();
        let given = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                give_way().unwrap();
                niceness()
            });
            thread.join().unwrap()
        });
        assert_eq!((given, niceness()), ((before + WAY).min(19), before));
    }

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
