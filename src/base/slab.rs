//! Slots that are named by keys with a generation, so that late news finds nobody.
//!
//! The lowest vacant slot is taken first, and vacant slots at the end are given back: so what a
//! crowd took is free again once it has gone, but for the slots below those who stay.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Paged;

/// Names one slot for one lifetime.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The slot, which others will use later.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// The whole key as a number, for an operating system that carries one for us.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The key that [`Key::to_bits`] made into `bits`.
    #[allow(clippy::cast_possible_truncation)] // the two halves of the number
    pub const fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// Values in slots that never move, reached by [`Key`] in constant time.
///
/// Invariants: the last slot holds a value; every vacant one is in `vacant`, once.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Paged<Slot<T>>,
    /// Vacant slots, the lowest first, and behind them some that have been given back.
    vacant: BinaryHeap<Reverse<u32>>,
    len: usize,
    /// No slot that has been given back was of a later generation, so that no key of one names
    /// what is there next.
    generation: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Paged::default(), vacant: BinaryHeap::new(), len: 0, generation: 0 }
    }
}

impl<T> Slab<T> {
    /// Puts `value` into a vacant slot.
    ///
    /// # Panics
    ///
    /// If 2^32 slots are taken, which no limit of open files allows.
    pub fn insert(&mut self, value: T) -> Key {
        let index = self.take_vacant().unwrap_or_else(|| {
            self.slots.push(Slot { generation: self.generation, value: None });
            u32::try_from(self.slots.len() - 1).expect("a slot for each open file at most")
        });
        self.len += 1;
        let slot = self.slots.get_mut(index as usize).expect("a vacant slot is within the slab");
        assert!(slot.value.is_none(), "a vacant slot held a value");
        slot.value = Some(value);
        Key { index, generation: slot.generation }
    }

    /// Takes out what `key` names; from now on it names nothing.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index())?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.vacant.push(Reverse(key.index));
        self.len -= 1;
        self.shrink();
        Some(value)
    }

    /// What `key` names, if it still names something.
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index())?;
        if slot.generation == key.generation { slot.value.as_ref() } else { None }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index())?;
        if slot.generation == key.generation { slot.value.as_mut() } else { None }
    }

    /// How many values there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// How many slots there are: every key of a value has an index below it.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every key with its value, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let index = u32::try_from(index).ok()?;
            Some((Key { index, generation: slot.generation }, slot.value.as_ref()?))
        })
    }

    /// Every key, by slot, as they are now.
    pub fn keys(&self) -> Vec<Key> {
        self.iter().map(|(key, _)| key).collect()
    }

    fn take_vacant(&mut self) -> Option<u32> {
        let Reverse(lowest) = self.vacant.pop()?;
        if (lowest as usize) < self.slots.len() {
            return Some(lowest);
        }
        // So have all the others been given back, and no slot is vacant.
        self.vacant = BinaryHeap::new();
        None
    }

    /// Gives vacant slots at the end back.
    fn shrink(&mut self) {
        while self.slots.last().is_some_and(|slot| slot.value.is_none()) {
            let slot = self.slots.pop();
            self.generation = self.generation.max(slot.map_or(0, |slot| slot.generation));
        }
        if self.slots.is_empty() {
            self.vacant = BinaryHeap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use std::collections::BTreeMap;

    #[test]
    fn a_key_names_its_value_and_nothing_after_it() {
        let mut slab = Slab::default();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(first.index(), second.index());
        assert_eq!((slab.get(first), slab.get(second)), (None, Some(&"second")));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn what_a_crowd_took_is_given_back() {
        let mut slab = Slab::default();
        let stays = slab.insert(0);
        let crowd: Vec<_> = (1..10_000).map(|value| slab.insert(value)).collect();
        for key in crowd.iter().rev() {
            assert!(slab.remove(*key).is_some());
        }
        assert_eq!((slab.len(), slab.slots()), (1, 1));
        let next = slab.insert(1);
        assert_eq!(next.index(), crowd[0].index());
        assert!(crowd.iter().all(|key| slab.get(*key).is_none()), "a key names what came later");
        assert_eq!((slab.get(stays), slab.get(next)), (Some(&0), Some(&1)));
    }

    #[test]
    fn the_lowest_vacant_slot_is_taken_through_any_history() {
        let mut rng = Rng::new(7);
        let (mut slab, mut live) = (Slab::default(), BTreeMap::new());
        let mut dead = Vec::new();
        for value in 0..20_000_u16 {
            if rng.below(2) == 0 {
                let lowest = (0..=live.len()).find(|index| !live.contains_key(index)).unwrap();
                let key = slab.insert(value);
                assert_eq!(key.index(), lowest);
                live.insert(lowest, (key, value));
            } else if let Some(index) = live.keys().rev().nth(usize::from(value) % 8).copied() {
                let (key, value) = live.remove(&index).unwrap();
                assert_eq!(slab.remove(key), Some(value));
                dead.push(key);
            }
            assert_eq!(slab.len(), live.len());
            assert_eq!(slab.slots(), live.keys().last().map_or(0, |last| last + 1));
        }
        assert!(live.values().all(|(key, value)| slab.get(*key) == Some(value)));
        assert!(dead.iter().all(|key| slab.get(*key).is_none()));
    }

    #[test]
    fn a_key_survives_its_number() {
        let mut slab = Slab::default();
        for _ in 0..3 {
            let key = slab.insert(());
            assert_eq!(Key::from_bits(key.to_bits()), key);
            slab.remove(key);
        }
    }

    #[test]
    fn keys_are_those_of_the_values() {
        let mut slab = Slab::default();
        let keys: Vec<_> = (0..5).map(|value| slab.insert(value)).collect();
        slab.remove(keys[2]);
        assert_eq!(slab.keys(), [keys[0], keys[1], keys[3], keys[4]]);
    }
}
