//! Findings about what connections use up: files, memory, tasks.

use super::facts::{Facts, Quota};
use super::finding::{Amount, Finding, Level, Mend};
use super::need::{FILES_SPARE, Need};

/// Where a limit for logins is written.
const LIMITS_FILE: &str = "/etc/security/limits.d/90-loadgen.conf";

/// Memory of a connection in the kernel that counts against the buffers of TCP, once it is used.
const TCP_BYTES_PER_END: u64 = 3_000;

/// Threads of ours beside the drivers.
const TASKS_SPARE: u64 = 16;

/// The limit of open files that counts.
pub fn open_files(facts: &Facts, need: &Need) -> Finding {
    Finding::at_least("open files (hard limit)", need.files, facts.files.hard, Level::Fail)
        .because("every connection is a file, and even many drivers with a table each have too few")
        .mended(|| raise_files(need.files))
}

/// The limit that is raised without asking.
pub fn soft_files(facts: &Facts, need: &Need) -> Finding {
    let (soft, hard) = (facts.files.soft, facts.files.hard);
    let reaches = soft.zip(hard).map(|(soft, hard)| soft.max(hard));
    let finding = Finding::at_least("open files (soft limit)", need.files, reaches, Level::Warn)
        .because("a run raises it to the hard limit by itself")
        .mended(|| raise_files(need.files));
    Finding { found: soft.map(Amount::Count), ..finding }
}

/// How far the limit of open files can be raised.
pub fn nr_open(facts: &Facts, need: &Need) -> Finding {
    Finding::at_least("fs.nr_open", need.files, facts.files.nr_open, Level::Fail)
        .because("no limit of open files can be above it")
        .mended(|| Mend::sysctl("fs.nr_open", need.files.next_power_of_two()))
}

/// The open files of the whole machine.
pub fn file_max(facts: &Facts, need: &Need) -> Finding {
    let ours = need.conns * need.ends_here() + FILES_SPARE;
    let needed = ours + facts.files.open.unwrap_or(0);
    Finding::at_least("fs.file-max", needed, facts.files.file_max, Level::Fail)
        .because(format!(
            "{} ends of each connection are files of this machine, beside those open now",
            need.ends_here()
        ))
        .mended(|| Mend::sysctl("fs.file-max", needed.next_power_of_two()))
}

/// Threads that may be started.
pub fn tasks(facts: &Facts, need: &Need) -> Finding {
    let needed = need.drivers + TASKS_SPARE;
    let found = facts.processor.tasks_max;
    let most = found.map(|quota| if let Quota::Of(most) = quota { most } else { u64::MAX });
    let finding = Finding::at_least("cgroup pids.max", needed, most, Level::Fail)
        .because("every driver is a thread, and the control group limits those")
        .mended(|| Mend::by_choice("echo max > /sys/fs/cgroup/pids.max"));
    Finding { found: found.map(amount), ..finding }
}

/// Free memory.
pub fn memory(facts: &Facts, need: &Need) -> Finding {
    let (needed, available) = (need.bytes(), facts.memory.available);
    let level = available.map(|available| match available {
        _ if available < needed => Level::Fail,
        _ if available / 3 * 2 < needed => Level::Warn,
        _ => Level::Ok,
    });
    let server = if need.is_own_server { "the server's included" } else { "without the server's" };
    Finding::new("free memory", level, available.map(Amount::Bytes))
        .needing(Amount::Bytes(needed))
        .because(format!("for idle connections, {server}; messages need more"))
        .mended(|| {
            Mend::by_choice("sysctl -w vm.drop_caches=1; free -m   # and end what is not needed")
        })
}

/// Swapping makes measurements of memory and of time worthless.
pub fn swap(facts: &Facts, _: &Need) -> Finding {
    let level = facts.memory.swap.map(|swap| if swap == 0 { Level::Ok } else { Level::Warn });
    Finding::new("swap", level, facts.memory.swap.map(Amount::Bytes))
        .needing(Amount::Bytes(0))
        .because("what is swapped out is in no figure of memory, and stalls whoever needs it")
        .mended(|| Mend::by("swapoff -a"))
}

/// Buffers of TCP.
pub fn tcp_memory(facts: &Facts, need: &Need) -> Finding {
    let needed = need.conns * need.ends_here() * TCP_BYTES_PER_END;
    let level = facts.memory.tcp.map(
        |(pressure, _)| {
            if pressure >= needed { Level::Ok } else { Level::Warn }
        },
    );
    Finding::new("net.ipv4.tcp_mem", level, facts.memory.tcp.map(|(it, _)| Amount::Bytes(it)))
        .needing(Amount::Bytes(needed))
        .because("beyond it the kernel makes windows small and drops packets")
        .mended(|| {
            let page = 4_096;
            let [low, pressure, high] = [needed, needed * 5 / 4, needed * 3 / 2];
            let pages = [low, pressure, high].map(|bytes| bytes.div_ceil(page).to_string());
            Mend::sysctl("net.ipv4.tcp_mem", format!("'{}'", pages.join(" ")))
        })
}

/// Raises the limit of open files: of this shell at once, of every login by a script.
pub fn raise_files(files: u64) -> Mend {
    let lines = format!("* soft nofile {files}\\n* hard nofile {files}\\n");
    let lines = format!("{lines}root soft nofile {files}\\nroot hard nofile {files}\\n");
    Mend::by(format!("prlimit --pid $$ --nofile={files}:{files}"))
        .lastingly(format!("printf '{lines}' > {LIMITS_FILE}   # from the next login on"))
}

/// A limit that need not be there.
pub fn amount(quota: Quota) -> Amount {
    match quota {
        Quota::Unlimited => Amount::from("no limit"),
        Quota::Of(count) => Amount::Count(count),
    }
}
