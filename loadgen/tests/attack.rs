//! Real attacks of few on the server that is brought along, whose limits of time are shortened.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code)] // other tests use more of it
mod support;

use serde_json::Value;
use support::{Run, Running, is_gone, run};

/// Few attackers, short limits, and no demands on a machine that has other things to do.
const SMALL: &str = "--attackers 4 --good 8 --rate 20/s --baseline 500ms --hasten 5 --seed 7 \
                     --max-ratio 1000000 --max-growth 1000 --allow-invalid";

fn attack(line: &str) -> Run {
    run(&format!("attack {line} {SMALL}"))
}

/// Attacks so, and says how the attackers were answered when all went well.
fn answers(line: &str) -> Value {
    let done = attack(line);
    assert_eq!(done.exit, 0, "{}\n{:#}", done.complaint, done.json);
    assert_eq!(done.json["schema"], "loadgen-attack/1");
    let finding = &done.json["attacks"][0];
    assert_eq!(finding["good"]["before"], 8);
    assert_eq!(finding["good"]["after"], 8);
    assert_eq!(finding["unexpected"], 0);
    assert!(finding["ratio"].is_f64() && finding["baseline_p99_ns"].is_u64());
    finding["answers"].clone()
}

/// All four were answered so.
fn all(answer: &str) -> Value {
    serde_json::json!({ answer: 4 })
}

#[test]
fn slowloris_is_timed_out_by_408() {
    assert_eq!(answers("slowloris"), all("http 408"));
}

#[test]
fn a_dripping_message_is_ended_by_1008() {
    assert_eq!(answers("drip"), all("close 1008"));
}

#[test]
fn too_many_fragments_are_ended_by_1008_empty_or_not() {
    for kind in ["fragments", "empty-fragments"] {
        assert_eq!(answers(kind), all("close 1008"), "{kind}");
    }
}

#[test]
fn a_huge_length_and_a_bomb_are_ended_by_1009() {
    for kind in ["huge-length", "bomb"] {
        assert_eq!(answers(kind), all("close 1009"), "{kind}");
    }
}

#[test]
fn garbage_is_answered_by_400() {
    for line in ["garbage", "garbage --plain"] {
        assert_eq!(answers(line), all("http 400"), "{line}");
    }
}

#[test]
fn a_half_open_handshake_is_dropped() {
    let answers = answers("half-open");
    let dropped = ["ended", "reset"].map(|name| answers[name].as_u64().unwrap_or(0));
    assert_eq!(dropped.iter().sum::<u64>(), 4);
}

#[test]
fn who_says_goodbye_and_stays_is_reset() {
    assert_eq!(answers("never-close"), all("reset"));
}

#[test]
fn who_does_not_read_is_dropped() {
    assert!(answers("slow-read").get("open").is_none());
}

#[test]
fn pings_are_answered_and_cost_nobody_else() {
    let done = attack("ping-flood");
    assert_eq!(done.exit, 0, "{}", done.complaint);
    assert!(done.json["attacks"][0]["replies"].as_u64() > Some(0));
    assert_eq!(done.json["attacks"][0]["answers"], all("close 1008"));
}

#[test]
fn topics_come_and_go() {
    assert!(answers("subscribe-flood")["close 1000"].as_u64() > Some(4));
}

#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_the_server_is_watched() {
    let memory = attack("huge-length").json["attacks"][0]["memory"].clone();
    assert!(memory["worst"].as_u64() > Some(0) && memory["after"].is_u64());
    // Not that the worst is more than before: pages are shared out among all who run the program.
    assert!(memory["before"].as_u64() > Some(0) && memory["worst_kernel"].is_u64());
}

#[test]
fn only_loopback_is_attacked_unless_it_is_ours() {
    // An address of documentation (RFC 5737): nobody is there.
    let refused = run("attack garbage ws://192.0.2.1:9/echo");
    assert_eq!(refused.exit, 2);
    assert!(refused.complaint.contains("--i-own-this-host"), "{}", refused.complaint);
}

#[test]
fn a_generator_that_was_late_before_the_attack_says_so() {
    let strict = SMALL.replace("--allow-invalid", "--max-self-lag 1us --hold 500ms");
    let done = run(&format!("attack garbage {strict}"));
    assert_eq!((done.exit, &done.json["exit"]), (4, &Value::from(4)), "{}", done.complaint);
    assert!(done.json["attacks"][0]["notes"].to_string().contains("--max-self-lag"));
}

#[test]
fn an_interrupt_ends_an_attack_and_tells_what_was_counted() {
    let long = SMALL.replace("--baseline 500ms", "--baseline 60s");
    let running = Running::until("hold", &format!("attack slowloris {long}"));
    running.signal("-INT");
    let server = running.server;
    let done = running.end();
    assert_eq!((done.exit, &done.json["exit"]), (6, &Value::from(6)), "{}", done.complaint);
    assert!(is_gone(server), "the server ends with us");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "attack",
        "attack nonsense",
        "attack half-open --plain",
        "attack garbage --attackers 0",
        "attack garbage --hasten 2 ws://127.0.0.1:9/echo",
    ] {
        assert_eq!(run(line).exit, 2, "{line}");
    }
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    assert_eq!(run("attack garbage ws://127.0.0.1:1/echo").exit, 5);
}
