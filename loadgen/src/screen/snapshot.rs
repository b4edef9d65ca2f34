//! A run in its middle, as if it ended now: what a snapshot is written from, and what objectives
//! are judged by while it runs.

use crate::cost::Sample;
use crate::fleet::{Glance, Halt, Ledger, Resized, Span, Trial};
use crate::verdict::Outcome;

/// What was measured until now. What is only known at the end (the bill, the spans of phases, what
/// is lost for good) is not in it.
pub fn outcome(glance: &Glance<'_>) -> Outcome {
    let Glance { books, series, .. } = *glance;
    let mut between = books.between.clone();
    between.phases.merge(&books.opened);
    let tally = books.trial.clone();
    let expected = tally.traffic.expected.max(tally.traffic.audit.received);
    let recipients = books.recipients.clone();
    Outcome {
        resized: Resized { span: Span::default(), tally: between },
        trial: Trial { held: books.held, tally, expected, recipients, ..Trial::default() },
        ledger: Ledger {
            accounting: books.accounting.clone(),
            is_balanced: books.is_balanced(),
            pending: books.pending(),
            before: Sample::default(),
            series: series.clone(),
            halt: Some(Halt::Interrupted),
        },
    }
}
