//! Attackers that never get as far as to be served: half-open, slowloris, garbage.

use std::time::Duration;

use super::script::{Answer, Entry, Ground, Script};

/// A TLS record that announces 512 bytes of a `ClientHello`, and the first of them (RFC 8446 §5.1).
const HALF_A_HELLO: [u8; 9] = [22, 3, 1, 2, 0, 1, 0, 1, 252];

/// How much garbage there is: less than the longest head, so that its first line is judged.
const GARBAGE_BYTES: usize = 512;

/// Begins a TLS handshake and never goes on.
pub fn half_open(ground: &Ground) -> Script {
    let mut script =
        Script::new(Entry::Stream, "handshake-time", ms(ground.limits.handshake_ms_max));
    script.first = HALF_A_HELLO.to_vec();
    script.awaited = vec![Answer::Ended, Answer::Reset];
    script
}

/// Sends a request that never ends, one field at a time.
pub fn slowloris(ground: &Ground) -> Script {
    let mut script = Script::new(Entry::Request, "request-time", ms(ground.limits.request_ms_max));
    script.first = b"GET /echo HTTP/1.1\r\nHost: localhost\r\n".to_vec();
    script.again = b"X-Patience: 1\r\n".to_vec();
    script.awaited = vec![Answer::Status(408)];
    script
}

/// Sends noise for a request.
pub fn garbage(ground: &mut Ground) -> Script {
    let mut script = Script::new(Entry::Request, "the grammar of HTTP", ground.span);
    script.first = ground.noise(GARBAGE_BYTES);
    script.first.extend_from_slice(b"\r\n\r\n");
    script.pace = ground.span;
    script.awaited = vec![Answer::Status(400)];
    script
}

/// A time of the limits.
pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
