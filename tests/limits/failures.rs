//! What goes wrong on our side, and what is said of it: a panic, a shutdown whose time is up, a
//! body that was announced.

use std::io::Write;
use std::time::Duration;

use corecast::base::{Handler, Request};
use corecast::worker::Limits;
use corecast::ws::Opcode;

use crate::bench::Bench;

#[test]
fn a_panic_anywhere_in_a_service_costs_that_connection_and_says_so() {
    let mut bench = Bench::new(Limits::default());
    let mut good = bench.socket("/echo");
    for (path, words) in [("/panic-upgrade", "500 "), ("/panic-opened", "101 ")] {
        let (client, answer) = bench.upgrade(path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {words}")), "{path}: {answer}");
        assert!(client.pipe.is_ended(), "{path}");
    }
    let (client, answer) = bench.ask("GET /panic-request HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 500 ") && client.pipe.is_ended(), "{answer}");
    let mut talker = bench.socket("/echo");
    talker.say(Opcode::Text, b"panic");
    bench.tell(&talker);
    assert_eq!(talker.hear(), ["1011 internal error"]);
    let leaver = bench.socket("/panic-closed");
    leaver.pipe.reset();
    bench.tell(&leaver);
    assert_eq!(bench.metrics.panics_total.get(), 5);
    good.say(Opcode::Text, b"fine");
    bench.tell(&good);
    assert_eq!(good.hear(), ["fine"]);
}

#[test]
fn a_shutdown_whose_time_is_up_says_1001_to_those_it_has_not_told() {
    let limits = Limits { closes_per_turn_max: 1, ..Limits::default() };
    let mut bench = Bench::new(limits);
    let mut clients: Vec<_> = (0..5).map(|_| bench.socket("/echo")).collect();
    let (asking, _) = bench.ask("GET / HT");
    bench.handle.drain(Duration::ZERO);
    bench.worker.turn(bench.now);
    for client in &mut clients {
        assert_eq!(client.hear(), ["1001 shutting down"]);
        assert!(client.pipe.is_ended());
    }
    assert!(asking.pipe.drain().starts_with(b"HTTP/1.1 503 "));
    assert_eq!(bench.worker.poll_request(), Some(Request::StopAccepting));
    assert_eq!(bench.worker.poll_request(), Some(Request::Exit));
}

#[test]
fn who_waits_to_be_told_to_go_on_is_told() {
    let mut bench = Bench::new(Limits::default());
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let (mut client, answer) = bench.ask(head);
    assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    client.pipe.write_all(b"hi").unwrap();
    bench.tell(&client);
    assert!(client.pipe.drain().starts_with(b"HTTP/1.1 204 "));
    let (_, answer) = bench.ask(&head.replace("100-continue", "tea"));
    assert!(answer.starts_with("HTTP/1.1 417 "), "{answer}");
}

#[test]
fn a_service_may_close_from_wherever_it_is_called() {
    for path in ["/close-upgrade", "/close-opened", "/close-message", "/close-closed"] {
        let mut bench = Bench::new(Limits::default());
        let (mut client, _) = bench.upgrade(path);
        client.say(Opcode::Text, b"one");
        client.say(Opcode::Close, b"");
        bench.tell(&client);
        client.pipe.reset();
        bench.tell(&client);
        bench.pass(10_000);
        assert_eq!(bench.metrics.connections.get(), 0, "{path}");
        assert_eq!(bench.metrics.panics_total.get(), 0, "{path}");
    }
}

#[test]
fn whoever_comes_and_goes_leaves_nothing_behind() {
    let mut bench = Bench::new(Limits::default());
    let mut slots = 0;
    for _ in 0..1_000 {
        let mut client = bench.socket("/echo");
        slots = slots.max(client.key.index());
        client.say(Opcode::Text, b"hello");
        bench.tell(&client);
        client.pipe.reset();
        bench.tell(&client);
    }
    assert_eq!(slots, 0, "each takes the place of the last");
    assert_eq!((bench.metrics.connections.get(), bench.metrics.established.get()), (0, 0));
}
