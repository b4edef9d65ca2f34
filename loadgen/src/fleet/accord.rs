//! A fleet among others: several that are one load begin at the same moment, and none settles what
//! it should have got before it knows what the others have sent.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use super::{Fleet, Glance, Halt, LEAD};

/// How often it is asked what the others do.
const INQUIRY_INTERVAL: Duration = Duration::from_millis(5);

/// How a fleet keeps step with others. None of this waits but the start.
pub trait Accord {
    /// Says that all is ready, and waits for the moment that all count from.
    ///
    /// # Errors
    ///
    /// That it will not begin.
    fn start(&mut self) -> io::Result<Instant>;

    /// Takes note of how the fleet stands, some times a second.
    fn glance(&mut self, glance: &Glance<'_>);

    /// Says that all connections here listen. Returns when all begin to speak, once that is known.
    fn speak_at(&mut self) -> Option<Instant>;

    /// Says what the publishers here have sent, which is all that they will. Returns what those of
    /// all fleets have, once that is known.
    fn published_by_all(&mut self, ours: BTreeMap<u32, u64>) -> Option<BTreeMap<u32, u64>>;
}

impl Fleet<'_> {
    /// Keeps step with others from now on.
    pub fn keep_step(&mut self, accord: Box<dyn Accord>) {
        self.accord = Some(accord);
    }

    /// When the scenario begins: soon, or when all fleets are ready.
    pub(super) fn speak_from(&mut self) -> Result<Instant, Halt> {
        loop {
            let soon = self.stand.setting.now() + LEAD;
            let Some(accord) = &mut self.accord else { return Ok(soon) };
            if let Some(moment) = accord.speak_at() {
                return Ok(moment.max(soon));
            }
            self.attend(Some(self.stand.setting.now() + INQUIRY_INTERVAL), |_| false)?;
        }
    }

    /// Notes on the board what the publishers of other fleets have sent.
    pub(super) fn learn_what_others_sent(&mut self) -> Result<(), Halt> {
        loop {
            let board = &self.stand.setting.board;
            let Some(accord) = &mut self.accord else { return Ok(()) };
            if let Some(published) = accord.published_by_all(board.all_sent()) {
                for (publisher, sent) in published {
                    board.learn(publisher, sent);
                }
                return Ok(());
            }
            self.attend(Some(self.stand.setting.now() + INQUIRY_INTERVAL), |_| false)?;
        }
    }
}
