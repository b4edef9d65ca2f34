//! What this machine and this program can time, and how fast: their own clock, their timers, and
//! the largest rate of echoes that one driver keeps.
//!
//! The driver is the one of every run. Over memory it shares its core with the sink, which is all
//! there is then: what it keeps is what the code of both costs. Over loopback the kernel takes
//! part, and the sink has another core.

mod bench;
mod clock;
mod rate;
mod sink;
mod timer;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use corecast::reactor::affinity;
use serde::Serialize;

use self::clock::Clock;
use self::rate::{FlatOut, Pace};
use crate::latency::Latency;
use crate::payload::PAYLOAD_LEN_MAX;
use crate::run::{self, Refusal};
use crate::units::{self, parse_bytes, parse_count, parse_duration};
use crate::verdict::Exit;

/// What may be said to `selftest`.
#[derive(Args, Clone, Debug)]
pub struct SelftestArgs {
    /// How long the timers are watched, and each rate is tried
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = parse_duration)]
    pub time: Duration,

    /// How many connections share a rate
    #[arg(long, short = 'n', value_name = "N", default_value = "100", value_parser = parse_conns)]
    pub conns: u64,

    /// Bytes of a message, from 40 (what its stamp takes) to 1 MiB
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = parse_payload)]
    pub payload: usize,

    /// How late timers may ring, and messages leave, at the 99th percentile
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_duration)]
    pub max_slip: Duration,

    /// Write what was found as JSON (schema loadgen-selftest/1) to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Print nothing: the exit code and --json tell
    #[arg(long)]
    pub quiet: bool,
}

/// More connections have no part in what a message costs.
const CONNS_MAX: u64 = 10_000;

/// What the stamp of a message takes.
const PAYLOAD_LEN_MIN: usize = 40;

fn parse_conns(text: &str) -> Result<u64, String> {
    let conns = parse_count(text)?;
    let is_fit = (1..=CONNS_MAX).contains(&conns);
    is_fit.then_some(conns).ok_or_else(|| "from 1 to 10,000 connections".to_owned())
}

fn parse_payload(text: &str) -> Result<usize, String> {
    let len = usize::try_from(parse_bytes(text)?).unwrap_or(usize::MAX);
    let is_fit = (PAYLOAD_LEN_MIN..=PAYLOAD_LEN_MAX).contains(&len);
    is_fit.then_some(len).ok_or_else(|| "a payload has 40 bytes to 1 MiB".to_owned())
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    schema: &'static str,
    /// Whether runs can be timed here.
    fit: bool,
    /// Why not.
    complaints: Vec<String>,
    clock: Clock,
    timer: Timer,
    memory: FlatOut,
    loopback: Loopback,
}

/// How late timers rang.
#[derive(Debug, Serialize)]
struct Timer {
    wakes: u64,
    slip_p50_ns: Option<u64>,
    slip_p99_ns: Option<u64>,
    slip_max_ns: Option<u64>,
}

/// The largest rate over loopback.
#[derive(Debug, Serialize)]
struct Loopback {
    /// How many cores driver and sink have together.
    cores: usize,
    largest: Option<Pace>,
}

/// Measures all of it, and tells.
///
/// # Errors
///
/// What could not be measured at all, or not be written.
pub fn selftest(args: &SelftestArgs) -> Result<Exit, Refusal> {
    let found = measure(args)?;
    tell(args, &found).map_err(|error| Refusal::new(Exit::Broken, error))?;
    Ok(if found.fit { Exit::Held } else { Exit::Invalid })
}

fn measure(args: &SelftestArgs) -> Result<Found, Refusal> {
    let slip_max_ns = units::ns(args.max_slip);
    let clock = Clock::measure();
    let slip = timer::slip(args.time)
        .map_err(|error| Refusal::new(Exit::Invalid, format!("no timer: {error}")))?;
    let mut complaints = clock.complaints();
    complaints.extend(timer_complaint(&slip, slip_max_ns));
    let memory = bench::in_memory(args)?;
    let largest = rate::largest(slip_max_ns, |rate| bench::over_loopback(args, rate))?;
    let cores = affinity::cores().len().clamp(1, 2);
    Ok(Found {
        schema: "loadgen-selftest/1",
        fit: complaints.is_empty(),
        complaints,
        clock,
        timer: Timer {
            wakes: slip.n(),
            slip_p50_ns: slip.quantile(0.5),
            slip_p99_ns: slip.quantile(0.99),
            slip_max_ns: slip.max(),
        },
        memory,
        loopback: Loopback { cores, largest },
    })
}

/// That timers ring too late, if they do.
fn timer_complaint(slip: &Latency, slip_max_ns: u64) -> Option<String> {
    let late = slip.quantile(0.99).filter(|late| *late > slip_max_ns)?;
    let (late, max) = (units::time(late), units::time(slip_max_ns));
    Some(format!("one timer in a hundred rings {late} late or more, above {max}"))
}

/// Prints what was found, and writes the file that was asked for.
fn tell(args: &SelftestArgs, found: &Found) -> io::Result<()> {
    let json = || serde_json::to_string_pretty(found).map(|text| text + "\n");
    let mut stdout = io::stdout().lock();
    match args.json.as_deref() {
        Some(path) if path == Path::new("-") => return stdout.write_all(json()?.as_bytes()),
        Some(path) => run::write(path, &json()?)?,
        None => {}
    }
    if args.quiet { Ok(()) } else { stdout.write_all(page(found).as_bytes()) }
}

/// What was found, for people.
fn page(found: &Found) -> String {
    let Found { clock, timer, memory, loopback, complaints, .. } = found;
    let mut text = String::new();
    let verdict = if complaints.is_empty() { "FIT" } else { "UNFIT" };
    let _ = writeln!(text, "RESULT    {verdict}");
    for complaint in complaints {
        let _ = writeln!(text, "          {complaint}");
    }
    let _ = writeln!(
        text,
        "clock     steps of {}, {} a reading; {} of {} readings on {} cores went back; at most {} \
         between two",
        units::time(clock.resolution_ns),
        units::time(clock.cost_ns),
        units::count(clock.steps_back),
        units::count(clock.readings),
        clock.cores,
        units::time(clock.longest_step_ns),
    );
    let late = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), units::time);
    let _ = writeln!(
        text,
        "timer     {} wakes a millisecond apart, late by p50 {}  p99 {}  max {}",
        units::count(timer.wakes),
        late(timer.slip_p50_ns),
        late(timer.slip_p99_ns),
        late(timer.slip_max_ns),
    );
    let _ = writeln!(
        text,
        "echo      over memory: {} messages a second of one core, driver and sink together",
        units::count(memory.per_second)
    );
    let kept = loopback.largest.as_ref().map_or_else(|| "no rate was kept".to_owned(), kept);
    let on = if loopback.cores == 1 { "share the only core" } else { "have a core each" };
    let _ = writeln!(text, "echo      over loopback: {kept}; driver and sink {on}");
    text
}

/// The largest rate that was kept, for people.
fn kept(pace: &Pace) -> String {
    let mut text = format!(
        "{} messages a second, late by p99 {}",
        units::count(pace.per_second),
        units::time(pace.slip_p99_ns)
    );
    if let Some(per_cpu_second) = pace.per_cpu_second {
        let _ = write!(text, " ({} for a second of CPU)", units::count(per_cpu_second));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_rings_late_is_named() {
        let mut slip = Latency::default();
        (0..100).for_each(|_| slip.record_ns(6_000_000));
        let complaint = timer_complaint(&slip, 5_000_000).unwrap();
        assert!(complaint.contains("6.00ms") && complaint.contains("5.00ms"), "{complaint}");
        assert_eq!(timer_complaint(&slip, 7_000_000), None);
    }

    #[test]
    fn a_page_names_what_is_unfit_and_every_rate() {
        let memory = FlatOut { sent: 5, received: 5, cpu_ns: 20_000, per_second: 250_000 };
        let found = Found {
            schema: "loadgen-selftest/1",
            fit: false,
            complaints: vec!["the clock went back 2 times".to_owned()],
            clock: Clock::default(),
            timer: Timer {
                wakes: 500,
                slip_p50_ns: Some(10_000),
                slip_p99_ns: Some(90_000),
                slip_max_ns: None,
            },
            memory,
            loopback: Loopback { cores: 2, largest: None },
        };
        let text = page(&found);
        for part in [
            "RESULT    UNFIT",
            "went back 2 times",
            "over memory: 250,000 messages a second",
            "over loopback: no rate was kept",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
