//! Proof that it tells the truth: servers whose faults are known, found by a run and counted.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "proof/late.rs"]
mod late;
#[path = "proof/second.rs"]
mod second;
// The other tests use the rest.
#[allow(dead_code)]
mod support;

use std::array;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use corecast::reactor::fds;
use late::{Late, stall};
use serde_json::Value;
use support::{Run, echo, is_sound, listening, loadgen, run, serve};

/// A percentile in milliseconds.
fn ms(json: &Value, name: &str, percentile: &str) -> u64 {
    json["latency"][name]["p"][percentile].as_u64().unwrap() / 1_000_000
}

#[test]
fn a_stall_shows_where_a_generator_that_waits_for_answers_would_hide_it() {
    // As 200 ms in 10 s, but shorter: one message in 2,000 meets the stall, and 400 wait for it.
    let url = listening(|stream| {
        serve(stream, |number, message, out| {
            if number % 2_000 == 1_000 {
                stall(Duration::from_millis(400));
            }
            echo(message, out);
        });
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stall.json");
    let line = "--conns 1 --scenario echo --rate 1k/s --arrivals constant --hold 6s";
    let mut command = loadgen(&format!("{line} --allow-invalid {url} --json"));
    let output = command.arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let corrected = ms(&json, "echo", "99.9");
    assert!(corrected >= 350, "{corrected} ms");
    // Whoever waits for each answer meets three stalls with 6,000 messages.
    let closed_loop = ms(&json, "echo_closed_loop", "99.9");
    assert!(closed_loop < corrected / 2, "{closed_loop} ms of {corrected} ms");
    let page = String::from_utf8(output.stdout).unwrap();
    for row in ["echo ", "  one in flight "] {
        assert!(page.lines().any(|line| line.starts_with(row)), "{row} is missing in {page}");
    }
}

#[test]
fn an_added_delay_is_what_is_measured_from_1_to_500_ms() {
    // Each needs its rate: no message may wait for the one before it.
    for (added, conns, rate) in [(1, 8, 25), (20, 8, 10), (100, 8, 4), (500, 16, 1)] {
        let mut told = Vec::new();
        // Others want the machine as well, and a median of some hundred is a matter of chance: but
        // an instrument that adds something of its own adds it every time.
        let agrees = (0..5).any(|_| {
            let late = Late::new(Duration::from_millis(added));
            let line = format!("--conns {conns} --scenario echo --rate {rate}/s --hold 3s");
            let done = run(&format!("{line} --arrivals constant --allow-invalid {}", late.url()));
            assert_eq!(done.exit, 0, "{}", done.complaint);
            let (measured, truth) = (late::between_halves(&done.json), late.truth());
            told.push((measured, truth));
            measured.abs_diff(truth) <= truth / 20
        });
        assert!(agrees, "{added} ms: measured, and true, in ns: {told:?}");
    }
}

/// One message in so many suffers each of the faults.
const SELDOM: u64 = 10_000;

/// How often a server has dropped, doubled, damaged and reordered.
type Planted = Arc<[AtomicU64; 4]>;

/// What a server does to the messages of one connection, all connections counted together.
fn mistreat(
    total: Arc<AtomicU64>,
    planted: Planted,
) -> impl FnMut(u64, &[u8], &mut Vec<u8>) + Send {
    let mut held: Option<Vec<u8>> = None;
    move |_, message, out| {
        let plant = |fault: usize| planted[fault].fetch_add(1, Ordering::SeqCst);
        if let Some(earlier) = held.take() {
            echo(message, out);
            echo(&earlier, out);
            plant(3);
            return;
        }
        match total.fetch_add(1, Ordering::SeqCst) % SELDOM {
            2_000 => drop(plant(0)),
            4_000 => {
                echo(message, out);
                echo(message, out);
                plant(1);
            }
            6_000 => {
                let mut damaged = message.to_vec();
                damaged[50] ^= 1;
                echo(&damaged, out);
                plant(2);
            }
            8_000 => held = Some(message.to_vec()),
            _ => echo(message, out),
        }
    }
}

#[test]
fn one_fault_in_ten_thousand_is_found_and_counted() {
    let (total, planted) = (Arc::new(AtomicU64::new(0)), Planted::default());
    let (counted, faults) = (Arc::clone(&total), Arc::clone(&planted));
    let url = listening(move |stream| {
        serve(stream, mistreat(Arc::clone(&counted), Arc::clone(&faults)));
    });
    let line = "--conns 8 --scenario echo --rate 1k/s --arrivals constant --hold 4s --drain 3s";
    let done = run(&format!("{line} --allow-invalid {url}"));
    is_sound(&done.json);
    let [dropped, doubled, damaged, reordered] =
        array::from_fn(|fault| planted[fault].load(Ordering::SeqCst));
    // Each reordering takes a message out of the count.
    let sent = total.load(Ordering::SeqCst) + reordered;
    assert_eq!((sent, dropped, doubled, damaged, reordered), (32_000, 3, 3, 3, 3));
    let delivery = &done.json["delivery"];
    let expected = [
        ("published", sent),
        ("received", sent - dropped - damaged),
        ("gap", dropped + damaged),
        ("dup", doubled),
        ("reorder", reordered),
        ("corrupt", damaged),
        ("foreign", 0),
    ];
    for (name, count) in expected {
        assert_eq!(delivery[name], count, "{name}: {delivery}");
    }
    assert_eq!(done.exit, 1, "{}", done.complaint);
}

#[test]
fn refusals_and_resets_are_accounted_for_to_the_last_one() {
    fds::raise_limit().unwrap();
    let callers = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&callers);
    let url = listening(move |mut stream| match counted.fetch_add(1, Ordering::SeqCst) + 1 {
        number if number % 1_000 == 0 => {
            // Closed with the request unread, which resets.
            let _ = stream.read(&mut [0]);
        }
        number if number % 100 == 0 => {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        }
        _ => serve(stream, |_, message, out| echo(message, out)),
    });
    let line = "--conns 2200 --ramp 2k/s --hold 500ms --slo connections.held>=2150";
    let done = run(&format!("{line} {url}"));
    assert_eq!(done.exit, 0, "{}", done.complaint);
    is_sound(&done.json);
    let accounting = &done.json["accounting"];
    // The run has connected once to see that somebody is there.
    let attempted = accounting["attempted"].as_u64().unwrap();
    let callers = callers.load(Ordering::SeqCst);
    assert_eq!(attempted + 1, callers);
    let (resets, all) = (callers / 1_000, callers / 100);
    assert!(resets >= 2 && all >= 22, "{callers}");
    assert_eq!(accounting["failed"]["http 503"], all - resets);
    assert_eq!(accounting["failed"]["reset"], resets);
    assert_eq!(accounting["opened"].as_u64().unwrap() + all, attempted);
}

/// The median of the medians of some rounds.
fn middle(mut medians: Vec<u64>) -> u64 {
    medians.sort_unstable();
    medians[medians.len() / 2]
}

#[test]
fn a_second_tool_measures_the_same() {
    // Long enough that waking threads does not count, and the same for both.
    let delay = Duration::from_millis(100);
    let heard = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&heard);
    let url = listening(move |stream| {
        let heard = Arc::clone(&counted);
        serve(stream, move |_, message, out| {
            heard.fetch_add(1, Ordering::SeqCst);
            stall(delay);
            echo(message, out);
        });
    });
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let line = "--conns 8 --scenario echo --rate 4/s --arrivals constant --hold 2s";
        let done: Run = run(&format!("{line} --allow-invalid {url}"));
        assert_eq!(done.exit, 0, "{}", done.complaint);
        let count = heard.swap(0, Ordering::SeqCst);
        let delivery = &done.json["delivery"];
        assert_eq!((&delivery["published"], &delivery["received"]), (&count.into(), &count.into()));
        assert_eq!((count, &done.json["latency"]["echo"]["n"]), (64, &64.into()));
        first.push(done.json["latency"]["echo"]["p"]["50"].as_u64().unwrap());

        let measured = second::measure(support::address(&url), 8, 8, Duration::from_millis(250));
        let count = heard.swap(0, Ordering::SeqCst);
        assert_eq!((measured.sent, measured.received, count), (64, 64, 64));
        second.push(measured.median_ns);
    }
    let (first, second) = (middle(first), middle(second));
    assert!(first.abs_diff(second) <= second / 20, "{first} ns and {second} ns");
}
