//! The distributions of every tick, as the log of histograms that the tools of `HdrHistogram` read
//! (format version 1.3, histograms of version 2, deflated).
//!
//! ```text
//!   #[StartTime: 1700000000.000 (seconds since epoch)]
//!   "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
//!   Tag=echo,1.000,1.000,4.213,HISTFAAAA...        seconds, seconds, milliseconds
//! ```
//!
//! Times within the histograms are nanoseconds. All intervals of a tag together are the whole
//! distribution, but for the loop lag of the ramp, which a result tells apart.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::tally::Tally;

/// A log that is being written.
#[derive(Debug)]
pub struct Journal<W = File> {
    file: W,
    /// What went wrong first; after that nothing is written.
    broken: Option<io::Error>,
}

impl Journal {
    /// Begins the log at `path`.
    ///
    /// # Errors
    ///
    /// What the system says against it.
    pub fn create(path: &Path) -> io::Result<Self> {
        Journal::begin(File::create(path)?, now())
    }
}

impl<W: Write> Journal<W> {
    fn begin(mut file: W, started: SystemTime) -> io::Result<Self> {
        let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs_f64();
        writeln!(file, "#[Logged with loadgen {}]", env!("CARGO_PKG_VERSION"))?;
        writeln!(file, "#[Histogram log format version 1.3]")?;
        writeln!(file, "#[StartTime: {seconds:.3} (seconds since epoch)]")?;
        writeln!(file, "#[BaseTime: {seconds:.3} (seconds since epoch)]")?;
        writeln!(
            file,
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\
             \"Interval_Compressed_Histogram\""
        )?;
        Ok(Self { file, broken: None })
    }

    /// Writes what was counted between two times, which count from the beginning.
    pub fn write(&mut self, tally: &Tally, from: Duration, to: Duration) {
        if self.broken.is_none() {
            self.broken = self.try_write(tally, from, to).err();
        }
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// What kept it from being written, if something did.
    pub fn end(mut self) -> io::Result<()> {
        self.broken.map_or_else(|| self.file.flush(), Err)
    }

    #[allow(clippy::cast_precision_loss)] // times for people to read
    fn try_write(&mut self, tally: &Tally, from: Duration, to: Duration) -> io::Result<()> {
        let (start, len) = (from.as_secs_f64(), to.saturating_sub(from).as_secs_f64());
        for (tag, latency) in tally.distributions() {
            let (Some(max), Some(histogram)) = (latency.max(), latency.encode()) else { continue };
            let max_ms = max as f64 / 1e6;
            writeln!(self.file, "Tag={tag},{start:.3},{len:.3},{max_ms:.3},{histogram}")?;
        }
        Ok(())
    }
}

#[allow(clippy::disallowed_methods)] // a log says when it was begun
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn what_is_written_is_read_by_a_reader_of_such_logs() {
        let mut journal = Journal::begin(Vec::new(), SystemTime::UNIX_EPOCH).unwrap();
        let mut tally = Tally::default();
        tally.traffic.echo.corrected.record_ns(5_000_000);
        journal.write(&tally, Duration::from_secs(1), Duration::from_millis(2_500));
        tally.lag.record_ns(7);
        journal.write(&tally, Duration::from_millis(2_500), Duration::from_secs(3));
        let text = journal.file;
        let entries: Result<Vec<_>, _> = IntervalLogIterator::new(&text).collect();
        let intervals: Vec<_> = entries
            .unwrap()
            .into_iter()
            .filter_map(|entry| match entry {
                LogEntry::Interval(interval) => Some(interval),
                _ => None,
            })
            .collect();
        let told: Vec<_> = intervals
            .iter()
            .map(|it| (it.tag().unwrap().as_str(), it.start_timestamp(), it.duration()))
            .collect();
        let (second, half) = (Duration::from_secs(1), Duration::from_millis(500));
        assert_eq!(
            told,
            [
                ("echo", second, second + half),
                ("echo", 2 * second + half, half),
                ("self_lag", 2 * second + half, half)
            ]
        );
        let encoded = intervals[0].encoded_histogram();
        let echo = crate::latency::Latency::decode(encoded).unwrap();
        assert!(echo.max().unwrap().abs_diff(5_000_000) < 5_000 && intervals[0].max() > 4.9);
    }

    #[test]
    fn a_disk_that_is_full_is_told_at_the_end() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let is_full = bytes.starts_with(b"Tag");
                if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut journal = Journal::begin(Full, SystemTime::UNIX_EPOCH).unwrap();
        let mut tally = Tally::default();
        tally.lag.record_ns(7);
        journal.write(&tally, Duration::ZERO, Duration::from_secs(1));
        assert!(journal.end().is_err());
    }
}
