//! What is published reaches every subscriber on every core, once and in order, from the moment
//! that a subscriber has seen its 101.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use corecast::worker::Limits;
use tungstenite::Message;

use crate::client::{Client, Via};
use crate::house::{House, post};

const WORKERS: usize = 4;

/// So many clients surely reach all workers: the system spreads them by a hash.
const CLIENTS_MAX: usize = 400;

/// Clients of `path`, by every way there is, until each worker has some.
fn clients_everywhere(house: &House, path: &str) -> Vec<Client> {
    let vias = house.vias().iter().cycle();
    let mut clients = Vec::new();
    for via in vias.take(CLIENTS_MAX) {
        clients.push(house.client(via, path));
        let counts = house.counts("connections");
        assert_eq!(counts.len(), WORKERS);
        if clients.len() >= 2 * WORKERS && counts.iter().all(|count| *count > 1) {
            return clients;
        }
    }
    panic!("{CLIENTS_MAX} clients leave a worker idle: {:?}", house.counts("connections"));
}

#[test]
fn a_publication_reaches_every_subscriber_on_every_core() {
    let house = House::open(WORKERS, Limits::default());
    let mut others = clients_everywhere(&house, "/topics/weather");
    let mut clients = clients_everywhere(&house, "/topics/prices");
    let speakers = clients.len();
    for speaker in 0..speakers {
        let text = format!("{speaker} says");
        clients[speaker].say(text.as_str());
        for client in &mut clients {
            assert_eq!(client.hear(), text.as_str().into(), "also who said it");
        }
    }
    others[0].say("rain");
    for other in &mut others {
        assert_eq!(other.hear(), "rain".into(), "and nothing of prices before");
    }
    let told = speakers * clients.len() + others.len();
    house.await_count("publications_in_total", speakers as u64 + 1);
    house.await_count("deliveries_total", told as u64);
}

#[test]
fn what_backends_post_reaches_every_subscriber_in_the_order_of_each() {
    let house = House::open(WORKERS, Limits::default());
    let mut clients = clients_everywhere(&house, "/topics/prices");
    let address = house.address(&Via::Plain);
    // Connections that stay open, so that each posts by way of one core.
    let mut backends: Vec<_> = (0..5).map(|_| crate::client::connect(address)).collect();
    for round in 0..20 {
        for (number, backend) in backends.iter_mut().enumerate() {
            assert_eq!(post(backend, "prices", &format!("{number} {round}")), 200);
        }
    }
    for client in &mut clients {
        let mut next = [0; 5];
        for _ in 0..5 * 20 {
            let Message::Text(text) = client.hear() else { panic!("a text was posted") };
            let (number, round) = text.split_once(' ').unwrap();
            let next = &mut next[number.parse::<usize>().unwrap()];
            assert_eq!(round.parse(), Ok(*next), "of backend {number}");
            *next += 1;
        }
    }
}

#[test]
fn who_has_seen_the_101_misses_nothing() {
    let house = House::open(WORKERS, Limits::default());
    let address = house.address(&Via::Plain);
    let mut backends: Vec<_> = (0..7).map(|_| crate::client::connect(address)).collect();
    // Two topics in turn, so that each is given up by its only core about when another takes it.
    for round in 0..300 {
        let topic = ["even", "odd"][round % 2];
        let via = &house.vias()[round % 3];
        let mut client = house.client(via, &format!("/topics/{topic}"));
        let text = round.to_string();
        assert_eq!(post(&mut backends[round % 7], topic, &text), 200);
        assert_eq!(client.hear(), text.as_str().into(), "round {round}");
    }
}

#[test]
fn who_has_seen_the_101_misses_nothing_in_a_crowd() {
    let house = Arc::new(House::open(WORKERS, Limits::default()));
    let crowd = (0..4).map(|who| {
        let house = Arc::clone(&house);
        thread::spawn(move || {
            let mut backend = crate::client::connect(house.address(&Via::Plain));
            (0..50).for_each(|round| come_speak_and_go(&house, &mut backend, who, round));
        })
    });
    for one in crowd.collect::<Vec<_>>() {
        one.join().unwrap();
    }
}

/// Subscribes, hears what is posted then and what it says itself, and leaves.
fn come_speak_and_go(house: &House, backend: &mut TcpStream, who: usize, round: usize) {
    let via = &house.vias()[(who + round) % 3];
    let mut client = house.client(via, "/topics/crowd");
    let texts = ["posted", "said"].map(|how| format!("{who} {round} {how}"));
    assert_eq!(post(backend, "crowd", &texts[0]), 200);
    await_text(&mut client, &texts[0]);
    client.say(texts[1].as_str());
    await_text(&mut client, &texts[1]);
}

/// Reads over what others say in between.
fn await_text(client: &mut Client, text: &str) {
    while client.hear() != text.into() {}
}
