//! The machine a result was measured on: a number without it means little.

use std::collections::BTreeMap;
use std::thread::available_parallelism;

use serde::Serialize;

use crate::proc;

/// What a report says of the machine. `None` is unknown.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// What this machine did in the run.
    pub role: &'static str,
    /// Name, release and version of the kernel.
    pub kernel: Option<String>,
    /// The processor.
    pub cpu: Cpu,
    /// Memory in all.
    pub mem_bytes: Option<u64>,
    /// Memory that was free for use when the run began.
    pub mem_available_bytes: Option<u64>,
    /// Settings of the kernel that bear on many connections.
    pub sysctl: BTreeMap<&'static str, String>,
    /// What the process may use.
    pub limits: Limits,
}

/// The processor of a machine.
#[derive(Clone, Debug, Serialize)]
pub struct Cpu {
    /// Its name.
    pub model: Option<String>,
    /// The cores this process may run on.
    pub cores: usize,
    /// How their frequency is chosen.
    pub governor: Option<String>,
}

/// What a process may use.
#[derive(Clone, Debug, Serialize)]
pub struct Limits {
    /// Open files of a table: before the limit was raised, and after.
    pub nofile: [u64; 2],
}

/// The settings worth a line.
const SYSCTLS: [&str; 6] = [
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_mem",
    "fs.nr_open",
    "fs.file-max",
];

impl Machine {
    /// This machine, where the limit of open files is `nofile`.
    pub fn here(nofile: [u64; 2]) -> Self {
        let meminfo = proc::read("meminfo").unwrap_or_default();
        Self {
            role: "generator",
            kernel: kernel(),
            cpu: Cpu {
                model: proc::read("cpuinfo").and_then(|text| proc::cpu_model(&text)),
                cores: cores(),
                governor: governor(),
            },
            mem_bytes: proc::kilobytes(&meminfo, "MemTotal"),
            mem_available_bytes: proc::kilobytes(&meminfo, "MemAvailable"),
            sysctl: SYSCTLS.iter().filter_map(|name| Some((*name, sysctl(name)?))).collect(),
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

fn sysctl(name: &str) -> Option<String> {
    let text = proc::read(&format!("sys/{}", name.replace('.', "/")))?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn governor() -> Option<String> {
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
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
