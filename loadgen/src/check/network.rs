//! Findings about the way between the two ends: ports, queues, firewalls, interfaces.

use super::facts::{Conntrack, Facts, Nic};
use super::finding::{Amount, Finding, Level, Mend};
use super::need::{Choice, Need, Route};

/// All ports that may be used without privileges.
const PORTS_MAX: u64 = 64_512;

/// Ports that connections are made from.
pub fn ports(facts: &Facts, need: &Need) -> Finding {
    let name = "source ports";
    let finding = match need.choice {
        Choice::Ours { ports, .. } => Finding::at_least(name, need.conns, Some(ports), Level::Fail)
            .because("we choose the ports ourselves, of addresses of ours"),
        Choice::Kernel => {
            let found = usable(facts);
            Finding::at_least(name, need.conns, found, Level::Fail)
                .because("the kernel chooses them, of net.ipv4.ip_local_port_range")
        }
    };
    finding.mended(|| more_ports(need))
}

/// How many ports the kernel chooses from.
fn usable(facts: &Facts) -> Option<u64> {
    let (first, last) = facts.ports.range?;
    let all = u64::from(last.checked_sub(first)?) + 1;
    Some(all.saturating_sub(facts.ports.reserved.unwrap_or(0)))
}

fn more_ports(need: &Need) -> Mend {
    if need.choice == Choice::Kernel && need.conns <= PORTS_MAX {
        return Mend::sysctl("net.ipv4.ip_local_port_range", "'1024 65535'");
    }
    let addresses = need.conns.div_ceil(PORTS_MAX);
    Mend::by_choice(format!(
        "ip address add ADDRESS/PREFIX dev INTERFACE   # until there are {addresses}, then name \
         them: --source ADDRESS,ADDRESS"
    ))
}

/// Ports that nobody may use.
pub fn reserved_ports(facts: &Facts, need: &Need) -> Finding {
    let reserved = facts.ports.reserved;
    let has_room = |reserved: &u64| PORTS_MAX.saturating_sub(*reserved) >= PORTS_MAX / 2;
    let level = reserved.map(|it| if has_room(&it) { Level::Ok } else { Level::Warn });
    let whose = if need.choice == Choice::Kernel { "the kernel" } else { "we" };
    Finding::new("reserved ports", level, reserved.map(Amount::Count))
        .because(format!("{whose} leave out what net.ipv4.ip_local_reserved_ports names"))
        .mended(|| Mend::by_choice("sysctl -w net.ipv4.ip_local_reserved_ports="))
}

/// Ports that connections which have ended still hold.
pub fn time_wait(facts: &Facts, need: &Need) -> Finding {
    let ports = match need.choice {
        Choice::Ours { ports, .. } => Some(ports),
        Choice::Kernel => usable(facts),
    };
    let spare = ports.map_or(0, |ports| ports.saturating_sub(need.conns));
    let waiting = facts.ports.time_wait;
    let level = waiting.map(|it| if it <= spare { Level::Ok } else { Level::Warn });
    Finding::new("sockets in TIME_WAIT", level, waiting.map(Amount::Count))
        .because("each holds a port for a minute after its connection has ended; ours do not")
        .mended(|| match facts.ports.tw_reuse {
            Some(1) => Mend::by_choice("sleep 60"),
            _ => Mend::sysctl("net.ipv4.tcp_tw_reuse", 1),
        })
}

/// The longest queue that a server here may ask for.
pub fn somaxconn(facts: &Facts, need: &Need) -> Finding {
    queue("net.core.somaxconn", facts.queues.somaxconn, need)
}

/// How many handshakes of TCP a server here may have under way.
pub fn syn_backlog(facts: &Facts, need: &Need) -> Finding {
    queue("net.ipv4.tcp_max_syn_backlog", facts.queues.syn_backlog, need)
}

fn queue(name: &'static str, found: Option<u64>, need: &Need) -> Finding {
    let here = need.route.is_here();
    let finding = Finding::at_least(name, need.in_flight, found.filter(|_| here), Level::Warn);
    let why = if here {
        "so many connect at once; who finds the queue full tries again after a second".to_owned()
    } else {
        format!("the server's machine is another: look there (sysctl {name})")
    };
    finding.because(why).mended(|| Mend::sysctl(name, need.in_flight.next_power_of_two()))
}

/// The queue that the server has asked for.
pub fn server_queue(facts: &Facts, need: &Need) -> Finding {
    let finding =
        Finding::at_least("the server's queue", need.in_flight, facts.queues.server, Level::Warn);
    let why = match need.route {
        Route::Network => "the server's machine is another: look there (ss -ltn, Send-Q)",
        _ => "all its listeners together (ss -ltn, Send-Q): what it asked for, or somaxconn",
    };
    finding.because(why).mended(|| {
        Mend::by_choice(format!(
            "sysctl -w net.core.somaxconn={}   # and have the server listen with as long a queue",
            need.in_flight.next_power_of_two()
        ))
    })
}

/// The table in which a firewall keeps connections.
pub fn conntrack(facts: &Facts, need: &Need) -> Finding {
    let name = "nf_conntrack";
    match facts.conntrack {
        None => Finding::new(name, None, None).because("its table could not be read"),
        Some(Conntrack::Absent) => Finding::new(name, Some(Level::Ok), Some("not loaded".into()))
            .because("no firewall keeps connections here"),
        Some(Conntrack::Idle) => Finding::new(name, Some(Level::Ok), Some("loaded, unused".into()))
            .because("connections stand that are not in its table"),
        Some(Conntrack::Active { max, count }) => {
            let needed = need.conns + count;
            Finding::at_least(name, needed, Some(max), Level::Fail)
                .because("a firewall keeps every connection, and drops what its table cannot hold")
                .mended(|| {
                    Mend::sysctl("net.netfilter.nf_conntrack_max", needed.next_power_of_two())
                })
        }
    }
}

/// Whether what arrives is worked through by more than one core.
pub fn interfaces(facts: &Facts, need: &Need) -> Finding {
    let name = "interrupts of the interface";
    if need.route != Route::Network {
        return Finding::new(name, Some(Level::Ok), Some("loopback".into()))
            .because("no interface is between us and the server");
    }
    let Some(nics) = facts.nics.as_ref().filter(|nics| !nics.is_empty()) else {
        return Finding::new(name, None, None).because("the interface is not known");
    };
    let cores = facts.processor.online.unwrap_or(1);
    let reach = |nic: &Nic| nic.queues.max(nic.spread_over);
    let narrow = nics.iter().filter(|nic| reach(nic) < cores).min_by_key(|nic| reach(nic));
    let level = if narrow.is_some() { Level::Warn } else { Level::Ok };
    let least = nics.iter().map(reach).min().unwrap_or(0);
    let names: Vec<_> = nics.iter().map(|nic| nic.name.as_str()).collect();
    Finding::new(name, Some(level), Some(Amount::Count(least)))
        .needing(Amount::Count(cores))
        .because(format!("cores that receive from {} (queues, or RPS)", names.join(", ")))
        .mended(|| {
            let name = narrow.map_or("INTERFACE", |nic| &nic.name);
            Mend::by(format!(
                "for queue in '/sys/class/net/{name}/queues/'rx-*; do echo {} > \
                 \"$queue/rps_cpus\"; done",
                mask(cores)
            ))
        })
}

/// The first `cores` cores as the kernel writes sets: words of 32 bits, the last ones first.
fn mask(cores: u64) -> String {
    let whole = cores / 32;
    let first = (1u64 << (cores % 32)) - 1;
    let words = (whole > 0).then(|| vec!["ffffffff"; usize::try_from(whole).unwrap_or(1)]);
    let words = words.map(|words| words.join(","));
    match (first, words) {
        (0, Some(words)) => words,
        (first, None) => format!("{first:x}"),
        (first, Some(words)) => format!("{first:x},{words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_written_as_the_kernel_reads_them() {
        for (cores, text) in
            [(1, "1"), (2, "3"), (8, "ff"), (32, "ffffffff"), (40, "ff,ffffffff"), (0, "0")]
        {
            assert_eq!(mask(cores), text, "{cores}");
        }
    }
}
