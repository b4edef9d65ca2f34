//! Findings about what makes figures of time worth something: cores, clocks, the kernel.

use super::facts::{Facts, Quota};
use super::finding::{Amount, Finding, Level, Mend};
use super::need::{Choice, Need};

/// What a hypervisor may take, in thousandths.
const STEAL_PERMILLE_MAX: u64 = 20;

/// Clocks that are read without asking the kernel, or a hypervisor.
const FAST_CLOCKS: [&str; 3] = ["tsc", "kvm-clock", "arch_sys_counter"];

/// A kernel that connects from a given address without taking a port for itself.
const KERNEL_LATE_PORT: (u32, u32) = (4, 2);

/// A kernel whose listeners share a port, each with a queue of its own.
const KERNEL_SHARED_PORT: (u32, u32) = (3, 9);

/// A kernel that can be told which ports a socket may be given.
const KERNEL_PORT_RANGE: (u32, u32) = (6, 3);

/// How the frequency is chosen.
pub fn governor(facts: &Facts, _: &Need) -> Finding {
    let governor = facts.processor.governor.clone();
    let is_steady = |it: &String| it == "performance";
    let level = governor.as_ref().map(|it| if is_steady(it) { Level::Ok } else { Level::Warn });
    Finding::new("CPU governor", level, governor.map(Amount::Word))
        .needing("performance".into())
        .because("a frequency that follows the load makes light loads look slow")
        .mended(|| {
            Mend::by(
                "for core in /sys/devices/system/cpu/cpu[0-9]*; do echo performance > \
                 \"$core/cpufreq/scaling_governor\"; done",
            )
        })
}

/// Cores that share one.
pub fn smt(facts: &Facts, _: &Need) -> Finding {
    let smt = facts.processor.smt;
    let level = smt.map(|smt| if smt { Level::Warn } else { Level::Ok });
    let word = |smt| Amount::from(if smt { "on" } else { "off" });
    Finding::new("SMT", level, smt.map(word))
        .needing("off".into())
        .because("two logical cores that share one are each as fast as the other lets them be")
        .mended(|| Mend::by("echo off > /sys/devices/system/cpu/smt/control"))
}

/// Cores that this process may run on.
pub fn cpuset(facts: &Facts, _: &Need) -> Finding {
    let (online, allowed) = (facts.processor.online, facts.processor.allowed);
    let level = online.zip(allowed).map(
        |(online, allowed)| {
            if allowed >= online { Level::Ok } else { Level::Warn }
        },
    );
    let finding = Finding::new("cores allowed", level, allowed.map(Amount::Count));
    Finding { needed: online.map(Amount::Count), ..finding }
        .because("of those that are there; a set of cores keeps the others from us")
        .mended(|| {
            let last = online.unwrap_or(1).saturating_sub(1);
            Mend::by(format!("taskset -a -p -c 0-{last} $$"))
        })
}

/// What share of the cores the control group lets us have.
pub fn quota(facts: &Facts, _: &Need) -> Finding {
    let needed = facts.processor.allowed.unwrap_or(1) * 100;
    let quota = facts.processor.quota;
    let level = quota.map(|quota| match quota {
        Quota::Of(percent) if percent < needed => Level::Warn,
        _ => Level::Ok,
    });
    let found = quota.map(|quota| match quota {
        Quota::Unlimited => Amount::from("no limit"),
        Quota::Of(percent) => Amount::Word(format!("{percent} %")),
    });
    Finding::new("CPU quota", level, found)
        .needing(Amount::Word(format!("{needed} %")))
        .because("who has used up its quota stands still for the rest of each tenth of a second")
        .mended(|| Mend::by_choice("echo max > /sys/fs/cgroup/cpu.max   # of our control group"))
}

/// What a hypervisor took.
pub fn steal(facts: &Facts, _: &Need) -> Finding {
    let steal = facts.processor.steal_permille;
    let level = steal.map(|it| if it <= STEAL_PERMILLE_MAX { Level::Ok } else { Level::Warn });
    let percent = |permille| Amount::Word(format!("{}.{} %", permille / 10, permille % 10));
    Finding::new("CPU steal", level, steal.map(percent))
        .needing(Amount::Word(format!("{} % or less", STEAL_PERMILLE_MAX / 10)))
        .because("since this machine started; the hypervisor runs others on its cores")
        .mended(|| Mend::by_choice("vmstat 1   # and have the machine moved, or take a larger one"))
}

/// What the kernel reads the time from.
pub fn clock_source(facts: &Facts, _: &Need) -> Finding {
    let source = facts.clock.source.clone();
    let is_fast = |it: &String| FAST_CLOCKS.contains(&it.as_str());
    let level = source.as_ref().map(|it| if is_fast(it) { Level::Ok } else { Level::Warn });
    Finding::new("clocksource", level, source.map(Amount::Word))
        .needing("tsc".into())
        .because("the time is read twice for every message, and others take a system call each")
        .mended(|| {
            Mend::by("echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource")
        })
}

/// What keeps the time of day right.
pub fn time_of_day(facts: &Facts, _: &Need) -> Finding {
    let kept_by = facts.clock.kept_by.clone();
    let level = kept_by.as_ref().map(|_| Level::Ok);
    Finding::new("time of day kept by", level, kept_by.map(Amount::Word))
        .because("only dates in results need it; what is timed has a clock that nobody sets")
}

/// What the kernel can do.
pub fn kernel(facts: &Facts, need: &Need) -> Finding {
    let needed = if need.choice == Choice::Kernel { KERNEL_LATE_PORT } else { KERNEL_SHARED_PORT };
    let version = |(major, minor)| Amount::Word(format!("{major}.{minor}"));
    let level = facts.kernel.map(|it| if it >= needed { Level::Ok } else { Level::Warn });
    let has_ranges = facts.kernel.is_some_and(|it| it >= KERNEL_PORT_RANGE);
    let without = if has_ranges { "" } else { "; port ranges of sockets (6.3) are missing" };
    Finding::new("kernel", level, facts.kernel.map(version))
        .needing(version(needed))
        .because(format!("for ports that are chosen late, or shared listeners{without}"))
        .mended(|| Mend::by_choice("uname -r   # and boot a newer one"))
}
