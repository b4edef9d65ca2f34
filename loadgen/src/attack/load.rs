//! Whose CPU time an attack takes.

use serde::Serialize;

use super::mob;
use crate::fleet::Trial;
use crate::units;
use crate::watch::DRIVER_NAME;

/// What shares of a core were taken in a trial, in per cent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Load {
    /// By the server, if its process is known.
    pub server: Option<u64>,
    /// By those that mean well.
    pub good: u64,
    /// By the attackers.
    pub attackers: u64,
}

impl Load {
    /// The shares of a trial, unless it did not begin.
    pub fn of(trial: &Trial) -> Option<Self> {
        let (begin, end) = (trial.begin.as_ref()?, trial.end.as_ref()?);
        let elapsed_ns = units::ns(trial.hold.len()).max(1);
        let percent = |ns: u64| ns.saturating_mul(100) / elapsed_ns;
        let threads = |front: &str| {
            let named = end.generator_cpu.iter().filter(|task| task.name.starts_with(front));
            let ran = named.map(|task| {
                let before = begin.generator_cpu.iter().find(|it| it.id == task.id);
                task.ns.saturating_sub(before.map_or(0, |it| it.ns))
            });
            percent(ran.sum())
        };
        let server = end.server_cpu_ns.zip(begin.server_cpu_ns);
        Some(Self {
            server: server.map(|(end, begin)| percent(end.saturating_sub(begin))),
            good: threads(DRIVER_NAME),
            attackers: threads(mob::THREAD_NAME),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{Sample, TaskCpu};
    use crate::fleet::Span;
    use std::time::Duration;

    fn sample(server_ms: u64, threads: &[(&str, u32, u64)]) -> Sample {
        let task = |(name, id, ms): &(&str, u32, u64)| TaskCpu {
            name: (*name).to_owned(),
            id: *id,
            ns: ms * 1_000_000,
        };
        Sample {
            server_cpu_ns: Some(server_ms * 1_000_000),
            generator_cpu: threads.iter().map(task).collect(),
            ..Sample::default()
        }
    }

    #[test]
    fn each_is_charged_for_what_it_took_in_the_hold() {
        let (from, to) = (Duration::from_secs(1), Duration::from_secs(3));
        let trial = Trial {
            hold: Span { from, to },
            begin: Some(sample(100, &[("driver-0", 1, 50), ("loadgen", 9, 0)])),
            end: Some(sample(
                1_100,
                &[
                    ("driver-0", 1, 150),
                    ("driver-1", 2, 300),
                    ("attackers", 3, 500),
                    ("loadgen", 9, 9),
                ],
            )),
            ..Trial::default()
        };
        let load = Load { server: Some(50), good: 20, attackers: 25 };
        assert_eq!(Load::of(&trial), Some(load));
        assert_eq!(Load::of(&Trial::default()), None);
    }
}
