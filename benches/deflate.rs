//! What deflating and inflating a message costs, and how short it becomes: `cargo bench --bench
//! deflate`.
//!
//! The messages are JSON as a feed of prices sends it; each stands for itself, so what an idle
//! window costs to forget is in the figure.

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Duration;

use corecast::base::Rng;
use corecast::ws::Opcode;
use corecast::ws::deflate::{Context, Deflated, Deflater, Inflater, WindowBits};
use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let prices = prices();
    for len in [200, 1_000, 16_000] {
        message(&mut criterion, prices.get(..len).expect("there are enough"));
    }
}

fn message(criterion: &mut Criterion, plain: &[u8]) {
    let context = Context { window_bits: WindowBits::MAX, takeover: false };
    let (mut deflater, mut inflater) = (Deflater::new(context), Inflater::new(context));
    let shorter = deflater.deflate(plain).expect("prices deflate").to_vec();
    println!("{} bytes become {}", plain.len(), shorter.len());
    let mut group = criterion.benchmark_group("deflate");
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function(format!("deflate/{}", plain.len()), |bencher| {
        bencher.iter(|| deflater.deflate(black_box(plain)).map(<[u8]>::len));
    });
    let message = Deflated { opcode: Opcode::Text, payload: Cow::Borrowed(&shorter) };
    group.bench_function(format!("inflate/{}", plain.len()), |bencher| {
        bencher.iter(|| inflater.inflate(black_box(&message), plain.len()).is_ok());
    });
}

fn prices() -> Vec<u8> {
    let mut rng = Rng::new(1);
    let price = |rng: &mut Rng| format!("{}.{:02}", rng.below(500), rng.below(100));
    let quote = |_| {
        let (symbol, bid, ask) = (rng.below(10_000), price(&mut rng), price(&mut rng));
        let (minute, second) = (rng.below(60), rng.below(60));
        format!(
            "{{\"symbol\":\"S{symbol}\",\"bid\":{bid},\"ask\":{ask},\
             \"time\":\"2026-01-01T09:{minute:02}:{second:02}Z\"}},"
        )
    };
    (0..400).map(quote).collect::<String>().into_bytes()
}
