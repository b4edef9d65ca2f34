//! What the program finds of its own clock, timers and pace.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code)] // other tests use more of it
mod support;

use support::{loadgen, run};

/// Short trials, and no demands on a machine that has other things to do.
const SHORT: &str = "selftest --time 100ms --conns 20 --max-slip";

#[test]
fn clock_timers_and_rates_are_told() {
    let done = run(&format!("{SHORT} 200ms"));
    assert_eq!(done.exit, 0, "{}\n{:#}", done.complaint, done.json);
    let json = &done.json;
    assert_eq!((&json["schema"], &json["fit"]), (&"loadgen-selftest/1".into(), &true.into()));
    assert_eq!(json["clock"]["steps_back"], 0);
    assert!(json["clock"]["resolution_ns"].as_u64() >= Some(1));
    assert!(json["timer"]["wakes"].as_u64() >= Some(49));
    assert!(json["memory"]["per_second"].as_u64() > Some(0));
    assert_eq!(json["memory"]["sent"], json["memory"]["received"]);
    let largest = &json["loopback"]["largest"];
    assert!(largest["per_second"].as_u64() > Some(0), "{largest}");
    assert_eq!(largest["sent"], largest["received"]);
}

#[test]
fn timers_that_are_not_good_enough_are_named() {
    let output = loadgen(&format!("{SHORT} 0s")).output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{page}");
    for part in ["RESULT    UNFIT", "one timer in a hundred rings", "no rate was kept"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
}
