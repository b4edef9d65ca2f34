//! Distributions as rows of a table: on the screen while it runs, in the report after it.

use crate::books::Books;
use crate::latency::Latency;
use crate::plan::Scenario;
use crate::units;

/// The table of a run: a head, and a row for every distribution there is.
pub fn rows(books: &Books, scenario: Scenario) -> Vec<String> {
    let phases = &books.ramp.phases;
    let traffic = &books.hold.traffic;
    let latency = match scenario {
        Scenario::Broadcast { .. } => "deliver",
        Scenario::Idle | Scenario::Echo(_) => "echo",
    };
    let distributions = [
        ("tcp connect", &phases.tcp),
        ("tls handshake", &phases.tls),
        ("upgrade", &phases.upgrade),
        ("first message", &phases.first_message),
        ("establish", &phases.establish),
        (latency, &traffic.corrected),
        ("  from sending", &traffic.uncorrected),
        ("  schedule slip", &traffic.slip),
        ("first recipient", &books.first_recipient),
        ("last recipient", &books.last_recipient),
    ];
    let rows = distributions.iter().filter_map(|(name, latency)| row(name, latency));
    std::iter::once(head()).chain(rows).collect()
}

fn head() -> String {
    line("", ["p50", "p90", "p99", "p99.9", "max", "n"].map(str::to_owned))
}

/// One distribution; none if nothing was counted.
fn row(name: &str, latency: &Latency) -> Option<String> {
    let summary = latency.summary()?;
    let p = &summary.p;
    let [p50, p90, p99, p999, max] = [p.p50, p.p90, p.p99, p.p999, summary.max].map(units::time);
    Some(line(name, [p50, p90, p99, p999, max, units::count(summary.n)]))
}

fn line(name: &str, cells: [String; 6]) -> String {
    let [p50, p90, p99, p999, max, n] = cells;
    format!("{name:<16}{p50:>9}{p90:>9}{p99:>9}{p999:>9}{max:>9}{n:>13}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_counted_has_a_row() {
        let mut books = Books::new(1);
        books.ramp.phases.tcp.record_ns(80_000);
        let rows = rows(&books, Scenario::Idle);
        assert_eq!(rows.len(), 2);
        assert!(rows[1].starts_with("tcp connect"));
        assert_eq!(rows[1].split_whitespace().last(), Some("1"));
        assert_eq!(rows[0].len(), rows[1].len());
    }
}
