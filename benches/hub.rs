//! What a publication costs a core beside the writing: `cargo bench --bench hub`.
//!
//! It is accepted and given to all subscribers of its topic in slices, as a turn does it; what is
//! shown is the cost of one subscriber.

use std::hint::black_box;
use std::time::Duration;

use corecast::base::{Key, Shared};
use corecast::hub::{Hub, Limits, Publication, TopicName, WorkerId};
use criterion::{Criterion, Throughput};

/// Deliveries a turn.
const BUDGET: usize = 1_000;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for subscribers in [1, 100, 10_000, 100_000] {
        deliver(&mut criterion, subscribers);
    }
}

fn deliver(criterion: &mut Criterion, subscribers: u64) {
    let limits = Limits { topics_per_connection_max: 1, backlog_bytes_max: 1 << 20 };
    let mut hub = Hub::new(WorkerId::new(0), 1, 1, limits);
    let topic = TopicName::new("demo").expect("a plain name");
    for subscriber in 0..subscribers {
        hub.subscribe(Key::from_bits(subscriber), &topic).map(drop).expect("one topic each");
    }
    let publication = Publication::from(Shared::from("a short message"));
    let mut group = criterion.benchmark_group("deliver");
    group.throughput(Throughput::Elements(subscribers));
    group.bench_function(subscribers.to_string(), |bencher| {
        bencher.iter(|| {
            let elsewhere = hub.publish(&topic, &publication);
            while hub.has_pending() {
                hub.deliver(BUDGET, |key, delivery| {
                    black_box((key, delivery));
                });
            }
            elsewhere
        });
    });
}
