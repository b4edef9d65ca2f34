//! The addresses and ports that connections are made from.
//!
//! A kernel that is left to choose a port searches for one, and has 28,232 by default. So on
//! loopback, where every 127.x.y.z is ours without asking, we choose ourselves:
//!
//! ```text
//!            port 1024     1025     1026    ...      candidates are numbered down the columns,
//!  127.0.0.2      0         3        6               and driver d of D takes d, d + D, d + 2D, ...
//!  127.0.0.3      1         4        7               so that no two want the same
//!  127.0.0.4      2         5        8
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use corecast::base::Rng;

use crate::proc;

/// How many connections share an address: the kernel looks through all that share a port.
const CONNECTIONS_PER_ADDRESS: u64 = 20_000;

/// The lowest port that may be used without privileges.
const PORT_MIN: u16 = 1024;

/// The most addresses of a network that are used.
const NETWORK_BITS_MAX: u32 = 16;

/// Which addresses connections are made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// As many of loopback as it takes; for another machine what the system chooses.
    Auto,
    /// What the system chooses, port and all.
    System,
    /// These, with ports that we choose.
    These(Vec<IpAddr>),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::System),
            _ => {
                let networks: Vec<_> = text.split(',').map(network).collect::<Result<_, _>>()?;
                Ok(Self::These(networks.concat()))
            }
        }
    }
}

/// The addresses that `text` stands for: one, or those of hosts in a network of IPv4.
fn network(text: &str) -> Result<Vec<IpAddr>, String> {
    let wrong = || format!("`{text}` is neither auto, none, an address nor a network of IPv4");
    let Some((address, prefix)) = text.split_once('/') else {
        return Ok(vec![text.trim().parse().map_err(|_| wrong())?]);
    };
    let address: Ipv4Addr = address.trim().parse().map_err(|_| wrong())?;
    let prefix: u32 = prefix.trim().parse().map_err(|_| wrong())?;
    let bits = 32u32.checked_sub(prefix).ok_or_else(wrong)?;
    if bits > NETWORK_BITS_MAX {
        return Err(format!("`{text}` has more than 65,536 addresses: /16 is the largest network"));
    }
    let first = u32::from(address) >> bits << bits;
    let last = first + ((1 << bits) - 1);
    // The first and the last one name the network and all its hosts, if there are others.
    let edge = u32::from(bits > 1);
    Ok((first + edge..=last - edge).map(|bits| Ipv4Addr::from(bits).into()).collect())
}

/// Every address and port that connections may be made from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sources {
    addresses: Vec<IpAddr>,
    ports: Vec<u16>,
}

impl Sources {
    /// The sources for `conns` connections to `target`; `None` leaves the choice to the system,
    /// which is right for a server on another machine.
    ///
    /// Ports that the system reserves or listens at are left out.
    pub fn new(source: &Source, target: IpAddr, conns: u64, seed: u64) -> Option<Self> {
        let addresses = match source {
            Source::Auto => addresses(target, conns)?,
            Source::System => return None,
            Source::These(addresses) => addresses.clone(),
        };
        let reserved = proc::read("sys/net/ipv4/ip_local_reserved_ports");
        let mut taken = reserved.map(|text| proc::numbers(&text)).unwrap_or_default();
        for table in ["net/tcp", "net/tcp6"] {
            taken.extend(proc::read(table).map(|text| proc::listening(&text)).unwrap_or_default());
        }
        Some(Self { addresses, ports: ports(taken, seed) })
    }

    /// How many connections they suffice for.
    pub fn capacity(&self) -> u64 {
        self.addresses.len() as u64 * self.ports.len() as u64
    }

    /// The addresses.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    fn candidate(&self, number: usize) -> Option<SocketAddr> {
        let address = self.addresses.get(number % self.addresses.len())?;
        let port = self.ports.get(number / self.addresses.len())?;
        Some(SocketAddr::new(*address, *port))
    }
}

/// Enough addresses of ours that reach `target`, if it is on this machine.
fn addresses(target: IpAddr, conns: u64) -> Option<Vec<IpAddr>> {
    match target {
        IpAddr::V4(target) if target.is_loopback() => {
            let count = conns.div_ceil(CONNECTIONS_PER_ADDRESS).max(1);
            let first = u32::from(Ipv4Addr::new(127, 0, 0, 2));
            let count = u32::try_from(count).unwrap_or(u32::MAX).min(1 << 16);
            Some((first..first + count).map(|bits| Ipv4Addr::from(bits).into()).collect())
        }
        // ::1 is the only loopback address of IPv6.
        IpAddr::V6(target) if target.is_loopback() => Some(vec![target.into()]),
        _ => None,
    }
}

/// All ports but the taken ones, from a place that `seed` chooses: the next run does not begin with
/// the ports that the last one has just given up.
fn ports(mut taken: Vec<u16>, seed: u64) -> Vec<u16> {
    taken.sort_unstable();
    let mut ports: Vec<u16> =
        (PORT_MIN..=u16::MAX).filter(|port| taken.binary_search(port).is_err()).collect();
    let start = Rng::new(seed).below(ports.len() as u64);
    ports.rotate_left(usize::try_from(start).expect("below the number of ports"));
    ports
}

/// One driver's hand of the sources, dealt round and round: by the time a source comes again, the
/// connection it was dealt to may be no more.
#[derive(Debug)]
pub struct Hand {
    sources: Arc<Sources>,
    first: usize,
    next: usize,
    stride: usize,
    /// How many sources have been dealt since one was last taken.
    dealt: u64,
}

impl Hand {
    /// The hand of driver `driver` of `drivers`.
    pub fn new(sources: Arc<Sources>, driver: usize, drivers: usize) -> Self {
        Self { sources, first: driver, next: driver, stride: drivers, dealt: 0 }
    }

    /// The source dealt last was free, and is in use now.
    pub fn taken(&mut self) {
        self.dealt = 0;
    }
}

impl Iterator for Hand {
    type Item = SocketAddr;

    /// The next source to try; `None` when a whole round has been tried in vain.
    fn next(&mut self) -> Option<SocketAddr> {
        if self.dealt * self.stride as u64 >= self.sources.capacity() {
            return None;
        }
        self.dealt += 1;
        let source = self.sources.candidate(self.next).or_else(|| {
            self.next = self.first;
            self.sources.candidate(self.next)
        });
        self.next += self.stride;
        source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn hands_are_disjoint_and_together_everything() {
        let addresses = addresses(LOOPBACK, 50_000).unwrap();
        let sources = Arc::new(Sources { addresses, ports: (2_000..2_007).collect() });
        let capacity = usize::try_from(sources.capacity()).unwrap();
        for drivers in 1..6 {
            let mut seen = BTreeSet::new();
            for driver in 0..drivers {
                let hand = Hand::new(Arc::clone(&sources), driver, drivers);
                for source in hand.take((capacity - driver).div_ceil(drivers)) {
                    assert!(seen.insert(source), "{source} is in two hands");
                }
            }
            assert_eq!(seen.len(), capacity);
        }
    }

    #[test]
    fn a_hand_is_dealt_again_while_its_sources_come_free() {
        let addresses = vec![LOOPBACK];
        let sources = Arc::new(Sources { addresses, ports: (2_000..2_010).collect() });
        let mut hand = Hand::new(sources, 0, 1);
        let first: Vec<_> = hand.by_ref().take(10).collect();
        assert_eq!(hand.next(), None, "all have been tried in vain");
        hand.taken();
        assert_eq!(hand.by_ref().take(10).collect::<Vec<_>>(), first);
    }

    #[test]
    fn there_is_room_for_every_connection() {
        for conns in [1, 20_000, 100_000, 2_000_000] {
            let sources = Sources::new(&Source::Auto, LOOPBACK, conns, 7).unwrap();
            assert!(sources.capacity() >= 3 * conns, "{conns}");
            assert!(!sources.addresses().contains(&LOOPBACK));
        }
    }

    #[test]
    fn addresses_and_networks_are_what_they_say() {
        let these = |text: &str| match text.parse() {
            Ok(Source::These(addresses)) => addresses,
            other => panic!("{text}: {other:?}"),
        };
        let addresses = these("127.0.1.9,127.0.2.77/30,::1");
        let expected: [IpAddr; 4] =
            ["127.0.1.9", "127.0.2.77", "127.0.2.78", "::1"].map(|text| text.parse().unwrap());
        assert_eq!(addresses, expected);
        for (network, count) in [("127.1.0.0/32", 1), ("127.1.0.0/31", 2), ("127.1.0.0/16", 65_534)]
        {
            assert_eq!(these(network).len(), count, "{network}");
        }
        for text in ["", "somewhere", "127.0.0.1/33", "127.0.0.0/15", "::1/64", "127.0.0.1,,"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }

    #[test]
    fn taken_ports_are_left_out() {
        let ports = ports(vec![8080, 1024, 80], 3);
        assert_eq!(ports.len(), 64_512 - 2);
        assert!(!ports.contains(&8080) && !ports.contains(&1024));
    }

    #[test]
    fn the_system_chooses_for_another_machine() {
        assert_eq!(Sources::new(&Source::Auto, [192, 0, 2, 1].into(), 10, 0), None);
        assert_eq!(Sources::new(&Source::System, LOOPBACK, 10, 0), None);
    }
}
