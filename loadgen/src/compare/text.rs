//! The page for people.

use super::Comparison;
use super::line::{Line, Verdict};
use crate::units;

/// A change by more than this factor is not told more exactly.
const CHANGE_MAX: f64 = 10.0;

/// Writes the page.
pub(super) fn page(comparison: &Comparison) -> String {
    let mut lines = Vec::new();
    let differences = comparison.differences.iter().map(|it| format!("DIFFERS     {it}"));
    lines.extend(differences);
    lines.extend(comparison.notes.iter().map(|note| format!("NOTE        {note}")));
    if !lines.is_empty() {
        lines.push(String::new());
    }
    // Where neither side could tell its number there is nothing to show.
    let told = comparison.lines.iter().filter(|line| line.base.or(line.new).is_some());
    let rows: Vec<_> = told.map(row).collect();
    let titles = ["", "base", "new", "change", "95 % of cases", ""].map(str::to_owned);
    let all: Vec<_> = std::iter::once(titles).chain(rows).collect();
    let mut widths = [0; 6];
    for row in &all {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    lines.extend(all.iter().map(|row| aligned(row, &widths)));
    lines.push(String::new());
    lines.push(summary(comparison));
    lines.join("\n") + "\n"
}

/// The first and the last column stand left, the numbers right.
fn aligned(row: &[String; 6], widths: &[usize; 6]) -> String {
    let [name, base, new, change, interval, verdict] = row;
    let [w0, w1, w2, w3, w4, _] = widths;
    let row =
        format!("{name:<w0$}  {base:>w1$}  {new:>w2$}  {change:>w3$}  {interval:>w4$}  {verdict}");
    row.trim_end().to_owned()
}

fn row(line: &Line) -> [String; 6] {
    let is_share = line.unit == "share";
    let percent = |change: f64| match change {
        _ if is_share => format!("{:+.4} %", change * 100.0),
        ..CHANGE_MAX => format!("{:+.1} %", change * 100.0),
        _ => format!("over {:+} %", CHANGE_MAX * 100.0),
    };
    let interval =
        line.interval.map(|[low, high]| format!("{} to {}", percent(low), percent(high)));
    let verdict = match (line.verdict, line.n_min) {
        (Verdict::Better, _) => "better".to_owned(),
        (Verdict::Worse, _) => "WORSE".to_owned(),
        (Verdict::Same, _) => "same".to_owned(),
        (Verdict::TooFew, Some(n)) => format!("too few samples: it takes {}", units::count(n)),
        (Verdict::TooFew, None) => "too few samples".to_owned(),
    };
    let [base, new] = line.told.clone();
    let change = line.change.map(percent).unwrap_or_default();
    [line.figure.clone(), base, new, change, interval.unwrap_or_default(), verdict]
}

fn summary(comparison: &Comparison) -> String {
    let count = |verdict| comparison.lines.iter().filter(|it| it.verdict == verdict).count();
    let [worse, better] = [count(Verdict::Worse), count(Verdict::Better)];
    let [same, too_few] = [count(Verdict::Same), count(Verdict::TooFew)];
    let tolerance = comparison.tolerance * 100.0;
    let word = if worse > 0 { "REGRESSION" } else { "NO REGRESSION" };
    format!(
        "{word}: {worse} worse, {better} better, {same} the same within {tolerance} %, of \
         {too_few} too little was measured to tell"
    )
}
