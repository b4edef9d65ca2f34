//! Between workers: the mesh of the core, with a carrier on each way who may be as slow as he
//! likes, but keeps the order.
//!
//! ```text
//!  worker i -- Door of mesh i --> inbox j of mesh i == carrier ==> Door of the mesh --> worker j
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use corecast::base::Wake;
use corecast::hub::{Announcement, TopicName};
use corecast::worker::mesh::{Batch, Door, Handle, Mailbox, ShardMessage, mesh, mesh_of};

use super::plant::{Plant, SELDOM};

/// A waker that remembers that it was called.
#[derive(Debug, Default)]
pub struct Bell {
    rung: AtomicBool,
    is_deaf: bool,
}

impl Bell {
    pub fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }

    pub fn quiet(&self) {
        self.rung.store(false, Ordering::Relaxed);
    }
}

impl Wake for Bell {
    fn wake(&self) {
        self.rung.store(!self.is_deaf, Ordering::Relaxed);
    }
}

/// What a worker is connected by.
pub struct Ends {
    pub mailbox: Mailbox,
    pub doors: Vec<Door>,
    pub bell: Arc<Bell>,
}

/// The ways from each worker to each other.
pub struct Carriers {
    ways: Vec<Way>,
    pub handle: Handle,
    plant: Plant,
    carried: u64,
    /// Whether mailboxes always have room.
    is_wide: bool,
    /// The publications that were carried, and to whom, if that is watched.
    pub publications: Option<Vec<(usize, TopicName)>>,
}

/// The way from one worker to another.
pub struct Way {
    from: usize,
    pub to: usize,
    mailbox: Mailbox,
    /// What was taken out of the mailbox so that it has room.
    taken: VecDeque<Batch>,
    target: Door,
    /// A batch that another one is to overtake.
    held: Option<Batch>,
}

impl Carriers {
    /// Connects workers whose mailboxes hold `batches` batches.
    pub fn new(workers: usize, batches: usize, plant: Plant) -> (Self, Vec<Ends>) {
        let is_deaf = plant == Plant::ForgottenWake;
        let ring = || Arc::new(Bell { is_deaf, ..Bell::default() });
        let bells: Vec<_> = (0..workers).map(|_| ring()).collect();
        let (real, handle) = mesh(wakers(&bells));
        let mut ways = Vec::new();
        let mut all_doors = Vec::new();
        for from in 0..workers {
            let silent: Vec<_> = (0..workers).map(|_| Arc::new(Bell::default())).collect();
            let (ends, _) = mesh_of(wakers(&silent), batches);
            let targets = &real[from].1;
            let (mailboxes, mut doors): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
            for (to, mailbox) in mailboxes.into_iter().enumerate().filter(|(to, _)| *to != from) {
                let target = lead(targets, to).expect("a door to each other worker");
                let taken = VecDeque::new();
                ways.push(Way { from, to, mailbox, taken, target, held: None });
            }
            all_doors.push(std::mem::take(&mut doors[from]));
        }
        let ends = real.into_iter().zip(all_doors).zip(bells);
        let ends = ends.map(|(((mailbox, _), doors), bell)| Ends { mailbox, doors, bell });
        let carriers = Self { ways, handle, plant, carried: 0, is_wide: false, publications: None };
        (carriers, ends.collect())
    }

    /// Notes that a worker has taken a turn, in which it may have posted: a batch a way, so that
    /// there is always room if each is taken out before the next.
    pub fn note_turn(&mut self, worker: usize) {
        if self.is_wide {
            self.ways.iter_mut().filter(|way| way.from == worker).for_each(Way::empty);
        }
    }

    pub fn len(&self) -> usize {
        self.ways.len()
    }

    /// Carries the next batch of one way. Returns to whom, and whether it arrived; `None` if there
    /// was none.
    pub fn carry(&mut self, way: usize) -> Option<(usize, bool)> {
        let way = self.ways.get_mut(way)?;
        let batch = way.taken.pop_front().or_else(|| way.mailbox.take())?;
        self.carried += 1;
        if let Some(watched) = &mut self.publications {
            watched.extend(batch.mail.iter().filter_map(|message| match message {
                ShardMessage::Publish { topic, .. } => Some((way.to, topic.clone())),
                _ => None,
            }));
        }
        let arrived = way.hand_over(batch, self.plant, self.carried.is_multiple_of(SELDOM));
        Some((way.to, arrived))
    }

    /// From now on mailboxes have room.
    pub fn widen(&mut self) {
        self.is_wide = true;
        self.ways.iter_mut().for_each(Way::empty);
    }
}

impl Way {
    /// Takes all out of the mailbox, to be carried later.
    fn empty(&mut self) {
        self.taken.extend(std::iter::from_fn(|| self.mailbox.take()));
    }

    /// Returns whether anything arrived.
    fn hand_over(&mut self, mut batch: Batch, plant: Plant, fails: bool) -> bool {
        match plant {
            Plant::LostBatch if fails => return false,
            Plant::DoubledBatch if fails => {
                self.post(Batch { from: batch.from, mail: batch.mail.clone() });
            }
            Plant::OvertakingBatch if fails && self.held.is_none() => {
                self.held = Some(batch);
                return false;
            }
            Plant::ForgottenInterest => {
                let is_lost = |message: &ShardMessage| {
                    matches!(message, ShardMessage::Announcement(Announcement::Lost { .. }))
                };
                batch.mail.retain(|message| !is_lost(message));
            }
            Plant::UntoldLoss => {
                batch.mail.retain(|message| !matches!(message, ShardMessage::Lost { .. }));
            }
            _ => {}
        }
        self.post(batch);
        if let Some(held) = self.held.take() {
            self.post(held);
        }
        true
    }

    /// A worker of a history is never so far behind that its mailbox is full.
    fn post(&self, batch: Batch) {
        let _ = self.target.post(batch);
    }
}

fn wakers(bells: &[Arc<Bell>]) -> Vec<Arc<dyn Wake>> {
    bells.iter().map(|bell| Arc::clone(bell) as Arc<dyn Wake>).collect()
}

fn lead(doors: &[Door], to: usize) -> Option<Door> {
    doors.iter().find(|door| door.to().index() == to).cloned()
}
