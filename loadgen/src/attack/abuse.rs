//! Attackers that keep to the grammar and abuse it: slow-read, ping-flood, never-close,
//! subscribe-flood.

use std::time::Duration;

use super::opening::ms;
use super::script::{Answer, BINARY, CLOSE, Entry, FIN, Ground, PING, Script, frame};

/// What a slow reader asks for at a time.
const QUESTION_BYTES: usize = 32 * 1024;

/// How often it asks: so the sockets of a server whose system lets them grow to some 4 MiB are full
/// long before it may mind.
const QUESTION_PACE: Duration = Duration::from_millis(10);

/// How long filling it takes.
const FILLING: Duration = Duration::from_secs(3);

/// Pings without a payload, so that there are the most in a byte: 2,000 a second of each attacker,
/// if the server takes them.
const PINGS_AT_ONCE: usize = 200;
const PING_PACE: Duration = Duration::from_millis(100);

/// How long a subscriber stays, and how soon it comes again.
const STAY: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(250);

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

/// Pings without end, and reads the answers: each is owed, unless the server limits how many it
/// takes. Then it pauses, and ends whoever goes on.
pub fn ping_flood(ground: &Ground) -> Script {
    let pace = &ground.limits.pace;
    let mut script = Script::new(Entry::Echo, "frames-per-second", ms(pace.over_ms_max));
    script.first = frame(FIN | PING, &[]).repeat(PINGS_AT_ONCE);
    script.again.clone_from(&script.first);
    script.pace = PING_PACE;
    script.awaited = vec![Answer::Close(1008)];
    if pace.frames_per_second_max.is_none() {
        script.awaited.push(Answer::Open);
    }
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

/// Subscribes to a topic that nobody else knows, leaves, and comes again for another. A server that
/// limits how many new connections an address may bring lets some of them in and turns the others
/// away before TLS.
pub fn subscribe_flood(ground: &Ground) -> Script {
    let mut script = Script::new(Entry::Topic, "connects-per-address", ground.span);
    script.again = frame(FIN | CLOSE, &1000_u16.to_be_bytes());
    script.pace = STAY;
    script.returns = Some(PAUSE);
    script.awaited = vec![Answer::Close(1000), Answer::Open];
    if ground.limits.addresses.connects_per_second_max.is_some() {
        script.awaited.push(Answer::Barred);
    }
    script
}
