//! What happened tick by tick: a row of numbers for each, for plots and for finding the moment.
//!
//! A column that counts something is what was counted within the tick; the others are how it stood
//! at its end. What could not be read is `null`.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::accounting::Accounting;
use crate::books::Books;
use crate::cost::{self, Pulse};
use crate::fleet::Span;
use crate::heat::Heat;
use crate::journal::Journal;
use crate::tally::Tally;
use crate::units;

/// More rows than this are a tick that is too short for the run: then every second one is dropped.
const ROWS_MAX: usize = 20_000;

/// The columns that every series has; those of the cores follow.
const COLUMNS: [&str; 31] = [
    "t_ns",
    "open",
    "pending",
    "attempted",
    "opened",
    "failed",
    "closed_unexpected",
    "sent",
    "received",
    "pings",
    "latency_n",
    "latency_p50_ns",
    "latency_p99_ns",
    "latency_p999_ns",
    "latency_max_ns",
    "self_lag_p99_ns",
    "self_slip_p99_ns",
    "self_cpu_ns",
    "self_rss",
    "srv_cpu_ns",
    "srv_rss",
    "kernel_slab",
    "kernel_tcp",
    "listen_overflows",
    "listen_drops",
    "aborts_on_memory",
    "retransmits",
    "softnet_drops",
    "conntrack",
    "steal_ticks",
    "all_ticks",
];

/// Rows over time.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Series {
    /// How long a tick is.
    pub tick_ns: u64,
    /// What the numbers of a row are.
    pub columns: Vec<String>,
    /// A row for each tick.
    pub rows: Vec<Vec<Option<u64>>>,
    /// Attempts that failed and connections that ended, by tick and class.
    pub events: Vec<Event>,
    /// The latency of messages, tick by tick.
    pub heat: Heat,
}

/// So many ends of a class in one tick.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Event {
    /// The end of the tick.
    pub t_ns: u64,
    /// The class, as in the accounting.
    pub class: String,
    /// How many.
    pub count: u64,
}

impl Series {
    /// The column `name` of the rows that end within `span`, with their times.
    pub fn column(&self, name: &str, span: Span) -> Vec<(u64, u64)> {
        let Some(position) = self.columns.iter().position(|it| it == name) else {
            return Vec::new();
        };
        let times = units::ns(span.from)..=units::ns(span.to);
        let cell = |row: &Vec<Option<u64>>| {
            let t = (*row.first()?)?;
            Some((t, (*row.get(position)?)?)).filter(|_| times.contains(&t))
        };
        self.rows.iter().filter_map(cell).collect()
    }

    /// Adds what happened later, counted from the same beginning.
    pub fn append(&mut self, mut later: Self) {
        if self.columns.is_empty() {
            *self = later;
            return;
        }
        self.rows.append(&mut later.rows);
        self.events.append(&mut later.events);
        self.heat.ticks.append(&mut later.heat.ticks);
    }

    /// The rows as comma-separated values; what is unknown is empty.
    pub fn csv(&self) -> String {
        let cell = |cell: &Option<u64>| cell.map(|cell| cell.to_string()).unwrap_or_default();
        let row = |row: &Vec<Option<u64>>| row.iter().map(cell).collect::<Vec<_>>().join(",");
        let rows = self.rows.iter().map(row);
        let lines: Vec<_> = std::iter::once(self.columns.join(",")).chain(rows).collect();
        lines.join("\n") + "\n"
    }

    /// What the column `name` says in the last row.
    pub fn last(&self, name: &str) -> Option<u64> {
        let position = self.columns.iter().position(|it| it == name)?;
        *self.rows.last()?.get(position)?
    }
}

/// Writes a series while it happens.
#[derive(Debug)]
pub struct Recorder {
    series: Series,
    tick: Duration,
    epoch: Instant,
    due: Instant,
    server: Option<u32>,
    /// How it stood at the end of the last tick.
    last: Pulse,
    /// Where the distributions of each tick go, and when the last one ended.
    journal: Option<Journal>,
    noted: Instant,
}

impl Recorder {
    /// A recorder whose times count from `epoch`, of the process `server` among others.
    pub fn new(tick: Duration, epoch: Instant, server: Option<u32>) -> Self {
        let last = Pulse::take(server);
        let cores = (0..last.cores.len()).map(|core| format!("core{core}_busy_permille"));
        let columns = COLUMNS.map(str::to_owned).into_iter().chain(cores).collect();
        let series = Series { tick_ns: units::ns(tick), columns, ..Series::default() };
        Self { series, tick, epoch, due: epoch + tick, server, last, journal: None, noted: epoch }
    }

    /// Has the distributions of each tick written to `journal`.
    pub fn keep(&mut self, journal: Journal, books: &mut Books) {
        self.journal = Some(journal);
        books.since_tick = Some(Tally::default());
    }

    /// When the tick ends.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// What was written so far.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Ends the tick, if it is time.
    pub fn tick(&mut self, books: &mut Books, now: Instant) {
        if now < self.due {
            return;
        }
        // Ticks that were missed are one long one, and the next ends at its proper place.
        while self.due <= now {
            self.due += self.tick;
        }
        self.note(books, now);
        let pulse = Pulse::take(self.server);
        let t_ns = units::ns(now.saturating_duration_since(self.epoch));
        let row = row(books, &self.last, &pulse, t_ns);
        self.series.rows.push(row);
        self.series.events.extend(events(&books.tick.accounting, t_ns));
        self.series.heat.push(&books.tick.latency);
        self.last = pulse;
        books.tick.clear();
        if self.series.rows.len() > ROWS_MAX {
            self.thin();
        }
    }

    /// Keeps every second row, and looks half as often from now on.
    fn thin(&mut self) {
        let mut number = 0;
        self.series.rows.retain(|_| {
            number += 1;
            number % 2 == 0
        });
        let ticks = std::mem::take(&mut self.series.heat.ticks);
        self.series.heat.ticks = ticks.into_iter().skip(1).step_by(2).collect();
        self.tick *= 2;
        self.series.tick_ns = units::ns(self.tick);
    }

    /// Writes what was counted since the last time to the journal, if there is one.
    fn note(&mut self, books: &mut Books, now: Instant) {
        let (Some(journal), Some(tally)) = (&mut self.journal, &mut books.since_tick) else {
            return;
        };
        let since = |moment: Instant| moment.saturating_duration_since(self.epoch);
        journal.write(&std::mem::take(tally), since(self.noted), since(now));
        self.noted = now;
    }

    /// The whole, when all is over.
    ///
    /// # Errors
    ///
    /// If the journal could not be written.
    pub fn end(mut self, books: &mut Books, now: Instant) -> io::Result<Series> {
        self.note(books, now);
        self.journal.map_or(Ok(()), Journal::end)?;
        Ok(self.series)
    }

    /// The whole, where nobody keeps a journal.
    #[cfg(test)]
    fn into_series(self) -> Series {
        self.series
    }
}

/// The numbers of a tick, in the order of the columns.
fn row(books: &Books, last: &Pulse, now: &Pulse, t_ns: u64) -> Vec<Option<u64>> {
    let tick = &books.tick;
    let grown = |of: fn(&Pulse) -> Option<u64>| cost::grown(of(last), of(now));
    let opened = &tick.accounting;
    let counted = [
        t_ns,
        books.open(),
        books.pending(),
        opened.attempted,
        opened.opened,
        opened.failures(),
        opened.unexpected_closures(),
        tick.sent,
        tick.received,
        tick.pings,
        tick.latency.n(),
    ];
    let found = [
        tick.latency.quantile(0.5),
        tick.latency.quantile(0.99),
        tick.latency.quantile(0.999),
        tick.latency.max(),
        tick.lag.quantile(0.99),
        tick.slip.quantile(0.99),
        grown(|pulse| pulse.self_cpu_ns),
        now.self_rss,
        grown(|pulse| pulse.server_cpu_ns),
        now.server_rss,
        now.kernel.map(|kernel| kernel.slab_bytes),
        now.kernel.map(|kernel| kernel.tcp_bytes),
        grown(|pulse| pulse.listen_overflows),
        grown(|pulse| pulse.listen_drops),
        grown(|pulse| pulse.aborts_on_memory),
        grown(|pulse| pulse.retransmits),
        grown(|pulse| pulse.softnet_drops),
        now.conntrack,
        grown(|pulse| Some(pulse.steal?.0)),
        grown(|pulse| Some(pulse.steal?.1)),
    ];
    let cores = last.cores.iter().zip(&now.cores);
    let busy = cores.map(|((busy_before, all_before), (busy, all))| {
        let all = all.saturating_sub(*all_before);
        (busy.saturating_sub(*busy_before) * 1_000).checked_div(all)
    });
    counted.into_iter().map(Some).chain(found).chain(busy).collect()
}

fn events(accounting: &Accounting, t_ns: u64) -> impl Iterator<Item = Event> {
    let failed = accounting.failed.iter().map(|(class, count)| (class.name(), *count));
    let closed = accounting.closed.iter().map(|(class, count)| (class.name(), *count));
    failed.chain(closed).map(move |(class, count)| Event { t_ns, class, count })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to start from
mod tests {
    use super::*;
    use crate::accounting::Failure;
    use crate::driver::link::{Report, Stage};
    use crate::tally::Tally;

    const TICK: Duration = Duration::from_secs(1);

    fn recorder() -> (Recorder, Books, Instant) {
        let start = Instant::now();
        (Recorder::new(TICK, start, None), Books::new(1), start)
    }

    fn sent(books: &mut Books, sent: u64) {
        let mut tally = Tally::default();
        tally.traffic.sent = sent;
        tally.traffic.echo.corrected.record_ns(5_000_000);
        tally.accounting.attempted = 1;
        tally.accounting.fail(Failure::Refused);
        let stage = Stage::Hold;
        books.enter(Report { driver: 0, stage, tally, open: 3, pending: 0, missing: 0, done: 0 });
    }

    #[test]
    fn a_row_tells_what_its_tick_counted_and_no_more() {
        let (mut recorder, mut books, start) = recorder();
        for (second, count) in [(1, 10), (2, 20), (3, 5)] {
            sent(&mut books, count);
            recorder.tick(&mut books, start + TICK * second);
            recorder.tick(&mut books, start + TICK * second);
        }
        let series = recorder.into_series();
        assert_eq!((series.last("sent"), series.last("open")), (Some(5), Some(3)));
        let span = Span { from: TICK, to: TICK * 2 };
        assert_eq!(series.column("sent", span), [(1_000_000_000, 10), (2_000_000_000, 20)]);
        assert_eq!(series.events.len(), 3);
        assert_eq!((series.events[0].class.as_str(), series.events[0].count), ("refused", 1));
        assert!(series.rows.iter().all(|row| row.len() == series.columns.len()));
        assert_eq!(series.heat.ticks.len(), 3);
        assert_eq!(series.last("unheard of"), None);
        let csv = series.csv();
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("t_ns,open,") && lines[1].starts_with("1000000000,3,"));
    }

    #[test]
    fn what_happened_later_follows() {
        let mut whole = Series::default();
        for second in [1, 2] {
            let (mut recorder, mut books, start) = recorder();
            sent(&mut books, 7);
            recorder.tick(&mut books, start + TICK * second);
            whole.append(recorder.into_series());
        }
        assert_eq!((whole.rows.len(), whole.events.len(), whole.heat.ticks.len()), (2, 2, 2));
        assert_eq!((whole.rows[1][0], whole.tick_ns), (Some(2_000_000_000), 1_000_000_000));
    }

    #[test]
    fn a_tick_that_was_missed_makes_one_long_row() {
        let (mut recorder, mut books, start) = recorder();
        recorder.tick(&mut books, start + 5 * TICK / 2);
        assert_eq!((recorder.series().rows.len(), recorder.due()), (1, start + 3 * TICK));
    }

    #[test]
    fn a_long_run_keeps_every_second_row() {
        let (mut recorder, _, _) = recorder();
        recorder.series.rows = (0..10).map(|n| vec![Some(n)]).collect();
        recorder.series.heat.ticks = vec![std::collections::BTreeMap::new(); 10];
        recorder.thin();
        assert_eq!(recorder.series.rows.len(), 5);
        assert_eq!((recorder.series.heat.ticks.len(), recorder.tick), (5, 2 * TICK));
    }
}
