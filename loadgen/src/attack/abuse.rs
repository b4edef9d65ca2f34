//! Attackers that keep to the grammar and abuse it: slow-read, ping-flood, never-close,
//! subscribe-flood.

use std::time::Duration;

use super::opening::ms;
use super::script::{Answer, BINARY, CLOSE, Entry, FIN, Ground, PING, Script, frame};

/// What a slow reader asks for at a time.
const QUESTION_BYTES: usize = 32 * 1024;

/// How often it asks: so the socket of the server, which the system lets grow to some 4 MiB, is
/// full long before the server may mind.
const QUESTION_PACE: Duration = Duration::from_millis(10);

/// How long filling it takes.
const FILLING: Duration = Duration::from_secs(3);

/// Pings of the longest payload (RFC 6455 §5.5), so many at a time.
const PINGS_AT_ONCE: usize = 10;
const PING_BYTES: usize = 125;
const PING_PACE: Duration = Duration::from_millis(100);

/// How long a subscriber stays, as a part of the attack.
const STAYS: u32 = 4;

/// Asks for echoes and reads none.
pub fn slow_read(ground: &Ground) -> Script {
    let mut script = Script::new(Entry::Echo, "stall-time", ms(ground.limits.stall_ms_max));
    script.again = frame(FIN | BINARY, &vec![0; QUESTION_BYTES]);
    script.pace = QUESTION_PACE;
    script.lasts += FILLING;
    script.reads = false;
    script.awaited = vec![Answer::Close(1013), Answer::Reset, Answer::Ended];
    script
}

/// Pings without end, and reads the answers: each is owed, and the server may pause or end it.
pub fn ping_flood(ground: &Ground) -> Script {
    let mut script = Script::new(Entry::Echo, "rate-time", ground.span);
    script.again = frame(FIN | PING, &[0; PING_BYTES]).repeat(PINGS_AT_ONCE);
    script.pace = PING_PACE;
    script.awaited = vec![Answer::Open, Answer::Close(1008)];
    script
}

/// Says goodbye and stays, talking.
pub fn never_close(ground: &Ground) -> Script {
    let mut script = Script::new(Entry::Echo, "close-time", ms(ground.limits.close_ms_max));
    script.first = frame(FIN | CLOSE, &1000_u16.to_be_bytes());
    script.again = frame(FIN | PING, &[]);
    script.clings = true;
    script.awaited = vec![Answer::Reset];
    script
}

/// Subscribes to a topic that nobody else knows, leaves, and comes again for another.
pub fn subscribe_flood(ground: &Ground) -> Script {
    let mut script = Script::new(Entry::Topic, "none: topics without subscribers", ground.span);
    script.again = frame(FIN | CLOSE, &1000_u16.to_be_bytes());
    script.pace = ground.span / STAYS;
    script.returns = true;
    script.awaited = vec![Answer::Close(1000), Answer::Open];
    script
}
