//! The TLS seam in memory: our client and our server with each other and with rustls, every cut of
//! every flight, what goes wrong on the way, and what a connection costs.

#![allow(clippy::disallowed_methods)] // certificates are made for the real time
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test fails where it must
#![allow(clippy::large_stack_arrays)] // messages larger than a record

#[path = "support/alloc.rs"]
mod alloc;
#[path = "support/authority.rs"]
mod authority;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/memory.rs"]
mod memory;
#[path = "tls/openssl.rs"]
mod openssl;
#[path = "tls/returning.rs"]
mod returning;
#[path = "tls/sources.rs"]
mod sources;
#[path = "support/tls.rs"]
mod support;

use std::path::PathBuf;

use corecast::base::Rng;
use corecast::tls::config::{self, Trust};
use corecast::tls::{Fault, Tls};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CipherSuite, HandshakeKind, SupportedProtocolVersion, version};
use support::{Peer, Stranger, client_config, converse, localhost, pair, server_config};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

/// All that a server is ever offered here: what our record layer serves, and what stays in rustls.
const OFFERS: [(&SupportedProtocolVersion, CipherSuite); 5] = [
    (&version::TLS13, CipherSuite::TLS13_AES_256_GCM_SHA384),
    (&version::TLS13, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    (&version::TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
    (&version::TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    (&version::TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
];

#[test]
fn our_client_and_our_server_talk() {
    let (mut client, mut server) = pair();
    for round in 0..40u8 {
        let hello = client.seal(&[round; 100]);
        assert!(server.take_in(&hello).is_empty());
        assert_eq!(server.take_received(), [round; 100]);
        let large = server.seal(&[round; 50_000]);
        assert!(client.take_in(&large).is_empty());
        assert_eq!(client.take_received(), [round; 50_000]);
        if round % 16 == 9 {
            client.tls.rest();
            server.tls.rest();
        }
    }
}

#[test]
fn our_server_talks_with_rustls_whatever_it_offers() {
    for (version, suite) in OFFERS {
        let mut client = Stranger::client(version, suite);
        let mut server = Peer::server();
        client.converse(&mut server);
        assert_eq!(server.established, 1, "{suite:?}");
        for round in 0..10u8 {
            server.take_in(&client.say(&[round; 20_000]));
            assert_eq!(server.take_received(), [round; 20_000], "{suite:?}");
            client.take_in(&server.seal(&[round; 20_000]));
            assert_eq!(client.take_received(), [round; 20_000], "{suite:?}");
        }
    }
}

#[test]
fn our_client_talks_with_rustls_whatever_it_offers() {
    for (version, suite) in OFFERS {
        let mut server = Stranger::server(version, suite);
        let mut client = Peer::client();
        server.converse(&mut client);
        assert_eq!(client.established, 1, "{suite:?}");
        for round in 0..10u8 {
            client.take_in(&server.say(&[round; 20_000]));
            assert_eq!(client.take_received(), [round; 20_000], "{suite:?}");
            server.take_in(&client.seal(&[round; 20_000]));
            assert_eq!(server.take_received(), [round; 20_000], "{suite:?}");
        }
    }
}

#[test]
fn every_flight_may_be_cut_at_every_byte() {
    for cut in 0.. {
        let (mut client, mut server) = (Peer::client(), Peer::server());
        let mut longest = 0;
        let mut to_server = client.take_in(&[]);
        while !to_server.is_empty() {
            let to_client = take_in_two(&mut server, &to_server, cut);
            longest = longest.max(to_server.len()).max(to_client.len());
            to_server = take_in_two(&mut client, &to_client, cut);
        }
        assert_eq!((client.established, server.established), (1, 1), "cut at {cut}");
        if cut > longest {
            return assert!(cut > 500, "a server's flight is longer than {cut}");
        }
    }
}

/// Takes in `flight` in two pieces.
fn take_in_two(peer: &mut Peer, flight: &[u8], cut: usize) -> Vec<u8> {
    let (front, back) = flight.split_at(cut.min(flight.len()));
    [peer.take_in(front), peer.take_in(back)].concat()
}

#[test]
fn every_flight_may_come_in_pieces_of_one_byte() {
    for (version, suite) in OFFERS {
        let (mut client, mut server) = (Stranger::client(version, suite), Peer::server());
        let mut to_server = client.say(&[]);
        while !to_server.is_empty() {
            let to_client: Vec<u8> =
                to_server.iter().flat_map(|byte| server.take_in(&[*byte])).collect();
            to_server = client.take_in(&to_client);
        }
        assert_eq!(server.established, 1, "{suite:?}");
        for byte in client.say(b"a byte at a time") {
            server.take_in(&[byte]);
        }
        assert_eq!(server.take_received(), b"a byte at a time", "{suite:?}");
    }
}

#[test]
fn a_client_hello_may_come_in_records_of_one_byte() {
    let (mut client, mut server) = (Peer::client(), Peer::server());
    let hello = client.take_in(&[]);
    let records: Vec<u8> = hello[5..].iter().flat_map(|byte| [0x16, 3, 1, 0, 1, *byte]).collect();
    let to_client = server.take_in(&records);
    let to_server = client.take_in(&to_client);
    server.take_in(&to_server);
    assert_eq!((client.established, server.established), (1, 1));
}

#[test]
fn a_client_hello_that_does_not_end_is_cut_off() {
    // The header of a record is enough to know.
    for (body, outcome) in [
        (8 * 1024 - 6, Ok(())),
        (8 * 1024 - 5, Ok(())),
        (8 * 1024 - 4, Err(Fault::OversizedHandshake)),
    ] {
        let [high, low] = u16::to_be_bytes(body);
        assert_eq!(Peer::server().feed(&[0x16, 3, 1, high, low]).1, outcome, "{body} bytes");
    }
    let mut server = Peer::server();
    let hello_of_60_000_bytes = [&[0x16, 3, 1, 4, 0, 1, 0, 0xEA, 0x60][..], &[0; 1_020]].concat();
    server.take_in(&hello_of_60_000_bytes);
    let more = [&[0x16, 3, 1, 4, 0][..], &[0; 1_024]].concat();
    let outcome = (0..64).map(|_| server.feed(&more).1).find(Result::is_err).unwrap();
    assert_eq!(outcome, Err(Fault::OversizedHandshake));
}

#[test]
fn who_does_not_speak_tls_is_told_so_in_tls() {
    let (alert, outcome) = Peer::server().feed(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(outcome, Err(Fault::Malformed));
    assert_eq!(alert, [0x15, 3, 3, 0, 2, 2, 50]); // fatal, decode_error
}

#[test]
fn no_handshake_is_finished_after_a_close_notify() {
    const CLOSE_NOTIFY: [u8; 7] = [0x15, 3, 3, 0, 2, 1, 0];
    // The hello, the server's flight, and what the client finishes with.
    for flight in 0..3 {
        for cut in 0.. {
            let (mut client, mut server) = (Peer::client(), Peer::server());
            let mut bytes = client.take_in(&[]);
            for turn in 0..flight {
                bytes = if turn == 0 { server.take_in(&bytes) } else { client.take_in(&bytes) };
            }
            let hearer = if flight == 1 { &mut client } else { &mut server };
            if cut >= bytes.len() {
                break;
            }
            let (front, back) = bytes.split_at(cut);
            let _ = hearer.feed(&[front, &CLOSE_NOTIFY].concat());
            let (_, outcome) = hearer.feed(back);
            if cut == 0 {
                // Before the other's hello anybody may have written it, and rustls does not listen.
                assert_eq!(outcome.is_ok(), flight < 2, "before flight {flight}");
            } else {
                assert_eq!(hearer.established, 0, "flight {flight}, cut at {cut}");
            }
        }
    }
}

#[test]
fn what_follows_the_handshake_in_the_same_read_is_opened() {
    let (mut client, mut server) = (Peer::client(), Peer::server());
    let hello = client.take_in(&[]);
    let to_client = server.take_in(&hello);
    let mut to_server = client.take_in(&to_client);
    to_server.extend(client.seal(b"at once"));
    to_server.extend(client.seal(b", and more"));
    to_server.extend(client.close());
    server.take_in(&to_server);
    assert_eq!(server.take_received(), b"at once, and more");
    assert!(server.is_closed);
}

#[test]
fn records_may_be_cut_at_every_byte_and_come_several_at_once() {
    let (mut client, mut server) = pair();
    let first = client.seal(b"one");
    let len = 3 * first.len();
    server.take_in(&first);
    server.take_received();
    for cut in 0..=len {
        let bytes = [client.seal(b"one"), client.seal(b"two"), client.seal(b"six")].concat();
        server.take_in(&bytes[..cut]);
        server.take_in(&bytes[cut..]);
        assert_eq!(server.take_received(), b"onetwosix", "cut at {cut}");
    }
}

#[test]
fn a_key_update_of_rustls_is_followed_and_answered_once_with_our_next_data() {
    for (version, suite) in OFFERS.into_iter().filter(|(version, _)| *version == &version::TLS13) {
        let (mut client, mut server) = (Stranger::client(version, suite), Peer::server());
        client.converse(&mut server);
        for round in 0..5 {
            let unasked = server.seal(b"data");
            client.take_in(&unasked);
            for _ in 0..3 {
                client.connection.refresh_traffic_keys().unwrap();
                let reply = server.take_in(&client.say(b"after"));
                assert!(reply.is_empty(), "{suite:?}");
            }
            let asked = server.seal(b"data");
            // A record more: header, type, tag, and the message of five bytes.
            assert_eq!(asked.len(), unasked.len() + 5 + 1 + 16 + 5, "{suite:?} {round}");
            client.take_in(&asked);
            client.take_in(&server.seal(b"more"));
        }
        assert_eq!(client.take_received(), b"datadatamore".repeat(5), "{suite:?}");
        assert_eq!(server.take_received(), b"after".repeat(15), "{suite:?}");
    }
}

#[test]
fn key_updates_without_data_do_not_go_on_for_ever() {
    let (version, suite) = OFFERS[0];
    let (mut client, mut server) = (Stranger::client(version, suite), Peer::server());
    client.converse(&mut server);
    let mut refresh = || {
        client.connection.refresh_traffic_keys().unwrap();
        server.feed(&client.say(b"")).1
    };
    assert_eq!((0..32).find_map(|_| refresh().err()), None);
    assert_eq!(refresh(), Err(Fault::Fruitless));
}

#[test]
fn either_side_may_close_first_and_the_other_may_still_speak() {
    for (version, suite) in OFFERS {
        let (mut client, mut server) = (Stranger::client(version, suite), Peer::server());
        client.converse(&mut server);
        client.connection.send_close_notify();
        server.take_in(&client.say(b""));
        assert!(server.is_closed, "{suite:?}");
        client.take_in(&server.seal(b"last words"));
        assert_eq!(client.take_received(), b"last words", "{suite:?}");
        client.take_in(&server.close());
        assert!(client.has_peer_closed(), "{suite:?}");

        let (mut client, mut server) = (Stranger::client(version, suite), Peer::server());
        client.converse(&mut server);
        client.take_in(&server.close());
        assert!(client.has_peer_closed(), "{suite:?}");
        server.take_in(&client.say(b"last words"));
        assert_eq!(server.take_received(), b"last words", "{suite:?}");
    }
}

#[test]
fn after_a_close_nothing_is_sealed_and_nothing_is_opened() {
    let (mut client, mut server) = pair();
    let late = [client.close(), pair().0.seal(b"of another connection")].concat();
    server.take_in(&late);
    server.take_in(b"whatever");
    assert!(server.is_closed && server.take_received().is_empty());
    assert_eq!(client.tls.seal(b"late", &mut Vec::new()), Err(Fault::Unwritable));
    assert!(client.close().is_empty(), "one close_notify is enough");
}

#[test]
fn a_connection_that_shakes_hands_cannot_be_written_to() {
    let mut client = Peer::client();
    client.take_in(&[]);
    assert!(client.tls.is_handshaking());
    assert_eq!(client.tls.seal(b"early", &mut Vec::new()), Err(Fault::Unwritable));
    assert!(client.close().is_empty());
}

#[test]
fn a_record_changed_at_any_byte_brings_no_plaintext() {
    let (mut client, mut server) = pair();
    let len = server.seal(b"secret").len();
    drop(client);
    for changed in 0..len {
        (client, server) = pair();
        let mut record = server.seal(b"secret");
        record[changed] ^= 1;
        let (alert, outcome) = client.feed(&record);
        assert!(client.take_received().is_empty(), "byte {changed}");
        // A length that grew is a record that has not come whole.
        let is_longer = changed == 4 && record[4] & 1 == 1 || changed == 3;
        assert_eq!(outcome.is_ok(), is_longer, "byte {changed}: {outcome:?}");
        if changed >= 5 {
            assert_eq!(outcome, Err(Fault::BadRecordMac), "byte {changed}");
            let told = server.feed(&alert).1;
            assert_eq!(told, Err(Fault::Alert(AlertDescription::BadRecordMac)));
        }
    }
}

#[test]
fn a_record_that_is_too_long_is_refused_by_its_header() {
    let (mut client, mut server) = pair();
    let (alert, outcome) = server.feed(&[0x17, 3, 3, 0x41, 1]);
    assert_eq!(outcome, Err(Fault::RecordOverflow));
    let told = client.feed(&alert).1;
    assert_eq!(told, Err(Fault::Alert(AlertDescription::RecordOverflow)));
    let again = server.feed(b"").1;
    assert_eq!(again, Err(Fault::RecordOverflow), "a fault stays");
}

#[test]
fn a_handshake_that_fails_says_why_on_both_sides() {
    let stranger = ServerName::try_from("stranger.example").unwrap();
    let mut client = Peer::new(Tls::client(&client_config(), stranger).unwrap());
    let told = outcome_of(&mut client, &mut Peer::server());
    assert_eq!(told.0, Err(Fault::CertificateName));
    assert_eq!(told.1, Err(Fault::Alert(AlertDescription::BadCertificate)));

    let trusting_nobody = config::client_config(Trust::Authorities(Vec::new())).unwrap();
    let mut client = Peer::new(Tls::client(&trusting_nobody, localhost()).unwrap());
    let told = outcome_of(&mut client, &mut Peer::server());
    assert_eq!(told.0, Err(Fault::CertificateIssuer));
    assert_eq!(told.1, Err(Fault::Alert(AlertDescription::UnknownCA)));
}

#[test]
fn a_client_that_trusts_anyone_talks_to_anyone() {
    let config = config::client_config(Trust::Anyone).unwrap();
    let stranger = ServerName::try_from("stranger.example").unwrap();
    let mut client = Peer::new(Tls::client(&config, stranger).unwrap());
    converse(&mut client, &mut Peer::server());
    assert_eq!(client.established, 1);
}

#[test]
fn a_ticket_is_good_for_the_configuration_that_gave_it_and_no_other() {
    let (version, suite) = OFFERS[0];
    let config = Stranger::client_config(version, suite);
    let (ours, other) = (server_config(), server_config());
    let kind_of = |server| {
        let mut client = Stranger::client_of(&config);
        client.converse(&mut Peer::new(Tls::server(server).unwrap()));
        client.connection.handshake_kind().unwrap()
    };
    assert_eq!(kind_of(&ours), HandshakeKind::Full);
    assert_eq!(kind_of(&ours), HandshakeKind::Resumed);
    assert_eq!(kind_of(&other), HandshakeKind::Full);
    assert_eq!(kind_of(&ours), HandshakeKind::Full, "the ticket was given away");
}

#[test]
fn nothing_a_peer_sends_makes_us_panic() {
    let mut rng = Rng::new(42);
    for _ in 0..2_000 {
        let (mut client, mut server) = (Peer::client(), Peer::server());
        let (mut to_server, mut to_client) = (client.take_in(&[]), Vec::new());
        // A handshake and some data, in which one flight is damaged.
        let damaged = rng.below(4);
        for flight in 0..4 {
            if flight == 2 {
                let _ = client.tls.seal(b"data", &mut to_server); // it may have failed
            }
            if flight == damaged {
                damage(&mut rng, if flight % 2 == 0 { &mut to_server } else { &mut to_client });
            }
            if flight % 2 == 0 {
                to_client = server.feed(&to_server).0;
            } else {
                to_server = client.feed(&to_client).0;
            }
        }
        assert!(server.received.is_empty() || server.received == b"data");
    }
}

/// Changes, drops or doubles some bytes.
fn damage(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..=rng.below(3) {
        let at = |rng: &mut Rng| usize::try_from(rng.below(bytes.len() as u64)).unwrap();
        if bytes.is_empty() {
            return;
        }
        let (place, other) = (at(rng), at(rng));
        match rng.below(4) {
            0 => bytes[place] ^= 1 << rng.below(8),
            1 => bytes[place] = 0xFF,
            2 => bytes.truncate(place),
            _ => bytes.extend_from_within(place.min(other)..place.max(other)),
        }
    }
}

#[test]
fn all_cryptography_is_that_of_rustls() {
    let mut paths = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls"))];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines().map(str::trim_start) {
            let Some(used) = line.strip_prefix("use ") else { continue };
            let root = used.split([':', ';', ' ']).next().unwrap();
            assert!(
                ["std", "rustls", "rcgen", "x509_parser", "crate", "super", "self"].contains(&root),
                "{} uses {root}",
                path.display()
            );
        }
    }
}

/// How a handshake that fails at the client ends for both.
fn outcome_of(client: &mut Peer, server: &mut Peer) -> (Result<(), Fault>, Result<(), Fault>) {
    let to_client = server.take_in(&client.take_in(&[]));
    let (alert, clients) = client.feed(&to_client);
    (clients, server.feed(&alert).1)
}
