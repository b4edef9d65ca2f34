//! Sockets as a push server wants them: never blocking, small frames never held back.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::RawFd;
use std::time::Duration;

use crate::base::Stream;

impl Stream for TcpStream {
    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// A TCP socket for `address` that may take a port which old connections still linger on.
pub(super) fn new(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// Begins a connection to `to`; it becomes writable when it has succeeded, or errs.
///
/// With `from` it leaves from that address and port, which costs the system no search, and closing
/// it sends a reset: a port that its owner chose must not be held by `TIME_WAIT`, because the
/// owner will choose it again.
pub(super) fn connect(to: SocketAddr, from: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = new(to)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(from) = from {
        socket.bind(&from.into())?;
        socket.set_linger(Some(Duration::ZERO))?;
    }
    match socket.connect(&to.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// Whether connecting goes on although the call has returned.
fn is_under_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR))
}

/// Ends both directions of `stream`, so that whoever reads it next finds the end.
///
/// An error is of no interest: then the stream has ended already.
pub(super) fn shut_down(stream: RawFd) {
    // SAFETY: The call takes two numbers and touches no memory of ours. Its caller has just given
    // the stream away under a key, so the descriptor is open and nobody else's.
    #[allow(unsafe_code)]
    unsafe {
        libc::shutdown(stream, libc::SHUT_RDWR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read};
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    fn unused_address() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[test]
    fn a_connection_leaves_from_the_port_it_was_given() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let from = unused_address();
        let stream = connect(listener.local_addr().unwrap(), Some(from)).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer, from);
        assert_eq!(stream.local_addr().unwrap(), from);
        assert!(stream.nodelay().unwrap());
    }

    #[test]
    fn a_connection_from_a_port_of_ours_closes_with_a_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        drop(connect(listener.local_addr().unwrap(), Some(unused_address())).unwrap());
        let (mut accepted, _) = listener.accept().unwrap();
        assert_eq!(accepted.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_stream_that_was_shut_down_reads_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        shut_down(stream.as_raw_fd());
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}
