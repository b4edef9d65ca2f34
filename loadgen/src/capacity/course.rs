//! What the command line means: the rules of the search, and the run that its trials are made of.

use std::time::Duration;

use super::args::CapacityArgs;
use super::axis::Axis;
use super::search::{Budget, Rules};
use crate::args::{OutputArgs, RunArgs};
use crate::driver::link::Variation;
use crate::turnover::{Habits, Reconnect};
use crate::units::{self, Rate};

/// So many samples tell the 99.9th percentile.
const SAMPLES: u64 = 3_000;

/// No connection is asked more often than this.
const HEARTBEAT_MIN: Duration = Duration::from_millis(10);

/// How long connections may take to be opened for a trial that verifies.
const RAMP: Duration = Duration::from_secs(60);

/// How many per cent vanish in a storm.
const STORM_PERCENT: u32 = 30;

/// How long those who vanished may wait before they come back.
const STORM_WAIT: Duration = Duration::from_secs(10);

/// A search, as it is meant.
#[derive(Clone, Debug)]
pub struct Course {
    /// What grows.
    pub axis: Axis,
    /// Whether it is in a hurry.
    pub is_quick: bool,
    /// How the search goes.
    pub rules: Rules,
    /// How long to wait before a trial.
    pub settle: Duration,
    /// How long the server has to recover from a storm; none if there shall be none.
    pub recovery: Option<Duration>,
    /// The run whose fleet is as large as can be.
    pub run: RunArgs,
    /// How many connections share the messages, where these grow.
    conns: u64,
    /// How many of these publish, if some do.
    publishers: Option<u64>,
}

impl Course {
    /// What `args` mean.
    ///
    /// # Errors
    ///
    /// What makes no sense.
    pub fn new(args: &CapacityArgs) -> Result<Self, String> {
        let axis = args.axis;
        if axis.opens() && args.conns.is_some() {
            return Err("--conns goes with --axis rate: how far to go is --max".to_owned());
        }
        let max = args.max.unwrap_or(axis.max());
        let start = args.start.unwrap_or_else(|| axis.start(max));
        if start == 0 || start > max {
            return Err("--start must be from 1 to --max".to_owned());
        }
        let either = |usual, quick| Duration::from_secs(if args.quick { quick } else { usual });
        let settle = args.settle.unwrap_or(either(5, 2));
        let trial = args.trial.unwrap_or(either(20, 10));
        let verify_hold = args.verify_hold.unwrap_or(either(300, 60));
        let verify_trials = args.verify_trials.unwrap_or(if args.quick { 2 } else { 5 });
        let recovery = args.recovery.unwrap_or(either(30, 15));
        let recovery = Some(recovery).filter(|recovery| !recovery.is_zero());
        let conns = if axis.opens() { max } else { args.conns.unwrap_or(1_000) };
        let output = OutputArgs { label: args.output.label.clone(), ..OutputArgs::default() };
        let mut run = args.bench.run(args.url.as_ref(), conns, verify_hold, output);
        run.server_cores = args.server_cores;
        scene(axis, &mut run, start, trial)?;
        let publishers = (run.scenario.scenario == "broadcast").then_some(run.scenario.publishers);
        let storm = recovery.map(storm_hold).unwrap_or_default();
        let verification = verify_hold + storm + trial + 2 * settle + RAMP;
        let end = args.time_limit.or(args.quick.then(|| Duration::from_secs(14 * 60)));
        let budget = end.map(|end| Budget {
            // What begins then has ended when it must.
            end: end.saturating_sub(verification).max(end / 2),
            verify_from: end.saturating_sub(verification * verify_trials).max(end / 3),
        });
        let rules = Rules {
            min: publishers.filter(|_| axis.opens()).unwrap_or(1),
            start,
            max,
            width: axis.width(),
            trial,
            verify_hold,
            verify_trials,
            verifies_neighbours: !args.quick,
            budget,
        };
        Ok(Self { axis, is_quick: args.quick, rules, settle, recovery, run, conns, publishers })
    }

    /// How many connections there are at the number `n`.
    pub fn conns(&self, n: u64) -> u32 {
        u32::try_from(if self.axis.opens() { n } else { self.conns }).unwrap_or(u32::MAX)
    }

    /// How many there are at every number, if that does not depend on it.
    pub fn fixed_conns(&self) -> Option<u64> {
        (!self.axis.opens()).then_some(self.conns)
    }

    /// How a trial of the number `n` differs from the plan.
    #[allow(clippy::cast_precision_loss)] // messages of a second
    pub fn variation(&self, n: u64) -> Variation {
        let senders = self.publishers.unwrap_or(self.conns);
        let rate = (!self.axis.opens()).then(|| Rate::of(n as f64 / senders as f64));
        Variation { rate, habits: None }
    }

    /// The same with a storm, and how long to hold it, if there shall be one.
    pub fn storm(&self, n: u64) -> Option<(Variation, Duration)> {
        let recovery = self.recovery?;
        let wait = STORM_WAIT.min(recovery * 2 / 3);
        let storm = format!("{STORM_PERCENT}%/{}ms", wait.as_millis()).parse().ok();
        let habits = Habits { storm, lifetime: None, reconnect: Reconnect::ExpJitter };
        Some((Variation { habits: Some(habits), ..self.variation(n) }, storm_hold(recovery)))
    }
}

/// How long to hold a trial in which a storm strikes after a third, as it does.
fn storm_hold(recovery: Duration) -> Duration {
    recovery * 3 / 2
}

/// Has the connections do what the axis makes sense of, and silent ones ping often enough that a
/// trial tells the 99.9th percentile, and that each is asked once.
fn scene(axis: Axis, run: &mut RunArgs, start: u64, trial: Duration) -> Result<(), String> {
    let scenario = &mut run.scenario;
    let is_named = scenario.mix.is_some() || scenario.scenario != "idle";
    if !is_named {
        axis.scenario().clone_into(&mut scenario.scenario);
    }
    let name = scenario.mix.as_ref().map_or(scenario.scenario.as_str(), |_| "mix");
    let fits = match axis {
        Axis::Conns => true,
        Axis::Rate => matches!(name, "echo" | "broadcast"),
        Axis::Subscribers => name == "broadcast",
    };
    if !fits {
        return Err(format!("--axis {axis} needs another scenario than `{name}`"));
    }
    if name == "idle" && scenario.heartbeat.is_none() {
        let often = Duration::from_nanos(units::ns(trial).saturating_mul(start) / SAMPLES);
        scenario.heartbeat = Some(often.min(trial).max(HEARTBEAT_MIN));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn args(line: &str) -> CapacityArgs {
        let line = format!("loadgen capacity {line}");
        match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
            Some(Command::Capacity(args)) => *args,
            other => panic!("{other:?}"),
        }
    }

    fn course(line: &str) -> Result<Course, String> {
        Course::new(&args(line))
    }

    #[test]
    fn nothing_need_be_said() {
        let course = course("").unwrap();
        let Rules { start, max, trial, verify_hold, verify_trials, budget, .. } = course.rules;
        assert_eq!((start, max, verify_trials, budget.is_none()), (10_000, 100_000, 5, true));
        assert_eq!((trial.as_secs(), verify_hold.as_secs()), (20, 300));
        assert_eq!((course.conns(7), course.variation(7).rate), (7, None));
        // Each is asked once in a trial.
        assert_eq!(course.run.scenario.heartbeat, Some(trial));
    }

    #[test]
    fn a_quick_search_ends_in_time() {
        let course = course("--quick").unwrap();
        let budget = course.rules.budget.unwrap();
        assert_eq!((budget.end.as_secs(), course.rules.verify_trials), (683, 2));
        assert!(budget.verify_from < budget.end && !course.rules.verifies_neighbours);
    }

    #[test]
    fn a_storm_leaves_the_time_to_recover() {
        let (variation, hold) = course("").unwrap().storm(7).unwrap();
        assert_eq!(hold.as_secs(), 45, "it strikes after a third");
        assert!(variation.habits.unwrap().storm == "30%/10s".parse().ok());
        assert!(course("--recovery 0s").unwrap().storm(7).is_none());
    }

    #[test]
    fn few_connections_are_asked_often_enough_to_tell() {
        let few = course("--start 100 --max 1k").unwrap();
        assert_eq!(few.run.scenario.heartbeat, Some(Duration::from_secs(20) / 30));
        let asked = course("--start 100 --max 1k --heartbeat 7s").unwrap();
        assert_eq!(asked.run.scenario.heartbeat, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_rate_is_shared_by_those_who_send() {
        let echo = course("--axis rate --conns 100").unwrap();
        let rate = |course: &Course| course.variation(5_000).rate.unwrap().per_second();
        assert_eq!((echo.run.scenario.scenario.as_str(), echo.conns(5_000)), ("echo", 100));
        assert!((rate(&echo) - 50.0).abs() < 1e-9);
        let line = "--axis rate --scenario broadcast --publishers 4 --conns 100";
        assert!((rate(&course(line).unwrap()) - 1_250.0).abs() < 1e-9);
        assert_eq!(echo.run.scenario.heartbeat, None);
    }

    #[test]
    fn subscribers_are_connections_to_one_topic() {
        let course = course("--axis subscribers --publishers 3 --max 500").unwrap();
        assert_eq!(course.run.scenario.scenario, "broadcast");
        assert_eq!((course.rules.min, course.rules.start, course.conns(50)), (3, 50, 50));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--conns 10",
            "--start 0",
            "--start 11 --max 10",
            "--axis rate --mix idle=1,echo=1",
            "--axis subscribers --scenario echo",
        ] {
            assert!(course(line).is_err(), "{line}");
        }
    }
}
