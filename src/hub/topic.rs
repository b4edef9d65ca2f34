//! One topic of one core: its members, and what they have yet to be given.
//!
//! A publication is given to the members in slices, and between two slices anybody may come or go.
//! The members stand in a dense array; a cursor divides those that were given the front of the
//! queue from those that were not:
//!
//! ```text
//!  members  [ given  given  given | not yet  not yet  not yet ]
//!                           cursor^                           ^ who joins
//! ```
//!
//! Invariants: a member that leaves takes nobody across the cursor, so that nobody is skipped and
//! nobody is served twice. A member carries the number from which on it counts, so that who joins
//! is not given what was accepted before.

use std::collections::VecDeque;

use super::{Delivery, Frames, TopicName};
use crate::base::{Key, Paged};

/// What a queued entry costs beside its frame, for the accounts of a backlog.
const ENTRY_BYTES: usize = 64;

/// The number from which on a member counts whose subscription is not effective yet: never.
const NEVER: u32 = u32::MAX;

/// A topic with its members.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) standing: Standing,
    /// Whether it is in the hub's queue of topics that may have to be announced.
    pub(super) is_changed: bool,
    /// Whether it is in the hub's queue of topics that have something to deliver.
    pub(super) is_ready: bool,
    members: Paged<Member>,
    /// What was accepted and not yet given to everyone it is for, oldest first, by number.
    pending: VecDeque<Pending>,
    /// The members before it were given the front of `pending`.
    cursor: usize,
    /// The number of the next thing to be accepted.
    next: u32,
}

/// What the other cores know about the subscribers of a topic on this one. It only ever grows: when
/// they are told that there are none, the topic is forgotten, and another begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// Nothing: every member waits.
    Unannounced,
    /// They are being told: every member waits.
    Announced,
    /// Everything: they send what they accept.
    Held,
}

/// A subscriber, from the side of the topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) key: Key,
    /// Where this topic stands among those the subscriber holds.
    pub(super) held: u32,
    /// The number of the first thing it is to be given.
    since: u32,
}

#[derive(Debug)]
struct Pending {
    number: u32,
    content: Content,
}

/// What members are to be given.
#[derive(Debug)]
pub(super) enum Content {
    Frame(Frames),
    Lost,
}

/// What came of a slice.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Progress {
    /// How many members were looked at: what the slice cost.
    pub(super) visited: usize,
    /// How many were given something.
    pub(super) delivered: usize,
    /// How many bytes of backlog that ended.
    pub(super) freed_bytes: usize,
}

impl Topic {
    pub(super) fn new(name: TopicName, standing: Standing) -> Self {
        Self {
            name,
            standing,
            is_changed: false,
            is_ready: false,
            members: Paged::default(),
            pending: VecDeque::new(),
            cursor: 0,
            next: 0,
        }
    }

    /// Adds a member behind all others, where no slice has been. Returns its position.
    ///
    /// It counts at once if the others know that this core has subscribers, else after `admit`.
    pub(super) fn join(&mut self, key: Key, held: u32) -> u32 {
        let since = if self.standing == Standing::Held { self.next } else { NEVER };
        self.members.push(Member { key, held, since });
        u32::try_from(self.members.len() - 1).expect("a member for each connection at most")
    }

    /// Makes the member at `position` count from now on; returns whether it had waited for that.
    pub(super) fn admit(&mut self, position: u32) -> bool {
        assert!(self.standing == Standing::Held, "a member counts when the others know");
        let member = self.members.get_mut(position as usize).expect("a place names a member");
        let waited = member.since == NEVER;
        if waited {
            member.since = self.next;
        }
        waited
    }

    /// Removes the member at `position`. Returns where other members may have come to stand.
    pub(super) fn leave(&mut self, position: u32) -> [u32; 2] {
        let mut vacant = position;
        if (position as usize) < self.cursor {
            // The gap among those already served is closed with the last of them, which moves the
            // gap to the cursor; only from there on may it be closed with the last of all.
            self.cursor -= 1;
            vacant = u32::try_from(self.cursor).expect("the cursor is a member's position");
            self.members.swap(position as usize, self.cursor);
        }
        self.members.swap_remove(vacant as usize);
        if self.members.is_empty() {
            self.members = Paged::default();
        }
        [position, vacant]
    }

    /// Tells the member at `position` where this topic now stands among those it holds.
    pub(super) fn set_held(&mut self, position: u32, held: u32) {
        self.members.get_mut(position as usize).expect("a place names a member").held = held;
    }

    /// Queues `content` for everyone who counts now. Returns the bytes it adds to the backlog.
    pub(super) fn accept(&mut self, content: Content) -> usize {
        let number = self.number();
        if matches!(content, Content::Lost) && self.absorbs_loss(number) {
            return 0;
        }
        let cost = content.cost();
        self.pending.push_back(Pending { number, content });
        cost
    }

    /// Gives what waits to at most `budget` members, oldest first.
    pub(super) fn deliver(
        &mut self,
        budget: usize,
        each: &mut impl FnMut(Key, Delivery<'_>),
    ) -> Progress {
        let mut progress = Progress::default();
        while let Some(front) = self.pending.front() {
            let unserved = self.members.run(self.cursor);
            let len = unserved.len().min(budget - progress.visited);
            let slice = unserved.get(..len).expect("no longer than the rest");
            progress.delivered += front.give(slice, &self.name, each);
            progress.visited += len;
            self.cursor += len;
            if self.cursor < self.members.len() {
                if progress.visited == budget {
                    break;
                }
                continue;
            }
            progress.freed_bytes += front.content.cost();
            self.pending.pop_front();
            self.cursor = 0;
        }
        progress
    }

    /// Forgets what is queued. Returns the bytes of backlog that ends.
    pub(super) fn forget(&mut self) -> usize {
        self.cursor = 0;
        self.pending.drain(..).map(|pending| pending.content.cost()).sum()
    }

    /// Exchanges the queue's memory, which must be empty, for other: an idle topic owns none.
    pub(super) fn exchange_queue(&mut self, other: Queue) -> Queue {
        debug_assert!(self.pending.is_empty() && other.0.is_empty());
        Queue(std::mem::replace(&mut self.pending, other.0))
    }

    /// Whether something is queued.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Everyone who subscribed, whether it counts yet or not.
    pub(super) fn members(&self) -> &Paged<Member> {
        &self.members
    }

    /// The bytes of backlog that are queued here, counted afresh.
    pub(super) fn backlog_bytes(&self) -> usize {
        self.pending.iter().map(|pending| pending.content.cost()).sum()
    }

    pub(super) fn check_invariants(&self) {
        assert!(self.cursor <= self.members.len());
        assert!(self.cursor == 0 || !self.pending.is_empty(), "nothing moves the cursor");
        assert!(self.pending.iter().is_sorted_by(|a, b| a.number < b.number));
        assert!(self.pending.iter().all(|pending| pending.number < self.next));
        let waits = |member: &Member| member.since == NEVER;
        assert!(self.standing == Standing::Held || self.members.iter().all(waits));
    }

    /// Whether the loss with this `number` is told by one that is queued last and told to nobody
    /// yet. That one takes the later number, so that it is for those who joined in between too.
    fn absorbs_loss(&mut self, number: u32) -> bool {
        let is_untold = self.pending.len() > 1 || self.cursor == 0;
        match self.pending.back_mut() {
            Some(last) if is_untold && matches!(last.content, Content::Lost) => {
                last.number = number;
                true
            }
            _ => false,
        }
    }

    /// The number of what is being accepted. It stays below `NEVER`, and so does the next.
    fn number(&mut self) -> u32 {
        if self.next == NEVER - 1 {
            self.renumber();
        }
        self.next += 1;
        self.next - 1
    }

    /// Makes numbers small again, once in four billion: only their order matters.
    fn renumber(&mut self) {
        let first = self.pending.front().map_or(self.next, |front| front.number);
        for member in self.members.iter_mut().filter(|member| member.since != NEVER) {
            member.since = member.since.saturating_sub(first);
        }
        for pending in &mut self.pending {
            pending.number -= first;
        }
        self.next -= first;
    }
}

/// The memory of an empty queue, to be used again.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Pending>);

impl Queue {
    /// A queue that once held a crowd is not worth keeping.
    pub(super) fn is_worth_keeping(&self) -> bool {
        (1..=64).contains(&self.0.capacity())
    }
}

impl Pending {
    /// Gives the content to those of `members` that count; returns how many did.
    fn give(
        &self,
        members: &[Member],
        topic: &TopicName,
        each: &mut impl FnMut(Key, Delivery<'_>),
    ) -> usize {
        let delivery = match &self.content {
            Content::Frame(frames) => Delivery::Frame(frames),
            Content::Lost => Delivery::Lost(topic),
        };
        let mut given = 0;
        for member in members {
            if member.since <= self.number {
                each(member.key, delivery);
                given += 1;
            }
        }
        given
    }
}

impl Content {
    /// What keeping frames of so many `bytes` costs, as if nobody shared them.
    pub(super) const fn frame_cost(bytes: usize) -> usize {
        ENTRY_BYTES + bytes
    }

    fn cost(&self) -> usize {
        match self {
            Self::Frame(frames) => Self::frame_cost(frames.bytes()),
            Self::Lost => ENTRY_BYTES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Publication;
    use super::*;
    use crate::base::Shared;

    fn topic(members: u64) -> Topic {
        let mut topic = Topic::new(TopicName::new("demo").unwrap(), Standing::Held);
        for member in 0..members {
            topic.join(Key::from_bits(member), 0);
        }
        topic
    }

    fn frame(text: &str) -> Content {
        Content::Frame(Frames::from(&Publication::from(Shared::from(text))))
    }

    /// What a slice of `budget` gives: the member's number with the text, or `lost`.
    fn slice(topic: &mut Topic, budget: usize) -> Vec<(u64, String)> {
        let mut given = Vec::new();
        topic.deliver(budget, &mut |key, delivery| {
            let text = match delivery {
                Delivery::Frame(frames) => String::from_utf8_lossy(frames.plain()).into_owned(),
                Delivery::Lost(_) => "lost".to_owned(),
            };
            given.push((key.to_bits(), text));
        });
        topic.check_invariants();
        given
    }

    fn all(topic: &mut Topic) -> Vec<(u64, String)> {
        slice(topic, 1_000)
    }

    fn expect(members: &[u64], text: &str) -> Vec<(u64, String)> {
        members.iter().map(|member| (*member, text.to_owned())).collect()
    }

    #[test]
    fn a_member_that_leaves_takes_nobody_across_the_cursor() {
        for gone in 0..5u32 {
            for served in 0..=5usize {
                let mut topic = topic(5);
                let _ = topic.accept(frame("a"));
                let mut given = slice(&mut topic, served);
                let _ = topic.leave(gone);
                topic.check_invariants();
                given.extend(all(&mut topic));
                given.sort();
                let was_served = (gone as usize) < served;
                let expected: Vec<_> =
                    (0..5).filter(|member| *member != u64::from(gone) || was_served).collect();
                assert_eq!(given, expect(&expected, "a"), "{gone} left after {served}");
            }
        }
    }

    #[test]
    fn who_joins_is_given_only_what_is_accepted_later() {
        let mut topic = topic(2);
        let _ = topic.accept(frame("a"));
        assert_eq!(slice(&mut topic, 1), expect(&[0], "a"));
        topic.join(Key::from_bits(2), 0);
        let _ = topic.accept(frame("b"));
        let expected = [expect(&[1], "a"), expect(&[0, 1, 2], "b")].concat();
        assert_eq!(all(&mut topic), expected);
    }

    #[test]
    fn who_waits_is_given_nothing_until_admitted() {
        let mut topic = Topic::new(TopicName::new("demo").unwrap(), Standing::Unannounced);
        let position = topic.join(Key::from_bits(7), 0);
        topic.standing = Standing::Held;
        let _ = topic.accept(frame("a"));
        assert!(topic.admit(position));
        assert!(!topic.admit(position), "it waits no longer");
        let _ = topic.accept(frame("b"));
        assert_eq!(all(&mut topic), expect(&[7], "b"));
    }

    #[test]
    fn losses_in_a_row_are_told_once_but_to_everyone_concerned() {
        let mut topic = topic(2);
        assert_eq!(topic.accept(Content::Lost), ENTRY_BYTES);
        topic.join(Key::from_bits(2), 0);
        assert_eq!(topic.accept(Content::Lost), 0, "the first is told to nobody yet");
        assert_eq!(slice(&mut topic, 1), expect(&[0], "lost"));
        assert_eq!(topic.accept(Content::Lost), ENTRY_BYTES, "0 has to be told again");
        let expected = [expect(&[1, 2], "lost"), expect(&[0, 1, 2], "lost")].concat();
        assert_eq!(all(&mut topic), expected);
    }

    #[test]
    fn numbers_that_run_out_begin_anew() {
        let mut topic = topic(1);
        topic.next = NEVER - 3;
        for number in 0..4 {
            let _ = topic.accept(frame(&number.to_string()));
            topic.join(Key::from_bits(number + 1), 0);
            topic.check_invariants();
        }
        assert!(topic.next < 8);
        let expected = [
            expect(&[0], "0"),
            expect(&[0, 1], "1"),
            expect(&[0, 1, 2], "2"),
            expect(&[0, 1, 2, 3], "3"),
        ];
        assert_eq!(all(&mut topic), expected.concat());
    }

    #[test]
    fn a_backlog_is_freed_byte_by_byte_of_what_it_cost() {
        let mut topic = topic(3);
        let cost = topic.accept(frame("abc")) + topic.accept(Content::Lost);
        assert_eq!((cost, topic.backlog_bytes()), (2 * ENTRY_BYTES + 3, cost));
        let progress = topic.deliver(4, &mut |_, _| ());
        assert_eq!(progress, Progress { visited: 4, delivered: 4, freed_bytes: ENTRY_BYTES + 3 });
        assert_eq!(topic.forget(), ENTRY_BYTES);
        assert!(!topic.has_pending());
    }
}
