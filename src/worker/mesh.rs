//! Between cores.
//!
//! Each worker has one inbox and a [`Door`] to every other. A turn posts at most one [`Batch`] for
//! each peer, so the cost of crossing is paid by the turn and not by the message. A [`Handle`]
//! reaches the same inboxes from any thread.
//!
//! ```text
//!  worker 0   Staging --Door--> inbox of worker 1 --Mailbox--> worker 1
//!                               inbox of worker 2  <---Door--  worker 1
//!  Handle ----Door------------> inbox of any worker
//! ```
//!
//! Invariants: a worker that sleeps has an empty inbox, or has been woken. Nobody ever waits for
//! room in an inbox: what does not fit comes back. What one sends to another arrives in order.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::pressure::Pressure;
use super::sleep::Sleep;
use crate::base::{Key, Seed, Shared, Wake};
use crate::hub::{Ack, Announcement, Publication, TopicName, WorkerId};
use crate::tls::ServerConfig;
use crate::ws::{CloseCode, Message, encoder};

/// Batches an inbox holds: every other worker may post one a turn, so this is several turns of
/// even a large mesh. A worker further behind slows the others down.
const INBOX_BATCHES_MAX: usize = 512;

/// What crosses from one core to another: counted, immutable bytes, and what concerns them.
#[derive(Clone, Debug)]
pub enum ShardMessage {
    /// A publication that was accepted by the sender.
    Publish {
        /// Where it was published.
        topic: TopicName,
        /// The frames as they will be written.
        publication: Publication,
    },
    /// At this place publications were lost, because the receiver was too far behind.
    Lost {
        /// Where they were published.
        topic: TopicName,
    },
    /// What the sender tells all others.
    Announcement(Announcement),
    /// The answer to an announcement.
    Ack(Ack),
    /// What somebody outside wants done.
    Command(Command),
}

/// What somebody outside the workers wants done.
#[derive(Clone, Debug)]
pub enum Command {
    /// Publish as if a client of this worker had done so.
    Publish {
        /// Where.
        topic: TopicName,
        /// The frame as it will be written.
        frame: Shared,
    },
    /// Close one connection.
    Close {
        /// Which.
        key: Key,
        /// With what code.
        code: CloseCode,
    },
    /// Take note of how short memory is.
    Press(Pressure),
    /// Shake hands by another configuration from now on; who has shaken hands stays.
    Renew {
        /// The number of the listener, which speaks TLS.
        listener: u32,
        /// What it is told.
        tls: Arc<ServerConfig>,
    },
    /// Accept nobody more, close everyone, and leave the loop when they have gone.
    Drain {
        /// How long they may take, in milliseconds.
        ms: u64,
    },
}

/// What is posted at once.
#[derive(Debug)]
pub struct Batch {
    /// Who sent it; a command from outside seems to come from the receiver itself.
    pub from: WorkerId,
    /// In the order in which it was sent.
    pub mail: Vec<ShardMessage>,
}

/// Connects workers, one for each of `wakers`, which end their sleeps.
///
/// Returns for each its mailbox with the doors to all others, in the order of their numbers, and
/// the handle that reaches all of them.
///
/// # Panics
///
/// If there are more workers than [`WorkerId::COUNT_MAX`].
pub fn mesh(wakers: Vec<Arc<dyn Wake>>) -> (Vec<(Mailbox, Vec<Door>)>, Handle) {
    mesh_of(wakers, INBOX_BATCHES_MAX)
}

/// The same with inboxes that hold so many batches: for who wants to see them full.
///
/// # Panics
///
/// If there are more workers than [`WorkerId::COUNT_MAX`].
pub fn mesh_of(
    wakers: Vec<Arc<dyn Wake>>,
    inbox_batches_max: usize,
) -> (Vec<(Mailbox, Vec<Door>)>, Handle) {
    assert!(wakers.len() <= WorkerId::COUNT_MAX, "a worker's number is a byte");
    let ids = WorkerId::all(wakers.len());
    let inbox = |(me, waker)| inbox(me, waker, inbox_batches_max);
    let (mailboxes, doors): (Vec<_>, Vec<_>) = ids.zip(wakers).map(inbox).unzip();
    let others = |me: WorkerId| doors.iter().filter(|door| door.to != me).cloned().collect();
    let ends = mailboxes.into_iter().map(|mailbox| {
        let others = others(mailbox.me);
        (mailbox, others)
    });
    (ends.collect(), Handle { doors: doors.as_slice().into() })
}

fn inbox(me: WorkerId, waker: Arc<dyn Wake>, batches_max: usize) -> (Mailbox, Door) {
    let (sender, inbox) = bounded(batches_max);
    // One order to drain says it all, so there is always room for what matters.
    let (drain, drained) = bounded(1);
    let sleep = Arc::new(Sleep::new());
    let door = Door { to: me, inbox: sender, drain, sleep: Arc::clone(&sleep), waker };
    (Mailbox { me, inbox, drain: drained, sleep }, door)
}

/// Where a worker finds what others sent it.
#[derive(Debug)]
pub struct Mailbox {
    me: WorkerId,
    inbox: Receiver<Batch>,
    drain: Receiver<Command>,
    sleep: Arc<Sleep>,
}

impl Mailbox {
    /// Takes the next batch, if there is one.
    pub fn take(&self) -> Option<Batch> {
        if let Ok(order) = self.drain.try_recv() {
            return Some(Batch { from: self.me, mail: vec![ShardMessage::Command(order)] });
        }
        self.inbox.try_recv().ok()
    }

    /// Announces that the worker is about to block. Returns `false` when it must not, since
    /// something has arrived; else it will be woken for whatever comes.
    pub fn may_sleep(&self) -> bool {
        self.sleep.begin(|| !self.inbox.is_empty() || !self.drain.is_empty())
    }

    /// Notes that the worker no longer blocks: nobody need wake it.
    pub fn awake(&self) {
        self.sleep.end();
    }
}

/// The way into one worker's inbox.
#[derive(Clone)]
pub struct Door {
    to: WorkerId,
    inbox: Sender<Batch>,
    drain: Sender<Command>,
    sleep: Arc<Sleep>,
    waker: Arc<dyn Wake>,
}

/// What became of what was posted.
#[derive(Debug)]
#[must_use]
pub enum Post {
    /// It is in the inbox, and this woke the worker, or did not have to.
    Taken {
        /// Whether the worker slept.
        woke: bool,
    },
    /// There is no room; here it is back.
    Full(Batch),
    /// The worker has ended, and nobody will ever want it.
    Gone,
}

impl Door {
    /// Whose inbox it leads to.
    pub const fn to(&self) -> WorkerId {
        self.to
    }

    /// Hands `batch` over, or back when the inbox is full. Never waits.
    pub fn post(&self, batch: Batch) -> Post {
        match self.inbox.try_send(batch) {
            Ok(()) => Post::Taken { woke: self.knock() },
            Err(TrySendError::Full(batch)) => Post::Full(batch),
            Err(TrySendError::Disconnected(_)) => Post::Gone,
        }
    }

    /// Orders the worker to drain. It may have been ordered already, or have gone.
    fn drain(&self, ms: u64) {
        if self.drain.try_send(Command::Drain { ms }).is_ok() {
            self.knock();
        }
    }

    /// Wakes the worker if it sleeps; returns whether it did.
    fn knock(&self) -> bool {
        let must_wake = self.sleep.must_wake();
        if must_wake {
            self.waker.wake();
        }
        must_wake
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("to", &self.to).finish_non_exhaustive()
    }
}

/// Reaches the workers of a server from any thread.
#[derive(Clone, Debug)]
pub struct Handle {
    doors: Arc<[Door]>,
}

/// Why a [`Handle`] could not do what it was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PostFault {
    /// The worker is too far behind. Nothing was done; it may be asked again.
    Busy,
    /// The worker has ended.
    Stopped,
}

impl Handle {
    /// Publishes `message` to all subscribers of `topic` on all cores.
    ///
    /// What one thread publishes to a topic arrives in that order: it enters by the worker that
    /// the topic's name leads to.
    pub fn publish(&self, topic: &TopicName, message: Message<'_>) -> Result<(), PostFault> {
        let header = encoder::header(message.opcode(), message.payload().len());
        // The one allocation of the publication's life that is shared by all cores.
        let frame = Shared::from_parts(&[header.as_slice(), message.payload()]);
        self.command(self.entry(topic), Command::Publish { topic: topic.clone(), frame })
    }

    /// Closes the connection `key` of `worker`. If it has gone already, nothing happens.
    pub fn close(&self, worker: WorkerId, key: Key, code: CloseCode) -> Result<(), PostFault> {
        self.command(worker, Command::Close { key, code })
    }

    /// Tells every worker how short memory is. Whoever is too far behind to hear it is to be told
    /// again with the next measurement.
    ///
    /// # Errors
    ///
    /// If one of them did not hear it.
    pub fn press(&self, pressure: Pressure) -> Result<(), PostFault> {
        let workers = WorkerId::all(self.doors.len());
        workers
            .map(|worker| self.command(worker, Command::Press(pressure)))
            .fold(Ok(()), Result::and)
    }

    /// Every worker that it reaches.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> {
        self.doors.iter().map(Door::to)
    }

    /// Lets new connections to `listener` of `worker` shake hands as `tls` says. Who is connected
    /// stays so.
    ///
    /// # Errors
    ///
    /// If the worker did not hear it.
    pub fn renew(
        &self,
        worker: WorkerId,
        listener: u32,
        tls: &Arc<ServerConfig>,
    ) -> Result<(), PostFault> {
        self.command(worker, Command::Renew { listener, tls: Arc::clone(tls) })
    }

    /// Makes every worker accept nobody more, close everyone within `timeout`, and end.
    ///
    /// There is always room for this.
    pub fn drain(&self, timeout: Duration) {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.doors.iter().for_each(|door| door.drain(ms));
    }

    fn command(&self, worker: WorkerId, command: Command) -> Result<(), PostFault> {
        let door = self.doors.get(worker.index()).ok_or(PostFault::Stopped)?;
        let batch = Batch { from: worker, mail: vec![ShardMessage::Command(command)] };
        match door.post(batch) {
            Post::Taken { .. } => Ok(()),
            Post::Full(_) => Err(PostFault::Busy),
            Post::Gone => Err(PostFault::Stopped),
        }
    }

    fn entry(&self, topic: &TopicName) -> WorkerId {
        let workers = self.doors.len() as u64;
        let number = Seed::default().hash_one(topic).checked_rem(workers).unwrap_or_default();
        WorkerId::new(u8::try_from(number).expect("below the number of workers"))
    }
}

impl fmt::Display for PostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the worker is too far behind to take more",
            Self::Stopped => "the server has stopped",
        })
    }
}

impl std::error::Error for PostFault {}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it was woken.
    #[derive(Debug, Default)]
    pub(in crate::worker) struct Bell(AtomicUsize);

    impl Bell {
        pub(in crate::worker) fn rung(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Bell {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    type Ends = Vec<(Mailbox, Vec<Door>)>;

    pub(in crate::worker) fn connect(workers: usize) -> (Ends, Handle, Vec<Arc<Bell>>) {
        let bells: Vec<_> = (0..workers).map(|_| Arc::new(Bell::default())).collect();
        let wakers = bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Wake>).collect();
        let (ends, handle) = mesh(wakers);
        (ends, handle, bells)
    }

    fn batch() -> Batch {
        Batch { from: WorkerId::new(0), mail: Vec::new() }
    }

    fn demo() -> TopicName {
        TopicName::new("demo").unwrap()
    }

    #[test]
    fn a_worker_has_doors_to_all_others() {
        let (ends, ..) = connect(3);
        let leads_to = |doors: &Vec<Door>| doors.iter().map(|door| door.to().index()).collect();
        let all: Vec<Vec<usize>> = ends.iter().map(|(_, doors)| leads_to(doors)).collect();
        assert_eq!(all, [[1, 2], [0, 2], [0, 1]]);
    }

    #[test]
    fn a_sleeper_is_woken_once_and_who_is_awake_is_not() {
        let (ends, _, bells) = connect(2);
        let [(_, doors), (mailbox, _)] = &ends[..] else { unreachable!() };
        assert!(matches!(doors[0].post(batch()), Post::Taken { woke: false }));
        assert!(!mailbox.may_sleep(), "there is mail");
        assert!(mailbox.take().is_some() && mailbox.take().is_none());
        assert!(mailbox.may_sleep());
        assert!(matches!(doors[0].post(batch()), Post::Taken { woke: true }));
        assert!(matches!(doors[0].post(batch()), Post::Taken { woke: false }));
        assert_eq!(bells[1].rung(), 1);
        mailbox.awake();
        assert!(matches!(doors[0].post(batch()), Post::Taken { woke: false }));
    }

    #[test]
    fn a_full_inbox_gives_the_batch_back_and_still_has_room_for_the_end() {
        let (ends, handle, _) = connect(1);
        let message = Message::Text("x");
        for _ in 0..INBOX_BATCHES_MAX {
            assert_eq!(handle.publish(&demo(), message), Ok(()));
        }
        assert_eq!(handle.publish(&demo(), message), Err(PostFault::Busy));
        handle.drain(Duration::from_secs(1));
        handle.drain(Duration::from_secs(1));
        let taken: Vec<_> = std::iter::from_fn(|| ends[0].0.take()).collect();
        assert_eq!(taken.len(), 1 + INBOX_BATCHES_MAX);
        let first = &taken[0].mail[..];
        assert!(matches!(first, [ShardMessage::Command(Command::Drain { ms: 1_000 })]));
    }

    #[test]
    fn an_order_to_drain_wakes_a_sleeper() {
        let (ends, handle, bells) = connect(1);
        assert!(ends[0].0.may_sleep());
        handle.drain(Duration::ZERO);
        assert_eq!(bells[0].rung(), 1);
        assert!(!ends[0].0.may_sleep(), "the order waits");
    }

    #[test]
    fn a_topic_enters_by_one_worker_and_many_topics_by_all() {
        let (ends, handle, _) = connect(3);
        let name = |number: u32| TopicName::new(&format!("topic {number}")).unwrap();
        for _ in 0..2 {
            (0..60).for_each(|number| handle.publish(&name(number), Message::Text("x")).unwrap());
        }
        for (mailbox, _) in &ends {
            let taken: Vec<_> = std::iter::from_fn(|| mailbox.take()).collect();
            let (first, second) = taken.split_at(taken.len() / 2);
            assert!(!first.is_empty());
            let topics = |batches: &[Batch]| -> Vec<_> {
                let topic = |batch: &Batch| match &batch.mail[..] {
                    [ShardMessage::Command(Command::Publish { topic, .. })] => topic.clone(),
                    other => panic!("{other:?}"),
                };
                batches.iter().map(topic).collect()
            };
            assert_eq!(topics(first), topics(second));
        }
    }

    #[test]
    fn who_has_gone_takes_nothing() {
        let (ends, handle, _) = connect(1);
        drop(ends);
        let key = Key::from_bits(1);
        let closed = handle.close(WorkerId::new(0), key, CloseCode::GOING_AWAY);
        assert_eq!(closed, Err(PostFault::Stopped));
        handle.drain(Duration::ZERO);
    }
}
