//! Flags of a run that change what is sent, to whom, how, and what is looked at.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use serde_json::Value;
use support::{address, echo, is_sound, listening, loadgen, run, serve, server};

const ECHO: &str = "--plain --scenario echo --arrivals constant --rate 20/s --hold 1s \
                    --allow-invalid";

#[test]
fn messages_are_made_of_what_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("body.json");
    std::fs::write(&path, "{\"price\": 17}").unwrap();
    for (flags, shortest, longest) in [
        ("--payload 64..4096".to_owned(), 64, 4_096),
        ("--payload 100 --binary off".to_owned(), 100, 100),
        ("--payload 60..70 --binary off --deflate".to_owned(), 60, 70),
        (format!("--payload {}", path.display()), 53, 53),
        (format!("--payload {} --binary off", path.display()), 67, 67),
        ("--payload 200 --mask zero --nodelay off --rcvbuf 64k --sndbuf 64k".to_owned(), 200, 200),
    ] {
        let done = run(&format!("{ECHO} --conns 5 {flags}"));
        assert_eq!(done.exit, 0, "{flags}: {}", done.complaint);
        is_sound(&done.json);
        let delivery = &done.json["delivery"];
        assert_eq!((&delivery["received"], &delivery["corrupt"]), (&100.into(), &0.into()));
        let scenario = &done.json["plan"]["scenario"];
        let sizes = (&scenario["payload_bytes_min"], &scenario["payload_bytes"]);
        assert_eq!(sizes, (&shortest.into(), &longest.into()), "{flags}");
    }
}

#[test]
fn messages_are_looked_at_as_closely_as_was_asked_for() {
    // A byte behind the stamp is another, and one message in ten comes twice.
    let url = server(|number, message, out| {
        let mut damaged = message.to_vec();
        damaged[50] ^= 1;
        echo(&damaged, out);
        if number % 10 == 0 {
            echo(&damaged, out);
        }
    });
    let line = "--conns 2 --scenario echo --arrivals constant --rate 100/s --hold 500ms \
                --drain 300ms --allow-invalid";
    let looked = |verify: &str| run(&format!("{line} --verify {verify} {url}"));
    let seq = looked("seq");
    assert_eq!((seq.exit, &seq.json["delivery"]["dup"]), (1, &10.into()), "{}", seq.complaint);
    assert_eq!(seq.json["delivery"]["corrupt"], 0);
    let payload = looked("payload").json;
    assert_eq!(
        (&payload["delivery"]["corrupt"], &payload["delivery"]["dup"]),
        (&110.into(), &0.into())
    );
    let none = looked("none");
    assert_eq!((none.exit, &none.json["delivery"]), (0, &Value::Null), "{}", none.complaint);
    assert_eq!(none.json["latency"]["echo"]["n"], 110, "they are timed");
    let asked = looked("none --slo deliver.loss==0");
    assert_eq!(asked.exit, 1, "nobody looked, so nobody knows");
}

#[test]
fn as_many_connections_are_timed_as_was_asked_for() {
    let json = run(&format!("{ECHO} --conns 10 --sample-conns 3")).json;
    assert_eq!(json["delivery"]["received"], 200);
    assert_eq!(json["latency"]["echo"]["n"], 60);
}

#[test]
fn connections_go_to_all_addresses_of_a_server_in_turn() {
    let counting = || {
        let count = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&count);
        let url = listening(move |stream| {
            counter.fetch_add(1, Ordering::Relaxed);
            serve(stream, |_, message, out| echo(message, out));
        });
        (url, count)
    };
    let (one, other) = (counting(), counting());
    let addresses = format!("{},{}", address(&one.0), address(&other.0));
    // The host of the URL is not even looked up.
    let line = "--conns 10 --threads 1 --hold 300ms --allow-invalid --server-addrs";
    let done = run(&format!("{line} {addresses} ws://nowhere.invalid/"));
    assert_eq!(done.exit, 0, "{}", done.complaint);
    is_sound(&done.json);
    // One more for the knock before the run.
    let counts = [one.1, other.1].map(|count| count.load(Ordering::Relaxed));
    assert!(
        counts.iter().all(|count| *count >= 5) && counts.iter().sum::<u64>() >= 10,
        "{counts:?}"
    );
}

#[test]
fn a_duration_bounds_the_whole() {
    let done = run("--plain --conns 1000 --ramp 10/s --duration 1s --allow-invalid");
    assert_eq!(done.exit, 1, "they could not all be opened: {}", done.complaint);
    is_sound(&done.json);
    let opened = done.json["accounting"]["opened"].as_u64().unwrap();
    assert!((1..100).contains(&opened), "{opened}");
    let done = run("--plain --conns 10 --scenario echo --duration 1s --allow-invalid");
    assert_eq!(done.exit, 0, "{}", done.complaint);
    let phases = done.json["plan"]["phases"].as_array().unwrap();
    let hold = phases.iter().find(|phase| phase["name"] == "hold").unwrap();
    let end = hold["to_ns"].as_u64().unwrap();
    assert!(end >= 800_000_000, "what is left is held, but for what the drain may take: {end}");
    let short = run("--plain --conns 10 --duration 1h --hold 300ms --allow-invalid").json;
    assert!(short["plan"]["hold_ns"] == 300_000_000, "a hold that is given stays");
}

/// The histograms of a log, by tag, each with its number of times and the digits it keeps.
fn logged(text: &str) -> Vec<(String, u64, u8)> {
    let intervals = text.lines().filter_map(|line| line.strip_prefix("Tag="));
    intervals
        .map(|line| {
            let cells: Vec<_> = line.split(',').collect();
            let bytes = BASE64_STANDARD.decode(cells[4]).unwrap();
            let histogram: Histogram<u64> =
                Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            (cells[0].to_owned(), histogram.len(), histogram.sigfig())
        })
        .collect()
}

#[test]
fn every_tick_is_logged_with_the_digits_that_were_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.hlog");
    let done = run(&format!("{ECHO} --conns 10 --tick 200ms --sigfigs 2 --hdr {}", path.display()));
    assert_eq!(done.exit, 0, "{}", done.complaint);
    let text = std::fs::read_to_string(&path).unwrap();
    let logged = logged(&text);
    let echoes: Vec<_> = logged.iter().filter(|(tag, ..)| tag == "echo").collect();
    assert!(echoes.len() >= 2, "a second has five ticks: {logged:?}");
    assert_eq!(echoes.iter().map(|(_, n, _)| n).sum::<u64>(), 200, "none is left out");
    assert!(logged.iter().all(|(_, _, digits)| *digits == 2), "{logged:?}");
    assert_eq!(done.json["latency"]["echo"]["n"], 200);
    let refused = run("--conns 1 --plain --hdr /nowhere/run.hlog");
    assert_eq!(refused.exit, 2, "{}", refused.complaint);
    assert!(refused.complaint.contains("--hdr: /nowhere/run.hlog: "), "{}", refused.complaint);
}

#[test]
fn what_the_server_counts_stands_beside_what_we_count() {
    let url = server(|_, message, out| echo(message, out));
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\n\
                # a page\nopen{worker=\"0\"} 1\nopen{worker=\"1\"} 2\n\n";
    let metrics = support::answering(page).replace("ws:", "http:");
    let line = "--hold 300ms --allow-invalid --server-metrics";
    for (conns, gauge, server, agrees) in
        [(3, "open", 3.into(), true), (2, "open", 3.into(), false), (2, "none", Value::Null, false)]
    {
        let done =
            run(&format!("{line} {metrics} --expect-conns-gauge {gauge} --conns {conns} {url}"));
        assert_eq!(done.exit, 0, "{}", done.complaint);
        let counted = &done.json["server"]["counted"];
        assert_eq!((&counted["server"], &counted["ours"]), (&server, &conns.into()), "{counted}");
        assert_eq!(counted["agrees"], agrees);
        let notes = done.json["validity"]["notes"].to_string();
        assert_eq!(notes.contains("the server"), !agrees, "{notes}");
    }
}

#[test]
fn littles_law_holds_and_the_tool_says_what_it_is() {
    let json = run(&format!("{ECHO} --conns 20")).json;
    let in_flight = &json["validity"]["in_flight_milli"];
    let [counted, derived] = [0, 1].map(|it| in_flight[it].as_u64().unwrap());
    assert!(counted.abs_diff(derived) * 20 <= counted.max(derived), "{in_flight}");
    assert!(json["tool"]["rustc"].as_str().unwrap().starts_with("rustc "), "{}", json["tool"]);
}

#[test]
fn what_makes_no_sense_has_a_sentence() {
    for (flags, sentence) in [
        ("--payload 39", "--payload: 39 bytes have no room for a stamp of 40"),
        ("--payload 40 --binary off", "no room for a stamp of 54"),
        ("--payload 99..98", "the smaller number comes first"),
        ("--payload nowhere.bin", "--payload: nowhere.bin: "),
        ("--binary perhaps", "`perhaps` is neither on nor off"),
        ("--verify closely", "possible values: payload, seq, none"),
        ("--sigfigs 6", "6 is not in 1..=5"),
        ("--server-metrics ftp://h/", "--server-metrics"),
        ("--server-metrics ws://h/", "--server-metrics: metrics are at a URL of http or https"),
        ("--sample-conns 0", "nothing would be timed"),
        ("--rcvbuf 0", "a buffer has 1 byte to 1 GiB"),
        ("--pin zero", "expected cores such as 0,2-5"),
        ("--pin 4000", "--pin must be of the cores"),
        ("--server-addrs 127.0.0.1:1", "--server-addrs"),
        ("--duration 0s", "nothing can be done in no time"),
        ("--slow 5%", "expected SHARE%:BYTES/s"),
        ("--slow 5%:1B/s", "--slow: idle connections have nothing to read"),
        ("--subs none.toml --scenario broadcast", "--subs: none.toml: "),
        ("--mix churn=1", "--scenario churn"),
    ] {
        let output = loadgen(&format!("--plain --conns 2 {flags}")).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags}: {complaint}");
        assert!(complaint.contains(sentence), "{flags}: {complaint}");
    }
}
