//! The bill: what one connection, one handshake and one message cost.
//!
//! Memory is the difference between the moment before the first connection and the end of the hold,
//! shared out over the connections held. What could not be read is `None`, never 0.

use serde::{Deserialize, Serialize};

use crate::cost::{Memory, Sample, grown};
use crate::fleet::{Resized, Trial};

/// What was spent, in bytes and nanoseconds.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Charges {
    /// How many connections shared it.
    pub connections: u64,
    /// Memory of the server before the first connection.
    pub server_before: Option<Memory>,
    /// Memory of the server at the end of the hold.
    pub server_held: Option<Memory>,
    /// Open files of the server at the end of the hold.
    #[serde(default)]
    pub server_files: Option<u64>,
    /// User memory of the server for a connection, by its Pss.
    pub server_bytes_per_conn: Option<u64>,
    /// The same by its private pages alone.
    pub server_private_bytes_per_conn: Option<u64>,
    /// User memory of the generator for a connection, by its Pss.
    pub generator_bytes_per_conn: Option<u64>,
    /// Kernel memory (slab and TCP buffers) for one end of a connection.
    pub kernel_bytes_per_end: Option<u64>,
    /// How many ends of each connection are on this machine. The kernel does not tell them apart,
    /// so what it spent is divided by this.
    pub ends_here: u64,
    /// CPU time of the server while connections were opened.
    pub server_ramp_cpu_ns: Option<u64>,
    /// CPU time of the server in the hold.
    pub server_hold_cpu_ns: Option<u64>,
    /// CPU time of the generator in the hold.
    pub generator_hold_cpu_ns: Option<u64>,
    /// Connections opened for a second of the server's CPU.
    pub opened_per_server_cpu_second: Option<u64>,
    /// Messages that came for a second of the server's CPU.
    pub messages_per_server_cpu_second: Option<u64>,
}

impl Charges {
    /// The bill of a `trial` of connections that were opened by `resized`, where nothing was used
    /// but `before` without any. If the server is on this machine, so are both ends.
    pub fn new(before: &Sample, resized: &Resized, trial: &Trial, is_co_located: bool) -> Self {
        let (Some(begin), Some(end)) = (&trial.begin, &trial.end) else {
            return Self::default();
        };
        let ends_here = if is_co_located { 2 } else { 1 };
        // What those took that are no more is not the others' doing, and nobody knows it.
        let held = if trial.resized_to.is_some() { 0 } else { trial.held };
        let per_conn = |bytes: u64| bytes.checked_div(held);
        let memory = |from: &Option<Memory>, to: &Option<Memory>, of: fn(&Memory) -> u64| {
            per_conn(grown(from.as_ref().map(of), to.as_ref().map(of))?)
        };
        let kernel = |sample: &Sample| sample.kernel.map(crate::cost::Kernel::bytes);
        let server_ramp_cpu_ns = grown(before.server_cpu_ns, begin.server_cpu_ns);
        let server_hold_cpu_ns = grown(begin.server_cpu_ns, end.server_cpu_ns);
        let opened = resized.tally.accounting.opened;
        let received = trial.tally.traffic.audit.received;
        Self {
            connections: trial.held,
            server_before: before.server,
            server_held: end.server,
            server_files: end.server_files,
            server_bytes_per_conn: memory(&before.server, &end.server, |it| it.pss_bytes),
            server_private_bytes_per_conn: memory(&before.server, &end.server, |it| {
                it.private_bytes
            }),
            generator_bytes_per_conn: memory(&before.generator, &end.generator, |it| it.pss_bytes),
            kernel_bytes_per_end: grown(kernel(before), kernel(end))
                .and_then(per_conn)
                .map(|bytes| bytes / ends_here),
            ends_here,
            server_ramp_cpu_ns,
            server_hold_cpu_ns,
            generator_hold_cpu_ns: grown(Some(cpu_ns(begin)), Some(cpu_ns(end))),
            opened_per_server_cpu_second: per_cpu_second(opened, server_ramp_cpu_ns),
            messages_per_server_cpu_second: per_cpu_second(received, server_hold_cpu_ns),
        }
    }
}

fn cpu_ns(sample: &Sample) -> u64 {
    sample.generator_cpu.iter().map(|task| task.ns).sum()
}

/// How often something happened in a second of CPU time; `None` if it never did.
fn per_cpu_second(count: u64, cpu_ns: Option<u64>) -> Option<u64> {
    let per_second = (u128::from(count) * 1_000_000_000).checked_div(u128::from(cpu_ns?))?;
    u64::try_from(per_second).ok().filter(|_| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Kernel;

    fn sample(bytes: u64, cpu_ns: u64) -> Sample {
        let memory = Memory { pss_bytes: bytes, private_bytes: bytes / 2 };
        Sample {
            server: Some(memory),
            kernel: Some(Kernel { slab_bytes: bytes, tcp_bytes: bytes }),
            server_cpu_ns: Some(cpu_ns),
            ..Sample::default()
        }
    }

    fn charges(begin: Option<Sample>, end: Option<Sample>) -> Charges {
        let mut resized = Resized::default();
        resized.tally.accounting.opened = 100;
        let trial = Trial { held: 100, begin, end, ..Trial::default() };
        Charges::new(&sample(10_000, 1_000_000_000), &resized, &trial, true)
    }

    #[test]
    fn what_grew_is_shared_out() {
        let begin = sample(70_000, 2_000_000_000);
        let charges = charges(Some(begin), Some(sample(50_000, 2_000_000_000)));
        assert_eq!(charges.server_bytes_per_conn, Some(400));
        assert_eq!(charges.server_private_bytes_per_conn, Some(200));
        assert_eq!(charges.kernel_bytes_per_end, Some(400), "800 for the two ends");
        assert_eq!(charges.opened_per_server_cpu_second, Some(100));
        assert_eq!(charges.messages_per_server_cpu_second, None, "there were none");
        assert_eq!(charges.generator_bytes_per_conn, None, "it was not read");
    }

    #[test]
    fn without_a_hold_nothing_is_known() {
        assert_eq!(charges(None, None), Charges::default());
    }
}
