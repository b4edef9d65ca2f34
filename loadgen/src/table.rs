//! Distributions as rows of a table: on the screen while it runs, in the report after it.

use crate::latency::Latency;
use crate::spread::Recipients;
use crate::tally::{Phases, Tally};
use crate::units;

/// The table of a run: a head, and a row for every distribution there is.
pub fn rows<'a>(distributions: impl IntoIterator<Item = (&'a str, &'a Latency)>) -> Vec<String> {
    let rows = distributions.into_iter().filter_map(|(name, latency)| row(name, latency));
    std::iter::once(head()).chain(rows).collect()
}

/// The distributions of the phases of connections, of a trial, and of its publications.
pub fn distributions<'a>(
    phases: &'a Phases,
    trial: &'a Tally,
    recipients: &'a Recipients,
) -> [(&'static str, &'a Latency); 16] {
    let traffic = &trial.traffic;
    [
        ("tcp connect", &phases.tcp),
        ("tls handshake", &phases.tls),
        ("upgrade", &phases.upgrade),
        ("first message", &phases.first_message),
        ("establish", &phases.establish),
        ("echo", &traffic.echo.corrected),
        ("  from sending", &traffic.echo.uncorrected),
        ("  one in flight", &traffic.echo.closed_loop),
        ("deliver", &traffic.deliver.corrected),
        ("  from sending", &traffic.deliver.uncorrected),
        ("ping", &traffic.ping.corrected),
        ("  schedule slip", &traffic.slip),
        ("first recipient", &recipients.first),
        ("half have it", &recipients.median),
        ("99 % have it", &recipients.p99),
        ("last recipient", &recipients.last),
    ]
}

fn head() -> String {
    line("", ["p50", "p90", "p99", "p99.9", "max", "n"].map(str::to_owned))
}

/// One distribution, with a dash for a percentile that too little was counted for; none if nothing
/// was counted.
fn row(name: &str, latency: &Latency) -> Option<String> {
    let max = units::time(latency.max()?);
    let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999]
        .map(|quantile| latency.percentile(quantile).map_or_else(|| "-".to_owned(), units::time));
    Some(line(name, [p50, p90, p99, p999, max, units::count(latency.n())]))
}

fn line(name: &str, cells: [String; 6]) -> String {
    let [p50, p90, p99, p999, max, n] = cells;
    format!("{name:<16}{p50:>9}{p90:>9}{p99:>9}{p999:>9}{max:>9}{n:>13}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_counted_has_a_row_and_only_what_can_be_told_a_number() {
        let (mut one, none) = (Latency::default(), Latency::default());
        one.record_ns(80_000);
        let rows = rows([("tcp connect", &one), ("upgrade", &none)]);
        assert_eq!(rows.len(), 2);
        let cells: Vec<_> = rows[1].split_whitespace().skip(2).collect();
        assert_eq!(cells, ["0.08ms", "-", "-", "-", "0.08ms", "1"]);
        assert_eq!(rows[0].len(), rows[1].len());
    }
}
