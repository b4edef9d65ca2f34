//! What a check finds on this machine, and what it does with it.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code)] // other tests use more of it
mod support;

use std::fs;
use std::process::Command;

use serde_json::Value;
use support::{Run, answering, echo, loadgen, run, server};

/// The finding of that name.
fn finding<'a>(done: &'a Run, name: &str) -> &'a Value {
    let findings = done.json["findings"].as_array().unwrap();
    findings.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name}: {findings:?}"))
}

fn level(done: &Run, name: &str) -> String {
    finding(done, name)["level"].as_str().unwrap().to_owned()
}

#[test]
fn the_server_brought_along_passes_every_look_at_it() {
    let done = run("check --conns 100 --scenario echo");
    assert_eq!(done.json["schema"], "loadgen-check/1", "{}", done.complaint);
    for name in [
        "server reachable",
        "certificate",
        "TLS resumption",
        "WebSocket opens",
        "one message comes back",
        "open files (hard limit)",
        "source ports",
    ] {
        assert_eq!(level(&done, name), "ok", "{}", finding(&done, name));
    }
    assert_eq!(done.exit, 0, "{:#}", done.json);
    if cfg!(target_os = "linux") {
        assert_eq!(level(&done, "the server's queue"), "ok");
    }
}

#[test]
fn a_good_server_without_tls_is_good_and_one_that_is_mute_is_not() {
    let url = server(|_, message, out| echo(message, out));
    let done = run(&format!("check --conns 10 --scenario echo {url}"));
    assert_eq!((level(&done, "one message comes back"), done.exit), ("ok".to_owned(), 0));
    let mute = server(|_, _, _| {});
    let done = run(&format!("check --conns 10 --scenario echo {mute}"));
    assert_eq!((level(&done, "one message comes back"), done.exit), ("fail".to_owned(), 3));
    // Who only holds connections needs no echo.
    let done = run(&format!("check --conns 10 {mute}"));
    assert_eq!((level(&done, "one message comes back"), done.exit), ("ok".to_owned(), 0));
}

#[test]
fn what_stands_in_the_way_is_named_and_exits_with_3() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = "HTTP/1.1 403 Forbidden\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n";
    for (url, name, why) in [
        (format!("ws://{unused}/"), "server reachable", "refused"),
        (answering(gate), "WebSocket opens", "403"),
    ] {
        let done = run(&format!("check --conns 10 {url}"));
        assert_eq!((level(&done, name), done.exit), ("fail".to_owned(), 3), "{name}");
        let found = finding(&done, name)["why"].as_str().unwrap();
        assert!(found.contains(why), "{found}");
    }
    let done = run(&format!("check --conns 10 {}", answering(gate)));
    assert_eq!(finding(&done, "proxy in between")["found"], "server: nginx");
}

#[test]
fn a_certificate_that_does_not_verify_is_found() {
    let own = run("check --conns 10");
    assert_eq!(level(&own, "certificate"), "ok");
    let plain = server(|_, message, out| echo(message, out));
    let secure = plain.replace("ws://", "wss://");
    // Whoever speaks no TLS at all cannot prove anything.
    let done = run(&format!("check --conns 10 --insecure {secure}"));
    assert_eq!((level(&done, "certificate"), done.exit), ("fail".to_owned(), 3));
}

#[test]
fn more_than_this_machine_holds_is_found_with_the_command_that_mends_it() {
    let url = server(|_, message, out| echo(message, out));
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("mend.sh");
    let mut command = loadgen(&format!("check --conns 4M --threads 1 {url} --json -"));
    let output = command.arg("--fix-script").arg(&script).output().unwrap();
    let done = support::concluded(&output);
    assert_eq!((done.exit, level(&done, "open files (hard limit)").as_str()), (3, "fail"));
    let found = finding(&done, "open files (hard limit)");
    let needed = found["needed"].as_u64().unwrap();
    assert!(needed > 4_000_000 && found["found"].as_u64().unwrap() < needed);
    let command = found["mend"]["command"].as_str().unwrap();
    assert_eq!(command, format!("prlimit --pid $$ --nofile={needed}:{needed}"));
    let text = fs::read_to_string(&script).unwrap();
    assert!(text.contains(&format!("hard nofile {needed}")), "{text}");
    // A shell can read it. What it says is for somebody else to do.
    let shell = Command::new("sh").arg("-n").arg(&script).output().unwrap();
    assert!(shell.status.success(), "{shell:?}\n{text}");
}

#[test]
fn people_are_told_in_lines() {
    let output = loadgen("check --conns 10 --plain").output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    for part in ["10 connections to ws://127.0.0.1:", "ok       server reachable", " unknown, "] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    let quiet = loadgen("check --conns 10 --plain --quiet").output().unwrap();
    assert_eq!(quiet.stdout.len(), 0);
}

#[test]
fn a_run_that_cannot_succeed_is_refused_with_the_command_that_mends_it() {
    let output = loadgen("--conns 1M --threads 1 ws://127.0.0.1:1/").output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{complaint}");
    assert!(complaint.contains("as root: prlimit --pid $$ --nofile="), "{complaint}");
}
