//! Looks at this machine: the one place where `/proc` and `/sys` are read for a check. It never
//! needs to be root; what only root may read stays unknown.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use corecast::reactor::fds::Limit;

use super::facts::{
    Clock, Conntrack, Facts, Files, Memory, Nic, Place, Ports, Processor, Queues, Quota, Server,
};
use super::need::Route;
use super::{diag, groups};
use crate::host::{self, sys, sysctl};
use crate::{cost, proc};

/// Processes that hand the connections of containers on.
const RELAYS: [&str; 4] = ["docker-proxy", "rootlesskit", "slirp4netns", "pasta"];

/// Processes that keep the time of day.
const TIMEKEEPERS: [&str; 4] = ["chronyd", "ntpd", "ntpsec", "openntpd"];

/// What is known of this machine, where the limit of open files is `files`, with a view to a server
/// at `server`. Nobody is asked but the kernel.
pub fn look(server: Option<SocketAddr>, files: Limit) -> Facts {
    let route = server.map_or(Route::Network, |server| Route::to(server.ip()));
    let processes = processes();
    let runs = |names: &[&str]| processes.iter().find(|it| names.contains(&it.as_str())).cloned();
    let here = server.filter(|_| route.is_here());
    Facts {
        files: open_files(files),
        ports: ports(),
        queues: Queues {
            somaxconn: number("net.core.somaxconn"),
            syn_backlog: number("net.ipv4.tcp_max_syn_backlog"),
            server: here.and_then(|server| diag::queues(server.port())),
        },
        conntrack: conntrack(),
        memory: memory(),
        processor: processor(),
        clock: Clock {
            source: sys("devices/system/clocksource/clocksource0/current_clocksource"),
            kept_by: timesyncd().or_else(|| runs(&TIMEKEEPERS)),
        },
        nics: server.filter(|_| route == Route::Network).map(|server| nics(server.ip())),
        kernel: sysctl("kernel.osrelease").and_then(|release| proc::version(&release)),
        place: Place { container: container(), relay: runs(&RELAYS) },
        server: Server::default(),
    }
}

/// A setting of the kernel that is one number.
fn number(name: &str) -> Option<u64> {
    sysctl(name)?.parse().ok()
}

fn open_files(files: Limit) -> Files {
    Files {
        soft: Some(files.before),
        hard: Some(files.now),
        nr_open: number("fs.nr_open"),
        file_max: number("fs.file-max"),
        open: sysctl("fs.file-nr").and_then(|text| text.split(' ').next()?.parse().ok()),
    }
}

fn ports() -> Ports {
    let range = sysctl("net.ipv4.ip_local_port_range").and_then(|text| {
        let (first, last) = text.split_once(' ')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    });
    let reserved = proc::read("sys/net/ipv4/ip_local_reserved_ports");
    let is_inside = |port: &u16| range.is_some_and(|(first, last)| (first..=last).contains(port));
    Ports {
        range,
        reserved: reserved
            .map(|list| proc::numbers(&list).iter().filter(|port| is_inside(port)).count() as u64),
        time_wait: proc::read("net/sockstat").and_then(|text| proc::time_wait(&text)),
        tw_reuse: number("net.ipv4.tcp_tw_reuse"),
    }
}

/// A firewall may be built in without keeping anything, so a connection is made to see whether it
/// is kept.
fn conntrack() -> Option<Conntrack> {
    let [max, count] = ["nf_conntrack_max", "nf_conntrack_count"]
        .map(|name| number(&format!("net.netfilter.{name}")));
    let Some(max) = max else {
        return Path::new("/proc/sys/net").is_dir().then_some(Conntrack::Absent);
    };
    let count = count?;
    if count == 0 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let _connection = TcpStream::connect(listener.local_addr().ok()?).ok()?;
        if number("net.netfilter.nf_conntrack_count")? == 0 {
            return Some(Conntrack::Idle);
        }
    }
    Some(Conntrack::Active { max, count })
}

fn memory() -> Memory {
    let meminfo = proc::read("meminfo");
    let of = |name| proc::kilobytes(meminfo.as_ref()?, name);
    let page = cost::page_bytes();
    let tcp = sysctl("net.ipv4.tcp_mem").and_then(|text| {
        let mut pages = text.split(' ').skip(1).map_while(|pages| pages.parse::<u64>().ok());
        Some((pages.next()? * page, pages.next()? * page))
    });
    let available = of("MemAvailable").map(|machine| match groups::memory_available() {
        Some(Quota::Of(group)) => machine.min(group),
        _ => machine,
    });
    Memory { available, swap: of("SwapTotal"), tcp }
}

fn processor() -> Processor {
    let online = sys("devices/system/cpu/online");
    let steal = proc::read("stat").and_then(|text| proc::steal_ticks(&text));
    Processor {
        online: online.map(|list| proc::numbers(&list).len() as u64),
        allowed: Some(host::cores() as u64),
        quota: groups::cpu_percent(),
        tasks_max: groups::tasks_max(),
        smt: sys("devices/system/cpu/smt/active").map(|text| text == "1"),
        governor: sys("devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        steal_permille: steal.and_then(|(stolen, all)| (stolen * 1_000).checked_div(all)),
    }
}

/// systemd leaves a mark when its own keeper of time has found a server.
fn timesyncd() -> Option<String> {
    let mark = Path::new("/run/systemd/timesync/synchronized");
    mark.exists().then(|| "systemd-timesyncd".to_owned())
}

fn container() -> Option<String> {
    let marks = [("/.dockerenv", "docker"), ("/run/.containerenv", "podman")];
    let mark = marks.iter().find(|(path, _)| Path::new(path).exists()).map(|(_, name)| *name);
    let groups = proc::read("1/cgroup").unwrap_or_default();
    let named = ["docker", "kubepods", "lxc"].into_iter().find(|name| groups.contains(name));
    mark.or(named).map(str::to_owned)
}

/// The names of all processes that we may see.
fn processes() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let name = |entry: fs::DirEntry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some(proc::read(&format!("{id}/comm"))?.trim().to_owned())
    };
    entries.flatten().filter_map(name).collect()
}

/// The interfaces that packets to `server` leave by: the one that the routes name, or for IPv6 all
/// that are up.
fn nics(server: IpAddr) -> Vec<Nic> {
    let routes = proc::read("net/route").unwrap_or_default();
    let names = match server {
        IpAddr::V4(server) => proc::route(&routes, server).into_iter().collect(),
        IpAddr::V6(_) => up(),
    };
    names.into_iter().map(nic).collect()
}

fn up() -> Vec<String> {
    let is_up =
        |name: &str| sys(&format!("class/net/{name}/operstate")).is_some_and(|it| it == "up");
    host::nic_names().into_iter().filter(|name| is_up(name)).collect()
}

fn nic(name: String) -> Nic {
    let folder = format!("/sys/class/net/{name}/queues");
    let entries = fs::read_dir(folder).map(Iterator::flatten);
    let entries = entries.into_iter().flatten().filter_map(|it| it.file_name().into_string().ok());
    let queues: Vec<_> = entries.filter(|queue| queue.starts_with("rx-")).collect();
    let spread = |queue: &String| {
        let mask = sys(&format!("class/net/{name}/queues/{queue}/rps_cpus"))?;
        Some(u64::from(
            mask.chars().filter_map(|it| it.to_digit(16)).map(u32::count_ones).sum::<u32>(),
        ))
    };
    let spread_over = queues.iter().filter_map(spread).max().unwrap_or(0);
    Nic { queues: queues.len() as u64, spread_over, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn nothing_that_anybody_may_read_stays_unknown() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        let facts = look(Some(server), Limit { before: 1_024, now: 4_096 });
        assert_eq!((facts.files.soft, facts.files.hard), (Some(1_024), Some(4_096)));
        assert!(facts.files.nr_open.is_some() && facts.files.file_max.is_some());
        assert!(facts.ports.range.is_some() && facts.ports.time_wait.is_some());
        assert!(facts.queues.server.is_some(), "a listener of this very process");
        assert!(facts.conntrack.is_some() && facts.memory.available.is_some());
        assert!(facts.memory.tcp.is_some() && facts.processor.online >= Some(1));
        assert!(facts.kernel.is_some());
        assert_eq!(facts.nics, None, "no interface leads to loopback");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_server_elsewhere_is_reached_by_an_interface_and_has_queues_of_its_own() {
        let facts = look(Some("192.0.2.1:443".parse().unwrap()), Limit { before: 1, now: 1 });
        assert_eq!(facts.queues.server, None);
        assert!(facts.nics.is_some());
    }
}
