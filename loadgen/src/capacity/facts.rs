//! What the system says of the server around a trial, beyond what every trial samples.

use std::fs;

use crate::cost::TaskCpu;
use crate::fleet::{Span, Trial};
use crate::proc;
use crate::series::Series;
use crate::units;

/// So many files short of its limit a process turns away: servers spare some.
const FILES_SPARE: u64 = 128;

/// A core that is busier than this, in thousandths, has nothing to give.
const BUSY_PERMILLE: u64 = 950;

/// What the system says. What is not known is `None`, or 0 where something is counted.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Whether the server has ended.
    pub is_gone: bool,
    /// The open files of the fullest table of the server, and how many it may have.
    pub files: Option<(u64, u64)>,
    /// Connections that the kernel gave up for lack of memory.
    pub aborts_on_memory: u64,
    /// Connections that found the queue full, or were dropped before they were accepted.
    pub listen_drops: u64,
    /// Pages that were swapped out.
    pub swapped_pages: u64,
    /// The server's thread that took most of a core in the hold, and how many per cent.
    pub worker: Option<(String, u64)>,
    /// How busy all cores together were in the hold, in thousandths.
    pub busy_permille: Option<u64>,
}

/// The swapped pages before something, to be held against those after it.
pub fn swapped_pages() -> u64 {
    let vmstat = proc::read("vmstat").unwrap_or_default();
    let number = |line: &str| line.strip_prefix("pswpout ")?.trim().parse().ok();
    vmstat.lines().find_map(number).unwrap_or(0)
}

impl Facts {
    /// What is known after a `trial` that was approached `from` then, with `swapped` pages before.
    /// What the kernel counts is the server's only where the server is on this machine.
    pub fn gather(
        series: &Series,
        trial: &Trial,
        from: Span,
        is_co_located: bool,
        swapped: u64,
    ) -> Self {
        let worker = busiest(trial);
        let busy_permille = busy(series, trial.hold);
        if !is_co_located {
            return Self { worker, busy_permille, ..Self::default() };
        }
        let span = Span { from: from.from, to: trial.drain.to.max(trial.hold.to).max(from.to) };
        let sum = |name| series.column(name, span).iter().map(|(_, count)| count).sum::<u64>();
        Self {
            aborts_on_memory: sum("aborts_on_memory"),
            listen_drops: sum("listen_drops").max(sum("listen_overflows")),
            swapped_pages: swapped_pages().saturating_sub(swapped),
            worker,
            busy_permille,
            ..Self::default()
        }
    }

    /// Whether the server has as many files open as it may.
    pub fn is_out_of_files(&self) -> bool {
        let is_full = |(open, limit): (u64, u64)| open + FILES_SPARE.min(limit / 4) >= limit;
        self.files.is_some_and(is_full)
    }

    /// Whether the machine had no CPU left.
    pub fn is_busy(&self) -> bool {
        self.busy_permille.is_some_and(|busy| busy >= BUSY_PERMILLE)
    }
}

/// The open files of the fullest table of a process, and how many a table may hold.
pub fn files(pid: u32) -> Option<(u64, u64)> {
    let limits = proc::read(&format!("{pid}/limits"))?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let limit = limit.split_whitespace().next()?.parse().ok()?;
    // Threads may have tables of their own.
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let open = |task: fs::DirEntry| Some(fs::read_dir(task.path().join("fd")).ok()?.count() as u64);
    let open = tasks.flatten().filter_map(open).max()?;
    Some((open, limit))
}

fn busiest(trial: &Trial) -> Option<(String, u64)> {
    let (begin, end) = (trial.begin.as_ref()?, trial.end.as_ref()?);
    let hold_ns = units::ns(trial.hold.len()).max(1);
    let before = |id| begin.server_tasks.iter().find(|task| task.id == id).map(|task| task.ns);
    let percent = |task: &TaskCpu| {
        let ns = task.ns.saturating_sub(before(task.id)?);
        Some((task.name.clone(), ns.saturating_mul(100) / hold_ns))
    };
    end.server_tasks.iter().filter_map(percent).max_by_key(|(_, percent)| *percent)
}

/// How busy the cores were, all together.
fn busy(series: &Series, span: Span) -> Option<u64> {
    let is_core = |name: &&String| name.starts_with("core") && name.ends_with("_busy_permille");
    let columns = series.columns.iter().filter(is_core).map(|name| series.column(name, span));
    let cells: Vec<_> = columns.flatten().map(|(_, permille)| permille).collect();
    cells.iter().sum::<u64>().checked_div(cells.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Sample;
    use std::time::Duration;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_files_and_a_limit() {
        let (open, limit) = files(std::process::id()).unwrap();
        assert!(open >= 3 && limit > open);
        assert_eq!(files(u32::MAX), None);
    }

    #[test]
    fn a_server_that_spares_some_files_is_full_before_the_last() {
        let full = |open, limit| {
            Facts { files: Some((open, limit)), ..Facts::default() }.is_out_of_files()
        };
        assert!(full(19_936, 20_000) && full(330, 400) && !full(19_000, 20_000) && !full(200, 400));
        assert!(!Facts::default().is_out_of_files());
    }

    #[test]
    fn the_busiest_thread_of_the_server_is_named() {
        let task =
            |id, name: &str, ms: u64| TaskCpu { name: name.to_owned(), id, ns: ms * 1_000_000 };
        let sample = |a, b| {
            let server_tasks = vec![task(1, "worker-0", a), task(2, "worker-1", b)];
            Some(Sample { server_tasks, ..Sample::default() })
        };
        let hold = Span { from: Duration::ZERO, to: Duration::from_secs(10) };
        let trial = Trial {
            hold,
            begin: sample(5_000, 100),
            end: sample(6_000, 9_100),
            ..Trial::default()
        };
        assert_eq!(busiest(&trial), Some(("worker-1".to_owned(), 90)));
    }

    #[test]
    fn cores_are_busy_together() {
        let columns = ["t_ns", "core0_busy_permille", "core1_busy_permille"].map(str::to_owned);
        let rows =
            vec![vec![Some(1_000), Some(1_000), Some(500)], vec![Some(2_000), None, Some(0)]];
        let series = Series { columns: columns.into(), rows, ..Series::default() };
        let all = Span { from: Duration::ZERO, to: Duration::from_secs(1) };
        assert_eq!(busy(&series, all), Some(500));
        assert_eq!(busy(&Series::default(), all), None);
    }
}
