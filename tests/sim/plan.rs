//! What a seed decides before the first step.

use std::num::NonZeroU32;
use std::time::Duration;

use corecast::worker::{Bound, Limits};

use super::dice::Dice;
use super::plant::Plant;

/// Topics of a history: few, so that they meet.
pub const TOPICS: u64 = 4;

/// What a history is made of.
#[allow(clippy::struct_excessive_bools)] // each is a fact, and they are independent
#[derive(Clone, Debug)]
pub struct Plan {
    pub workers: usize,
    pub clients: usize,
    pub steps: usize,
    /// How likely each kind of step is, in the order of [`Step::ALL`].
    pub weights: [u64; Step::ALL.len()],
    /// How likely each act of a client is: the histories differ by what their clients love to do.
    pub tastes: [u64; 16],
    pub limits: Limits,
    /// Whether the limits are so wide that nobody is to be sent away for being slow.
    pub roomy: bool,
    /// Whether some clients come through TLS: in few histories, since hands are slow to shake.
    pub is_secure: bool,
    /// Whether some come through a proxy that announces them.
    pub is_announced: bool,
    /// Whether some speak no HTTP.
    pub is_streaming: bool,
    /// Whether memory is short at times.
    pub is_pressed: bool,
    /// What a pipe holds in each direction.
    pub capacity: usize,
    /// Batches a mailbox holds.
    pub mailbox_batches: usize,
    /// The longest usual jump of the clock; a long one is a thousand times as long.
    pub jump: Duration,
    /// The bug that this history is to find, if any.
    pub plant: Plant,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// A worker hears of what has become ready and takes a turn.
    Turn,
    /// Bytes of a client arrive.
    Deliver,
    /// A client reads.
    Read,
    /// A batch arrives at another worker.
    Carry,
    /// A client does something.
    Act,
    /// Time passes.
    Jump,
    /// A worker is told of a readiness that is not there, or of a connection that has gone.
    Lie,
    /// Another thread publishes, or closes somebody.
    Call,
    /// Something breaks.
    Fault,
}

impl Step {
    pub const ALL: [Self; 9] = [
        Self::Turn,
        Self::Deliver,
        Self::Read,
        Self::Carry,
        Self::Act,
        Self::Jump,
        Self::Lie,
        Self::Call,
        Self::Fault,
    ];
}

impl Plan {
    /// The history of `seed`.
    pub fn new(seed: u64, plant: Plant) -> Self {
        Self::draw(&mut Dice::new(seed ^ 0x5EED), plant)
    }

    /// A history as the dice have it.
    pub fn draw(rng: &mut Dice, plant: Plant) -> Self {
        let mut weigh = |most: u64| 1 + rng.below(most);
        let weights = [
            20 + weigh(20),
            10 + weigh(20),
            5 + weigh(20),
            5 + weigh(20),
            10 + weigh(20),
            weigh(6),
            weigh(4) - 1,
            weigh(6) - 1,
            weigh(4) - 1,
        ];
        let roomy = rng.one_of(1, 2);
        Self {
            workers: 1 + usize_of(rng.below(4)),
            clients: 2 + usize_of(rng.below(9)),
            steps: 1_000 + usize_of(rng.below(6_000)),
            weights,
            tastes: std::array::from_fn(|_| rng.below(9).saturating_sub(1)),
            limits: limits(rng, roomy),
            roomy,
            is_secure: rng.one_of(1, 8),
            is_announced: rng.one_of(1, 4),
            is_streaming: rng.one_of(1, 4),
            is_pressed: rng.one_of(1, 6),
            capacity: rng.choose(&[200, 1_000, 70_000]),
            mailbox_batches: rng.choose(&[1, 2, 64]),
            jump: Duration::from_millis(1 << rng.below(11)),
            plant,
        }
    }
}

/// Limits around those that are usual; tight ones are reached by every other message.
fn limits(rng: &mut Dice, roomy: bool) -> Limits {
    let mut limits = Limits {
        reads_per_turn_max: rng.choose(&[1, 2, 4]),
        resumes_per_turn_max: rng.choose(&[1, 4]),
        expiries_per_turn_max: rng.choose(&[1, 16]),
        deliveries_per_turn_max: rng.choose(&[1, 3, 1_024]),
        batches_per_turn_max: rng.choose(&[1, 2, 64]),
        closes_per_turn_max: rng.choose(&[1, 512]),
        // A jump of the clock makes everything old, however much of it is read.
        outbox_ms_max: u64::MAX,
        // Who has left a stream without a word is gone before the peace is over.
        stream_idle_ms_max: 60_000,
        ..Limits::default()
    };
    limits.session.websocket.message_bytes_max = rng.choose(&[700, 64 * 1_024]);
    if !roomy {
        limits.outbox = Bound {
            bytes_max: rng.choose(&[400, 2_000, 256 * 1_024]),
            frames_max: rng.choose(&[3, 40, 4_096]),
        };
        limits.outbox_ms_max = rng.choose(&[5_000, 30_000]);
        limits.outbox_bytes_pause = rng.choose(&[1, 300, 64 * 1_024]);
        limits.backlog_bytes_pause = rng.choose(&[1, 500, 16 * 1_024 * 1_024]);
        limits.hub.backlog_bytes_max = rng.choose(&[1_000, 64 * 1_024 * 1_024]);
        limits.staged_bytes_max = rng.choose(&[1, 300, 16 * 1_024 * 1_024]);
        limits.connections_max = rng.choose(&[2, 6, usize::MAX]);
        limits.addresses.connections_max = NonZeroU32::new(rng.choose(&[0, 0, 1, 2]));
    }
    limits
}

/// A number that is small by construction.
pub fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}
