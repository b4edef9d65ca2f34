//! What is done with results: merging, comparing and fitting those of real runs.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code)] // other tests use more of it
mod support;

use std::path::Path;

use serde_json::Value;
use support::loadgen;

/// Runs echoes against a server of its own, and writes the result to `path`.
fn record(path: &Path, flags: &str) {
    let line = format!(
        "--plain --scenario echo --arrivals constant --rate 20/s --allow-invalid --quiet {flags}"
    );
    let output = loadgen(&line).arg("--json").arg(path).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_result_is_the_same_as_itself_and_a_regression_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).display().to_string();
    record(file("base").as_ref(), "--conns 4 --hold 1s");
    let mut worse = read(file("base").as_ref());
    worse["delivery"]["received"] = 0.into();
    worse["machine"]["cpu"]["cores"] = 64.into();
    std::fs::write(file("worse"), worse.to_string()).unwrap();

    let compare = |line: &str| {
        let output = loadgen(&format!("compare {line}")).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (exit, page) = compare(&format!("{} {}", file("base"), file("base")));
    assert_eq!(exit, Some(0), "{page}");
    assert!(page.contains("NO REGRESSION"), "{page}");
    let (exit, page) = compare(&format!("{} {} --json -", file("base"), file("worse")));
    assert_eq!(exit, Some(1), "{page}");
    let found: Value = serde_json::from_str(&page).unwrap();
    let lines = found["lines"].as_array().unwrap();
    let lost = lines.iter().find(|it| it["figure"] == "messages lost").unwrap();
    assert_eq!((&lost["verdict"], &lost["change"]), (&"worse".into(), &1.0.into()));
    let differs = found["differences"].to_string();
    assert!(differs.contains("machine.cpu.cores: 2 and 64") || differs.contains("and 64"));
    let (exit, _) = compare(&format!("{},{} {}", file("base"), file("base"), file("base")));
    assert_eq!(exit, Some(0));
    assert_eq!(compare(&format!("{} /nowhere.json", file("base"))).0, Some(2));
}

#[test]
fn machines_are_planned_by_runs_that_differ_in_their_number() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).display().to_string();
    record(file("base").as_ref(), "--conns 4 --hold 1s");
    let base = read(file("base").as_ref());
    let mut files = Vec::new();
    for level in 1..=6u64 {
        let mut run = base.clone();
        let conns = level * 1_000;
        run["accounting"]["held"] = conns.into();
        run["cost"]["connections"] = conns.into();
        run["cost"]["kernel_bytes_per_end"] = 4_000.into();
        // A few bytes off the line, to both sides.
        let bytes = 1_000_000 + 600 * conns + level % 2 * 50;
        run["cost"]["server_held"] =
            serde_json::json!({"pss_bytes": bytes, "private_bytes": bytes});
        run["cost"]["server_hold_cpu_ns"] = (conns * 1_000 + level % 3 * 9).into();
        run["delivery"]["published"] = conns.into();
        run["delivery"]["received"] = conns.into();
        run["labels"]["sweep.cores"] = "2".into();
        files.push(file(&level.to_string()));
        std::fs::write(files.last().unwrap(), run.to_string()).unwrap();
    }
    let fit = |files: &[String], flags: &str| {
        let mut command = loadgen(&format!("fit --memory 1GiB --cores 8 {flags}"));
        let output = command.args(files).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (exit, page) = fit(&files, "");
    assert_eq!(exit, Some(0), "{page}");
    for part in ["binding: memory, 87 % of it the kernel's", "2,500,000 users: 28 machines"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("three parameters take 6 different numbers of cores"), "{page}");
    let (_, json) = fit(&files, "--headroom 0% --users 100k --json -");
    let models = &serde_json::from_str::<Value>(&json).unwrap()["models"];
    assert_eq!((&models["planning"]["machines"], &models["usl"]), (&2.into(), &Value::Null));
    assert!((models["linear"]["user"]["b"].as_f64().unwrap() - 600.0).abs() < 1.0);
    assert!(fit(&files[..5], "").1.contains("there are 5"));
    assert_eq!(fit(&["/nowhere.json".to_owned()], "").0, Some(2));
}

#[test]
fn results_are_merged_into_one_that_can_be_merged_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    record(&file("a"), "--conns 4 --hold 1s");
    record(&file("b"), "--conns 6 --hold 1s");
    record(&file("other"), "--conns 4 --hold 2s");
    let merge = |names: &[&str], out: &str| {
        let files = names.iter().map(|name| file(name));
        let mut command = loadgen("merge");
        let output = command.args(files).arg("-o").arg(file(out)).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(merge(&["a", "b"], "ab").0, Some(0));
    assert_eq!(merge(&["ab", "a"], "aba").0, Some(0));
    let (whole, again) = (read(&file("ab")), read(&file("aba")));
    assert_eq!(
        (&whole["accounting"]["held"], &again["accounting"]["held"]),
        (&10.into(), &14.into())
    );
    assert_eq!(whole["latency"]["echo"]["n"], 10 * 20);
    assert_eq!(whole["delivery"]["received"], 10 * 20);
    assert_eq!(again["merged"].as_array().unwrap().len(), 3);
    let held =
        whole["slo"].as_array().unwrap().iter().find(|it| it["expr"] == "connections.held >= 10");
    assert_eq!(held.unwrap()["pass"], true);

    let (exit, complaint) = merge(&["a", "other"], "none");
    assert_eq!(exit, Some(2));
    assert!(complaint.contains("plan.hold_ns is 1000000000 in one and 2000000000"), "{complaint}");
    assert!(!file("none").exists());
}
