//! What waits to be written to one peer.

use std::collections::VecDeque;

use super::breach::Breach;
use crate::base::Tick;
use crate::hub::Frame;

/// What became of a frame offered to an outbox, or sent to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Offer {
    /// It will be written in turn.
    Queued,
    /// The peer reads slower than it is written to; the frame was not taken, because of this limit.
    Refused(Breach),
    /// There is no such connection any more, or it is closing; the frame was not taken.
    Gone,
}

/// The longest close, with its header.
const CLOSE_BYTES_MAX: usize = 127;

/// How much may wait for one peer.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// In bytes, before they are sealed.
    pub bytes_max: usize,
    /// In frames.
    pub frames_max: usize,
}

/// Frames that wait for their turn to be written, and bytes the socket has not taken yet.
///
/// Most outboxes are empty and the others hold one frame until the end of a turn, so neither owns
/// memory of its own; only a queue does, and gives it back when it is empty.
#[derive(Debug, Default)]
pub(super) enum Outbox {
    /// Nothing waits.
    #[default]
    Empty,
    /// One frame waits.
    One(Frame),
    /// More than that.
    Many(Box<Queue>),
}

/// Invariants: `bytes` is the length of `unsent` and of all `frames`; `ages` counts every frame.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Bytes as the socket gets them (sealed, where there is TLS). Never empty while frames may not
    /// be written: what the socket refused is what we wait for.
    unsent: VecDeque<u8>,
    /// When the oldest of them was queued.
    unsent_since: Tick,
    frames: VecDeque<Frame>,
    /// When the frames were queued, in their order: how many in each tick. Whoever is behind is
    /// given up before there are many ticks.
    ages: VecDeque<(Tick, u32)>,
    /// How many frames at the front no clearing takes away.
    firm: usize,
    bytes: usize,
    /// When the socket last took something.
    moved: Tick,
}

impl Outbox {
    /// Queues `frame` at `now`, if the bound allows.
    pub(super) fn offer(&mut self, frame: &Frame, bound: Bound, now: Tick) -> Offer {
        if self.bytes() + frame.len() > bound.bytes_max {
            return Offer::Refused(Breach::OutboxBytes);
        }
        if self.frames() >= bound.frames_max {
            return Offer::Refused(Breach::OutboxFrames);
        }
        match self {
            Self::Empty => *self = Self::One(Frame::clone(frame)),
            Self::One(_) | Self::Many(_) => self.queue(now).push(Frame::clone(frame), now),
        }
        Offer::Queued
    }

    /// Queues `frame` whatever waits already, and lets no clearing take it away if all before it
    /// are such frames: an answer of HTTP, the 101, a close.
    pub(super) fn push(&mut self, frame: Frame, now: Tick) {
        let queue = self.queue(now);
        if queue.firm == queue.frames.len() {
            queue.firm += 1;
        }
        queue.push(frame, now);
    }

    /// Moves the frames that come next to `out`, as many as keep it below `bytes_max`, but one at
    /// least. This is the one copy on the way to a socket.
    ///
    /// Returns since when the oldest of them has waited; `now` if it is no older than this turn.
    pub(super) fn gather(&mut self, out: &mut Vec<u8>, bytes_max: usize, now: Tick) -> Tick {
        match self {
            Self::Empty => now,
            Self::One(frame) => {
                out.extend_from_slice(frame);
                *self = Self::Empty;
                now
            }
            Self::Many(queue) => {
                let since = queue.ages.front().map_or(now, |(tick, _)| *tick);
                queue.gather(out, bytes_max);
                self.shrink();
                since
            }
        }
    }

    /// Keeps bytes that have waited since `since` and that the socket did not take at `now`; they
    /// go before every frame.
    pub(super) fn keep(&mut self, bytes: &[u8], since: Tick, now: Tick) {
        if bytes.is_empty() {
            return;
        }
        let queue = self.queue(now);
        if queue.unsent.is_empty() {
            queue.unsent_since = since;
        }
        queue.bytes += bytes.len();
        queue.unsent.extend(bytes);
        queue.moved = now;
    }

    /// The front of what the socket has not taken yet.
    pub(super) fn unsent(&self) -> &[u8] {
        match self {
            Self::Many(queue) => queue.unsent.as_slices().0,
            Self::Empty | Self::One(_) => &[],
        }
    }

    /// Forgets the first `len` unsent bytes, which the socket has taken at `now`.
    pub(super) fn consume(&mut self, len: usize, now: Tick) {
        let Self::Many(queue) = self else {
            assert_eq!(len, 0, "the socket took bytes it was never given");
            return;
        };
        assert!(len <= queue.unsent.len(), "the socket took bytes it was never given");
        queue.unsent.drain(..len);
        queue.bytes -= len;
        queue.moved = now;
        self.shrink();
    }

    /// Forgets every frame that has not been begun, but for those that were
    /// [pushed](Self::push). Returns how many.
    pub(super) fn clear(&mut self) -> usize {
        let frames = self.frames();
        match self {
            Self::Many(queue) => {
                queue.truncate();
                queue.bytes = queue.counted();
                self.shrink();
            }
            Self::Empty | Self::One(_) => *self = Self::Empty,
        }
        frames - self.frames()
    }

    /// Whether the socket has refused bytes and not asked for them since.
    pub(super) fn is_blocked(&self) -> bool {
        matches!(self, Self::Many(queue) if !queue.unsent.is_empty())
    }

    /// When the socket last took something, if it owes us to take more.
    pub(super) fn blocked_since(&self) -> Option<Tick> {
        match self {
            Self::Many(queue) if !queue.unsent.is_empty() => Some(queue.moved),
            _ => None,
        }
    }

    /// Since when the oldest of what waits has waited, if the socket is why it waits.
    pub(super) fn oldest(&self) -> Option<Tick> {
        match self {
            Self::Many(queue) if !queue.unsent.is_empty() => Some(queue.unsent_since),
            _ => None,
        }
    }

    /// Whether nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(frame) => frame.len(),
            Self::Many(queue) => queue.bytes,
        }
    }

    /// How many frames wait.
    pub(super) fn frames(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::Many(queue) => queue.frames.len(),
        }
    }

    /// Whether no more was queued than `bound` allows, beside answers and a close.
    pub(super) fn is_within(&self, bound: Bound) -> bool {
        let Self::Many(queue) = self else { return true };
        let loose = queue.frames.iter().skip(queue.firm);
        let bytes: usize = loose.clone().map(|frame| frame.len()).sum();
        bytes <= bound.bytes_max + CLOSE_BYTES_MAX && loose.len() <= bound.frames_max + 1
    }

    fn queue(&mut self, now: Tick) -> &mut Queue {
        if !matches!(self, Self::Many(_)) {
            let mut queue = Box::<Queue>::default();
            if let Self::One(frame) = std::mem::take(self) {
                // A lone frame waits for the end of the turn and no longer.
                queue.push(frame, now);
            }
            *self = Self::Many(queue);
        }
        match self {
            Self::Many(queue) => queue,
            Self::Empty | Self::One(_) => unreachable!("made a queue just now"),
        }
    }

    /// Gives the memory of an empty queue back.
    fn shrink(&mut self) {
        if let Self::Many(queue) = self {
            debug_assert_eq!(queue.bytes, queue.counted(), "a byte was not counted");
            debug_assert_eq!(queue.frames.len(), queue.dated(), "a frame has no age");
            if queue.bytes == 0 && queue.frames.is_empty() {
                *self = Self::Empty;
            }
        }
    }
}

impl Queue {
    fn push(&mut self, frame: Frame, now: Tick) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
        match self.ages.back_mut() {
            Some((tick, count)) if *tick >= now => *count += 1,
            _ => self.ages.push_back((now, 1)),
        }
    }

    fn gather(&mut self, out: &mut Vec<u8>, bytes_max: usize) {
        while let Some(frame) = self.frames.pop_front() {
            if !out.is_empty() && out.len() + frame.len() > bytes_max {
                self.frames.push_front(frame);
                return;
            }
            self.bytes -= frame.len();
            self.firm = self.firm.saturating_sub(1);
            out.extend_from_slice(&frame);
            self.forget_age();
        }
    }

    /// Forgets when the frame at the front was queued, which has left.
    fn forget_age(&mut self) {
        if let Some((_, count)) = self.ages.front_mut() {
            *count -= 1;
            if *count == 0 {
                self.ages.pop_front();
            }
        }
    }

    /// Forgets the frames behind those that no clearing takes away.
    fn truncate(&mut self) {
        self.frames.truncate(self.firm);
        let mut left = self.firm;
        for (_, count) in &mut self.ages {
            let kept = left.min(*count as usize);
            left -= kept;
            *count = u32::try_from(kept).unwrap_or(u32::MAX);
        }
        self.ages.retain(|(_, count)| *count > 0);
    }

    /// How many frames have an age.
    fn dated(&self) -> usize {
        self.ages.iter().map(|(_, count)| *count as usize).sum()
    }

    fn counted(&self) -> usize {
        self.unsent.len() + self.frames.iter().map(|frame| frame.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::base::{Rng, Shared};

    const BOUND: Bound = Bound { bytes_max: 10, frames_max: 3 };

    fn frame(bytes: &[u8]) -> Frame {
        Rc::new(Shared::from(bytes))
    }

    #[test]
    fn an_idle_outbox_is_two_words() {
        assert_eq!(size_of::<Outbox>(), 2 * size_of::<usize>());
    }

    #[test]
    fn the_bound_in_bytes_holds_at_its_edge() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.offer(&frame(&[0; 9]), BOUND, Tick(0)), Offer::Queued);
        assert_eq!(
            outbox.offer(&frame(&[0; 2]), BOUND, Tick(0)),
            Offer::Refused(Breach::OutboxBytes)
        );
        assert_eq!(outbox.offer(&frame(&[0; 1]), BOUND, Tick(0)), Offer::Queued);
        assert_eq!(outbox.bytes(), 10);
    }

    #[test]
    fn the_bound_in_frames_holds_at_its_edge() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            assert_eq!(outbox.offer(&frame(b"a"), BOUND, Tick(0)), Offer::Queued);
        }
        assert_eq!(
            outbox.offer(&frame(b"a"), BOUND, Tick(0)),
            Offer::Refused(Breach::OutboxFrames)
        );
    }

    #[test]
    fn what_a_socket_refused_is_kept_before_everything_else_and_survives_a_clearing() {
        let mut outbox = Outbox::default();
        outbox.keep(b"ab", Tick(4), Tick(4));
        assert_eq!(outbox.offer(&frame(b"later"), BOUND, Tick(0)), Offer::Queued);
        assert_eq!(outbox.clear(), 1);
        outbox.push(frame(b"last"), Tick(0));
        assert_eq!((outbox.unsent(), outbox.blocked_since()), (&b"ab"[..], Some(Tick(4))));
        outbox.consume(2, Tick(5));
        let mut out = Vec::new();
        outbox.gather(&mut out, 100, Tick(0));
        assert_eq!((out.as_slice(), outbox.is_empty()), (&b"last"[..], true));
    }

    #[test]
    fn an_answer_that_waits_for_the_socket_survives_a_clearing() {
        let mut outbox = Outbox::default();
        outbox.keep(b"ab", Tick(4), Tick(4));
        outbox.push(frame(b"101"), Tick(0));
        assert_eq!(outbox.offer(&frame(b"later"), BOUND, Tick(0)), Offer::Queued);
        assert_eq!(outbox.clear(), 1);
        outbox.push(frame(b"close"), Tick(0));
        outbox.consume(2, Tick(5));
        let mut out = Vec::new();
        outbox.gather(&mut out, 100, Tick(0));
        assert_eq!((out.as_slice(), outbox.is_empty()), (&b"101close"[..], true));
    }

    #[test]
    fn the_oldest_of_what_waits_has_an_age_to_the_tick() {
        let mut outbox = Outbox::default();
        let bound = Bound { bytes_max: 100, frames_max: 100 };
        let mut out = Vec::new();
        outbox.keep(b"un", Tick(3), Tick(3));
        for now in [3, 4, 4, 9] {
            assert_eq!(outbox.offer(&frame(b"later"), bound, Tick(now)), Offer::Queued);
        }
        for (len, oldest) in [(1, 3), (1, 3), (5, 3), (5, 4), (5, 4), (5, 9)] {
            if outbox.unsent().is_empty() {
                let since = outbox.gather(&mut out, 5, Tick(20));
                outbox.keep(&out, since, Tick(20));
                out.clear();
            }
            assert_eq!(outbox.oldest(), Some(Tick(oldest)));
            outbox.consume(len, Tick(20));
        }
        assert_eq!((outbox.oldest(), outbox.is_empty()), (None, true));
    }

    #[test]
    fn gathering_stops_below_its_bound_but_takes_one_frame_always() {
        let mut outbox = Outbox::default();
        for bytes in [&b"abcdef"[..], b"gh", b"ij"] {
            outbox.push(frame(bytes), Tick(0));
        }
        let mut out = Vec::new();
        outbox.gather(&mut out, 4, Tick(0));
        assert_eq!(out, b"abcdef");
        out.clear();
        outbox.gather(&mut out, 4, Tick(0));
        assert_eq!((out.as_slice(), outbox.is_empty()), (&b"ghij"[..], true));
    }

    #[test]
    fn bytes_leave_in_the_order_they_came_whatever_the_socket_takes() {
        let mut rng = Rng::new(5);
        let bound = Bound { bytes_max: 64, frames_max: 9 };
        let mut outbox = Outbox::default();
        let (mut sent, mut expected, mut next) = (Vec::new(), Vec::new(), 0u8);
        for _ in 0..10_000 {
            if rng.one_of(1, 2) {
                let bytes: Vec<u8> = (0..=rng.below(20))
                    .map(|_| {
                        next = next.wrapping_add(1);
                        next
                    })
                    .collect();
                if outbox.offer(&frame(&bytes), bound, Tick(0)) == Offer::Queued {
                    expected.extend(bytes);
                }
            } else if outbox.is_blocked() {
                let took = usize::try_from(rng.below(outbox.unsent().len() as u64 + 1)).unwrap();
                sent.extend_from_slice(&outbox.unsent()[..took]);
                outbox.consume(took, Tick(0));
            } else {
                let mut out = Vec::new();
                outbox.gather(&mut out, 16, Tick(0));
                let took = usize::try_from(rng.below(out.len() as u64 + 1)).unwrap();
                sent.extend_from_slice(&out[..took]);
                outbox.keep(&out[took..], Tick(0), Tick(0));
            }
            assert!(outbox.bytes() <= bound.bytes_max);
            assert!(expected.starts_with(&sent), "bytes out of order");
        }
    }
}
