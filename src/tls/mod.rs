//! TLS as a seam of three verbs: `open` (what arrived -> plaintext, in place), `seal` (plaintext ->
//! what is written), `close`.
//!
//! ```text
//!   Handshaking --- TLS 1.3 with AES-256 or ChaCha20 ---> Compact    our record layer: 400 bytes
//!     (rustls)  \-- TLS 1.2, AES-128 -------------------> Held       rustls: some thousands
//! ```
//!
//! Nothing here reads or writes a socket. Buffers are the caller's scratch and output; a connection
//! keeps nothing but the front of a record that has not come whole. rustls does all cryptography;
//! its connection types are named nowhere else, and its `complete_io` and `Stream` not even here.

pub mod config;
mod direction;
mod fault;
mod handshake;
mod header;
mod identity;
mod messages;
mod names;
mod negotiated;
mod ocsp;
pub mod pki;
mod random;
mod record;
mod secrets;
mod server;
mod sources;
mod tickets;
pub mod trust;
mod unbuffered;

use std::mem;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
pub use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;
pub use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
pub use rustls::{AlertDescription as Alert, ClientConfig};

pub use self::fault::Fault;
use self::handshake::{Held, Settled, Settling};
pub use self::identity::{Fingerprint, Identity};
pub use self::negotiated::{Negotiated, suite_name};
pub use self::random::Random;
use self::record::Records;
use self::secrets::Overheard;
pub use self::server::{ServerConfig, Shown};
use self::unbuffered::Connection;
use crate::base::Input;

/// How large the scratch of a core must be at least: one record more than the longest one, so that
/// what is restored of an unfinished record leaves room to read the rest.
pub const SCRATCH_BYTES_MIN: usize = 2 * (header::HEADER_BYTES + header::TLS12_BODY_BYTES_MAX);

/// The TLS of one connection, of either side.
pub struct Tls(State);

enum State {
    /// Nothing but handshake bytes flows.
    Handshaking(Box<Held>),
    /// Established, and rustls' for life.
    Held(Box<Held>),
    /// Established, in our record layer.
    Compact(Box<Records>),
    /// A fault has ended it.
    Failed(Fault),
}

/// What [`Tls::open`] found.
#[derive(Debug, Eq, PartialEq)]
pub enum Opened<'b> {
    /// Application data, never empty. It lies where it arrived and may be written to.
    Plaintext(&'b mut [u8]),
    /// The handshake is done, once: from now on there may be plaintext, and `seal` works. With it
    /// comes who a client has proved to be, if it was asked and has a certificate that verifies.
    Established(Option<Box<Identity>>),
    /// All that arrived has been taken; what is unfinished has been kept.
    Wanting,
    /// The peer sends no more (`close_notify`). We still may.
    Closed,
}

impl Tls {
    /// The side that was connected to.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if rustls cannot use `config`.
    pub fn server(config: &Arc<ServerConfig>) -> Result<Self, Fault> {
        let overheard = Arc::new(Overheard::default());
        let rustls = config.for_connection(Arc::<Overheard>::clone(&overheard));
        let connection = UnbufferedServerConnection::new(rustls)?;
        let connection = Connection::Server(connection, Arc::clone(config));
        Ok(Self::new(connection, overheard, Settling::AtOnce))
    }

    /// The side that connects, to a server that must prove to be `name`.
    ///
    /// The first [`Tls::open`], with nothing to read, puts the first flight into its reply.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if rustls cannot use `config`.
    pub fn client(config: &Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Fault> {
        let may_settle = config.enable_secret_extraction;
        Self::connecting(config, name, if may_settle { Settling::AtOnce } else { Settling::Never })
    }

    /// The same for a client that comes back: it leaves the tickets of the server, which come
    /// before its first data, with the sessions of `config`, and takes no less memory until then.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if rustls cannot use `config`.
    pub fn returning_client(
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, Fault> {
        Self::connecting(config, name, Settling::Late)
    }

    fn connecting(
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
        settling: Settling,
    ) -> Result<Self, Fault> {
        let overheard = Arc::new(Overheard::default());
        let mut config = ClientConfig::clone(config);
        config.key_log = overheard.clone();
        let connection = UnbufferedClientConnection::new(Arc::new(config), name)?;
        Ok(Self::new(Connection::Client(connection), overheard, settling))
    }

    fn new(connection: Connection, overheard: Arc<Overheard>, settling: Settling) -> Self {
        Self(State::Handshaking(Box::new(Held::new(connection, overheard, settling))))
    }

    /// Puts the record kept unfinished at the front of `scratch`, and says how many bytes it has.
    ///
    /// Read behind them, then `open` all of it, even if nothing was there to read: the bytes are
    /// kept nowhere else.
    ///
    /// # Panics
    ///
    /// If `scratch` is shorter than [`SCRATCH_BYTES_MIN`].
    pub fn restore(&mut self, scratch: &mut [u8]) -> usize {
        assert!(scratch.len() >= SCRATCH_BYTES_MIN, "a scratch that no record fits into");
        match &mut self.0 {
            State::Handshaking(held) | State::Held(held) => held.restore(scratch),
            State::Compact(records) => records.restore(scratch),
            State::Failed(_) => 0,
        }
    }

    /// Goes on with what arrived, to the first thing that concerns the caller.
    ///
    /// To be called until it says [`Opened::Wanting`] or [`Opened::Closed`]; both leave `input`
    /// empty. `reply` gets what the peer must be sent as it is: handshake bytes and alerts, also
    /// when a fault is returned.
    ///
    /// # Errors
    ///
    /// The fault that ended the connection, at every call after it too.
    pub fn open<'b>(
        &mut self,
        input: &mut Input<'b>,
        reply: &mut Vec<u8>,
    ) -> Result<Opened<'b>, Fault> {
        self.settle_late()?;
        let opened = match &mut self.0 {
            State::Handshaking(held) | State::Held(held) => held.open(input, reply),
            State::Compact(records) => records.open(input, reply),
            State::Failed(fault) => Err(*fault),
        };
        let opened = match opened {
            Ok(Opened::Established(_)) => self.settle(reply).map(Opened::Established),
            opened => opened,
        };
        if let Err(fault) = opened {
            self.0 = State::Failed(fault);
        }
        opened
    }

    /// Appends `plaintext` to `out` as records.
    ///
    /// # Errors
    ///
    /// [`Fault::Unwritable`] before the handshake is done and after [`Tls::close`].
    pub fn seal(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        match &mut self.0 {
            State::Handshaking(_) | State::Failed(_) => Err(Fault::Unwritable),
            State::Held(held) => held.seal(plaintext, out),
            State::Compact(records) => records.seal(plaintext, out),
        }
    }

    /// Appends a `close_notify` to `out`: our last word. Only the first call does something, and
    /// none does during a handshake, which may simply be left.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        match &mut self.0 {
            State::Handshaking(_) | State::Failed(_) => {}
            State::Held(held) => held.close(out),
            State::Compact(records) => records.close(out),
        }
    }

    /// Whether the keys are kept set up for the next record, which takes memory.
    pub fn keeps_keys(&self) -> bool {
        matches!(&self.0, State::Compact(records) if records.keeps_keys())
    }

    /// Gives back the memory that a connection takes to speak often.
    ///
    /// To be called now and then, say by the heartbeat: who goes on speaking has it again soon.
    pub fn rest(&mut self) {
        if let State::Compact(records) = &mut self.0 {
            records.rest();
        }
    }

    /// What the handshake has settled and, for as long as rustls holds the connection, who the peer
    /// proved to be.
    pub fn negotiated(&self) -> Option<Negotiated<'_>> {
        match &self.0 {
            State::Held(held) => held.negotiated(),
            State::Compact(records) => Some(records.negotiated()),
            State::Handshaking(_) | State::Failed(_) => None,
        }
    }

    /// Whether the handshake is not done yet.
    pub const fn is_handshaking(&self) -> bool {
        matches!(self.0, State::Handshaking(_))
    }

    /// Leaves rustls behind, if it was kept for the tickets that have come by now.
    fn settle_late(&mut self) -> Result<(), Fault> {
        if !matches!(&self.0, State::Held(held) if held.is_late()) {
            return Ok(());
        }
        let state = mem::replace(&mut self.0, State::Failed(Fault::Internal));
        let State::Held(held) = state else { return Err(Fault::Internal) };
        self.0 = match held.settle()? {
            Settled::Compact(records) => State::Compact(records),
            Settled::Held(mut held) => {
                held.stay();
                State::Held(held)
            }
        };
        Ok(())
    }

    /// Leaves the handshake behind, and says who the peer is, or tells it why it must go.
    fn settle(&mut self, reply: &mut Vec<u8>) -> Result<Option<Box<Identity>>, Fault> {
        let state = mem::replace(&mut self.0, State::Failed(Fault::Internal));
        let State::Handshaking(held) = state else { return Err(Fault::Internal) };
        let identity = held.recognize();
        self.0 = match held.settle()? {
            Settled::Compact(mut records) => {
                if let Err(fault) = identity {
                    records.refuse(fault, reply);
                }
                State::Compact(records)
            }
            Settled::Held(held) => State::Held(held),
        };
        Ok(identity?.map(Box::new))
    }
}
