//! Objectives against evidence made by hand.

use std::time::Duration;

use super::*;
use crate::fleet::Span;

/// A thousand connections and ten thousand echoes of 1 us to 10 ms.
fn trial() -> Trial {
    let mut trial = Trial { held: 1_000, expected: 10_000, ..Trial::default() };
    let traffic = &mut trial.tally.traffic;
    traffic.audit.received = 10_000;
    (1..=10_000u64).for_each(|us| traffic.echo.corrected.record_ns(us * 1_000));
    trial.hold = Span { from: Duration::from_secs(1), to: Duration::from_secs(61) };
    trial
}

fn judged(text: &str, spoil: impl FnOnce(&mut Resized, &mut Trial, &mut Charges)) -> Judgement {
    let (mut resized, mut trial, mut charges) = (Resized::default(), trial(), Charges::default());
    resized.tally.accounting.attempted = 1_000;
    resized.tally.accounting.opened = 1_000;
    spoil(&mut resized, &mut trial, &mut charges);
    let series = Series {
        columns: ["t_ns", "srv_rss"].map(str::to_owned).into(),
        rows: (1..=60u64).map(|s| vec![Some(s * 1_000_000_000), Some(s << 20)]).collect(),
        ..Series::default()
    };
    let (resized, trial, charges) = (&resized, &trial, &charges);
    let evidence = Evidence { resized, trial, charges, series: &series, is_valid: true };
    text.parse::<Objective>().unwrap().judge(&evidence)
}

fn state(text: &str) -> State {
    judged(text, |_, _, charges| charges.server_bytes_per_conn = Some(9_000)).state
}

#[test]
fn every_name_of_the_specification_is_judged() {
    for (text, expected) in [
        ("connect.success >= 99%", State::Held),
        ("connect.success >= 99.99%", State::Unclear),
        ("establish.p99 <= 2s", State::Unknown),
        ("upgrade.p99 <= 500ms", State::Unknown),
        ("echo.p99.9 <= 50ms", State::Held),
        ("echo.p99 <= 9.90ms", State::Unclear),
        ("echo.p99 <= 5ms", State::Broken),
        ("echo.p50 > 4ms", State::Held),
        ("echo.max < 10ms", State::Broken),
        ("echo.mean <= 5.1ms", State::Held),
        ("deliver.p99 <= 250ms", State::Unknown),
        ("ping.p99 <= 1s", State::Unknown),
        ("heartbeat.missed == 0", State::Held),
        ("deliver.loss == 0", State::Held),
        ("deliver.reach >= 99.9%", State::Held),
        ("seq.gap == 0", State::Held),
        ("seq.dup == 0", State::Held),
        ("seq.reorder <= 0.1%", State::Held),
        ("payload.corrupt == 0", State::Held),
        ("closes.unexpected == 0", State::Held),
        ("connections.held >= 1k", State::Held),
        ("connections.held >= 1001", State::Broken),
        ("server.rss_per_conn <= 12KiB", State::Held),
        ("server.cpu <= 80%", State::Unknown),
        ("server.rss_slope <= 61MiB/min", State::Held),
        ("server.rss_slope <= 1MiB/min", State::Broken),
        ("self.valid == true", State::Held),
        ("self.valid == false", State::Broken),
    ] {
        assert_eq!(state(text), expected, "{text}");
    }
}

#[test]
fn too_few_samples_say_how_many_it_takes() {
    let few = |_: &mut Resized, trial: &mut Trial, _: &mut Charges| {
        trial.tally.traffic.echo.corrected = latency::Latency::default();
        (0..100).for_each(|_| trial.tally.traffic.echo.corrected.record_ns(5));
    };
    let judgement = judged("echo.p99.9 <= 50ms", few);
    assert_eq!((judgement.state, judgement.pass), (State::Unclear, false));
    assert_eq!((judgement.n, judgement.n_min), (100, Some(2_995)));
    assert!(judgement.reason().ends_with("n 100; it takes 2,995 to tell"));
    let all = judged("connect.success >= 100%", |_, _, _| {});
    assert_eq!((all.state, all.bound), (State::Held, None), "none failed, which is no guess");
}

#[test]
fn the_bound_decides_and_not_the_value() {
    let judgement = judged("echo.p99 <= 9.91ms", |_, _, _| {});
    let (Some(Amount::Whole(value)), Some(Amount::Whole(bound))) =
        (judgement.value, judgement.bound)
    else {
        panic!("{judgement:?}");
    };
    assert!(value <= 9_910_000 && bound > 9_910_000, "{judgement:?}");
    assert_eq!(judgement.state, State::Unclear);
    assert!(judgement.reason().contains("too close to tell"));
}

#[test]
fn a_fault_counts_alone_or_as_a_share() {
    let one_lost = |_: &mut Resized, trial: &mut Trial, _: &mut Charges| {
        trial.tally.traffic.audit.received -= 1;
    };
    assert_eq!(judged("deliver.loss == 0", one_lost).state, State::Broken);
    assert_eq!(judged("deliver.loss <= 0.1%", one_lost).state, State::Held);
    assert_eq!(judged("deliver.loss <= 0.01%", one_lost).state, State::Unclear);
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    for (text, complaint) in [
        ("echo.p99", "expected NAME <= LIMIT"),
        ("ech.p99 <= 5ms", "`ech.p99` is no metric: there are connect.success"),
        ("echo.p101 <= 5ms", "between 0 and 100"),
        ("echo.p99 <= 5parsecs", "5parsecs"),
        ("echo.p99 == 5ms", "never exactly known"),
        ("connect.success >= 101%", "between 0 and 100 %"),
        ("self.valid == maybe", "neither true nor false"),
        ("server.rss_slope <= 1MiB", "bytes a minute"),
    ] {
        let error = text.parse::<Objective>().unwrap_err();
        assert!(error.contains(complaint), "{text}: {error}");
    }
}

#[test]
fn spaces_do_not_matter() {
    let objective: Objective = "  echo.p99   <=5ms ".parse().unwrap();
    assert_eq!(objective.to_string(), "echo.p99 <= 5ms");
}
