//! The few connections of a core that keep their TLS keys set up.
//!
//! ```text
//!   newest --> seat 2 --> seat 0 --> seat 1 <-- oldest: leaves when another comes
//! ```
//!
//! Invariant: the seats are one list from the newest to the oldest, and there are never more of
//! them than the limit. A seat whose connection has gone stays until it is the oldest.

use crate::base::Key;

/// Who spoke last, of those that speak often.
#[derive(Debug)]
pub(super) struct Warm {
    seats: Vec<Seat>,
    newest: u16,
    oldest: u16,
    len_max: u16,
}

/// A place in the list, in the hands of the connection that has it.
#[derive(Clone, Copy, Debug)]
struct Seat {
    key: Key,
    /// Who spoke after; itself for the newest.
    newer: u16,
    /// Who spoke before; itself for the oldest.
    older: u16,
}

impl Warm {
    /// Nobody, and later at most `len_max`, at least one.
    pub(super) fn new(len_max: u16) -> Self {
        Self { seats: Vec::new(), newest: 0, oldest: 0, len_max: len_max.max(1) }
    }

    /// Makes `key` the newest, on the `seat` it had or on another. Returns who lost it.
    pub(super) fn touch(&mut self, key: Key, seat: &mut Option<u16>) -> Option<Key> {
        match seat.filter(|seat| self.seat(*seat).is_some_and(|seat| seat.key == key)) {
            Some(own) => {
                self.lift(own);
                None
            }
            None if self.seats.len() < usize::from(self.len_max) => {
                *seat = Some(self.add(key));
                None
            }
            None => {
                let oldest = self.oldest;
                *seat = Some(oldest);
                self.lift(oldest);
                let seat = self.seats.get_mut(usize::from(oldest))?;
                Some(std::mem::replace(&mut seat.key, key))
            }
        }
    }

    /// Adds a seat for `key` at the front.
    fn add(&mut self, key: Key) -> u16 {
        let own = u16::try_from(self.seats.len()).expect("fewer seats than the limit");
        let older = if own == 0 { own } else { self.newest };
        self.seats.push(Seat { key, newer: own, older });
        self.set_newer(older, own);
        self.newest = own;
        own
    }

    /// Takes a seat out of the list and puts it at the front.
    fn lift(&mut self, own: u16) {
        let Some(Seat { newer, older, .. }) = self.seat(own) else { return };
        if own == self.newest {
            return;
        }
        // The neighbours close up; who has none on one side names itself there.
        if own == self.oldest {
            self.oldest = newer;
            self.set_older(newer, newer);
        } else {
            self.set_older(newer, older);
            self.set_newer(older, newer);
        }
        let front = std::mem::replace(&mut self.newest, own);
        self.set_newer(front, own);
        self.set_newer(own, own);
        self.set_older(own, front);
    }

    fn seat(&self, seat: u16) -> Option<Seat> {
        self.seats.get(usize::from(seat)).copied()
    }

    fn set_newer(&mut self, seat: u16, newer: u16) {
        if let Some(seat) = self.seats.get_mut(usize::from(seat)) {
            seat.newer = newer;
        }
    }

    fn set_older(&mut self, seat: u16, older: u16) {
        if let Some(seat) = self.seats.get_mut(usize::from(seat)) {
            seat.older = older;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    /// What a list of the same kind does that is slow and plain.
    fn touch_slowly(list: &mut Vec<Key>, key: Key, len_max: usize) -> Option<Key> {
        list.retain(|other| *other != key);
        list.push(key);
        (list.len() > len_max).then(|| list.remove(0))
    }

    #[test]
    fn the_least_recently_used_leaves_through_any_history() {
        let mut rng = Rng::new(3);
        for len_max in [1, 2, 3, 8] {
            let (mut warm, mut list) = (Warm::new(len_max), Vec::new());
            let mut seats = [None; 12];
            for _ in 0..2_000 {
                let number = rng.below(12);
                let key = Key::from_bits(number);
                let seat = &mut seats[usize::try_from(number).unwrap()];
                let left = touch_slowly(&mut list, key, usize::from(len_max));
                assert_eq!(warm.touch(key, seat), left);
                assert!(warm.seats.len() <= usize::from(len_max));
            }
        }
    }

    #[test]
    fn a_limit_of_nobody_is_one_of_one() {
        let mut warm = Warm::new(0);
        let (one, other) = (Key::from_bits(1), Key::from_bits(2));
        assert_eq!(warm.touch(one, &mut None), None);
        assert_eq!(warm.touch(other, &mut None), Some(one));
    }
}
