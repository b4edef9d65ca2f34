//! What can be asked for by name, and where it is found.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Evidence;
use super::bounds::{self, Bounds};
use crate::host;
use crate::latency::Latency;
use crate::units;

/// Something that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// The time below which this share of a distribution lies.
    Quantile(Timed, f64),
    /// The longest time of a distribution.
    Max(Timed),
    /// The mean of a distribution.
    Mean(Timed),
    /// Attempts that became open connections, as a share.
    ConnectSuccess,
    /// Connections that were open when the hold began.
    ConnectionsHeld,
    /// Connections that ended although nobody planned it.
    ClosesUnexpected,
    /// Messages that never came.
    DeliverLoss,
    /// Messages that came, as a share.
    DeliverReach,
    /// Messages missing on connections that lasted.
    SeqGap,
    /// Messages that came again.
    SeqDup,
    /// Messages that came after a later one.
    SeqReorder,
    /// Messages that came with other bytes.
    PayloadCorrupt,
    /// Our own pings that no pong came for.
    HeartbeatMissed,
    /// User memory of the server for a connection.
    ServerRssPerConn,
    /// CPU time of the server in the hold, as a share of all cores.
    ServerCpu,
    /// How fast the server's memory grew in the hold.
    ServerRssSlope,
    /// Whether the generator kept pace.
    SelfValid,
}

/// A distribution of times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Timed {
    /// See [`crate::tally::Phases`].
    Tcp,
    /// The same.
    Tls,
    /// The same.
    Upgrade,
    /// The same.
    FirstMessage,
    /// The same.
    Establish,
    /// From when a message should have been sent until its echo came.
    Echo,
    /// From when a publication should have been sent until a recipient had it.
    Deliver,
    /// From when a ping of ours should have been sent until its pong came.
    Ping,
    /// From when a publication should have been sent until its first recipient had it.
    FirstRecipient,
    /// The same for half of its recipients.
    MedianRecipient,
    /// The same for its last recipient.
    LastRecipient,
}

/// What numbers count.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Bytes.
    Bytes,
    /// Bytes in a minute.
    BytesPerMinute,
    /// 0 to 1.
    Share,
    /// 0 or 1.
    Truth,
    /// Things.
    #[default]
    Count,
}

/// What was found of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Finding {
    /// The value.
    pub(super) value: f64,
    /// Where the true one lies, if this one was found by a sample.
    pub(super) bounds: Option<Bounds>,
    /// Of how many.
    pub(super) n: u64,
}

/// Metrics that have one name each.
const NAMES: [(&str, Metric); 14] = [
    ("connect.success", Metric::ConnectSuccess),
    ("connections.held", Metric::ConnectionsHeld),
    ("closes.unexpected", Metric::ClosesUnexpected),
    ("deliver.loss", Metric::DeliverLoss),
    ("deliver.reach", Metric::DeliverReach),
    ("seq.gap", Metric::SeqGap),
    ("seq.dup", Metric::SeqDup),
    ("seq.reorder", Metric::SeqReorder),
    ("payload.corrupt", Metric::PayloadCorrupt),
    ("heartbeat.missed", Metric::HeartbeatMissed),
    ("server.rss_per_conn", Metric::ServerRssPerConn),
    ("server.cpu", Metric::ServerCpu),
    ("server.rss_slope", Metric::ServerRssSlope),
    ("self.valid", Metric::SelfValid),
];

/// Distributions by name, to be followed by `.p99`, `.max` or `.mean`.
const TIMED: [(&str, Timed); 11] = [
    ("tcp", Timed::Tcp),
    ("tls", Timed::Tls),
    ("upgrade", Timed::Upgrade),
    ("first_msg", Timed::FirstMessage),
    ("establish", Timed::Establish),
    ("echo", Timed::Echo),
    ("deliver", Timed::Deliver),
    ("ping", Timed::Ping),
    ("first_recipient", Timed::FirstRecipient),
    ("median_recipient", Timed::MedianRecipient),
    ("last_recipient", Timed::LastRecipient),
];

impl FromStr for Metric {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Some((_, metric)) = NAMES.iter().find(|(it, _)| *it == name) {
            return Ok(*metric);
        }
        let unknown = || {
            let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            let timed: Vec<_> = TIMED.iter().map(|(name, _)| *name).collect();
            format!(
                "`{name}` is no metric: there are {}, and .pNN, .max and .mean of {}",
                names.join(", "),
                timed.join(", ")
            )
        };
        let (timed, what) = name.split_once('.').ok_or_else(unknown)?;
        let (_, timed) = TIMED.iter().find(|(it, _)| *it == timed).ok_or_else(unknown)?;
        match what {
            "max" => return Ok(Self::Max(*timed)),
            "mean" => return Ok(Self::Mean(*timed)),
            _ => {}
        }
        let percent: f64 =
            what.strip_prefix('p').and_then(|it| it.parse().ok()).ok_or_else(unknown)?;
        if percent > 0.0 && percent < 100.0 {
            Ok(Self::Quantile(*timed, percent / 100.0))
        } else {
            Err(format!("`{name}`: a percentile lies between 0 and 100"))
        }
    }
}

impl Metric {
    /// What its numbers count; a count may also be meant as a share of all.
    pub(super) const fn unit(self, is_share: bool) -> Unit {
        match self {
            Self::Quantile(..) | Self::Max(_) | Self::Mean(_) => Unit::Ns,
            Self::ConnectSuccess | Self::DeliverReach | Self::ServerCpu => Unit::Share,
            Self::ServerRssPerConn => Unit::Bytes,
            Self::ServerRssSlope => Unit::BytesPerMinute,
            Self::SelfValid => Unit::Truth,
            _ if is_share => Unit::Share,
            _ => Unit::Count,
        }
    }

    /// Whether only one who looks at every message can tell.
    const fn is_of_audit(self) -> bool {
        matches!(
            self,
            Self::DeliverLoss
                | Self::DeliverReach
                | Self::SeqGap
                | Self::SeqDup
                | Self::SeqReorder
                | Self::PayloadCorrupt
        )
    }

    /// Whether it is known by a bound only.
    pub(super) const fn is_bounded(self) -> bool {
        matches!(self, Self::Quantile(..) | Self::ServerRssSlope)
    }

    /// Reads a limit in the unit of the metric.
    #[allow(clippy::cast_precision_loss)] // limits that people write
    pub(super) fn parse_limit(self, text: &str) -> Result<f64, String> {
        let is_share = text.ends_with('%');
        Ok(match self.unit(is_share) {
            Unit::Ns => units::ns(units::parse_duration(text)?) as f64,
            Unit::Bytes => units::parse_bytes(text)? as f64,
            Unit::BytesPerMinute => {
                let per_minute = text.strip_suffix("/min").or_else(|| text.strip_suffix("/m"));
                let bytes = per_minute.ok_or("a slope is so many bytes a minute: 1MiB/min")?;
                units::parse_bytes(bytes)? as f64
            }
            Unit::Share => parse_share(text)?,
            Unit::Truth => match text {
                "true" => 1.0,
                "false" => 0.0,
                _ => return Err(format!("`{text}` is neither true nor false")),
            },
            Unit::Count => units::parse_count(text)? as f64,
        })
    }

    /// Looks for it. `None` is not measured.
    #[allow(clippy::cast_precision_loss)] // counts far below 2^53
    pub(super) fn find(self, evidence: &Evidence<'_>, is_share: bool) -> Option<Finding> {
        let Evidence { trial, charges, .. } = evidence;
        let audit = &trial.tally.traffic.audit;
        let opened = &evidence.resized.tally.accounting;
        let known = |value: u64, n| Some(Finding { value: value as f64, bounds: None, n });
        let fault = |count, of| if is_share { rate(count, of, false) } else { known(count, of) };
        let lost = trial.expected.saturating_sub(audit.received);
        if trial.is_unaudited && self.is_of_audit() {
            return None;
        }
        match self {
            Self::Quantile(timed, quantile) => {
                let latency = timed.latency(evidence);
                let value = latency.quantile(quantile)? as f64;
                let bounds = Some(bounds::of_quantile(latency, quantile));
                Some(Finding { value, bounds, n: latency.n() })
            }
            Self::Max(timed) => known(timed.latency(evidence).max()?, timed.latency(evidence).n()),
            Self::Mean(timed) => {
                known(timed.latency(evidence).mean()?, timed.latency(evidence).n())
            }
            Self::ConnectSuccess => {
                rate(opened.attempted.saturating_sub(opened.opened), opened.attempted, true)
            }
            Self::ConnectionsHeld => known(trial.held, trial.held),
            Self::ClosesUnexpected => {
                fault(trial.tally.accounting.unexpected_closures(), trial.held)
            }
            Self::DeliverLoss => fault(lost, trial.expected),
            Self::DeliverReach => rate(lost, trial.expected, true),
            Self::SeqGap => fault(audit.lost, trial.expected),
            Self::SeqDup => fault(audit.doubled, audit.received),
            Self::SeqReorder => fault(audit.reordered, audit.received),
            Self::PayloadCorrupt => fault(audit.damaged, audit.received),
            Self::HeartbeatMissed => {
                let traffic = &trial.tally.traffic;
                let awaited = traffic.pings_sent.saturating_sub(traffic.pings_excused);
                let missed = awaited.saturating_sub(traffic.pongs_heard);
                fault(missed, traffic.pings_sent)
            }
            Self::ServerRssPerConn => known(charges.server_bytes_per_conn?, charges.connections),
            Self::ServerCpu => server_cpu(evidence),
            Self::ServerRssSlope => slope(evidence),
            Self::SelfValid => known(u64::from(evidence.is_valid), 1),
        }
    }
}

impl Timed {
    /// The name it has in a result file.
    pub(super) fn name(self) -> &'static str {
        TIMED.iter().find(|(_, timed)| *timed == self).map_or("", |(name, _)| name)
    }

    fn latency<'a>(self, evidence: &Evidence<'a>) -> &'a Latency {
        let phases = &evidence.resized.tally.phases;
        let traffic = &evidence.trial.tally.traffic;
        match self {
            Self::Tcp => &phases.tcp,
            Self::Tls => &phases.tls,
            Self::Upgrade => &phases.upgrade,
            Self::FirstMessage => &phases.first_message,
            Self::Establish => &phases.establish,
            Self::Echo => &traffic.echo.corrected,
            Self::Deliver => &traffic.deliver.corrected,
            Self::Ping => &traffic.ping.corrected,
            Self::FirstRecipient => &evidence.trial.recipients.first,
            Self::MedianRecipient => &evidence.trial.recipients.median,
            Self::LastRecipient => &evidence.trial.recipients.last,
        }
    }
}

/// `99.9%`, or a number from 0 to 1.
fn parse_share(text: &str) -> Result<f64, String> {
    let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().map_err(|_| format!("`{text}` is no share"))? / whole;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(format!("`{text}`: a share lies between 0 and 100 %"))
    }
}

/// The share of `n` that failed, or of those that did not.
#[allow(clippy::cast_precision_loss)] // counts far below 2^53
pub(super) fn rate(failures: u64, n: u64, is_success: bool) -> Option<Finding> {
    if n == 0 {
        return None;
    }
    let found = failures as f64 / n as f64;
    let bounds = bounds::of_rate(failures, n);
    let other = |rate: Option<f64>| rate.map(|rate| 1.0 - rate);
    let (value, bounds) = if is_success {
        (1.0 - found, Bounds { low: other(bounds.high), high: other(bounds.low) })
    } else {
        (found, bounds)
    };
    Some(Finding { value, bounds: Some(bounds), n })
}

#[allow(clippy::cast_precision_loss)] // nanoseconds of some minutes
fn server_cpu(evidence: &Evidence<'_>) -> Option<Finding> {
    let held = units::ns(evidence.trial.hold.len());
    let all = held.saturating_mul(host::cores() as u64);
    let spent = evidence.charges.server_hold_cpu_ns? as f64;
    (all > 0).then(|| Finding { value: spent / all as f64, bounds: None, n: 1 })
}

/// How the server's memory grew with the time of the hold, in bytes a minute.
#[allow(clippy::cast_precision_loss)] // bytes and nanoseconds of some minutes
fn slope(evidence: &Evidence<'_>) -> Option<Finding> {
    const MINUTE_NS: f64 = 60e9;
    let rows = evidence.series.column("srv_rss", evidence.trial.hold);
    let points: Vec<_> =
        rows.iter().map(|(ns, bytes)| (*ns as f64 / MINUTE_NS, *bytes as f64)).collect();
    let (value, bounds) = bounds::of_slope(&points)?;
    Some(Finding { value, bounds: Some(bounds), n: points.len() as u64 })
}
