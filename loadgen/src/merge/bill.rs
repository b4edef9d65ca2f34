//! What several runs cost, shared out over all their connections.
//!
//! Memory of the kernel is one thing for all who ran on a machine, so each machine's is counted
//! once; so is what runs side by side saw of one server.

use std::collections::BTreeMap;

use super::Together;
use crate::charge::Charges;
use crate::cost::{Memory, grown};
use crate::result::Document;

/// The bill of all `documents`.
pub(super) fn of(documents: &[&Document], together: Together) -> Charges {
    let bills: Vec<_> = documents.iter().map(|document| &document.cost).collect();
    let connections = bills.iter().map(|bill| bill.connections).sum();
    let opened: u64 = documents.iter().map(|document| document.accounting.opened).sum();
    let received = documents.iter().filter_map(|document| document.delivery.as_ref());
    let received: u64 = received.map(|delivery| delivery.received).sum();
    let server = |of: fn(&Charges) -> Option<u64>| {
        let each = bills.iter().map(|bill| of(bill));
        match together {
            // One server, as whoever looked at it longest saw it.
            Together::Yes => each.max().flatten(),
            Together::No => each.sum(),
        }
    };
    let per_conn = |grown: Option<u64>| grown?.checked_div(connections);
    let server_ramp_cpu_ns = server(|bill| bill.server_ramp_cpu_ns);
    let server_hold_cpu_ns = server(|bill| bill.server_hold_cpu_ns);
    let per_cpu_second = |count: u64, cpu_ns: Option<u64>| {
        let rate = (u128::from(count) * 1_000_000_000).checked_div(u128::from(cpu_ns?))?;
        u64::try_from(rate).ok().filter(|_| count > 0)
    };
    Charges {
        connections,
        server_before: bills.iter().filter_map(|bill| bill.server_before).reduce(smaller),
        server_held: bills.iter().filter_map(|bill| bill.server_held).reduce(larger),
        server_files: server(|bill| bill.server_files),
        server_bytes_per_conn: per_conn(server(|bill| {
            bill.server_bytes_per_conn.map(|bytes| bytes * bill.connections)
        })),
        server_private_bytes_per_conn: per_conn(server(|bill| {
            let of = |memory: Option<Memory>| memory.map(|memory| memory.private_bytes);
            grown(of(bill.server_before), of(bill.server_held))
        })),
        generator_bytes_per_conn: per_conn(
            bills
                .iter()
                .map(|bill| bill.generator_bytes_per_conn.map(|bytes| bytes * bill.connections))
                .sum(),
        ),
        kernel_bytes_per_end: kernel(documents, together),
        ends_here: bills.iter().map(|bill| bill.ends_here).max().unwrap_or(0),
        server_ramp_cpu_ns,
        server_hold_cpu_ns,
        generator_hold_cpu_ns: bills.iter().map(|bill| bill.generator_hold_cpu_ns).sum(),
        opened_per_server_cpu_second: per_cpu_second(opened, server_ramp_cpu_ns),
        messages_per_server_cpu_second: per_cpu_second(received, server_hold_cpu_ns),
    }
}

fn smaller(one: Memory, other: Memory) -> Memory {
    if other.pss_bytes < one.pss_bytes { other } else { one }
}

fn larger(one: Memory, other: Memory) -> Memory {
    if other.pss_bytes > one.pss_bytes { other } else { one }
}

/// Kernel memory for one end of a connection.
fn kernel(documents: &[&Document], together: Together) -> Option<u64> {
    let mut machines: BTreeMap<Option<&str>, u64> = BTreeMap::new();
    let (mut ends, mut sum) = (0, 0);
    for document in documents {
        let bill = &document.cost;
        let bytes = bill.kernel_bytes_per_end? * bill.ends_here * bill.connections;
        ends += bill.ends_here * bill.connections;
        sum += bytes;
        let machine = machines.entry(document.machine.boot_id.as_deref()).or_default();
        *machine = (*machine).max(bytes);
    }
    let is_once_a_machine = together == Together::Yes && !machines.contains_key(&None);
    let bytes = if is_once_a_machine { machines.values().sum() } else { sum };
    bytes.checked_div(ends)
}
