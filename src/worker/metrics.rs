//! What each core counts, and how it is told.
//!
//! The table below declares every figure once, with its meaning. A worker writes its own set
//! without a locked instruction, since nobody else writes there; whoever asks reads all sets.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::breach::{Breach, Turned};
use crate::session::CloseReason;
use crate::tls::Fault;

macro_rules! metrics {
    ($($name:ident: $kind:ident $(($labels:expr))?, $help:literal;)*) => {
        /// What one worker counts.
        // Lines of its own, so that no two workers write to the same one.
        #[repr(align(128))]
        #[derive(Debug)]
        pub struct Metrics {
            $(#[doc = $help] pub $name: $kind,)*
        }

        impl Default for Metrics {
            fn default() -> Self {
                Self { $($name: $kind::new($($labels)?),)* }
            }
        }

        /// Every figure of every worker, in the order of their numbers, in the text format of
        /// Prometheus.
        pub fn encode_prometheus(workers: &[Arc<Metrics>]) -> String {
            let mut page = Page::default();
            $(
                page.begin(stringify!($name), $kind::TYPE, $help);
                for (worker, metrics) in workers.iter().enumerate() {
                    metrics.$name.encode(&mut page, worker);
                }
            )*
            page.text
        }
    };
}

metrics! {
    connections: Gauge, "Connections that are open.";
    connections_opened_total: Counter, "Connections accepted since start.";
    connections_refused_total: Labelled(Turned::LABELS), "Callers turned away, by reason.";
    connections_closed_total: Labelled(&CloseReason::LABELS), "Connections ended, by reason.";
    established: Gauge, "Connections that have become what they are here for.";
    limits_reached_total: Labelled(Breach::LABELS), "Limits that connections ran into, by key.";
    handshakes_total: Counter, "TLS handshakes completed.";
    clients_identified_total: Counter, "TLS handshakes in which a client proved who it is.";
    tls_failures_total: Labelled(&TLS_FAILURES), "TLS connections that failed, by reason.";
    tls_cooled_total: Counter, "Busy TLS connections that gave up their keys to a busier one.";
    requests_total: Counter, "HTTP requests read, with those for a WebSocket.";
    streams_total: Counter, "Byte streams begun.";
    frames_in_total: Counter, "WebSocket messages and control frames received.";
    frames_out_total: Counter, "WebSocket frames queued to be sent to one peer.";
    bytes_in_total: Counter, "Bytes read from sockets.";
    bytes_out_total: Counter, "Bytes written to sockets.";
    publications_in_total: Counter, "Publications accepted on this core.";
    deliveries_total: Counter, "Publications given to subscribers, each counted.";
    publications_lost_total: Counter, "Publications another core had no room for.";
    outbox_refusals_total: Counter, "Frames not queued because a peer read too slowly.";
    deflate_connections: Windows, "Open connections that may be sent deflated messages, by window.";
    deflate_contexts: Gauge, "Open connections that keep a context from message to message.";
    deflate_in_bytes_total: Counter, "Bytes of messages before deflating, each publication once.";
    deflate_out_bytes_total: Counter, "Bytes of the same messages after deflating.";
    inflate_in_bytes_total: Counter, "Bytes of deflated messages received, as they arrived.";
    inflate_out_bytes_total: Counter, "Bytes of the same messages after inflating.";
    wakes_total: Counter, "Times that another core had to be woken.";
    loop_lag_seconds: Histogram, "How late a timer was looked at.";
    panics_total: Counter, "Connections lost to a failure of the code that served them.";
}

/// Why TLS fails, in the order of [`tls_failure`].
const TLS_FAILURES: [&str; 6] =
    ["alert", "record", "protocol", "incompatible", "certificate", "internal"];

/// The place of `fault` among the reasons of `tls_failures_total`.
pub const fn tls_failure(fault: Fault) -> usize {
    match fault {
        Fault::Alert(_) => 0,
        Fault::BadRecordMac | Fault::RecordOverflow => 1,
        Fault::UnexpectedMessage
        | Fault::Malformed
        | Fault::Misbehaved
        | Fault::Fruitless
        | Fault::OversizedHandshake => 2,
        Fault::Incompatible => 3,
        Fault::CertificateExpired
        | Fault::CertificateNotYetValid
        | Fault::CertificateRevoked
        | Fault::CertificateName
        | Fault::CertificateIssuer
        | Fault::CertificateStatus
        | Fault::CertificateMissing
        | Fault::CertificateInvalid => 4,
        Fault::Unwritable | Fault::Internal => 5,
    }
}

/// The sets of all workers, one of which is one's own.
#[derive(Clone, Debug)]
pub struct MetricsSet {
    mine: Arc<Metrics>,
    all: Arc<[Arc<Metrics>]>,
}

impl MetricsSet {
    /// The set of `all` workers, for the one with the number `me`.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    pub fn new(all: Arc<[Arc<Metrics>]>, me: usize) -> Self {
        let mine = Arc::clone(all.get(me).expect("a worker is one of all"));
        Self { mine, all }
    }

    /// What this worker counts: nobody else may write there.
    pub fn mine(&self) -> &Metrics {
        &self.mine
    }

    /// What every worker counts.
    pub fn all(&self) -> impl Iterator<Item = &Metrics> {
        self.all.iter().map(|metrics| &**metrics)
    }
}

/// A number that one core adds to and all may read.
#[derive(Debug, Default)]
struct Cell(AtomicU64);

impl Cell {
    /// Adds without a locked instruction: there is only one writer.
    fn add(&self, amount: u64) {
        self.0.store(self.get().wrapping_add(amount), Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Something that only grows.
#[derive(Debug, Default)]
pub struct Counter(Cell);

impl Counter {
    const TYPE: &str = "counter";

    fn new() -> Self {
        Self::default()
    }

    /// Counts `amount` more.
    pub fn add(&self, amount: u64) {
        self.0.add(amount);
    }

    /// What has been counted.
    pub fn get(&self) -> u64 {
        self.0.get()
    }

    fn encode(&self, page: &mut Page, worker: usize) {
        page.sample("", worker, None, self.get());
    }
}

/// Something that comes and goes.
#[derive(Debug, Default)]
pub struct Gauge(Cell);

impl Gauge {
    const TYPE: &str = "gauge";

    fn new() -> Self {
        Self::default()
    }

    /// `amount` more have come.
    pub fn add(&self, amount: u64) {
        self.0.add(amount);
    }

    /// `amount` of those that came have gone.
    pub fn sub(&self, amount: u64) {
        debug_assert!(amount <= self.get(), "more have gone than came");
        self.0.add(amount.wrapping_neg());
    }

    /// How many are here.
    pub fn get(&self) -> u64 {
        self.0.get()
    }

    fn encode(&self, page: &mut Page, worker: usize) {
        page.sample("", worker, None, self.get());
    }
}

/// Counters of the same thing for different reasons.
#[derive(Debug)]
pub struct Labelled {
    reasons: &'static [&'static str],
    counters: Box<[Counter]>,
}

impl Labelled {
    const TYPE: &str = Counter::TYPE;

    fn new(reasons: &'static [&'static str]) -> Self {
        Self { reasons, counters: reasons.iter().map(|_| Counter::new()).collect() }
    }

    /// Counts `amount` more for the reason at place `index` of their list.
    pub fn add(&self, index: usize, amount: u64) {
        debug_assert!(index < self.counters.len(), "an unknown reason");
        if let Some(counter) = self.counters.get(index) {
            counter.add(amount);
        }
    }

    /// The sum over all reasons.
    pub fn total(&self) -> u64 {
        self.counters.iter().map(Counter::get).sum()
    }

    fn encode(&self, page: &mut Page, worker: usize) {
        for (reason, counter) in self.reasons.iter().zip(&self.counters) {
            page.sample("", worker, Some(("reason", reason)), counter.get());
        }
    }
}

/// Something that comes and goes, for each size of a window of permessage-deflate.
#[derive(Debug, Default)]
pub struct Windows([Gauge; Self::BITS.len()]);

impl Windows {
    const TYPE: &str = Gauge::TYPE;

    /// Every size, as a power of two (RFC 7692 §7.1.2).
    const BITS: [&str; 8] = ["8", "9", "10", "11", "12", "13", "14", "15"];

    fn new() -> Self {
        Self::default()
    }

    /// `amount` more of the size at `place` have come.
    pub fn add(&self, place: usize, amount: u64) {
        if let Some(gauge) = self.0.get(place) {
            gauge.add(amount);
        }
    }

    /// `amount` of the size at `place` have gone.
    pub fn sub(&self, place: usize, amount: u64) {
        if let Some(gauge) = self.0.get(place) {
            gauge.sub(amount);
        }
    }

    /// How many of the size at `place` are here.
    pub fn get(&self, place: usize) -> u64 {
        self.0.get(place).map_or(0, Gauge::get)
    }

    fn encode(&self, page: &mut Page, worker: usize) {
        for (bits, gauge) in Self::BITS.iter().zip(&self.0) {
            page.sample("", worker, Some(("window_bits", bits)), gauge.get());
        }
    }
}

/// How often something took how long, in buckets whose bounds double.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Cell; Self::BUCKETS],
    nanos: Cell,
}

impl Histogram {
    const TYPE: &str = "histogram";

    /// Those with a bound, and one for what takes longer.
    const BUCKETS: usize = 17;

    fn new() -> Self {
        Self::default()
    }

    /// Counts one that took `duration`.
    pub fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let mut buckets = self.buckets.iter().zip(Self::bounds());
        if let Some((bucket, _)) = buckets.find(|(_, bound)| nanos <= *bound) {
            bucket.add(1);
        }
        self.nanos.add(nanos);
    }

    fn encode(&self, page: &mut Page, worker: usize) {
        let mut count = 0;
        for (bucket, bound) in self.buckets.iter().zip(Self::bounds()) {
            count += bucket.get();
            let bound = if bound == u64::MAX { "+Inf".to_owned() } else { seconds(bound) };
            page.sample("_bucket", worker, Some(("le", &bound)), count);
        }
        page.sample("_sum", worker, None, seconds(self.nanos.get()));
        page.sample("_count", worker, None, count);
    }

    /// The longest duration of each bucket in nanoseconds: from 16 us to half a second.
    fn bounds() -> impl Iterator<Item = u64> {
        (0..16).map(|doublings| 16_000 << doublings).chain([u64::MAX])
    }
}

/// Nanoseconds as a decimal number of seconds.
fn seconds(nanos: u64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A page in the text format of Prometheus, in the making.
#[derive(Default)]
struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins the samples of one figure.
    fn begin(&mut self, family: &'static str, kind: &str, help: &str) {
        self.family = family;
        self.line(format_args!("# HELP corecast_{family} {}", escaped(help)));
        self.line(format_args!("# TYPE corecast_{family} {kind}"));
    }

    fn sample(
        &mut self,
        suffix: &str,
        worker: usize,
        label: Option<(&str, &str)>,
        value: impl Display,
    ) {
        let label = label.map(|(name, value)| format!(",{name}=\"{}\"", escaped(value)));
        let (family, label) = (self.family, label.unwrap_or_default());
        self.line(format_args!("corecast_{family}{suffix}{{worker=\"{worker}\"{label}}} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a string takes every line");
    }
}

/// `text` in one line that ends no quotation.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_each_figure_once_and_each_worker_in_it() {
        let workers: Vec<_> = (0..2).map(|_| Arc::new(Metrics::default())).collect();
        workers[1].connections.add(3);
        workers[1].connections.sub(1);
        workers[0].connections_closed_total.add(2, 7);
        let page = encode_prometheus(&workers);
        let expected = "\
            # HELP corecast_connections Connections that are open.\n\
            # TYPE corecast_connections gauge\n\
            corecast_connections{worker=\"0\"} 0\n\
            corecast_connections{worker=\"1\"} 2\n\
            # HELP corecast_connections_opened_total Connections accepted since start.\n\
            # TYPE corecast_connections_opened_total counter\n";
        assert!(page.starts_with(expected), "{page}");
        let closed = "corecast_connections_closed_total{worker=\"0\",reason=\"service\"} 7\n";
        assert!(page.contains(closed));
        assert_eq!(page.matches("# TYPE corecast_loop_lag_seconds histogram\n").count(), 1);
    }

    #[test]
    fn each_line_is_a_comment_or_a_sample() {
        let page = encode_prometheus(&[Arc::new(Metrics::default())]);
        for line in page.lines().filter(|line| !line.starts_with("# ")) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("corecast_") && name.ends_with('}'), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }

    #[test]
    fn a_histogram_counts_each_duration_in_every_bucket_that_holds_it() {
        let table = [
            (Duration::ZERO, "0.000016"),
            (Duration::from_micros(16), "0.000016"),
            (Duration::from_nanos(16_001), "0.000032"),
            (Duration::from_millis(1), "0.001024"),
            (Duration::from_micros(524_288), "0.524288"),
            (Duration::from_nanos(524_288_001), "+Inf"),
            (Duration::MAX, "+Inf"),
        ];
        for (duration, bound) in table {
            let histogram = Histogram::new();
            histogram.observe(duration);
            let mut page = Page::default();
            histogram.encode(&mut page, 0);
            let first = page.text.lines().find(|line| line.ends_with(" 1")).unwrap();
            assert!(first.contains(&format!("le=\"{bound}\"")), "{duration:?}: {first}");
            assert!(page.text.ends_with("_count{worker=\"0\"} 1\n"));
        }
    }

    #[test]
    fn seconds_are_written_without_idle_zeros() {
        let table =
            [(0, "0"), (16_000, "0.000016"), (1_500_000_000, "1.5"), (20_000_000_000, "20")];
        for (nanos, text) in table {
            assert_eq!(seconds(nanos), text);
        }
    }

    #[test]
    fn no_text_ends_its_line_or_its_quotation() {
        assert_eq!(escaped("a\\b\n\"c\""), "a\\\\b\\n\\\"c\\\"");
    }
}
