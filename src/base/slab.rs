//! Slots that are named by keys with a generation, so that late news finds nobody.

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
#[derive(Debug)]
pub struct Slab<T> {
    slots: Paged<Slot<T>>,
    vacant: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Paged::default(), vacant: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts `value` into a vacant slot.
    ///
    /// # Panics
    ///
    /// If 2^32 slots are taken, which no limit of open files allows.
    pub fn insert(&mut self, value: T) -> Key {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, value: None });
            u32::try_from(self.slots.len() - 1).expect("a slot for each open file at most")
        });
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
        self.vacant.push(key.index);
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
    pub fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
