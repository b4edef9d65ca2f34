//! What is seen while it runs: a screen that is redrawn in place on a terminal, a line a second
//! elsewhere. Both go to standard error, so that standard output is the report's alone.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use crate::fleet::{Glance, Moment};
use crate::plan::Plan;
use crate::series::Series;
use crate::{table, units};

/// How often a screen is redrawn: often enough to seem alive, and cheap.
const REDRAW_INTERVAL: Duration = Duration::from_millis(250);
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Columns of the progress bar.
const BAR_WIDTH: u64 = 40;

/// Shows a run.
#[derive(Debug)]
pub struct Screen {
    style: Style,
    title: String,
    start: Instant,
    due: Instant,
    /// Connections that were open when it was last drawn, and when that was.
    last: (u64, Instant),
    /// How many lines the last drawing had.
    drawn: usize,
}

/// How it is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Style {
    Silent,
    Lines,
    InPlace,
}

impl Screen {
    /// A screen that suits standard error, for a run against `url` that starts `now`.
    pub fn new(is_quiet: bool, plan: &Plan, url: &str, now: Instant) -> Self {
        let style = match (is_quiet, io::stderr().is_terminal()) {
            (true, _) => Style::Silent,
            (false, true) => Style::InPlace,
            (false, false) => Style::Lines,
        };
        let title = format!("loadgen  {url}  {}  seed {:x}", plan.cast.name(), plan.seed);
        Self { style, title, start: now, due: now, last: (0, now), drawn: 0 }
    }

    /// Shows how it stands, if it is time.
    pub fn show(&mut self, glance: &Glance<'_>) {
        let Glance { books, moment, now, .. } = *glance;
        if self.style == Style::Silent || (now < self.due && moment != Moment::Close) {
            return;
        }
        let view = self.view(glance);
        let text = match self.style {
            Style::Lines => {
                self.due = now + LINE_INTERVAL;
                let title =
                    if self.drawn == 0 { format!("{}\n", self.title) } else { String::new() };
                self.drawn = 1;
                title + &view.line()
            }
            Style::InPlace | Style::Silent => {
                self.due = now + REDRAW_INTERVAL;
                let (between, trial) = (&books.between, &books.trial);
                let distributions = table::distributions(between, trial, &books.recipients);
                let lines = view.lines(&self.title, table::rows(distributions));
                let text = in_place(&lines, self.drawn);
                self.drawn = lines.len();
                text
            }
        };
        // A terminal that has gone is no reason to stop measuring.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    fn view(&mut self, glance: &Glance<'_>) -> View {
        let Glance { plan, books, series, moment, now } = *glance;
        let open = books.open();
        let (last_open, last) = self.last;
        let ms = u64::try_from((now - last).as_millis()).unwrap_or(u64::MAX);
        let opened = open.saturating_sub(last_open);
        self.last = (open, now);
        let accounting = &books.accounting;
        let traffic = &books.trial.traffic;
        let lag = if moment == Moment::Ramp { &books.between.lag } else { &books.trial.lag };
        View {
            elapsed: now - self.start,
            stage: stage(moment, plan, now),
            requested: u64::from(plan.conns),
            open,
            pending: books.pending(),
            failed: accounting.failures(),
            lost: accounting.unexpected_closures(),
            opened_per_second: (opened * 1_000).checked_div(ms).unwrap_or(0),
            pings: books.between.traffic.pings + traffic.pings,
            sent: traffic.sent,
            received: traffic.audit.received,
            lag: lag.quantile(0.99),
            server: server(series),
        }
    }
}

/// What there is to see, as numbers.
struct View {
    elapsed: Duration,
    stage: String,
    requested: u64,
    open: u64,
    pending: u64,
    failed: u64,
    lost: u64,
    opened_per_second: u64,
    pings: u64,
    sent: u64,
    received: u64,
    lag: Option<u64>,
    server: Option<String>,
}

impl View {
    /// All of it, as one line of a log.
    fn line(&self) -> String {
        let Self { pending, failed, lost, .. } = self;
        let mut line = format!(
            "{:>4}s  {}  open {} of {}  +{}/s  pending {pending}  failed {failed}  lost {lost}",
            self.elapsed.as_secs(),
            self.stage,
            units::count(self.open),
            units::count(self.requested),
            units::count(self.opened_per_second),
        );
        if self.pings + self.sent > 0 {
            line = line + "  " + &self.talk();
        }
        line.push('\n');
        line
    }

    fn lines(&self, title: &str, table: Vec<String>) -> Vec<String> {
        let seconds = self.elapsed.as_secs();
        let mut lines = vec![
            format!("{title}  {:02}:{:02}  {}", seconds / 60, seconds % 60, self.stage),
            format!(
                "{} of {} open   pending {}   failed {}   closed by server {}",
                units::count(self.open),
                units::count(self.requested),
                units::count(self.pending),
                units::count(self.failed),
                units::count(self.lost)
            ),
            format!("{}   {}/s", self.bar(), units::count(self.opened_per_second)),
        ];
        lines.extend(table);
        lines.extend(self.server.clone());
        let lag = self.lag.map_or_else(|| "-".to_owned(), units::time);
        lines.push(format!("{}   generator: loop lag p99 {lag}", self.talk()));
        lines
    }

    fn talk(&self) -> String {
        let Self { pings, sent, received, .. } = self;
        let pings = format!("pings answered {}", units::count(*pings));
        if *sent == 0 {
            return pings;
        }
        let (sent, received) = (units::count(*sent), units::count(*received));
        format!("{pings}  sent {sent}  received {received}")
    }

    fn bar(&self) -> String {
        let permille = (self.open * 1_000).checked_div(self.requested).unwrap_or(0);
        let filled = usize::try_from(permille * BAR_WIDTH / 1_000).unwrap_or(0);
        let width = usize::try_from(BAR_WIDTH).unwrap_or(0);
        let bar = "#".repeat(filled);
        format!("[{bar:<width$}] {:>3}.{} %", permille / 10, permille % 10)
    }
}

/// How the server stood at the last tick, if it is known.
fn server(series: &Series) -> Option<String> {
    let memory = units::bytes(series.last("srv_rss")?);
    let percent = (series.last("srv_cpu_ns")? * 100).checked_div(series.tick_ns)?;
    Some(format!("server: {memory} in memory, {percent} % of a core"))
}

fn stage(moment: Moment, plan: &Plan, now: Instant) -> String {
    match moment {
        Moment::Ramp => "ramp".to_owned(),
        Moment::Warmup => "warmup".to_owned(),
        Moment::Hold { since } => {
            format!("hold {}/{}s", (now - since).as_secs(), plan.hold.as_secs())
        }
        Moment::Drain => "drain".to_owned(),
        Moment::Close => "close".to_owned(),
    }
}

/// The text that draws `lines` over the `drawn` lines of the last time.
fn in_place(lines: &[String], drawn: usize) -> String {
    // A line that is too long is cut by the terminal, not wrapped: else it would count twice.
    let mut text = String::from("\x1b[?7l");
    if drawn > 0 {
        let _ = write!(text, "\x1b[{drawn}F");
    }
    for line in lines {
        let _ = writeln!(text, "{line}\x1b[K");
    }
    text.push_str("\x1b[J\x1b[?7h");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(open: u64) -> View {
        View {
            elapsed: Duration::from_secs(62),
            stage: "ramp".to_owned(),
            requested: 8,
            open,
            pending: 1,
            failed: 0,
            lost: 0,
            opened_per_second: 3,
            pings: 0,
            sent: 0,
            received: 0,
            lag: None,
            server: None,
        }
    }

    #[test]
    fn the_bar_is_empty_full_and_in_between() {
        assert_eq!(view(0).bar(), format!("[{}]   0.0 %", " ".repeat(40)));
        assert_eq!(view(8).bar(), format!("[{}] 100.0 %", "#".repeat(40)));
        assert!(view(1).bar().ends_with(" 12.5 %"));
    }

    #[test]
    fn a_line_tells_how_it_stands() {
        let line = view(5).line();
        assert_eq!(line, "  62s  ramp  open 5 of 8  +3/s  pending 1  failed 0  lost 0\n");
    }

    #[test]
    fn a_drawing_goes_over_the_last_one() {
        let lines = view(5).lines("title", vec!["a row".to_owned()]);
        assert_eq!(lines.len(), 5);
        assert!(!in_place(&lines, 0).contains("\x1b[0F"));
        let again = in_place(&lines, lines.len());
        assert!(again.contains("\x1b[5F") && again.matches('\n').count() == 5);
    }
}
