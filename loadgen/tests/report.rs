//! The report in a browser: of a real small run, of one that compares, and of a synthetic run of
//! 100,000 that has everything there is to draw. Without Chromium or Node it is skipped, but fails
//! where CI is set.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/strangers.rs"]
mod strangers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use strangers::is_there;

const SIZE_MAX: u64 = 3_000_000;

fn loadgen(arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_loadgen")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// What a browser sees of `pages`; `None` without one.
fn look(pages: &[&Path]) -> Option<Vec<Value>> {
    if !is_there("node") || !is_there("chromium") {
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report/look.mjs");
    let output = Command::new("node").arg(script).args(pages).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?} {complaint}", output.status);
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// What must be true of every page, where `parts` are those that have something to draw.
fn is_sound(seen: &Value, parts: &[&str]) {
    for list in ["complaints", "requests"] {
        assert_eq!(seen[list], json!([]), "{list}");
    }
    assert!(
        seen["overflows"].as_array().unwrap().iter().all(|it| it.as_i64() <= Some(0)),
        "{seen}"
    );
    let drawn = seen["parts"].as_array().unwrap();
    for part in parts {
        let found = drawn.iter().find(|it| it["id"] == *part);
        let plots =
            found.unwrap_or_else(|| panic!("{part} is not drawn"))["plots"].as_array().unwrap();
        assert!(!plots.is_empty(), "{part} has no plot");
        for plot in plots {
            assert!(plot["marks"].as_u64() > Some(0) && plot["named"] == true, "{part}: {plot}");
        }
    }
    // Each table, and the result itself, are given away when they are asked for.
    let given = &seen["given"];
    assert_eq!(
        (given["texts"].as_array().unwrap().len() as u64, &given["empty"]),
        (given["buttons"].as_u64().unwrap(), &0.into())
    );
    assert!(seen["printed"].as_u64() > Some(10_000));
}

/// A small run of everything, with a name that would break out of a page that is not careful.
fn small(directory: &Path, name: &str, conns: &str) -> PathBuf {
    let path = directory.join(name).with_extension("json");
    let html = path.with_extension("html");
    let [json_to, html_to] = [&path, &html].map(|path| path.to_str().unwrap());
    let label = "of=<script>document.title='broken'</script>";
    loadgen(&[
        "--conns",
        conns,
        "--mix",
        "idle=1,echo=1,broadcast=1",
        "--rate",
        "20/s",
        "--publish-rate",
        "10/s",
        "--hold",
        "3s",
        "--warmup",
        "300ms",
        "--tick",
        "100ms",
        "--ramp",
        "60/s",
        "--allow-invalid",
        "--quiet",
        "--label",
        label,
        "--json",
        json_to,
        "--html",
        html_to,
    ]);
    path
}

/// The result of a small run, blown up to one of 100,000 over `seconds` with all there can be in it.
fn blown_up(mut run: Value, seconds: u64) -> Value {
    let columns: Vec<String> = serde_json::from_value(run["series"]["columns"].clone()).unwrap();
    let row = |t: u64| -> Vec<Value> {
        let open = (t * 4_000).min(100_000);
        let value = |column: &String| match column.as_str() {
            "t_ns" => t * 1_000_000_000,
            "open" => open,
            "pending" => {
                if open < 100_000 {
                    512
                } else {
                    0
                }
            }
            "srv_rss" => 20_000_000 + open * 7_000 + t % 7 * 100_000,
            "self_rss" => 30_000_000 + open * 3_000,
            "kernel_slab" => 400_000_000 + open * 5_000,
            "kernel_tcp" => 4_000_000,
            "srv_cpu_ns" | "self_cpu_ns" => 300_000_000 + t * 7_919 % 100_000_000,
            name if name.ends_with("_ns") => 100_000 + t * 7_919 % 900_000,
            name if name.ends_with("_permille") => 300 + t * 37 % 500,
            _ => t * 31 % 1_000,
        };
        columns.iter().map(|column| value(column).into()).collect()
    };
    run["series"]["tick_ns"] = 1_000_000_000.into();
    run["series"]["rows"] = (1..=seconds).map(row).collect();
    let heat = |t: u64| -> Value {
        let buckets =
            (200..400).map(|bucket: u64| (bucket.to_string(), (t * bucket % 5_000).into()));
        Value::Object(buckets.collect())
    };
    run["series"]["heat"]["ticks"] = (1..=seconds).map(heat).collect();
    let classes = ["timeout", "refused", "tls handshake", "http 503", "server 1013"];
    let event = |(t, class): (u64, &&str)| json!({"t_ns": t * 1_000_000_000, "class": class, "count": t % 9 + 1});
    run["series"]["events"] = (1..=seconds).zip(classes.iter().cycle()).map(event).collect();
    run["plan"]["conns"] = 100_000.into();
    let phase = |name: &str, from: u64, to: u64| json!({"name": name, "from_ns": from * 1_000_000_000, "to_ns": to * 1_000_000_000});
    run["plan"]["phases"] = json!([
        phase("ramp", 0, 25),
        phase("hold", 25, seconds - 2),
        phase("drain", seconds - 2, seconds)
    ]);
    let step = |(trial, n): (usize, u64)| {
        json!({
            "phase": "bisect", "n": n, "trial": trial, "hold_s": 20.0, "from_ns": 0, "to_ns": 1, "fresh": false,
            "pass": n < 97_000, "pass_zero": n < 95_000, "binding": (n >= 97_000).then_some("server.cpu"),
            "reasons": [], "metrics": {}, "slo": []
        })
    };
    let steps = [30_000, 45_000, 67_500, 101_250, 82_000, 91_000, 97_000, 94_000];
    run["capacity"] = json!({
        "axis": "conns", "unit": "connections", "quick": false, "max": 200_000,
        "steps": steps.into_iter().enumerate().map(step).collect::<Vec<_>>(),
        "n_zero": [94_000, 97_000], "n_slo": [94_000, 97_000], "verify": null, "binding": "server.cpu",
        "reason": "The server's CPU was busy for 93 % of the hold.", "hysteresis": false, "notes": []
    });
    let points: Vec<[f64; 2]> =
        (1..=6).map(|n| f64::from(n) * 5_000.0).map(|x| [x, 2e7 + 7e3 * x]).collect();
    run["models"] = json!({
        "linear": {"memory": {
            "unit": "bytes", "a": 2e7, "se_a": 1e6, "b": 7e3, "se_b": 60.0, "terms": [], "r2": 0.999,
            "range": [5e3, 3e4], "points": points, "curvature_chance": 0.4, "is_straight": true,
            "limit": 1.2e9, "conns": 168_000.0, "conns_within": [160_000.0, 176_000.0]
        }},
        "refusals": {"usl": "two cores are too few"}, "usl": null, "planning": null
    });
    run
}

#[test]
fn reports_are_drawn_in_a_browser_without_a_complaint_or_a_request() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (run, base) = (small(directory.path(), "run", "90"), small(directory.path(), "base", "60"));
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let beside = at("beside.html");
    loadgen(&["report", &text(&run), &text(&base), "-o", &text(&beside)]);
    let large = at("large.json");
    let small: Value = serde_json::from_slice(&fs::read(&run).unwrap()).unwrap();
    fs::write(&large, blown_up(small, 400).to_string()).unwrap();
    loadgen(&["report", &text(&large)]);
    let pages = [run.with_extension("html"), beside, large.with_extension("html")];
    for page in &pages {
        assert!(fs::metadata(page).unwrap().len() < SIZE_MAX, "{}", page.display());
    }
    let Some(seen) = look(&pages.each_ref().map(PathBuf::as_path)) else { return };
    let always = [
        "connections",
        "percentiles",
        "heat",
        "establish",
        "fanout",
        "memory",
        "cores",
        "generator",
    ];
    let scripts = [3, 4, 3];
    for (seen, scripts) in seen.iter().zip(scripts) {
        is_sound(seen, &always);
        assert_eq!(seen["scripts"], scripts, "one is ours, the others are data");
    }
    assert_eq!(
        seen[0]["told"],
        json!(["capacity", "errors", "models"]),
        "what a small run has nothing for"
    );
    is_sound(&seen[2], &["capacity", "errors", "models"]);
    assert_eq!(seen[2]["told"], json!([]));
    let csv = seen[2]["given"]["texts"][0].as_str().unwrap();
    assert!(csv.starts_with("time (s),open,pending,"), "{}", &csv[..60]);
}

#[test]
fn a_page_needs_a_result_and_a_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.json");
    fs::write(&path, "{}").unwrap();
    for (result, out, exit, reason) in [
        (path.to_str().unwrap(), "x.html", 2, "none.json is no result of loadgen"),
        ("/nowhere.json", "x.html", 2, "/nowhere.json is no result of loadgen"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        let output = command.args(["report", result, "-o", out]).output().unwrap();
        assert_eq!(output.status.code(), Some(exit));
        assert!(String::from_utf8_lossy(&output.stderr).contains(reason), "{output:?}");
    }
}
