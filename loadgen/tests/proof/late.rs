//! A server that answers late, and knows by how much: half of its answers wait a moment, the other
//! half as much longer as is to be measured. What lies between the two halves is the added delay
//! and nothing else, since everything on the way is in both.

// `pub` is for the tests that include this.
#![allow(unreachable_pub)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use serde_json::Value;

use super::support::{echo, listening, serve};

/// What every answer waits, so that both halves find a generator that has gone to sleep.
const BASE: Duration = Duration::from_millis(2);

/// How exactly a thread is woken: the rest is waited for awake.
const AWAKE: Duration = Duration::from_micros(300);

/// Keeps a connection waiting, and everything behind it.
pub fn stall(time: Duration) {
    let (_sender, nothing) = mpsc::channel::<()>();
    assert!(nothing.recv_timeout(time).is_err());
}

/// Waits for `time` and not much longer; tells how long it was.
#[allow(clippy::disallowed_methods)] // it is the truth that others are compared with
fn wait(time: Duration) -> Duration {
    let start = Instant::now();
    stall(time.saturating_sub(AWAKE));
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
    start.elapsed()
}

/// A server that answers late, and what it did.
pub struct Late {
    url: String,
    waits: Receiver<(bool, u64)>,
}

impl Late {
    /// A server that adds `added` to every other answer.
    pub fn new(added: Duration) -> Self {
        let (sender, waits) = mpsc::channel();
        // Connections of which the first answer is early and late in turn: halves of equal size.
        let is_next_late = Arc::new(AtomicBool::new(false));
        let url = listening(move |stream| {
            let begins_late = is_next_late.fetch_not(Ordering::SeqCst);
            let sender = sender.clone();
            serve(stream, move |number, message, out| {
                let is_late = number.is_multiple_of(2) == begins_late;
                let waited = wait(if is_late { BASE + added } else { BASE });
                let ns = u64::try_from(waited.as_nanos()).unwrap();
                // A test that has seen enough is gone.
                let _ = sender.send((is_late, ns));
                echo(message, out);
            });
        });
        Self { url, waits }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What lay between the medians of its two halves, in nanoseconds.
    pub fn truth(&self) -> u64 {
        let (late, early): (Vec<_>, Vec<_>) = self.waits.try_iter().partition(|(late, _)| *late);
        let [late, early] = [late, early].map(|half| {
            let mut half: Vec<_> = half.into_iter().map(|(_, ns)| ns).collect();
            half.sort_unstable();
            half[half.len() / 2]
        });
        late - early
    }
}

/// What lies between the medians of the two halves of the echoes of a result, in nanoseconds.
pub fn between_halves(json: &Value) -> u64 {
    let text = json["latency"]["echo"]["hdr_v2_deflate_b64"].as_str().unwrap();
    let bytes = BASE64_STANDARD.decode(text).unwrap();
    let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
    histogram.value_at_quantile(0.75) - histogram.value_at_quantile(0.25)
}
