//! What a connection may do before it is anything: TLS, requests, their heads and bodies.

use corecast::worker::Limits;

use super::super::secure::Secure;
use super::around;
use super::world::{Via, in_each_world};

#[test]
fn tls_is_established_in_time_or_the_connection_dropped() {
    for (ms, is_over) in around(Limits::default().handshake_ms_max) {
        for says_hello in [false, true] {
            in_each_world(Limits::default(), |world| {
                let mut client = world.connect(Via::Tls);
                if says_hello {
                    let (_, hello) = Secure::new();
                    client.wire.write(&hello, true);
                }
                world.tell(&mut client);
                world.pass(ms);
                assert_eq!(client.wire.pipe.is_dropped(), is_over, "{ms}, {says_hello}");
                assert_eq!(world.reached("handshake-time"), u64::from(is_over));
            });
        }
    }
}

#[test]
fn a_request_is_whole_in_time_or_gets_408() {
    for (ms, is_over) in around(Limits::default().request_ms_max) {
        in_each_world(Limits::default(), |world| {
            let (client, _) = world.ask("GET / HT");
            world.pass(ms);
            let answer = String::from_utf8(client.wire.pipe.drain()).unwrap();
            assert_eq!(answer.starts_with("HTTP/1.1 408 "), is_over, "{ms}: {answer}");
            assert_eq!(world.reached("request-time"), u64::from(is_over));
        });
    }
}

#[test]
fn dripping_a_request_buys_no_time() {
    for (ms, is_over) in around(Limits::default().request_ms_max) {
        in_each_world(Limits::default(), |world| {
            let (mut client, _) = world.ask("GET / HTTP/1.1\r\nX: ");
            for _ in 0..10 {
                world.pass(ms / 10);
                client.wire.write(b"a", false);
                world.tell(&mut client);
            }
            world.pass(ms % 10);
            let answer = String::from_utf8(client.wire.pipe.drain()).unwrap();
            assert_eq!(answer.starts_with("HTTP/1.1 408 "), is_over, "{ms}: {answer}");
        });
    }
}

#[test]
fn an_idle_connection_is_kept_for_so_long() {
    for (ms, is_over) in around(Limits::default().keep_alive_ms_max) {
        in_each_world(Limits::default(), |world| {
            let (client, answer) = world.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
            world.pass(ms);
            assert_eq!(client.wire.pipe.is_ended(), is_over, "{ms}");
            assert_eq!(world.reached("keep-alive"), u64::from(is_over));
            assert_eq!(world.reached("request-time"), 0);
        });
    }
}

#[test]
fn a_head_has_its_size_and_no_more() {
    let bare = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
    let max = Limits::default().session.http.head_bytes_max;
    for (len, status) in [(max - 1, 204), (max, 204), (max + 1, 431)] {
        in_each_world(Limits::default(), |world| {
            let filler = "a".repeat(len - bare);
            let (_, answer) =
                world.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {filler}\r\n\r\n"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{len}: {answer}");
            assert_eq!(world.reached("head-bytes"), u64::from(status == 431));
        });
    }
}

#[test]
fn a_head_has_so_many_fields_and_no_more() {
    let max = Limits::default().session.http.headers_max;
    for (count, status) in [(max - 1, 204), (max, 204), (max + 1, 431)] {
        in_each_world(Limits::default(), |world| {
            let fields = "X: a\r\n".repeat(count - 1);
            let (_, answer) = world.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{count}: {answer}");
            assert_eq!(world.reached("headers"), u64::from(status == 431));
        });
    }
}

#[test]
fn a_target_has_its_size_and_no_more() {
    let max = Limits::default().session.http.target_bytes_max;
    for (len, status) in [(max - 1, 204), (max, 204), (max + 1, 414)] {
        in_each_world(Limits::default(), |world| {
            let path = "a".repeat(len - 1);
            let (_, answer) = world.ask(&format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{len}: {answer}");
            assert_eq!(world.reached("target-bytes"), u64::from(status == 414));
        });
    }
}

#[test]
fn a_body_has_its_size_and_no_more() {
    let max = Limits::default().session.http.body_bytes_max;
    for (len, status) in [(max - 1, 204), (max, 204), (max + 1, 413)] {
        in_each_world(Limits::default(), |world| {
            let body = "b".repeat(len);
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n");
            let (_, answer) = world.ask(&format!("{head}{body}"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{len}: {answer}");
            assert_eq!(world.reached("message-bytes"), u64::from(status == 413));
        });
    }
}
