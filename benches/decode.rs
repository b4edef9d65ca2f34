//! Frames out of bytes as a server gets them: `cargo bench --bench decode`.
//!
//! Each sample decodes a read full of masked frames, of one size, that came whole; `dripped` is the
//! same in pieces that never end where a frame does. Masking the frames anew for each round is not
//! part of the time.

use std::hint::black_box;
use std::time::Duration;

use corecast::base::Input;
use corecast::ws::{Decoder, Limits, MaskKey, Opcode, Role, encoder};
use criterion::{BatchSize, Criterion, Throughput};

const READ_LEN: usize = 64 * 1024;
const KEY: MaskKey = MaskKey([0x37, 0xFA, 0x21, 0x3D]);
const LIMITS: Limits = Limits { message_bytes_max: 1 << 20, fragments_max: 128 };

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for (name, opcode, len) in [
        ("text 16", Opcode::Text, 16),
        ("text 64", Opcode::Text, 64),
        ("text 1024", Opcode::Text, 1024),
        ("binary 64", Opcode::Binary, 64),
        ("binary 16384", Opcode::Binary, 16 * 1024),
    ] {
        measure(&mut criterion, name, opcode, len);
    }
}

fn measure(criterion: &mut Criterion, name: &str, opcode: Opcode, len: usize) {
    let (bytes, frames) = frames(opcode, len);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(frames));
    for (name, piece_len) in [("whole", bytes.len()), ("dripped", 1460)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || bytes.clone(),
                |bytes| assert_eq!(decode(bytes, piece_len), frames),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// As many masked frames as one read brings, and their number.
fn frames(opcode: Opcode, len: usize) -> (Vec<u8>, u64) {
    let mut bytes = Vec::new();
    let mut frames = 0;
    while bytes.len() < READ_LEN {
        encoder::encode_masked(&mut bytes, opcode, &vec![b'a'; len], KEY);
        frames += 1;
    }
    (bytes, frames)
}

/// Decodes `bytes` in pieces of `piece_len`, and counts the messages.
fn decode(bytes: &mut [u8], piece_len: usize) -> u64 {
    let mut decoder = Decoder::new(Role::Server);
    let mut messages = 0;
    for piece in bytes.chunks_mut(piece_len) {
        let mut input = Input::new(piece);
        while let Ok(Some(event)) = decoder.next(&mut input, &LIMITS) {
            black_box(&event);
            messages += 1;
        }
    }
    messages
}
