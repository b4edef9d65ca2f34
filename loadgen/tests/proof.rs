//! Proof that it tells the truth: servers whose faults are known, found by a run and counted.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

// The other tests use the rest.
#[allow(dead_code)]
mod support;

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use support::{echo, listening, run, serve, server};

/// Keeps a connection waiting, and everything behind it.
fn stall(time: Duration) {
    let (_sender, nothing) = mpsc::channel::<()>();
    assert!(nothing.recv_timeout(time).is_err());
}

/// A percentile in milliseconds.
fn ms(json: &Value, name: &str, percentile: &str) -> u64 {
    json["latency"][name]["p"][percentile].as_u64().unwrap() / 1_000_000
}

#[test]
fn a_stall_shows_where_a_generator_that_waits_for_answers_would_hide_it() {
    let url = server(|number, message, out| {
        // The first connection, by its stamp.
        if number == 250 && message[4..8] == [0; 4] {
            stall(Duration::from_secs(1));
        }
        echo(message, out);
    });
    let line = "--conns 4 --scenario echo --rate 250/s --arrivals constant --hold 4s";
    let done = run(&format!("{line} --allow-invalid {url}"));
    assert_eq!(done.exit, 0, "{}", done.complaint);
    // A quarter of a second's worth of 4,000 messages was kept waiting, up to a second.
    let corrected = ms(&done.json, "echo", "99.9");
    assert!(corrected >= 900, "{corrected} ms");
    // Whoever waits for each answer meets the stall with one message in 4,000.
    let closed_loop = ms(&done.json, "echo_closed_loop", "99.9");
    assert!(closed_loop < corrected / 2, "{closed_loop} ms of {corrected} ms");
}

#[test]
fn a_known_delay_is_what_is_measured() {
    for delay in [20, 100, 500] {
        let url = match delay {
            20 => server(|_, message, out| {
                stall(Duration::from_millis(20));
                echo(message, out);
            }),
            100 => server(|_, message, out| {
                stall(Duration::from_millis(100));
                echo(message, out);
            }),
            _ => server(|_, message, out| {
                stall(Duration::from_millis(500));
                echo(message, out);
            }),
        };
        let line = "--conns 8 --scenario echo --rate 1/s --arrivals constant --hold 3s";
        let done = run(&format!("{line} --allow-invalid {url}"));
        assert_eq!(done.exit, 0, "{}", done.complaint);
        let min = done.json["latency"]["echo"]["min"].as_u64().unwrap() / 1_000_000;
        assert!(min >= delay, "{min} ms for {delay} ms");
        // Five per cent, and what two threads of a busy machine need to be woken.
        let median = ms(&done.json, "echo", "50");
        assert!(median <= delay + delay / 20 + 3, "{median} ms for {delay} ms");
    }
}

#[test]
fn refusals_and_resets_are_accounted_for_to_the_last_one() {
    let callers = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&callers);
    let url = listening(move |mut stream| match counted.fetch_add(1, Ordering::SeqCst) + 1 {
        number if number % 100 == 0 => {
            // Closed with the request unread, which resets.
            let _ = stream.read(&mut [0]);
        }
        number if number % 40 == 0 => {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        }
        _ => serve(stream, |_, message, out| echo(message, out)),
    });
    let done = run(&format!("--conns 400 --hold 500ms --slo connections.held>=390 {url}"));
    assert_eq!(done.exit, 0, "{}", done.complaint);
    let accounting = &done.json["accounting"];
    // The run has connected once to see that somebody is there.
    let attempted = accounting["attempted"].as_u64().unwrap();
    let callers = callers.load(Ordering::SeqCst);
    assert_eq!(attempted + 1, callers);
    let (resets, all) = (callers / 100, callers / 40 + callers / 100 - callers / 200);
    assert_eq!(accounting["failed"]["http 503"], all - resets);
    assert_eq!(accounting["failed"]["reset"], resets);
    assert_eq!(accounting["opened"].as_u64().unwrap() + all, attempted);
    assert_eq!(accounting["balanced"], true);
}
