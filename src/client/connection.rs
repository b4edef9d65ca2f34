//! One connection to a server, with or without TLS, that waits where its user wants it to.
//!
//! ```text
//!   socket --read--> scratch --open--> received --take--> the user
//!   socket <-write-- outgoing <--seal-- send
//! ```
//!
//! The socket never blocks: all waiting is done in [`Connection::turn`], where other files can be
//! waited for as well. Nothing is read while what was read has not been taken, and
//! [`BACKLOG_BYTES_MAX`] says when to stop sending: so a peer that does not read costs no memory.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::failure::{Awaited, Failure};
use super::url::Url;
use super::wait::{self, Interest};
use crate::base::Input;
use crate::tls::{ClientConfig, Fault, Negotiated, Opened, SCRATCH_BYTES_MIN, ServerName, Tls};

/// How much may wait to be written before nothing more should be sent.
pub const BACKLOG_BYTES_MAX: usize = 256 * 1024;

/// How to get to a server.
#[derive(Clone, Debug)]
pub struct Dialer {
    /// How to speak TLS. Only what is not secure can be reached without.
    pub tls: Option<Arc<ClientConfig>>,
    /// Whom the server must prove to be, if not the host that its URL names.
    pub server_name: Option<String>,
    /// How long each of these may take: to connect, to shake hands, to answer, to say more, to take
    /// what is sent. Resolving a name takes as long as the system's resolver is told to try.
    pub timeout: Duration,
}

/// A connection to a server.
pub struct Connection {
    stream: TcpStream,
    tls: Option<Tls>,
    scratch: Box<[u8]>,
    /// Plaintext, from `taken` on.
    received: Vec<u8>,
    taken: usize,
    /// What is still to be written.
    outgoing: Vec<u8>,
    /// Why nothing can be written any more. What is there to read may say why that is.
    broken: Option<io::Error>,
    end: Option<End>,
    farewell: Farewell,
    timeout: Duration,
}

/// How far we are in ending our sending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Farewell {
    Unsaid,
    /// It is behind what is to be written.
    Queued,
    Said,
}

/// How the server ended its sending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// As it should.
    Proper,
    /// Without the last word of TLS: anybody on the way may have done it.
    Truncated,
}

/// What waiting came to.
#[derive(Clone, Copy, Debug)]
pub struct Turn<const N: usize> {
    /// Which of the other files are ready.
    pub ready: [bool; N],
    /// Whether something came or went on the connection itself.
    pub has_moved: bool,
    /// Whether the deadline has passed.
    pub is_late: bool,
}

impl Connection {
    /// Connects to the server of `url`, over TLS if its scheme wants that; the server has proved
    /// itself then.
    ///
    /// # Errors
    ///
    /// Why there is no connection.
    pub fn open(url: &Url, dialer: &Dialer) -> Result<Self, Failure> {
        let tls = url.scheme.is_secure().then(|| secured(url, dialer)).transpose()?;
        let mut connection = Self {
            stream: reach(url, dialer.timeout)?,
            tls,
            scratch: vec![0; SCRATCH_BYTES_MIN].into(),
            received: Vec::new(),
            taken: 0,
            outgoing: Vec::new(),
            broken: None,
            end: None,
            farewell: Farewell::Unsaid,
            timeout: dialer.timeout,
        };
        connection.shake_hands()?;
        Ok(connection)
    }

    /// What TLS has settled, and with whom; nothing without TLS.
    pub fn negotiated(&self) -> Option<Negotiated<'_>> {
        self.tls.as_ref()?.negotiated()
    }

    /// The address of the server, while the connection stands.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    /// When waiting ends that begins now.
    pub fn deadline(&self) -> Instant {
        wait::deadline(self.timeout)
    }

    /// Lets `read` take of what has arrived.
    pub fn take<T>(&mut self, read: impl FnOnce(&mut Input<'_>) -> T) -> T {
        let (_, unread) = self.received.split_at_mut(self.taken);
        let mut input = Input::new(unread);
        let outcome = read(&mut input);
        let left_len = input.len();
        self.taken = self.received.len() - left_len;
        if left_len == 0 {
            self.received.clear();
            self.taken = 0;
        }
        outcome
    }

    /// How the server ended its sending, once all that it sent has been taken.
    pub fn end(&self) -> Option<End> {
        self.end.filter(|_| self.received.is_empty())
    }

    /// Puts `bytes` behind what is to be written; [`Connection::turn`] writes it.
    ///
    /// # Errors
    ///
    /// [`Failure::Tls`] if TLS can carry nothing more.
    ///
    /// # Panics
    ///
    /// After [`Connection::finish`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        assert_eq!(self.farewell, Farewell::Unsaid, "nothing is said after the last word");
        match &mut self.tls {
            _ if self.broken.is_some() => {}
            Some(tls) => tls.seal(bytes, &mut self.outgoing)?,
            None => self.outgoing.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// How many bytes wait to be written.
    pub fn backlog(&self) -> usize {
        self.outgoing.len()
    }

    /// Says that nothing more will be sent: by the last word of TLS and then by that of TCP.
    pub fn finish(&mut self) {
        if self.farewell == Farewell::Unsaid {
            self.farewell = Farewell::Queued;
            if let Some(tls) = &mut self.tls {
                tls.close(&mut self.outgoing);
            }
        }
    }

    /// Waits until something moves on the connection, or one of `others` has something to read, or
    /// `deadline` has passed; writes and reads what can be.
    ///
    /// # Errors
    ///
    /// Why the connection cannot go on. What arrived before can still be taken.
    pub fn turn<const N: usize>(
        &mut self,
        others: [Option<BorrowedFd<'_>>; N],
        deadline: Option<Instant>,
    ) -> Result<Turn<N>, Failure> {
        let has_written = self.flush();
        let interest = Interest {
            read: self.end.is_none() && self.received.is_empty(),
            write: !self.outgoing.is_empty(),
        };
        // What has moved already is not waited for.
        let until = if has_written { Some(wait::deadline(Duration::ZERO)) } else { deadline };
        let (is_ready, ready) =
            wait::wait((self.stream.as_fd(), interest), others, until).map_err(Failure::Local)?;
        if is_ready && interest.read {
            self.receive()?;
        }
        self.flush();
        let is_late = deadline.is_some_and(|deadline| wait::left(deadline).is_none());
        Ok(Turn { ready, has_moved: has_written || is_ready, is_late })
    }

    /// Waits until something moves on the connection.
    ///
    /// # Errors
    ///
    /// [`Failure::TimedOut`] once `deadline` has passed, or why the connection cannot go on.
    pub fn advance(&mut self, deadline: Instant, awaited: Awaited) -> Result<(), Failure> {
        loop {
            match self.turn([], Some(deadline))? {
                Turn { has_moved: true, .. } => return Ok(()),
                Turn { is_late: true, .. } => return Err(Failure::TimedOut(awaited)),
                Turn { .. } => {}
            }
        }
    }

    /// Writes all that is to be written.
    ///
    /// # Errors
    ///
    /// [`Failure::TimedOut`] if the server takes nothing, or why the connection cannot go on.
    pub fn drain(&mut self) -> Result<(), Failure> {
        while self.backlog() > 0 {
            self.advance(self.deadline(), Awaited::Reader)?;
        }
        self.flush();
        Ok(())
    }

    /// Looks, without waiting, whether the server has ended what it might have been asked next.
    pub(super) fn is_fit(&mut self) -> bool {
        self.turn([], Some(wait::deadline(Duration::ZERO))).is_ok()
            && self.end.is_none()
            && self.received.is_empty()
    }

    fn shake_hands(&mut self) -> Result<(), Failure> {
        let deadline = self.deadline();
        self.understand(0)?;
        while self.tls.as_ref().is_some_and(Tls::is_handshaking) {
            self.advance(deadline, Awaited::Handshake)?;
        }
        self.flush();
        Ok(())
    }

    /// Reads once, and takes in what came.
    fn receive(&mut self) -> Result<(), Failure> {
        let kept = self.tls.as_mut().map_or(0, |tls| tls.restore(&mut self.scratch));
        let (_, free) = self.scratch.split_at_mut(kept);
        match self.stream.read(free) {
            Ok(0) => self.hear_end(),
            Ok(len) => self.understand(kept + len),
            // What was kept is kept nowhere else now.
            Err(error) if is_nothing(&error) => self.understand(kept),
            Err(error) => Err(Failure::Broken(self.broken.take().unwrap_or(error))),
        }
    }

    /// Makes plaintext of the first `len` bytes of the scratch.
    fn understand(&mut self, len: usize) -> Result<(), Failure> {
        let (arrived, _) = self.scratch.split_at_mut(len);
        let Some(tls) = &mut self.tls else {
            self.received.extend_from_slice(arrived);
            return Ok(());
        };
        let mut input = Input::new(arrived);
        loop {
            match tls.open(&mut input, &mut self.outgoing) {
                Ok(Opened::Plaintext(plaintext)) => self.received.extend_from_slice(plaintext),
                Ok(Opened::Established(_)) => {}
                Ok(Opened::Wanting) => return Ok(()),
                Ok(Opened::Closed) => {
                    self.end = Some(End::Proper);
                    return Ok(());
                }
                Err(fault) => {
                    // The server is told why, if it still listens.
                    self.flush();
                    return Err(Failure::Tls(fault));
                }
            }
        }
    }

    /// Takes in that the server's TCP has ended.
    fn hear_end(&mut self) -> Result<(), Failure> {
        if let Some(error) = self.broken.take() {
            return Err(Failure::Broken(error));
        }
        self.end = Some(match &self.tls {
            None => End::Proper,
            Some(tls) if tls.is_handshaking() => return Err(Failure::HungUp),
            Some(_) => End::Truncated,
        });
        Ok(())
    }

    /// Writes what the socket takes, and tells whether that was anything.
    fn flush(&mut self) -> bool {
        let mut written = 0;
        while let Some(rest) = self.outgoing.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(len) => written += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.broken = Some(error);
                    written = self.outgoing.len();
                }
            }
        }
        self.outgoing.drain(..written);
        if self.farewell == Farewell::Queued && self.outgoing.is_empty() {
            self.farewell = Farewell::Said;
            // Who has gone already need not be told.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        written > 0
    }
}

/// Whether a read brought nothing, and no harm.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Our side of TLS with the server that `url` or `dialer` names.
fn secured(url: &Url, dialer: &Dialer) -> Result<Tls, Failure> {
    let name = dialer.server_name.as_ref().unwrap_or(&url.host);
    let unprovable = || Failure::Unprovable(name.clone());
    let name = ServerName::try_from(name.clone()).map_err(|_| unprovable())?;
    let config = dialer.tls.as_ref().ok_or(Failure::Tls(Fault::Internal))?;
    Ok(Tls::client(config, name)?)
}

/// Connects to the first address of the host that takes a connection. Each has a fair part of the
/// time, so that one that is silent does not stand for all.
fn reach(url: &Url, timeout: Duration) -> Result<TcpStream, Failure> {
    let addresses = url.resolve().map_err(Failure::Unknown)?;
    let deadline = wait::deadline(timeout);
    let mut last = io::Error::other("the name has no address");
    for (address, to_come) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let Some(left) = wait::left(deadline) else { break };
        let part = left / u32::try_from(to_come).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, part.max(Duration::from_millis(1))) {
            Ok(stream) => return prepared(stream).map_err(Failure::Local),
            Err(error) => last = error,
        }
    }
    Err(match last.kind() {
        ErrorKind::TimedOut => Failure::TimedOut(Awaited::Connection),
        _ => Failure::Unreachable(last),
    })
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
