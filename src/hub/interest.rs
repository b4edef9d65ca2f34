//! Which cores want which topics.
//!
//! A core tells the others when it has gained its first subscriber of a topic and when it has lost
//! the last. Mail between two cores arrives in the order in which it was sent, so the last word
//! counts; the acknowledgement of an earlier word is recognised by its [`Epoch`].
//!
//! ```text
//!  core A                                       core B
//!  first subscriber of `demo`: waits
//!    Gained { demo, epoch 7 } ---------------->   from now on sends `demo` to A
//!                             <----------------   Ack { epoch 7 }
//!  everyone has acknowledged: the subscription counts
//! ```

use super::TopicName;
use crate::base::{Key, Map, Seed};

/// One worker of this process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WorkerId(u8);

impl WorkerId {
    /// How many workers a process may have.
    pub const COUNT_MAX: usize = 256;

    /// The worker with this number, counted from 0.
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The workers of a process that has `count` of them.
    pub fn all(count: usize) -> impl Iterator<Item = Self> {
        (0..=u8::MAX).take(count).map(Self)
    }

    /// The number, counted from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of workers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WorkerSet([u64; 4]);

impl WorkerSet {
    /// Adds `worker`.
    pub fn insert(&mut self, worker: WorkerId) {
        let (word, bit) = self.locate(worker);
        *word |= bit;
    }

    /// Takes `worker` out; returns whether it was in.
    pub fn remove(&mut self, worker: WorkerId) -> bool {
        let (word, bit) = self.locate(worker);
        let was_in = *word & bit != 0;
        *word &= !bit;
        was_in
    }

    /// Whether there is nobody in it.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Its workers in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = WorkerId> {
        let words = (0..4u8).zip(self.0).filter(|(_, bits)| *bits != 0);
        words.flat_map(|(word, bits)| {
            let is_in = move |bit: &u8| bits >> bit & 1 == 1;
            (0..64).filter(is_in).map(move |bit| WorkerId(word * 64 + bit))
        })
    }

    fn locate(&mut self, WorkerId(number): WorkerId) -> (&mut u64, u64) {
        let word = self.0.get_mut(usize::from(number / 64)).expect("4 words of 64 hold a byte");
        (word, 1 << (number % 64))
    }
}

impl FromIterator<WorkerId> for WorkerSet {
    fn from_iter<I: IntoIterator<Item = WorkerId>>(workers: I) -> Self {
        let mut set = Self::default();
        workers.into_iter().for_each(|worker| set.insert(worker));
        set
    }
}

/// Tells one announcement of a core from all its others.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Epoch(u64);

/// What a core tells all others about its subscribers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Announcement {
    /// It has subscribers of `topic` now, and waits for an [`Ack`] of `epoch`.
    Gained {
        /// What is subscribed to.
        topic: TopicName,
        /// What the acknowledgement has to name.
        epoch: Epoch,
    },
    /// It has no subscribers of `topic` any more.
    Lost {
        /// What was subscribed to.
        topic: TopicName,
    },
}

/// The answer to [`Announcement::Gained`]: what is accepted here from now on will be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ack {
    epoch: Epoch,
}

#[cfg(test)]
impl Ack {
    pub(super) fn of(epoch: Epoch) -> Self {
        Self { epoch }
    }
}

/// What this core knows of the others' wishes, and they of its own.
#[derive(Debug)]
pub(super) struct Interest {
    others: WorkerSet,
    /// Who wants what. No set is empty.
    wanted: Map<TopicName, WorkerSet>,
    /// The topic of each announcement in flight and who has not acknowledged it. No set is empty.
    unacknowledged: Map<Epoch, (Key, WorkerSet)>,
    last_epoch: Epoch,
}

impl Interest {
    pub(super) fn new(me: WorkerId, workers: usize, seed: Seed) -> Self {
        Self {
            others: WorkerId::all(workers).filter(|worker| *worker != me).collect(),
            wanted: Map::with_hasher(seed),
            unacknowledged: Map::default(),
            last_epoch: Epoch::default(),
        }
    }

    /// Begins an announcement of `topic` that all others must acknowledge.
    pub(super) fn announce(&mut self, topic: Key) -> Epoch {
        assert!(!self.is_alone(), "nobody would ever acknowledge");
        self.last_epoch.0 += 1;
        self.unacknowledged.insert(self.last_epoch, (topic, self.others));
        self.last_epoch
    }

    /// Notes an acknowledgement; returns the topic if it was the last one missing.
    pub(super) fn acknowledge(&mut self, from: WorkerId, ack: Ack) -> Option<Key> {
        let (topic, missing) = self.unacknowledged.get_mut(&ack.epoch)?;
        let topic = *topic;
        missing.remove(from);
        if !missing.is_empty() {
            return None;
        }
        self.unacknowledged.remove(&ack.epoch);
        Some(topic)
    }

    /// Notes what another core said, with the answer it waits for.
    pub(super) fn hear(&mut self, from: WorkerId, said: &Announcement) -> Option<Ack> {
        match said {
            Announcement::Gained { topic, epoch } => {
                self.wanted.entry(topic.clone()).or_default().insert(from);
                Some(Ack { epoch: *epoch })
            }
            Announcement::Lost { topic } => {
                let workers = self.wanted.get_mut(topic)?;
                workers.remove(from);
                if workers.is_empty() {
                    self.wanted.remove(topic);
                }
                None
            }
        }
    }

    /// Which other cores want `topic`.
    pub(super) fn wanted(&self, topic: &TopicName) -> WorkerSet {
        self.wanted.get(topic).copied().unwrap_or_default()
    }

    /// Whether any acknowledgement is awaited.
    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        !self.unacknowledged.is_empty()
    }

    /// Whether there is no other core.
    pub(super) fn is_alone(&self) -> bool {
        self.others.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: WorkerId = WorkerId::new(0);
    const B: WorkerId = WorkerId::new(1);
    const C: WorkerId = WorkerId::new(2);

    fn demo() -> TopicName {
        TopicName::new("demo").unwrap()
    }

    #[test]
    fn a_set_holds_each_worker_there_can_be() {
        let mut set: WorkerSet = WorkerId::all(WorkerId::COUNT_MAX).collect();
        let all: Vec<_> = set.iter().map(WorkerId::index).collect();
        assert_eq!(all, (0..256).collect::<Vec<_>>());
        assert!(set.remove(WorkerId::new(64)));
        assert!(!set.remove(WorkerId::new(64)));
        assert_eq!(set.iter().count(), 255);
        assert!(WorkerId::all(256).all(|worker| set.remove(worker) == (worker.index() != 64)));
        assert!(set.is_empty());
    }

    #[test]
    fn an_announcement_counts_when_all_others_have_acknowledged_it() {
        let mut interest = Interest::new(A, 3, Seed(1));
        let topic = Key::from_bits(4);
        let epoch = interest.announce(topic);
        assert_eq!(interest.acknowledge(B, Ack { epoch }), None);
        assert_eq!(interest.acknowledge(B, Ack { epoch }), None, "each counts once");
        assert_eq!(interest.acknowledge(C, Ack { epoch }), Some(topic));
        assert_eq!(interest.acknowledge(C, Ack { epoch }), None, "and completes it once");
    }

    #[test]
    fn an_acknowledgement_is_of_the_word_it_names() {
        let mut interest = Interest::new(A, 2, Seed(1));
        let (old, new) = (Key::from_bits(4), Key::from_bits(5));
        let (first, second) = (interest.announce(old), interest.announce(new));
        assert_eq!(interest.acknowledge(B, Ack { epoch: first }), Some(old));
        assert_eq!(interest.acknowledge(B, Ack { epoch: first }), None);
        assert_eq!(interest.acknowledge(B, Ack { epoch: second }), Some(new));
        assert!(!interest.is_waiting());
    }

    #[test]
    fn the_last_word_counts() {
        let mut interest = Interest::new(A, 3, Seed(1));
        let gained = Announcement::Gained { topic: demo(), epoch: Epoch(1) };
        let lost = Announcement::Lost { topic: demo() };
        assert_eq!(interest.hear(B, &gained), Some(Ack { epoch: Epoch(1) }));
        assert_eq!(interest.hear(C, &gained), Some(Ack { epoch: Epoch(1) }));
        assert_eq!(interest.hear(B, &lost), None);
        assert_eq!(interest.wanted(&demo()), WorkerSet::from_iter([C]));
        assert_eq!(interest.hear(C, &lost), None);
        assert_eq!(interest.hear(C, &lost), None, "nothing is left to lose");
        assert!(interest.wanted.is_empty(), "a topic that nobody wants costs nothing");
    }
}
