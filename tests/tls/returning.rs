//! A client that comes back: who it remembers, and what it knows of the connection.

use std::sync::Arc;

use corecast::tls::config::{NamedGroup, Wishes};
use corecast::tls::{ClientConfig, Tls, config};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedProtocolVersion};

use crate::support::{CERTIFICATES, Peer, Stranger, converse, localhost};

fn returning() -> Arc<ClientConfig> {
    config::returning_client_config(CERTIFICATES.trust(), None, &["http/1.1"]).unwrap()
}

fn client(config: &Arc<ClientConfig>) -> Peer {
    Peer::new(Tls::client(config, localhost()).unwrap())
}

#[test]
fn a_client_that_comes_back_knows_whom_it_talks_to_and_resumes() {
    let config = returning();
    let server_config = crate::support::server_config();
    for is_resumed in [false, true, true] {
        let mut client = client(&config);
        assert!(client.tls.negotiated().is_none());
        let mut server = Peer::new(Tls::server(&server_config).unwrap());
        converse(&mut client, &mut server);
        let negotiated = client.tls.negotiated().unwrap();
        assert_eq!(negotiated.chain, CERTIFICATES.identity().chain);
        assert_eq!((negotiated.version, negotiated.is_resumed), ("TLS 1.3", is_resumed));
        assert_eq!(negotiated.suite(), "TLS_AES_256_GCM_SHA384");
        let said = client.seal(b"hello");
        server.take_in(&said);
        assert_eq!(server.take_received(), b"hello");
        let heard = server.seal(b"welcome");
        client.take_in(&heard);
        assert_eq!(client.take_received(), b"welcome");
        let goodbye = client.close();
        server.take_in(&goodbye);
        assert!(server.is_closed);
    }
}

#[test]
fn a_client_that_comes_back_talks_with_servers_of_both_versions() {
    let table: [(&'static SupportedProtocolVersion, CipherSuite, &str); 2] = [
        (&TLS12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "TLS 1.2"),
        (&TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256, "TLS 1.3"),
    ];
    for (version, suite, name) in table {
        let mut client = client(&returning());
        let mut server = Stranger::server(version, suite);
        server.converse(&mut client);
        let negotiated = client.tls.negotiated().unwrap();
        assert_eq!((negotiated.version, negotiated.is_resumed), (name, false));
        assert!(negotiated.suite().ends_with("AES_128_GCM_SHA256"), "{}", negotiated.suite());
        let said = client.seal(b"hello");
        server.take_in(&said);
        assert_eq!(server.take_received(), b"hello");
    }
}

#[test]
fn keys_are_updated_in_connections_that_rustls_holds() {
    let mut client = client(&returning());
    let mut server = Stranger::server(&TLS13, CipherSuite::TLS13_AES_256_GCM_SHA384);
    server.converse(&mut client);
    for round in [&b"one"[..], b"two"] {
        server.connection.refresh_traffic_keys().unwrap();
        let update = server.say(round);
        let answer = client.take_in(&update);
        assert_eq!(client.take_received(), round);
        server.take_in(&answer);
        let said = client.seal(round);
        server.take_in(&said);
        assert_eq!(server.take_received(), round);
    }
}

/// A client of our record layer that leaves its tickets in a store.
fn compact(store: &Arc<ClientSessionMemoryCache>) -> Arc<ClientConfig> {
    let config = config::client_config(CERTIFICATES.trust()).unwrap();
    let mut config = ClientConfig::clone(&config);
    config.resumption = Resumption::store(Arc::<ClientSessionMemoryCache>::clone(store));
    Arc::new(config)
}

#[test]
fn a_compact_client_that_comes_back_settles_when_its_tickets_have_come() {
    let config = compact(&Arc::new(ClientSessionMemoryCache::new(8)));
    let server_config = crate::support::server_config();
    for is_resumed in [false, true, true] {
        let mut client = Peer::new(Tls::returning_client(&config, localhost()).unwrap());
        let mut server = Peer::new(Tls::server(&server_config).unwrap());
        converse(&mut client, &mut server);
        let negotiated = client.tls.negotiated().unwrap();
        assert_eq!((negotiated.version, negotiated.is_resumed), ("TLS 1.3", is_resumed));
        assert!(!negotiated.chain.is_empty(), "rustls has it still");
        for word in [&b"one"[..], b"two", b"three"] {
            let said = client.seal(word);
            server.take_in(&said);
            assert_eq!(server.take_received(), word);
            let heard = server.seal(word);
            client.take_in(&heard);
            assert_eq!(client.take_received(), word);
        }
        let negotiated = client.tls.negotiated().unwrap();
        assert!(negotiated.chain.is_empty(), "our record layer keeps no certificates");
        assert_eq!((negotiated.is_resumed, negotiated.group.is_some()), (is_resumed, true));
        let goodbye = client.close();
        server.take_in(&goodbye);
        assert!(server.is_closed);
    }
}

#[test]
fn a_client_may_insist_on_a_version_and_a_group() {
    for (version, group, told) in [
        (&TLS12, NamedGroup::secp256r1, "TLS 1.2"),
        (&TLS13, NamedGroup::secp384r1, "TLS 1.3"),
        (&TLS13, NamedGroup::X25519, "TLS 1.3"),
    ] {
        let wishes = Wishes { identity: None, version: Some(version), group: Some(group) };
        let config = config::compact_client_config(CERTIFICATES.trust(), wishes).unwrap();
        let mut client = client(&config);
        let mut server = Peer::new(Tls::server(&crate::support::server_config()).unwrap());
        converse(&mut client, &mut server);
        let negotiated = client.tls.negotiated().unwrap();
        assert_eq!((negotiated.version, negotiated.group), (told, Some(group)));
    }
}
