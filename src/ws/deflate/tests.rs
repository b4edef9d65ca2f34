//! Deflating and inflating, held against each other, against the examples of the RFC, against
//! zlib as it comes, and against a slow reading of RFC 1951.

use std::borrow::Cow;

use flate2::{Compress, Compression, FlushCompress};

use super::reference;
use super::{Context, Deflated, Deflater, Inflater, TAIL, WindowBits};
use crate::base::Rng;
use crate::ws::{Fault, Message, Opcode};

const MAX: usize = 100_000;

fn context(bits: u8, takeover: bool) -> Context {
    Context { window_bits: WindowBits::new(bits).unwrap(), takeover }
}

fn binary(payload: &[u8]) -> Deflated<'_> {
    Deflated { opcode: Opcode::Binary, payload: Cow::Borrowed(payload) }
}

fn inflate(payload: &[u8], max: usize) -> Result<Vec<u8>, Fault> {
    let mut inflater = Inflater::new(context(15, false));
    inflater.inflate(&binary(payload), max).map(|message| message.payload().to_vec())
}

/// zlib at any level, without what this module does with it.
fn zlib(payload: &[u8], level: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * payload.len() + 100);
    let mut stream = Compress::new(Compression::new(level), false);
    stream.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
    assert!(out.ends_with(&TAIL));
    out.truncate(out.len() - TAIL.len());
    out
}

/// Something between noise and one letter, of up to `len_max` bytes.
fn payload(rng: &mut Rng, len_max: u64) -> Vec<u8> {
    let letters = 1 + rng.below(256);
    let mut bytes = Vec::new();
    for _ in 0..rng.below(len_max + 1) {
        if rng.one_of(1, 8) && !bytes.is_empty() {
            let start = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
            let end = (start + 40).min(bytes.len());
            bytes.extend_from_within(start..end);
        } else {
            bytes.push(u8::try_from(rng.below(letters)).unwrap());
        }
    }
    bytes
}

/// The examples of RFC 7692 §7.2.3: one block, one message in two, no compression, a last block,
/// two blocks.
#[test]
fn the_examples_of_the_rfc_hold() {
    let table: [(&[u8], &[u8]); 6] = [
        (b"\xF2\x48\xCD\xC9\xC9\x07\x00", b"Hello"),
        (b"\x00\x05\x00\xFA\xFF\x48\x65\x6C\x6C\x6F\x00", b"Hello"),
        (b"\xF3\x48\xCD\xC9\xC9\x07\x00\x00", b"Hello"),
        (b"\xF2\x48\x05\x00\x00\x00\xFF\xFF\xCA\xC9\xC9\x07\x00", b"Hello"),
        (b"\x00", b""),
        (b"\x02\x00", b""),
    ];
    for (deflated, message) in table {
        assert_eq!(inflate(deflated, MAX).as_deref(), Ok(message), "{}", deflated.escape_ascii());
        let full = [deflated, &TAIL].concat();
        assert_eq!(reference::inflate(b"", &full).unwrap().bytes, message);
    }
}

/// The example of RFC 7692 §7.2.3.2: the same message twice, the second pointing into the first.
#[test]
fn a_context_is_kept_where_that_was_agreed_on_and_only_there() {
    let (first, second) = (b"\xF2\x48\xCD\xC9\xC9\x07\x00", b"\xF2\x00\x11\x00\x00");
    let mut keeping = Inflater::new(context(15, true));
    for payload in [&first[..], second] {
        let message = keeping.inflate(&binary(payload), MAX).unwrap();
        assert_eq!(message, Message::Binary(b"Hello"));
    }
    let mut forgetting = Inflater::new(context(15, false));
    assert!(forgetting.inflate(&binary(first), MAX).is_ok());
    assert_eq!(forgetting.inflate(&binary(second), MAX), Err(Fault::Deflate));
    assert!(forgetting.inflate(&binary(first), MAX).is_ok(), "a fault of one is none of the next");
}

#[test]
fn a_peer_may_end_its_blocks_and_begin_anew() {
    let hello = b"\xF3\x48\xCD\xC9\xC9\x07\x00";
    assert_eq!(inflate(hello, MAX).as_deref(), Ok(&b"Hello"[..]), "without its padding");
    let twice = [&hello[..], hello, b"\x00"].concat();
    assert_eq!(inflate(&twice, MAX).as_deref(), Ok(&b"HelloHello"[..]));
    let often = |times| [hello.repeat(times), vec![0]].concat();
    assert_eq!(inflate(&often(63), MAX).map(|message| message.len()), Ok(63 * 5));
    assert_eq!(inflate(&often(64), MAX), Err(Fault::Deflate));
}

#[test]
fn what_means_nothing_is_refused() {
    let hello = b"\xF2\x48\xCD\xC9\xC9\x07\x00";
    for len in 0..hello.len() {
        assert_eq!(inflate(&hello[..len], MAX), Err(Fault::Deflate), "cut after {len}");
    }
    let table: [&[u8]; 4] = [b"\x06", b"\x00\x05\x00\x00\x00", b"\xFF\xFF\xFF", b"hello"];
    for payload in table {
        assert_eq!(inflate(payload, MAX), Err(Fault::Deflate), "{}", payload.escape_ascii());
    }
}

#[test]
fn text_is_utf8_when_it_is_inflated() {
    let mut inflater = Inflater::new(context(15, false));
    for (text, expected) in [(&b"gr\xC3\xBCn"[..], true), (b"gr\xFCn", false), (b"\xC3", false)] {
        let payload = Cow::Owned(zlib(text, 6));
        let message = inflater.inflate(&Deflated { opcode: Opcode::Text, payload }, MAX);
        assert_eq!(message == Err(Fault::InvalidUtf8), !expected, "{}", text.escape_ascii());
    }
}

#[test]
fn a_message_may_grow_to_the_limit_and_no_further() {
    for len in [1, 1_000, 4_095, 4_096, 4_097, 70_000] {
        for level in [0, 1, 9] {
            let payload = zlib(&vec![b'a'; len], level);
            assert_eq!(inflate(&payload, len).map(|message| message.len()), Ok(len));
            assert_eq!(inflate(&payload, len - 1), Err(Fault::OversizedMessage), "{len}");
        }
    }
}

#[test]
fn a_bomb_is_cut_at_the_limit_and_costs_no_more() {
    let bomb = zlib(&vec![0; 64 << 20], 9);
    assert!(bomb.len() < (64 << 20) / 1_000, "1000:1 at least");
    let mut inflater = Inflater::new(context(15, false));
    assert_eq!(inflater.inflate(&binary(&bomb), MAX), Err(Fault::OversizedMessage));
    assert!(inflater.held_bytes() <= MAX + 1, "{}", inflater.held_bytes());
    assert!(inflater.inflate(&binary(b"\x00"), MAX).is_ok(), "the next peer is served");
    assert!(inflater.held_bytes() <= 64 * 1024, "{}", inflater.held_bytes());
}

#[test]
fn what_zlib_deflates_is_inflated_and_a_slow_reading_agrees() {
    let mut rng = Rng::new(7);
    let mut inflater = Inflater::new(context(15, false));
    for round in 0..300 {
        let message = payload(&mut rng, 2_000);
        let short = zlib(&message, round % 10);
        let heard = inflater.inflate(&binary(&short), MAX).unwrap();
        assert_eq!(heard, Message::Binary(&message));
        let slow = reference::inflate(b"", &[&short[..], &TAIL].concat()).unwrap();
        assert_eq!(slow.bytes, message);
    }
}

#[test]
fn noise_is_inflated_or_refused_as_a_slow_reading_says() {
    let mut rng = Rng::new(8);
    let mut agreed = 0;
    for _ in 0..20_000 {
        let mut noise = zlib(&payload(&mut rng, 30), 6);
        let place = usize::try_from(rng.below(noise.len() as u64)).unwrap();
        noise[place] ^= 1 << rng.below(8);
        // What ends with a last block may do without the tail.
        let slow = reference::inflate(b"", &[&noise[..], &TAIL].concat())
            .or_else(|| reference::inflate(b"", &noise));
        if let Ok(message) = inflate(&noise, MAX) {
            assert_eq!(slow.map(|slow| slow.bytes), Some(message), "{}", noise.escape_ascii());
            agreed += 1;
        }
    }
    assert!(agreed > 1_000, "{agreed}");
}

#[test]
fn every_window_is_kept_to_with_and_without_a_context() {
    let mut rng = Rng::new(9);
    for bits in 8..=15 {
        for takeover in [false, true] {
            let context = context(bits, takeover);
            let (mut deflater, mut inflater) = (Deflater::new(context), Inflater::new(context));
            let mut before = Vec::new();
            let mut farthest = 0;
            for _ in 0..40 {
                let message = payload(&mut rng, 3_000);
                let Some(short) = deflater.deflate(&message) else { continue };
                let heard = inflater.inflate(&binary(short), MAX).unwrap();
                assert_eq!(heard, Message::Binary(&message));
                let whole = [short, &TAIL].concat();
                let slow = reference::inflate(&before, &whole).unwrap();
                assert_eq!(slow.bytes, message);
                farthest = farthest.max(slow.distance_max);
                if takeover {
                    before.extend(message);
                }
            }
            assert!(farthest <= 1 << bits, "{farthest} back in a window of 2^{bits}");
            assert!(farthest > 100, "nothing was tested");
        }
    }
}

#[test]
fn what_grows_no_shorter_is_sent_as_it_is() {
    let mut rng = Rng::new(10);
    let noise: Vec<u8> = (0..500).map(|_| u8::try_from(rng.below(256)).unwrap()).collect();
    for takeover in [false, true] {
        let mut deflater = Deflater::new(context(15, takeover));
        assert_eq!(deflater.deflate(&noise), None);
        // What the peer's window does not hold is not pointed at.
        let short = deflater.deflate(&noise.repeat(2)).unwrap().to_vec();
        assert_eq!(inflate(&short, MAX), Ok(noise.repeat(2)));
        assert_eq!(Deflater::new(context(15, takeover)).deflate(b""), None);
    }
}

#[test]
fn a_message_that_was_deflated_elsewhere_is_not_pointed_at() {
    let mut rng = Rng::new(11);
    let [one, two] = [payload(&mut rng, 3_000), payload(&mut rng, 3_000)];
    let kept = context(15, true);
    let (mut own, mut shared) = (Deflater::new(kept), Deflater::new(context(15, false)));
    let mut inflater = Inflater::new(kept);
    let mut hear = |short: Option<&[u8]>, message: &[u8]| {
        let heard = inflater.inflate(&binary(short.unwrap()), MAX).unwrap();
        assert_eq!(heard, Message::Binary(message));
    };
    hear(own.deflate(&one), &one);
    hear(shared.deflate(&two), &two);
    own.forget();
    hear(own.deflate(&one), &one);
    hear(own.deflate(&one), &one);
    assert!(own.deflate(&one).unwrap().len() < one.len() / 10, "a context is kept");
}
