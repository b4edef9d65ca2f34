//! A generator that is stopped, slowed or ended from outside: what it says then.

#![cfg(target_os = "linux")]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "proof/late.rs"]
#[allow(dead_code)] // other tests use the rest
mod late;
#[allow(dead_code)] // other tests use more of it
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use late::stall;
use support::{Run, Running, echo, is_gone, is_sound, server};

/// It is invalid, and says that it is because its loop came round late.
fn is_invalid(done: &Run) {
    assert_eq!(done.exit, 4, "{}\n{:#}", done.complaint, done.json["validity"]);
    assert_eq!(done.json["validity"]["valid"], false);
    let reasons = done.json["validity"]["reasons"].to_string();
    assert!(reasons.contains("loop lag p99 of "), "{reasons}");
    assert!(done.json["verdict"]["text"].as_str().unwrap().starts_with("INVALID"));
}

#[test]
fn a_generator_that_was_stopped_for_300_ms_says_so() {
    let line = "--conns 10 --scenario echo --rate 50/s --hold 4s --plain --max-self-lag 100ms";
    let running = Running::until("hold", line);
    running.signal("-STOP");
    stall(Duration::from_millis(300));
    running.signal("-CONT");
    let done = running.end();
    is_invalid(&done);
    let lag = done.json["validity"]["lag_max_ns"].as_u64().unwrap();
    assert!(lag >= 250_000_000, "{lag}");
}

/// A control group of our own, which lets its processes have little of a core.
struct Group(PathBuf);

impl Group {
    /// 5 ms of CPU in each 100 ms; `None` where that may not be set.
    fn new() -> Option<Self> {
        let name = format!("loadgen-proof-{}", std::process::id());
        let older = Path::new("/sys/fs/cgroup/cpu").join(&name);
        let newer = Path::new("/sys/fs/cgroup").join(&name);
        let set = |group: &Path, file: &str, value: &str| fs::write(group.join(file), value);
        if Path::new("/sys/fs/cgroup/cpu").is_dir() {
            fs::create_dir(&older).ok()?;
            let group = Self(older);
            set(&group.0, "cpu.cfs_period_us", "100000").ok()?;
            set(&group.0, "cpu.cfs_quota_us", "5000").ok()?;
            return Some(group);
        }
        fs::create_dir(&newer).ok()?;
        let group = Self(newer);
        set(&group.0, "cpu.max", "5000 100000").ok()?;
        Some(group)
    }

    /// Puts a process into it, if that may be done.
    fn take(&self, process: u32) -> Option<()> {
        fs::write(self.0.join("cgroup.procs"), process.to_string()).ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It can be removed once its last process has ended.
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_generator_without_cpu_says_so() {
    let Some(group) = Group::new() else {
        eprintln!("SKIPPED: no control group with a quota of CPU may be made here");
        return;
    };
    let url = server(|_, message, out| echo(message, out));
    let line = "--conns 20 --scenario echo --rate 100/s --hold 2s --drain 30s";
    let running = Running::until("hold", &format!("{line} --max-self-lag 20ms {url}"));
    if group.take(running.child.id()).is_none() {
        eprintln!("SKIPPED: no process may be put into a control group here");
        running.signal("-INT");
        running.end();
        return;
    }
    is_invalid(&running.end());
}

/// What is left of a run that was interrupted while it did `stage`.
fn interrupted(stage: &str, line: &str, prepare: impl FnOnce(&mut Running)) -> Run {
    let mut running = Running::until(stage, line);
    prepare(&mut running);
    let server = running.server;
    running.signal("-INT");
    let done = running.end();
    assert_eq!(done.exit, 6, "{stage}: {}", done.complaint);
    is_sound(&done.json);
    assert!(is_gone(server), "{stage}: its server lives on");
    done
}

#[test]
fn an_interrupt_of_any_phase_leaves_a_partial_result_and_no_server() {
    let done = interrupted("ramp", "--conns 1000 --ramp 1/s --plain", |_| {});
    assert_eq!(done.json["accounting"]["held"], 0);
    let echoes = "--conns 20 --scenario echo --rate 20/s";
    let done = interrupted("warmup", &format!("{echoes} --warmup 1h"), |_| {});
    assert_eq!(done.json["accounting"]["held"], 20);
    let done = interrupted("hold", &format!("{echoes} --hold 1h"), |_| {});
    assert_eq!(done.json["accounting"]["closed"]["ours"], 20);
}

#[test]
fn an_interrupt_of_the_drain_ends_even_a_server_that_stands_still() {
    let line = "--conns 20 --scenario echo --rate 20/s --hold 1s --drain 1h";
    let done = interrupted("hold", line, |running| {
        // Its answers are waited for until they come, which they never do.
        let server = child(running.child.id()).to_string();
        assert!(Command::new("kill").args(["-STOP", &server]).status().unwrap().success());
        running.wait_for("drain");
    });
    let delivery = &done.json["delivery"];
    assert!(delivery["published"].as_u64() > delivery["received"].as_u64(), "{delivery}");
}

/// The only child of a process.
fn child(process: u32) -> u32 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let children = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("children")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    });
    children.last().unwrap()
}
