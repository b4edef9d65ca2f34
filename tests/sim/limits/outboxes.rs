//! What may wait for a peer that reads slowly or not at all: how much, and for how long.

use corecast::worker::{Bound, Limits, Pressure};
use corecast::ws::Opcode;

use super::around;
use super::world::{Via, World, in_each_world};

/// What somebody hears who did not read while `count` messages of `len` bytes were published.
fn unread(world: &mut World, count: usize, len: usize) -> Vec<String> {
    let mut slow = world.socket("/news");
    let mut publisher = world.socket("/news");
    slow.wire.pipe.set_capacity(0);
    // The first leaves the outbox at once, as far as the socket is concerned.
    publisher.say(Opcode::Binary, b"");
    world.tell(&mut publisher);
    for _ in 0..count {
        publisher.say(Opcode::Binary, &vec![0; len]);
        world.tell(&mut publisher);
    }
    slow.wire.pipe.set_capacity(1 << 24);
    world.tell(&mut slow);
    slow.hear()
}

#[test]
fn so_many_bytes_wait_for_a_peer_and_no_more() {
    // Two bytes wait in the socket's way, and each message has a header of two.
    for (len, is_over) in [(95, false), (96, false), (97, true)] {
        let outbox = Bound { bytes_max: 100, frames_max: 9 };
        in_each_world(Limits { outbox, ..Limits::default() }, |world| {
            let heard = unread(world, 1, len);
            let is_closed = heard.last().unwrap() == "1013 reading too slowly";
            assert_eq!(is_closed, is_over, "{len}: {heard:?}");
            assert_eq!(world.reached("outbox-bytes"), u64::from(is_over));
        });
    }
}

#[test]
fn so_many_frames_wait_for_a_peer_and_no_more() {
    for (count, is_over) in [(8, false), (9, false), (10, true)] {
        let outbox = Bound { bytes_max: 1 << 20, frames_max: 9 };
        in_each_world(Limits { outbox, ..Limits::default() }, |world| {
            let heard = unread(world, count, 1);
            let is_closed = heard.last().unwrap() == "1013 reading too slowly";
            assert_eq!(is_closed, is_over, "{count}: {heard:?}");
            assert_eq!(world.reached("outbox-frames"), u64::from(is_over));
        });
    }
}

#[test]
fn what_waits_for_a_peer_is_never_older_than_it_may_be() {
    for (ms, is_over) in around(Limits::default().outbox_ms_max) {
        in_each_world(Limits::default(), |world| {
            let mut slow = world.socket("/news");
            let mut publisher = world.socket("/news");
            slow.wire.pipe.set_capacity(0);
            publisher.say(Opcode::Binary, &vec![0; 60_000]);
            world.tell(&mut publisher);
            // It reads a little all the time, so that it makes progress.
            let mut passed = 0;
            while passed < ms {
                slow.wire.pipe.set_capacity(slow.wire.pipe.readable() + 10);
                world.tell(&mut slow);
                let step = (ms - passed).min(5_000);
                world.pass(step);
                passed += step;
            }
            assert_eq!(world.reached("outbox-time"), u64::from(is_over), "{ms}");
            assert_eq!(world.reached("stall-time"), 0);
            slow.wire.pipe.set_capacity(1 << 24);
            world.tell(&mut slow);
            let heard = slow.hear();
            let is_closed = heard.last().unwrap() == "1013 reading too slowly";
            assert_eq!(is_closed, is_over, "{ms}: {heard:?}");
        });
    }
}

#[test]
fn a_socket_that_takes_nothing_is_dropped_in_time() {
    // Nothing is too old, and no answer is missed, before that.
    let limits = Limits { outbox_ms_max: 90_000, heartbeat_ms: 90_000, ..Limits::default() };
    for (ms, is_over) in around(limits.stall_ms_max) {
        for via in [Via::Plain, Via::Stream] {
            in_each_world(limits, |world| {
                let mut client = match via {
                    Via::Stream => world.connect(via),
                    _ => world.socket("/echo"),
                };
                client.wire.pipe.set_capacity(0);
                client.say(Opcode::Text, b"say it again");
                world.tell(&mut client);
                world.pass(ms);
                assert_eq!(client.wire.pipe.is_dropped(), is_over, "{ms}, {via:?}");
                assert_eq!(world.reached("stall-time"), u64::from(is_over));
            });
        }
    }
}

/// So many bytes of a hundred thousand are used.
const MEMORY: u64 = 100_000;

#[test]
fn nobody_new_gets_in_from_the_first_watermark_on() {
    let limits = Limits::default();
    let stop = MEMORY / 100 * u64::from(limits.memory_stop_percent);
    in_each_world(limits, |world| {
        let mut here = world.socket("/echo");
        for (used, is_open) in [(stop - 1, true), (stop, false), (stop + 1, false), (0, true)] {
            world.handle.press(Pressure::of(used, MEMORY, &limits)).unwrap();
            world.settle();
            assert_eq!(world.try_connect("127.0.0.1").is_some(), is_open, "{used}");
            here.say(Opcode::Text, b"still here");
            world.tell(&mut here);
            assert_eq!(here.hear(), ["still here"]);
        }
        assert_eq!(world.refused("memory"), 2);
    });
}

#[test]
fn the_worst_outboxes_go_first_from_the_second_watermark_on() {
    let limits = Limits::default();
    let shed = MEMORY / 100 * u64::from(limits.memory_shed_percent);
    for (used, is_over) in [(shed - 1, false), (shed, true), (shed + 1, true)] {
        in_each_world(limits, |world| {
            let mut reader = world.socket("/news");
            // Each worker sees to its own.
            let mut slow: Vec<_> = (0..3).map(|_| world.socket_at(0, "/news")).collect();
            for client in &slow {
                client.wire.pipe.set_capacity(0);
            }
            reader.say(Opcode::Binary, &[0; 1_000]);
            world.tell(&mut reader);
            // The last has read all but a little by now.
            slow[2].wire.pipe.set_capacity(900);
            world.tell(&mut slow[2]);
            world.handle.press(Pressure::of(used, MEMORY, &limits)).unwrap();
            world.settle();
            let shed = if is_over { 2 } else { 0 };
            assert_eq!(world.reached("memory-shed"), shed, "half of it is two of three");
            for client in &mut slow {
                client.wire.pipe.set_capacity(1 << 20);
                world.tell(client);
            }
            let heard = slow.iter_mut().map(|client| client.hear().pop().unwrap());
            let last = if is_over { "1013 the server is short of memory" } else { "1000 bytes" };
            assert_eq!(heard.collect::<Vec<_>>(), [last, last, "1000 bytes"]);
            assert_eq!(reader.hear(), ["1000 bytes"], "who reads is not concerned");
        });
    }
}
