//! The live screen to the letter, and how often anything is drawn at all.

use ratatui::Terminal as Drawing;
use ratatui::backend::TestBackend;

use super::facts::{Generator, History, Row, Server};
use super::*;
use crate::books::Books;
use crate::series::Series;
use crate::slo::State;

const KEYS: &str = "[q]uit  [s]napshot";

/// A run in its hold, with everything there is to see.
fn facts() -> Facts {
    let row = |name: &str, times: [&str; 5], n, objective: Option<(&str, State)>| Row {
        name: name.to_owned(),
        times: times.map(str::to_owned),
        n,
        objective: objective.map(|(expr, state)| (expr.to_owned(), state)),
    };
    Facts {
        elapsed: Duration::from_secs(102),
        stage: "hold 42/60s".to_owned(),
        requested: 100_000,
        open: 99_998,
        failed: 2,
        failures: vec![("timeout".to_owned(), 2)],
        sent: 1_260_114,
        received: 1_260_100,
        pings: 4_000,
        faults: [14, 0, 0, 0],
        rows: vec![
            row("tls handshake", ["1.90ms", "3.70ms", "8.80ms", "21.0ms", "64.2ms"], 100_000, None),
            row(
                "echo",
                ["0.42ms", "1.10ms", "4.70ms", "18.2ms", "41.5ms"],
                1_260_100,
                Some(("echo.p99.9 <= 50ms", State::Held)),
            ),
        ],
        others: vec![
            ("connections.held >= 100000".to_owned(), State::Held),
            ("deliver.loss == 0".to_owned(), State::Broken),
        ],
        server: Some(Server {
            rss: 851_443_712,
            cpu_percent: 143,
            kernel: Some(315_621_376),
            listen_drops: 0,
        }),
        generator: Generator {
            rss: Some(671_088_640),
            cpu_percent: Some(61),
            lag: Some(700_000),
            slip: Some(900_000),
            is_valid: Some(true),
        },
        history: History { open: vec![1, 2, 4, 8], latency: Vec::new(), rss: vec![8, 8, 8, 8] },
        ..Facts::default()
    }
}

/// The screen of this size, line by line, without the blanks at their ends.
fn screen(width: u16, height: u16, facts: &Facts) -> Vec<String> {
    let mut drawing = Drawing::new(TestBackend::new(width, height)).unwrap();
    let front = Frontage { title: "loadgen  wss://127.0.0.1:9443/  echo  seed 7f3a", keys: KEYS };
    drawing.draw(|frame| view::draw(frame, &front, facts)).unwrap();
    let buffer = drawing.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned()).collect()
}

#[test]
fn eighty_columns_hold_everything_that_matters() {
    assert_eq!(
        screen(80, 16, &facts()),
        [
            "loadgen  wss://127.0.0.1:9443/  echo  seed 7f3a            00:01:42  hold 42/60s",
            "open 99,998 of 100,000  pending 0  failed 2 (timeout 2)  closed by server 0",
            "[########################################################### ]   99.9 %  0/s",
            "                     p50      p90      p99    p99.9      max          n",
            "tls handshake     1.90ms   3.70ms   8.80ms   21.0ms   64.2ms    100,000",
            "echo              0.42ms   1.10ms   4.70ms   18.2ms   41.5ms  1,260,100  OK",
            "traffic    pings answered 4,000  sent 1,260,114  received 1,260,100  lost 14",
            "objectives deliver.loss == 0  BROKEN  connections.held >= 100000  OK",
            "server     rss 812 MiB (8.3 KiB/conn)  kernel 301 MiB  cpu 143 %  listen drops 0",
            "generator  rss 640 MiB  cpu 61 %  loop lag p99 0.70ms  slip p99 0.90ms  VALID",
            "conns 8                                  server rss 8 B",
            "   █                                     ████",
            "   █                                     ████",
            "  ██                                     ████",
            "▄███                                     ████",
            KEYS,
        ]
    );
}

#[test]
fn sixty_columns_keep_the_median_and_the_tail() {
    let shown = screen(60, 13, &facts());
    assert_eq!(shown[3], "                     p50      p99    p99.9          n");
    assert_eq!(shown[5], "echo              0.42ms   4.70ms   18.2ms  1,260,100  OK");
    assert!(shown[0].ends_with("00:01:42  hold 42/60s"), "{}", shown[0]);
    assert!(shown.iter().all(|line| line.chars().count() <= 60));
    assert_eq!(shown[12], KEYS);
}

#[test]
fn a_wide_screen_spells_its_objectives_out() {
    let shown = screen(140, 40, &facts());
    assert!(shown[5].ends_with("1,260,100  echo.p99.9 <= 50ms  OK"), "{}", shown[5]);
    assert!(shown[6].ends_with("received 1,260,100  lost 14"), "{}", shown[6]);
    assert_eq!(shown[39], KEYS);
}

#[test]
fn a_screen_that_is_too_small_shows_what_fits() {
    for (width, height) in [(1, 1), (20, 3), (60, 8), (80, 5), (300, 100)] {
        assert_eq!(screen(width, height, &facts()).len(), usize::from(height));
    }
    let empty = screen(80, 24, &Facts::default());
    assert_eq!(empty[1], "open 0 of 0  pending 0  failed 0  closed by server 0");
}

#[test]
fn a_generator_that_lags_is_said_to_be_invalid() {
    let mut facts = facts();
    facts.generator.is_valid = Some(false);
    assert!(screen(80, 24, &facts).iter().any(|line| line.ends_with("  INVALID")));
}

fn plan(line: &str) -> Plan {
    let words = format!("loadgen {line}");
    let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
    let args = crate::args::Cli::run_of(&words).unwrap();
    let files = corecast::reactor::fds::Limit { before: 1_024, now: 20_000 };
    Plan::new(&args, files, || 7).unwrap()
}

#[test]
fn a_screen_is_drawn_four_times_a_second_however_often_it_is_shown() {
    let (plan, start) = (plan("--conns 5"), crate::run::clock());
    let (books, series) = (Books::new(1), Series::default());
    for (interval, a_second) in [(REDRAW_INTERVAL, 4), (LINE_INTERVAL, 1)] {
        let mut due = start;
        let drawn = (0..10_000).filter(|ms| {
            let now = start + Duration::from_millis(*ms);
            let glance =
                Glance { plan: &plan, books: &books, series: &series, moment: Moment::Ramp, now };
            is_due(&mut due, interval, &glance)
        });
        assert_eq!(drawn.count(), a_second * 10, "in ten seconds");
    }
}

#[test]
fn more_or_less_is_a_tenth_and_never_more_than_planned() {
    for (conns, is_more, wanted) in [
        (100, false, 90),
        (90, true, 99),
        (99, true, 100),
        (100, true, 100),
        (5, false, 4),
        (1, false, 1),
    ] {
        assert_eq!(resized(conns, 100, is_more), wanted, "{conns}");
    }
    assert!(plan("--conns 5").may_resize());
    for line in ["--scenario echo", "--heartbeat 1s", "--lifetime 1s"] {
        assert!(!plan(&format!("--conns 5 {line}")).may_resize(), "{line}");
    }
}
