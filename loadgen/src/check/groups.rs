//! The control groups of this process, of both versions: what they let it have.
//!
//! A limit of a group holds for all groups below it, so the smallest on the way to the root counts.

use std::fs;
use std::path::{Path, PathBuf};

use super::facts::Quota;
use crate::proc;

/// Where control groups are mounted: those of version 2 at the root, or beside those of version 1.
const MOUNT: &str = "/sys/fs/cgroup";
const UNIFIED: [&str; 2] = ["", "unified"];

/// What version 1 says for "no limit" is near this.
const UNLIMITED_MIN: u64 = 1 << 60;

/// The share of a core that this process may have, in per cent.
pub fn cpu_percent() -> Option<Quota> {
    lowest("cpu", |group| {
        let newer = read(group, "cpu.max").and_then(|text| share(&text));
        let older = || {
            let quota = read(group, "cpu.cfs_quota_us")?;
            share(&format!("{quota} {}", read(group, "cpu.cfs_period_us")?))
        };
        newer.or_else(older)
    })
}

/// How many threads and processes there may be.
pub fn tasks_max() -> Option<Quota> {
    lowest("pids", |group| read(group, "pids.max")?.parse().ok())
}

/// Memory that can still be had before the control group is full.
pub fn memory_available() -> Option<Quota> {
    lowest("memory", |group| {
        let either =
            |newer, older| read(group, newer).or_else(|| read(group, older))?.parse::<u64>().ok();
        let max = either("memory.max", "memory.limit_in_bytes")?;
        let used = either("memory.current", "memory.usage_in_bytes")?;
        // What is cached of files goes when it must.
        let cached = read(group, "memory.stat").and_then(|text| named(&text, "inactive_file"));
        let available = max.saturating_sub(used.saturating_sub(cached.unwrap_or(0)));
        (max < UNLIMITED_MIN).then_some(available)
    })
}

/// The lowest of what `limit` finds in the groups of `controller` that this process is in.
fn lowest(controller: &str, limit: impl Fn(&Path) -> Option<u64>) -> Option<Quota> {
    let table = proc::read("self/cgroup")?;
    let groups = folders(&table, controller);
    let groups: Vec<_> = groups.iter().filter(|group| group.is_dir()).collect();
    if groups.is_empty() {
        return None;
    }
    let limit = groups.into_iter().filter_map(|group| limit(group)).min();
    Some(limit.map_or(Quota::Unlimited, Quota::Of))
}

/// The folders of the groups of `controller` in `table`, each with all above it.
fn folders(table: &str, controller: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in table.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let roots = match controllers {
            "" => UNIFIED.map(str::to_owned).to_vec(),
            _ if controllers.split(',').any(|it| it == controller) => vec![controllers.to_owned()],
            _ => continue,
        };
        for root in roots {
            let root = Path::new(MOUNT).join(root);
            let group = root.join(path.trim_start_matches('/'));
            let way = group.ancestors().take_while(|it| it.starts_with(&root));
            folders.extend(way.map(Path::to_owned));
        }
    }
    folders
}

fn read(group: &Path, name: &str) -> Option<String> {
    Some(fs::read_to_string(group.join(name)).ok()?.trim().to_owned())
}

/// The per cent of a core in `quota period`, both in microseconds; none where there is no quota.
fn share(text: &str) -> Option<u64> {
    let (quota, period) = text.split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota * 100).checked_div(period)
}

/// The number after `name` at the beginning of a line.
fn named(text: &str, name: &str) -> Option<u64> {
    let line = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_share_of_its_period() {
        for (text, percent) in [
            ("150000 100000", Some(150)),
            ("max 100000", None),
            ("-1 100000", None),
            ("50000 0", None),
        ] {
            assert_eq!(share(text), percent, "{text}");
        }
        assert_eq!(named("anon 5\ninactive_file 77\n", "inactive_file"), Some(77));
        assert_eq!(named("inactive_files 77\n", "inactive_file"), None);
    }

    #[test]
    fn groups_of_both_versions_are_found_with_those_above() {
        let table = "3:cpuset:/\n2:cpu,cpuacct:/a/b\n1:memory:/m\n0::/u\n";
        let expected = [
            "/sys/fs/cgroup/cpu,cpuacct/a/b",
            "/sys/fs/cgroup/cpu,cpuacct/a",
            "/sys/fs/cgroup/cpu,cpuacct",
            "/sys/fs/cgroup/u",
            "/sys/fs/cgroup",
            "/sys/fs/cgroup/unified/u",
            "/sys/fs/cgroup/unified",
        ];
        let folders = folders(table, "cpu");
        let folders: Vec<_> = folders.iter().map(|it| it.to_str().unwrap()).collect();
        assert_eq!(folders.iter().map(|it| it.trim_end_matches('/')).collect::<Vec<_>>(), expected);
    }
}
