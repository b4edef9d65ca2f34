//! What a driver counted since it last told: merged by the conductor, thrown away by the driver.

use std::collections::BTreeMap;

use crate::accounting::Accounting;
use crate::audit::Audit;
use crate::latency::Latency;
use crate::sessions::Agreement;
use crate::spread::Spreads;
use crate::turnover::Squall;

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
    /// Connections that were there at the beginning of a trial to read slowly.
    pub slow_readers: u64,
    /// Handshakes of TLS, by what they agreed on.
    pub agreements: BTreeMap<Agreement, u64>,
    /// What a storm did.
    pub squall: Squall,
}

impl Tally {
    /// A tally that keeps so many digits of each time.
    pub fn keeping(digits: u8) -> Self {
        let mut tally = Self::default();
        let Self { phases, traffic, lag, .. } = &mut tally;
        let Phases { tcp, tls, upgrade, first_message, establish } = phases;
        for latency in [tcp, tls, upgrade, first_message, establish, lag, &mut traffic.slip] {
            *latency = Latency::keeping(digits);
        }
        for timing in [&mut traffic.echo, &mut traffic.deliver, &mut traffic.ping] {
            *timing = Timing::keeping(digits);
        }
        tally
    }

    /// Its distributions, by the names they have in a result.
    pub fn distributions(&self) -> [(&'static str, &Latency); 12] {
        let (phases, traffic) = (&self.phases, &self.traffic);
        [
            ("tcp", &phases.tcp),
            ("tls", &phases.tls),
            ("upgrade", &phases.upgrade),
            ("first_msg", &phases.first_message),
            ("establish", &phases.establish),
            ("echo", &traffic.echo.corrected),
            ("echo_uncorrected", &traffic.echo.uncorrected),
            ("deliver", &traffic.deliver.corrected),
            ("deliver_uncorrected", &traffic.deliver.uncorrected),
            ("ping", &traffic.ping.corrected),
            ("schedule_slip", &traffic.slip),
            ("self_lag", &self.lag),
        ]
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.accounting.merge(&other.accounting);
        self.phases.merge(&other.phases);
        self.traffic.merge(&other.traffic);
        self.lag.merge(&other.lag);
        self.ports_taken += other.ports_taken;
        self.slow_readers += other.slow_readers;
        self.squall.merge(&other.squall);
        for (agreement, count) in &other.agreements {
            *self.agreements.entry(*agreement).or_default() += count;
        }
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
    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Self) {
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
    /// What became of the messages that came.
    pub audit: Audit,
    /// The same of those that came to slow readers, which nobody waits for.
    pub slow: Audit,
    /// Publications that subscribers did not get because they had left by plan.
    pub away: u64,
    /// Messages that should have come, of those that have been settled.
    pub expected: u64,
    /// How long echoes took.
    pub echo: Timing,
    /// How many echoes were in flight, summed up over time.
    pub flight_ns: u64,
    /// How long publications took to each of their recipients.
    pub deliver: Timing,
    /// How long our own pings took.
    pub ping: Timing,
    /// Our own pings.
    pub pings_sent: u64,
    /// The pongs to them.
    pub pongs_heard: u64,
    /// Those of our pings that waited for their pong when their connection left by plan.
    pub pings_excused: u64,
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
        self.audit += other.audit;
        self.slow += other.slow;
        self.away += other.away;
        self.expected += other.expected;
        self.echo.merge(&other.echo);
        self.flight_ns = self.flight_ns.saturating_add(other.flight_ns);
        self.deliver.merge(&other.deliver);
        self.ping.merge(&other.ping);
        self.pings_sent += other.pings_sent;
        self.pongs_heard += other.pongs_heard;
        self.pings_excused += other.pings_excused;
        self.slip.merge(&other.slip);
        self.spreads.merge(&other.spreads);
    }
}

/// How long something took, from two beginnings.
#[derive(Clone, Debug, Default)]
pub struct Timing {
    /// From when it should have been sent: a server that stalls is charged for all it kept waiting.
    pub corrected: Latency,
    /// From when it was sent. The difference is our own queueing.
    pub uncorrected: Latency,
    /// From when a generator that waits for each answer before it asks again would have sent it. It
    /// meets a stall once where a schedule meets it with every message: the difference to
    /// `corrected` is the omission that such a generator coordinates with the server.
    pub closed_loop: Latency,
}

impl Timing {
    fn keeping(digits: u8) -> Self {
        let [corrected, uncorrected, closed_loop] = [(); 3].map(|()| Latency::keeping(digits));
        Self { corrected, uncorrected, closed_loop }
    }

    fn merge(&mut self, other: &Self) {
        self.corrected.merge(&other.corrected);
        self.uncorrected.merge(&other.uncorrected);
        self.closed_loop.merge(&other.closed_loop);
    }
}
