//! Every limit of a worker at its edge: one less than it, the limit itself, one more; what the peer
//! is told beyond it, and under which name it is counted.
//!
//! Time passes in ticks of an eighth of a second, so that is what "one less" means for a time.
// An instant to start from can only be had from the clock, and a test ends where it is surprised.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "limits/bench.rs"]
mod bench;
#[path = "limits/failures.rs"]
mod failures;
#[path = "limits/hardening.rs"]
mod hardening;
#[path = "support/pipe.rs"]
mod pipe;

use std::io::Write;
use std::num::NonZeroU32;

use bench::Bench;
use corecast::base::Tick;
use corecast::worker::{Bound, Limits, Pressure};
use corecast::ws::Opcode;

/// A tick less than a time, the time, and a tick more, with whether it is over.
fn around(ms: u64) -> [(u64, bool); 3] {
    [(ms - Tick::MS, false), (ms, true), (ms + Tick::MS, true)]
}

#[test]
fn a_request_is_whole_in_time_or_gets_408() {
    for (ms, is_over) in around(Limits::default().request_ms_max) {
        let mut bench = Bench::new(Limits::default());
        let (client, _) = bench.ask("GET / HT");
        bench.pass(ms);
        let answer = String::from_utf8(client.pipe.drain()).unwrap();
        assert_eq!(answer.starts_with("HTTP/1.1 408 "), is_over, "{ms}: {answer}");
        assert_eq!(bench.reached("request-time"), u64::from(is_over));
    }
}

#[test]
fn an_idle_connection_is_kept_for_so_long() {
    for (ms, is_over) in around(Limits::default().keep_alive_ms_max) {
        let mut bench = Bench::new(Limits::default());
        let (client, answer) = bench.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        bench.pass(ms);
        assert_eq!(client.pipe.is_ended(), is_over, "{ms}");
        assert_eq!(bench.reached("keep-alive"), u64::from(is_over));
        assert_eq!(bench.reached("request-time"), 0);
    }
}

#[test]
fn a_head_has_its_size_and_no_more() {
    let bare = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
    for (more, status) in [(-1, 204), (0, 204), (1, 431)] {
        let mut bench = Bench::new(Limits::default());
        let max = i64::try_from(Limits::default().session.http.head_bytes_max).unwrap();
        let len = usize::try_from(max + more).unwrap() - bare;
        let (_, answer) =
            bench.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(len)));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{more}: {answer}");
        assert_eq!(bench.reached("head-bytes"), u64::from(status == 431));
    }
}

#[test]
fn a_head_has_so_many_fields_and_no_more() {
    for (count, status) in [(63, 204), (64, 204), (65, 431)] {
        let mut bench = Bench::new(Limits::default());
        let fields = "X: a\r\n".repeat(count - 1);
        let (_, answer) = bench.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{count}: {answer}");
        assert_eq!(bench.reached("headers"), u64::from(status == 431));
    }
}

#[test]
fn a_message_has_its_size_and_no_more() {
    let max = Limits::default().session.websocket.message_bytes_max;
    for (len, is_over) in [(max - 1, false), (max, false), (max + 1, true)] {
        let mut bench = Bench::new(Limits::default());
        let mut client = bench.socket("/echo");
        client.say(Opcode::Binary, &vec![0; len]);
        bench.tell(&client);
        let heard = client.hear().remove(0);
        assert_eq!(heard.starts_with("1009 "), is_over, "{len}: {heard}");
        assert_eq!(bench.reached("message-bytes"), u64::from(is_over));
    }
}

#[test]
fn a_message_has_so_many_fragments_and_no_more() {
    let max = Limits::default().session.websocket.fragments_max as usize;
    for (count, is_over) in [(max - 1, false), (max, false), (max + 1, true)] {
        let mut bench = Bench::new(Limits::default());
        let mut client = bench.socket("/echo");
        let mut bytes = b"\x02\x80\0\0\0\0".to_vec();
        bytes.extend(b"\x00\x80\0\0\0\0".repeat(count - 2));
        bytes.extend(b"\x80\x80\0\0\0\0");
        client.pipe.write_all(&bytes).unwrap();
        bench.tell(&client);
        let heard = client.hear().remove(0);
        assert_eq!(heard.starts_with("1008 "), is_over, "{count}: {heard}");
        assert_eq!(bench.reached("fragments"), u64::from(is_over));
    }
}

#[test]
fn a_message_is_whole_in_time_or_gets_1008() {
    for (ms, is_over) in around(Limits::default().message_ms_max) {
        let mut bench = Bench::new(Limits::default());
        let mut client = bench.socket("/echo");
        client.pipe.write_all(b"\x01\x80\0\0\0\0").unwrap();
        bench.tell(&client);
        bench.pass(ms);
        let heard = client.hear();
        assert_eq!(heard == ["1008 a message stayed unfinished for too long"], is_over, "{ms}");
        assert_eq!(bench.reached("message-time"), u64::from(is_over));
    }
}

/// Limits with a rate of frames and of bytes.
fn paced(frames: u32, bytes: u32) -> Limits {
    let mut limits = Limits::default();
    limits.pace.frames_per_second_max = NonZeroU32::new(frames);
    limits.pace.bytes_per_second_max = NonZeroU32::new(bytes);
    limits
}

#[test]
fn who_sends_faster_than_it_may_is_not_read_for_a_while() {
    // A frame of 4 bytes has 10; so 100 bytes a second are as many as 10 frames.
    for limits in [paced(10, 0), paced(0, 100)] {
        for (count, is_over) in [(9, false), (10, false), (11, true)] {
            let mut bench = Bench::new(limits);
            let mut client = bench.socket("/echo");
            for _ in 0..count {
                client.say(Opcode::Text, b"what");
            }
            bench.tell(&client);
            assert_eq!(client.hear().len(), count, "what has been read is answered");
            client.say(Opcode::Text, b"next");
            bench.tell(&client);
            assert_eq!(client.hear().is_empty(), is_over, "{count}");
            bench.pass(1_000);
            let heard = client.hear();
            assert_eq!(heard == ["next"], is_over, "{count}: {heard:?}");
            assert_eq!(bench.reached("rate-time"), 0);
        }
    }
}

#[test]
fn who_goes_on_sending_too_fast_gets_1008() {
    let limits = paced(10, 0);
    let mut bench = Bench::new(limits);
    let mut client = bench.socket("/echo");
    let (mut said, mut heard) = (0, Vec::new());
    for second in 0..30 {
        for _ in 0..20 {
            client.say(Opcode::Text, b"flood");
            said += 1;
        }
        bench.tell(&client);
        bench.pass(1_000);
        heard.extend(client.hear());
        if heard.last().is_some_and(|last| last == "1008 sending too fast") {
            assert!((10..14).contains(&second), "{second}");
            assert!(heard.len() < said, "it was not read for a while");
            assert_eq!(bench.reached("rate-time"), 1);
            return;
        }
    }
    panic!("it was never closed: {} of {said}", heard.len());
}

#[test]
fn who_sends_as_fast_as_it_may_is_never_stopped() {
    let mut bench = Bench::new(paced(10, 0));
    let mut client = bench.socket("/echo");
    for _ in 0..300 {
        client.say(Opcode::Text, b"steady");
        bench.tell(&client);
        assert_eq!(client.hear(), ["steady"]);
        bench.pass(100);
    }
    assert_eq!(bench.reached("rate-time"), 0);
}

/// What somebody hears who did not read while `count` messages of `len` bytes were published.
fn unread(bound: Bound, count: usize, len: usize) -> (Vec<String>, Bench) {
    let mut bench = Bench::new(Limits { outbox: bound, ..Limits::default() });
    let mut slow = bench.socket("/news");
    let mut publisher = bench.socket("/news");
    slow.pipe.set_capacity(0);
    // The first leaves the outbox at once, as far as the socket is concerned.
    publisher.say(Opcode::Binary, b"");
    bench.tell(&publisher);
    for _ in 0..count {
        publisher.say(Opcode::Binary, &vec![0; len]);
        bench.tell(&publisher);
    }
    slow.pipe.set_capacity(1 << 24);
    bench.tell(&slow);
    (slow.hear(), bench)
}

#[test]
fn so_many_bytes_wait_for_a_peer_and_no_more() {
    // Two bytes wait in the socket's way, and each message has a header of two.
    for (len, is_over) in [(95, false), (96, false), (97, true)] {
        let bound = Bound { bytes_max: 100, frames_max: 9 };
        let (heard, bench) = unread(bound, 1, len);
        let is_closed = heard.last().unwrap() == "1013 reading too slowly";
        assert_eq!(is_closed, is_over, "{len}: {heard:?}");
        assert_eq!(bench.reached("outbox-bytes"), u64::from(is_over));
    }
}

#[test]
fn so_many_frames_wait_for_a_peer_and_no_more() {
    for (count, is_over) in [(8, false), (9, false), (10, true)] {
        let bound = Bound { bytes_max: 1 << 20, frames_max: 9 };
        let (heard, bench) = unread(bound, count, 1);
        let is_closed = heard.last().unwrap() == "1013 reading too slowly";
        assert_eq!(is_closed, is_over, "{count}: {heard:?}");
        assert_eq!(bench.reached("outbox-frames"), u64::from(is_over));
    }
}

#[test]
fn what_waits_for_a_peer_is_never_older_than_it_may_be() {
    for (ms, is_over) in around(Limits::default().outbox_ms_max) {
        let mut bench = Bench::new(Limits::default());
        let mut slow = bench.socket("/news");
        let mut publisher = bench.socket("/news");
        slow.pipe.set_capacity(0);
        publisher.say(Opcode::Binary, &vec![0; 60_000]);
        bench.tell(&publisher);
        // It reads a little all the time, so that it makes progress.
        let mut passed = 0;
        while passed < ms {
            slow.pipe.set_capacity(slow.pipe.readable() + 10);
            bench.tell(&slow);
            let step = (ms - passed).min(5_000);
            bench.pass(step);
            passed += step;
        }
        assert_eq!(bench.reached("outbox-time"), u64::from(is_over), "{ms}");
        assert_eq!(bench.reached("stall-time"), 0);
        slow.pipe.set_capacity(1 << 24);
        bench.tell(&slow);
        let heard = slow.hear();
        assert_eq!(heard.last().unwrap() == "1013 reading too slowly", is_over, "{ms}: {heard:?}");
    }
}

#[test]
fn a_socket_that_takes_nothing_is_dropped_in_time() {
    // Nothing is too old, and no answer is missed, before that.
    let limits = Limits { outbox_ms_max: 90_000, heartbeat_ms: 90_000, ..Limits::default() };
    for (ms, is_over) in around(limits.stall_ms_max) {
        let mut bench = Bench::new(limits);
        let mut client = bench.socket("/echo");
        client.pipe.set_capacity(0);
        client.say(Opcode::Text, b"say it again");
        bench.tell(&client);
        bench.pass(ms);
        assert_eq!(client.pipe.is_dropped(), is_over, "{ms}");
        assert_eq!(bench.reached("stall-time"), u64::from(is_over));
    }
}

#[test]
fn a_peer_may_leave_so_many_pings_unanswered() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.socket("/echo");
    let mut pings = 0;
    while !client.pipe.is_dropped() {
        bench.pass(1_000);
        pings += client.hear().iter().filter(|event| *event == "ping").count();
        assert!(pings <= 2, "{pings}");
    }
    assert_eq!((pings, bench.reached("heartbeat-misses")), (2, 1));
}

#[test]
fn a_close_is_answered_in_time_or_the_connection_dropped() {
    for (ms, is_over) in around(Limits::default().close_ms_max) {
        let mut bench = Bench::new(Limits::default());
        let mut client = bench.socket("/echo");
        client.say(Opcode::Text, &[b'a'; 1_000]);
        bench.handle.press(Pressure::Low).unwrap();
        bench.tell(&client);
        let worker = corecast::hub::WorkerId::new(0);
        bench.handle.close(worker, client.key, corecast::ws::CloseCode::NORMAL).unwrap();
        bench.turn();
        bench.pass(ms);
        assert_eq!(client.pipe.is_dropped(), is_over, "{ms}");
        assert_eq!(bench.reached("close-time"), u64::from(is_over));
    }
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let mut limits = Limits::default();
    limits.addresses.connections_max = NonZeroU32::new(3);
    let mut bench = Bench::new(limits);
    let mut clients: Vec<_> = (0..3).map(|_| bench.try_connect("2001:db8::1").unwrap()).collect();
    assert!(bench.try_connect("2001:db8::2").is_none(), "of the same network");
    assert!(bench.try_connect("2001:db8:0:1::1").is_some(), "of another");
    assert_eq!(bench.refused("address-connections"), 1);
    clients.pop().unwrap().pipe.reset();
    bench.pass(Limits::default().request_ms_max);
    assert!(bench.try_connect("2001:db8::2").is_some(), "there is room again");
}

#[test]
fn an_address_brings_so_many_connections_a_second_and_no_more() {
    let mut limits = Limits::default();
    limits.addresses.connects_per_second_max = NonZeroU32::new(4);
    let mut bench = Bench::new(limits);
    let came = |bench: &mut Bench, count| {
        (0..count).filter(|_| bench.try_connect("192.0.2.1").is_some()).count()
    };
    assert_eq!(came(&mut bench, 3), 3);
    assert_eq!(came(&mut bench, 1), 1);
    assert_eq!(came(&mut bench, 1), 0);
    assert_eq!(bench.refused("address-rate"), 1);
    bench.pass(250);
    assert_eq!(came(&mut bench, 2), 1);
}

#[test]
fn nobody_new_gets_in_while_memory_is_short() {
    let mut bench = Bench::new(Limits::default());
    let mut here = bench.socket("/echo");
    for (pressure, is_open) in [(Pressure::High, false), (Pressure::Low, true)] {
        bench.handle.press(pressure).unwrap();
        bench.turn();
        assert_eq!(bench.try_connect("127.0.0.1").is_some(), is_open, "{pressure:?}");
        here.say(Opcode::Text, b"still here");
        bench.tell(&here);
        assert_eq!(here.hear(), ["still here"]);
    }
    assert_eq!(bench.refused("memory"), 1);
}

#[test]
fn the_worst_outboxes_go_first_when_memory_is_very_short() {
    let mut bench = Bench::new(Limits::default());
    let mut reader = bench.socket("/news");
    let mut slow: Vec<_> = (0..3).map(|_| bench.socket("/news")).collect();
    for client in &slow {
        client.pipe.set_capacity(0);
    }
    reader.say(Opcode::Binary, &[0; 1_000]);
    bench.tell(&reader);
    // The last has read all but a little by now.
    slow[2].pipe.set_capacity(900);
    bench.tell(&slow[2]);
    bench.handle.press(Pressure::Severe).unwrap();
    bench.turn();
    assert_eq!(bench.reached("memory-shed"), 2, "half of it is two of three");
    for client in &mut slow {
        client.pipe.set_capacity(1 << 20);
        bench.tell(client);
    }
    let lasts: Vec<_> = slow.iter_mut().map(|client| client.hear().pop().unwrap()).collect();
    let closed = "1013 the server is short of memory";
    assert_eq!(lasts, [closed, closed, "1000 bytes"]);
    assert_eq!(reader.hear(), ["1000 bytes"], "who reads is not concerned");
}

#[test]
fn a_connection_has_so_many_topics_and_no_more() {
    let max = Limits::default().hub.topics_per_connection_max;
    for (count, refused) in [(max - 1, 0), (max, 0), (max + 1, 1)] {
        let mut bench = Bench::new(Limits::default());
        // It holds one by its path.
        let mut client = bench.socket("/topics");
        client.say(Opcode::Binary, &vec![0; count]);
        bench.tell(&client);
        assert_eq!(client.hear().len(), refused, "{count}");
        assert_eq!(bench.reached("topics-per-conn"), refused as u64);
    }
}
