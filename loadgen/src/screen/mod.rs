//! What is seen while it runs: a live screen on a terminal, a line a second elsewhere. Both go to
//! standard error, so that standard output is the report's alone.
//!
//! ```text
//!   Glance --> Facts --> view (4 a second, on a terminal)      keys --> interrupt, snapshot, wish
//!                   \--> line (1 a second, elsewhere)
//! ```
//!
//! What is shown costs the measurement CPU, so how often is bounded, and nothing is made of a
//! glance that is not shown.

mod facts;
mod line;
mod snapshot;
mod terminal;
mod view;

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGINT;
use signal_hook::low_level;

use self::facts::Facts;
pub use self::snapshot::outcome;
pub use self::terminal::{Log, restore};
use self::terminal::{Terminal, Wish, wishes};
use self::view::Frontage;
use crate::charge::Charges;
use crate::fleet::{Glance, Moment};
use crate::plan::Plan;
use crate::slo::{Evidence, Judgement, Objective};
use crate::units;

/// How often a screen is redrawn: often enough to seem alive, and cheap.
const REDRAW_INTERVAL: Duration = Duration::from_millis(250);
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// How often objectives are judged, which looks at all that was counted.
const JUDGE_INTERVAL: Duration = Duration::from_secs(1);

/// How often keys are looked for.
const KEYS_INTERVAL: Duration = Duration::from_millis(100);

/// How long is told what became of a key.
const ANSWER_INTERVAL: Duration = Duration::from_secs(5);

/// Shows a run.
#[derive(Debug)]
pub struct Screen<'a> {
    style: Style,
    controls: Option<Controls<'a>>,
    title: String,
    start: Instant,
    due: Instant,
    keys_due: Instant,
    /// Connections that were open when it was last drawn, and when that was.
    last: (u64, Instant),
    /// How many times it has been drawn.
    drawn: u64,
    judgements: Vec<Judgement>,
    judge_due: Instant,
    /// What became of the last key, and until when that is told.
    answer: Option<(String, Instant)>,
}

/// What a screen is told of a run beside what it shows, and what its keys do.
pub struct Controls<'a> {
    /// What is to hold.
    pub objectives: &'a [Objective],
    /// How late the generator may be to be believed.
    pub lag_max: Duration,
    /// Writes what there is until now, and says where.
    pub snapshot: &'a mut dyn FnMut(&Glance<'_>) -> Result<String, String>,
    /// How many connections somebody wants, for [`crate::fleet::Fleet::heed`].
    pub wish: Arc<AtomicU32>,
    /// The last such wish.
    pub wished: u32,
}

impl fmt::Debug for Controls<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controls").field("objectives", &self.objectives).finish_non_exhaustive()
    }
}

/// Who looks on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// Nobody.
    Nobody,
    /// Whoever reads a log.
    Log,
    /// Whoever sits at the terminal, or reads the log if nobody does.
    Terminal,
}

/// How it is shown.
#[derive(Debug)]
enum Style {
    Silent,
    Lines,
    Live(Box<Terminal>),
}

impl<'a> Screen<'a> {
    /// A screen for this audience of a run against `url` that starts `now`.
    pub fn new(audience: Audience, plan: &Plan, url: &str, now: Instant) -> Self {
        let style = match audience {
            Audience::Nobody => Style::Silent,
            Audience::Terminal if Terminal::is_there() => {
                Terminal::take().map_or(Style::Lines, |terminal| Style::Live(Box::new(terminal)))
            }
            Audience::Log | Audience::Terminal => Style::Lines,
        };
        let title = format!("loadgen  {url}  {}  seed {:x}", plan.cast.name(), plan.seed);
        Self {
            style,
            controls: None,
            title,
            start: now,
            due: now,
            keys_due: now,
            last: (0, now),
            drawn: 0,
            judgements: Vec::new(),
            judge_due: now,
            answer: None,
        }
    }

    /// The same with keys and objectives.
    pub fn with(mut self, controls: Controls<'a>) -> Self {
        self.controls = Some(controls);
        self
    }

    /// Shows how it stands, if it is time, and does what keys ask for.
    pub fn show(&mut self, glance: &Glance<'_>) {
        self.listen(glance);
        let interval = match self.style {
            Style::Silent => return,
            Style::Lines => LINE_INTERVAL,
            Style::Live(_) => REDRAW_INTERVAL,
        };
        if !is_due(&mut self.due, interval, glance) {
            return;
        }
        let facts = self.facts(glance);
        match &mut self.style {
            Style::Silent => {}
            Style::Lines => {
                let title =
                    if self.drawn == 0 { format!("{}\n", self.title) } else { String::new() };
                let text = title + &line::line(&facts);
                // Whoever has stopped reading it is no reason to stop measuring.
                let _ = io::stderr().lock().write_all(text.as_bytes());
            }
            Style::Live(terminal) => {
                let keys = match &self.answer {
                    Some((answer, until)) if glance.now < *until => answer.as_str(),
                    _ => keys(self.controls.is_some(), glance.plan),
                };
                let front = Frontage { title: &self.title, keys };
                terminal.draw(|frame| view::draw(frame, &front, &facts));
            }
        }
        self.drawn += 1;
    }

    fn facts(&mut self, glance: &Glance<'_>) -> Facts {
        let now = glance.now;
        let mut facts = Facts::new(glance);
        facts.elapsed = now - self.start;
        let (last_open, last) = self.last;
        let ms = u64::try_from((now - last).as_millis()).unwrap_or(u64::MAX);
        let opened = facts.open.saturating_sub(last_open);
        facts.opened_per_second = (opened * 1_000).checked_div(ms).unwrap_or(0);
        self.last = (facts.open, now);
        if let (Style::Live(_), Some(controls)) = (&self.style, &self.controls) {
            let is_held = !matches!(glance.moment, Moment::Ramp | Moment::Warmup);
            let is_late = facts.generator.lag.is_some_and(|lag| lag > units::ns(controls.lag_max));
            facts.generator.is_valid = is_held.then_some(!is_late || glance.plan.cast.is_idle());
            if is_held && now >= self.judge_due {
                self.judge_due = now + JUDGE_INTERVAL;
                self.judgements = judged(controls.objectives, glance);
            }
            facts.judge(&self.judgements);
        }
        facts
    }

    /// Does what keys ask for.
    fn listen(&mut self, glance: &Glance<'_>) {
        if !matches!(self.style, Style::Live(_)) || glance.now < self.keys_due {
            return;
        }
        self.keys_due = glance.now + KEYS_INTERVAL;
        for wish in wishes() {
            let answer = self.grant(wish, glance);
            self.answer = Some((answer, glance.now + ANSWER_INTERVAL));
            self.due = glance.now;
        }
    }

    /// Does what is wished, and says what came of it.
    fn grant(&mut self, wish: Wish, glance: &Glance<'_>) -> String {
        let controls = self.controls.as_mut();
        match (wish, controls) {
            (Wish::Quit, _) => match low_level::raise(SIGINT) {
                Ok(()) => "ending, as an interrupt would have it".to_owned(),
                Err(error) => format!("could not end: {error}"),
            },
            (Wish::Snapshot, Some(controls)) => match (controls.snapshot)(glance) {
                Ok(path) => format!("wrote {path}"),
                Err(error) => format!("no snapshot: {error}"),
            },
            (Wish::More, Some(controls)) => controls.resize(glance, true),
            (Wish::Fewer, Some(controls)) => controls.resize(glance, false),
            (_, None) => "only q does something here".to_owned(),
        }
    }
}

impl Controls<'_> {
    /// Has a tenth of the connections go, or come back.
    fn resize(&mut self, glance: &Glance<'_>, is_more: bool) -> String {
        let plan = glance.plan;
        if !plan.may_resize() {
            return "only idle connections without heartbeats of ours may go and come".to_owned();
        }
        if !matches!(glance.moment, Moment::Hold { .. }) {
            return "connections may go and come in the hold only".to_owned();
        }
        self.wished = resized(self.wished, plan.conns, is_more);
        self.wish.store(self.wished, Ordering::Relaxed);
        format!("{} connections", units::count(u64::from(self.wished)))
    }
}

/// Whether it is time to draw, which sets the next time.
fn is_due(due: &mut Instant, interval: Duration, glance: &Glance<'_>) -> bool {
    let is_due = glance.now >= *due || glance.moment == Moment::Close;
    if is_due {
        *due = glance.now + interval;
    }
    is_due
}

/// A tenth more or less than `conns`, from 1 to `conns_max`.
fn resized(conns: u32, conns_max: u32, is_more: bool) -> u32 {
    let tenth = (conns / 10).max(1);
    let wanted = if is_more { conns.saturating_add(tenth) } else { conns.saturating_sub(tenth) };
    wanted.clamp(1, conns_max)
}

fn judged(objectives: &[Objective], glance: &Glance<'_>) -> Vec<Judgement> {
    let outcome = outcome(glance);
    let charges = Charges::default();
    let evidence = Evidence {
        resized: &outcome.resized,
        trial: &outcome.trial,
        charges: &charges,
        series: glance.series,
        is_valid: true,
    };
    objectives.iter().map(|objective| objective.judge(&evidence)).collect()
}

fn keys(has_controls: bool, plan: &Plan) -> &'static str {
    match (has_controls, plan.may_resize()) {
        (false, _) => "[q]uit",
        (true, false) => "[q]uit  [s]napshot",
        (true, true) => "[q]uit  [s]napshot  [+/-] connections",
    }
}

#[cfg(test)]
mod tests;
