//! What waits to be posted: one batch for each other core.

use super::mesh::{Batch, Door, Post, ShardMessage};
use crate::base::Set;
use crate::hub::{Announcement, TopicName, WorkerId};

/// What a staged publication costs beside its bytes.
const ENTRY_BYTES: usize = 64;

/// The batches of one worker for all others.
///
/// Publications wait only up to a limit: a peer that cannot follow loses them, and is told so in
/// their place. Everything else is small, follows from what others do, and is never lost.
#[derive(Debug)]
pub(super) struct Staging {
    me: WorkerId,
    peers: Vec<Peer>,
    bytes_max: usize,
    lost: u64,
    is_stuck: bool,
}

/// What waits for one peer.
#[derive(Debug)]
struct Peer {
    door: Door,
    mail: Vec<ShardMessage>,
    bytes: usize,
    /// The topics whose last word in `mail` is that publications were lost. Until the batch has
    /// left, what is published there is lost as well: it must not overtake that word, and the one
    /// word stands for all.
    lost: Set<TopicName>,
}

/// What came of a flush.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use]
pub(super) struct Posted {
    /// Peers that had to be woken.
    pub(super) wakes: u64,
    /// Publications lost since the last flush, each for one peer.
    pub(super) lost: u64,
}

impl Staging {
    /// Nothing yet for the peers behind `doors`, which are all but `me`, in the order of their
    /// numbers.
    pub(super) fn new(me: WorkerId, doors: Vec<Door>, bytes_max: usize) -> Self {
        let peer = |door| Peer { door, mail: Vec::new(), bytes: 0, lost: Set::default() };
        Self {
            me,
            peers: doors.into_iter().map(peer).collect(),
            bytes_max,
            lost: 0,
            is_stuck: false,
        }
    }

    /// Adds `message` to what leaves for `to`, behind what waits already.
    pub(super) fn stage(&mut self, to: WorkerId, message: ShardMessage) {
        let bytes_max = self.bytes_max;
        if !self.peer(to).stage(message, bytes_max) {
            self.lost += 1;
        }
    }

    /// Adds an announcement to what leaves for every peer.
    pub(super) fn announce(&mut self, announcement: &Announcement) {
        for peer in &mut self.peers {
            peer.mail.push(ShardMessage::Announcement(announcement.clone()));
        }
    }

    /// Posts every batch for which there is room. The others stay, to be posted later.
    pub(super) fn flush(&mut self) -> Posted {
        let woke = self.peers.iter_mut().filter_map(|peer| peer.flush(self.me).then_some(1));
        let wakes = woke.sum();
        self.is_stuck = self.is_waiting();
        Posted { wakes, lost: std::mem::take(&mut self.lost) }
    }

    /// Whether the last flush found no room for something.
    pub(super) const fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// Whether something is still here that has to be posted.
    pub(super) fn is_waiting(&self) -> bool {
        self.peers.iter().any(|peer| !peer.mail.is_empty())
    }

    fn peer(&mut self, to: WorkerId) -> &mut Peer {
        // The doors lead to all but this worker, so those behind it stand one place earlier.
        let index = to.index() - usize::from(to > self.me);
        let peer = self.peers.get_mut(index).expect("there is a door to each other worker");
        debug_assert_eq!(peer.door.to(), to, "a door leads elsewhere");
        peer
    }
}

impl Peer {
    /// Takes `message`, or loses it; returns whether it was taken.
    fn stage(&mut self, message: ShardMessage, bytes_max: usize) -> bool {
        if let ShardMessage::Publish { topic, publication } = &message {
            if self.lost.contains(topic) {
                return false;
            }
            let bytes = self.bytes + ENTRY_BYTES + publication.bytes();
            if bytes > bytes_max && self.bytes > 0 {
                self.lost.insert(topic.clone());
                self.mail.push(ShardMessage::Lost { topic: topic.clone() });
                return false;
            }
            self.bytes = bytes;
        }
        self.mail.push(message);
        true
    }

    /// Posts what waits, if there is room; returns whether that woke the peer.
    fn flush(&mut self, me: WorkerId) -> bool {
        if self.mail.is_empty() {
            return false;
        }
        match self.door.post(Batch { from: me, mail: std::mem::take(&mut self.mail) }) {
            Post::Full(batch) => {
                self.mail = batch.mail;
                false
            }
            Post::Taken { woke } => {
                self.forget();
                woke
            }
            Post::Gone => {
                self.forget();
                false
            }
        }
    }

    fn forget(&mut self) {
        self.bytes = 0;
        self.lost.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::mesh::tests::connect;
    use super::super::mesh::{Command, Mailbox};
    use super::*;
    use crate::base::Shared;

    const ME: WorkerId = WorkerId::new(1);
    const PEER: WorkerId = WorkerId::new(2);

    fn name(text: &str) -> TopicName {
        TopicName::new(text).unwrap()
    }

    fn publication(topic: &str, len: usize) -> ShardMessage {
        ShardMessage::Publish { topic: name(topic), publication: Shared::from(vec![0; len]).into() }
    }

    fn lost(topic: &str) -> ShardMessage {
        ShardMessage::Lost { topic: name(topic) }
    }

    /// A staging of the worker 1 of three, with the mailboxes.
    fn staging(bytes_max: usize) -> (Staging, Vec<Mailbox>) {
        let (ends, ..) = connect(3);
        let mut doors = Vec::new();
        let mut mailboxes = Vec::new();
        for (mailbox, others) in ends {
            mailboxes.push(mailbox);
            doors.push(others);
        }
        (Staging::new(ME, doors.swap_remove(ME.index()), bytes_max), mailboxes)
    }

    /// What lies in an inbox, told shortly.
    fn mail(mailbox: &Mailbox) -> Vec<String> {
        let batches = std::iter::from_fn(|| mailbox.take());
        let told = |message: ShardMessage| match message {
            ShardMessage::Publish { topic, publication } => {
                format!("{topic} {}", publication.bytes())
            }
            ShardMessage::Lost { topic } => format!("{topic} lost"),
            ShardMessage::Announcement(Announcement::Lost { topic }) => format!("{topic} unwanted"),
            other => format!("{other:?}"),
        };
        batches.inspect(|batch| assert_eq!(batch.from, ME)).flat_map(|b| b.mail).map(told).collect()
    }

    #[test]
    fn a_flush_posts_one_batch_to_each_peer_in_the_order_of_staging() {
        let (mut staging, mailboxes) = staging(1_000);
        staging.stage(PEER, publication("a", 1));
        staging.announce(&Announcement::Lost { topic: name("b") });
        staging.stage(PEER, publication("a", 2));
        assert!(staging.is_waiting());
        assert_eq!(staging.flush(), Posted::default());
        assert!(!staging.is_waiting());
        assert_eq!(mail(&mailboxes[0]), ["b unwanted"]);
        assert_eq!(mail(&mailboxes[2]), ["a 1", "b unwanted", "a 2"]);
    }

    #[test]
    fn a_flush_wakes_who_sleeps() {
        let (mut staging, mailboxes) = staging(1_000);
        assert!(mailboxes[2].may_sleep());
        staging.announce(&Announcement::Lost { topic: name("b") });
        assert_eq!(staging.flush(), Posted { wakes: 1, lost: 0 });
    }

    #[test]
    fn what_exceeds_the_limit_is_lost_in_its_place_and_told_once() {
        let (mut staging, mailboxes) = staging(2 * (ENTRY_BYTES + 10));
        for (topic, len) in [("a", 10), ("b", 10), ("a", 1), ("a", 0), ("c", 1)] {
            staging.stage(PEER, publication(topic, len));
        }
        staging.stage(PEER, lost("d"));
        assert_eq!(staging.flush(), Posted { wakes: 0, lost: 3 });
        staging.stage(PEER, publication("a", 3));
        assert_eq!(staging.flush().lost, 0);
        assert_eq!(mail(&mailboxes[2]), ["a 10", "b 10", "a lost", "c lost", "d lost", "a 3"]);
    }

    #[test]
    fn one_publication_passes_however_large() {
        let (mut staging, mailboxes) = staging(10);
        staging.stage(PEER, publication("a", 1_000));
        assert_eq!(staging.flush().lost, 0);
        assert_eq!(mail(&mailboxes[2]), ["a 1000"]);
    }

    #[test]
    fn a_full_inbox_loses_nothing_that_is_within_the_limit() {
        let (mut staging, mailboxes) = staging(10_000);
        let mut staged = 0;
        while !staging.is_waiting() {
            staging.stage(PEER, publication("a", staged));
            assert_eq!(staging.flush().lost, 0);
            staged += 1;
        }
        staging.stage(PEER, publication("a", staged));
        let _ = staging.flush();
        assert!(staging.is_waiting() && staging.is_stuck());
        let mut arrived = mail(&mailboxes[2]);
        let _ = staging.flush();
        assert!(!staging.is_stuck());
        arrived.extend(mail(&mailboxes[2]));
        let expected: Vec<_> = (0..=staged).map(|len| format!("a {len}")).collect();
        assert_eq!(arrived, expected);
    }

    #[test]
    fn nothing_is_kept_for_who_has_gone() {
        let (mut staging, mailboxes) = staging(10);
        drop(mailboxes);
        staging.stage(PEER, ShardMessage::Command(Command::Drain { ms: 0 }));
        let _ = staging.flush();
        assert!(!staging.is_waiting());
    }
}
