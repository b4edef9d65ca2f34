//! What is compared: each figure of a result, by itself.

use self::Better::{Higher, Lower};
use super::blocks;
use super::effect::{Estimate, RISK};
use crate::latency;
use crate::result::{Distribution, Document, Phase};
use crate::slo::bounds;
use crate::units;

/// What a figure counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Bytes.
    Bytes,
    /// Things in a second.
    PerSecond,
    /// Parts of all.
    Share,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Better {
    /// Less of it.
    Lower,
    /// More of it.
    Higher,
}

/// A figure, and where it stands in a result.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it is called.
    pub name: String,
    /// What it counts.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Quantile(&'static str, f64),
    Number(fn(&Document) -> Option<Estimate>),
    Share(fn(&Document) -> Option<(u64, u64)>),
}

/// What a figure is in one result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// A number.
    Number(Estimate),
    /// So many of so many.
    Share(u64, u64),
    /// It was measured, but too few times: so many it takes.
    TooFew(u64),
}

/// The distributions that a server answers for, and what they are called.
const TIMED: [(&str, &str); 12] = [
    ("tcp", "tcp connect"),
    ("tls", "tls handshake"),
    ("upgrade", "upgrade"),
    ("first_msg", "first message"),
    ("establish", "establish"),
    ("return", "return"),
    ("echo", "echo"),
    ("deliver", "deliver"),
    ("ping", "ping"),
    ("first_recipient", "first recipient"),
    ("median_recipient", "median recipient"),
    ("last_recipient", "last recipient"),
];

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// Those that the series knows second by second.
const IN_SERIES: [&str; 2] = ["echo", "deliver"];

/// All figures, in the order in which they are told.
pub fn all() -> Vec<Figure> {
    let mut figures = Vec::new();
    for (place, name) in TIMED {
        for (percentile, quantile) in QUANTILES {
            let name = format!("{name} {percentile}");
            let place = Place::Quantile(place, quantile);
            figures.push(Figure { name, unit: Unit::Ns, better: Lower, place });
        }
    }
    let number = |name: &str, unit, better, of| Figure {
        name: name.to_owned(),
        unit,
        better,
        place: Place::Number(of),
    };
    figures.extend([
        number("connections opened", Unit::PerSecond, Higher, opening_rate),
        number("messages that came", Unit::PerSecond, Higher, message_rate),
        number("messages per server CPU-s", Unit::PerSecond, Higher, |it| {
            exactly(it.cost.messages_per_server_cpu_second)
        }),
        number("opened per server CPU-s", Unit::PerSecond, Higher, |it| {
            exactly(it.cost.opened_per_server_cpu_second)
        }),
        number("server CPU per conn and s", Unit::Ns, Lower, server_cpu),
        number("server user per conn", Unit::Bytes, Lower, |it| {
            exactly(it.cost.server_bytes_per_conn)
        }),
        number("server private per conn", Unit::Bytes, Lower, |it| {
            exactly(it.cost.server_private_bytes_per_conn)
        }),
        number("kernel per end", Unit::Bytes, Lower, |it| exactly(it.cost.kernel_bytes_per_end)),
        number("generator user per conn", Unit::Bytes, Lower, |it| {
            exactly(it.cost.generator_bytes_per_conn)
        }),
    ]);
    let share = |name: &str, of| {
        let place = Place::Share(of);
        Figure { name: name.to_owned(), unit: Unit::Share, better: Lower, place }
    };
    figures.extend([
        share("attempts that failed", |it| {
            Some((it.accounting.failed.values().sum(), it.accounting.attempted))
        }),
        share("connections lost", |it| {
            let unplanned = |class: &str| class != "ours" && class != "planned";
            let lost = it.accounting.closed.iter().filter(|(class, _)| unplanned(class));
            Some((lost.map(|(_, count)| count).sum(), it.accounting.opened))
        }),
        share("messages lost", |it| {
            let delivery = it.delivery.as_ref()?;
            Some((delivery.expected.saturating_sub(delivery.received), delivery.expected))
        }),
        share("messages doubled or damaged", |it| {
            let delivery = it.delivery.as_ref()?;
            Some((delivery.dup + delivery.reorder + delivery.corrupt, delivery.received))
        }),
    ]);
    figures
}

impl Figure {
    /// What it is in `document`; `None` if it was not measured.
    pub fn read(&self, document: &Document) -> Option<Reading> {
        match self.place {
            Place::Quantile(name, quantile) => {
                let distribution = document.latency.get(name)?.as_ref()?;
                let n_min = latency::samples_min(quantile);
                if distribution.n < n_min {
                    return Some(Reading::TooFew(n_min));
                }
                let estimate = percentile(document, name, distribution, quantile);
                estimate.map(Reading::Number)
            }
            Place::Number(of) => of(document).map(Reading::Number),
            Place::Share(of) => {
                let (count, of) = of(document).filter(|(_, of)| *of > 0)?;
                Some(Reading::Share(count, of))
            }
        }
    }
}

/// A percentile, and how sure it is: by whole seconds where the series has them, since messages
/// that follow each other are alike; else by order statistics, as if each stood for itself.
#[allow(clippy::cast_precision_loss)] // times for people
fn percentile(
    document: &Document,
    name: &str,
    distribution: &Distribution,
    quantile: f64,
) -> Option<Estimate> {
    let latency = distribution.latency().ok()?;
    let value = latency.quantile(quantile)? as f64;
    let others = IN_SERIES.iter().filter(|other| **other != name);
    let is_alone =
        others.clone().all(|other| document.latency.get(*other).is_none_or(Option::is_none));
    let by_seconds = (IN_SERIES.contains(&name) && is_alone)
        .then(|| blocks::quantile(&document.series, quantile))
        .flatten();
    let by_order = || {
        let found = bounds::of_quantile_at(&latency, quantile, RISK);
        found.low.zip(found.high).map(|(low, high)| [low, high])
    };
    let by_seconds = by_seconds.map(|[low, high]| [value * low, value * high]);
    let interval = by_seconds.or_else(by_order);
    Some(Estimate { value, interval })
}

/// A number that comes once a run, so that one run does not say how sure it is.
#[allow(clippy::cast_precision_loss)] // bytes and rates for people
fn exactly(value: Option<u64>) -> Option<Estimate> {
    value.map(|value| Estimate { value: value as f64, interval: None })
}

fn phase<'a>(document: &'a Document, name: &str) -> Option<&'a Phase> {
    document.plan.phases.iter().find(|phase| phase.name == name)
}

#[allow(clippy::cast_precision_loss)] // nanoseconds of a run
fn seconds(document: &Document, name: &str) -> Option<f64> {
    let phase = phase(document, name)?;
    Some(phase.to_ns.saturating_sub(phase.from_ns) as f64 / 1e9).filter(|seconds| *seconds > 0.0)
}

#[allow(clippy::cast_precision_loss)] // connections
fn opening_rate(document: &Document) -> Option<Estimate> {
    let held = document.accounting.held as f64;
    Some(Estimate { value: held / seconds(document, "ramp")?, interval: None })
}

#[allow(clippy::cast_precision_loss)] // messages
fn message_rate(document: &Document) -> Option<Estimate> {
    let received = document.delivery.as_ref()?.received as f64;
    let hold = phase(document, "hold")?;
    let interval = blocks::mean(&document.series, "received", hold);
    let value = received / seconds(document, "hold")?;
    Some(Estimate { value, interval: interval.map(|[low, high]| [value * low, value * high]) })
}

#[allow(clippy::cast_precision_loss)] // nanoseconds of CPU
fn server_cpu(document: &Document) -> Option<Estimate> {
    let spent = document.cost.server_hold_cpu_ns.filter(|ns| *ns > 0)? as f64;
    let connections = Some(document.cost.connections as f64).filter(|it| *it > 0.0)?;
    let value = spent / connections / seconds(document, "hold")?;
    let interval = blocks::mean(&document.series, "srv_cpu_ns", phase(document, "hold")?);
    Some(Estimate { value, interval: interval.map(|[low, high]| [value * low, value * high]) })
}

impl Unit {
    /// What it is called for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::Bytes => "bytes",
            Self::PerSecond => "per_second",
            Self::Share => "share",
        }
    }

    /// `value` for people.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative
    pub fn tell(self, value: f64) -> String {
        let whole = value.round().max(0.0) as u64;
        match self {
            Self::Ns => units::time(whole),
            Self::Bytes => units::bytes(whole),
            Self::PerSecond => format!("{}/s", units::count(whole)),
            Self::Share => format!("{:.4} %", value * 100.0),
        }
    }
}
