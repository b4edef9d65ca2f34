//! What connections cost: memory and CPU of a process, memory of the kernel.
//!
//! Nothing here is charged to a connection as such. A [`Sample`] is taken before the first
//! connection and others while all are held, and the difference is shared out.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::proc;

/// The auxiliary vector's number for the size of a page, and for the clock ticks of a second.
const AT_PAGESZ: usize = 6;
const AT_CLKTCK: usize = 17;

/// What was used at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Memory of the server, if it runs here.
    pub server: Option<Memory>,
    /// Our own.
    pub generator: Option<Memory>,
    /// The kernel's.
    pub kernel: Option<Kernel>,
    /// CPU time of the server so far, in nanoseconds.
    pub server_cpu_ns: Option<u64>,
    /// Open files of the server.
    pub server_files: Option<u64>,
    /// CPU time of each of its threads so far.
    pub server_tasks: Vec<TaskCpu>,
    /// CPU time of each of our threads so far.
    pub generator_cpu: Vec<TaskCpu>,
    /// What a hypervisor took from the machine so far, and all there was, in ticks.
    pub steal: Option<(u64, u64)>,
}

impl Sample {
    /// What is used now, by the process `server` among others.
    pub fn take(server: Option<u32>) -> Self {
        let process = server.map(|pid| pid.to_string());
        Self {
            server: process.as_deref().and_then(Memory::of),
            generator: Memory::of("self"),
            kernel: Kernel::now(),
            server_cpu_ns: process.as_deref().and_then(cpu_ns),
            server_files: process.as_deref().and_then(open_files),
            server_tasks: process.as_deref().map(tasks).unwrap_or_default(),
            generator_cpu: tasks("self"),
            steal: proc::read("stat").and_then(|text| proc::steal_ticks(&text)),
        }
    }
}

/// Memory of a process that no other one shares, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Memory {
    /// Its pages, shared ones by share.
    pub pss_bytes: u64,
    /// Its own pages alone.
    pub private_bytes: u64,
}

impl Memory {
    /// The memory of the process with this number, or of `self`.
    pub fn of(process: &str) -> Option<Self> {
        let rollup = proc::read(&format!("{process}/smaps_rollup"))?;
        let clean = proc::kilobytes(&rollup, "Private_Clean")?;
        let dirty = proc::kilobytes(&rollup, "Private_Dirty")?;
        let pss_bytes = proc::kilobytes(&rollup, "Pss")?;
        Some(Self { pss_bytes, private_bytes: clean + dirty })
    }
}

/// Memory of the kernel that grows with connections, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Kernel {
    /// Sockets, files and all other small objects.
    pub slab_bytes: u64,
    /// Buffers of TCP.
    pub tcp_bytes: u64,
}

impl Kernel {
    /// What it is now.
    pub fn now() -> Option<Self> {
        let pages = proc::tcp_pages(&proc::read("net/sockstat")?)?;
        Some(Self {
            slab_bytes: proc::kilobytes(&proc::read("meminfo")?, "Slab")?,
            tcp_bytes: pages * proc::auxiliary(AT_PAGESZ)?,
        })
    }

    /// All of it.
    pub const fn bytes(self) -> u64 {
        self.slab_bytes + self.tcp_bytes
    }
}

/// What is looked at every second: what costs little to read, as it stands or as it has counted so
/// far.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    /// CPU time of this process.
    pub self_cpu_ns: Option<u64>,
    /// Its memory, shared pages counted whole.
    pub self_rss: Option<u64>,
    /// CPU time of the server.
    pub server_cpu_ns: Option<u64>,
    /// Its memory, shared pages counted whole.
    pub server_rss: Option<u64>,
    /// The kernel's memory.
    pub kernel: Option<Kernel>,
    /// Times that a queue of accepted connections was full.
    pub listen_overflows: Option<u64>,
    /// Connections that were dropped for that and other reasons.
    pub listen_drops: Option<u64>,
    /// Connections that the kernel gave up for lack of memory.
    pub aborts_on_memory: Option<u64>,
    /// Segments of TCP that were sent again.
    pub retransmits: Option<u64>,
    /// Packets that found their core's queue full.
    pub softnet_drops: Option<u64>,
    /// Connections that the firewall follows.
    pub conntrack: Option<u64>,
    /// What a hypervisor took, and all there was, in ticks.
    pub steal: Option<(u64, u64)>,
    /// Busy and all ticks of each core.
    pub cores: Vec<(u64, u64)>,
}

impl Pulse {
    /// How it stands now, with the process `server` if that is known.
    pub fn take(server: Option<u32>) -> Self {
        let server = server.map(|pid| pid.to_string());
        let stat = proc::read("stat").unwrap_or_default();
        let netstat = proc::read("net/netstat").unwrap_or_default();
        let extended = |name| proc::counter(&netstat, "TcpExt", name);
        let conntrack = proc::read("sys/net/netfilter/nf_conntrack_count");
        Self {
            self_cpu_ns: cpu_ns("self"),
            self_rss: resident("self"),
            server_cpu_ns: server.as_deref().and_then(cpu_ns),
            server_rss: server.as_deref().and_then(resident),
            kernel: Kernel::now(),
            listen_overflows: extended("ListenOverflows"),
            listen_drops: extended("ListenDrops"),
            aborts_on_memory: extended("TCPAbortOnMemory"),
            retransmits: proc::read("net/snmp")
                .and_then(|text| proc::counter(&text, "Tcp", "RetransSegs")),
            softnet_drops: proc::read("net/softnet_stat")
                .and_then(|text| proc::softnet_drops(&text)),
            conntrack: conntrack.and_then(|text| text.trim().parse().ok()),
            steal: proc::steal_ticks(&stat),
            cores: proc::core_ticks(&stat),
        }
    }
}

/// How much more there is; nothing if it has shrunk.
pub fn grown(from: Option<u64>, to: Option<u64>) -> Option<u64> {
    Some(to?.saturating_sub(from?))
}

/// Memory of a process, shared pages counted whole, in bytes.
fn resident(process: &str) -> Option<u64> {
    let pages = proc::resident_pages(&proc::read(&format!("{process}/statm"))?)?;
    Some(pages * proc::auxiliary(AT_PAGESZ)?)
}

/// CPU time of one thread.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TaskCpu {
    /// The thread's name.
    pub name: String,
    /// Its number, which no other thread has at the time.
    pub id: u32,
    /// How long it has run, in nanoseconds.
    pub ns: u64,
}

/// CPU time of each thread of a process.
pub fn tasks(process: &str) -> Vec<TaskCpu> {
    let Ok(entries) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let tick_ns = tick_ns();
    let mut tasks: Vec<_> = entries
        .filter_map(|entry| {
            let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = proc::read(&format!("{process}/task/{id}/stat"))?;
            let (name, ticks) = proc::task_ticks(&stat)?;
            Some(TaskCpu { name: name.to_owned(), id, ns: ticks * tick_ns })
        })
        .collect();
    tasks.sort_by_key(|task| task.id);
    tasks
}

/// How many files a process has open, in all its tables.
///
/// The kernel tells it as the size of a directory (Linux 6.2), so that nothing is listed. Threads
/// with tables of their own have different numbers of files; where all have the same, it is one.
fn open_files(process: &str) -> Option<u64> {
    let tables = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let size = |entry: std::io::Result<fs::DirEntry>| {
        Some(fs::metadata(entry.ok()?.path().join("fd")).ok()?.len())
    };
    let sizes: Vec<_> = tables.filter_map(size).collect();
    let (least, most) = (*sizes.iter().min()?, *sizes.iter().max()?);
    let files = if least == most { most } else { sizes.iter().sum() };
    (files > 0).then_some(files)
}

/// CPU time of the calling thread, to the nanosecond.
pub fn own_cpu_ns() -> Option<u64> {
    proc::read("thread-self/schedstat")?.split_whitespace().next()?.parse().ok()
}

/// CPU time of a process, threads that have ended included.
fn cpu_ns(process: &str) -> Option<u64> {
    let stat = proc::read(&format!("{process}/stat"))?;
    let (_, ticks) = proc::task_ticks(&stat)?;
    Some(ticks * tick_ns())
}

/// How large a page of memory is.
pub fn page_bytes() -> u64 {
    proc::auxiliary(AT_PAGESZ).unwrap_or(4_096)
}

/// How long a tick of the clock is in which the system counts CPU time.
fn tick_ns() -> u64 {
    1_000_000_000 / proc::auxiliary(AT_CLKTCK).filter(|hz| *hz != 0).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_and_threads() {
        let sample = Sample::take(Some(std::process::id()));
        let memory = sample.server.unwrap();
        assert!(memory.private_bytes > 0 && memory.private_bytes <= memory.pss_bytes);
        assert!(sample.kernel.unwrap().slab_bytes > 0);
        assert!(sample.generator_cpu.iter().any(|task| task.id == std::process::id()));
        assert!(sample.server_cpu_ns.is_some() && sample.steal.is_some());
    }

    #[test]
    fn a_process_that_is_not_there_is_unknown() {
        let sample = Sample::take(Some(u32::MAX));
        assert_eq!((sample.server, sample.server_cpu_ns), (None, None));
    }
}
