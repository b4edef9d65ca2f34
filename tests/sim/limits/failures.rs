//! What goes wrong on our side, and what is said of it: a panic, a shutdown whose time is up, a
//! body that was announced.

use std::time::Duration;

use corecast::worker::Limits;
use corecast::ws::Opcode;

use super::world::{World, in_each_world};

#[test]
fn a_panic_anywhere_in_a_service_costs_that_connection_and_says_so() {
    in_each_world(Limits::default(), |world| {
        let mut good = world.socket("/echo");
        for (path, words) in [("/panic-upgrade", "500 "), ("/panic-opened", "101 ")] {
            let (client, answer) = world.upgrade(path);
            assert!(answer.starts_with(&format!("HTTP/1.1 {words}")), "{path}: {answer}");
            assert!(client.wire.pipe.is_ended(), "{path}");
        }
        let (client, answer) = world.ask("GET /panic-request HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(client.wire.pipe.is_ended());
        let mut talker = world.socket("/echo");
        talker.say(Opcode::Text, b"panic");
        world.tell(&mut talker);
        assert_eq!(talker.hear(), ["1011 internal error"]);
        let mut leaver = world.socket("/panic-closed");
        leaver.wire.pipe.reset();
        world.tell(&mut leaver);
        assert_eq!(world.sum(|metrics| metrics.panics_total.get()), 5);
        good.say(Opcode::Text, b"fine");
        world.tell(&mut good);
        assert_eq!(good.hear(), ["fine"]);
    });
}

#[test]
fn a_shutdown_whose_time_is_up_says_1001_to_those_it_has_not_told() {
    let limits = Limits { closes_per_turn_max: 1, ..Limits::default() };
    in_each_world(limits, |world| {
        let mut clients: Vec<_> = (0..5).map(|_| world.socket("/echo")).collect();
        let (asking, _) = world.ask("GET / HT");
        world.handle.drain(Duration::ZERO);
        for core in &mut world.cores {
            core.turn(world.now).unwrap();
            assert!(!core.is_accepting && core.has_exited());
        }
        for client in &mut clients {
            assert_eq!(client.hear(), ["1001 shutting down"]);
            assert!(client.wire.pipe.is_ended());
        }
        assert!(asking.wire.pipe.drain().starts_with(b"HTTP/1.1 503 "));
    });
}

#[test]
fn who_waits_to_be_told_to_go_on_is_told() {
    in_each_world(Limits::default(), |world| {
        let head =
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        let (client, answer) = world.ask(head);
        assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
        let (_, answer) = world.ask_on(client, "hi");
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        let (_, answer) = world.ask(&head.replace("100-continue", "tea"));
        assert!(answer.starts_with("HTTP/1.1 417 "), "{answer}");
    });
}

#[test]
fn a_service_may_close_from_wherever_it_is_called() {
    for path in ["/close-upgrade", "/close-opened", "/close-message", "/close-closed"] {
        in_each_world(Limits::default(), |world| {
            let (mut client, _) = world.upgrade(path);
            client.say(Opcode::Text, b"one");
            client.say(Opcode::Close, b"");
            world.tell(&mut client);
            client.wire.pipe.reset();
            world.tell(&mut client);
            world.pass(10_000);
            assert_eq!(world.sum(|metrics| metrics.connections.get()), 0, "{path}");
            assert_eq!(world.sum(|metrics| metrics.panics_total.get()), 0, "{path}");
        });
    }
}

#[test]
fn whoever_comes_and_goes_leaves_nothing_behind() {
    let mut world = World::new(Limits::default(), 1);
    let mut slots = 0;
    for _ in 0..1_000 {
        let mut client = world.socket("/echo");
        slots = slots.max(client.wire.key.index());
        client.say(Opcode::Text, b"hello");
        world.tell(&mut client);
        client.wire.pipe.reset();
        world.tell(&mut client);
    }
    assert_eq!(slots, 0, "each takes the place of the last");
    assert_eq!(world.sum(|metrics| metrics.connections.get()), 0);
    assert_eq!(world.sum(|metrics| metrics.established.get()), 0);
}
