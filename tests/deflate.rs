//! permessage-deflate (RFC 7692) as peers of a worker get it, over pipes in memory: what is agreed
//! on, what is deflated and how often, what bombs meet, and what idle connections hold.
// An instant to start from can only be had from the clock, and a test ends where it is surprised.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/alloc.rs"]
mod alloc;
#[path = "deflate/memory.rs"]
mod memory;
#[path = "support/pipe.rs"]
mod pipe;
#[path = "deflate/support.rs"]
mod support;

use corecast::worker::Limits;
use corecast::ws::{CloseCode, Opcode};
use support::{Client, Crew, OFF, ON, TAKEOVER, bomb, deflate};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// Something that deflating makes shorter.
fn prose(len: usize) -> Vec<u8> {
    b"the quick brown fox jumps over the lazy dog; ".iter().copied().cycle().take(len).collect()
}

#[test]
fn deflating_is_agreed_on_where_it_is_turned_on_and_offered() {
    let mut crew = Crew::new(1, Limits::default());
    let no = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let rows = [
        (OFF, "permessage-deflate", None),
        (ON, "", None),
        (ON, "permessage-bzip2, permessage-deflate; server_max_window_bits=16", None),
        (ON, "permessage-deflate", Some(no.to_owned())),
        (
            ON,
            "permessage-deflate; client_max_window_bits; server_max_window_bits=9",
            Some(format!("{no}; server_max_window_bits=9")),
        ),
        (TAKEOVER, "permessage-deflate", Some("permessage-deflate".to_owned())),
        (TAKEOVER, no, Some(no.to_owned())),
    ];
    for (via, offer, expected) in rows {
        let client = crew.client(0, via, "/echo", offer);
        assert_eq!(client.agreed, expected, "{offer:?} on listener {via}");
    }
}

#[test]
fn a_message_is_inflated_and_its_answer_deflated() {
    for via in [ON, TAKEOVER] {
        for bits in 8..=15 {
            let mut crew = Crew::new(1, Limits::default());
            let offer = format!(
                "permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}"
            );
            let mut client = crew.client(0, via, "/echo", &offer);
            for len in [127, 128, 1_000, 60_000] {
                client.say_deflated(&prose(len));
                crew.tell(&client);
                let [(message, was_deflated)] = &client.hear()[..] else { panic!("one answer") };
                assert_eq!((message, *was_deflated), (&prose(len), len >= 128));
            }
        }
    }
}

#[test]
fn a_deflated_message_may_come_in_pieces_of_any_size() {
    let message = prose(5_000);
    for piece in [1, 2, 7, 1_000] {
        let mut crew = Crew::new(1, Limits::default());
        let mut client = crew.client(0, ON, "/echo", "permessage-deflate");
        let frames = Client::fragments(&deflate(&message), 11);
        for bytes in frames.chunks(piece) {
            client.say_raw(bytes);
            crew.tell(&client);
        }
        assert_eq!(client.hear(), [(message.clone(), true)], "pieces of {piece}");
    }
}

#[test]
fn the_first_frame_of_a_message_says_that_it_is_deflated_and_no_other_does() {
    let ping = b"\xC9\x80\0\0\0\0".to_vec();
    let close = b"\xC8\x80\0\0\0\0".to_vec();
    let begin = b"\x41\x80\0\0\0\0".to_vec();
    let plain = b"\x01\x80\0\0\0\0".to_vec();
    let more = b"\xC0\x80\0\0\0\0".to_vec();
    let rows = [
        (OFF, b"\xC1\x80\0\0\0\0".to_vec()),
        (ON, ping),
        (ON, close),
        (ON, more.clone()),
        (ON, [begin, more.clone()].concat()),
        (ON, [plain, more].concat()),
        (ON, b"\xA1\x80\0\0\0\0".to_vec()),
        (ON, b"\xD1\x80\0\0\0\0".to_vec()),
    ];
    for (via, bytes) in rows {
        let mut crew = Crew::new(1, Limits::default());
        let mut client = crew.client(0, via, "/echo", "permessage-deflate");
        client.say_raw(&bytes);
        crew.tell(&client);
        assert_eq!(client.close_code(), Some(CloseCode::PROTOCOL), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_plain_message_is_as_good_and_control_frames_are_never_deflated() {
    let mut crew = Crew::new(1, Limits::default());
    let mut client = crew.client(0, ON, "/echo", "permessage-deflate");
    client.say(Opcode::Binary, &prose(300));
    client.say(Opcode::Ping, &[b'a'; 125]);
    crew.tell(&client);
    assert_eq!(client.hear(), [(prose(300), true)]);
    assert_eq!(client.pongs, [[b'a'; 125]]);
}

#[test]
fn what_cannot_be_inflated_ends_the_connection() {
    let rows: [(&[u8], CloseCode); 3] = [
        (b"\x06", CloseCode::INVALID_PAYLOAD),
        (b"\xF2\x48\xCD", CloseCode::INVALID_PAYLOAD),
        (b"not deflated at all", CloseCode::INVALID_PAYLOAD),
    ];
    for (payload, code) in rows {
        let mut crew = Crew::new(1, Limits::default());
        let mut client = crew.client(0, ON, "/echo", "permessage-deflate");
        client.say_as_deflated(Opcode::Text, payload);
        crew.tell(&client);
        assert_eq!(client.close_code(), Some(code));
        // The core's inflater is as good as new.
        let mut next = crew.client(0, ON, "/echo", "permessage-deflate");
        next.say_deflated(&prose(500));
        crew.tell(&next);
        assert_eq!(next.hear(), [(prose(500), true)]);
    }
}

#[test]
fn a_bomb_is_cut_at_the_limit_in_bounded_memory() {
    let mut limits = Limits::default();
    limits.session.websocket.message_bytes_max = 50_000;
    let bomb = bomb(50_000_000);
    assert!(bomb.len() < 50_000, "a thousand to one");
    for via in [ON, TAKEOVER] {
        let mut crew = Crew::new(1, limits);
        let mut clients: Vec<_> =
            (0..20).map(|_| crew.client(0, via, "/echo", "permessage-deflate")).collect();
        // The pipes, which are none of the worker's, have grown by then.
        for client in &mut clients {
            client.say(Opcode::Binary, &prose(50_000));
            crew.tell(client);
            assert_eq!(client.hear().len(), 1);
        }
        let before = alloc::held();
        for client in &mut clients {
            client.say_as_deflated(Opcode::Binary, &bomb);
            crew.tell(client);
            assert_eq!(client.close_code(), Some(CloseCode::TOO_BIG));
        }
        let grown = alloc::held() - before;
        assert!(grown < 150_000, "{grown} bytes for 20 bombs of 50 MB");
    }
}

#[test]
fn a_message_may_be_inflated_to_the_limit_and_no_further() {
    let mut limits = Limits::default();
    limits.session.websocket.message_bytes_max = 10_000;
    let mut crew = Crew::new(1, limits);
    let mut client = crew.client(0, ON, "/echo", "permessage-deflate");
    client.say_deflated(&prose(10_000));
    crew.tell(&client);
    assert_eq!(client.hear(), [(prose(10_000), true)]);
    client.say_deflated(&prose(10_001));
    crew.tell(&client);
    assert_eq!(client.close_code(), Some(CloseCode::TOO_BIG));
}

#[test]
fn a_publication_is_deflated_once_for_all_subscribers_of_all_cores() {
    let mut crew = Crew::new(2, Limits::default());
    let offers = [
        (ON, "permessage-deflate"),
        (ON, "permessage-deflate; server_max_window_bits=10"),
        (TAKEOVER, "permessage-deflate"),
        (OFF, ""),
    ];
    let mut clients = Vec::new();
    for worker in 0..2 {
        for (via, offer) in offers {
            clients.extend((0..5).map(|_| crew.client(worker, via, "/topic", offer)));
        }
    }
    let message = prose(2_000);
    let mut publisher = crew.client(0, OFF, "/topic", "");
    for round in 1..=3 {
        publisher.say(Opcode::Binary, &message);
        crew.tell(&publisher);
        for client in &mut clients {
            assert_eq!(client.hear(), [(message.clone(), client.agreed.is_some())]);
        }
        // Two windows were agreed on, so it was deflated twice, on the core where it arrived.
        let deflated = [0, 1].map(|worker| crew.metrics(worker).deflate_in_bytes_total.get());
        assert_eq!(deflated, [2 * 2_000 * round, 0]);
    }
    let after = crew.metrics(0).deflate_out_bytes_total.get();
    assert!(after < 2 * 2_000 * 3 / 10, "{after}");
}

#[test]
fn nothing_is_deflated_for_nobody() {
    let mut crew = Crew::new(1, Limits::default());
    let mut deflating = crew.client(0, ON, "/elsewhere", "permessage-deflate");
    let mut plain = crew.client(0, OFF, "/topic", "");
    crew.publish("/nobody", &prose(500));
    assert_eq!(crew.metrics(0).deflate_in_bytes_total.get(), 0, "nobody is subscribed");
    deflating.leave();
    crew.tell(&deflating);
    crew.publish("/topic", &prose(500));
    assert_eq!(crew.metrics(0).deflate_in_bytes_total.get(), 0, "nobody has agreed");
    assert_eq!(plain.hear(), [(prose(500), false)]);
}

#[test]
fn what_is_sent_to_one_and_what_is_sent_to_all_may_alternate_in_one_context() {
    let mut crew = Crew::new(1, Limits::default());
    let mut client = crew.client(0, TAKEOVER, "/topic+echo", "permessage-deflate");
    for round in 0..4 {
        for len in [200, 3_000, 100] {
            crew.publish("/topic+echo", &prose(len));
            client.say_deflated(&prose(len + round));
            crew.tell(&client);
            let heard: Vec<_> = client.hear().into_iter().map(|(message, _)| message).collect();
            assert_eq!(heard, [prose(len), prose(len + round)]);
        }
    }
}

#[test]
fn a_context_makes_what_repeats_shorter() {
    let mut crew = Crew::new(1, Limits::default());
    let mut lens = [ON, TAKEOVER].map(|via| {
        let mut client = crew.client(0, via, "/echo", "permessage-deflate");
        let before = crew.metrics(0).deflate_out_bytes_total.get();
        for _ in 0..10 {
            client.say_deflated(
                b"{\"symbol\":\"CORE\",\"bid\":101.25,\"ask\":101.27}".repeat(4).as_slice(),
            );
            crew.tell(&client);
            assert_eq!(client.hear().len(), 1);
        }
        crew.metrics(0).deflate_out_bytes_total.get() - before
    });
    let [alone, together] = &mut lens;
    assert!(*together * 2 < *alone, "{together} with a context, {alone} without");
}

#[test]
fn contexts_are_counted_and_bounded() {
    let mut crew = Crew::new(1, Limits { deflate_contexts_max: 2, ..Limits::default() });
    let contexts = |crew: &Crew| crew.metrics(0).deflate_contexts.get();
    let mut first = crew.client(0, TAKEOVER, "/echo", "permessage-deflate");
    let second = crew.client(0, TAKEOVER, "/echo", "permessage-deflate");
    let third = crew.client(0, TAKEOVER, "/echo", "permessage-deflate");
    let keeps = |agreed: &Option<String>| agreed.as_deref() == Some("permessage-deflate");
    assert!(keeps(&first.agreed) && keeps(&second.agreed) && !keeps(&third.agreed));
    assert_eq!((contexts(&crew), crew.metrics(0).deflate_connections.get(7)), (2, 3));
    first.leave();
    crew.tell(&first);
    assert_eq!((contexts(&crew), crew.metrics(0).deflate_connections.get(7)), (1, 2));
    assert!(keeps(&crew.client(0, TAKEOVER, "/echo", "permessage-deflate").agreed));
}
