//! Searches and sweeps with real sockets.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code)] // other tests use more of it
mod support;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use support::{Running, address, echo, is_gone, listening, loadgen, run};

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

/// What is left of a search of at most a few seconds.
fn search(line: &str) -> support::Run {
    run(&format!("capacity --trial 300ms --settle 50ms --verify-hold 500ms {line}"))
}

/// The same where nothing is timed strictly, as other tests take the machine's CPU.
fn relaxed(line: &str) -> support::Run {
    search(&format!("--allow-invalid --verify-trials 2 {ECHO} --slo echo.p50<=1m {line}"))
}

const ECHO: &str = "--scenario echo --rate 20/s --arrivals constant";

/// A server that echoes, and turns away who comes when `most` are there.
fn full_at(most: usize) -> String {
    let there = Arc::new(AtomicUsize::new(0));
    listening(move |mut stream| {
        if there.fetch_add(1, Ordering::SeqCst) >= most {
            turn_away(&mut stream);
        } else {
            support::serve(stream, |_, message, out| echo(message, out));
        }
        there.fetch_sub(1, Ordering::SeqCst);
    })
}

fn turn_away(stream: &mut std::net::TcpStream) {
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
}

/// Whether the server of [`stuck_at`] is stuck.
static IS_STUCK: AtomicBool = AtomicBool::new(false);

/// The same, but when it has once been full it answers nobody until all have gone.
fn stuck_at(most: usize) -> String {
    let there = Arc::new(AtomicUsize::new(0));
    listening(move |mut stream| {
        let before = there.fetch_add(1, Ordering::SeqCst);
        if before == 0 {
            IS_STUCK.store(false, Ordering::SeqCst);
        }
        if before >= most {
            IS_STUCK.store(true, Ordering::SeqCst);
            turn_away(&mut stream);
        } else {
            support::serve(stream, |_, message, out| {
                if !IS_STUCK.load(Ordering::SeqCst) {
                    echo(message, out);
                }
            });
        }
        there.fetch_sub(1, Ordering::SeqCst);
    })
}

/// Both ends of the bracket that was found, which encloses `truth`.
fn bracket(capacity: &Value, truth: u64) -> [u64; 2] {
    let [low, high] = [0, 1].map(|end| capacity["n_slo"][end].as_u64().unwrap());
    assert!(low <= truth && truth < high, "{low} {high}: {capacity}");
    assert!((high - low) * 100 <= low * 3 + 100, "{low} {high}: {capacity}");
    [low, high]
}

fn phases(capacity: &Value) -> Vec<&str> {
    capacity["steps"].as_array().unwrap().iter().map(|it| it["phase"].as_str().unwrap()).collect()
}

#[test]
fn a_server_that_turns_away_is_bracketed_to_the_last_connection() {
    let url = full_at(60);
    let done = relaxed(&format!("--start 20 --max 1k --recovery 0s {url}"));
    let capacity = &done.json["capacity"];
    assert_eq!(done.exit, 0, "{} {capacity}", done.complaint);
    let [low, _] = bracket(capacity, 60);
    assert_eq!(
        (&capacity["n_zero"], &capacity["binding"]),
        (&capacity["n_slo"], &"server.refused".into())
    );
    assert!(capacity["reason"].as_str().unwrap().contains("http 503"), "{}", capacity["reason"]);
    let verify = &capacity["verify"];
    assert_eq!(
        (&verify["passes"], &verify["trials"], &verify["n"]),
        (&2.into(), &2.into(), &low.into())
    );
    assert!((verify["p_pass_low95"].as_f64().unwrap() - 0.05_f64.sqrt()).abs() < 1e-9);
    assert!(verify["spread"]["echo_p50_ns"].is_array());
    let phases = phases(capacity);
    for phase in ["grow", "bracket", "bisect", "verify"] {
        assert!(phases.contains(&phase), "{phase}: {phases:?}");
    }
    // All the rest tells of a trial of the number that was found.
    assert_eq!(
        (&done.json["plan"]["conns"], &done.json["accounting"]["held"]),
        (&low.into(), &low.into())
    );
    assert_eq!(done.json["accounting"]["balanced"], true);
    assert_eq!(capacity["hysteresis"], false);
}

#[test]
fn an_overload_that_outlasts_its_load_is_told_and_the_server_restarted() {
    let url = stuck_at(60);
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("restarted");
    let line = format!("--start 20 --max 1k --recovery 0s {url} --server-restart-cmd");
    let mut command = loadgen(&format!(
        "capacity --trial 300ms --settle 50ms --verify-hold 500ms --drain 300ms --allow-invalid \
         --verify-trials 2 {ECHO} --slo echo.p50<=1m {line}"
    ));
    command.arg(format!("echo again >> {}", mark.display())).args(["--json", "-"]);
    let done = support::concluded(&command.output().unwrap());
    let capacity = &done.json["capacity"];
    assert_eq!(done.exit, 0, "{} {capacity}", done.complaint);
    assert_eq!(capacity["hysteresis"], true, "{capacity}");
    bracket(capacity, 60);
    let restarts = std::fs::read_to_string(mark).unwrap().lines().count();
    let fresh = capacity["steps"].as_array().unwrap().iter().filter(|step| step["fresh"] == true);
    assert_eq!(restarts, fresh.count());
}

#[test]
fn what_never_fails_is_said_to_lie_above() {
    for (line, unit, max) in [
        (
            "--max 60 --start 40 --scenario echo --rate 20/s --slo echo.p50<=1m --recovery 1500ms",
            "connections",
            60,
        ),
        (
            "--axis rate --conns 20 --start 400 --max 900 --arrivals constant --slo echo.p50<=1m \
             --recovery 0s",
            "messages a second",
            900,
        ),
        (
            "--axis subscribers --start 20 --max 40 --arrivals constant --slo deliver.p50<=1m \
             --recovery 0s",
            "subscribers",
            40,
        ),
    ] {
        let done = search(&format!("{line} --plain --allow-invalid --quick"));
        let capacity = &done.json["capacity"];
        assert_eq!(done.exit, 0, "{line}: {} {capacity}", done.complaint);
        assert_eq!(capacity["n_slo"], serde_json::json!([max, null]), "{line}");
        assert_eq!((&capacity["binding"], &capacity["unit"]), (&Value::Null, &unit.into()));
        assert_eq!((&capacity["quick"], &capacity["verify"]["trials"]), (&true.into(), &2.into()));
        let text = done.json["verdict"]["text"].as_str().unwrap();
        assert!(text.contains("lies above --max"), "{text}");
        let steps = capacity["steps"].as_array().unwrap();
        let stormy = steps.iter().filter(|step| step["metrics"]["storm_back"].is_u64()).count();
        assert_eq!(stormy, if unit == "connections" { 2 } else { 0 }, "{line}");
        assert!(
            is_gone(address(done.json["plan"]["url"].as_str().unwrap())),
            "its server lives on"
        );
        if unit == "messages a second" {
            let sent = steps[0]["metrics"]["sent"].as_u64().unwrap();
            assert!((100..=140).contains(&sent), "400 a second for 300 ms: {sent}");
        }
    }
}

/// A server of our own that may have so many files open.
#[cfg(target_os = "linux")]
fn with_files(limit: u64) -> (std::process::Child, String) {
    use std::io::BufRead;
    let serve =
        format!("ulimit -n {limit}; exec {} serve --conns 100", env!("CARGO_BIN_EXE_loadgen"));
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(serve).stdin(std::process::Stdio::piped());
    let mut server = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    (server, format!("ws://{}/echo", said["address"].as_str().unwrap()))
}

#[test]
#[cfg(target_os = "linux")]
fn the_limit_of_open_files_is_named() {
    let (mut server, url) = with_files(300);
    let done =
        relaxed(&format!("--start 100 --max 2k --recovery 0s --server-pid {} {url}", server.id()));
    drop(server.stdin.take());
    server.wait().unwrap();
    let capacity = &done.json["capacity"];
    assert_eq!(done.exit, 0, "{} {capacity}", done.complaint);
    assert_eq!(capacity["binding"], "server.files", "{}", capacity["reason"]);
    let [low, high] = [0, 1].map(|end| capacity["n_slo"][end].as_u64().unwrap());
    assert!(
        200 < low && low < high && high < 300 && (high - low) * 100 <= low * 3 + 100,
        "{low} {high}"
    );
    assert!(capacity["reason"].as_str().unwrap().contains("of 300 files open"));
}

#[test]
fn an_interrupted_search_tells_what_it_found_and_leaves_no_server() {
    // The first trial, and one that verifies.
    let line = "capacity --plain --start 10 --max 10 --trial 300ms --settle 50ms --verify-hold 1h \
                --allow-invalid --slo ping.p50<=1m";
    for (stage, steps) in [("trial", 0), ("grow", 1)] {
        let running = Running::until(stage, line);
        running.signal("-INT");
        let done = running.end();
        let capacity = &done.json["capacity"];
        assert_eq!(done.exit, 6, "{stage}: {} {capacity}", done.complaint);
        assert_eq!(capacity["steps"].as_array().unwrap().len(), steps, "{stage}");
        assert_eq!(capacity["n_slo"][0], Value::Null, "nothing was verified");
        assert_eq!(done.json["accounting"]["balanced"], true);
        assert!(
            is_gone(address(done.json["plan"]["url"].as_str().unwrap())),
            "its server lives on"
        );
    }
}

#[test]
fn a_search_that_makes_no_sense_is_refused() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (line, exit, sentence) in [
        ("--conns 10".to_owned(), 2, "--max"),
        ("--start 9 --max 5".to_owned(), 2, "--start must be"),
        ("--axis subscribers --scenario echo".to_owned(), 2, "needs another scenario"),
        ("--server-restart-cmd true".to_owned(), 2, "URL"),
        ("--max 4000M".to_owned(), 3, "connections are not possible"),
        (format!("ws://{unused}/"), 5, "refused"),
    ] {
        let output = loadgen(&format!("capacity {line}")).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{line}: {complaint}");
        assert!(complaint.contains(sentence), "{line}: {complaint}");
    }
}

#[test]
fn a_page_tells_the_ladder_and_the_bracket() {
    let url = full_at(30);
    let line = format!(
        "--start 20 --max 100 --recovery 0s --verify-trials 1 --allow-invalid {ECHO} {url}"
    );
    let line = format!(
        "capacity --trial 300ms --settle 50ms --verify-hold 300ms --slo echo.p50<=1m {line}"
    );
    let output = loadgen(&line).output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    for part in [
        "capacity in connections up to 100",
        "grow",
        "the server turns connections away",
        "RESULT      CAPACITY: 30 connections held, 31 did not",
        "n_slo       [30, 31] connections",
        "Verified    1 of 1 trials of 30 connections",
        "Broke first the server turns connections away at 31 connections",
        "a lower bound",
    ] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
}
