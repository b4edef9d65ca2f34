//! Whether every message came, once, in order and undamaged.
//!
//! A [`Sequence`] follows one sender on one connection. It keeps the next number it expects and a
//! window of the 64 before it, so that a number that comes late is told from one that comes twice.

use std::ops::AddAssign;

/// What became of the messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Audit {
    /// Came once, whether in order or late.
    pub received: u64,
    /// Never came.
    pub lost: u64,
    /// Came again.
    pub doubled: u64,
    /// Came after a later one.
    pub reordered: u64,
    /// Came with other bytes than were sent.
    pub damaged: u64,
    /// Were not ours at all.
    pub foreign: u64,
}

impl Audit {
    /// Counts one message that the sequence found to be `order`.
    pub const fn count(&mut self, order: Order) {
        match order {
            Order::InTurn => self.received += 1,
            Order::Late => {
                self.received += 1;
                self.reordered += 1;
            }
            Order::Again => self.doubled += 1,
            Order::Early => {}
        }
    }
}

impl AddAssign for Audit {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
        self.damaged += other.damaged;
        self.foreign += other.foreign;
    }
}

/// How a message stands to those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// It is later than all before it, with or without a gap.
    InTurn,
    /// It fills a gap.
    Late,
    /// It has been here before.
    Again,
    /// It is from before the receiver came: nobody owes it.
    Early,
}

/// The numbers of one sender that have come to one receiver.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sequence {
    /// The first number that should come.
    first: u64,
    /// One above the highest number that came.
    next: u64,
    /// Bit `i` says that `next - 1 - i` came.
    window: u64,
    /// How many numbers came, each counted once.
    came: u64,
}

impl Sequence {
    /// The numbers from `first` on: those before were sent before the receiver came.
    pub const fn from(first: u64) -> Self {
        Self { first, next: first, window: 0, came: 0 }
    }

    /// Takes note of `seq`.
    ///
    /// A number more than 64 behind the highest is beyond the window and taken for one that came
    /// again.
    pub fn note(&mut self, seq: u64) -> Order {
        if seq < self.first {
            return Order::Early;
        }
        if seq >= self.next {
            let ahead = seq - self.next + 1;
            self.window = u32::try_from(ahead)
                .ok()
                .and_then(|ahead| self.window.checked_shl(ahead))
                .unwrap_or(0)
                | 1;
            self.next = seq + 1;
            self.came += 1;
            return Order::InTurn;
        }
        let bit = u32::try_from(self.next - 1 - seq).ok().and_then(|age| 1u64.checked_shl(age));
        match bit {
            Some(bit) if self.window & bit == 0 => {
                self.window |= bit;
                self.came += 1;
                Order::Late
            }
            _ => Order::Again,
        }
    }

    /// How many of the numbers below `sent` should have come.
    pub const fn expected(&self, sent: u64) -> u64 {
        sent.saturating_sub(self.first)
    }

    /// How many of these never came.
    pub const fn missing(&self, sent: u64) -> u64 {
        self.expected(sent).saturating_sub(self.came)
    }

    /// The first number that should come.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// One above the highest number that came: what is below and did not come was passed over.
    pub const fn next(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::base::Rng;

    fn audit(numbers: &[u64], sent: u64) -> Audit {
        let (mut sequence, mut audit) = (Sequence::default(), Audit::default());
        for seq in numbers {
            audit.count(sequence.note(*seq));
        }
        audit.lost = sequence.missing(sent);
        audit
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        for (numbers, sent, received, lost, doubled, reordered) in [
            (&[0, 1, 2, 3][..], 4, 4, 0, 0, 0),
            (&[0, 1, 3], 4, 3, 1, 0, 0),
            (&[0, 1, 2], 4, 3, 1, 0, 0),
            (&[2, 3], 4, 2, 2, 0, 0),
            (&[], 4, 0, 4, 0, 0),
            (&[0, 1, 1, 2, 3], 4, 4, 0, 1, 0),
            (&[0, 2, 1, 3], 4, 4, 0, 0, 1),
            (&[0, 2, 1, 1, 3], 4, 4, 0, 1, 1),
            (&[1, 0], 2, 2, 0, 0, 1),
        ] {
            let expected = Audit { received, lost, doubled, reordered, ..Audit::default() };
            assert_eq!(audit(numbers, sent), expected, "{numbers:?}");
        }
    }

    #[test]
    fn who_comes_late_is_owed_what_is_sent_from_then_on() {
        let mut sequence = Sequence::from(10);
        assert_eq!((sequence.note(9), sequence.note(12)), (Order::Early, Order::InTurn));
        assert_eq!((sequence.note(11), sequence.note(3)), (Order::Late, Order::Early));
        assert_eq!((sequence.expected(15), sequence.missing(15)), (5, 3));
        assert_eq!((sequence.next(), sequence.missing(sequence.next())), (13, 1));
    }

    #[test]
    fn the_window_reaches_64_back() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.note(64), Order::InTurn);
        assert_eq!(sequence.note(1), Order::Late);
        assert_eq!(sequence.note(0), Order::Again);
        assert_eq!(sequence.note(u64::from(u32::MAX) * 9), Order::InTurn);
        assert_eq!(sequence.note(64), Order::Again);
    }

    #[test]
    fn faults_planted_at_random_are_counted_exactly() {
        let mut rng = Rng::new(5);
        let (mut numbers, mut planted) = (Vec::new(), Audit::default());
        let sent = 100_000;
        let mut seq = 0;
        while seq < sent {
            match rng.below(1_000) {
                0 => planted.lost += 1,
                1 => {
                    numbers.extend([seq, seq]);
                    planted.doubled += 1;
                }
                2 if seq + 1 < sent => {
                    numbers.extend([seq + 1, seq]);
                    planted.reordered += 1;
                    seq += 1;
                }
                _ => numbers.push(seq),
            }
            seq += 1;
        }
        planted.received = sent - planted.lost;
        assert_eq!(audit(&numbers, sent), planted);
    }
}
