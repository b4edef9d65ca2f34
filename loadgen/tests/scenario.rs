//! What connections do: who leaves and comes back, who reads slowly, who subscribes to what.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code)]

mod support;

use serde_json::Value;
use support::{is_sound, run};

fn number(json: &Value) -> u64 {
    json.as_u64().unwrap()
}

#[test]
fn who_leaves_a_broadcast_misses_what_is_published_meanwhile_and_nothing_is_lost() {
    let line = "--conns 40 --plain --scenario broadcast --arrivals constant --publish-rate 50/s \
                --publishers 2 --heartbeat 100ms --hold 2s --allow-invalid";
    for (habit, reconnect) in [
        ("--storm 50%/300ms", "fixed"),
        ("--storm 50%/300ms", "exp-jitter"),
        ("--storm 50%/300ms", "none"),
        ("--lifetime exp:400ms", "exp-jitter"),
        ("--storm 30%/200ms --lifetime 700ms", "fixed"),
    ] {
        let what = format!("{habit} {reconnect}");
        let done = run(&format!("{line} {habit} --reconnect {reconnect}"));
        assert_eq!(done.exit, 0, "{what}: {}", done.complaint);
        is_sound(&done.json);
        let delivery = &done.json["delivery"];
        assert_eq!(delivery["published"], 200, "those who publish stay: {what}");
        assert_eq!(delivery["received"], delivery["expected"], "{what}");
        assert_eq!((&delivery["gap"], &delivery["dup"]), (&0.into(), &0.into()), "{what}");
        assert!(number(&delivery["away"]) > 0, "{what}");
        assert_eq!(delivery["spread"], Value::Null, "who left took some along: {what}");
        let planned = number(&done.json["accounting"]["closed"]["planned"]);
        assert!(planned >= 12, "{what}: {planned}");
        let heartbeats = &done.json["heartbeats"];
        let answered = number(&heartbeats["answered"]) + number(&heartbeats["excused"]);
        assert_eq!(number(&heartbeats["sent"]), answered, "{what}");
    }
}

#[test]
fn the_time_that_a_storm_takes_is_told() {
    let line = "--conns 40 --plain --scenario storm --hold 2s --storm 50%/300ms --allow-invalid";
    let storm = |reconnect: &str| {
        let done = run(&format!("{line} --reconnect {reconnect}"));
        assert_eq!(done.exit, 0, "{}", done.complaint);
        assert_eq!(done.json["plan"]["scenario"]["storm"], "50%/300ms");
        done.json["storm"].clone()
    };
    let all_at_once = storm("fixed");
    assert_eq!((&all_at_once["vanished"], &all_at_once["back"]), (&20.into(), &20.into()));
    assert!(number(&all_at_once["recovery_ns"]) >= 290_000_000, "{all_at_once}");
    assert!(storm("exp-jitter")["recovery_ns"].is_u64());
    let never = storm("none");
    assert_eq!((&never["back"], &never["recovery_ns"]), (&0.into(), &Value::Null));
    let calm = run("--conns 5 --plain --hold 500ms --allow-invalid").json;
    assert_eq!((&calm["storm"], &calm["slow"]), (&Value::Null, &Value::Null));
}

#[test]
fn who_reads_slowly_is_counted_apart() {
    let line = "--plain --hold 1s --arrivals constant --allow-invalid --conns 40 --rate 20/s \
                --publish-rate 20/s";
    for scenario in ["echo", "broadcast", "slow"] {
        let done = run(&format!("{line} --scenario {scenario} --slow 10%:200B/s"));
        assert_eq!(done.exit, 0, "{scenario}: {}", done.complaint);
        is_sound(&done.json);
        let slow = &done.json["slow"];
        assert_eq!((&slow["connections"], &slow["bytes_per_second"]), (&4.into(), &200.into()));
        // A second's worth is three messages of 64 bytes with their heads.
        let received = number(&slow["received"]);
        assert!((4..=16).contains(&received), "{scenario}: {received}");
        let delivery = &done.json["delivery"];
        // Each of the 36 others had twenty, of its own or of the publisher.
        assert_eq!(delivery["received"], 36 * 20, "{scenario}");
        assert_eq!(delivery["gap"], 0, "{scenario}");
    }
    let mixed = run(&format!("{line} --mix idle=1,broadcast=2,slow=1")).json;
    assert_eq!(mixed["slow"]["connections"], 10);
    assert_eq!(mixed["delivery"]["spread"]["partial"], 0, "of those that listen, all had all");
    assert_eq!(mixed["delivery"]["spread"]["whole"], 20);
}

#[test]
fn subscribers_share_out_the_topics_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("topics.toml");
    let topics = "[[topic]]\nname = 'news'\nweight = 3\n\
                  [[topic]]\nname = 'sport'\nweight = 1\npublishers = 2\n";
    std::fs::write(&path, topics).unwrap();
    let line = "--conns 40 --plain --scenario broadcast --arrivals constant --publish-rate 20/s \
                --hold 1s --allow-invalid";
    let done = run(&format!("{line} --subs {}", path.display()));
    assert_eq!(done.exit, 0, "{}", done.complaint);
    let delivery = &done.json["delivery"];
    assert_eq!(delivery["published"], 60);
    assert_eq!(delivery["received"], 20 * 30 + 40 * 10, "each its own topic and no other");
    assert_eq!(delivery["spread"]["whole"], 60);
    assert_eq!(done.json["plan"]["scenario"]["parts"][1]["path"], "/topics/sport");
}
