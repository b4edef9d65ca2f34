//! Histories that a fuzzer writes: each byte a decision that a seed would have made.

use super::dice::Dice;
use super::history::History;
use super::plan::Plan;
use super::plant::Plant;
use super::trace::Trace;

/// Bytes beyond these decide nothing: a history is to take milliseconds.
const BYTES_MAX: usize = 4_096;

/// Lives the history that `bytes` tell of.
///
/// # Panics
///
/// If something goes wrong in it.
pub fn run(bytes: &[u8]) {
    let mut dice = Dice::told(&bytes[..bytes.len().min(BYTES_MAX)]);
    let plan = Plan::draw(&mut dice, Plant::Nothing);
    let mut history = History::new(plan, dice, Trace::default());
    if let Err(violation) = history.run() {
        panic!("{violation}");
    }
}
