//! The threads of a server: what each is given, and what it does with it.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::admin::{Admin, Remote};
use crate::hub::WorkerId;
use crate::reactor::affinity::Core;
use crate::reactor::listener::{self, Reservation, Seat};
use crate::reactor::{Poller, Reactor, fds};
use crate::worker::addresses::Addresses;
use crate::worker::mesh::{self, Door, Handle, Mailbox};
use crate::worker::metrics::{Metrics, MetricsSet};
use crate::worker::{Limits, Listener, Service, Setup, Worker};

use super::size::Places;
use super::supervisor::Notice;
use super::{Server, ServerError};

/// Workers that know each other and have not started yet.
pub(super) struct Crew {
    desks: Vec<Desk>,
    metrics: Arc<[Arc<Metrics>]>,
    handle: Handle,
}

impl Crew {
    /// Makes all pollers and what connects them.
    ///
    /// This comes before any thread: the table of open files that a worker may take a copy of must
    /// have the wakers of all others (see [`fds::take_own_table`]).
    pub(super) fn hire(server: &Server, places: &Places) -> Result<Self, ServerError> {
        let pollers: Vec<_> = (0..places.layout.workers)
            .map(|_| Poller::new())
            .collect::<io::Result<_>>()
            .map_err(ServerError::system("make a poller"))?;
        let wakers = pollers.iter().map(Poller::waker).collect();
        let (posts, handle) = mesh::mesh(wakers);
        let metrics: Arc<[_]> = pollers.iter().map(|_| Arc::new(Metrics::default())).collect();
        let listeners: Vec<_> =
            server.listeners.iter().map(|(_, listener)| listener.clone()).collect();
        let addresses = Addresses::new(server.limits.addresses, seed());
        let desk = |((id, poller), (mailbox, doors)): ((WorkerId, _), (_, _))| Desk {
            id,
            poller,
            mailbox,
            doors,
            metrics: MetricsSet::new(Arc::clone(&metrics), id.index()),
            limits: server.limits,
            addresses: addresses.clone(),
            listeners: listeners.clone(),
            core: places.core(id.index()),
            has_own_table: places.layout.has_own_tables,
        };
        let ids = WorkerId::all(pollers.len());
        let desks = ids.zip(pollers).zip(posts).map(desk).collect();
        Ok(Self { desks, metrics, handle })
    }

    /// What reaches all workers from outside.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What each worker counts.
    pub(super) fn metrics(&self) -> Arc<[Arc<Metrics>]> {
        Arc::clone(&self.metrics)
    }

    /// Starts a thread for each worker, which tells when it listens and when it ends. Returns how
    /// many there are.
    pub(super) fn start<V, F>(
        self,
        ports: &[Reservation],
        notices: &Sender<Notice>,
        service: F,
    ) -> Result<usize, ServerError>
    where
        V: Service + 'static,
        F: Fn(WorkerId) -> V + Send + Sync + 'static,
    {
        let (count, service) = (self.desks.len(), Arc::new(service));
        for desk in self.desks {
            let seats: Vec<_> = ports
                .iter()
                .map(Reservation::seat)
                .collect::<io::Result<_>>()
                .map_err(ServerError::system("share a port"))?;
            let (service, listening) = (Arc::clone(&service), notices.clone());
            let name = format!("worker-{}", desk.id.index());
            start(&name, notices.clone(), move || desk.work(seats, &*service, &listening))?;
        }
        Ok(count)
    }
}

/// What one worker is given.
struct Desk {
    id: WorkerId,
    poller: Poller,
    mailbox: Mailbox,
    doors: Vec<Door>,
    metrics: MetricsSet,
    limits: Limits,
    addresses: Addresses,
    listeners: Vec<Listener>,
    core: Option<Core>,
    has_own_table: bool,
}

impl Desk {
    /// Serves until told to go.
    fn work<V: Service>(
        self,
        seats: Vec<Seat>,
        service: &dyn Fn(WorkerId) -> V,
        notices: &Sender<Notice>,
    ) -> io::Result<()> {
        if self.has_own_table {
            fds::take_own_table()?;
        }
        if self.core.is_some_and(|core| !core.pin()) {
            log::warn!("worker {} cannot be kept on its core", self.id.index());
        }
        let listeners: Vec<_> = seats.into_iter().map(Seat::listen).collect::<io::Result<_>>()?;
        for socket in &listeners {
            listener::drop_unacknowledged(socket, Duration::from_millis(self.limits.stall_ms_max))?;
        }
        let reactor = Reactor::new(self.poller, listeners)?.with_margin(self.limits.spare_files)?;
        let mut worker = Worker::new(Setup {
            service: service(self.id),
            id: self.id,
            listeners: self.listeners,
            limits: self.limits,
            addresses: self.addresses,
            mailbox: self.mailbox,
            doors: self.doors,
            metrics: self.metrics,
            seed: seed(),
            now: now(),
        });
        // Nobody hears it if another thread has failed meanwhile.
        let _ = notices.send(Notice::Listening);
        reactor.run(&mut worker)
    }
}

/// A control plane that has not started yet.
pub(super) struct AdminDesk {
    poller: Poller,
    port: Reservation,
    admin: Admin<TcpStream>,
    remote: Remote,
}

impl AdminDesk {
    /// Makes it, before any thread like the pollers of the workers.
    pub(super) fn new(
        port: Reservation,
        metrics: Arc<[Arc<Metrics>]>,
    ) -> Result<Self, ServerError> {
        let poller = Poller::new().map_err(ServerError::system("make a poller"))?;
        let (admin, remote) = Admin::new(metrics, poller.waker());
        Ok(Self { poller, port, admin, remote })
    }

    /// Starts it, after the workers: their tables of open files must not have its connections.
    pub(super) fn start(self, notices: &Sender<Notice>) -> Result<Remote, ServerError> {
        let Self { poller, port, mut admin, remote } = self;
        // Before there is a thread, so that whoever started us can be sure that it listens.
        let listen = || Reactor::new(poller, vec![port.seat()?.listen()?]);
        let reactor = listen().map_err(ServerError::system("listen for operators"))?;
        start("admin", notices.clone(), move || reactor.run(&mut admin))?;
        Ok(remote)
    }
}

/// Starts a thread that tells how it ended, even if that was a panic.
fn start(
    name: &str,
    notices: Sender<Notice>,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), ServerError> {
    let thread = name.to_owned();
    spawn(name, move || {
        let outcome = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ServerError::failed(&thread, &error)),
            Err(_) => Err(ServerError::panicked(&thread)),
        };
        // Nobody hears it if another thread has failed before.
        let _ = notices.send(Notice::Ended(outcome));
    })
    .map(drop)
}

/// Starts a thread under a name that shows in `top -H`, which has room for 15 letters.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, ServerError> {
    Builder::new().name(name.to_owned()).spawn(work).map_err(ServerError::system("start a thread"))
}

/// A number that nobody outside can guess: the keys of a fresh hasher are random.
fn seed() -> u64 {
    RandomState::new().hash_one(())
}

/// When a worker's clock begins.
#[allow(clippy::disallowed_methods)] // the worker itself takes the time as an argument
fn now() -> Instant {
    Instant::now()
}
