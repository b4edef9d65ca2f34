//! The machine a result was measured on: a number without it means little.

use std::collections::BTreeMap;
use std::fs;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

use crate::proc;

/// What a report says of the machine. `None` is unknown.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    /// What this machine did in the run.
    pub role: String,
    /// What tells this machine from others, until its kernel is started again.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// Name, release and version of the kernel.
    pub kernel: Option<String>,
    /// The processor.
    pub cpu: Cpu,
    /// Memory in all.
    pub mem_bytes: Option<u64>,
    /// Memory that was free for use when the run began.
    pub mem_available_bytes: Option<u64>,
    /// Swap that was in use when the run began.
    #[serde(default)]
    pub swap_used_bytes: Option<u64>,
    /// What a container may use.
    #[serde(default)]
    pub cgroup: Cgroup,
    /// The network interfaces.
    #[serde(default)]
    pub nic: Vec<Nic>,
    /// What the kernel reads the time from.
    #[serde(default)]
    pub clocksource: Option<String>,
    /// Settings of the kernel that bear on many connections.
    pub sysctl: BTreeMap<String, String>,
    /// What the process may use.
    pub limits: Limits,
}

/// The processor of a machine.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Cpu {
    /// Its name.
    pub model: Option<String>,
    /// The cores this process may run on.
    pub cores: usize,
    /// Whether two of them share one.
    #[serde(default)]
    pub smt: Option<bool>,
    /// How their frequency is chosen.
    pub governor: Option<String>,
}

/// What a container may use, as the kernel says it (`max` is no limit).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Cgroup {
    /// Microseconds of CPU in a period, and the period.
    pub cpu_max: Option<String>,
    /// Bytes of memory.
    pub memory_max: Option<String>,
}

/// A network interface.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// How fast it is, if it says so.
    pub megabits: Option<u64>,
    /// The longest packet.
    pub mtu: Option<u64>,
}

/// What a process may use.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Limits {
    /// Open files of a table: before the limit was raised, and after.
    pub nofile: [u64; 2],
}

/// The settings worth a line.
const SYSCTLS: [&str; 7] = [
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_mem",
    "net.netfilter.nf_conntrack_max",
    "fs.nr_open",
    "fs.file-max",
];

impl Machine {
    /// This machine, where the limit of open files is `nofile`.
    pub fn here(nofile: [u64; 2]) -> Self {
        let meminfo = proc::read("meminfo").unwrap_or_default();
        let swap = |name| proc::kilobytes(&meminfo, name);
        let sysctl = |name: &&str| Some(((*name).to_owned(), sysctl(name)?));
        Self {
            role: "generator".to_owned(),
            boot_id: proc::read("sys/kernel/random/boot_id").map(|id| id.trim().to_owned()),
            kernel: kernel(),
            cpu: Cpu {
                model: proc::read("cpuinfo").and_then(|text| proc::cpu_model(&text)),
                cores: cores(),
                smt: sys("devices/system/cpu/smt/active").map(|text| text == "1"),
                governor: sys("devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            },
            mem_bytes: proc::kilobytes(&meminfo, "MemTotal"),
            mem_available_bytes: proc::kilobytes(&meminfo, "MemAvailable"),
            swap_used_bytes: swap("SwapTotal")
                .zip(swap("SwapFree"))
                .map(|(all, free)| all.saturating_sub(free)),
            cgroup: Cgroup {
                cpu_max: sys("fs/cgroup/cpu.max"),
                memory_max: sys("fs/cgroup/memory.max"),
            },
            nic: nics(),
            clocksource: sys("devices/system/clocksource/clocksource0/current_clocksource"),
            sysctl: SYSCTLS.iter().filter_map(sysctl).collect(),
            limits: Limits { nofile },
        }
    }
}

/// How many cores this process may run on.
pub fn cores() -> usize {
    available_parallelism().map_or(1, std::num::NonZero::get)
}

fn kernel() -> Option<String> {
    let part = |name| proc::read(&format!("sys/kernel/{name}"));
    let (name, release) = (part("ostype")?, part("osrelease")?);
    Some(format!("{} {} {}", name.trim(), release.trim(), std::env::consts::ARCH))
}

/// A setting of the kernel, its words one blank apart.
pub fn sysctl(name: &str) -> Option<String> {
    let text = proc::read(&format!("sys/{}", name.replace('.', "/")))?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A line of a file under `/sys`.
pub fn sys(path: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/{path}")).ok()?;
    Some(text.trim().to_owned())
}

/// The names of the interfaces, in their order.
pub fn nic_names() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/class/net") else { return Vec::new() };
    let name = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let mut names: Vec<_> = entries.filter_map(name).collect();
    names.sort();
    names
}

/// The interfaces by name. Those that are virtual do not know their speed.
fn nics() -> Vec<Nic> {
    let number = |name: &str, what| sys(&format!("class/net/{name}/{what}"))?.parse().ok();
    let nic =
        |name: String| Nic { megabits: number(&name, "speed"), mtu: number(&name, "mtu"), name };
    nic_names().into_iter().map(nic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_a_kernel_and_memory() {
        let machine = Machine::here([1, 2]);
        assert!(machine.kernel.unwrap().starts_with("Linux "));
        assert!(machine.mem_bytes.unwrap() > 1 << 20);
        assert!(machine.cpu.cores > 0 && machine.sysctl.contains_key("fs.nr_open"));
    }
}
