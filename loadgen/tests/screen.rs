//! The live screen at a real terminal: its keys, and that the terminal is given back however a run
//! ends. Python makes the terminal; without it these tests are skipped, but fail where CI is set.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/strangers.rs"]
mod strangers;

use std::process::Command;

use serde_json::Value;
use strangers::is_there;

/// Runs loadgen with the arguments of `line` in a terminal, where `steps` say what to do when
/// something is seen. `None` without Python.
fn sit(size: [&str; 2], steps: &[[&str; 2]], line: &str) -> Option<Value> {
    if !is_there("python3") {
        return None;
    }
    let script: Vec<_> = steps.iter().map(|[seen, deed]| format!("{seen}\t{deed}")).collect();
    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/screen/sit.py"))
        .args(size)
        .args([script.join("\n").as_str(), env!("CARGO_BIN_EXE_loadgen")])
        .args(line.split_whitespace())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn is_given_back(end: &Value) {
    assert_eq!((&end["restored"], &end["hidden"]), (&true.into(), &false.into()), "{end}");
    assert_eq!((&end["entered"], &end["left"]), (&1.into(), &1.into()), "{end}");
}

#[test]
fn keys_write_a_snapshot_resize_and_end_the_run_as_an_interrupt_would() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.json");
    let line = format!("--conns 50 --plain --hold 50s --tick 200ms --json {}", path.display());
    // Each answer stands in the last line, which is drawn anew.
    let steps =
        [["hold", "key s"], ["wrote", "key -"], ["45", "key -"], ["41", "key +"], ["45", "key q"]];
    let Some(end) = sit(["30", "100"], &steps, &line) else { return };
    is_given_back(&end);
    assert_eq!(end["exit"], 6);
    let read = |path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let snapshot = read(path.with_extension("snapshot-1.json"));
    assert_eq!(
        (&snapshot["verdict"]["exit"], &snapshot["schema"]),
        (&6.into(), &"loadgen/1".into())
    );
    assert_eq!(snapshot["accounting"]["opened"], 50);
    let last = read(path);
    assert_eq!(last["verdict"]["exit"], 6);
    assert!(last["accounting"]["attempted"].as_u64() >= Some(50));
    assert!(last["validity"]["notes"].to_string().contains("resized by hand"));
    assert_eq!(last["cost"]["server_bytes_per_conn"], Value::Null);
}

#[test]
fn the_terminal_is_given_back_whatever_ends_the_run() {
    let line = "--conns 20 --plain --hold 50s --tick 200ms";
    for (steps, exit) in [
        (vec![["hold", "signal TERM"]], 6),
        (vec![["hold", "signal INT"]], 6),
        (vec![["hold", "key \u{3}"]], 6),
        (vec![["hold", "signal HUP"]], -1),
    ] {
        let Some(end) = sit(["24", "80"], &steps, line) else { return };
        is_given_back(&end);
        assert_eq!(end["exit"], exit, "{steps:?}");
    }
}

#[test]
fn a_run_that_ends_by_itself_leaves_the_terminal_and_no_tui_never_takes_it() {
    let line = "--conns 20 --plain --hold 1s --allow-invalid";
    let Some(end) = sit(["24", "60"], &[], line) else { return };
    is_given_back(&end);
    assert_eq!(end["exit"], 0, "{end}");
    let lines = sit(["24", "80"], &[], &format!("{line} --no-tui")).unwrap();
    assert_eq!((&lines["entered"], &lines["exit"]), (&0.into(), &0.into()));
    assert!(lines["seen"].as_str().unwrap().contains("open 20 of 20"), "{lines}");
}
