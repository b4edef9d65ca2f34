//! Who subscribes to what on this core: topics with their members, subscribers with their topics.
//!
//! Both sides are dense and name each other's positions, so joining, leaving and dying touch as
//! many words as they change, and a delivery walks an array:
//!
//! ```text
//!  topics       demo  members [ (key 7, held 0) (key 9, held 1) ]
//!               news  members [ (key 9, held 0) ]
//!  holdings     7: demo 0        9: news 0, demo 1
//! ```
//!
//! Invariant: a place and a member name each other. It costs 16 bytes a member and 16 bytes a
//! subscriber, and 12 bytes a place for a subscriber that holds more than one.

use super::TopicName;
use super::topic::{Standing, Topic};
use crate::base::{Key, Map, Paged, Seed, Slab};

/// The topics of a core and their subscribers.
#[derive(Debug)]
pub(super) struct Table {
    topics: Slab<Topic>,
    names: Map<TopicName, Key>,
    /// By the slot of the subscriber's key.
    holdings: Paged<Holdings>,
    subscriptions: usize,
}

/// Which topics one subscriber holds. Most hold one, so that is kept in place.
#[derive(Debug, Default)]
enum Holdings {
    #[default]
    None,
    One(Place),
    // The box keeps everyone else's slot at 16 bytes.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<Place>>),
}

/// A subscription, from the side of the subscriber.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) topic: Key,
    position: u32,
}

impl Table {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            topics: Slab::default(),
            names: Map::with_hasher(seed),
            holdings: Paged::default(),
            subscriptions: 0,
        }
    }

    /// The topic of that name, if it is known here.
    pub(super) fn find(&self, name: &TopicName) -> Option<Key> {
        self.names.get(name).copied()
    }

    /// The topic of that name, which becomes known with `standing` if it was not.
    pub(super) fn find_or_insert(&mut self, name: &TopicName, standing: Standing) -> Key {
        self.find(name).unwrap_or_else(|| {
            let topic = self.topics.insert(Topic::new(name.clone(), standing));
            self.names.insert(name.clone(), topic);
            topic
        })
    }

    /// The copy of `name` that its topic keeps, if it is known.
    pub(super) fn own_name(&self, name: TopicName) -> TopicName {
        match self.names.get_key_value(&name) {
            Some((own, _)) => own.clone(),
            None => name,
        }
    }

    pub(super) fn get(&self, topic: Key) -> Option<&Topic> {
        self.topics.get(topic)
    }

    pub(super) fn get_mut(&mut self, topic: Key) -> Option<&mut Topic> {
        self.topics.get_mut(topic)
    }

    /// Forgets a topic that has no members; returns its name.
    pub(super) fn forget(&mut self, topic: Key) -> TopicName {
        let topic = self.topics.remove(topic).expect("only a known topic is forgotten");
        assert!(topic.members().is_empty(), "a topic with members was forgotten");
        self.names.remove(&topic.name);
        topic.name
    }

    /// Makes `key` a member of `topic`, which it is not yet. Returns how that topic stands.
    pub(super) fn join(&mut self, key: Key, topic: Key) -> Standing {
        self.holdings.extend_to(key.index() + 1, Holdings::default);
        let holdings = self.holdings.get_mut(key.index()).expect("it has just been made");
        let held = u32::try_from(holdings.places().len()).expect("a connection holds few topics");
        let members = self.topics.get_mut(topic).expect("a known topic is joined");
        let (position, standing) = (members.join(key, held), members.standing);
        holdings.push(Place { topic, position });
        self.subscriptions += 1;
        debug_assert!(self.holds_only_its_own(key), "the slot of {key:?} was not left before");
        standing
    }

    /// Ends the membership at `place` of `key`.
    pub(super) fn leave(&mut self, key: Key, place: Place) {
        let topic = self.topics.get_mut(place.topic).expect("a place names a known topic");
        let member = topic.members().get(place.position as usize).expect("a place names a member");
        assert!(member.key == key, "a place named the member of another");
        let held = member.held;
        for position in topic.leave(place.position) {
            if let Some(moved) = topic.members().get(position as usize) {
                let holdings = self.holdings.get_mut(moved.key.index());
                holdings.expect("a member holds its topic").place_mut(moved.held).position =
                    position;
            }
        }
        self.subscriptions -= 1;
        let holdings = self.holdings.get_mut(key.index()).expect("a member holds its topic");
        holdings.swap_remove(held);
        if let Some(moved) = holdings.places().get(held as usize) {
            let topic = self.topics.get_mut(moved.topic).expect("a place names a known topic");
            topic.set_held(moved.position, held);
        }
        // What a crowd took is given back once it has gone.
        while self.holdings.last().is_some_and(|holdings| holdings.places().is_empty()) {
            self.holdings.pop();
        }
    }

    /// Where `key` is a member of `topic`, if it is.
    ///
    /// Looks at each topic that `key` holds, of which a limit allows few.
    pub(super) fn place(&self, key: Key, topic: Key) -> Option<Place> {
        self.places(key).iter().copied().find(|place| place.topic == topic)
    }

    /// The last place of `key`, if it holds any.
    pub(super) fn last_place(&self, key: Key) -> Option<Place> {
        self.places(key).last().copied()
    }

    /// How many topics `key` holds.
    pub(super) fn held(&self, key: Key) -> usize {
        self.places(key).len()
    }

    /// Makes `key` count as a member of `topic`; returns whether it had waited for that.
    pub(super) fn admit(&mut self, key: Key, topic: Key) -> bool {
        let place = self.place(key, topic);
        place.is_some_and(|place| {
            let topic = self.topics.get_mut(topic).expect("a place names a known topic");
            topic.admit(place.position)
        })
    }

    /// How many topics are known.
    pub(super) fn topics(&self) -> usize {
        self.topics.len()
    }

    /// How many subscriptions there are.
    pub(super) const fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    /// Every known topic.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &Topic)> {
        self.topics.iter()
    }

    pub(super) fn check_invariants(&self) {
        assert_eq!(self.names.len(), self.topics.len());
        let mut members = 0;
        for (id, topic) in self.topics.iter() {
            topic.check_invariants();
            assert_eq!(self.find(&topic.name), Some(id));
            for (position, member) in (0..).zip(topic.members().iter()) {
                let place = self.places(member.key).get(member.held as usize);
                assert_eq!(place, Some(&Place { topic: id, position }), "{member:?}");
                members += 1;
            }
        }
        let held: usize = self.holdings.iter().map(|holdings| holdings.places().len()).sum();
        assert_eq!((members, held), (self.subscriptions, self.subscriptions));
    }

    /// The places of `key`; none if its slot is another's by now.
    fn places(&self, key: Key) -> &[Place] {
        let places = self.holdings.get(key.index()).map_or(&[][..], Holdings::places);
        match places.first() {
            Some(first) if self.member_at(*first) == Some(key) => places,
            _ => &[],
        }
    }

    fn member_at(&self, place: Place) -> Option<Key> {
        let topic = self.topics.get(place.topic)?;
        topic.members().get(place.position as usize).map(|member| member.key)
    }

    fn holds_only_its_own(&self, key: Key) -> bool {
        self.places(key).iter().all(|place| self.member_at(*place) == Some(key))
            && !self.places(key).is_empty()
    }
}

impl Holdings {
    fn places(&self) -> &[Place] {
        match self {
            Self::None => &[],
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(places) => places,
        }
    }

    fn place_mut(&mut self, held: u32) -> &mut Place {
        let place = match self {
            Self::None => None,
            Self::One(place) => Some(place),
            Self::Many(places) => places.get_mut(held as usize),
        };
        place.expect("a member names a place")
    }

    fn push(&mut self, place: Place) {
        match self {
            Self::None => *self = Self::One(place),
            Self::One(first) => *self = Self::Many(Box::new(vec![*first, place])),
            Self::Many(places) => {
                grow(places);
                places.push(place);
            }
        }
    }

    fn swap_remove(&mut self, held: u32) {
        match self {
            Self::Many(places) => {
                places.swap_remove(held as usize);
                if let [only] = *places.as_slice() {
                    *self = Self::One(only);
                }
            }
            Self::None | Self::One(_) => *self = Self::None,
        }
    }
}

/// Makes room for one more by a quarter at a time: doubling would let half of the memory lie idle.
fn grow<T>(vec: &mut Vec<T>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact((vec.len() / 4).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    fn key(bits: u64) -> Key {
        Key::from_bits(bits)
    }

    fn name(number: u64) -> TopicName {
        TopicName::new(&format!("topic {number}")).unwrap()
    }

    #[test]
    fn a_subscription_costs_what_the_module_says() {
        assert_eq!(size_of::<Holdings>(), 16);
        assert_eq!(size_of::<Place>(), 12);
        assert_eq!(size_of::<crate::hub::topic::Member>(), 16);
    }

    #[test]
    fn places_and_members_name_each_other_through_any_history() {
        let mut rng = Rng::new(5);
        let mut table = Table::new(Seed(5));
        for _ in 0..20_000 {
            let key = key(rng.below(12));
            let topic = table.find_or_insert(&name(rng.below(6)), Standing::Held);
            match table.place(key, topic) {
                Some(place) => table.leave(key, place),
                None => assert_eq!(table.join(key, topic), Standing::Held),
            }
            table.check_invariants();
        }
    }

    #[test]
    fn a_key_whose_slot_was_taken_over_holds_nothing() {
        let mut table = Table::new(Seed(1));
        let topic = table.find_or_insert(&name(1), Standing::Held);
        let (old, new) = (key(3), key(3 | 1 << 32));
        let _ = table.join(old, topic);
        assert_eq!((table.held(old), table.held(new)), (1, 0));
        assert_eq!(table.place(new, topic), None);
    }

    #[test]
    fn who_asks_for_a_topics_name_shares_it() {
        let mut table = Table::new(Seed(1));
        let topic = table.find_or_insert(&name(1), Standing::Held);
        let own = &table.get(topic).unwrap().name;
        let is_own = |name: &TopicName| std::ptr::eq(name.as_str(), own.as_str());
        assert!(is_own(&table.own_name(name(1))) && !is_own(&name(1)));
        assert_eq!(table.own_name(name(2)), name(2));
    }

    #[test]
    fn a_topic_is_known_until_it_is_forgotten() {
        let mut table = Table::new(Seed(1));
        let topic = table.find_or_insert(&name(1), Standing::Held);
        assert_eq!(table.find_or_insert(&name(1), Standing::Unannounced), topic);
        assert_eq!(table.forget(topic), name(1));
        assert_eq!((table.find(&name(1)), table.topics()), (None, 0));
    }
}
