//! The service of `corecast serve` over pipes in memory: what clients and backends get.
#![allow(clippy::disallowed_methods)] // an instant to start from can only be had from the clock
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that panics has failed

#[path = "support/pipe.rs"]
mod pipe;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use corecast::base::{Handler, Input, Key, Origin, Readiness, Wake};
use corecast::http::{OriginPattern, Origins};
use corecast::hub::WorkerId;
use corecast::push::{PublishKey, Publishers, Push, Settings};
use corecast::worker::addresses::Addresses;
use corecast::worker::mesh::mesh;
use corecast::worker::metrics::{Metrics, MetricsSet};
use corecast::worker::{Limits, Listener, Setup, Worker};
use corecast::ws::{self, Decoder, Event, MaskKey, Opcode, Role, encoder};
use pipe::Pipe;

const KEY: &str = "0123456789abcdef";

/// Wakes nobody: the test takes every turn itself.
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// A server of one core.
struct Server {
    worker: Worker<Pipe, Push>,
    now: Instant,
}

/// A connection to it.
struct Client {
    key: Key,
    pipe: Pipe,
    decoder: Decoder,
}

impl Server {
    /// One that lets the pages of anybody in.
    fn new(publishers: Publishers) -> Self {
        Self::with_origins(publishers, Origins::Any)
    }

    fn with_origins(publishers: Publishers, origins: Origins) -> Self {
        let settings = Settings {
            subprotocols: vec!["v2".into(), "v1".into()],
            publish_key: Some(PublishKey::new(KEY)),
            publish_identities: Vec::new(),
            publishers,
            origins,
        };
        let (mut ends, _) = mesh(vec![Arc::new(Nobody)]);
        let (mailbox, doors) = ends.remove(0);
        let now = Instant::now();
        let worker = Worker::new(Setup {
            service: Push::new(Arc::new(settings)),
            id: WorkerId::new(0),
            listeners: vec![Listener::plain()],
            limits: Limits::default(),
            addresses: Addresses::default(),
            mailbox,
            doors,
            metrics: MetricsSet::new(vec![Arc::new(Metrics::default())].into(), 0),
            seed: 1,
            now,
        });
        Self { worker, now }
    }

    /// A connection from `peer` that has sent `request`.
    fn connect(&mut self, peer: &str, request: &str) -> Client {
        let (ours, theirs) = Pipe::pair(1 << 20);
        let peer = SocketAddr::new(peer.parse().unwrap(), 5000);
        let key = self.worker.open(theirs, Origin { via: 0, peer }, self.now).unwrap();
        let mut client = Client { key, pipe: ours, decoder: Decoder::new(Role::Client) };
        client.pipe.write_all(request.as_bytes()).unwrap();
        self.attend(&client);
        client
    }

    /// The answer to `request`.
    fn ask(&mut self, peer: &str, request: &str) -> String {
        let client = self.connect(peer, request);
        String::from_utf8(client.pipe.drain()).unwrap()
    }

    /// The status of the answer to a POST with these headers.
    fn post(&mut self, peer: &str, headers: &str, body: &str) -> String {
        let len = body.len();
        let request = format!(
            "POST /topics/demo HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {len}\r\n\r\n{body}"
        );
        self.ask(peer, &request).split(' ').nth(1).unwrap().to_owned()
    }

    /// What a client gets for an upgrade, and the client.
    fn upgrade(&mut self, path: &str, headers: &str) -> (String, Client) {
        let client = self.connect(
            "127.0.0.1",
            &format!(
                "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 {headers}Sec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ),
        );
        (String::from_utf8(client.pipe.drain()).unwrap(), client)
    }

    fn socket(&mut self, path: &str, headers: &str) -> Client {
        let (answer, client) = self.upgrade(path, headers);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        client
    }

    fn say(&mut self, client: &mut Client, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        encoder::encode_masked(&mut frame, opcode, payload, MaskKey([1, 2, 3, 4]));
        client.pipe.write_all(&frame).unwrap();
        self.attend(client);
    }

    fn attend(&mut self, client: &Client) {
        self.worker.ready(client.key, Readiness::READABLE | Readiness::WRITABLE, self.now);
        for _ in 0..10 {
            self.worker.turn(self.now);
        }
        assert!(self.worker.may_sleep(), "the worker finds no rest");
    }
}

impl Client {
    /// What has arrived, message by message; a close is its code and its reason.
    fn hear(&mut self) -> Vec<String> {
        let mut bytes = self.pipe.drain();
        let mut input = Input::new(&mut bytes);
        let limits = ws::Limits { message_bytes_max: 1 << 20, fragments_max: 9 };
        let mut heard = Vec::new();
        while let Some(event) = self.decoder.next(&mut input, &limits).unwrap() {
            heard.push(match event {
                Event::Text(text) => format!("text {text}"),
                Event::Binary(bytes) => format!("binary {}", bytes.escape_ascii()),
                Event::Close(Some(close)) => format!("close {} {}", close.code, close.reason),
                other => panic!("unexpected: {other:?}"),
            });
        }
        heard
    }
}

#[test]
fn an_echo_sends_back_what_it_gets() {
    let mut server = Server::new(Publishers::Nobody);
    let mut client = server.socket("/echo", "");
    server.say(&mut client, Opcode::Text, b"hello");
    server.say(&mut client, Opcode::Binary, b"\xFF");
    assert_eq!(client.hear(), ["text hello", "binary \\xff"]);
}

#[test]
fn a_topic_tells_all_its_subscribers_the_sender_included() {
    let mut server = Server::new(Publishers::Locals);
    let mut subscribers: Vec<_> = (0..3).map(|_| server.socket("/topics/d%65mo", "")).collect();
    let mut other = server.socket("/topics/other", "");
    server.say(&mut subscribers[1], Opcode::Text, b"hello");
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.hear(), ["text hello"]);
    }
    assert!(other.hear().is_empty());
}

#[test]
fn a_backend_publishes_text_and_octets() {
    let mut server = Server::new(Publishers::Nobody);
    let mut subscriber = server.socket("/topics/demo", "");
    let rows = [
        ("Content-Type: text/plain\r\n", "a", "200"),
        ("Content-Type: application/json\r\n", "{}", "200"),
        ("Content-Type: application/octet-stream\r\n", "c", "200"),
        ("Content-Type: application/x-www-form-urlencoded\r\n", "d", "415"),
        ("", "e", "415"),
    ];
    for (headers, body, status) in rows {
        assert_eq!(server.post("127.0.0.1", headers, body), status, "{headers}");
    }
    assert_eq!(subscriber.hear(), ["text a", "text {}", "binary c"]);
}

#[test]
fn a_backend_elsewhere_needs_the_key() {
    let mut server = Server::new(Publishers::Everyone);
    let mut subscriber = server.socket("/topics/demo", "");
    let text = "Content-Type: text/plain\r\n";
    assert_eq!(server.post("192.0.2.1", text, "refused"), "401");
    let keyed = format!("{text}Authorization: Bearer {KEY}\r\n");
    assert_eq!(server.post("192.0.2.1", &keyed, "taken"), "200");
    assert_eq!(subscriber.hear(), ["text taken"]);
}

#[test]
fn who_publishes_without_leave_is_closed_with_a_reason() {
    let foreign = "Origin: https://example.com\r\n";
    for (publishers, headers) in [(Publishers::Nobody, ""), (Publishers::Locals, foreign)] {
        let mut server = Server::new(publishers);
        let mut subscriber = server.socket("/topics/demo", "");
        let mut intruder = server.socket("/topics/demo", headers);
        server.say(&mut intruder, Opcode::Text, b"hello");
        assert_eq!(intruder.hear(), ["close 1008 clients may not publish here"]);
        assert!(subscriber.hear().is_empty(), "{publishers:?}");
    }
}

#[test]
fn pages_of_others_open_nothing_and_publish_nothing() {
    let listed = Origins::Listed(vec![OriginPattern::parse("https://*.b.org").unwrap()]);
    let rows = [
        ("", Origins::SameHost, true),
        ("Origin: http://a\r\n", Origins::SameHost, true),
        ("Origin: https://a\r\n", Origins::SameHost, true),
        ("Origin: http://b\r\n", Origins::SameHost, false),
        ("Origin: null\r\n", Origins::SameHost, false),
        ("Origin: \r\n", Origins::SameHost, false),
        ("Origin: http://a\r\nOrigin: http://a\r\n", Origins::SameHost, false),
        ("Origin: http://a.b\r\n", Origins::SameHost, false),
        ("Origin: https://x.b.org\r\n", listed.clone(), true),
        ("Origin: https://b.org\r\n", listed.clone(), false),
        ("Origin: http://a\r\n", listed.clone(), false),
        ("", listed, true),
        ("Origin: null\r\n", Origins::Any, true),
    ];
    for (origin, origins, is_let_in) in rows {
        let mut server = Server::with_origins(Publishers::Everyone, origins);
        let (answer, _) = server.upgrade("/echo", origin);
        let status = if is_let_in { "101" } else { "403" };
        assert_eq!(answer.split(' ').nth(1), Some(status), "{origin}");
        assert_eq!(answer.contains("--allow-origin says who is"), !is_let_in, "{answer}");
        let keyed = format!("{origin}Content-Type: text/plain\r\nAuthorization: Bearer {KEY}\r\n");
        let status = if is_let_in { "200" } else { "403" };
        assert_eq!(server.post("192.0.2.1", &keyed, "a"), status, "{origin}");
    }
}

#[test]
fn the_subprotocol_is_the_servers_choice() {
    let mut server = Server::new(Publishers::Nobody);
    let offer = "Sec-WebSocket-Protocol: v1, v2, v3\r\n";
    let (answer, _) = server.upgrade("/echo", offer);
    assert!(answer.contains("\r\nSec-WebSocket-Protocol: v2\r\n"), "{answer}");
    let (answer, _) = server.upgrade("/echo", "Sec-WebSocket-Protocol: v3\r\n");
    assert!(!answer.contains("Sec-WebSocket-Protocol"), "{answer}");
}

#[test]
fn what_is_no_websocket_does_not_become_one() {
    let mut server = Server::new(Publishers::Nobody);
    for (path, status) in [("/", "404"), ("/nothing", "404"), ("/topics/a%2Fb", "400")] {
        let (answer, client) = server.upgrade(path, "");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(client.pipe.is_ended(), "{path}");
    }
}

#[test]
fn the_page_and_the_number_of_connections_are_there() {
    let mut server = Server::new(Publishers::Nobody);
    let page = server.ask("127.0.0.1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(page.contains("Hello") && page.ends_with("</html>\n"), "{page}");
    let head = server.ask("127.0.0.1", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(page.split("\r\n\r\n").next(), head.split("\r\n\r\n").next());

    let _sockets = [server.socket("/echo", ""), server.socket("/echo", "")];
    let request = "GET /connections HTTP/1.1\r\nHost: a\r\n\r\n";
    // Two that asked for the page, two WebSockets, and the one that asks.
    let count = server.ask("127.0.0.1", request);
    assert!(count.ends_with("\r\n\r\n{\"connections\":5,\"established\":2}\n"), "{count}");
}

#[test]
fn a_stranger_is_answered_before_its_body() {
    let mut server = Server::new(Publishers::Nobody);
    let head = |fields: &str| {
        format!("POST /topics/demo HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: 60000\r\n\r\n")
    };
    let kind = "Content-Type: text/plain\r\n";
    let rows = [
        ("192.0.2.1", kind.to_owned(), "401"),
        ("127.0.0.1", String::new(), "415"),
        ("127.0.0.1", kind.to_owned(), ""),
        ("192.0.2.1", format!("{kind}Authorization: Bearer {KEY}\r\n"), ""),
    ];
    for (peer, fields, status) in rows {
        let answer = server.ask(peer, &head(&fields));
        assert_eq!(answer.split(' ').nth(1).unwrap_or_default(), status, "{peer} {fields}");
    }
    let page = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n";
    assert!(server.ask("192.0.2.1", page).starts_with("HTTP/1.1 400 "));
}
