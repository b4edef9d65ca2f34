//! That models say what the points do, and nothing more.

use corecast::base::Rng;

use super::*;

const TARGET: Target = Target { memory: Some(1 << 30), cores: 4, files: None, headroom: 0.6 };

/// Noise of about one standard deviation, and never the same.
fn noise(rng: &mut Rng) -> f64 {
    let draws = (0..12).map(|_| f64::from(u32::try_from(rng.below(1 << 24)).unwrap()));
    draws.sum::<f64>() / f64::from(1 << 24) - 6.0
}

/// Runs of 1,000 to 10,000 connections, three of each, that take what `take` says.
fn points(take: impl Fn(f64) -> f64) -> Vec<Point> {
    let mut rng = Rng::new(3);
    let levels = (1..=10).flat_map(|level| [f64::from(level) * 1_000.0; 3]);
    let mut point = |conns: f64| {
        let user = 1e6 + take(conns) + 2_000.0 * noise(&mut rng);
        let cpu = 0.01 + 2e-5 * conns + 1e-4 * noise(&mut rng);
        let kernel = 4_000.0 * conns + 1_000.0 * noise(&mut rng);
        Point {
            conns,
            user: Some(user),
            kernel: Some(kernel),
            cpu: Some(cpu),
            files: Some(conns + 20.0),
            scenario: "idle".to_owned(),
            ..Point::default()
        }
    };
    levels.map(&mut point).collect()
}

#[test]
fn a_line_is_found_with_its_errors() {
    let models = models(&points(|conns| 500.0 * conns), &TARGET, 2_500_000);
    let user = &models.linear["user"];
    assert!((user.b - 500.0).abs() < 4.0 * user.se_b && user.se_b < 1.0, "{user:?}");
    assert!(user.r2 > 0.999 && user.is_straight);
    let files = &models.linear["files"];
    assert!((files.b - 1.0).abs() < 1e-9 && (files.a - 20.0).abs() < 1e-6);
    // 0.4 GiB less a megabyte, at 4,500 bytes each.
    let memory = &models.linear["memory"];
    let conns = memory.conns.unwrap();
    assert!((conns - (0.4 * 1_073_741_824.0 - 1e6) / 4_500.0).abs() < 500.0, "{conns}");
    let (low, high) = memory.conns_within.unwrap();
    assert!(low < conns && high.is_some_and(|high| high > conns));
}

#[test]
fn the_scarcest_resource_binds_and_machines_are_counted() {
    let points = points(|conns| 500.0 * conns);
    let planning = models(&points, &TARGET, 2_500_000).planning.unwrap();
    // 1.6 cores less a hundredth, at 20 microseconds a second each: fewer than memory holds.
    assert_eq!(planning.binding, "cpu");
    assert!((79_000..80_000).contains(&planning.conns_per_machine), "{planning:?}");
    assert_eq!(planning.machines, 2_500_000u64.div_ceil(planning.conns_per_machine) + 1);
    assert!((planning.extrapolation - 7.95).abs() < 0.02);
    for part in
        ["2,500,000 users", "one of them to spare", "60 % of each", "extrapolation 8.0: PLAN"]
    {
        assert!(planning.text.replace("7.9:", "8.0:").contains(part), "{part}: {}", planning.text);
    }
    let small = Target { memory: Some(1 << 27), ..TARGET };
    let planning = models(&points, &small, 1).planning.unwrap();
    assert_eq!((planning.binding.as_str(), planning.machines), ("memory", 2));
    assert!(planning.text.contains("of it the kernel's"), "{}", planning.text);
}

#[test]
fn what_is_bent_is_not_extrapolated() {
    let models = models(&points(|conns| 500.0 * conns + 0.01 * conns * conns), &TARGET, 2_500_000);
    let user = &models.linear["user"];
    assert!(!user.is_straight && models.refusals["user"].starts_with("not linear"));
    assert_eq!(models.linear["memory"].conns, Some(10_000.0), "the most that was measured");
    assert!(models.linear["cpu"].is_straight);
}

#[test]
fn five_loads_make_no_line() {
    let points = points(|conns| conns);
    let few: Vec<_> = points.into_iter().filter(|point| point.conns < 5_500.0).collect();
    let models = models(&few, &TARGET, 1);
    assert!(models.linear.is_empty() && models.planning.is_none());
    assert!(models.refusals["cpu"].contains("6 different numbers of connections, and there are 5"));
    let page = text::page(&models, 15, 1);
    assert!(page.contains("PLAN        none") && page.contains("in 1 of them"), "{page}");
}

#[test]
fn messages_have_a_cost_of_their_own_where_they_vary() {
    let mut points = points(|conns| conns);
    for (number, point) in (0..).zip(&mut points) {
        point.messages_out = f64::from(number % 3) * 10_000.0;
        point.messages_in = point.messages_out;
        point.cpu = point.cpu.map(|cpu| cpu + point.messages_out * 1e-5);
    }
    let cpu = models(&points, &TARGET, 1).linear["cpu"].clone();
    let [(name, factor, error)] = cpu.terms.as_slice() else { panic!("{:?}", cpu.terms) };
    assert_eq!(name, "messages in", "those out follow from them");
    assert!((factor - 1e-5).abs() < 4.0 * error, "{factor}");
}

/// Runs of so many cores, `repeats` of each, that bring what `bring` says.
fn scaled(cores: &[u32], repeats: u32, bring: impl Fn(f64) -> f64) -> Vec<Point> {
    let mut rng = Rng::new(7);
    let all = cores.iter().flat_map(|cores| (0..repeats).map(|_| f64::from(*cores)));
    let mut point = |cores: f64| Point {
        cores: Some(cores),
        messages_out: bring(cores) * (1.0 + 0.01 * noise(&mut rng)),
        ..Point::default()
    };
    all.map(&mut point).collect()
}

const CORES: [u32; 7] = [1, 2, 4, 8, 16, 24, 32];

#[test]
fn two_cores_tell_no_law() {
    let reason = scaling::fit(&scaled(&[1, 2], 5, |n| n)).unwrap_err();
    assert!(reason.contains("6 different numbers of cores"), "{reason}");
    assert!(reason.contains("there are 2 (1, 2)"), "{reason}");
    let reason = scaling::fit(&scaled(&CORES, 2, |n| n)).unwrap_err();
    assert!(reason.contains("repeated 2 times"), "{reason}");
    let reason = scaling::fit(&scaled(&CORES, 3, |_| 1_000.0)).unwrap_err();
    assert!(reason.contains("it was the load"), "{reason}");
    assert!(scaling::fit(&[]).unwrap_err().contains("none was told"));
}

#[test]
fn the_simplest_law_that_suffices_is_chosen() {
    let usl = |n: f64| 1_000.0 * n / (1.0 + 0.05 * (n - 1.0) + 0.002 * n * (n - 1.0));
    let law = scaling::fit(&scaled(&CORES, 3, usl)).unwrap();
    assert_eq!((law.law.as_str(), law.over.as_str()), ("usl", "cores"));
    let [low, high] = law.beta_within;
    assert!(low < 0.002 && 0.002 < high && low > 0.0, "{low} to {high}");
    assert!(law.peak.is_some_and(|peak| (peak - 21.8).abs() < 2.0), "{:?}", law.peak);
    assert!(law.band.last().is_some_and(|row| (row[0] - 64.0).abs() < 1e-9));
    assert!(law.band.iter().all(|[_, value, low, high]| low <= value && value <= high));

    let few: Vec<_> = [1, 2, 3, 4, 6, 8].into();
    let law = scaling::fit(&scaled(&few, 3, usl)).unwrap();
    assert_eq!(law.peak, None, "none beyond the peak was measured: {}", law.text);

    let line = scaling::fit(&scaled(&CORES, 3, |n| 1_000.0 * n)).unwrap();
    assert!(line.peak.is_none() && line.text.contains("no retrograde term"), "{}", line.text);
    let amdahl = scaling::fit(&scaled(&CORES, 3, |n| n / (1.0 + 0.1 * (n - 1.0)))).unwrap();
    assert_eq!((amdahl.law.as_str(), amdahl.peak), ("amdahl", None));
}

#[test]
fn headroom_is_a_share_of_what_there_is() {
    assert_eq!(parse_headroom("60%"), Ok(0.6));
    assert!(parse_headroom("100%").is_err() && parse_headroom("-1").is_err());
}
