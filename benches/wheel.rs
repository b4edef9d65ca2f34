//! What the deadlines of very many connections cost: `cargo bench --bench wheel`.
//!
//! Each connection has one entry that comes round every 25 s, as a heartbeat does, with the jitter
//! that spreads them. What is shown is the cost of an entry, which must not grow with their number
//! by more than memory does.

use std::hint::black_box;
use std::time::Duration;

use corecast::base::{Key, Rng, Tick, Wheel};
use criterion::{Criterion, Throughput};

/// 25 s of ticks.
const PERIOD: u32 = 200;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for connections in [1_000, 100_000, 1_000_000] {
        schedule(&mut criterion, connections);
        turn(&mut criterion, connections);
    }
    idle(&mut criterion);
}

/// Fills an empty wheel.
fn schedule(criterion: &mut Criterion, connections: u64) {
    let mut group = criterion.benchmark_group("schedule");
    group.throughput(Throughput::Elements(connections)).sample_size(10);
    group.bench_function(connections.to_string(), |bencher| {
        bencher.iter_with_large_drop(|| filled(connections));
    });
}

/// Turns a full wheel once round: each entry is taken out and scheduled anew.
fn turn(criterion: &mut Criterion, connections: u64) {
    let mut group = criterion.benchmark_group("expire and schedule again");
    group.throughput(Throughput::Elements(connections)).sample_size(10);
    let mut wheel = filled(connections);
    let (mut now, mut due) = (Tick(0), Vec::new());
    group.bench_function(connections.to_string(), |bencher| {
        bencher.iter(|| {
            for _ in 0..PERIOD {
                now = now.after(1);
                wheel.expire(now, &mut due);
                for key in due.drain(..) {
                    wheel.schedule(key, now.after(PERIOD));
                }
            }
        });
    });
}

/// Asks a wheel with one entry far ahead, as a loop does before it blocks.
fn idle(criterion: &mut Criterion) {
    let mut wheel = Wheel::new(Tick(0));
    wheel.schedule(Key::from_bits(0), Tick(Wheel::REACH - 1));
    criterion.bench_function("find the next entry", |bencher| {
        bencher.iter(|| black_box(&wheel).next());
    });
}

/// A wheel with an entry for each connection.
fn filled(connections: u64) -> Wheel {
    let mut wheel = Wheel::new(Tick(0));
    let mut rng = Rng::new(1);
    for connection in 0..connections {
        let due = u32::try_from(1 + rng.below(PERIOD.into())).expect("a period is short");
        wheel.schedule(Key::from_bits(connection), Tick(due));
    }
    wheel
}
