//! Trials that were bad in one way each.

use super::*;
use crate::accounting::Closure;
use crate::args::Cli;
use crate::cost::Sample;
use crate::watch::Seen;
use clap::Parser;
use corecast::reactor::fds::Limit;

const CONNS: u64 = 20_000;
const HOLD: Duration = Duration::from_secs(60);

fn plan() -> Plan {
    let line = format!("loadgen --conns {CONNS} --heartbeat 10s");
    let run = Cli::try_parse_from(line.split_whitespace()).unwrap().run.unwrap();
    Plan::new(&run, Limit { before: 100, now: 100_000 }, || 7).unwrap()
}

/// All open, all answered at once, nothing used.
fn good() -> Made {
    let order = Order {
        phase: Phase::Verify,
        n: CONNS,
        trial: 1,
        via: None,
        fresh: true,
        hold: HOLD,
        is_repeated: false,
    };
    let mut resized = Resized::default();
    resized.tally.accounting.attempted = CONNS;
    resized.tally.accounting.opened = CONNS;
    let mut trial = Trial {
        held: CONNS,
        hold: Span { from: Duration::ZERO, to: HOLD },
        begin: Some(Sample::default()),
        end: Some(Sample::default()),
        seen: Seen { looks: 60, too_busy: 0, busiest_percent: 3 },
        is_whole: true,
        ..Trial::default()
    };
    let traffic = &mut trial.tally.traffic;
    (traffic.pings_sent, traffic.pongs_heard) = (CONNS, CONNS);
    (0..CONNS).for_each(|_| traffic.ping.corrected.record_ns(1_000_000));
    let validity = Validity {
        in_flight_milli: None,
        valid: true,
        co_located: true,
        reasons: Vec::new(),
        notes: Vec::new(),
        lag_p99_ns: Some(1),
        lag_max_ns: Some(1),
        ramp_lag_p99_ns: None,
        cpu_percent_max: 3,
        steal_permille: None,
    };
    Made {
        order,
        conns: CONNS,
        from: Duration::ZERO,
        to: HOLD,
        resized,
        settled: Tally::default(),
        trial,
        charges: Charges::default(),
        validity,
        is_believed: true,
        facts: Facts::default(),
        server_cores: Some(2),
        storm: None,
    }
}

/// The server's memory second by second.
fn series(bytes_a_minute: u64) -> Series {
    let row = |second: u64| {
        let bytes = 100_000_000 + bytes_a_minute * second / 60;
        vec![Some(second * 1_000_000_000), Some(bytes)]
    };
    let columns = ["t_ns", "srv_rss"].map(str::to_owned).into();
    Series { columns, rows: (1..300).map(row).collect(), ..Series::default() }
}

fn grade(made: &Made) -> Grade {
    Standard::new(&plan(), &[]).grade(made, &Series::default())
}

/// What a trial comes to that is good but for what `spoil` does to it: what binds, and whether it
/// passes within the tolerance and without.
fn spoilt(spoil: impl FnOnce(&mut Made)) -> (Option<Binding>, Mark, Mark) {
    let mut made = good();
    spoil(&mut made);
    let grade = grade(&made);
    (grade.binding().map(|it| it.binding), grade.marks.slo, grade.marks.zero)
}

fn fail(made: &mut Made, failure: Failure, count: u64) {
    made.resized.tally.accounting.failed.insert(failure, count);
}

#[test]
fn a_good_trial_passes() {
    assert_eq!(spoilt(|_| {}), (None, Mark::Pass, Mark::Pass));
    assert_eq!(grade(&good()).judgements.len(), 2, "pings answered, and in time");
}

#[test]
fn each_condition_has_its_cause() {
    type Spoil = fn(&mut Made);
    let ways: [(Binding, Spoil); 12] = [
        (Binding::ServerRefused, |made| fail(made, Failure::Http(503), 3)),
        (Binding::Latency, |made| fail(made, Failure::TimedOut, 3)),
        (Binding::Generator, |made| fail(made, Failure::Ports, 3)),
        (Binding::ServerFiles, |made| {
            fail(made, Failure::Closed, 3);
            made.facts.files = Some((19_990, 20_000));
        }),
        (Binding::ServerRefused, |made| {
            made.settled.accounting.closed.insert(Closure::ServerReset, 1);
        }),
        (Binding::Delivery, |made| made.trial.tally.traffic.pongs_heard -= 1),
        (Binding::ServerMemory, |made| made.facts.aborts_on_memory = 1),
        (Binding::ServerMemory, |made| made.facts.swapped_pages = 1),
        (Binding::ServerAccept, |made| {
            made.facts.listen_drops = 1;
            made.resized.tally.phases.establish.record(Duration::from_secs(1));
        }),
        (Binding::ServerGone, |made| made.facts.is_gone = true),
        (Binding::ServerCpu, |made| made.facts.worker = Some(("worker-1".to_owned(), 81))),
        (Binding::ServerCpu, |made| {
            made.charges.server_hold_cpu_ns = Some(units::ns(HOLD) * 2 * 82 / 100);
        }),
    ];
    for (binding, spoil) in ways {
        assert_eq!(spoilt(spoil), (Some(binding), Mark::Fail, Mark::Fail));
    }
}

#[test]
fn a_few_errors_are_within_the_tolerance_and_not_without() {
    let few = spoilt(|made| fail(made, Failure::Refused, 2));
    assert_eq!(few, (Some(Binding::ServerRefused), Mark::Pass, Mark::Fail), "2 of 20,000");
    let lost = |count, minutes: u32| {
        spoilt(move |made| {
            made.conns = 100_000;
            made.trial.held = 100_000;
            made.to = made.from + HOLD * minutes;
            made.trial.tally.accounting.closed.insert(Closure::ServerReset, count);
        })
    };
    assert_eq!((lost(2, 2).1, lost(2, 2).2), (Mark::Pass, Mark::Fail));
    assert_eq!(lost(3, 2).1, Mark::Fail);
}

#[test]
fn what_takes_too_long_is_latency_or_the_cores_that_are_shared() {
    let slow = |made: &mut Made| {
        (0..100).for_each(|_| made.trial.tally.traffic.ping.corrected.record_ns(60_000_000));
    };
    assert_eq!(spoilt(slow), (Some(Binding::Latency), Mark::Fail, Mark::Fail));
    let busy = |made: &mut Made| {
        slow(made);
        made.facts.busy_permille = Some(990);
    };
    assert_eq!(spoilt(busy).0, Some(Binding::MachineCpu));
}

#[test]
fn drops_of_another_server_are_none_of_ours() {
    let (binding, ..) = spoilt(|made| made.facts.listen_drops = 1);
    assert_eq!(binding, None, "all of ours opened at once");
}

#[test]
fn a_generator_that_fell_behind_is_asked_again_and_then_believed() {
    let late = |is_repeated| {
        move |made: &mut Made| {
            made.order.is_repeated = is_repeated;
            made.validity.valid = false;
            made.is_believed = false;
            made.validity.reasons.push("loop lag".to_owned());
        }
    };
    let pace = Some(Binding::GeneratorPace);
    assert_eq!(spoilt(late(false)), (pace, Mark::Unclear, Mark::Unclear));
    assert_eq!(spoilt(late(true)), (pace, Mark::Fail, Mark::Fail));
    let refused = spoilt(|made| {
        late(false)(made);
        fail(made, Failure::Http(503), 50);
    });
    assert_eq!(refused.0, Some(Binding::ServerRefused), "the server said so itself");
    let overlooked = spoilt(|made| {
        late(true)(made);
        made.is_believed = true;
    });
    assert_eq!(overlooked, (None, Mark::Pass, Mark::Pass));
}

#[test]
fn too_few_samples_tell_nothing() {
    let few = spoilt(|made| {
        let traffic = &mut made.trial.tally.traffic;
        traffic.ping.corrected.clear();
        (0..2_000).for_each(|_| traffic.ping.corrected.record_ns(1_000_000));
    });
    assert_eq!(few, (Some(Binding::Unclear), Mark::Unclear, Mark::Unclear));
    let none = spoilt(|made| made.trial.tally.traffic.ping.corrected.clear());
    assert_eq!(none.1, Mark::Unclear);
}

#[test]
fn memory_may_be_touched_but_not_grow() {
    let marks = |bytes_a_minute, phase, hold: Duration| {
        let mut made = good();
        made.order.phase = phase;
        made.trial.hold.to = hold;
        Standard::new(&plan(), &[]).grade(&made, &series(bytes_a_minute)).marks
    };
    let of = |slo, zero| Marks { slo, zero };
    let (verify, minutes) = (Phase::Verify, HOLD * 5);
    assert_eq!(marks(0, verify, minutes), of(Mark::Pass, Mark::Pass));
    assert_eq!(marks(25_000, verify, minutes), of(Mark::Pass, Mark::Pass), "a thousandth");
    assert_eq!(marks(900_000, verify, minutes), of(Mark::Pass, Mark::Fail));
    assert_eq!(marks(900_000, verify, HOLD), of(Mark::Pass, Mark::Pass), "too short to tell");
    assert_eq!(marks(1_100_000, verify, HOLD), of(Mark::Fail, Mark::Fail));
    assert_eq!(marks(1_100_000, Phase::Grow, HOLD), of(Mark::Pass, Mark::Pass));
}

#[test]
fn a_storm_must_be_over_in_time() {
    let storm = |back, lost| {
        spoilt(move |made| {
            made.storm = Some(Storm { before: CONNS, back, lost, after: Vec::new() });
        })
    };
    assert_eq!(storm(CONNS, 0), (None, Mark::Pass, Mark::Pass));
    assert_eq!(storm(CONNS - 1, 1), (Some(Binding::Recovery), Mark::Pass, Mark::Fail));
    assert_eq!(storm(CONNS - 500, 0), (Some(Binding::Recovery), Mark::Fail, Mark::Fail));
    let after = spoilt(|made| {
        let after = vec![shortfall(Binding::Latency, "slow".to_owned())];
        made.storm = Some(Storm { before: CONNS, back: CONNS, lost: 0, after });
    });
    assert_eq!(after, (Some(Binding::Recovery), Mark::Fail, Mark::Fail));
}

#[test]
fn what_was_asked_for_takes_the_place_of_what_is_usual() {
    let judged = |made: &Made, objectives: &[&str]| {
        let asked: Vec<Objective> = objectives.iter().map(|it| it.parse().unwrap()).collect();
        let grade = Standard::new(&plan(), &asked).grade(made, &Series::default());
        (grade.marks.slo, grade.judgements.iter().map(|it| it.expr.clone()).collect::<Vec<_>>())
    };
    let strict = judged(&good(), &["ping.p99 <= 100us"]);
    assert_eq!(
        strict,
        (Mark::Fail, vec!["heartbeat.missed == 0".into(), "ping.p99 <= 100us".into()])
    );
    let mut busy = good();
    busy.charges.server_hold_cpu_ns = Some(units::ns(HOLD) * 2 * 9 / 10);
    assert_eq!(judged(&busy, &["server.cpu <= 95%"]).0, Mark::Pass);
    let unknown = judged(&good(), &["server.rss_per_conn <= 1KiB"]);
    assert_eq!(unknown.0, Mark::Fail, "what was asked for and not measured does not pass");
}
