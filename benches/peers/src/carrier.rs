//! How the load reaches a server: over TCP as it is, or through TLS 1.3.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, version};

use crate::Failure;

/// What every connection of a load is to be.
#[derive(Clone)]
pub enum Via {
    /// TCP.
    Plain,
    /// TLS 1.3 on it.
    Tls(Arc<ClientConfig>),
}

impl Via {
    /// TLS that trusts the authorities in the PEM file at `path`, to a server called `localhost`.
    pub fn tls(path: &Path) -> Result<Self, Failure> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_reader_iter(BufReader::new(File::open(path)?)) {
            roots.add(certificate?)?;
        }
        let config = ClientConfig::builder_with_protocol_versions(&[&version::TLS13]);
        Ok(Self::Tls(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
    }

    /// Connects, and waits for TLS to be established.
    pub fn connect(&self, address: SocketAddr) -> Result<Carrier, Failure> {
        let mut socket = std::net::TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let tls = match self {
            Self::Plain => None,
            Self::Tls(config) => {
                let name = ServerName::try_from("localhost")?;
                let mut tls = ClientConnection::new(config.clone(), name)?;
                while tls.is_handshaking() {
                    while tls.wants_write() {
                        tls.write_tls(&mut socket)?;
                    }
                    if tls.is_handshaking() {
                        tls.read_tls(&mut socket)?;
                        tls.process_new_packets()?;
                    }
                }
                while tls.wants_write() {
                    tls.write_tls(&mut socket)?;
                }
                Some(Box::new(tls))
            }
        };
        socket.set_nonblocking(true)?;
        Ok(Carrier { socket: TcpStream::from_std(socket), tls })
    }
}

/// A connection of the load, which does not block.
pub struct Carrier {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Carrier {
    /// What a poll watches.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }
}

impl Read for Carrier {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(bytes) };
        loop {
            match tls.reader().read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl Write for Carrier {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.write(bytes) };
        let len = tls.writer().write(bytes)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
