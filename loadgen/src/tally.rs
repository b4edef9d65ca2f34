//! What a driver counted since it last told: merged by the conductor, thrown away by the driver.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::accounting::Accounting;
use crate::audit::Audit;
use crate::latency::Latency;
use crate::units;

/// Everything that is counted and timed, over some span of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Attempts and connections.
    pub accounting: Accounting,
    /// How long the phases of a connection took.
    pub phases: Phases,
    /// The messages.
    pub traffic: Traffic,
    /// How late the driver's loop came round: its own doing, not the server's.
    pub lag: Latency,
    /// Connects begun anew on another port because theirs was taken.
    pub ports_taken: u64,
}

impl Tally {
    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.accounting.merge(&other.accounting);
        self.phases.merge(&other.phases);
        self.traffic.merge(&other.traffic);
        self.lag.merge(&other.lag);
        self.ports_taken += other.ports_taken;
    }
}

/// The phases of a connection, each from the end of the one before.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    /// From the first packet to the handshake of TCP.
    pub tcp: Latency,
    /// From there to the handshake of TLS.
    pub tls: Latency,
    /// From the request for the upgrade to the 101.
    pub upgrade: Latency,
    /// From the 101 to the first message of the server.
    pub first_message: Latency,
    /// From the intended start to the 101.
    pub establish: Latency,
}

impl Phases {
    fn merge(&mut self, other: &Self) {
        self.tcp.merge(&other.tcp);
        self.tls.merge(&other.tls);
        self.upgrade.merge(&other.upgrade);
        self.first_message.merge(&other.first_message);
        self.establish.merge(&other.establish);
    }
}

/// What went over open connections.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Pings of the server.
    pub pings: u64,
    /// Our answers to them.
    pub pongs: u64,
    /// Messages sent.
    pub sent: u64,
    /// Of these, how many each publisher of a broadcast sent.
    pub published: BTreeMap<u32, u64>,
    /// What became of the messages that came.
    pub audit: Audit,
    /// From when a message should have been sent until it came.
    pub corrected: Latency,
    /// From when it was sent until it came. The difference to `corrected` is our own queueing.
    pub uncorrected: Latency,
    /// How much later than intended messages were sent.
    pub slip: Latency,
    /// When publications reached their subscribers.
    pub spreads: Spreads,
}

impl Traffic {
    fn merge(&mut self, other: &Self) {
        self.pings += other.pings;
        self.pongs += other.pongs;
        self.sent += other.sent;
        for (publisher, sent) in &other.published {
            *self.published.entry(*publisher).or_default() += sent;
        }
        self.audit += other.audit;
        self.corrected.merge(&other.corrected);
        self.uncorrected.merge(&other.uncorrected);
        self.slip.merge(&other.slip);
        self.spreads.merge(&other.spreads);
    }
}

/// The publications of a broadcast, each with its first and last recipient so far.
#[derive(Clone, Debug, Default)]
pub struct Spreads(BTreeMap<(u64, u32), Spread>);

/// How many publications may wait for their last recipient.
const WAITING_MAX: usize = 10_000;

/// How one publication spread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Spread {
    recipients: u64,
    first_ns: u64,
    last_ns: u64,
}

impl Spreads {
    /// Counts one recipient of message `seq` of `publisher`, reached after `time`.
    pub fn reached(&mut self, publisher: u32, seq: u64, time: Duration) {
        let ns = units::ns(time);
        let spread = Spread { recipients: 1, first_ns: ns, last_ns: ns };
        self.join((seq, publisher), spread);
    }

    /// Takes out the publications that have reached `recipients`, or all if that is `None`, and
    /// adds their first and last recipients to the distributions.
    ///
    /// Publications that lost a recipient wait in vain; the oldest of too many count as they are.
    pub fn settle(&mut self, recipients: Option<u64>, first: &mut Latency, last: &mut Latency) {
        self.0.retain(|_, spread| {
            let waits = recipients.is_some_and(|recipients| spread.recipients < recipients);
            if !waits {
                first.record_ns(spread.first_ns);
                last.record_ns(spread.last_ns);
            }
            waits
        });
        while self.0.len() > WAITING_MAX {
            let Some((_, spread)) = self.0.pop_first() else { return };
            first.record_ns(spread.first_ns);
            last.record_ns(spread.last_ns);
        }
    }

    fn merge(&mut self, other: &Self) {
        for (publication, spread) in &other.0 {
            self.join(*publication, *spread);
        }
    }

    fn join(&mut self, publication: (u64, u32), other: Spread) {
        let spread = self.0.entry(publication).or_insert(Spread { recipients: 0, ..other });
        spread.recipients += other.recipients;
        spread.first_ns = spread.first_ns.min(other.first_ns);
        spread.last_ns = spread.last_ns.max(other.last_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_settled_when_all_have_it() {
        let (mut here, mut there) = (Spreads::default(), Spreads::default());
        here.reached(0, 7, Duration::from_nanos(30));
        here.reached(0, 7, Duration::from_nanos(10));
        there.reached(0, 7, Duration::from_nanos(99));
        there.reached(0, 8, Duration::from_nanos(5));
        here.merge(&there);
        let (mut first, mut last) = (Latency::default(), Latency::default());
        here.settle(Some(3), &mut first, &mut last);
        assert_eq!((first.quantile(1.0), last.quantile(1.0)), (Some(10), Some(99)));
        here.settle(None, &mut first, &mut last);
        assert_eq!((first.quantile(0.0), last.quantile(0.0)), (Some(5), Some(5)));
    }

    #[test]
    fn publications_do_not_wait_for_ever() {
        let mut spreads = Spreads::default();
        for seq in 0..WAITING_MAX as u64 + 5 {
            spreads.reached(0, seq, Duration::from_nanos(seq));
        }
        let (mut first, mut last) = (Latency::default(), Latency::default());
        spreads.settle(Some(2), &mut first, &mut last);
        assert_eq!(last.quantile(1.0), Some(4), "the five oldest are settled");
        assert_eq!(spreads.0.len(), WAITING_MAX);
    }
}
