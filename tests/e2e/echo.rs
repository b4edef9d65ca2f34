//! What is said to `/echo` comes back, and both sides end as they should.

use std::io::{Read, Write};

use corecast::worker::Limits;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Client, connect};
use crate::house::House;

/// The largest message a client may send by default.
const LARGEST: usize = 64 * 1024;

#[test]
fn what_is_said_comes_back_however_it_is_carried() {
    let house = House::open(2, Limits::default());
    for via in house.vias() {
        let mut client = house.client(via, "/echo");
        let messages = [
            Message::text("one"),
            Message::text(""),
            Message::text("ä".repeat(LARGEST / 2)),
            Message::binary(vec![0xFF, 0x00]),
            Message::binary(vec![]),
            Message::binary(vec![0x80; LARGEST]),
        ];
        for message in &messages {
            client.say(message.clone());
            assert_eq!(client.hear(), *message, "{via:?}");
        }
        // All at once, so that several share a read there and a write back.
        for message in &messages {
            client.say(message.clone());
        }
        for message in &messages {
            assert_eq!(client.hear(), *message, "{via:?}");
        }
    }
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    let house = House::open(1, Limits::default());
    for via in house.vias() {
        let mut client = house.client(via, "/echo");
        for payload in [vec![], vec![7; 125]] {
            client.say(Message::Ping(payload.clone().into()));
            assert_eq!(client.hear(), Message::Pong(payload.into()), "{via:?}");
        }
    }
}

#[test]
fn a_close_comes_back_and_ends_the_stream() {
    let house = House::open(1, Limits::default());
    for via in house.vias() {
        let mut client = house.client(via, "/echo");
        assert!(client.is_echoed("last"));
        client.close(CloseCode::Normal);
    }
    house.await_count("connections_closed_total{reason=\"peer\"}", 3);
    house.await_count("handshakes_total", 2);
}

#[test]
fn a_core_keeps_the_keys_of_so_many_busy_connections() {
    let house = House::open(1, Limits { warm_max: 2, ..Limits::default() });
    let [_, tls, _] = house.vias();
    let mut clients: Vec<_> = (0..3).map(|_| house.client(tls, "/echo")).collect();
    let (busy, all) = (2, 3);
    for _ in 0..10 {
        assert!(clients.iter_mut().take(busy).all(|client| client.is_echoed("within")));
    }
    house.await_count("tls_cooled_total", 0);
    for _ in 0..10 {
        assert!(clients.iter_mut().take(all).all(|client| client.is_echoed("one too many")));
    }
    let cooled: u64 = house.counts("tls_cooled_total").iter().sum();
    assert!(cooled >= 3, "each of the three gave way, so more than {cooled} times");
}

#[test]
fn a_message_that_is_too_large_is_refused_with_1009() {
    let house = House::open(1, Limits::default());
    for via in house.vias() {
        let mut client = house.client(via, "/echo");
        client.say(vec![0; 20 * LARGEST]);
        assert_eq!(client.closed().code, CloseCode::Size, "{via:?}");
    }
}

#[test]
fn who_answers_pings_stays_and_who_does_not_is_let_go() {
    // After three of these times; who shares a busy machine may be late by one or two.
    let house = House::open(1, Limits { heartbeat_ms: 500, ..Limits::default() });
    let [plain, tls, _] = house.vias();
    let mut silent = connect(house.address(plain));
    silent.write_all(UPGRADE).unwrap();
    let mut living = [house.client(plain, "/echo"), house.client(tls, "/echo")];
    for _ in 0..4 {
        living.iter_mut().for_each(Client::hear_ping);
    }
    // It has got as many and answered none. That this returns shows that its stream has ended.
    silent.read_to_end(&mut Vec::new()).unwrap();
    house.await_count("connections_closed_total{reason=\"silent\"}", 1);
    assert!(living.iter_mut().all(|client| client.is_echoed("still here")));
}

/// A handshake without a client behind it.
const UPGRADE: &[u8] = b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
