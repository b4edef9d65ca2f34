//! Memory: how much there may be, and how much is in use.
//!
//! What counts depends on who sets the limit. Where a control group does (a container), it is what
//! the kernel would end us for: all of the group's memory but the files that it could drop, so the
//! buffers of our sockets too. Where the operator does, or nobody but the machine, it is what is
//! resident of this process: what others do is not ours to make up for.

use std::fs;
use std::path::{Path, PathBuf};

/// A limit of this process's memory, and how to find out what is used of it.
#[derive(Clone, Debug)]
pub struct Gauge {
    max: u64,
    source: Source,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Source {
    /// What is resident of this process.
    Process,
    /// A control group, and what its files are called.
    Group(PathBuf, &'static Names),
}

/// What the files of a control group are called.
#[derive(Debug, Eq, PartialEq)]
struct Names {
    /// How a line of `/proc/self/cgroup` begins that names one: its number, and its controllers.
    line: &'static str,
    /// Where the groups are.
    root: &'static str,
    max: &'static str,
    current: &'static str,
    /// The line of `memory.stat` that tells of files that could be dropped.
    droppable: &'static str,
}

/// The version that is used first, and the one that some machines still have beside it.
const VERSIONS: [Names; 2] = [
    Names {
        line: "0::",
        root: "/sys/fs/cgroup",
        max: "memory.max",
        current: "memory.current",
        droppable: "inactive_file",
    },
    Names {
        line: "memory:",
        root: "/sys/fs/cgroup/memory",
        max: "memory.limit_in_bytes",
        current: "memory.usage_in_bytes",
        droppable: "total_inactive_file",
    },
];

impl Gauge {
    /// The limit of the operator.
    pub const fn of_process(max: u64) -> Self {
        Self { max, source: Source::Process }
    }

    /// The limit of this process's control group, or else all memory of this machine; none where
    /// the system does not tell.
    pub fn find() -> Option<Self> {
        let total = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")? * 1024;
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let group = VERSIONS.iter().find_map(|names| {
            group(&groups, names).and_then(|path| Self::of_group(path, names, total))
        });
        Some(group.unwrap_or(Self::of_process(total)))
    }

    /// The limit of the group at `path`, if it has one that is less than `total`.
    fn of_group(path: PathBuf, names: &'static Names, total: u64) -> Option<Self> {
        let max = number(&path.join(names.max))?;
        (max < total).then_some(Self { max, source: Source::Group(path, names) })
    }

    /// How many bytes there may be.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// How many bytes are used; `None` where the system does not tell.
    pub fn used(&self) -> Option<u64> {
        match &self.source {
            Source::Process => field(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
                .map(|kib| kib * 1024),
            Source::Group(path, names) => {
                let statistics = fs::read_to_string(path.join("memory.stat")).ok()?;
                let droppable = field(&statistics, names.droppable).unwrap_or(0);
                Some(number(&path.join(names.current))?.saturating_sub(droppable))
            }
        }
    }
}

/// Where the group is that the text of `/proc/self/cgroup` names.
fn group(text: &str, names: &Names) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| {
        let numbered = line.split_once(':').map_or("", |(_, rest)| rest);
        line.strip_prefix(names.line).or_else(|| numbered.strip_prefix(names.line))
    })?;
    Some(Path::new(names.root).join(path.trim_start_matches('/')))
}

/// The number that a file consists of; none if that is `max`.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind `name` at the begin of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_tells() {
        let gauge = Gauge::find().unwrap();
        let used = Gauge::of_process(gauge.max()).used().unwrap();
        assert!((1 << 20..gauge.max()).contains(&used), "{used} of {}", gauge.max());
    }

    #[test]
    fn a_group_tells_what_it_could_not_drop() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        let find = || Gauge::of_group(directory.path().into(), &VERSIONS[0], 1_000);
        write("memory.max", "max\n");
        assert!(find().is_none());
        write("memory.max", "1000\n");
        assert!(find().is_none(), "the machine has no more");
        write("memory.max", "900\n");
        write("memory.current", "700\n");
        write("memory.stat", "anon 500\ninactive_file 150\nactive_file 50\n");
        let gauge = find().unwrap();
        assert_eq!((gauge.max(), gauge.used()), (900, Some(550)));
    }

    #[test]
    fn a_process_knows_its_group() {
        let rows = [
            ("0::/\n", Some("/sys/fs/cgroup/"), None),
            ("4:memory:/x\n0::/a", Some("/sys/fs/cgroup/a"), Some("/sys/fs/cgroup/memory/x")),
            ("4:memory:/x\n", None, Some("/sys/fs/cgroup/memory/x")),
            ("3:cpuset:/\n", None, None),
        ];
        for (text, new, old) in rows {
            for (names, path) in VERSIONS.iter().zip([new, old]) {
                assert_eq!(group(text, names), path.map(PathBuf::from), "{text}");
            }
        }
    }
}
