//! A small result to test with, as a file has it.

use super::{Distribution, Document, Origin};
use crate::latency::Latency;

/// A run of ten echoing connections whose echoes took `times`, one second each.
pub fn document(seed: u64, times: &[u64]) -> Document {
    let text = format!(
        r#"{{"schema": "loadgen/1", "tool": {{"version": "0.1.0"}}, "seed": "{seed:x}", "argv": [],
        "started": "2026-01-01T00:00:{second:02}Z",
        "machine": {{"role": "generator", "kernel": null,
            "cpu": {{"model": null, "cores": 2, "governor": null}}, "mem_bytes": null,
            "mem_available_bytes": null, "sysctl": {{}}, "limits": {{"nofile": [1, 1]}}}},
        "server": {{}},
        "plan": {{"url": "ws://h/echo", "conns": 10, "scenario": {{"name": "echo",
            "payload_bytes": 64, "arrivals": "constant"}}, "ramp": "adaptive",
            "hold_ns": 1000000000, "drivers": 1, "own_file_tables": false, "source_addresses": 1,
            "phases": [{{"name": "hold", "from_ns": 0, "to_ns": {end}}}]}},
        "accounting": {{"requested": 10, "attempted": 10, "opened": 10, "pending": 0, "held": 10,
            "failed": {{}}, "closed": {{"ours": 10}}, "ports_taken": 0, "balanced": true}},
        "latency": {{}},
        "delivery": {{"published": {n}, "expected": {n}, "received": {n}, "gap": 0, "dup": 0,
            "reorder": 0, "corrupt": 0, "foreign": 0}},
        "heartbeats": {{"pings": 1, "pongs": 1}},
        "cost": {{"connections": 10, "ends_here": 2}},
        "series": {{"tick_ns": 1000000000, "columns": ["t_ns", "open", "received"], "rows": [],
            "events": [], "heat": {{"buckets_per_octave": 16, "ticks": []}}}},
        "slo": [],
        "validity": {{"valid": true, "co_located": true, "reasons": [], "notes": [],
            "lag_p99_ns": 1000, "ramp_lag_p99_ns": null, "cpu_percent_max": 3,
            "steal_permille": 0}},
        "verdict": {{"exit": 0, "text": "PASS"}}}}"#,
        second = seed % 60,
        end = times.len() as u64 * 1_000_000_000,
        n = times.len(),
    );
    let mut document: Document = serde_json::from_str(&text).unwrap();
    let mut all = Latency::default();
    for (second, ns) in (1..).zip(times) {
        let mut tick = Latency::default();
        tick.record_ns(*ns);
        all.merge(&tick);
        document.series.rows.push(vec![Some(second * 1_000_000_000), Some(10), Some(1)]);
        document.series.heat.push(&tick);
    }
    let echo = Distribution::new(&all, Origin::IntendedStart);
    document.latency = [("echo".to_owned(), echo), ("deliver".to_owned(), None)].into();
    document
}
