//! Every rule on machines that are not at hand: one thing is wrong with each, and that is found.

use super::facts::{Conntrack, Nic, Quota};
use super::finding::{Amount, Mend};
use super::need::{Choice, Route};
use super::*;

/// 100,000 echoing connections over TLS to a server on another machine.
const NEED: Need = Need {
    conns: 100_000,
    files: 16_800,
    drivers: 6,
    in_flight: 512,
    route: Route::Network,
    is_own_server: false,
    choice: Choice::Ours { addresses: 2, ports: 129_024 },
    is_secure: true,
    echoes: true,
};

/// The same to the server brought along.
const OWN: Need = Need { route: Route::Loopback, is_own_server: true, ..NEED };

/// A machine and a server that lack nothing.
fn good() -> Facts {
    let mut facts = Facts::default();
    facts.files.soft = Some(20_000);
    facts.files.hard = Some(20_000);
    facts.files.nr_open = Some(1 << 20);
    facts.files.file_max = Some(1 << 20);
    facts.files.open = Some(1_000);
    facts.ports.range = Some((32_768, 60_999));
    facts.ports.reserved = Some(0);
    facts.ports.time_wait = Some(5);
    facts.ports.tw_reuse = Some(2);
    facts.queues.somaxconn = Some(4_096);
    facts.queues.syn_backlog = Some(2_048);
    facts.queues.server = Some(8_192);
    facts.conntrack = Some(Conntrack::Absent);
    facts.memory.available = Some(24 << 30);
    facts.memory.swap = Some(0);
    facts.memory.tcp = Some((2 << 30, 3 << 30));
    facts.processor.online = Some(2);
    facts.processor.allowed = Some(2);
    facts.processor.quota = Some(Quota::Unlimited);
    facts.processor.tasks_max = Some(Quota::Unlimited);
    facts.processor.smt = Some(false);
    facts.processor.governor = Some("performance".to_owned());
    facts.processor.steal_permille = Some(1);
    facts.clock.source = Some("tsc".to_owned());
    facts.clock.kept_by = Some("chronyd".to_owned());
    facts.nics = Some(vec![Nic { name: "eth0".to_owned(), queues: 2, spread_over: 0 }]);
    facts.kernel = Some((6, 8));
    facts.server.reached = Some(Ok("192.0.2.1:443".parse().unwrap()));
    facts.server.secured = Some(Ok("TLS 1.3".to_owned()));
    facts.server.resumes = Some(true);
    facts.server.upgraded = Some(Ok(()));
    facts.server.echoes = Some(true);
    facts
}

/// What is not good, by name, where `spoil` has been at work on a machine that was.
fn wrong(need: &Need, spoil: impl FnOnce(&mut Facts)) -> Vec<(&'static str, Level)> {
    let mut facts = good();
    spoil(&mut facts);
    let findings = findings(&facts, need).into_iter();
    findings.filter(|it| it.level != Level::Ok).map(|it| (it.name, it.level)).collect()
}

/// The command that mends the finding of that name.
fn mend(need: &Need, name: &str, spoil: impl FnOnce(&mut Facts)) -> Mend {
    let mut facts = good();
    spoil(&mut facts);
    let mut findings = findings(&facts, need).into_iter();
    findings.find(|it| it.name == name).unwrap().mend.unwrap()
}

#[test]
fn a_machine_that_lacks_nothing_is_told_so() {
    assert_eq!(wrong(&OWN, |_| {}), []);
    // Settings of another machine cannot be seen from here.
    let there = wrong(&NEED, |facts| facts.queues.server = None);
    let names: Vec<_> = there.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", "the server's queue"]);
    assert!(there.iter().all(|(_, level)| *level == Level::Unknown));
}

#[test]
fn what_could_not_be_read_is_unknown_and_never_good() {
    let nothing = findings(&Facts::default(), &Need { choice: Choice::Kernel, ..NEED });
    // What was decided on the command line is known without looking.
    let known = ["way to the server", "container"];
    for finding in nothing {
        let expected = if known.contains(&finding.name) { Level::Ok } else { Level::Unknown };
        assert_eq!(finding.level, expected, "{}", finding.name);
    }
}

/// One thing that may be wrong, and the command that mends it.
type Row = (&'static str, Level, fn(&mut Facts), &'static str);

/// Each is the only thing that is found, with its command.
fn are_found(rows: &[Row]) {
    for (name, level, spoil, command) in rows {
        assert_eq!(wrong(&OWN, spoil), [(*name, *level)], "{name}");
        assert_eq!(mend(&OWN, name, spoil).command, *command, "{name}");
    }
}

#[test]
fn what_connections_use_up_is_found_with_what_mends_it() {
    are_found(&[
        (
            "open files (hard limit)",
            Level::Fail,
            |facts| (facts.files.hard, facts.files.soft) = (Some(1_024), Some(20_000)),
            "prlimit --pid $$ --nofile=16800:16800",
        ),
        (
            "fs.nr_open",
            Level::Fail,
            |it| it.files.nr_open = Some(9_999),
            "sysctl -w fs.nr_open=32768",
        ),
        (
            "fs.file-max",
            Level::Fail,
            |it| it.files.file_max = Some(100_000),
            "sysctl -w fs.file-max=262144",
        ),
        (
            "cgroup pids.max",
            Level::Fail,
            |it| it.processor.tasks_max = Some(Quota::Of(10)),
            "echo max > /sys/fs/cgroup/pids.max",
        ),
        ("swap", Level::Warn, |it| it.memory.swap = Some(1 << 30), "swapoff -a"),
        (
            "sockets in TIME_WAIT",
            Level::Warn,
            |it| it.ports.time_wait = Some(40_000),
            "sysctl -w net.ipv4.tcp_tw_reuse=1",
        ),
    ]);
}

#[test]
fn what_is_in_the_way_or_blurs_figures_is_found_with_what_mends_it() {
    are_found(&[
        (
            "net.core.somaxconn",
            Level::Warn,
            |it| it.queues.somaxconn = Some(128),
            "sysctl -w net.core.somaxconn=512",
        ),
        (
            "net.ipv4.tcp_max_syn_backlog",
            Level::Warn,
            |it| it.queues.syn_backlog = Some(128),
            "sysctl -w net.ipv4.tcp_max_syn_backlog=512",
        ),
        (
            "nf_conntrack",
            Level::Fail,
            |it| it.conntrack = Some(Conntrack::Active { max: 65_536, count: 12 }),
            "sysctl -w net.netfilter.nf_conntrack_max=131072",
        ),
        (
            "cores allowed",
            Level::Warn,
            |it| it.processor.online = Some(4),
            "taskset -a -p -c 0-3 $$",
        ),
        (
            "CPU quota",
            Level::Warn,
            |it| it.processor.quota = Some(Quota::Of(150)),
            "echo max > /sys/fs/cgroup/cpu.max   # of our control group",
        ),
        (
            "SMT",
            Level::Warn,
            |it| it.processor.smt = Some(true),
            "echo off > /sys/devices/system/cpu/smt/control",
        ),
        (
            "clocksource",
            Level::Warn,
            |it| it.clock.source = Some("hpet".to_owned()),
            "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource",
        ),
    ]);
}

#[test]
fn what_has_no_one_command_is_found_too() {
    type Spoil = fn(&mut Facts);
    let rows: [(&str, Level, Spoil); 12] = [
        ("free memory", Level::Fail, |it| it.memory.available = Some(1 << 30)),
        ("net.ipv4.tcp_mem", Level::Warn, |it| it.memory.tcp = Some((1 << 20, 1 << 21))),
        ("CPU governor", Level::Warn, |it| it.processor.governor = Some("powersave".to_owned())),
        ("CPU steal", Level::Warn, |it| it.processor.steal_permille = Some(21)),
        ("time of day kept by", Level::Unknown, |it| it.clock.kept_by = None),
        ("kernel", Level::Warn, |it| it.kernel = Some((3, 2))),
        ("the server's queue", Level::Warn, |it| it.queues.server = Some(128)),
        ("server reachable", Level::Fail, |it| it.server.reached = Some(Err("refused".to_owned()))),
        ("certificate", Level::Fail, |it| it.server.secured = Some(Err("expired".to_owned()))),
        ("TLS resumption", Level::Warn, |it| it.server.resumes = Some(false)),
        ("one message comes back", Level::Fail, |it| it.server.echoes = Some(false)),
        ("container", Level::Warn, |it| it.place.container = Some("docker".to_owned())),
    ];
    for (name, level, spoil) in rows {
        let found = wrong(&OWN, spoil);
        assert!(found.contains(&(name, level)), "{name}: {found:?}");
    }
}

#[test]
fn ports_of_the_kernels_choice_are_counted_without_the_reserved_ones() {
    let need = Need { choice: Choice::Kernel, conns: 28_000, ..NEED };
    let few = |facts: &mut Facts| facts.ports.reserved = Some(300);
    assert!(!wrong(&need, |_| {}).iter().any(|(name, _)| *name == "source ports"));
    assert!(wrong(&need, few).contains(&("source ports", Level::Fail)));
    let command = mend(&need, "source ports", few).command;
    assert_eq!(command, "sysctl -w net.ipv4.ip_local_port_range='1024 65535'");
    // What no range can give takes further addresses, which only their owner can name.
    let many = mend(&Need { choice: Choice::Kernel, ..NEED }, "source ports", |_| {});
    assert!(many.is_choice && many.command.contains("until there are 2"), "{}", many.command);
    let ours = Need { choice: Choice::Ours { addresses: 1, ports: 64_512 }, ..NEED };
    assert!(wrong(&ours, |_| {}).contains(&("source ports", Level::Fail)));
}

#[test]
fn a_firewall_that_keeps_nothing_is_no_obstacle() {
    let idle = |facts: &mut Facts| facts.conntrack = Some(Conntrack::Idle);
    assert_eq!(wrong(&OWN, idle), []);
}

#[test]
fn an_interface_with_one_queue_is_a_bottleneck_unless_its_packets_are_spread() {
    let nic = |queues, spread_over| {
        move |facts: &mut Facts| {
            facts.nics = Some(vec![Nic { name: "eth0".to_owned(), queues, spread_over }]);
        }
    };
    let name = "interrupts of the interface";
    assert!(wrong(&NEED, nic(1, 0)).contains(&(name, Level::Warn)));
    assert!(!wrong(&NEED, nic(1, 2)).iter().any(|(it, _)| *it == name));
    let command = mend(&NEED, name, nic(1, 0)).command;
    assert!(command.contains("/sys/class/net/eth0/queues/") && command.contains("echo 3 >"));
    assert!(!wrong(&OWN, nic(1, 0)).iter().any(|(it, _)| *it == name), "loopback has none");
}

#[test]
fn who_answers_in_the_servers_place_is_told() {
    let gate = |facts: &mut Facts| facts.server.between = Some("server: nginx".to_owned());
    assert!(wrong(&NEED, gate).contains(&("proxy in between", Level::Warn)));
    let relay = |facts: &mut Facts| facts.place.relay = Some("docker-proxy".to_owned());
    let here = Need { is_own_server: false, ..OWN };
    assert!(wrong(&here, relay).contains(&("proxy in between", Level::Warn)));
    assert_eq!(wrong(&OWN, relay), [], "our own server is behind nobody");
}

#[test]
fn an_echo_is_needed_only_by_who_wants_one() {
    let mute = |facts: &mut Facts| facts.server.echoes = Some(false);
    assert_eq!(wrong(&Need { echoes: false, ..OWN }, mute), []);
}

#[test]
fn memory_is_that_of_both_ends_where_both_are_here() {
    let far = Need { route: Route::Network, is_own_server: false, ..OWN };
    assert!(OWN.bytes() > 2 * far.bytes() - 100_000 * 2_500);
    assert!(Need { is_secure: false, ..OWN }.bytes() < OWN.bytes());
    let tight = |facts: &mut Facts| facts.memory.available = Some(OWN.bytes() + 1);
    assert_eq!(wrong(&OWN, tight), [("free memory", Level::Warn)]);
}

#[test]
fn a_run_is_refused_for_what_is_sure_to_end_it_and_nothing_less() {
    assert_eq!(lacking(&good(), &OWN), None);
    let mut facts = good();
    facts.memory.swap = Some(1 << 30);
    facts.processor.governor = Some("powersave".to_owned());
    facts.conntrack = None;
    assert_eq!(lacking(&facts, &OWN), None, "a warning, or what nobody knows, is no reason");
    facts.files.file_max = Some(150_000);
    let lack = lacking(&facts, &OWN).unwrap();
    assert_eq!((lack.level, lack.found.clone()), (Level::Fail, Some(Amount::Count(150_000))));
    assert!(lack.sentence().ends_with("(as root: sysctl -w fs.file-max=262144)"));
}
