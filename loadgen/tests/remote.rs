//! Runs that several workers make, each a process of its own on an address of its own.

#![cfg(target_os = "linux")]
// every 127.x.y.z is ours there
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code)] // other tests use more of it
mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;
use support::{concluded, loadgen};

/// A process that ends with the test, and the first line that it said.
struct Process {
    child: Child,
    line: String,
    /// The server ends with its standard input.
    _input: Option<ChildStdin>,
}

impl Process {
    fn start(line: &str) -> Self {
        let mut command = loadgen(line);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let input = child.stdin.take();
        Self { child, line: said.trim().to_owned(), _input: input }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A server without TLS, and workers on addresses of their own that know a token.
struct Stage {
    directory: tempfile::TempDir,
    workers: Vec<Process>,
    _server: Process,
    server: String,
}

impl Stage {
    fn new(workers: u8) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), "a token of many letters\n").unwrap();
        std::fs::write(directory.path().join("wrong"), "another token, as long\n").unwrap();
        let server = Process::start("serve --conns 300");
        let announced: Value = serde_json::from_str(&server.line).unwrap();
        let address = announced["address"].as_str().unwrap().to_owned();
        let token = directory.path().join("token").display().to_string();
        let worker = |number: u8| {
            Process::start(&format!("worker --listen 127.0.0.{number}:0 --token-file {token}"))
        };
        let workers = (1..=workers).map(worker).collect();
        Self { directory, workers, _server: server, server: format!("ws://{address}") }
    }

    fn names(&self) -> Vec<&str> {
        self.workers.iter().map(|it| it.line.split_whitespace().last().unwrap()).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A run by all workers, whose result goes to standard output.
    fn run(&self, token: &str, line: &str) -> Command {
        let token = self.file(token).display().to_string();
        let workers = self.names().join(",");
        loadgen(&format!(
            "run --workers {workers} --token-file {token} --allow-invalid --json - {line}"
        ))
    }
}

fn sum(json: &Value, name: &str) -> u64 {
    json["accounting"][name].as_u64().unwrap()
}

#[test]
fn three_workers_make_one_run_and_stay_for_the_next() {
    let stage = Stage::new(3);
    let names = stage.names();
    let echo = format!(
        "--conns 10 --scenario echo --arrivals constant --rate 20/s --hold 1s --slo echo.max<=10s \
         {}/echo",
        stage.server
    );
    let done = concluded(&stage.run("token", &echo).output().unwrap());
    assert_eq!(done.exit, 0, "{} {}", done.complaint, done.json["verdict"]);
    let json = &done.json;
    assert_eq!((sum(json, "held"), sum(json, "opened"), sum(json, "pending")), (10, 10, 0));
    assert_eq!(
        (&json["delivery"]["published"], &json["latency"]["echo"]["n"]),
        (&200.into(), &200.into())
    );
    let runs = json["merged"].as_array().unwrap();
    let mut told: Vec<_> = runs.iter().map(|run| run["worker"]["name"].as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, names);
    let mut seeds: Vec<_> = runs.iter().map(|run| run["seed"].as_str().unwrap()).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 3, "each draws for itself");
    for run in runs {
        let error = run["worker"]["clock"]["error_ns"].as_u64().unwrap();
        assert!(error < 1_000_000_000, "{run}");
    }
    let objectives = json["slo"].as_array().unwrap();
    assert!(
        objectives.iter().any(|it| it["expr"] == "connections.held >= 10" && it["pass"] == true)
    );

    let broadcast = format!(
        "--conns 12 --scenario broadcast --publishers 5 --publish-rate 10/s --arrivals constant \
         --hold 1s {}/topics/x",
        stage.server
    );
    let done = concluded(&stage.run("token", &broadcast).output().unwrap());
    assert_eq!(done.exit, 0, "{} {}", done.complaint, done.json["verdict"]);
    let delivery = &done.json["delivery"];
    assert_eq!(delivery["published"], 50, "five publishers, two of them on the second worker");
    assert_eq!((&delivery["expected"], &delivery["received"]), (&600.into(), &600.into()));
    assert_eq!((&delivery["gap"], &delivery["corrupt"]), (&0.into(), &0.into()));
    assert_eq!(delivery["spread"]["whole"], 150, "each publication on each worker");
    assert_eq!(done.json["latency"]["deliver"]["n"], 600);
    let notes = done.json["validity"]["notes"].to_string();
    assert!(notes.contains("corrected by the offsets of their clocks, and known to"), "{notes}");
    for run in done.json["merged"].as_array().unwrap() {
        assert!(run["worker"]["last_recipient_ns"][1].is_u64(), "{run}");
    }
}

#[test]
fn who_does_not_know_the_token_starts_nothing() {
    let stage = Stage::new(1);
    let line = format!("--conns 2 --hold 1s {}/echo", stage.server);
    let done = concluded(&stage.run("wrong", &line).output().unwrap());
    assert_eq!(done.exit, 5, "{}", done.complaint);
    assert!(done.complaint.contains("does not accept our token"), "{}", done.complaint);
    assert!(done.complaint.contains(stage.names()[0]), "{}", done.complaint);
    let done = concluded(&stage.run("token", &line).output().unwrap());
    assert_eq!(done.exit, 0, "it serves those who do: {}", done.complaint);

    let open = loadgen("worker --listen 0.0.0.0:0").env_remove("LOADGEN_TOKEN").output().unwrap();
    assert_eq!(open.status.code(), Some(2));
    let complaint = String::from_utf8_lossy(&open.stderr).into_owned();
    assert!(complaint.contains("can be reached by others: it takes a token"), "{complaint}");
}

#[test]
fn what_a_worker_cannot_do_is_said_with_its_name() {
    let stage = Stage::new(1);
    let done = concluded(&stage.run("token", "--conns 1 ws://127.0.0.1:9/").output().unwrap());
    assert_eq!(done.exit, 5, "{}", done.complaint);
    assert!(done.complaint.contains(&format!("worker {}", stage.names()[0])), "{}", done.complaint);
    let restless =
        format!("--conns 1 --scenario broadcast --lifetime 1s {}/topics/x", stage.server);
    let done = concluded(&stage.run("token", &restless).output().unwrap());
    assert_eq!(done.exit, 2, "{}", done.complaint);
}

/// Runs until all connections are open, does something to it, and waits for its end.
fn disturbed(stage: &Stage, line: &str, disturb: impl FnOnce(&Child)) -> support::Run {
    let mut command = stage.run("token", line);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut screen = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("open 6,") {
        said.clear();
        assert_ne!(screen.read_line(&mut said).unwrap(), 0, "it ended too soon");
    }
    disturb(&child);
    screen.read_to_string(&mut said).unwrap();
    concluded(&child.wait_with_output().unwrap())
}

fn signal(name: &str, child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

#[test]
fn a_worker_that_dies_is_named_and_the_rest_is_told() {
    let stage = Stage::new(2);
    let line = format!("--conns 6 --hold 4s {}/echo", stage.server);
    let done = disturbed(&stage, &line, |_| signal("-KILL", &stage.workers[1].child));
    assert_eq!(done.exit, 4, "{}", done.complaint);
    let name = stage.names()[1];
    assert_eq!((sum(&done.json, "held"), &done.json["validity"]["valid"]), (3, &false.into()));
    let text = done.json["verdict"]["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("PARTIAL: worker {name} was lost")), "{text}");
    let runs = done.json["merged"].as_array().unwrap();
    assert!(
        runs.iter().any(|run| run["worker"]["name"] == name && run["worker"]["lost"].is_string())
    );
}

#[test]
fn an_interrupt_ends_the_run_of_all_and_leaves_the_workers() {
    let stage = Stage::new(2);
    let line = format!("--conns 6 --hold 60s {}/echo", stage.server);
    let done = disturbed(&stage, &line, |child| signal("-INT", child));
    assert_eq!(done.exit, 6, "{}", done.complaint);
    assert_eq!((sum(&done.json, "held"), sum(&done.json, "pending")), (6, 0));
    let line = format!("--conns 6 --hold 1s --start-at 1s {}/echo", stage.server);
    let done = concluded(&stage.run("token", &line).output().unwrap());
    assert_eq!(done.exit, 0, "{}", done.complaint);
}
