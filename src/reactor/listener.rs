//! Who gets in: a port is reserved once, then every worker listens at it for itself.
//!
//! ```text
//!  reserve(address) -> Reservation   one, before the workers start: a taken port is an error
//!    .seat()        -> Seat          one a worker, sent to its thread
//!      .listen()    -> TcpListener   there, once the worker has its own table of files
//! ```
//!
//! On Linux the kernel spreads callers over the listeners (`SO_REUSEPORT`); elsewhere there is one
//! listener, shared by all. A reservation is dropped when all workers listen.
//!
//! Running out of descriptors must not stop a server. One is kept to spare: it is given up to
//! take the next caller in and close it at once, so that nobody hangs in the queue for a minute
//! and the loop does not spin on a listener that stays ready. Loops that share a table would lose
//! theirs to each other, so they turn callers away a little before the table is full.

use super::socket;
use socket2::{SockRef, Socket};
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// How many callers the system may queue; it cuts the number to its own limit.
const BACKLOG: i32 = 16 * 1024;

/// How long a listener rests after an error that the next try would only repeat.
const REST: Duration = Duration::from_millis(100);

/// How often a log line may say that callers were turned away.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);

/// A port that is ours.
#[derive(Debug)]
pub struct Reservation {
    socket: Socket,
    address: SocketAddr,
}

/// Takes `address` for this process; a port that anybody else listens at is an error.
pub fn reserve(address: SocketAddr) -> io::Result<Reservation> {
    let socket = socket::new(address)?;
    socket.bind(&address.into())?;
    share(&socket)?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(Reservation { socket, address })
}

/// Lets our own listeners in beside the reservation.
///
/// The order is the point: bound without the option, the port must be free of all others; only
/// then does the option admit the workers, which set it before they bind.
#[cfg(target_os = "linux")]
fn share(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(target_os = "linux"))]
fn share(socket: &Socket) -> io::Result<()> {
    begin_listening(socket)
}

impl Reservation {
    /// The address, with the port that the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// One worker's right to listen here.
    #[cfg(target_os = "linux")]
    pub fn seat(&self) -> io::Result<Seat> {
        // Only the address travels: a descriptor would name another file in the worker's table.
        debug_assert!(self.socket.reuse_port()?, "a port that nobody may share");
        Ok(Seat { address: self.address })
    }

    /// One worker's right to listen here.
    #[cfg(not(target_os = "linux"))]
    pub fn seat(&self) -> io::Result<Seat> {
        Ok(Seat { socket: self.socket.try_clone()? })
    }
}

/// One worker's right to listen at a reserved port; it may travel to the worker's thread.
#[derive(Debug)]
pub struct Seat {
    #[cfg(target_os = "linux")]
    address: SocketAddr,
    #[cfg(not(target_os = "linux"))]
    socket: Socket,
}

impl Seat {
    /// Listens, while the reservation stands.
    #[cfg(target_os = "linux")]
    pub fn listen(self) -> io::Result<TcpListener> {
        let socket = socket::new(self.address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&self.address.into())?;
        begin_listening(&socket)?;
        Ok(socket.into())
    }

    /// Listens, together with all others who have a seat.
    #[cfg(not(target_os = "linux"))]
    pub fn listen(self) -> io::Result<TcpListener> {
        Ok(self.socket.into())
    }
}

/// Sets what accepted streams inherit, which saves a call for each of them, and listens.
fn begin_listening(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.listen(BACKLOG)
}

/// Lets the system drop what `listener` accepts from now on as soon as a peer has acknowledged
/// nothing for so long (`TCP_USER_TIMEOUT`), be it that its window is closed or that it is gone.
#[cfg(target_os = "linux")]
pub fn drop_unacknowledged(listener: &TcpListener, timeout: Duration) -> io::Result<()> {
    SockRef::from(listener).set_tcp_user_timeout(Some(timeout))
}

/// Other systems have no such thing; the time-outs of the worker hold there too.
#[cfg(not(target_os = "linux"))]
pub fn drop_unacknowledged(_: &TcpListener, _: Duration) -> io::Result<()> {
    Ok(())
}

/// A listener as its loop knows it.
#[derive(Debug)]
pub(super) struct Listener {
    socket: mio::net::TcpListener,
    queue: Queue,
}

/// What is known of those who wait at a listener. News of it comes once, so it must be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Queue {
    Empty,
    /// Somebody may wait.
    Waiting,
    /// Somebody may wait, but accepting makes no sense until then.
    Resting(Instant),
}

/// Who was at the listener.
#[derive(Debug)]
pub(super) enum Caller {
    /// Somebody, who is in now.
    Stream(TcpStream, SocketAddr),
    /// Somebody who left before.
    Gone,
    /// Somebody for whom there was no file.
    TurnedAway,
    /// Nobody, or nobody who can be let in now.
    Nobody,
}

impl Listener {
    pub(super) fn new(socket: TcpListener) -> Self {
        Self { socket: mio::net::TcpListener::from_std(socket), queue: Queue::Waiting }
    }

    /// What a poller watches.
    pub(super) fn source(&mut self) -> &mut mio::net::TcpListener {
        &mut self.socket
    }

    /// Notes that somebody has come.
    pub(super) fn knock(&mut self) {
        if self.queue == Queue::Empty {
            self.queue = Queue::Waiting;
        }
    }

    /// Lets the next in.
    pub(super) fn accept(&mut self, spare: &mut Spare, now: Instant) -> Caller {
        if !self.is_due(now) {
            return Caller::Nobody;
        }
        match self.socket.accept() {
            Ok((stream, peer)) => spare.admit(stream.into(), peer, now),
            Err(error) if is_exhausted(&error) => match spare.turn_away(&self.socket, now) {
                Ok(()) => Caller::TurnedAway,
                Err(error) => self.give_up(&error, spare, now),
            },
            Err(error) => self.give_up(&error, spare, now),
        }
    }

    /// Whether accepting is worth a try.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        match self.queue {
            Queue::Empty => false,
            Queue::Waiting => true,
            Queue::Resting(until) => until <= now,
        }
    }

    /// When to try again although nobody knocks.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.queue {
            Queue::Resting(until) => Some(until),
            Queue::Empty | Queue::Waiting => None,
        }
    }

    fn give_up(&mut self, error: &io::Error, spare: &mut Spare, now: Instant) -> Caller {
        if is_of_the_caller(error) {
            return Caller::Gone;
        }
        self.queue = if error.kind() == io::ErrorKind::WouldBlock {
            Queue::Empty
        } else {
            spare.complain(error, now);
            Queue::Resting(now + REST)
        };
        Caller::Nobody
    }
}

/// Whether this process, or the system, has too many files open.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Whether the trouble was that caller's alone, so that the next one may be fine.
///
/// Linux tells by accept(2) what already went wrong with the new connection.
fn is_of_the_caller(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::EINTR
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::EPERM
                | libc::EPROTO
                | libc::ETIMEDOUT
        )
    )
}

/// The descriptor that is given up when there is no other.
#[derive(Debug)]
pub(super) struct Spare {
    file: Option<File>,
    /// Descriptors from this number on are not for callers.
    ceiling: u64,
    turned_away: u64,
    complained: Option<Instant>,
}

impl Spare {
    pub(super) fn new() -> io::Result<Self> {
        let file = Some(open_nothing()?);
        Ok(Self { file, ceiling: u64::MAX, turned_away: 0, complained: None })
    }

    /// Keeps the last `margin` files of a table of `limit` from callers.
    pub(super) fn keep_free(&mut self, limit: u64, margin: u64) {
        self.ceiling = limit.saturating_sub(margin);
    }

    /// Lets a caller in, unless it would take one of the last files.
    ///
    /// The system gives the lowest number that is free, so a high one tells that few are left.
    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, now: Instant) -> Caller {
        if u64::try_from(stream.as_raw_fd()).is_ok_and(|number| number < self.ceiling) {
            return Caller::Stream(stream, peer);
        }
        drop(stream);
        self.note_turned_away(now);
        Caller::TurnedAway
    }

    /// Takes the next caller in, and closes at once.
    ///
    /// The system reports the lack before it looks who waits, so there may be nobody.
    fn turn_away(&mut self, listener: &mio::net::TcpListener, now: Instant) -> io::Result<()> {
        drop(self.file.take());
        let outcome = listener.accept().map(drop);
        self.file = open_nothing().ok();
        outcome?;
        self.note_turned_away(now);
        Ok(())
    }

    fn note_turned_away(&mut self, now: Instant) {
        self.turned_away += 1;
        self.complain(&io::Error::from_raw_os_error(libc::EMFILE), now);
    }

    /// Says so, but seldom: a server in need does not need a full disk as well.
    fn complain(&mut self, error: &io::Error, now: Instant) {
        let is_fresh = |last| now.saturating_duration_since(last) < COMPLAINT_INTERVAL;
        if !self.complained.is_some_and(is_fresh) {
            self.complained = Some(now);
            log::warn!("cannot accept: {error}; {} turned away so far", self.turned_away);
        }
    }
}

/// A descriptor that means nothing.
fn open_nothing() -> io::Result<File> {
    File::open("/dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::real_now;
    use std::io::Read;

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_port_that_somebody_listens_at_is_refused() {
        let stranger = TcpListener::bind(loopback()).unwrap();
        let error = reserve(stranger.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_port_that_our_own_workers_listen_at_is_refused() {
        let reservation = reserve(loopback()).unwrap();
        let _listener = reservation.seat().unwrap().listen().unwrap();
        let error = reserve(reservation.address()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn all_workers_listen_at_the_port_that_was_reserved() {
        let reservation = reserve(loopback()).unwrap();
        let listeners = [(); 3].map(|()| reservation.seat().unwrap().listen().unwrap());
        for listener in listeners {
            assert_eq!(listener.local_addr().unwrap(), reservation.address());
        }
    }

    #[test]
    fn what_is_accepted_holds_no_small_frame_back() {
        let socket = reserve(loopback()).unwrap().seat().unwrap().listen().unwrap();
        let _peer = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
        let mut listener = Listener::new(socket);
        let mut spare = Spare::new().unwrap();
        let Caller::Stream(stream, _) = listener.accept(&mut spare, real_now()) else {
            panic!("nobody came in");
        };
        assert!(stream.nodelay().unwrap());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_accepted_has_the_time_out_of_its_listener() {
        let socket = reserve(loopback()).unwrap().seat().unwrap().listen().unwrap();
        let timeout = Duration::from_secs(30);
        drop_unacknowledged(&socket, timeout).unwrap();
        let _peer = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
        let caller = Listener::new(socket).accept(&mut Spare::new().unwrap(), real_now());
        let Caller::Stream(stream, _) = caller else { panic!("nobody came in") };
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), Some(timeout));
    }

    #[test]
    fn a_caller_who_would_take_one_of_the_last_files_is_turned_away() {
        let socket = reserve(loopback()).unwrap().seat().unwrap().listen().unwrap();
        let address = socket.local_addr().unwrap();
        let mut listener = Listener::new(socket);
        let mut spare = Spare::new().unwrap();
        for (margin, is_let_in) in [(0, true), (1 << 20, false)] {
            let mut peer = TcpStream::connect(address).unwrap();
            spare.keep_free(1 << 20, margin);
            let caller = listener.accept(&mut spare, real_now());
            assert_eq!(matches!(caller, Caller::Stream(..)), is_let_in, "{caller:?}");
            drop(caller);
            assert_eq!(peer.read(&mut [0]).unwrap(), 0, "closed on");
        }
        assert_eq!(spare.turned_away, 1);
    }

    #[test]
    fn an_empty_listener_is_due_when_somebody_knocks() {
        let now = real_now();
        let socket = reserve(loopback()).unwrap().seat().unwrap().listen().unwrap();
        let mut listener = Listener::new(socket);
        assert!(matches!(listener.accept(&mut Spare::new().unwrap(), now), Caller::Nobody));
        assert!(!listener.is_due(now));
        listener.knock();
        assert!(listener.is_due(now));
    }

    #[test]
    fn a_listener_rests_after_an_error_that_would_come_again() {
        let now = real_now();
        let socket = reserve(loopback()).unwrap().seat().unwrap().listen().unwrap();
        let mut listener = Listener::new(socket);
        let error = io::Error::from_raw_os_error(libc::ENOBUFS);
        listener.give_up(&error, &mut Spare::new().unwrap(), now);
        listener.knock();
        assert!(!listener.is_due(now));
        assert_eq!(listener.deadline(), Some(now + REST));
        assert!(listener.is_due(now + REST));
    }

    #[test]
    fn a_caller_who_left_does_not_hold_up_the_next() {
        let now = real_now();
        let socket = reserve(loopback()).unwrap().seat().unwrap().listen().unwrap();
        let mut listener = Listener::new(socket);
        let error = io::Error::from_raw_os_error(libc::ECONNABORTED);
        let caller = listener.give_up(&error, &mut Spare::new().unwrap(), now);
        assert!(matches!(caller, Caller::Gone));
        assert!(listener.is_due(now));
    }
}
