//! Real runs: against the server that is brought along, and against servers that misbehave.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use serde_json::Value;
use support::{Running, address, answering, echo, is_gone, is_sound, loadgen, run, server};

#[test]
fn idle_connections_are_held_over_tls_and_plain() {
    for (flag, has_tls) in [("", true), ("--plain", false)] {
        let done = run(&format!("--conns 200 --hold 1s --seed 7 {flag}"));
        assert_eq!(done.exit, 0, "{}", done.complaint);
        let json = &done.json;
        is_sound(json);
        assert_eq!(json["accounting"]["held"], 200);
        assert_eq!(json["accounting"]["closed"]["ours"], 200);
        assert_eq!(json["latency"]["tls"].is_object(), has_tls);
        for phase in ["tcp", "upgrade", "establish"] {
            assert_eq!(json["latency"][phase]["n"], 200, "{phase}");
        }
        // What was not measured is unknown, and not zero.
        assert_eq!(json["latency"]["echo"], Value::Null);
        assert_eq!(json["delivery"], Value::Null);
        assert_eq!(json["seed"], "7");
        assert!(is_gone(address(json["plan"]["url"].as_str().unwrap())), "its server lives on");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_cost_of_a_connection_is_known_on_linux() {
    let json = run("--conns 200 --hold 1s").json;
    for name in ["server_bytes_per_conn", "kernel_bytes_per_end", "server_hold_cpu_ns"] {
        assert!(json["cost"][name].is_u64(), "{name}");
    }
    assert_eq!(
        (&json["cost"]["ends_here"], &json["validity"]["co_located"]),
        (&2.into(), &true.into())
    );
}

#[test]
fn every_echo_comes_back() {
    let done = run(
        "--conns 20 --scenario echo --arrivals constant --rate 50/s --hold 1s --payload 200 --allow-invalid",
    );
    assert_eq!(done.exit, 0, "{}", done.complaint);
    is_sound(&done.json);
    let delivery = &done.json["delivery"];
    // By the schedule, whatever the machine had to do beside.
    assert_eq!(delivery["published"], 20 * 50);
    assert_eq!(delivery["received"], delivery["published"]);
    let latency = &done.json["latency"];
    assert!(latency["echo"]["max"].as_u64() >= latency["echo_uncorrected"]["max"].as_u64());
}

#[test]
fn deflated_echoes_come_back_as_they_were() {
    let done = run(
        "--conns 5 --scenario echo --arrivals constant --rate 20/s --hold 1s --payload 4000 --plain \
         --allow-invalid --deflate",
    );
    assert_eq!(done.exit, 0, "{}", done.complaint);
    is_sound(&done.json);
    let delivery = &done.json["delivery"];
    assert_eq!((&delivery["received"], &delivery["corrupt"]), (&100.into(), &0.into()));
}

#[test]
fn every_publication_reaches_every_subscriber() {
    let done = run(
        "--conns 50 --scenario broadcast --arrivals constant --publishers 2 --publish-rate 20/s --hold 1s \
         --allow-invalid --plain",
    );
    assert_eq!(done.exit, 0, "{}", done.complaint);
    is_sound(&done.json);
    let delivery = &done.json["delivery"];
    assert_eq!((&delivery["published"], &delivery["received"]), (&40.into(), &2_000.into()));
    let latency = &done.json["latency"];
    assert_eq!(
        (&latency["deliver"]["n"], &latency["last_recipient"]["n"]),
        (&2_000.into(), &40.into())
    );
    assert!(
        latency["first_recipient"]["p"]["50"].as_u64()
            <= latency["last_recipient"]["p"]["50"].as_u64()
    );
}

#[test]
fn a_result_carries_everything_and_can_be_done_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("result.json");
    let line = "--conns 20 --scenario echo --arrivals constant --rate 50/s --hold 1s --warmup 200ms --plain --tick 100ms";
    let more = ["--label", "of=a test", "--allow-invalid", "--json", path.to_str().unwrap()];
    let output = loadgen(line).args(more).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let first: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    is_sound(&first);
    assert_eq!(first["labels"]["of"], "a test");
    for name in ["echo", "echo_uncorrected", "tcp", "upgrade", "establish", "schedule_slip"] {
        assert!(first["latency"][name]["hdr_v2_deflate_b64"].is_string(), "{name}");
    }
    // A second's worth is timed; what was sent to warm up came back, too, and is not.
    assert_eq!(first["latency"]["echo"]["n"], 20 * 50);
    assert_eq!(first["delivery"]["received"], 20 * 60);
    let series = &first["series"];
    let rows = series["rows"].as_array().unwrap();
    let columns = series["columns"].as_array().unwrap().len();
    assert!(rows.len() >= 10 && rows.iter().all(|row| row.as_array().unwrap().len() == columns));
    assert!(first["machine"]["limits"]["nofile"][1].is_u64());
    let again = run(&format!("run --replay {}", path.display()));
    assert_eq!(again.exit, 0, "{}", again.complaint);
    assert_eq!((&again.json["seed"], &again.json["plan"]["conns"]), (&first["seed"], &20.into()));
    assert_eq!(again.json["delivery"]["published"], first["delivery"]["published"]);
}

#[test]
fn a_mixture_does_each_part_and_pings_are_answered() {
    let line = "--conns 40 --mix idle=2,echo=1,broadcast=1 --rate 20/s --publish-rate 10/s \
         --arrivals constant --heartbeat 100ms --hold 1s --allow-invalid";
    let done = run(line);
    assert_eq!(done.exit, 0, "{}", done.complaint);
    is_sound(&done.json);
    let delivery = &done.json["delivery"];
    // Ten echo twenty times, and one publishes ten times to ten.
    assert_eq!((&delivery["published"], &delivery["received"]), (&210.into(), &300.into()));
    assert_eq!((&delivery["expected"], &delivery["gap"]), (&300.into(), &0.into()));
    let latency = &done.json["latency"];
    for (name, n) in [("echo", 200), ("deliver", 100), ("last_recipient", 10), ("ping", 400)] {
        assert_eq!(latency[name]["n"], n, "{name}");
    }
    assert_eq!(done.json["heartbeats"]["answered"], 400);
}

#[test]
fn connections_come_from_where_they_are_told_to() {
    for (source, addresses) in [("127.0.7.0/30", 2.into()), ("none", serde_json::Value::Null)] {
        let done = run(&format!("--conns 20 --plain --hold 1s --allow-invalid --source {source}"));
        assert_eq!(done.exit, 0, "{source}: {}", done.complaint);
        assert_eq!(done.json["plan"]["source_addresses"], addresses, "{source}");
        assert_eq!(done.json["accounting"]["opened"], 20, "{source}");
    }
}

#[test]
fn a_storm_comes_back_and_breaks_nothing() {
    let line = "--conns 40 --scenario echo --rate 20/s --storm 50%/200ms --hold 2s --allow-invalid";
    for (reconnect, returns) in [("none", 0), ("fixed", 20), ("exp-jitter", 20)] {
        let done = run(&format!("{line} --reconnect {reconnect}"));
        assert_eq!(done.exit, 0, "{reconnect}: {}", done.complaint);
        is_sound(&done.json);
        let accounting = &done.json["accounting"];
        assert_eq!(accounting["closed"]["planned"], 20, "{reconnect}");
        assert_eq!(accounting["opened"], 40 + returns, "{reconnect}");
        assert_eq!(done.json["delivery"]["gap"], 0, "{reconnect}");
        let timed = done.json["latency"]["return"]["n"].as_u64();
        assert_eq!(timed.unwrap_or(0), returns, "{reconnect}");
    }
}

#[test]
fn an_objective_decides_how_a_run_ends() {
    let line = "--conns 40 --scenario echo --arrivals constant --rate 50/s --hold 1s --plain --allow-invalid --slo";
    for (slo, exit, state) in [
        ("echo.p99<=1m", 0, "held"),
        ("echo.p50<=1us", 1, "broken"),
        ("echo.p99.9<=1m", 1, "unclear"),
        ("last_recipient.p50<=1s", 1, "unknown"),
    ] {
        let done = run(&format!("{line} {slo}"));
        assert_eq!(done.exit, exit, "{slo}: {}", done.complaint);
        let judged = done.json["slo"].as_array().unwrap().last().unwrap();
        assert_eq!((&judged["state"], &judged["pass"]), (&state.into(), &(exit == 0).into()));
    }
    let done = run(&format!("{line} echo.p99"));
    assert_eq!((done.exit, done.complaint.contains("NAME <= LIMIT")), (2, true));
}

#[test]
fn connections_keep_the_pace_that_was_asked_for() {
    let json = run("--conns 100 --ramp 200/s --hold 1s --plain").json;
    is_sound(&json);
    let ramp = &json["plan"]["phases"][0];
    let ramp_ns = ramp["to_ns"].as_u64().unwrap() - ramp["from_ns"].as_u64().unwrap();
    assert!(ramp_ns >= 495_000_000, "{ramp_ns}");
}

#[test]
fn faults_of_the_server_are_counted_exactly() {
    type Fault = (&'static str, support::Behaviour);
    let faults: [Fault; 4] = [
        ("gap", |number, message, out| {
            if number != 30 {
                echo(message, out);
            }
        }),
        ("dup", |number, message, out| {
            echo(message, out);
            if number == 30 {
                echo(message, out);
            }
        }),
        ("corrupt", |number, message, out| {
            if number == 30 {
                // The damaged one, and the true one after it: so nothing is lost.
                let mut damaged = message.to_vec();
                damaged[50] ^= 1;
                echo(&damaged, out);
            }
            echo(message, out);
        }),
        ("foreign", |number, message, out| {
            if number == 30 {
                echo(b"good morning", out);
            }
            echo(message, out);
        }),
    ];
    for (name, behaviour) in faults {
        let url = server(behaviour);
        let line =
            "--conns 3 --scenario echo --arrivals constant --rate 100/s --hold 500ms --drain 500ms";
        let done = run(&format!("{line} --allow-invalid {url}"));
        is_sound(&done.json);
        assert_eq!(done.exit, i32::from(name != "foreign"), "{name}: {}", done.complaint);
        for fault in ["gap", "dup", "reorder", "corrupt", "foreign"] {
            let expected = if fault == name { 3 } else { 0 };
            assert_eq!(done.json["delivery"][fault], expected, "{fault} while planting {name}");
        }
    }
}

#[test]
fn a_connection_that_the_server_closes_breaks_the_run() {
    let url = server(|number, message, out| {
        if number == 3 {
            corecast::ws::encoder::encode_close(out, corecast::ws::CloseCode::GOING_AWAY, "");
        } else {
            echo(message, out);
        }
    });
    let line = "--conns 2 --scenario echo --arrivals constant --rate 50/s --hold 500ms --drain 100ms --allow-invalid";
    let done = run(&format!("{line} {url}"));
    is_sound(&done.json);
    assert_eq!(done.exit, 1, "{}", done.complaint);
    assert_eq!(done.json["accounting"]["closed"]["server 1001"], 2);
}

#[test]
fn a_server_that_refuses_the_upgrade_is_named_with_its_status() {
    let url = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let done = run(&format!("--conns 4 --hold 1s {url}"));
    is_sound(&done.json);
    assert_eq!(done.exit, 5, "{}", done.complaint);
    // Four of them, and three repetitions for each of the two drivers at most.
    assert!(done.json["accounting"]["failed"]["http 404"].as_u64().unwrap() >= 4);
    assert_eq!(done.json["accounting"]["opened"], 0);
}

#[test]
fn a_generator_that_cannot_keep_pace_says_so() {
    let line = "--conns 2 --scenario echo --hold 500ms --plain --max-self-lag 0s";
    let done = run(line);
    assert_eq!(done.exit, 4, "{}", done.complaint);
    assert_eq!(done.json["validity"]["valid"], false);
    assert_ne!(done.json["validity"]["reasons"], Value::Array(Vec::new()));
    assert_eq!(run(&format!("{line} --allow-invalid")).exit, 0);
}

#[test]
fn what_cannot_be_done_has_an_exit_code_and_a_sentence() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (line, exit, sentence) in [
        ("--conns many".to_owned(), 2, "not a number"),
        ("run".to_owned(), 2, "--conns"),
        (String::new(), 2, "--conns"),
        ("--conns 4G".to_owned(), 2, "not a number"),
        ("--conns 0".to_owned(), 2, "--conns must be from 1"),
        ("--conns 2 --scenario broadcast --publishers 3".to_owned(), 2, "--publishers must be"),
        ("--conns 2 --mix idle=1,sleep=1".to_owned(), 2, "--mix: `sleep` is not idle"),
        ("--conns 2 --scenario none.toml".to_owned(), 2, "--scenario: none.toml: "),
        ("--conns 1M --threads 1 ws://127.0.0.1:1/".to_owned(), 3, "connections are not possible"),
        (format!("--conns 1 ws://{unused}/"), 5, "refused"),
        ("--conns 1 --ca /nowhere.pem wss://127.0.0.1:1/".to_owned(), 5, "refused"),
        ("--replay /nowhere.json".to_owned(), 2, "/nowhere.json is no result of loadgen"),
    ] {
        let output = loadgen(&line).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{line}: {complaint}");
        assert!(complaint.contains(sentence), "{line}: {complaint}");
    }
}

#[test]
fn an_interrupt_leaves_a_partial_result_and_no_server() {
    for signal in ["-INT", "-TERM"] {
        let running = Running::until("hold", "--conns 50 --hold 1h");
        let server = running.server;
        assert!(!is_gone(server));
        running.signal(signal);
        let done = running.end();
        assert_eq!(done.exit, 6);
        is_sound(&done.json);
        assert_eq!(done.json["accounting"]["held"], 50);
        assert_eq!(done.json["accounting"]["closed"]["ours"], 50);
        assert!(is_gone(server), "its server lives on");
    }
}

#[test]
fn the_server_ends_even_if_nobody_can_end_it() {
    let mut running = Running::until("hold", "--conns 5 --hold 1h --plain");
    running.signal("-KILL");
    running.child.wait().unwrap();
    // It ends by itself when it finds its standard input closed, so this comes to an end.
    while !is_gone(running.server) {}
}

#[test]
fn a_page_for_people_names_its_units() {
    let output = loadgen("--conns 10 --hold 1s --plain").output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    for part in ["RESULT      PASS", "10 = 10 opened + 0 failed", "p99.9", "a connection: server"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    let screen = String::from_utf8(output.stderr).unwrap();
    assert!(screen.contains("open 10 of 10"), "{screen}");
    let quiet = loadgen("--conns 10 --hold 1s --plain --quiet").output().unwrap();
    assert_eq!((quiet.stdout.len(), quiet.stderr.len()), (0, 0));
}
