//! What a WebSocket may say, and how fast: messages, fragments, rates, topics, contexts; and how
//! long a peer may stay silent.

use std::num::NonZeroU32;

use corecast::worker::Limits;
use corecast::ws::Opcode;

use super::around;
use super::world::{Via, in_each_world, upgrade};

#[test]
fn a_message_has_its_size_and_no_more() {
    let max = Limits::default().session.websocket.message_bytes_max;
    for (len, is_over) in [(max - 1, false), (max, false), (max + 1, true)] {
        in_each_world(Limits::default(), |world| {
            let mut client = world.socket("/echo");
            client.say(Opcode::Binary, &vec![0; len]);
            world.tell(&mut client);
            let heard = client.hear().remove(0);
            assert_eq!(heard.starts_with("1009 "), is_over, "{len}: {heard}");
            assert_eq!(world.reached("message-bytes"), u64::from(is_over));
        });
    }
}

#[test]
fn a_message_has_so_many_fragments_and_no_more() {
    let max = Limits::default().session.websocket.fragments_max as usize;
    for (count, is_over) in [(max - 1, false), (max, false), (max + 1, true)] {
        in_each_world(Limits::default(), |world| {
            let mut client = world.socket("/echo");
            let mut bytes = b"\x02\x80\0\0\0\0".to_vec();
            bytes.extend(b"\x00\x80\0\0\0\0".repeat(count - 2));
            bytes.extend(b"\x80\x80\0\0\0\0");
            client.wire.write(&bytes, true);
            world.tell(&mut client);
            let heard = client.hear().remove(0);
            assert_eq!(heard.starts_with("1008 "), is_over, "{count}: {heard}");
            assert_eq!(world.reached("fragments"), u64::from(is_over));
        });
    }
}

#[test]
fn a_message_is_whole_in_time_or_gets_1008() {
    for (ms, is_over) in around(Limits::default().message_ms_max) {
        in_each_world(Limits::default(), |world| {
            let mut client = world.socket("/echo");
            client.wire.write(b"\x01\x80\0\0\0\0", false);
            world.tell(&mut client);
            world.pass(ms);
            let heard = client.hear();
            assert_eq!(heard == ["1008 a message stayed unfinished for too long"], is_over, "{ms}");
            assert_eq!(world.reached("message-time"), u64::from(is_over));
        });
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
            in_each_world(limits, |world| {
                // What a read brings is taken whole, so the pieces count.
                world.keep_whole();
                let mut client = world.socket("/echo");
                for _ in 0..count {
                    client.say(Opcode::Text, b"what");
                }
                world.tell(&mut client);
                assert_eq!(client.hear().len(), count, "what has been read is answered");
                client.say(Opcode::Text, b"next");
                world.tell(&mut client);
                assert_eq!(client.hear().is_empty(), is_over, "{count}");
                world.pass(1_000);
                let heard = client.hear();
                assert_eq!(heard == ["next"], is_over, "{count}: {heard:?}");
                assert_eq!(world.reached("rate-time"), 0);
            });
        }
    }
}

#[test]
fn who_goes_on_sending_too_fast_gets_1008() {
    in_each_world(paced(10, 0), |world| {
        let mut client = world.socket("/echo");
        let (mut said, mut heard) = (0, Vec::new());
        for second in 0..30 {
            for _ in 0..20 {
                client.say(Opcode::Text, b"flood");
                said += 1;
            }
            world.tell(&mut client);
            world.pass(1_000);
            heard.extend(client.hear());
            if heard.last().is_some_and(|last| last == "1008 sending too fast") {
                assert!((10..14).contains(&second), "{second}");
                assert!(heard.len() < said, "it was not read for a while");
                assert_eq!(world.reached("rate-time"), 1);
                return;
            }
        }
        panic!("it was never closed: {} of {said}", heard.len());
    });
}

#[test]
fn who_sends_as_fast_as_it_may_is_never_stopped() {
    in_each_world(paced(10, 0), |world| {
        let mut client = world.socket("/echo");
        for _ in 0..300 {
            client.say(Opcode::Text, b"steady");
            world.tell(&mut client);
            assert_eq!(client.hear(), ["steady"]);
            world.pass(100);
        }
        assert_eq!(world.reached("rate-time"), 0);
    });
}

#[test]
fn a_connection_has_so_many_topics_and_no_more() {
    let max = Limits::default().hub.topics_per_connection_max;
    for (count, refused) in [(max - 1, 0), (max, 0), (max + 1, 1)] {
        in_each_world(Limits::default(), |world| {
            // It holds one by its path.
            let mut client = world.socket("/topics");
            client.say(Opcode::Binary, &vec![0; count]);
            world.tell(&mut client);
            assert_eq!(client.hear().len(), refused, "{count}");
            assert_eq!(world.reached("topics-per-conn"), refused as u64);
        });
    }
}

#[test]
fn so_many_connections_of_a_worker_keep_a_context_and_no_more() {
    let limits = Limits { deflate_contexts_max: 3, ..Limits::default() };
    for (count, kept) in [(2, 2), (3, 3), (4, 3)] {
        in_each_world(limits, |world| {
            let mut clients = Vec::new();
            for number in 0..count {
                let client = world.try_connect_to(0, Via::Deflate, "127.0.0.1").unwrap();
                let fields = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
                let (client, answer) = world.ask_on(client, &upgrade("/echo", fields));
                let keeps = !answer.contains("server_no_context_takeover");
                assert_eq!(keeps, number < 3, "{number}: {answer}");
                clients.push(client);
            }
            assert_eq!(world.sum(|metrics| metrics.deflate_contexts.get()), kept, "{count}");
        });
    }
}

#[test]
fn a_peer_may_leave_so_many_pings_unanswered() {
    for misses in 1..=3 {
        let limits = Limits { heartbeat_misses_max: misses, ..Limits::default() };
        in_each_world(limits, |world| {
            let mut client = world.socket("/echo");
            let mut pings = 0;
            while !client.wire.pipe.is_dropped() {
                world.pass(1_000);
                pings += client.hear().iter().filter(|event| *event == "ping").count();
                assert!(pings <= usize::from(misses), "{pings}");
            }
            assert_eq!((pings, world.reached("heartbeat-misses")), (usize::from(misses), 1));
        });
    }
}

#[test]
fn who_answers_the_last_ping_in_time_stays() {
    let limits = Limits::default();
    in_each_world(limits, |world| {
        let mut client = world.socket("/echo");
        for _ in 0..10 {
            let mut pings = 0;
            while pings < usize::from(limits.heartbeat_misses_max) {
                world.pass(1_000);
                pings += client.hear().iter().filter(|event| *event == "ping").count();
            }
            client.say(Opcode::Pong, b"");
            world.tell(&mut client);
        }
        assert!(!client.wire.pipe.is_ended());
        assert_eq!(world.reached("heartbeat-misses"), 0);
    });
}

#[test]
fn a_close_is_answered_in_time_or_the_connection_dropped() {
    for (ms, is_over) in around(Limits::default().close_ms_max) {
        in_each_world(Limits::default(), |world| {
            let mut client = world.socket("/echo");
            client.say(Opcode::Text, &[b'a'; 1_000]);
            world.tell(&mut client);
            let worker = corecast::hub::WorkerId::new(u8::try_from(client.wire.worker).unwrap());
            let normal = corecast::ws::CloseCode::NORMAL;
            world.handle.close(worker, client.wire.key, normal).unwrap();
            world.settle();
            world.pass(ms);
            assert_eq!(client.wire.pipe.is_dropped(), is_over, "{ms}");
            assert_eq!(world.reached("close-time"), u64::from(is_over));
        });
    }
}

#[test]
fn a_stream_on_which_nobody_says_anything_ends_in_time() {
    for (ms, is_over) in around(Limits::default().stream_idle_ms_max) {
        in_each_world(Limits::default(), |world| {
            let mut client = world.connect(Via::Stream);
            client.wire.write(b"hello", true);
            world.tell(&mut client);
            assert_eq!(client.wire.pipe.drain(), b"hello");
            world.pass(ms);
            assert_eq!(client.wire.pipe.is_ended(), is_over, "{ms}");
            assert_eq!(world.reached("stream-idle"), u64::from(is_over));
        });
    }
}
