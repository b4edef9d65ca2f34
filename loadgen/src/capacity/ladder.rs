//! The search while it goes: a line for each trial, and on a terminal one that tells of the trial
//! under way.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::course::Course;
use super::grade::{Grade, Made};
use super::search::{Mark, Order};
use crate::fleet::{Glance, Moment};
use crate::plan::Plan;
use crate::run::Subject;
use crate::units;

/// How often the line of the trial under way is written again.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// Where the lines go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Nowhere,
    Stdout,
    Stderr,
}

/// Writes the lines.
#[derive(Debug)]
pub struct Ladder {
    place: Place,
    /// Whether there is a terminal to tell of the trial under way.
    is_live: bool,
}

impl Ladder {
    /// One that is silent if it shall be quiet, and leaves standard output alone if a result is
    /// written there.
    pub fn new(is_quiet: bool, is_taken: bool) -> Self {
        let place = match (is_quiet, is_taken) {
            (true, _) => Place::Nowhere,
            (false, true) => Place::Stderr,
            (false, false) => Place::Stdout,
        };
        Self { place, is_live: !is_quiet && io::stderr().is_terminal() }
    }

    /// Says what begins.
    pub fn begin(&self, subject: &Subject, course: &Course, plan: &Plan) {
        let max = units::count(course.rules.max);
        let is_ours = if subject.embedded.is_some() { " (its own server)" } else { "" };
        self.write(&format!(
            "loadgen  {}{is_ours}  capacity in {} up to {max}, {}, seed {:x}\n{}",
            subject.target.url(),
            course.axis.unit(),
            plan.cast,
            plan.seed,
            head(course.axis.unit())
        ));
    }

    /// Says what a trial came to; nothing was measured if nobody answered.
    pub fn step(&self, order: &Order, made: Option<&Made>, grade: &Grade) {
        self.write(&row(order, made, grade));
    }

    fn write(&self, line: &str) {
        let clear = if self.is_live { "\r\x1b[K" } else { "" };
        // A terminal or a reader that has gone is no reason to stop measuring.
        let _ = match self.place {
            Place::Nowhere => return,
            Place::Stderr => writeln!(io::stderr().lock(), "{clear}{line}"),
            Place::Stdout => {
                let _ = write!(io::stderr().lock(), "{clear}");
                writeln!(io::stdout().lock(), "{line}")
            }
        };
    }
}

fn head(unit: &str) -> String {
    format!(
        "{:<8}{unit:>18}{:>7}  {:<8}{:>11}{:>11}{:>15}{:>9}{:>11}",
        "trial", "hold", "", "p99", "p99.9", "server/conn", "cpu", "loop lag"
    )
}

/// The line of a trial.
pub fn row(order: &Order, made: Option<&Made>, grade: &Grade) -> String {
    let word = match grade.marks.slo {
        Mark::Pass if grade.marks.zero == Mark::Pass => "pass",
        Mark::Pass => "pass*",
        Mark::Fail => "FAIL",
        Mark::Unclear => "unclear",
    };
    let (n, hold) = (units::count(order.n), format!("{}s", order.hold.as_secs_f64()));
    let mut line = format!("{:<8}{n:>18}{hold:>7}  {word:<8}", order.phase.name());
    if let Some(made) = made {
        let told =
            |value: Option<u64>, say: fn(u64) -> String| value.map_or_else(|| "-".to_owned(), say);
        let traffic = &made.trial.tally.traffic;
        let timed = [&traffic.ping, &traffic.echo, &traffic.deliver];
        let timed = timed.map(|timing| &timing.corrected).into_iter().max_by_key(|it| it.n());
        let quantile = |quantile| timed.and_then(|latency| latency.percentile(quantile));
        let cpu = made.charges.server_hold_cpu_ns.and_then(|ns| {
            let percent = ns.saturating_mul(100).checked_div(units::ns(made.trial.hold.len()));
            percent.map(|percent| format!("{percent} %"))
        });
        let cells = format!(
            "{:>11}{:>11}{:>15}{:>9}{:>11}",
            told(quantile(0.99), units::time),
            told(quantile(0.999), units::time),
            told(made.charges.server_bytes_per_conn, units::bytes),
            cpu.unwrap_or_else(|| "-".to_owned()),
            told(made.validity.lag_p99_ns, units::time),
        );
        line.push_str(&cells);
    }
    match grade.binding() {
        Some(it) => line + &format!("  {}: {}", it.binding.title(), it.text),
        None => line,
    }
}

/// The line of the trial under way.
#[derive(Debug)]
pub struct Status {
    is_live: bool,
    due: Option<Instant>,
}

impl Status {
    /// The status of a search of which `ladder` tells.
    pub fn new(ladder: &Ladder) -> Self {
        Self { is_live: ladder.is_live, due: None }
    }

    /// Tells how it stands, if it is time and there is a terminal.
    pub fn show(&mut self, order: &Order, glance: &Glance<'_>) {
        if !self.is_live || self.due.is_some_and(|due| glance.now < due) {
            return;
        }
        self.due = Some(glance.now + STATUS_INTERVAL);
        let _ = write!(io::stderr().lock(), "\r\x1b[K{}", status(order, glance));
    }
}

fn status(order: &Order, glance: &Glance<'_>) -> String {
    let moment = match glance.moment {
        Moment::Ramp => "opening".to_owned(),
        Moment::Warmup => "warming up".to_owned(),
        Moment::Hold { since } => format!("held {}s", (glance.now - since).as_secs()),
        Moment::Drain => "draining".to_owned(),
        Moment::Close => "closing".to_owned(),
    };
    let open = units::count(glance.books.open());
    format!("{:<8}{:>18}  {moment}, {open} open", order.phase.name(), units::count(order.n))
}
