//! The tables of `/proc`, read as text and taken apart. What cannot be read is `None`.

use std::fs;
use std::net::Ipv4Addr;

/// The contents of a file under `/proc`.
pub fn read(path: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{path}")).ok()
}

/// A number of kilobytes after `name:`, in bytes (`meminfo`, `smaps_rollup`).
pub fn kilobytes(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix(':')?;
        let number: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        Some(number * 1024)
    })
}

/// Pages of TCP buffers (`net/sockstat`).
pub fn tcp_pages(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find(|line| line.starts_with("TCP:"))?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "mem");
    words.nth(1)?.parse().ok()
}

/// Connections of TCP that have ended and still hold their ports (`net/sockstat`).
pub fn time_wait(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find(|line| line.starts_with("TCP:"))?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "tw");
    words.nth(1)?.parse().ok()
}

/// The name of a task and its clock ticks in user and kernel mode (`PID/task/TID/stat`).
pub fn task_ticks(stat: &str) -> Option<(&str, u64)> {
    // The name stands in parentheses and may contain some, so the last one ends it.
    let (front, rest) = stat.rsplit_once(')')?;
    let (_, name) = front.split_once('(')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((name, user + system))
}

/// The ticks a hypervisor took from us, and all ticks, over all cores (`stat`).
pub fn steal_ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<u64> = fields.by_ref().take(8).map_while(|field| field.parse().ok()).collect();
    Some((*ticks.get(7)?, ticks.iter().sum()))
}

/// The ticks in which each core was busy, and all its ticks (`stat`).
pub fn core_ticks(stat: &str) -> Vec<(u64, u64)> {
    let cores = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
    let ticks = |line: &str| {
        let fields = line.split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
        let &[_, _, _, idle, waiting, ..] = ticks.as_slice() else { return None };
        let all = ticks.iter().sum::<u64>();
        Some((all - idle - waiting, all))
    };
    cores.filter_map(ticks).collect()
}

/// A number in a table of two lines, names above and numbers below, both after `table:`
/// (`net/netstat`, `net/snmp`).
pub fn counter(text: &str, table: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(table)?.strip_prefix(':'));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let position = names.split_whitespace().position(|it| it == name)?;
    numbers.split_whitespace().nth(position)?.parse().ok()
}

/// Packets that found their core's queue full, over all cores (`net/softnet_stat`).
pub fn softnet_drops(text: &str) -> Option<u64> {
    let drops = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    text.lines().map(drops).sum()
}

/// Pages of a process that are in memory, shared ones counted whole (`PID/statm`).
pub fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

/// The ports something listens at (`net/tcp`, `net/tcp6`).
pub fn listening(table: &str) -> Vec<u16> {
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (_, port) = fields.next()?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        (state == "0A").then(|| u16::from_str_radix(port, 16).ok())?
    };
    table.lines().skip(1).filter_map(port).collect()
}

/// The numbers of a list such as `8080,9000-9005` (`ip_local_reserved_ports`, sets of cores).
pub fn numbers(list: &str) -> Vec<u16> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse::<u16>().ok()?..=to.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// The first two numbers of a kernel's release (`sys/kernel/osrelease`).
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The interface that packets to `address` leave by (`net/route`): that of the narrowest network.
pub fn route(table: &str, address: Ipv4Addr) -> Option<String> {
    let route = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let &[name, network, _, _, _, _, _, mask, ..] = fields.as_slice() else { return None };
        // The kernel writes addresses as they lie in memory, as if that were one number.
        let read = |text| Some(u32::from_str_radix(text, 16).ok()?.to_ne_bytes());
        let (network, mask) = (u32::from_be_bytes(read(network)?), u32::from_be_bytes(read(mask)?));
        (u32::from(address) & mask == network).then(|| (mask, name.to_owned()))
    };
    let routes = table.lines().skip(1).filter_map(route);
    routes.max_by_key(|(mask, _)| *mask).map(|(_, name)| name)
}

/// The model of the first core (`cpuinfo`).
pub fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A number of the auxiliary vector, with which the kernel started this process.
pub fn auxiliary(kind: usize) -> Option<u64> {
    let vector = fs::read("/proc/self/auxv").ok()?;
    auxiliary_in(&vector, kind)
}

fn auxiliary_in(vector: &[u8], kind: usize) -> Option<u64> {
    let (words, _) = vector.as_chunks();
    let (pairs, _) = words.as_chunks();
    pairs.iter().find_map(|[name, value]| {
        let value = u64::try_from(usize::from_ne_bytes(*value)).ok()?;
        (usize::from_ne_bytes(*name) == kind).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes() {
        let meminfo = "MemTotal:       24576 kB\nSlab:              41 kB\nSlabber: x kB\n";
        assert_eq!(kilobytes(meminfo, "Slab"), Some(41 * 1024));
        assert_eq!(kilobytes(meminfo, "MemTotal"), Some(24_576 * 1024));
        assert_eq!(kilobytes(meminfo, "Slabber"), None);
        assert_eq!(kilobytes(meminfo, "Mem"), None);
    }

    #[test]
    fn sockstat_tells_the_pages_of_tcp() {
        let text =
            "sockets: used 15\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 22\nUDP: inuse 0 mem 3\n";
        assert_eq!(tcp_pages(text), Some(22));
        assert_eq!(tcp_pages("TCP: inuse 1"), None);
        assert_eq!((time_wait(text), time_wait("TCP: inuse 1")), (Some(0), None));
    }

    #[test]
    fn a_task_may_have_parentheses_in_its_name() {
        let stat = "4312 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 17 0 0 20 0 3 0";
        assert_eq!(task_ticks(stat), Some(("a (b) c", 267)));
        assert_eq!(task_ticks("4312 (cut) S 1"), None);
    }

    #[test]
    fn steal_is_the_eighth_field() {
        let stat = "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(steal_ticks(stat), Some((80, 360)));
        assert_eq!(steal_ticks("cpu  1 2 3"), None);
    }

    #[test]
    fn each_core_has_its_ticks() {
        let stat = "cpu  9 9 9 9 9 9 9 9\ncpu0 1 2 3 40 4 5 6 7 8 9\ncpu1 cut\nintr 5\n";
        assert_eq!(core_ticks(stat), [(24, 68)]);
    }

    #[test]
    fn a_counter_stands_below_its_name() {
        let text = "TcpExt: SyncookiesSent ListenDrops\nTcpExt: 3 17\nIpExt: InNoRoutes\nIpExt: 1";
        assert_eq!(counter(text, "TcpExt", "ListenDrops"), Some(17));
        assert_eq!(counter(text, "TcpExt", "Unheard"), None);
        assert_eq!(counter(text, "Tcp", "ListenDrops"), None);
        assert_eq!(softnet_drops("0000ffff 00000002 0\n00000001 0000000a 0\n"), Some(12));
        assert_eq!(resident_pages("500 120 7 1 0 9 0\n"), Some(120));
    }

    #[test]
    fn only_listening_ports_are_listed() {
        let table = "  sl  local_address rem_address   st\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
            1: 0100007F:C000 0100007F:1F90 01 00000000:00000000\n";
        assert_eq!(listening(table), [8080]);
    }

    #[test]
    fn a_release_begins_with_two_numbers() {
        for (release, version) in [
            ("6.18.44-fc-v657", Some((6, 18))),
            ("5.4-generic", Some((5, 4))),
            ("next", None),
            ("6", None),
        ] {
            assert_eq!(super::version(release), version, "{release}");
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_narrowest_network_is_the_way() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\n\
            eth1\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\n";
        let way = |address: [u8; 4]| route(table, address.into());
        assert_eq!(way([10, 1, 2, 3]).as_deref(), Some("eth1"));
        assert_eq!(way([192, 0, 2, 1]).as_deref(), Some("eth0"));
        assert_eq!(route("Iface", [10, 0, 0, 1].into()), None);
    }

    #[test]
    fn a_list_has_numbers_and_ranges() {
        assert_eq!(numbers("8080,9000-9002\n"), [8080, 9000, 9001, 9002]);
        assert_eq!(numbers("\n"), [0u16; 0]);
    }

    #[test]
    fn the_auxiliary_vector_is_pairs_of_words() {
        let vector: Vec<u8> =
            [6, 4096, 17, 100, 0, 0].iter().flat_map(|word: &usize| word.to_ne_bytes()).collect();
        assert_eq!(auxiliary_in(&vector, 17), Some(100));
        assert_eq!(auxiliary_in(&vector, 5), None);
    }

    #[test]
    fn the_first_core_has_a_model() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Xeon @ 2.80GHz\n";
        assert_eq!(cpu_model(cpuinfo), Some("Xeon @ 2.80GHz".to_owned()));
    }
}
