//! Both sides of our TLS in memory, driven the way a worker drives one of them, and rustls as it
//! comes for a stranger.

use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use corecast::base::Input;
use corecast::tls::config::{self, Identity, Trust};
use corecast::tls::{Fault, Opened, SCRATCH_BYTES_MIN, ServerConfig, Tls, pki};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CipherSuite, ClientConfig, ClientConnection, Connection, ServerConnection,
    SupportedProtocolVersion,
};

/// One certificate for all tests, and who issued it.
pub(crate) struct Certificates {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
}

pub(crate) static CERTIFICATES: LazyLock<Certificates> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let made = pki::development(directory.path(), SystemTime::now()).unwrap();
    let authorities = config::read_certificates(&made.authority).unwrap();
    Certificates { chain: made.identity.chain, key: made.identity.key, authorities }
});

impl Certificates {
    pub(crate) fn identity(&self) -> Identity {
        Identity { chain: self.chain.clone(), key: self.key.clone_key() }
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::Authorities(self.authorities.clone())
    }
}

pub(crate) fn server_config() -> Arc<ServerConfig> {
    config::server_config(CERTIFICATES.identity()).unwrap()
}

pub(crate) fn client_config() -> Arc<ClientConfig> {
    config::client_config(CERTIFICATES.trust()).unwrap()
}

pub(crate) fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// One side, and what has become of it.
pub(crate) struct Peer {
    pub(crate) tls: Tls,
    pub(crate) received: Vec<u8>,
    pub(crate) established: u32,
    pub(crate) identity: Option<Box<corecast::tls::Identity>>,
    pub(crate) is_closed: bool,
}

impl Peer {
    pub(crate) fn new(tls: Tls) -> Self {
        Self { tls, received: Vec::new(), established: 0, identity: None, is_closed: false }
    }

    pub(crate) fn server() -> Self {
        Self::new(Tls::server(&server_config()).unwrap())
    }

    pub(crate) fn client() -> Self {
        Self::new(Tls::client(&client_config(), localhost()).unwrap())
    }

    /// Takes in `bytes` as one read would bring them; gives back what is to be sent, and the fault
    /// if there was one.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> (Vec<u8>, Result<(), Fault>) {
        let mut scratch = vec![0; SCRATCH_BYTES_MIN.max(2 * bytes.len())];
        let kept = self.tls.restore(&mut scratch);
        scratch[kept..kept + bytes.len()].copy_from_slice(bytes);
        let mut input = Input::new(&mut scratch[..kept + bytes.len()]);
        let mut reply = Vec::new();
        loop {
            match self.tls.open(&mut input, &mut reply) {
                Ok(Opened::Plaintext(plaintext)) => {
                    assert!(!plaintext.is_empty());
                    self.received.extend_from_slice(plaintext);
                    plaintext.fill(0xEE); // it is ours to write to
                }
                Ok(Opened::Established(identity)) => {
                    self.established += 1;
                    self.identity = identity;
                }
                Ok(Opened::Wanting) => break (reply, Ok(())),
                Ok(Opened::Closed) => {
                    self.is_closed = true;
                    break (reply, Ok(()));
                }
                Err(fault) => break (reply, Err(fault)),
            }
        }
    }

    /// The same, where no fault is expected.
    pub(crate) fn take_in(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (reply, outcome) = self.feed(bytes);
        outcome.unwrap();
        reply
    }

    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.tls.seal(plaintext, &mut out).unwrap();
        out
    }

    pub(crate) fn close(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.tls.close(&mut out);
        out
    }

    pub(crate) fn take_received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received)
    }
}

/// Lets the two talk until neither has anything to say.
pub(crate) fn converse(client: &mut Peer, server: &mut Peer) {
    let mut to_server = client.take_in(&[]);
    while !to_server.is_empty() {
        let to_client = server.take_in(&to_server);
        to_server = client.take_in(&to_client);
    }
}

/// A client and a server of ours that have shaken hands.
pub(crate) fn pair() -> (Peer, Peer) {
    let (mut client, mut server) = (Peer::client(), Peer::server());
    converse(&mut client, &mut server);
    assert_eq!((client.established, server.established), (1, 1));
    (client, server)
}

/// rustls as it comes, which knows nothing of our record layer.
pub(crate) struct Stranger {
    pub(crate) connection: Connection,
    received: Vec<u8>,
    has_peer_closed: bool,
}

impl Stranger {
    fn new(connection: Connection) -> Self {
        Self { connection, received: Vec::new(), has_peer_closed: false }
    }

    /// A client that offers nothing but this.
    pub(crate) fn client(version: &'static SupportedProtocolVersion, suite: CipherSuite) -> Self {
        Self::client_of(&Self::client_config(version, suite))
    }

    /// Another client of `config`, which shares its tickets.
    pub(crate) fn client_of(config: &Arc<ClientConfig>) -> Self {
        Self::new(ClientConnection::new(Arc::clone(config), localhost()).unwrap().into())
    }

    /// A client that wants the server to be called `name`.
    pub(crate) fn named(config: &Arc<ClientConfig>, name: ServerName<'static>) -> Self {
        Self::new(ClientConnection::new(Arc::clone(config), name).unwrap().into())
    }

    /// What a client that offers nothing but this is told.
    pub(crate) fn client_config(
        version: &'static SupportedProtocolVersion,
        suite: CipherSuite,
    ) -> Arc<ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(CERTIFICATES.authorities.clone());
        let config = ClientConfig::builder_with_provider(provider(suite))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    /// A server that takes nothing but this.
    pub(crate) fn server(version: &'static SupportedProtocolVersion, suite: CipherSuite) -> Self {
        let Identity { chain, key } = CERTIFICATES.identity();
        let config = rustls::ServerConfig::builder_with_provider(provider(suite))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::new(ServerConnection::new(Arc::new(config)).unwrap().into())
    }

    /// What it sends to say `plaintext`, after what it has to send anyway.
    pub(crate) fn say(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.connection.writer().write_all(plaintext).unwrap();
        let mut out = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut out).unwrap();
        }
        out
    }

    /// Takes in `bytes`; gives back what it has to send.
    pub(crate) fn take_in(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        while !bytes.is_empty() {
            self.connection.read_tls(&mut bytes).unwrap();
            let state = self.connection.process_new_packets().unwrap();
            self.has_peer_closed |= state.peer_has_closed();
            let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
            self.connection.reader().read_exact(&mut plaintext).unwrap();
            self.received.extend(plaintext);
        }
        self.say(&[])
    }

    /// The alert in `bytes`, which end the connection.
    pub(crate) fn alert_in(&mut self, mut bytes: &[u8]) -> Option<AlertDescription> {
        while !bytes.is_empty() {
            self.connection.read_tls(&mut bytes).unwrap();
            match self.connection.process_new_packets() {
                Ok(_) => {}
                Err(rustls::Error::AlertReceived(alert)) => return Some(alert),
                Err(error) => panic!("no alert, but {error}"),
            }
        }
        None
    }

    /// The certificate that a server shows in its `flight`.
    pub(crate) fn shown_in(&mut self, flight: &[u8]) -> CertificateDer<'static> {
        self.take_in(flight);
        self.connection.peer_certificates().unwrap()[0].clone()
    }

    /// Talks with `peer` until neither has anything to say.
    pub(crate) fn converse(&mut self, peer: &mut Peer) {
        let mut ours = self.say(&[]);
        let mut theirs = peer.take_in(&ours);
        while !theirs.is_empty() {
            ours = self.take_in(&theirs);
            theirs = peer.take_in(&ours);
        }
    }

    pub(crate) fn take_received(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.received)
    }

    pub(crate) fn has_peer_closed(&self) -> bool {
        self.has_peer_closed
    }
}

pub(crate) fn provider(suite: CipherSuite) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|supported| supported.suite() == suite);
    Arc::new(provider)
}
