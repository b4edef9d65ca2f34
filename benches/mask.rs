//! Unmasking against `memcpy` of the same size: `cargo bench --bench mask`.
//!
//! `memcpy` reads one buffer and writes another, as a server would that copied each payload out of
//! its input; unmasking in place should cost about as much.

#![allow(clippy::disallowed_methods)] // a benchmark reads the clock
#![allow(clippy::cast_precision_loss)] // a rate needs no more digits than an f64 has

use std::hint::black_box;
use std::time::{Duration, Instant};

use corecast::ws::{MaskKey, unmask};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};

const KIB: usize = 1024;
const KEY: MaskKey = MaskKey([0x37, 0xFA, 0x21, 0x3D]);

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let rows = [KIB, 16 * KIB, 64 * KIB].map(|len| compare(&mut criterion, len));
    println!("{:>8}  {:>14}  {:>14}  {:>6}", "bytes", "unmask GB/s", "memcpy GB/s", "ratio");
    for (len, unmask, memcpy) in rows {
        println!("{len:>8}  {unmask:>14.1}  {memcpy:>14.1}  {:>6.2}", unmask / memcpy);
    }
}

/// Measures both at one size, in gigabytes a second.
fn compare(criterion: &mut Criterion, len: usize) -> (usize, f64, f64) {
    let mut group = criterion.benchmark_group(format!("{} KiB", len / KIB));
    group.throughput(Throughput::Bytes(len as u64));
    let mut payload = vec![0xA5; len];
    let mut copy = vec![0; len];
    let unmask = best(&mut group, "unmask", len, || unmask(black_box(&mut payload), KEY, 1));
    let memcpy = best(&mut group, "memcpy", len, || {
        black_box(&mut copy).copy_from_slice(black_box(&payload));
    });
    group.finish();
    (len, unmask, memcpy)
}

/// The best sample of `work` in gigabytes a second: what the machine can do when left alone.
fn best(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    len: usize,
    mut work: impl FnMut(),
) -> f64 {
    let mut shortest = f64::INFINITY;
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                work();
            }
            let elapsed = start.elapsed();
            shortest = shortest.min(elapsed.as_secs_f64() / iterations as f64);
            elapsed
        });
    });
    len as f64 / shortest / 1e9
}
