//! That a merge is what one run would have written.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::latency::Latency;
use crate::result::sample;

/// What must not depend on how files were merged: all but shares, which are rounded, and how much
/// room a histogram has made for times that it does not have.
fn essence(document: &Document) -> Value {
    let mut document = document.clone();
    for distribution in document.latency.values_mut().flatten() {
        let counts: Vec<_> = distribution.latency().unwrap().counts().collect();
        distribution.hdr_v2_deflate_b64 = format!("{counts:?}");
    }
    let mut value = serde_json::to_value(document).unwrap();
    let fields = value.as_object_mut().unwrap();
    fields.remove("argv");
    fields.remove("cost");
    value
}

fn of(documents: &[&Document]) -> Document {
    let documents: Vec<_> = documents.iter().map(|it| (*it).clone()).collect();
    merged(&documents, Together::No).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn order_and_steps_change_nothing_and_all_samples_are_there(
        times in vec(vec(1u64..100_000_000_000, 0..30), 3)
    ) {
        let runs: Vec<_> = (1..).zip(&times).map(|(seed, it)| sample::document(seed, it)).collect();
        let [a, b, c] = runs.as_slice() else { unreachable!("three were made") };
        let whole = of(&[a, b, c]);
        prop_assert_eq!(essence(&whole), essence(&of(&[c, b, a])));
        prop_assert_eq!(essence(&whole), essence(&of(&[&of(&[a, b]), c])));
        prop_assert_eq!(essence(&whole), essence(&of(&[a, &of(&[b, c])])));

        let mut all = Latency::default();
        times.iter().flatten().for_each(|ns| all.record_ns(*ns));
        let echo = whole.latency["echo"].as_ref();
        prop_assert_eq!(echo.map_or(0, |echo| echo.n), all.n());
        if let Some(echo) = echo {
            prop_assert!(echo.latency().unwrap().counts().eq(all.counts()));
            prop_assert_eq!(echo.p["50"], all.percentile(0.5));
            prop_assert_eq!((echo.min, echo.max), (all.min().unwrap(), all.max().unwrap()));
        }
        prop_assert_eq!(whole.accounting.attempted, 30);
        prop_assert_eq!(whole.delivery.unwrap().received, all.n());
    }
}

#[test]
fn ticks_are_laid_side_by_side() {
    let (long, short) = (sample::document(1, &[10, 20, 30]), sample::document(2, &[40]));
    let whole = of(&[&long, &short]);
    let rows: Vec<_> = whole.series.rows.iter().map(Vec::as_slice).collect();
    let second = |n: u64, open, received| [Some(n * 1_000_000_000), Some(open), Some(received)];
    assert_eq!(rows, [second(1, 20, 2), second(2, 10, 1), second(3, 10, 1)]);
    assert_eq!(
        whole.series.heat.ticks.iter().map(std::collections::BTreeMap::len).collect::<Vec<_>>(),
        [2, 1, 1]
    );
}

#[test]
fn one_invalid_run_spoils_the_whole() {
    let (good, mut bad) = (sample::document(1, &[1]), sample::document(2, &[1]));
    bad.validity.valid = false;
    bad.validity.reasons = vec!["it was late".to_owned()];
    bad.verdict.exit = Exit::Invalid as u8;
    let whole = of(&[&good, &bad]);
    assert_eq!((whole.validity.valid, whole.verdict.exit), (false, 4));
    assert_eq!(whole.validity.reasons, ["it was late"]);
    assert_eq!(whole.merged.iter().map(|it| it.valid).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn runs_that_did_not_do_the_same_are_refused_with_the_field() {
    type Spoil = fn(&mut Document);
    let spoils: [(&str, Spoil); 5] = [
        ("plan.scenario.name", |it| it.plan.scenario.name = "idle".to_owned()),
        ("plan.scenario.payload_bytes", |it| it.plan.scenario.payload_bytes = Some(9)),
        ("plan.hold_ns", |it| it.plan.hold_ns += 1),
        ("tool.version", |it| it.tool.version = "9".to_owned()),
        ("latency.echo.co", |it| {
            let echo = it.latency.get_mut("echo").unwrap().as_mut().unwrap();
            echo.co = crate::result::Origin::ActualStart;
        }),
    ];
    for (field, spoil) in spoils {
        let (one, mut other) = (sample::document(1, &[1]), sample::document(2, &[1]));
        spoil(&mut other);
        let complaint = merged(&[one, other], Together::No).unwrap_err().to_string();
        assert!(complaint.contains(&format!(": {field} is ")), "{complaint}");
    }
}

#[test]
fn what_ran_side_by_side_saw_one_server() {
    let run = |seed, url: &str| {
        let mut run = sample::document(seed, &[1, 1, 1]);
        run.plan.url = url.to_owned();
        run.machine.boot_id = Some("m".to_owned());
        run.cost.server_hold_cpu_ns = Some(seed * 1_000);
        run.cost.kernel_bytes_per_end = Some(100);
        run.cost.server_bytes_per_conn = Some(seed * 10);
        run
    };
    let side_by_side = [run(1, "ws://h/"), run(2, "ws://h/")];
    assert_eq!(relation(&side_by_side), Together::Yes);
    let whole = merged(&side_by_side, Together::Yes).unwrap().cost;
    assert_eq!((whole.connections, whole.server_hold_cpu_ns), (20, Some(2_000)));
    assert_eq!((whole.server_bytes_per_conn, whole.kernel_bytes_per_end), (Some(10), Some(50)));

    let apart = [run(1, "ws://h/"), run(2, "ws://other/")];
    assert_eq!(relation(&apart), Together::No);
    let whole = merged(&apart, Together::No).unwrap().cost;
    assert_eq!(whole.server_hold_cpu_ns, Some(3_000));
    assert_eq!((whole.server_bytes_per_conn, whole.kernel_bytes_per_end), (Some(15), Some(100)));
}
