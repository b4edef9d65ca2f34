//! Who is here from where: how many connections one address has, and how fast it brings new ones.
//!
//! ```text
//!  accept ------> admit(address) -> Seat, or why not --.      one table for all workers,
//!                                                      |----> in parts that are locked apart
//!  end of it ---> leave(seat) -------------------------'
//! ```
//!
//! An IPv4 address counts whole. Of an IPv6 address the first 64 bits count, since whoever has one
//! has 2^64 of them; one that stands for an IPv4 address counts as that.
//!
//! This is the one lock that workers share. It is taken when a connection begins and when it ends,
//! never for a message, for as long as a look-up takes; and where nothing is limited there is no
//! table and so no lock.
//!
//! Invariants: a seat is left once, so a count is the number of connections that live. The table
//! holds an entry for each address that has a connection or has brought one within a second, and
//! never more than `ADDRESSES_MAX`.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;
// The reason to disallow it is that it would stand in the way of messages, and this does not.
#[allow(clippy::disallowed_types)]
use std::sync::Mutex;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use crate::base::bucket::Bucket;
use crate::base::{Map, Seed};

/// Addresses that are known at once. Beyond it strangers are let in uncounted: whoever has a
/// million networks is not stopped by what one of them may do, and others must not pay for it.
const ADDRESSES_MAX: usize = 1 << 20;

/// Parts of the table: enough that two workers seldom want the same one.
const PARTS: usize = 64;

/// So many strangers at least come into a part before it is tidied again.
const STRANGERS_MIN: usize = 64;

/// What one address may do; `None` is whatever it likes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// Connections at once. Off by default: behind one address there may be a whole company, a
    /// carrier's network or our own proxy. For peers that come directly 1,000 is generous.
    pub connections_max: Option<NonZeroU32>,
    /// New connections a second, and so many at once after a pause. Off for the same reason; 50 is
    /// more than any person causes.
    pub connects_per_second_max: Option<NonZeroU32>,
}

impl Limits {
    const fn is_off(self) -> bool {
        self.connections_max.is_none() && self.connects_per_second_max.is_none()
    }
}

/// Why an address may not have another connection now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Crowd {
    /// It has as many as it may have.
    TooMany,
    /// It has brought too many within a second.
    TooFast,
}

/// The addresses that have connections, for all workers of a server.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// `None` where nothing is limited.
    table: Option<Arc<Table>>,
}

/// A place of one connection among those of its address; to be [left](Addresses::leave) once.
#[derive(Debug, Eq, PartialEq)]
#[must_use]
pub struct Seat(Network);

/// What counts as one peer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Network {
    V4([u8; 4]),
    /// The first 64 bits.
    V6([u16; 4]),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl Addresses {
    /// A table in which nobody is yet, or none if nothing is limited.
    ///
    /// The `seed` must be unknown to peers: it keeps them from choosing addresses that collide.
    pub fn new(limits: Limits, seed: u64) -> Self {
        let table = (!limits.is_off()).then(|| Arc::new(Table::new(limits, Seed(seed))));
        Self { table }
    }

    /// Asks for a place for one more connection from `address`.
    ///
    /// `Ok(None)` lets it in without one: nothing is limited, or the table is full.
    ///
    /// # Errors
    ///
    /// Which of the limits stands against it. A refusal costs the address nothing.
    pub fn admit(&self, address: IpAddr, now: Instant) -> Result<Option<Seat>, Crowd> {
        let Some(table) = &self.table else { return Ok(None) };
        let network = Network::from(address);
        let is_seated = table.part(network).admit(network, table.limits, now)?;
        Ok(is_seated.then_some(Seat(network)))
    }

    /// Gives a place back, since its connection has ended.
    pub fn leave(&self, Seat(network): Seat, now: Instant) {
        if let Some(table) = &self.table {
            table.part(network).leave(network, now);
        }
    }
}

/// The parts of the table.
#[derive(Debug)]
#[allow(clippy::disallowed_types)] // see the module's page
struct Table {
    limits: Limits,
    seed: Seed,
    parts: Box<[Mutex<Part>]>,
}

#[allow(clippy::disallowed_types)] // see the module's page
impl Table {
    fn new(limits: Limits, seed: Seed) -> Self {
        let parts = (0..PARTS).map(|_| Mutex::new(Part::new(seed))).collect();
        Self { limits, seed, parts }
    }

    /// The part that `network` belongs to, which is ours for the while.
    fn part(&self, network: Network) -> MutexGuard<'_, Part> {
        let hash = self.seed.hash_one(network);
        let index = usize::try_from(hash % PARTS as u64).unwrap_or_default();
        let part = self.parts.get(index).expect("an index is taken modulo the number of parts");
        // A worker that panicked here left nothing half done: each change is one assignment.
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One part of the table. A cache line of its own keeps the locks apart.
#[derive(Debug)]
#[repr(align(64))]
struct Part {
    entries: Map<Network, Entry>,
    /// So many strangers may still come before we look for entries that are not needed any more: as
    /// many as there are entries, so that looking costs each of them the same, full or not.
    strangers: usize,
}

/// What is known of one address.
#[derive(Clone, Copy, Debug)]
struct Entry {
    connections: u32,
    connects: Bucket,
}

impl Entry {
    /// Whether forgetting it changes nothing.
    fn is_idle(&self, now: Instant) -> bool {
        self.connections == 0 && self.connects.is_full(now)
    }
}

impl Part {
    fn new(seed: Seed) -> Self {
        Self { entries: Map::with_hasher(seed), strangers: STRANGERS_MIN }
    }

    /// Seats one more connection of `network`. Returns whether there was room for the entry.
    fn admit(&mut self, network: Network, limits: Limits, now: Instant) -> Result<bool, Crowd> {
        if !self.has_room(network, now) {
            return Ok(false);
        }
        let stranger = Entry { connections: 0, connects: Bucket::full(now) };
        let mut entry = self.entries.get(&network).copied().unwrap_or(stranger);
        if limits.connections_max.is_some_and(|max| entry.connections >= max.get()) {
            return Err(Crowd::TooMany);
        }
        if let Some(rate) = limits.connects_per_second_max
            && !entry.connects.try_take(1, rate.get().into(), now)
        {
            return Err(Crowd::TooFast);
        }
        entry.connections += 1;
        self.entries.insert(network, entry);
        Ok(true)
    }

    fn leave(&mut self, network: Network, now: Instant) {
        let Some(entry) = self.entries.get_mut(&network) else {
            debug_assert!(false, "a seat was left that nobody had");
            return;
        };
        debug_assert!(entry.connections > 0, "a seat was left twice");
        entry.connections = entry.connections.saturating_sub(1);
        if entry.is_idle(now) {
            self.entries.remove(&network);
        }
    }

    /// Whether `network` is known or may become so.
    fn has_room(&mut self, network: Network, now: Instant) -> bool {
        if self.entries.contains_key(&network) {
            return true;
        }
        if self.strangers == 0 {
            self.tidy(now);
        }
        self.strangers -= 1;
        self.entries.len() < ADDRESSES_MAX / PARTS
    }

    /// Forgets whom it makes no difference to know.
    fn tidy(&mut self, now: Instant) {
        self.entries.retain(|_, entry| !entry.is_idle(now));
        self.strangers = self.entries.len().max(STRANGERS_MIN);
        // What a crowd took is given back when it has gone.
        self.entries.shrink_to(2 * self.strangers);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::base::time::real_now;

    fn limited(connections: u32, connects: u32) -> Addresses {
        let limits = Limits {
            connections_max: NonZeroU32::new(connections),
            connects_per_second_max: NonZeroU32::new(connects),
        };
        Addresses::new(limits, 7)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many addresses are known.
    fn known(addresses: &Addresses) -> usize {
        let parts = addresses.table.iter().flat_map(|table| &table.parts);
        parts.map(|part| part.lock().unwrap().entries.len()).sum()
    }

    #[test]
    fn where_nothing_is_limited_there_is_no_table() {
        let addresses = limited(0, 0);
        for _ in 0..10_000 {
            assert_eq!(addresses.admit(address("192.0.2.1"), real_now()), Ok(None));
        }
        assert!(addresses.table.is_none());
    }

    #[test]
    fn an_address_has_as_many_connections_as_it_may_and_not_one_more() {
        let (addresses, now) = (limited(3, 0), real_now());
        let here = address("192.0.2.1");
        let mut seats: Vec<_> =
            (0..3).map(|_| addresses.admit(here, now).unwrap().unwrap()).collect();
        assert_eq!(addresses.admit(here, now), Err(Crowd::TooMany));
        assert!(addresses.admit(address("192.0.2.2"), now).unwrap().is_some(), "another may");
        addresses.leave(seats.pop().unwrap(), now);
        let seat = addresses.admit(here, now).unwrap();
        assert!(seat.is_some(), "who has left makes room");
        assert_eq!(addresses.admit(here, now), Err(Crowd::TooMany));
    }

    #[test]
    fn an_address_brings_as_many_in_a_second_as_it_may_and_not_one_more() {
        let (addresses, now) = (limited(0, 5), real_now());
        let here = address("192.0.2.1");
        for _ in 0..5 {
            addresses.leave(addresses.admit(here, now).unwrap().unwrap(), now);
        }
        assert_eq!(addresses.admit(here, now), Err(Crowd::TooFast));
        let later = now + Duration::from_millis(199);
        assert_eq!(addresses.admit(here, later), Err(Crowd::TooFast));
        let later = now + Duration::from_millis(200);
        assert!(addresses.admit(here, later).unwrap().is_some());
        assert_eq!(addresses.admit(here, later), Err(Crowd::TooFast));
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer_and_so_is_an_address_of_ipv4_however_it_is_written() {
        let table = [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("::1", "::2", true),
        ];
        for (one, other, is_same) in table {
            let (addresses, now) = (limited(1, 0), real_now());
            let seat = addresses.admit(address(one), now).unwrap();
            assert!(seat.is_some());
            let second = addresses.admit(address(other), now);
            assert_eq!(second == Err(Crowd::TooMany), is_same, "{one} and {other}: {second:?}");
        }
    }

    #[test]
    fn whoever_has_left_is_forgotten_as_soon_as_that_changes_nothing() {
        let (addresses, now) = (limited(1, 1), real_now());
        let here = address("192.0.2.1");
        let seat = addresses.admit(here, now).unwrap().unwrap();
        addresses.leave(seat, now + Duration::from_millis(999));
        assert_eq!(known(&addresses), 1, "it may not come again yet");
        let later = now + Duration::from_secs(1);
        let seat = addresses.admit(here, later).unwrap().unwrap();
        addresses.leave(seat, later + Duration::from_secs(1));
        assert_eq!(known(&addresses), 0);
    }

    #[test]
    fn whoever_came_and_went_in_passing_is_swept_away() {
        let (addresses, mut now) = (limited(0, 1_000), real_now());
        for number in 0..100_000u32 {
            let here = IpAddr::V4(Ipv4Addr::from(number));
            addresses.leave(addresses.admit(here, now).unwrap().unwrap(), now);
            now += Duration::from_micros(10);
        }
        assert!(known(&addresses) <= 3 * PARTS * STRANGERS_MIN, "{} are known", known(&addresses));
    }

    #[test]
    fn the_table_has_an_end_beyond_which_strangers_are_not_counted() {
        let limits = Limits { connections_max: NonZeroU32::new(1), ..Limits::default() };
        let (mut part, now) = (Part::new(Seed(7)), real_now());
        let network = |number: usize| Network::V4(u32::try_from(number).unwrap().to_be_bytes());
        let max = ADDRESSES_MAX / PARTS;
        for number in 0..max {
            assert_eq!(part.admit(network(number), limits, now), Ok(true), "{number}");
        }
        assert_eq!(part.admit(network(max), limits, now), Ok(false));
        assert_eq!(part.admit(network(0), limits, now), Err(Crowd::TooMany), "who is known counts");
        part.leave(network(0), now);
        assert_eq!(part.admit(network(max), limits, now), Ok(true));
    }

    #[test]
    fn workers_that_admit_at_once_let_in_as_many_as_one_would() {
        let (addresses, now) = (limited(100, 0), real_now());
        let here = address("192.0.2.1");
        let admit = || (0..100).filter_map(|_| addresses.admit(here, now).ok().flatten()).count();
        let seated: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(admit)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(seated, 100);
    }
}
