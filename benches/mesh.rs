//! What crossing from one core to another costs its sender: `cargo bench --bench mesh`.
//!
//! A batch is posted to a peer that is awake, which must cost no system call, and to one that
//! sleeps, which costs the write to its eventfd. The peer is a thread that takes what comes.

#![allow(clippy::disallowed_methods)] // a benchmark reads the clock
#![allow(clippy::unwrap_used)] // a benchmark fails where it must

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use corecast::base::{Shared, Wake};
use corecast::hub::{TopicName, WorkerId};
use corecast::worker::mesh::{Batch, Command, Door, Mailbox, Post, ShardMessage, mesh};
use criterion::Criterion;
use mio::{Events, Poll, Token, Waker};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    with_peer(spin, |door, _| {
        criterion.bench_function("post to a peer that is awake", |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| post(door)).sum());
        });
    });
    with_peer(sleep, |door, asleep| {
        criterion.bench_function("post to a peer that sleeps", |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| wake(door, asleep)).sum());
        });
    });
}

/// Runs `measure` while another thread runs `peer`, which raises the flag when it goes to sleep.
fn with_peer(
    peer: fn(&Mailbox, &mut Poll, &AtomicBool),
    mut measure: impl FnMut(&Door, &AtomicBool),
) {
    let mut poll = Poll::new().unwrap();
    let bell = Arc::new(Bell(Waker::new(poll.registry(), Token(0)).unwrap()));
    let (ends, handle) = mesh(vec![Arc::new(Silence), bell]);
    let [(_, doors), (mailbox, _)] = &ends[..] else { unreachable!() };
    let asleep = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| peer(mailbox, &mut poll, &asleep));
        measure(doors.first().unwrap(), &asleep);
        handle.drain(Duration::ZERO);
    });
}

/// A peer that always has something to do.
fn spin(mailbox: &Mailbox, _: &mut Poll, _: &AtomicBool) {
    while !take_all(mailbox) {
        spin_loop();
    }
}

/// A peer that sleeps whenever it may, as a loop does.
fn sleep(mailbox: &Mailbox, poll: &mut Poll, asleep: &AtomicBool) {
    let mut events = Events::with_capacity(1);
    while !take_all(mailbox) {
        if mailbox.may_sleep() {
            asleep.store(true, Ordering::Release);
            poll.poll(&mut events, None).unwrap();
            mailbox.awake();
        }
    }
}

/// Empties the inbox; returns whether it was ordered to leave.
fn take_all(mailbox: &Mailbox) -> bool {
    let is_order = |message: &_| matches!(message, ShardMessage::Command(Command::Drain { .. }));
    std::iter::from_fn(|| mailbox.take()).any(|batch| batch.mail.iter().any(is_order))
}

/// Posts one publication to a peer that is awake. Returns how long that took, without what it
/// takes the peer to make room.
fn post(door: &Door) -> Duration {
    let mut batch = batch();
    loop {
        let start = Instant::now();
        let posted = door.post(batch);
        let took = start.elapsed();
        let Post::Full(back) = posted else { return took };
        batch = back;
        thread::yield_now();
    }
}

/// Posts one publication to a peer that sleeps. Returns how long that took.
fn wake(door: &Door, asleep: &AtomicBool) -> Duration {
    while !asleep.swap(false, Ordering::Acquire) {
        thread::yield_now();
    }
    let batch = batch();
    let start = Instant::now();
    let posted = door.post(batch);
    let took = start.elapsed();
    assert!(matches!(posted, Post::Taken { woke: true }), "it did not sleep");
    took
}

fn batch() -> Batch {
    let topic = TopicName::new("demo").unwrap();
    let publication =
        ShardMessage::Publish { topic, publication: Shared::from("a short message").into() };
    Batch { from: WorkerId::new(0), mail: vec![publication] }
}

/// Ends a sleep the way a reactor does.
struct Bell(Waker);

impl Wake for Bell {
    fn wake(&self) {
        self.0.wake().unwrap();
    }
}

/// Who measures never sleeps.
struct Silence;

impl Wake for Silence {
    fn wake(&self) {}
}
