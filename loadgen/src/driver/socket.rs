//! How the sockets of connections are set, beside what the reactor does.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use socket2::SockRef;

/// How sockets are to be set; what is `None` is left to the system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sockets {
    /// Whether small writes leave at once.
    pub has_nodelay: bool,
    /// Bytes of what arrived that the kernel keeps.
    pub receive_buffer: Option<usize>,
    /// Bytes that the kernel keeps until they are acknowledged.
    pub send_buffer: Option<usize>,
}

/// What the kernel keeps for one that reads slowly, unless told otherwise: with some megabytes a
/// server would not notice for minutes.
const SLOW_RECEIVE_BUFFER: usize = 4 * 1024;

impl Sockets {
    /// The same for one that reads slowly.
    pub fn for_slow(self) -> Self {
        Self { receive_buffer: self.receive_buffer.or(Some(SLOW_RECEIVE_BUFFER)), ..self }
    }
}

/// A stream whose socket can be set.
pub trait Socket: Read + Write {
    /// Sets it.
    ///
    /// # Errors
    ///
    /// What the system says against it.
    fn set(&self, how: &Sockets) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn set(&self, how: &Sockets) -> io::Result<()> {
        let socket = SockRef::from(self);
        // The reactor has said yes already.
        if !how.has_nodelay {
            socket.set_tcp_nodelay(false)?;
        }
        if let Some(bytes) = how.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        how.send_buffer.map_or(Ok(()), |bytes| socket.set_send_buffer_size(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_socket_is_set_as_it_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nodelay(true).unwrap();
        let how = Sockets { has_nodelay: true, receive_buffer: None, send_buffer: Some(16 * 1024) };
        let before = SockRef::from(&stream).recv_buffer_size().unwrap();
        stream.set(&how).unwrap();
        let sizes = || {
            let socket = SockRef::from(&stream);
            (socket.recv_buffer_size().unwrap(), socket.send_buffer_size().unwrap())
        };
        // Linux doubles what it is told, for what it keeps beside the bytes.
        assert!(stream.nodelay().unwrap() && sizes().0 == before);
        assert!((16 * 1024..=32 * 1024).contains(&sizes().1), "{:?}", sizes());
        stream.set(&Sockets { has_nodelay: false, ..how.for_slow() }).unwrap();
        assert!(!stream.nodelay().unwrap() && sizes().0 < before);
    }
}
