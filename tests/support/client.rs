//! WebSocket clients that share no code with us: tungstenite, over TCP or over rustls as it comes.
//!
//! Every read is bounded by [`PATIENCE`], so that a test fails where it would hang.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use corecast::tls::config::read_certificates;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, version};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

/// How long any one thing may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a WebSocket is carried by.
#[derive(Clone, Debug)]
pub(crate) enum Via {
    Plain,
    Tls(Arc<ClientConfig>),
}

impl Via {
    /// Plain, TLS 1.3 and TLS 1.2, both believing the authority in the file at `authority`.
    pub(crate) fn all(authority: &Path) -> [Self; 3] {
        let tls = |version| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(read_certificates(authority).unwrap());
            let config = ClientConfig::builder_with_protocol_versions(&[version]);
            Self::Tls(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
        };
        [Self::Plain, tls(&version::TLS13), tls(&version::TLS12)]
    }

    /// What carries bytes over `socket`.
    fn over(&self, socket: TcpStream) -> Carrier {
        match self {
            Self::Plain => Carrier::Plain(socket),
            Self::Tls(config) => {
                let name = ServerName::try_from("localhost").unwrap();
                let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
                Carrier::Tls(Box::new(TlsStream { socket, connection }))
            }
        }
    }
}

/// A socket whose reads are bounded.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// The answer to a GET of `path`, with its head.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    let mut socket = connect(address);
    write!(socket, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).unwrap();
    page
}

/// A WebSocket that has seen its 101.
pub(crate) struct Client(WebSocket<Carrier>);

impl Client {
    pub(crate) fn connect(address: SocketAddr, via: &Via, path: &str) -> Self {
        Self::over(connect(address), via, path).unwrap()
    }

    /// The same over a socket that is there already.
    pub(crate) fn over(socket: TcpStream, via: &Via, path: &str) -> Result<Self, String> {
        let carrier = via.over(socket);
        let (socket, _) = tungstenite::client(format!("ws://localhost{path}"), carrier)
            .map_err(|error| error.to_string())?;
        Ok(Self(socket))
    }

    pub(crate) fn say(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).unwrap();
    }

    /// The next message, after `Ping`s, which are answered on the way.
    pub(crate) fn hear(&mut self) -> Message {
        loop {
            match self.0.read().unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    }

    /// The next ping, which is answered when reading on.
    pub(crate) fn hear_ping(&mut self) {
        let message = self.0.read().unwrap();
        assert!(message.is_ping(), "{message:?}");
    }

    /// Whether what is said comes back.
    pub(crate) fn is_echoed(&mut self, text: &str) -> bool {
        self.say(text);
        self.hear() == text.into()
    }

    /// Closes, and expects its own code in return.
    pub(crate) fn close(mut self, code: CloseCode) {
        self.0.close(Some(CloseFrame { code, reason: "bye".into() })).unwrap();
        assert_eq!(self.closed().code, code);
    }

    /// The close that comes next. The stream must end behind it as TCP and TLS demand.
    pub(crate) fn closed(mut self) -> CloseFrame {
        let Message::Close(Some(frame)) = self.hear() else { panic!("no close") };
        let end = self.0.read();
        assert!(matches!(end, Err(Error::ConnectionClosed)), "behind {frame:?}: {end:?}");
        frame
    }
}

/// What carries the bytes of a WebSocket.
pub(crate) enum Carrier {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Read for Carrier {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for Carrier {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// rustls over a socket.
pub(crate) struct TlsStream {
    socket: TcpStream,
    connection: ClientConnection,
}

impl TlsStream {
    /// Takes in what the peer sends next, after sending what waits.
    fn receive(&mut self) -> io::Result<()> {
        self.flush()?;
        self.connection.read_tls(&mut self.socket)?;
        self.connection.process_new_packets().map_err(io::Error::other)?;
        Ok(())
    }
}

impl Read for TlsStream {
    /// A stream that ends without a `close_notify` is an error.
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.receive()?,
                outcome => return outcome,
            }
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.connection.writer().write(bytes)?;
        self.flush()?;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}
