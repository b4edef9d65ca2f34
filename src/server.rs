//! From a service to a running server, and from there to its end.
//!
//! ```text
//! Server::builder() - listen - workers - limits - start ----> Running - stop - join
//!                                                  |
//!      reserve ports, make pollers and the mesh    |----> worker-0     Reactor, Worker<V>
//!      (before any thread, see `reactor::poll`),   |----> worker-1     Reactor, Worker<V>
//!      then start threads, and wait until          |----> admin        Reactor, Admin
//!      each of them listens                        |----> certificates Renewal
//!                                                  '----> supervisor   who has ended, and why
//! ```
//!
//! Invariant: a server works with all of its threads, or ends. Whoever called
//! [`Running::join`] learns of the first that failed.
//!
//! # An echo server
//!
//! ```
//! use corecast::worker::{Context, Incoming, Service, Verdict};
//! use corecast::{base::Key, server::Server, ws::Message};
//!
//! struct Echo;
//! impl Service for Echo {
//!     type State = ();
//!     fn upgrade(&mut self, _: &Incoming<'_>, _: &mut Context<'_, ()>) -> Verdict<()> {
//!         Verdict::accept(())
//!     }
//!     fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, ()>) {
//!         let _ = cx.send(key, message);
//!     }
//! }
//!
//! let server = Server::builder().listen("127.0.0.1:0").start(|_worker| Echo)?;
//! # server.stop();
//! server.join()?;
//! # Ok::<(), corecast::server::ServerError>(())
//! ```
//!
//! # A chat
//!
//! Everybody who connects to `/rooms/NAME` hears what anybody says there, on whichever core.
//!
//! ```
//! use corecast::http::{Response, Status};
//! use corecast::worker::{Context, Incoming, Service, Verdict};
//! use corecast::{base::Key, hub::TopicName as Room, server::Server, ws::Message};
//!
//! struct Chat;
//! impl Service for Chat {
//!     type State = Room;
//!     fn upgrade(&mut self, request: &Incoming<'_>, cx: &mut Context<'_, Room>) -> Verdict<Room> {
//!         let name = request.head.path().strip_prefix("/rooms/").unwrap_or_default();
//!         match Room::new(name) {
//!             Ok(room) if cx.subscribe(request.key, &room).is_ok() => Verdict::accept(room),
//!             _ => Verdict::Refuse(Response::new(Status::NOT_FOUND)),
//!         }
//!     }
//!     fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, Room>) {
//!         if let Some(room) = cx.state(key).cloned() {
//!             cx.publish(&room, message);
//!         }
//!     }
//! }
//!
//! let server = Server::builder().listen("127.0.0.1:0").start(|_worker| Chat)?;
//! # server.stop();
//! server.join()?;
//! # Ok::<(), corecast::server::ServerError>(())
//! ```

mod crew;
mod error;
mod renewal;
mod size;
mod supervisor;
mod watch;

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use crate::hub::WorkerId;
use crate::reactor::listener::{self, Reservation};
use crate::reactor::usage::Gauge;
use crate::tls::config::{Loaded, Sources};
use crate::tls::{DefaultTimeProvider, ServerConfig};
use crate::worker::mesh::Handle;
use crate::worker::{Limits, Listener, Service};

pub use error::ServerError;
pub use renewal::Reloader;
pub use size::Size;

use crew::{AdminDesk, Crew};
use renewal::{Renewal, Renewed};
use supervisor::{Notice, Supervisor};
use watch::{Relief, Watch};

/// A server that has not started yet.
#[derive(Clone, Debug)]
pub struct Server {
    listeners: Vec<(String, Listener)>,
    renewed: Vec<Renewed>,
    watches_certificates: bool,
    workers: Option<NonZeroUsize>,
    cores: Option<NonZeroUsize>,
    connections: Option<u64>,
    limits: Limits,
    admin: Option<SocketAddr>,
    drain_timeout: Duration,
    memory: Option<Gauge>,
    relief: Option<fn()>,
}

impl Server {
    /// A server that listens nowhere yet, with one worker a core and nothing beside them.
    pub fn builder() -> Self {
        Self {
            listeners: Vec::new(),
            renewed: Vec::new(),
            watches_certificates: true,
            workers: None,
            cores: None,
            connections: None,
            limits: Limits::default(),
            admin: None,
            drain_timeout: Duration::from_secs(10),
            memory: None,
            relief: None,
        }
    }

    /// Serves http and ws on `address`, such as `127.0.0.1:0`, where 0 is any free port.
    pub fn listen(self, address: impl Into<String>) -> Self {
        self.listen_as(address, Listener::plain())
    }

    /// Serves https and wss on `address`.
    pub fn listen_tls(self, address: impl Into<String>, config: Arc<ServerConfig>) -> Self {
        self.listen_as(address, Listener::tls(config))
    }

    /// Serves on `address` what `listener` offers.
    pub fn listen_as(mut self, address: impl Into<String>, listener: Listener) -> Self {
        self.listeners.push((address.into(), listener));
        self
    }

    /// Keeps the TLS of the listener that was added last, which is told what has been `loaded` from
    /// `sources`, as it is there: reads it again when the files change, when a certificate that we
    /// make ourselves is about to end, and when [`Reloader::reload`] says so.
    pub fn renewed_from(mut self, sources: Sources, loaded: Loaded) -> Self {
        if let Some(listener) = self.listeners.len().checked_sub(1) {
            self.renewed.push(Renewed { listener, sources, loaded });
        }
        self
    }

    /// Whether files of certificates are looked at now and then, as they are if nothing is said.
    pub fn watch_certificates(mut self, watches: bool) -> Self {
        self.watches_certificates = watches;
        self
    }

    /// Starts exactly so many workers, instead of one a core.
    pub fn workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Keeps the workers on the first so many cores, and starts one for each if not told otherwise.
    pub fn cores(mut self, cores: NonZeroUsize) -> Self {
        self.cores = Some(cores);
        self
    }

    /// Makes room for so many connections, or does not start.
    ///
    /// Where the limit of open files demands it (Linux only), more workers are started than there
    /// are cores, and each gets a table of open files of its own. A descriptor then names different
    /// files on different threads: do not hand one to a service if it was opened after the start.
    pub fn room_for(mut self, connections: u64) -> Self {
        self.connections = Some(connections);
        self
    }

    /// Bounds what a peer and a core may use.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves metrics and health on `address`.
    pub fn admin(mut self, address: SocketAddr) -> Self {
        self.admin = Some(address);
        self
    }

    /// Gives connections so long to end after [`Running::stop`]; 10 s if nothing is said.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Makes sure that the ports are free and that there is room, and starts nothing.
    ///
    /// # Errors
    ///
    /// What [`Server::start`] would fail with.
    pub fn check(&self) -> Result<Size, ServerError> {
        self.reserve()?;
        self.reserve_admin()?;
        self.places().map(|places| places.size())
    }

    /// Starts the server; when this returns, it listens.
    ///
    /// Each worker makes a service of its own, on its own thread.
    ///
    /// # Errors
    ///
    /// The first thing that stands in the way; nothing runs then.
    pub fn start<V, F>(self, service: F) -> Result<Running, ServerError>
    where
        V: Service + 'static,
        F: Fn(WorkerId) -> V + Send + Sync + 'static,
    {
        let places = self.places()?;
        let size = places.size();
        let ports = self.reserve()?;
        let admin_port = self.reserve_admin()?;
        let addresses = ports.iter().map(Reservation::address).collect();
        let admin_address = admin_port.as_ref().map(Reservation::address);

        let crew = Crew::hire(&self, &places)?;
        let admin = admin_port.map(|port| AdminDesk::new(port, crew.metrics())).transpose()?;
        let handle = crew.handle();
        let (notices, heard) = unbounded();
        let (orders, ordered) = unbounded();
        let reloader = Reloader::new(orders);
        let renewal = self.renewal(&ports, handle.clone());
        let mut supervisor = Supervisor::new(heard, handle.clone(), self.drain_timeout);
        let limits = self.limits;
        supervisor.watch = self.memory.map(|gauge| Watch::new(gauge, limits, handle.clone()));
        supervisor.relief = self.relief.map(Relief::new);
        let begin = || {
            supervisor.await_listening(crew.start(&ports, &notices, service)?)?;
            supervisor.admin = admin.map(|desk| desk.start(&notices)).transpose()?;
            supervisor.reloader = Some(reloader.clone());
            if let Some(renewal) = renewal {
                let renewal = renewal.telling(supervisor.admin.clone());
                crew::spawn("certificates", move || renewal.run(&ordered))?;
            }
            crew::spawn("supervisor", move || supervisor.run())
        };
        // Nobody but us would tell those that have started already.
        let supervisor = begin().inspect_err(|_| handle.drain(Duration::ZERO))?;
        let stopper = Stopper(notices);
        Ok(Running { addresses, admin_address, size, handle, stopper, reloader, supervisor })
    }

    /// Takes the ports for this process.
    fn reserve(&self) -> Result<Vec<Reservation>, ServerError> {
        self.listeners.iter().map(|(address, _)| reserve(address)).collect()
    }

    /// What keeps the certificates as they are in their files, if there are any to keep.
    fn renewal(&self, ports: &[Reservation], handle: Handle) -> Option<Renewal> {
        let address = |renewed: &Renewed| {
            let port = ports.get(renewed.listener)?;
            Some((renewed.clone(), port.address().to_string()))
        };
        let renewed: Vec<_> = self.renewed.iter().filter_map(address).collect();
        let (clock, watches) = (Arc::new(DefaultTimeProvider), self.watches_certificates);
        (!renewed.is_empty()).then(|| Renewal::new(renewed, handle, clock, watches))
    }

    fn reserve_admin(&self) -> Result<Option<Reservation>, ServerError> {
        self.admin.map(|address| reserve(&address.to_string())).transpose()
    }
}

/// Takes the port at `address`, the first one that its name has.
fn reserve(address: &str) -> Result<Reservation, ServerError> {
    let no_address = |error| ServerError::Address { address: address.to_owned(), error };
    let mut found = address.to_socket_addrs().map_err(no_address)?;
    let first = found.next().ok_or_else(|| no_address(ErrorKind::NotFound.into()))?;
    listener::reserve(first)
        .map_err(|error| ServerError::Listen { address: address.to_owned(), error })
}

/// A server that runs.
///
/// Dropping it leaves the server running, like the handle of a thread.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin_address: Option<SocketAddr>,
    size: Size,
    handle: Handle,
    stopper: Stopper,
    reloader: Reloader,
    supervisor: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    /// Where it listens, in the order of the builder, with the ports that were chosen for 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where metrics and health are, if they are.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// How large it is.
    pub fn size(&self) -> &Size {
        &self.size
    }

    /// What publishes and closes from other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What stops the server from other threads.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// What makes the server read its certificates again, from other threads.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Takes nobody new, tells everybody to go (1001), and ends when all have gone or time is up.
    ///
    /// Returns at once; [`Running::join`] waits. A second call changes nothing.
    pub fn stop(&self) {
        self.stopper.stop();
    }

    /// Waits until the server has ended.
    ///
    /// # Errors
    ///
    /// The first thread that failed, and how.
    pub fn join(self) -> Result<(), ServerError> {
        self.supervisor.join().unwrap_or_else(|_| Err(ServerError::panicked("supervisor")))
    }
}

/// Stops a server, from any thread.
#[derive(Clone, Debug)]
pub struct Stopper(Sender<Notice>);

impl Stopper {
    /// Does what [`Running::stop`] does.
    pub fn stop(&self) {
        // A server that nobody listens in any more has stopped already.
        let _ = self.0.send(Notice::Stop);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::base::Key;
    use crate::worker::{Context, Incoming, Verdict};
    use crate::ws::Message;

    /// Answers every request with 404.
    struct Nothing;

    impl Service for Nothing {
        type State = ();

        fn upgrade(&mut self, _: &Incoming<'_>, _: &mut Context<'_, ()>) -> Verdict<()> {
            Verdict::accept(())
        }

        fn message(&mut self, _: Key, _: Message<'_>, _: &mut Context<'_, ()>) {}
    }

    const ANY: &str = "127.0.0.1:0";

    fn workers(count: usize) -> Server {
        Server::builder().workers(NonZeroUsize::new(count).unwrap())
    }

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_server_answers_wherever_it_listens_until_it_is_stopped() {
        let server = workers(3).listen(ANY).listen(ANY).admin(ANY.parse().unwrap());
        let server = server.start(|_| Nothing).unwrap();
        let addresses = server.addresses().to_vec();
        assert_eq!((addresses.len(), server.size().workers), (2, 3));
        for address in &addresses {
            assert!(get(*address, "/").starts_with("HTTP/1.1 404 "));
        }
        let admin = server.admin_address().unwrap();
        assert!(get(admin, "/health/ready").starts_with("HTTP/1.1 200 "));
        assert!(get(admin, "/metrics").contains("worker=\"2\""));
        server.stop();
        server.stop();
        server.join().unwrap();
        for address in addresses {
            assert!(TcpStream::connect(address).is_err(), "{address} still takes callers");
        }
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind(ANY).unwrap();
        let address = taken.local_addr().unwrap().to_string();
        for error in [
            workers(1).listen(&*address).check().unwrap_err(),
            workers(1).listen(&*address).start(|_| Nothing).unwrap_err(),
            workers(1).admin(taken.local_addr().unwrap()).start(|_| Nothing).unwrap_err(),
        ] {
            assert!(error.to_string().contains(&address), "{error}");
        }
    }

    #[test]
    fn a_checked_port_is_free_again() {
        let free = TcpListener::bind(ANY).unwrap().local_addr().unwrap().to_string();
        assert_eq!(workers(2).listen(&*free).check().unwrap().workers, 2);
        let server = workers(2).listen(&*free).start(|_| Nothing).unwrap();
        server.stop();
        server.join().unwrap();
    }

    #[test]
    fn what_is_no_address_is_named() {
        let error = workers(1).listen("nonsense").start(|_| Nothing).unwrap_err();
        assert!(error.to_string().contains("`nonsense`"), "{error}");
    }

    #[test]
    fn more_connections_than_files_allow_are_refused() {
        let error = workers(1).room_for(u64::MAX / 2).check().unwrap_err();
        assert!(matches!(error, ServerError::Room(_)), "{error}");
    }

    #[test]
    fn workers_stay_on_the_cores_that_they_are_given() {
        let one = Server::builder().cores(NonZeroUsize::MIN).listen(ANY);
        let size = one.check().unwrap();
        assert_eq!((size.workers, size.cores.len() <= 1), (1, true));
        let three = one.workers(NonZeroUsize::new(3).unwrap()).check().unwrap();
        assert_eq!((three.workers, three.cores), (3, size.cores));
    }

    #[test]
    fn a_server_does_not_start_with_some_of_its_workers() {
        let server = workers(2).listen(ANY).start(|worker| {
            assert_eq!(worker.index(), 0, "asked for");
            Nothing
        });
        let error = server.unwrap_err();
        assert!(error.to_string().contains("worker-1"), "{error}");
    }

    #[test]
    fn connections_end_in_time_when_the_server_stops() {
        let server = workers(1).listen(ANY).drain_timeout(Duration::ZERO);
        let server = server.start(|_| Nothing).unwrap();
        let mut stalled = TcpStream::connect(server.addresses()[0]).unwrap();
        stalled.write_all(b"GET / HT").unwrap();
        server.stopper().stop();
        server.join().unwrap();
        // Ended or reset, but over.
        let _ = stalled.read_to_end(&mut Vec::new());
    }
}
