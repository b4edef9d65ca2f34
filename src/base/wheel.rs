//! Deadlines of very many things, each with one entry and constant cost.

use super::{Key, Tick};

/// A hashed timing wheel. Entries are lazy: activity writes a field of the thing itself, and when
/// the entry comes round its owner looks at that field and schedules the next one.
///
/// An entry further away than the wheel reaches comes round early, so whoever is told looks whether
/// its time has come. A thing may have several entries; each is told once.
#[derive(Debug)]
pub struct Wheel {
    slots: Box<[Vec<Key>]>,
    /// One bit a slot: whether it holds entries, so that the next one is found in a few words.
    occupied: [u64; Self::WORDS as usize],
    /// Every slot up to this tick has been emptied.
    swept: Tick,
    len: usize,
}

impl Wheel {
    /// How far the wheel reaches, in ticks: 64 s, longer than the deadlines of a connection.
    pub const REACH: u32 = 512;
    const WORDS: u32 = Self::REACH / u64::BITS;

    /// An empty wheel that starts at `now`.
    pub fn new(now: Tick) -> Self {
        let slots = (0..Self::REACH).map(|_| Vec::new()).collect();
        Self { slots, occupied: [0; Self::WORDS as usize], swept: now, len: 0 }
    }

    /// Makes `key` come round at `due`, or as late before it as the wheel reaches; never before the
    /// next tick. Returns when that will be.
    pub fn schedule(&mut self, key: Key, due: Tick) -> Tick {
        let due = due.clamp(self.swept.after(1), self.swept.after(Self::REACH - 1));
        self.slot(due).push(key);
        *self.word(due) |= Self::bit(due);
        self.len += 1;
        due
    }

    /// Takes out every entry that is due at `now` and adds it to `due`, in order.
    pub fn expire(&mut self, now: Tick, due: &mut impl Extend<Key>) {
        // After a jump of the clock one round empties everything.
        let ticks = now.0.saturating_sub(self.swept.0).min(Self::REACH);
        for tick in 1..=ticks {
            let tick = self.swept.after(tick);
            if *self.word(tick) & Self::bit(tick) == 0 {
                continue;
            }
            *self.word(tick) &= !Self::bit(tick);
            let slot = self.slot(tick);
            let expired = slot.len();
            due.extend(slot.drain(..));
            // A slot that once held a crowd gives its memory back.
            if slot.capacity() > 64 {
                *slot = Vec::new();
            }
            self.len -= expired;
        }
        self.swept = self.swept.max(now);
    }

    /// The tick at which the next entry comes round, if there is one.
    pub fn next(&self) -> Option<Tick> {
        if self.len == 0 {
            return None;
        }
        let from = self.swept.after(1);
        let word_of = |step: u32| (from.0 / u64::BITS + step) % Self::WORDS;
        // The first word is looked at twice: its upper bits first, its lower bits after a round.
        for step in 0..=Self::WORDS {
            let word = self.occupied.get(word_of(step) as usize).copied().unwrap_or(0);
            let upper = u64::MAX << (from.0 % u64::BITS);
            let word = match step {
                0 => word & upper,
                Self::WORDS => word & !upper,
                _ => word,
            };
            if word != 0 {
                let found = word_of(step) * u64::BITS + word.trailing_zeros();
                let ahead = (found + Self::REACH - from.0 % Self::REACH) % Self::REACH;
                return Some(from.after(ahead));
            }
        }
        None
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn slot(&mut self, tick: Tick) -> &mut Vec<Key> {
        self.slots.get_mut(Self::index(tick)).expect("an index is taken modulo the length")
    }

    fn word(&mut self, tick: Tick) -> &mut u64 {
        self.occupied.get_mut(Self::index(tick) / 64).expect("a slot has its bit")
    }

    const fn bit(tick: Tick) -> u64 {
        1 << (tick.0 % u64::BITS)
    }

    const fn index(tick: Tick) -> usize {
        (tick.0 % Self::REACH) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bits: u64) -> Key {
        Key::from_bits(bits)
    }

    fn expired(wheel: &mut Wheel, now: u32) -> Vec<Key> {
        let mut due = Vec::new();
        wheel.expire(Tick(now), &mut due);
        due
    }

    #[test]
    fn an_entry_comes_round_at_its_tick_and_once() {
        let mut wheel = Wheel::new(Tick(5));
        assert_eq!(wheel.schedule(key(1), Tick(8)), Tick(8));
        assert_eq!(wheel.next(), Some(Tick(8)));
        assert_eq!(expired(&mut wheel, 7), []);
        assert_eq!(expired(&mut wheel, 8), [key(1)]);
        assert_eq!(expired(&mut wheel, 900), []);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_deadline_in_the_past_comes_with_the_next_tick() {
        let mut wheel = Wheel::new(Tick(5));
        assert_eq!(wheel.schedule(key(1), Tick(2)), Tick(6));
        assert_eq!(expired(&mut wheel, 6), [key(1)]);
    }

    #[test]
    fn a_deadline_beyond_the_reach_comes_early() {
        let mut wheel = Wheel::new(Tick(0));
        let early = wheel.schedule(key(1), Tick(10_000));
        assert_eq!(early, Tick(Wheel::REACH - 1));
        assert_eq!(expired(&mut wheel, early.0), [key(1)]);
    }

    #[test]
    fn a_jump_of_the_clock_empties_the_wheel() {
        let mut wheel = Wheel::new(Tick(0));
        for due in 1..400 {
            wheel.schedule(key(u64::from(due)), Tick(due));
        }
        assert_eq!(expired(&mut wheel, 100_000).len(), 399);
        assert!(wheel.is_empty());
        assert_eq!(wheel.schedule(key(1), Tick(1)), Tick(100_001));
    }

    #[test]
    fn the_next_entry_is_found_wherever_the_wheel_stands() {
        for start in [0, 1, 63, 64, 500, 511, 512, 1_000] {
            for ahead in 1..Wheel::REACH {
                let mut wheel = Wheel::new(Tick(start));
                wheel.schedule(key(1), Tick(start + ahead));
                assert_eq!(wheel.next(), Some(Tick(start + ahead)), "{ahead} after {start}");
            }
        }
    }

    #[test]
    fn every_entry_comes_round_exactly_once() {
        let mut rng = crate::base::Rng::new(1);
        let mut wheel = Wheel::new(Tick(0));
        let (mut scheduled, mut told) = (0u64, 0);
        for now in 0..5_000 {
            for _ in 0..rng.below(4) {
                let ahead = u32::try_from(rng.below(700)).unwrap();
                wheel.schedule(key(scheduled), Tick(now + ahead));
                scheduled += 1;
            }
            told += expired(&mut wheel, now).len();
        }
        told += expired(&mut wheel, 6_000).len();
        assert_eq!(told as u64, scheduled);
    }
}
