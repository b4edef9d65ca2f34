//! Several hubs and the mail between them against an oracle, through thousands of histories.
//!
//! The oracle keeps one naive queue for each subscription of each core and knows of every
//! subscription on every core whether it counts. It does not know how a hub does it.

use std::collections::{BTreeMap, VecDeque};

use super::{Ack, Announcement, Delivery, Hub, Limits, Subscribed, TopicName, WorkerId, WorkerSet};
use crate::base::{Key, Rng, Shared};

const SEEDS: u64 = 5_000;
const STEPS: u64 = 150;

#[test]
fn every_subscriber_is_given_what_it_must_get_through_any_history() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.settle();
    }
}

#[derive(Debug)]
enum Mail {
    Publication(TopicName, Shared),
    Lost(TopicName),
    Announcement(Announcement),
    Ack(Ack),
}

/// What one subscription still has to be given.
#[derive(Debug, Default)]
struct Expected {
    is_effective: bool,
    queue: VecDeque<Item>,
}

#[derive(Debug)]
enum Item {
    Publication(u64),
    /// Losses in a row may be told together, but the last of them must not stay untold.
    Losses {
        count: u64,
        is_told: bool,
    },
}

struct World {
    rng: Rng,
    seed: u64,
    /// Few topics and subscribers meet in narrow corners, many in wide ones.
    topics: u64,
    slots: u64,
    /// One publication of so many is lost on a wire.
    losses: u64,
    hubs: Vec<Hub>,
    /// Mail in flight, by sender and receiver.
    wires: BTreeMap<(usize, usize), VecDeque<Mail>>,
    /// By core, topic and slot of the subscriber's key.
    expected: BTreeMap<(usize, TopicName, u64), Expected>,
    /// The generation of each slot of each core.
    generations: BTreeMap<(usize, u64), u64>,
    published: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let cores = usize::try_from(1 + rng.below(4)).unwrap();
        let limits = Limits { topics_per_connection_max: 8, backlog_bytes_max: usize::MAX };
        let hub = |me| Hub::new(me, cores, seed, limits);
        Self {
            topics: 1 + rng.below(3),
            slots: 1 + rng.below(5),
            losses: 2 + rng.below(8),
            rng,
            seed,
            hubs: WorkerId::all(cores).map(hub).collect(),
            wires: BTreeMap::new(),
            expected: BTreeMap::new(),
            generations: BTreeMap::new(),
            published: 0,
        }
    }

    fn step(&mut self) {
        let core = self.below(self.hubs.len());
        match self.rng.below(16) {
            0..=3 => self.subscribe(core),
            4..=5 => self.unsubscribe(core),
            6 => self.die(core),
            7..=9 => self.publish(core),
            10 => self.announce(core),
            11 => self.admit(core),
            12..=14 => self.carry(),
            _ => {
                let budget = 1 + self.below(5);
                self.deliver(core, budget);
            }
        }
        self.hubs[core].check_invariants();
    }

    fn subscribe(&mut self, core: usize) {
        let (topic, slot) = self.draw();
        let key = self.key(core, slot);
        let subscribed = self.hubs[core].subscribe(key, &topic).unwrap();
        let entry = self.expected.entry((core, topic, slot));
        let known = matches!(entry, std::collections::btree_map::Entry::Occupied(_));
        let expected = entry.or_default();
        match subscribed {
            Subscribed::Already => assert!(known, "seed {}", self.seed),
            Subscribed::Effective => expected.is_effective = true,
            Subscribed::Waiting => assert!(!expected.is_effective && self.hubs.len() > 1),
        }
        assert_eq!(subscribed == Subscribed::Already, known, "seed {}", self.seed);
    }

    fn unsubscribe(&mut self, core: usize) {
        let (topic, slot) = self.draw();
        let key = self.key(core, slot);
        let was = self.hubs[core].unsubscribe(key, &topic);
        let known = self.expected.remove(&(core, topic, slot)).is_some();
        assert_eq!(was, known, "seed {}", self.seed);
    }

    fn die(&mut self, core: usize) {
        let slot = self.rng.below(self.slots);
        let key = self.key(core, slot);
        self.hubs[core].remove(key);
        self.expected.retain(|(at, _, held), _| (*at, *held) != (core, slot));
        *self.generations.entry((core, slot)).or_default() += 1;
    }

    fn publish(&mut self, core: usize) {
        let (topic, _) = self.draw();
        let frame = frame(&topic, self.published);
        let wanted = self.hubs[core].publish(&topic, &frame.clone().into());
        for ((at, of, _), expected) in &self.expected {
            let is_missed = !wanted.iter().any(|worker| worker.index() == *at);
            let must_get = expected.is_effective && *at != core && *of == topic;
            assert!(!(must_get && is_missed), "seed {}: {topic} missed core {at}", self.seed);
        }
        self.expect(core, &topic, Some(self.published));
        for peer in wanted.iter().map(WorkerId::index) {
            let mail = if self.rng.one_of(1, self.losses) {
                Mail::Lost(topic.clone())
            } else {
                Mail::Publication(topic.clone(), frame.clone())
            };
            self.wire(core, peer).push_back(mail);
        }
        self.published += 1;
    }

    fn announce(&mut self, core: usize) {
        while let Some(said) = self.hubs[core].poll_announcement() {
            for peer in (0..self.hubs.len()).filter(|peer| *peer != core) {
                self.wire(core, peer).push_back(Mail::Announcement(said.clone()));
            }
        }
    }

    fn admit(&mut self, core: usize) {
        while let Some((key, topic)) = self.hubs[core].poll_effective() {
            let slot = key.index() as u64;
            assert_eq!(key, self.key(core, slot), "seed {}: a dead key", self.seed);
            let expected = self.expected.get_mut(&(core, topic, slot)).unwrap();
            assert!(!expected.is_effective, "seed {}: told twice", self.seed);
            expected.is_effective = true;
        }
    }

    /// Takes one letter from where it was sent to where it goes.
    fn carry(&mut self) {
        let cores = self.hubs.len();
        let (from, to) = (self.below(cores), self.below(cores));
        let Some(mail) = self.wire(from, to).pop_front() else { return };
        let sender = WorkerId::all(4).nth(from).unwrap();
        match mail {
            Mail::Publication(topic, frame) => {
                self.hubs[to].receive(&topic, &frame.clone().into());
                self.expect(to, &topic, Some(parse(&frame).1));
            }
            Mail::Lost(topic) => {
                self.hubs[to].lose(&topic);
                self.expect(to, &topic, None);
            }
            Mail::Announcement(said) => {
                let answer = self.hubs[to].heard(sender, &said);
                self.wire(to, from).extend(answer.map(Mail::Ack));
            }
            Mail::Ack(ack) => self.hubs[to].acknowledged(sender, ack),
        }
        self.hubs[to].check_invariants();
    }

    fn deliver(&mut self, core: usize, budget: usize) {
        let mut given = Vec::new();
        self.hubs[core].deliver(budget, |key, delivery| {
            given.push(match delivery {
                Delivery::Frame(frames) => {
                    let (topic, number) = parse(frames.plain());
                    (key, topic, Some(number))
                }
                Delivery::Lost(topic) => (key, topic.clone(), None),
            });
        });
        assert!(given.len() <= budget);
        for (key, topic, number) in given {
            self.check(core, key, &topic, number);
        }
    }

    /// Holds what was given to `key` against what it had to be given next.
    fn check(&mut self, core: usize, key: Key, topic: &TopicName, number: Option<u64>) {
        let seed = self.seed;
        let slot = key.index() as u64;
        assert_eq!(key, self.key(core, slot), "seed {seed}: given to the dead");
        let expected = self.expected.get_mut(&(core, topic.clone(), slot));
        let queue = &mut expected.expect("given to one who left").queue;
        let Some(number) = number else {
            let Some(Item::Losses { count, is_told }) = queue.front_mut() else {
                panic!("seed {seed}: told of a loss that was none");
            };
            *count = count.checked_sub(1).expect("told once too often");
            *is_told = true;
            return;
        };
        if let Some(Item::Losses { is_told, .. }) = queue.front() {
            assert!(is_told, "seed {seed}: not told of a loss");
            queue.pop_front();
        }
        let Some(Item::Publication(next)) = queue.pop_front() else {
            panic!("seed {seed}: {key:?} was given {number} and nothing was due");
        };
        assert_eq!(number, next, "seed {seed}: not the next one");
    }

    /// Notes what everyone who counts must be given; `None` is a loss.
    fn expect(&mut self, core: usize, topic: &TopicName, number: Option<u64>) {
        for ((at, of, _), expected) in &mut self.expected {
            if *at != core || of != topic || !expected.is_effective {
                continue;
            }
            match (number, expected.queue.back_mut()) {
                (Some(number), _) => expected.queue.push_back(Item::Publication(number)),
                (None, Some(Item::Losses { count, is_told })) => {
                    *count += 1;
                    *is_told = false;
                }
                (None, _) => {
                    expected.queue.push_back(Item::Losses { count: 1, is_told: false });
                }
            }
        }
    }

    /// Lets everything that is on its way arrive, then nobody may wait for anything.
    fn settle(&mut self) {
        for _ in 0..3 {
            for core in 0..self.hubs.len() {
                self.announce(core);
            }
            while self.wires.values().any(|wire| !wire.is_empty()) {
                self.carry();
            }
        }
        for core in 0..self.hubs.len() {
            self.admit(core);
            while self.hubs[core].has_pending() {
                self.deliver(core, 3);
            }
            self.hubs[core].check_invariants();
        }
        for (place, expected) in &self.expected {
            assert!(expected.is_effective, "seed {}: {place:?} waits for ever", self.seed);
            let is_done = |item: &Item| matches!(item, Item::Losses { is_told: true, .. });
            assert!(expected.queue.iter().all(is_done), "seed {}: {place:?} missed", self.seed);
        }
        for topic in (0..self.topics).map(topic) {
            self.compare_interest(&topic);
        }
    }

    /// What each core believes of the others must be so.
    fn compare_interest(&self, topic: &TopicName) {
        let wanting = |core: &WorkerId| {
            self.expected.keys().any(|(at, of, _)| *at == core.index() && of == topic)
        };
        let all: WorkerSet = WorkerId::all(self.hubs.len()).filter(wanting).collect();
        for (me, hub) in WorkerId::all(self.hubs.len()).zip(&self.hubs) {
            let mut others = all;
            others.remove(me);
            assert_eq!(hub.interest.wanted(topic), others, "seed {}: {me:?}", self.seed);
            assert!(!hub.interest.is_waiting(), "seed {}: {me:?} awaits nothing", self.seed);
        }
    }

    fn wire(&mut self, from: usize, to: usize) -> &mut VecDeque<Mail> {
        self.wires.entry((from, to)).or_default()
    }

    fn key(&self, core: usize, slot: u64) -> Key {
        let generation = self.generations.get(&(core, slot)).copied().unwrap_or_default();
        Key::from_bits(generation << 32 | slot)
    }

    fn draw(&mut self) -> (TopicName, u64) {
        (topic(self.rng.below(self.topics)), self.rng.below(self.slots))
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).unwrap()
    }
}

fn topic(number: u64) -> TopicName {
    TopicName::new(&format!("topic {number}")).unwrap()
}

/// The frame of a publication says where it was published and as which.
fn frame(topic: &TopicName, number: u64) -> Shared {
    Shared::from(format!("{topic}/{number}").as_str())
}

fn parse(frame: &Shared) -> (TopicName, u64) {
    let (topic, number) = std::str::from_utf8(frame).unwrap().split_once('/').unwrap();
    (TopicName::new(topic).unwrap(), number.parse().unwrap())
}
