//! Publish and subscribe on one core, without the outside: names of topics, who subscribes to
//! them here, and which other cores want them.
//!
//! ```text
//!  subscribe ---> table -----> poll_announcement --> the other cores
//!                   ^                                     |
//!  poll_effective <-+------------- acknowledged <---------+   heard: interest
//!
//!  publish -----> interest --> the cores that want it
//!     |
//!  receive -----> table: queued --> deliver (a slice a turn) --> each subscriber
//! ```
//!
//! What holds: while a subscription counts, its subscriber is given every publication of the topic
//! that this core accepts, once and in order, or is told in its place in that order that some were
//! lost. A subscription counts from the moment at which [`Hub::subscribe`] says so or
//! [`Hub::poll_effective`] returns it; by then every other core sends what it accepts.

mod interest;
#[cfg(test)]
mod model;
mod name;
mod publication;
mod table;
mod topic;

use std::collections::VecDeque;

pub use interest::{Ack, Announcement, Epoch, WorkerId, WorkerSet};
pub use name::{TopicFault, TopicName};
pub use publication::{Form, Frame, Frames, Publication};

use crate::base::{Key, Seed};
use interest::Interest;
use table::{Place, Table};
use topic::{Content, Queue, Standing};

/// How many members a topic may serve before the next topic has its turn.
const SLICE: usize = 256;

/// How many empty queues are kept for topics that get something to deliver.
const SPARE_QUEUES_MAX: usize = 64;

/// What a hub refuses to exceed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Topics a connection may subscribe to: they are looked through when it subscribes.
    pub topics_per_connection_max: usize,
    /// Bytes of publications that were accepted and not yet delivered to all. What comes above is
    /// lost, and the subscribers are told.
    pub backlog_bytes_max: usize,
}

/// What subscribers are given.
#[derive(Clone, Copy, Debug)]
pub enum Delivery<'a> {
    /// A publication.
    Frame(&'a Frames),
    /// Publications of this topic were lost before they came here, at this place in its order.
    Lost(&'a TopicName),
}

/// What became of a wish to subscribe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Subscribed {
    /// The subscription counts.
    Effective,
    /// It will count when [`Hub::poll_effective`] says so.
    Waiting,
    /// There is such a subscription already, whether it counts yet or not.
    Already,
}

/// Why a subscription was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SubscribeFault {
    /// The connection holds [`Limits::topics_per_connection_max`] topics.
    TooManyTopics,
}

/// The topics of one core.
#[derive(Debug)]
pub struct Hub {
    table: Table,
    interest: Interest,
    limits: Limits,
    /// Topics of which the others may know something that is not so, each once.
    changed: VecDeque<Key>,
    /// Who waited for which topic and does no longer.
    admitted: VecDeque<(Key, Key)>,
    /// Topics that have something to deliver, each once, in the order in which they get a slice.
    ready: VecDeque<Key>,
    spare_queues: Vec<Queue>,
    backlog_bytes: usize,
}

impl Hub {
    /// The hub of the worker `me`, one of `workers`.
    ///
    /// The `seed` must be unknown to peers: it keeps them from choosing names that collide.
    pub fn new(me: WorkerId, workers: usize, seed: u64, limits: Limits) -> Self {
        Self {
            table: Table::new(Seed(seed)),
            interest: Interest::new(me, workers, Seed(seed)),
            limits,
            changed: VecDeque::new(),
            admitted: VecDeque::new(),
            ready: VecDeque::new(),
            spare_queues: Vec::new(),
            backlog_bytes: 0,
        }
    }

    /// Subscribes `key` to the topic `name`.
    ///
    /// A key that dies must be [removed](Self::remove) before its slot is another's.
    pub fn subscribe(&mut self, key: Key, name: &TopicName) -> Result<Subscribed, SubscribeFault> {
        if self.place(key, name).is_some() {
            return Ok(Subscribed::Already);
        }
        if self.table.held(key) >= self.limits.topics_per_connection_max {
            return Err(SubscribeFault::TooManyTopics);
        }
        let alone = self.interest.is_alone();
        let standing = if alone { Standing::Held } else { Standing::Unannounced };
        let id = self.table.find_or_insert(name, standing);
        if self.table.join(key, id) == Standing::Held {
            return Ok(Subscribed::Effective);
        }
        self.note_change(id);
        Ok(Subscribed::Waiting)
    }

    /// The topic's own copy of `name`, if anybody here subscribes to it: whoever keeps this one
    /// keeps a count and no copy.
    pub fn own_name(&self, name: TopicName) -> TopicName {
        self.table.own_name(name)
    }

    /// Ends the subscription of `key` to the topic `name`: nothing more is delivered, not even
    /// what was accepted before. Returns whether there was one.
    pub fn unsubscribe(&mut self, key: Key, name: &TopicName) -> bool {
        let Some(place) = self.place(key, name) else { return false };
        self.leave(key, place);
        true
    }

    /// Ends every subscription of `key`.
    pub fn remove(&mut self, key: Key) {
        while let Some(place) = self.table.last_place(key) {
            self.leave(key, place);
        }
    }

    /// What every other core must be told, one at a time, until there is nothing more.
    ///
    /// A topic that was left and joined again since the last time needs no words.
    pub fn poll_announcement(&mut self) -> Option<Announcement> {
        while let Some(id) = self.changed.pop_front() {
            let Some(topic) = self.table.get_mut(id) else { continue };
            topic.is_changed = false;
            match (topic.standing, topic.members().is_empty()) {
                (Standing::Unannounced, false) => {
                    let epoch = self.interest.announce(id);
                    topic.standing = Standing::Announced;
                    return Some(Announcement::Gained { topic: topic.name.clone(), epoch });
                }
                (Standing::Unannounced, true) => drop(self.table.forget(id)),
                (Standing::Announced | Standing::Held, true) => {
                    return Some(Announcement::Lost { topic: self.table.forget(id) });
                }
                (Standing::Announced | Standing::Held, false) => {}
            }
        }
        None
    }

    /// Hears what another core announced. The answer, if there is one, goes back to that core,
    /// behind everything that was sent to it before.
    pub fn heard(&mut self, from: WorkerId, said: &Announcement) -> Option<Ack> {
        self.interest.hear(from, said)
    }

    /// Hears that another core has acknowledged.
    pub fn acknowledged(&mut self, from: WorkerId, ack: Ack) {
        let Some(id) = self.interest.acknowledge(from, ack) else { return };
        // Late news: by now everyone has left, and the others have been told so.
        let Some(topic) = self.table.get_mut(id) else { return };
        debug_assert_eq!(topic.standing, Standing::Announced, "a topic is announced once");
        topic.standing = Standing::Held;
        // Everyone who is a member has waited, for a topic is announced by its first member.
        self.admitted.extend(topic.members().iter().map(|member| (member.key, id)));
    }

    /// A subscription that waited and counts from now on, one at a time, until there is no more.
    pub fn poll_effective(&mut self) -> Option<(Key, TopicName)> {
        while let Some((key, id)) = self.admitted.pop_front() {
            // Who left in the meantime, or left and waits again, finds nothing here.
            if self.table.admit(key, id) {
                return self.table.get(id).map(|topic| (key, topic.name.clone()));
            }
        }
        None
    }

    /// Accepts a publication on this core: queues it for the subscribers here and tells which
    /// other cores it has to be sent to.
    #[must_use]
    pub fn publish(&mut self, name: &TopicName, publication: &Publication) -> WorkerSet {
        self.receive(name, publication);
        self.interest.wanted(name)
    }

    /// Whether anybody would be given what is published to the topic `name`, as far as this core
    /// knows.
    pub fn is_wanted(&self, name: &TopicName) -> bool {
        self.table.find(name).is_some() || !self.interest.wanted(name).is_empty()
    }

    /// Accepts a publication that another core sent: queues it for the subscribers here.
    ///
    /// If there are none any more, the other core has not heard so yet, and nobody is missed.
    pub fn receive(&mut self, name: &TopicName, publication: &Publication) {
        self.accept(name, Some(publication));
    }

    /// Notes that publications of the topic `name` were lost on the way here.
    pub fn lose(&mut self, name: &TopicName) {
        self.accept(name, None);
    }

    /// Gives subscribers what is queued for them, looking at no more than `budget` of them.
    /// Returns to how many something was given.
    ///
    /// Each topic keeps its order, and topics take turns.
    pub fn deliver(&mut self, budget: usize, mut each: impl FnMut(Key, Delivery<'_>)) -> usize {
        let (mut left, mut delivered) = (budget, 0);
        while left > 0
            && let Some(id) = self.ready.pop_front()
        {
            let Some(topic) = self.table.get_mut(id) else { continue };
            let progress = topic.deliver(left.min(SLICE), &mut each);
            left -= progress.visited;
            delivered += progress.delivered;
            self.backlog_bytes -= progress.freed_bytes;
            topic.is_ready = topic.has_pending();
            if topic.is_ready {
                self.ready.push_back(id);
            } else {
                let queue = topic.exchange_queue(Queue::default());
                self.keep(queue);
            }
        }
        delivered
    }

    /// Whether something is queued that `deliver` would deliver.
    pub const fn has_pending(&self) -> bool {
        self.backlog_bytes > 0
    }

    /// How many bytes of publications are queued.
    pub const fn backlog_bytes(&self) -> usize {
        self.backlog_bytes
    }

    /// How many topics have subscribers on this core, or had until the last announcements.
    pub fn topics(&self) -> usize {
        self.table.topics()
    }

    /// How many subscriptions this core has.
    pub const fn subscriptions(&self) -> usize {
        self.table.subscriptions()
    }

    /// Checks everything that must hold between two calls, in time that grows with everything.
    ///
    /// # Panics
    ///
    /// If something does not hold.
    pub fn check_invariants(&self) {
        self.table.check_invariants();
        let queued: usize = self.table.iter().map(|(_, topic)| topic.backlog_bytes()).sum();
        assert_eq!(self.backlog_bytes, queued);
        for (id, topic) in self.table.iter() {
            let count = |queue: &VecDeque<Key>| queue.iter().filter(|key| **key == id).count();
            assert_eq!(count(&self.ready), usize::from(topic.is_ready));
            assert_eq!(count(&self.changed), usize::from(topic.is_changed));
            assert!(topic.is_ready || !topic.has_pending(), "nobody would deliver it");
            assert!(topic.is_changed || !topic.members().is_empty(), "nobody would forget it");
            let is_untold = topic.standing == Standing::Unannounced;
            assert!(topic.is_changed || !is_untold, "nobody would announce it");
        }
    }

    fn place(&self, key: Key, name: &TopicName) -> Option<Place> {
        self.table.place(key, self.table.find(name)?)
    }

    fn leave(&mut self, key: Key, place: Place) {
        self.table.leave(key, place);
        let topic = self.table.get_mut(place.topic).expect("a place names a known topic");
        if !topic.members().is_empty() {
            return;
        }
        self.backlog_bytes -= topic.forget();
        if self.interest.is_alone() {
            self.table.forget(place.topic);
        } else {
            self.note_change(place.topic);
        }
    }

    fn note_change(&mut self, id: Key) {
        let topic = self.table.get_mut(id).expect("only a known topic changes");
        if !std::mem::replace(&mut topic.is_changed, true) {
            self.changed.push_back(id);
        }
    }

    fn keep(&mut self, queue: Queue) {
        if queue.is_worth_keeping() && self.spare_queues.len() < SPARE_QUEUES_MAX {
            self.spare_queues.push(queue);
        }
    }

    /// Queues a publication, or the loss of one, if anybody here counts.
    fn accept(&mut self, name: &TopicName, publication: Option<&Publication>) {
        let Some(id) = self.table.find(name) else { return };
        let topic = self.table.get_mut(id).expect("a name leads to a known topic");
        if topic.standing != Standing::Held || topic.members().is_empty() {
            return;
        }
        if !std::mem::replace(&mut topic.is_ready, true) {
            self.ready.push_back(id);
            drop(topic.exchange_queue(self.spare_queues.pop().unwrap_or_default()));
        }
        let room = self.limits.backlog_bytes_max.saturating_sub(self.backlog_bytes);
        let is_first = self.backlog_bytes == 0;
        let content = match publication {
            Some(publication) if is_first || Content::frame_cost(publication.bytes()) <= room => {
                Content::Frame(publication.into())
            }
            Some(_) | None => Content::Lost,
        };
        self.backlog_bytes += topic.accept(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Shared;

    const ME: WorkerId = WorkerId::new(0);
    const OTHER: WorkerId = WorkerId::new(1);
    const LIMITS: Limits = Limits { topics_per_connection_max: 2, backlog_bytes_max: 200 };

    fn name(text: &str) -> TopicName {
        TopicName::new(text).unwrap()
    }

    fn key(bits: u64) -> Key {
        Key::from_bits(bits)
    }

    fn alone() -> Hub {
        Hub::new(ME, 1, 1, LIMITS)
    }

    fn publish(hub: &mut Hub, topic: &str, text: &str) {
        assert!(hub.publish(&name(topic), &Shared::from(text).into()).is_empty());
    }

    /// What is delivered within `budget`, as `key text`.
    fn delivered(hub: &mut Hub, budget: usize) -> Vec<String> {
        let mut all = Vec::new();
        let count = hub.deliver(budget, |key, delivery| {
            let text = match delivery {
                Delivery::Frame(frames) => String::from_utf8_lossy(frames.plain()).into_owned(),
                Delivery::Lost(_) => "lost".to_owned(),
            };
            all.push(format!("{} {text}", key.index()));
        });
        hub.check_invariants();
        assert_eq!(count, all.len());
        all
    }

    #[test]
    fn a_lonely_core_delivers_to_its_subscribers_at_once() {
        let mut hub = alone();
        assert_eq!(hub.subscribe(key(1), &name("a")), Ok(Subscribed::Effective));
        assert_eq!(hub.subscribe(key(1), &name("a")), Ok(Subscribed::Already));
        publish(&mut hub, "a", "x");
        publish(&mut hub, "b", "nobody");
        assert!(hub.has_pending());
        assert_eq!(delivered(&mut hub, 10), ["1 x"]);
        assert!(!hub.has_pending());
        assert_eq!(hub.poll_announcement(), None);
        assert!(hub.unsubscribe(key(1), &name("a")) && !hub.unsubscribe(key(1), &name("a")));
        assert_eq!((hub.topics(), hub.subscriptions()), (0, 0));
    }

    #[test]
    fn a_connection_holds_topics_up_to_its_limit() {
        let mut hub = alone();
        for topic in ["a", "b"] {
            assert_eq!(hub.subscribe(key(1), &name(topic)), Ok(Subscribed::Effective));
        }
        assert_eq!(hub.subscribe(key(1), &name("c")), Err(SubscribeFault::TooManyTopics));
        assert_eq!(hub.topics(), 2, "a refusal leaves no topic behind");
        hub.remove(key(1));
        hub.remove(key(1));
        assert_eq!((hub.topics(), hub.subscriptions()), (0, 0));
    }

    #[test]
    fn who_leaves_or_dies_is_given_nothing_more() {
        let mut hub = alone();
        for index in 0..4 {
            let _ = hub.subscribe(key(index), &name("a")).unwrap();
        }
        publish(&mut hub, "a", "x");
        assert_eq!(delivered(&mut hub, 1), ["0 x"]);
        hub.remove(key(1));
        hub.unsubscribe(key(2), &name("a"));
        let _ = hub.subscribe(key(2), &name("a")).unwrap();
        assert_eq!(delivered(&mut hub, 10), ["3 x"]);
    }

    #[test]
    fn topics_take_turns_and_keep_their_order() {
        let mut hub = alone();
        for index in 0..300 {
            let _ = hub.subscribe(key(index), &name("crowd")).unwrap();
        }
        let _ = hub.subscribe(key(400), &name("quiet")).unwrap();
        publish(&mut hub, "crowd", "x");
        publish(&mut hub, "quiet", "y");
        publish(&mut hub, "quiet", "z");
        let first = delivered(&mut hub, SLICE + 2);
        assert_eq!(first.get(SLICE..), Some(&["400 y".to_owned(), "400 z".to_owned()][..]));
        assert_eq!(delivered(&mut hub, 1_000).len(), 300 - SLICE);
    }

    #[test]
    fn a_backlog_beyond_its_limit_becomes_a_loss_that_is_told() {
        let mut hub = alone();
        let _ = hub.subscribe(key(1), &name("a")).unwrap();
        publish(&mut hub, "a", &"x".repeat(500));
        for text in ["lost with the next", "lost"] {
            publish(&mut hub, "a", text);
        }
        let all = delivered(&mut hub, 10);
        assert_eq!((all.len(), all.last()), (2, Some(&"1 lost".to_owned())));
        publish(&mut hub, "a", "y");
        assert_eq!(delivered(&mut hub, 10), ["1 y"], "there is room again");
    }

    #[test]
    fn a_first_subscription_waits_for_every_other_core() {
        let mut hub = Hub::new(ME, 2, 1, LIMITS);
        assert_eq!(hub.subscribe(key(1), &name("a")), Ok(Subscribed::Waiting));
        let Some(Announcement::Gained { epoch, .. }) = hub.poll_announcement() else {
            panic!("the other must be told")
        };
        publish(&mut hub, "a", "too early");
        assert_eq!(hub.poll_effective(), None);
        hub.acknowledged(OTHER, Ack::of(epoch));
        publish(&mut hub, "a", "still too early");
        assert_eq!(hub.poll_effective(), Some((key(1), name("a"))));
        assert_eq!(hub.subscribe(key(2), &name("a")), Ok(Subscribed::Effective));
        publish(&mut hub, "a", "x");
        assert_eq!(delivered(&mut hub, 10), ["1 x", "2 x"]);
    }

    #[test]
    fn leaving_and_joining_again_between_two_announcements_needs_no_words() {
        let mut hub = Hub::new(ME, 2, 1, LIMITS);
        let _ = hub.subscribe(key(1), &name("a")).unwrap();
        hub.remove(key(1));
        assert_eq!((hub.poll_announcement(), hub.topics()), (None, 0));
        let _ = hub.subscribe(key(1), &name("a")).unwrap();
        let Some(Announcement::Gained { epoch, .. }) = hub.poll_announcement() else {
            panic!("the other must be told")
        };
        hub.remove(key(1));
        let _ = hub.subscribe(key(2), &name("a")).unwrap();
        assert_eq!(hub.poll_announcement(), None);
        hub.acknowledged(OTHER, Ack::of(epoch));
        assert_eq!(hub.poll_effective(), Some((key(2), name("a"))));
        hub.remove(key(2));
        assert_eq!(hub.poll_announcement(), Some(Announcement::Lost { topic: name("a") }));
        assert_eq!(hub.topics(), 0);
    }
}
