//! Attackers whose messages are the attack: drip, fragments, empty-fragments, huge-length, bomb.

use corecast::ws::deflate::{Context, Deflater, WindowBits};

use super::opening::ms;
use super::script::{
    Answer, BINARY, CONTINUATION, DEFLATED, Entry, FIN, Ground, Script, frame, header,
};

/// What a dripping message promises.
const DRIP_BYTES: u64 = 1_000;

/// How often a fragment comes: ten times the limit come within the time of a message.
const FRAGMENTS_AT_ONCE: usize = 256;

/// A length that no memory holds; the first bit must be 0 (RFC 6455 §5.2).
const HUGE_BYTES: u64 = 1 << 62;

/// What a bomb swells to: 64 times the longest message that a server takes unless told otherwise.
const BOMB_BYTES: usize = 4 << 20;

/// A message whose bytes come one at a time.
pub fn drip(ground: &Ground) -> Script {
    let mut script = Script::new(Entry::Echo, "message-time", ms(ground.limits.message_ms_max));
    script.first = header(FIN | BINARY, DRIP_BYTES);
    script.again = vec![0];
    script.awaited = vec![Answer::Close(1008)];
    script
}

/// A message in more pieces than anybody needs, each with `payload`.
pub fn fragments(ground: &Ground, payload: &[u8]) -> Script {
    let mut script = Script::new(Entry::Echo, "fragments", ground.span);
    script.first = frame(BINARY, payload);
    script.again = frame(CONTINUATION, payload).repeat(FRAGMENTS_AT_ONCE);
    script.awaited = vec![Answer::Close(1008)];
    script
}

/// A message that promises more than there is in the world.
pub fn huge_length(ground: &Ground) -> Script {
    let mut script = Script::new(Entry::Echo, "message-bytes", ground.span);
    script.first = header(FIN | BINARY, HUGE_BYTES);
    script.awaited = vec![Answer::Close(1009)];
    script
}

/// A small message that inflates to a large one (RFC 7692 §8), or breaks a rule if that was not
/// agreed on.
pub fn bomb(ground: &Ground) -> Script {
    let mut script = Script::new(Entry::Deflated, "message-bytes", ground.span);
    let context = Context { window_bits: WindowBits::MAX, takeover: false };
    let mut deflater = Deflater::new(context);
    let small = deflater.deflate(&vec![0; BOMB_BYTES]).unwrap_or_default().to_vec();
    script.first = frame(FIN | DEFLATED | BINARY, &small);
    script.awaited = vec![Answer::Close(1009)];
    script
}
