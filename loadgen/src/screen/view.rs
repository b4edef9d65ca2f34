//! The live screen, drawn from [`Facts`] alone.
//!
//! ```text
//!   title                                           elapsed, stage      what is fixed
//!   target, open, pending, failed, lost
//!   [########################------]  62.0 %  1,234/s
//!   distributions with their objectives                             as many as there is room for
//!   delivery, objectives without a row, server, generator              what is fixed
//!   curves of connections, latency, memory                          what is left, 8 lines at most
//!   keys
//! ```
//!
//! Nothing is told by colour alone: what held says OK, what did not says so in words.

// Some short lines, four times a second.
#![allow(clippy::format_push_string)]

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

use super::facts::{Facts, Generator, Row};
use super::line::talk;
use crate::slo::State;
use crate::units;

/// With fewer columns than these some percentiles, or the words of objectives, are left out.
const WIDE: u16 = 80;
const FULL: u16 = 104;

/// Higher curves tell no more.
const CURVE_HEIGHT_MAX: u16 = 8;

/// What stands still while a run is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Frontage<'a> {
    /// What runs, against whom.
    pub(super) title: &'a str,
    /// The keys there are, or what became of the last one.
    pub(super) keys: &'a str,
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, front: &Frontage<'_>, facts: &Facts) {
    let area = frame.area();
    let above = [head(front, facts, area.width), accounting(facts), bar(facts, area.width)];
    let below: Vec<_> = delivery(facts)
        .into_iter()
        .chain(objectives(facts))
        .chain(server(facts))
        .chain([generator(facts)])
        .collect();
    let fixed = above.len() + below.len() + 3;
    let room = usize::from(area.height).saturating_sub(fixed);
    let rows = table(facts, area.width, room);
    let lines: Vec<_> = above.into_iter().chain(rows).chain(below).collect();
    let used = u16::try_from(lines.len()).unwrap_or(area.height);
    let curves = area.height.saturating_sub(used + 1).min(CURVE_HEIGHT_MAX);
    let [text, curve, _, keys] = Layout::vertical([
        Constraint::Length(used),
        Constraint::Length(curves),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(lines), text);
    history(frame, curve, facts);
    frame.render_widget(Paragraph::new(Line::styled(front.keys, quiet())), keys);
}

fn head<'a>(front: &Frontage<'a>, facts: &Facts, width: u16) -> Line<'a> {
    let seconds = facts.elapsed.as_secs();
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let clock = format!("{hours:02}:{minutes:02}:{:02}  {}", seconds % 60, facts.stage);
    let room = usize::from(width).saturating_sub(clock.len() + 2);
    let title: String = front.title.chars().take(room).collect();
    Line::from(vec![
        Span::styled(format!("{title:<room$}  "), Style::new().add_modifier(Modifier::BOLD)),
        Span::styled(clock, Style::new().add_modifier(Modifier::BOLD)),
    ])
}

fn accounting(facts: &Facts) -> Line<'static> {
    let mut spans = vec![
        Span::raw(format!(
            "open {} of {}",
            units::count(facts.open),
            units::count(facts.requested)
        )),
        Span::raw(format!("  pending {}  ", units::count(facts.pending))),
        counted("failed", facts.failed),
    ];
    if !facts.failures.is_empty() {
        let classes = facts.failures.iter();
        let classes: Vec<_> =
            classes.map(|(class, count)| format!("{class} {}", units::count(*count))).collect();
        spans.push(Span::raw(format!(" ({})", classes.join(", "))));
    }
    spans.push(Span::raw("  "));
    spans.push(counted("closed by server", facts.lost));
    Line::from(spans)
}

/// A number that should be 0.
fn counted(name: &str, count: u64) -> Span<'static> {
    let style = if count == 0 { Style::new() } else { bad() };
    Span::styled(format!("{name} {}", units::count(count)), style)
}

fn bar(facts: &Facts, width: u16) -> Line<'static> {
    let permille = (facts.open * 1_000).checked_div(facts.requested).unwrap_or(0).min(1_000);
    let rate = format!(
        "  {:>3}.{} %  {}/s",
        permille / 10,
        permille % 10,
        units::count(facts.opened_per_second)
    );
    let room = u64::from(width).saturating_sub(rate.len() as u64 + 2).min(60);
    let filled = usize::try_from(permille * room / 1_000).unwrap_or(0);
    let room = usize::try_from(room).unwrap_or(0);
    Line::from(format!("[{:<room$}]{rate}", "#".repeat(filled)))
}

/// The distributions: a head, and as many rows as there is room for.
fn table(facts: &Facts, width: u16, room: usize) -> Vec<Line<'static>> {
    let columns = columns(width);
    let mut head = format!("{:<15}", "");
    for (column, name) in ["p50", "p90", "p99", "p99.9", "max"].iter().enumerate() {
        if columns.contains(&column) {
            head += &format!("{name:>9}");
        }
    }
    head += &format!("{:>11}", "n");
    let rows = facts.rows.iter().take(room.saturating_sub(1));
    let rows = rows.map(|row| distribution(row, columns, width >= FULL));
    std::iter::once(Line::styled(head, quiet())).chain(rows).collect()
}

/// Which times there is room for.
fn columns(width: u16) -> &'static [usize] {
    if width >= WIDE { &[0, 1, 2, 3, 4] } else { &[0, 2, 3] }
}

fn distribution(row: &Row, columns: &[usize], is_full: bool) -> Line<'static> {
    let mut text = format!("{:<15}", row.name);
    for (column, time) in row.times.iter().enumerate() {
        if columns.contains(&column) {
            text += &format!("{time:>9}");
        }
    }
    text += &format!("{:>11}", units::count(row.n));
    let mut spans = vec![Span::raw(text)];
    if let Some((expr, state)) = &row.objective {
        let words = if is_full { format!("  {expr}") } else { String::new() };
        spans.push(Span::raw(words));
        spans.push(verdict(*state));
    }
    Line::from(spans)
}

fn verdict(state: State) -> Span<'static> {
    match state {
        State::Held => Span::styled("  OK", good()),
        State::Broken => Span::styled("  BROKEN", bad()),
        State::Unclear => Span::styled("  unclear", quiet()),
        State::Unknown => Span::styled("  -", quiet()),
    }
}

fn delivery(facts: &Facts) -> Option<Line<'static>> {
    if facts.sent + facts.pings == 0 {
        return None;
    }
    let mut spans = vec![Span::raw(format!("{:<11}{}", "traffic", talk(facts)))];
    // Only what went wrong: a line of noughts tells nothing.
    let names = ["lost", "doubled", "reordered", "damaged"];
    for (name, count) in names.into_iter().zip(facts.faults).filter(|(_, count)| *count > 0) {
        spans.push(Span::raw("  "));
        spans.push(counted(name, count));
    }
    Some(Line::from(spans))
}

fn objectives(facts: &Facts) -> Option<Line<'static>> {
    if facts.others.is_empty() {
        return None;
    }
    let mut spans = vec![Span::raw(format!("{:<11}", "objectives"))];
    // Those that did not hold first: a narrow line is cut at its end.
    let (broken, others): (Vec<_>, Vec<_>) =
        facts.others.iter().partition(|(_, state)| *state == State::Broken);
    for (number, (expr, state)) in broken.into_iter().chain(others).enumerate() {
        spans.push(Span::raw(if number == 0 { "" } else { "  " }));
        spans.push(Span::raw(expr.clone()));
        spans.push(verdict(*state));
    }
    Some(Line::from(spans))
}

fn server(facts: &Facts) -> Option<Line<'static>> {
    let server = facts.server.as_ref()?;
    let mut text = format!("{:<11}rss {}", "server", units::bytes(server.rss));
    if let Some(each) = server.rss.checked_div(facts.open) {
        text += &format!(" ({}/conn)", units::bytes(each));
    }
    if let Some(kernel) = server.kernel {
        text += &format!("  kernel {}", units::bytes(kernel));
    }
    text += &format!("  cpu {} %  ", server.cpu_percent);
    Some(Line::from(vec![Span::raw(text), counted("listen drops", server.listen_drops)]))
}

fn generator(facts: &Facts) -> Line<'static> {
    let Generator { rss, cpu_percent, lag, slip, is_valid } = &facts.generator;
    let known = |name: &str, value: Option<String>| {
        value.map_or_else(String::new, |value| format!("{name} {value}  "))
    };
    let text = format!(
        "{:<11}{}{}{}{}",
        "generator",
        known("rss", rss.map(units::bytes)),
        known("cpu", cpu_percent.map(|percent| format!("{percent} %"))),
        known("loop lag p99", lag.map(units::time)),
        known("slip p99", slip.map(units::time)),
    );
    let word = match is_valid {
        Some(true) => Span::styled("VALID", good()),
        Some(false) => Span::styled("INVALID", bad()),
        None => Span::raw(""),
    };
    Line::from(vec![Span::raw(text), word])
}

/// Three curves side by side, each with its name and its last value.
fn history(frame: &mut Frame<'_>, area: Rect, facts: &Facts) {
    let last = |curve: &[u64]| curve.last().copied().unwrap_or(0);
    let history = &facts.history;
    let curves = [
        (format!("conns {}", units::count(last(&history.open))), &history.open),
        (format!("latency p99 {}", units::time(last(&history.latency))), &history.latency),
        (format!("server rss {}", units::bytes(last(&history.rss))), &history.rss),
    ];
    let curves: Vec<_> =
        curves.iter().filter(|(_, curve)| curve.iter().any(|value| *value > 0)).collect();
    if curves.is_empty() || area.height < 2 {
        return;
    }
    let share = u32::try_from(curves.len()).unwrap_or(1);
    let areas = Layout::horizontal(vec![Constraint::Ratio(1, share); curves.len()]);
    for ((name, curve), area) in curves.into_iter().zip(areas.spacing(2).split(area).iter()) {
        let [label, plot] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(*area);
        frame.render_widget(Paragraph::new(Line::styled(name.as_str(), quiet())), label);
        let skipped = curve.len().saturating_sub(usize::from(plot.width));
        let shown = curve.iter().skip(skipped).copied();
        frame.render_widget(Sparkline::default().data(shown), plot);
    }
}

fn quiet() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn good() -> Style {
    Style::new().fg(Color::Green)
}

fn bad() -> Style {
    Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
}
