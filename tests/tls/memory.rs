//! What an established connection holds.

use crate::alloc;
use crate::support::{Peer, pair};

const CONNECTIONS: usize = 1_000;

/// For what [`Tls`](corecast::tls::Tls) itself keeps of the 1,300 bytes that an idle connection may
/// take with its WebSocket and one subscription.
const IDLE_BYTES_MAX: isize = 512;

/// For a connection of which nobody knows whose it is.
const HALF_OPEN_BYTES_MAX: isize = 8 * 1024;

#[test]
fn an_idle_connection_holds_little_on_either_side() {
    let (mut clients, mut servers): (Vec<_>, Vec<_>) = (0..CONNECTIONS).map(|_| pair()).unzip();
    for (client, server) in clients.iter_mut().zip(&mut servers) {
        heartbeat(client, server);
    }
    for (side, peers) in [("client", clients), ("server", servers)] {
        let mut connections = Vec::with_capacity(CONNECTIONS);
        connections.extend(peers.into_iter().map(|peer| peer.tls));
        let bytes = held_by(connections);
        println!("an idle {side} connection holds {bytes} bytes");
        assert!(bytes <= IDLE_BYTES_MAX, "an idle {side} connection holds {bytes} bytes");
    }
}

#[test]
fn a_handshake_left_half_done_holds_no_more_than_a_stranger_is_given() {
    let servers = (0..100).map(|_| {
        let mut server = Peer::server();
        server.take_in(&Peer::client().take_in(&[]));
        server.tls
    });
    let bytes = held_by(servers.collect());
    println!("a server that waits for a client's second flight holds {bytes} bytes");
    assert!(bytes <= HALF_OPEN_BYTES_MAX, "a half open connection holds {bytes} bytes");
}

#[test]
fn a_busy_connection_gives_its_memory_back_when_it_rests() {
    let (mut client, mut server) = pair();
    let idle = alloc::held();
    for _ in 0..100 {
        heartbeat(&mut client, &mut server);
    }
    // aws-lc's part, some 700 bytes a direction, is not counted, since it does not come from Rust.
    assert!(alloc::held() > idle, "a busy connection keeps its keys set up");
    client.tls.rest();
    server.tls.rest();
    assert_eq!(alloc::held(), idle);
    heartbeat(&mut client, &mut server);
    assert_eq!(alloc::held(), idle, "once is not often");
}

/// A ping and its pong.
fn heartbeat(client: &mut Peer, server: &mut Peer) {
    client.take_in(&server.seal(b"ping"));
    server.take_in(&client.seal(b"pong"));
    assert_eq!((&*client.take_received(), &*server.take_received()), (&b"ping"[..], &b"pong"[..]));
}

/// How many bytes are freed with each of `connections`, its place in the vector included.
fn held_by<T>(connections: Vec<T>) -> isize {
    let count = isize::try_from(connections.len()).unwrap();
    let before = alloc::held();
    drop(connections);
    (before - alloc::held()) / count
}
