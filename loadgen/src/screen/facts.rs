//! What there is to see of a run, as numbers and words: what every way of showing it starts from.

use std::time::Duration;

use crate::accounting::Failure;
use crate::fleet::{Glance, Moment};
use crate::latency::Latency;
use crate::plan::Plan;
use crate::series::Series;
use crate::slo::{Judgement, State};
use crate::{table, units};

/// How much of the past is kept for the small curves: a point for each tick of a wide terminal.
const HISTORY_MAX: usize = 400;

/// How a run stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) elapsed: Duration,
    pub(super) stage: String,
    pub(super) requested: u64,
    pub(super) open: u64,
    pub(super) pending: u64,
    pub(super) failed: u64,
    /// Why, with how often.
    pub(super) failures: Vec<(String, u64)>,
    pub(super) lost: u64,
    pub(super) opened_per_second: u64,
    pub(super) pings: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Messages that never came, came again, came late, came damaged.
    pub(super) faults: [u64; 4],
    pub(super) rows: Vec<Row>,
    /// Objectives that belong to no row.
    pub(super) others: Vec<(String, State)>,
    pub(super) server: Option<Server>,
    pub(super) generator: Generator,
    pub(super) history: History,
}

/// A distribution.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    /// p50, p90, p99, p99.9, max; a dash for what cannot be told.
    pub(super) times: [String; 5],
    pub(super) n: u64,
    /// What it is to keep, and whether it does.
    pub(super) objective: Option<(String, State)>,
}

/// The process that is measured.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Server {
    pub(super) rss: u64,
    pub(super) cpu_percent: u64,
    pub(super) kernel: Option<u64>,
    /// Connections that the kernel dropped because nobody took them.
    pub(super) listen_drops: u64,
}

/// Ourselves.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Generator {
    pub(super) rss: Option<u64>,
    pub(super) cpu_percent: Option<u64>,
    pub(super) lag: Option<u64>,
    pub(super) slip: Option<u64>,
    /// Whether what is measured may be believed, as far as is known yet.
    pub(super) is_valid: Option<bool>,
}

/// What some numbers were, tick by tick.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct History {
    pub(super) open: Vec<u64>,
    pub(super) latency: Vec<u64>,
    pub(super) rss: Vec<u64>,
}

impl Facts {
    /// What `glance` shows, in all but the objectives and the pace, which need a memory.
    pub(super) fn new(glance: &Glance<'_>) -> Self {
        let Glance { plan, books, series, moment, now } = *glance;
        let accounting = &books.accounting;
        let traffic = &books.trial.traffic;
        let audit = &traffic.audit;
        let now_opening = &books.between.phases;
        let phases = if now_opening.tcp.n() > 0 { now_opening } else { &books.opened };
        let distributions = table::distributions(phases, &books.trial, &books.recipients);
        Self {
            stage: stage(moment, plan, now),
            requested: u64::from(plan.conns),
            open: books.open(),
            pending: books.pending(),
            failed: accounting.failures(),
            failures: accounting.failed.iter().map(named).collect(),
            lost: accounting.unexpected_closures(),
            pings: books.between.traffic.pings + traffic.pings,
            sent: traffic.sent,
            received: audit.received,
            faults: [audit.lost, audit.doubled, audit.reordered, audit.damaged],
            rows: distributions.iter().filter_map(|(name, it)| row(name, it)).collect(),
            server: server(series),
            generator: generator(glance),
            history: History::of(series),
            ..Self::default()
        }
    }

    /// Puts each objective beside the row it is about.
    pub(super) fn judge(&mut self, judgements: &[Judgement]) {
        for judgement in judgements {
            let told = (judgement.expr.clone(), judgement.state);
            let subject = judgement.expr.split_once('.').map_or("", |(subject, _)| subject);
            let is_timed = judgement.expr.contains(".p") || judgement.expr.contains(".max");
            let row = self.rows.iter_mut().find(|row| {
                is_timed && row.objective.is_none() && subject_of(&row.name) == subject
            });
            match row {
                Some(row) => row.objective = Some(told),
                None => self.others.push(told),
            }
        }
    }
}

impl History {
    fn of(series: &Series) -> Self {
        let column = |name: &str| {
            let Some(at) = series.columns.iter().position(|column| column == name) else {
                return Vec::new();
            };
            let skipped = series.rows.len().saturating_sub(HISTORY_MAX);
            let rows = series.rows.iter().skip(skipped);
            rows.map(|row| row.get(at).copied().flatten().unwrap_or(0)).collect()
        };
        Self { open: column("open"), latency: column("latency_p99_ns"), rss: column("srv_rss") }
    }
}

/// What objectives call the distribution that has this name in the table.
fn subject_of(row: &str) -> &str {
    match row {
        "tcp connect" => "tcp",
        "tls handshake" => "tls",
        "first message" => "first_msg",
        other => other,
    }
}

fn row(name: &str, latency: &Latency) -> Option<Row> {
    let told = |quantile| latency.percentile(quantile).map_or_else(|| "-".to_owned(), units::time);
    let max = units::time(latency.max()?);
    let times = [told(0.5), told(0.9), told(0.99), told(0.999), max];
    Some(Row { name: name.to_owned(), times, n: latency.n(), objective: None })
}

fn named((failure, count): (&Failure, &u64)) -> (String, u64) {
    (failure.name(), *count)
}

/// How the server stood at the last tick, if it is known.
fn server(series: &Series) -> Option<Server> {
    let kernel = || Some(series.last("kernel_slab")? + series.last("kernel_tcp")?);
    let drops = series.columns.iter().position(|column| column == "listen_drops");
    let dropped = |row: &Vec<Option<u64>>| row.get(drops?).copied().flatten();
    Some(Server {
        rss: series.last("srv_rss")?,
        cpu_percent: percent(series, "srv_cpu_ns")?,
        kernel: kernel(),
        listen_drops: series.rows.iter().filter_map(dropped).sum(),
    })
}

fn generator(glance: &Glance<'_>) -> Generator {
    let Glance { books, series, moment, .. } = *glance;
    let lag = if moment == Moment::Ramp { &books.between.lag } else { &books.trial.lag };
    Generator {
        rss: series.last("self_rss"),
        cpu_percent: percent(series, "self_cpu_ns"),
        lag: lag.quantile(0.99),
        slip: books.trial.traffic.slip.quantile(0.99),
        is_valid: None,
    }
}

/// CPU time of the last tick as a share of one core.
fn percent(series: &Series, column: &str) -> Option<u64> {
    (series.last(column)? * 100).checked_div(series.tick_ns)
}

fn stage(moment: Moment, plan: &Plan, now: std::time::Instant) -> String {
    match moment {
        Moment::Ramp => "ramp".to_owned(),
        Moment::Warmup => "warmup".to_owned(),
        Moment::Hold { since } => {
            format!("hold {}/{}s", (now - since).as_secs(), plan.hold.as_secs())
        }
        Moment::Drain => "drain".to_owned(),
        Moment::Close => "close".to_owned(),
    }
}
