//! A run as lines of a log, where there is no terminal.

use super::facts::Facts;
use crate::units;

/// All that matters, in one line.
pub(super) fn line(facts: &Facts) -> String {
    let Facts { pending, failed, lost, .. } = facts;
    let mut line = format!(
        "{:>4}s  {}  open {} of {}  +{}/s  pending {pending}  failed {failed}  lost {lost}",
        facts.elapsed.as_secs(),
        facts.stage,
        units::count(facts.open),
        units::count(facts.requested),
        units::count(facts.opened_per_second),
    );
    if facts.pings + facts.sent > 0 {
        line = line + "  " + &talk(facts);
    }
    line.push('\n');
    line
}

/// What went to and fro.
pub(super) fn talk(facts: &Facts) -> String {
    let Facts { pings, sent, received, .. } = facts;
    let pings = format!("pings answered {}", units::count(*pings));
    if *sent == 0 {
        return pings;
    }
    let (sent, received) = (units::count(*sent), units::count(*received));
    format!("{pings}  sent {sent}  received {received}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_tells_how_it_stands() {
        let facts = Facts {
            elapsed: Duration::from_secs(62),
            stage: "ramp".to_owned(),
            requested: 8,
            open: 5,
            pending: 1,
            opened_per_second: 3,
            ..Facts::default()
        };
        assert_eq!(line(&facts), "  62s  ramp  open 5 of 8  +3/s  pending 1  failed 0  lost 0\n");
        let talking = line(&Facts { pings: 2, sent: 1_000, received: 999, ..facts });
        assert!(talking.ends_with("lost 0  pings answered 2  sent 1,000  received 999\n"));
    }
}
