//! The threads of a fleet, and how they are started.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use corecast::base::Wake;
use corecast::reactor::{Poller, Reactor, affinity, fds};

use super::Stand;
use crate::driver::link::{Command, Report};
use crate::driver::{Driver, Part};
use crate::ports::Hand;
use crate::watch::DRIVER_NAME;

/// One driver, from outside.
pub(super) struct Station {
    pub(super) commands: Sender<Command>,
    pub(super) waker: Arc<dyn Wake>,
    pub(super) thread: JoinHandle<io::Result<()>>,
}

/// Starts all drivers. The pollers are made before the first thread, as their makers demand.
pub(super) fn start(stand: &Stand) -> io::Result<(Vec<Station>, Receiver<Report>)> {
    let drivers = 0..stand.plan.drivers;
    let pollers = drivers.map(|_| Poller::new()).collect::<io::Result<Vec<_>>>()?;
    let (reporter, reports) = mpsc::channel();
    let mut stations = Vec::new();
    for (number, poller) in (0..).zip(pollers) {
        let (commands, orders) = mpsc::channel();
        let hand = |sources| Hand::new(sources, number as usize, stand.plan.drivers as usize);
        let part = Part {
            number,
            plan: Arc::clone(&stand.plan),
            setting: Arc::clone(&stand.setting),
            target: stand.target,
            hand: stand.sources.clone().map(hand),
            commands: orders,
            reports: reporter.clone(),
        };
        let cores = &stand.plan.cores;
        let core = cores.get(number as usize % cores.len().max(1)).copied();
        let waker = poller.waker();
        let thread = thread::Builder::new()
            .name(format!("{DRIVER_NAME}{number}"))
            .spawn(move || drive(part, poller, core))?;
        stations.push(Station { commands, waker, thread });
    }
    Ok((stations, reports))
}

/// The life of a driver's thread.
fn drive(part: Part, poller: Poller, core: Option<affinity::Core>) -> io::Result<()> {
    if part.plan.has_own_tables {
        fds::take_own_table()?;
    }
    if let Some(core) = core
        && !core.pin()
    {
        log::warn!("driver {} could not be pinned to core {}", part.number, core.number());
    }
    let now = part.setting.now();
    let mut driver = Driver::<TcpStream>::new(part, now);
    // A schedule of milliseconds would be charged to the server.
    Reactor::new(poller.with_fine_timer()?, Vec::new())?.run(&mut driver)
}
