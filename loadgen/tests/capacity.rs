//! Searches and sweeps with real sockets.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code)] // other tests use more of it
mod support;

use std::path::Path;

use serde_json::Value;
use support::loadgen;

fn result(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_sweep_leaves_a_result_of_every_run() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("new/folder");
    let line = "sweep --conns 10,40 --cores 1,2 --repeats 2 --hold 300ms --plain --seed 5 --out";
    let output = loadgen(line).arg(&out).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut seeds = Vec::new();
    for (conns, cores, repeat) in
        [(10, 1, 1), (10, 1, 2), (10, 2, 1), (10, 2, 2), (40, 1, 1), (40, 1, 2), (40, 2, 2)]
    {
        let json = result(&out.join(format!("sweep-{conns}-conns-{cores}-cores-{repeat}.json")));
        assert_eq!((&json["schema"], &json["plan"]["conns"]), (&"loadgen/1".into(), &conns.into()));
        assert_eq!(json["accounting"]["held"], conns);
        assert_eq!(json["labels"]["sweep.repeat"], repeat.to_string());
        // There may be fewer cores here than were asked for.
        assert!(json["server"]["cores"].as_u64().unwrap() <= cores);
        assert_eq!(json["cost"]["server_hold_cpu_ns"].is_u64(), cfg!(target_os = "linux"));
        seeds.push(json["seed"].as_str().unwrap().to_owned());
    }
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 7, "no two runs are the same");
    let page = String::from_utf8(output.stdout).unwrap();
    for part in ["server user/conn", "2/2 held", "8 of 8 runs"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
}

#[test]
fn a_sweep_that_cannot_be_done_is_refused_before_its_first_run() {
    let directory = tempfile::tempdir().unwrap();
    let output = loadgen("sweep --conns 10,1G --out").arg(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = loadgen("sweep --conns 10,4000M --out").arg(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("connections are not possible"), "{complaint}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
