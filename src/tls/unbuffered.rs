//! The one place that drives rustls' unbuffered connections, of either side.

use std::ops::Deref;
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, ReadTraffic,
    UnbufferedConnectionCommon, UnbufferedStatus,
};
use rustls::{CommonState, ExtractedSecrets, Side, Tls13CipherSuite};

use super::fault::Fault;
use super::identity::Identity;
use super::secrets;
use super::server::ServerConfig;

/// rustls' connection of either side.
#[allow(clippy::large_enum_variant)] // it is boxed, and lives for the length of a handshake
pub(super) enum Connection {
    /// We were connected to, by whom we ask what this says.
    Server(UnbufferedServerConnection, Arc<ServerConfig>),
    /// We connected.
    Client(UnbufferedClientConnection),
}

/// What came of the bytes that rustls was given.
pub(super) enum Step {
    /// Nothing: it wants another record.
    Blocked,
    /// So many bytes of application data, which are at the front of the record.
    Plaintext(usize),
    /// The peer sends no more.
    PeerClosed,
}

/// What to write.
#[derive(Clone, Copy)]
pub(super) enum Outgoing<'a> {
    /// Application data.
    Plaintext(&'a [u8]),
    /// The last word.
    CloseNotify,
}

impl Connection {
    /// Goes on until something came of the bytes `given`; those that are done with are removed.
    ///
    /// Application data is written over `record`, the last record given. What the peer is to be
    /// sent is appended to `reply`, even with a fault.
    pub(super) fn advance(
        &mut self,
        given: &mut Vec<u8>,
        record: &mut [u8],
        reply: &mut Vec<u8>,
    ) -> Result<Step, Fault> {
        match self {
            Self::Server(connection, _) => advance(connection, given, record, reply),
            Self::Client(connection) => advance(connection, given, record, reply),
        }
    }

    /// Appends what `outgoing` becomes on the wire to `out`.
    pub(super) fn write(
        &mut self,
        given: &mut Vec<u8>,
        outgoing: Outgoing<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match self {
            Self::Server(connection, _) => write(connection, given, outgoing, out),
            Self::Client(connection) => write(connection, given, outgoing, out),
        }
    }

    /// Who a client has proved to be in the handshake that is done, if anybody. (Who connects knows
    /// whom it wants, and rustls has seen to it that it got nobody else.)
    pub(super) fn recognize(&self) -> Result<Option<Identity>, Fault> {
        match self {
            Self::Server(connection, config) => config.recognize(connection),
            Self::Client(_) => Ok(None),
        }
    }

    /// Gives up rustls' connection for its keys and sequence numbers.
    pub(super) fn into_secrets(self) -> Result<ExtractedSecrets, Fault> {
        // The kernel connection that comes with them would derive the next keys too, but it keeps
        // 800 bytes and more for that (QUIC's state, the peer's certificates).
        Ok(match self {
            Self::Server(connection, _) => connection.dangerous_into_kernel_connection()?.0,
            Self::Client(connection) => connection.dangerous_into_kernel_connection()?.0,
        })
    }

    /// The suite, if our record layer can serve it.
    pub(super) fn compact_suite(&self) -> Option<&'static Tls13CipherSuite> {
        let suite = self.common().negotiated_cipher_suite()?.tls13()?;
        (suite.aead_alg.key_len() == secrets::KEY_BYTES).then_some(suite)
    }

    /// Which side we are.
    pub(super) const fn side(&self) -> Side {
        match self {
            Self::Server(..) => Side::Server,
            Self::Client(_) => Side::Client,
        }
    }

    /// What rustls says about the connection.
    pub(super) fn common(&self) -> &CommonState {
        match self {
            Self::Server(connection, _) => connection,
            Self::Client(connection) => connection,
        }
    }
}

/// What rustls has for each side by the same name and without a trait.
trait Unbuffered: Deref<Target = UnbufferedConnectionCommon<Self::Data>> {
    type Data;

    fn process<'c, 'i>(&'c mut self, given: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Unbuffered for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, given: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(given)
    }
}

impl Unbuffered for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, given: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(given)
    }
}

fn advance<C: Unbuffered>(
    connection: &mut C,
    given: &mut Vec<u8>,
    record: &mut [u8],
    reply: &mut Vec<u8>,
) -> Result<Step, Fault> {
    loop {
        let UnbufferedStatus { discard, state } = connection.process(given);
        let step = match state {
            Ok(ConnectionState::EncodeTlsData(data)) => encode(data, reply).map(|()| None),
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Ok(None)
            }
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                Ok(Some(Step::Blocked))
            }
            Ok(ConnectionState::ReadTraffic(traffic)) => read(traffic, record),
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Some(Step::PeerClosed)),
            // Early data is never offered.
            Ok(_) => Err(Fault::Internal),
            Err(error) => Err(Fault::from(error)),
        };
        given.drain(..discard);
        match step {
            Ok(None) => {}
            Ok(Some(step)) => return Ok(step),
            Err(fault) => {
                farewell(connection, given, reply);
                return Err(fault);
            }
        }
    }
}

/// Copies application data over the record that it came in: the copy that our own record layer does
/// without.
fn read<Data>(
    mut traffic: ReadTraffic<'_, '_, Data>,
    record: &mut [u8],
) -> Result<Option<Step>, Fault> {
    let Some(data) = traffic.next_record().transpose()? else { return Ok(None) };
    let payload = record.get_mut(..data.payload.len()).ok_or(Fault::Internal)?;
    payload.copy_from_slice(data.payload);
    Ok(Some(Step::Plaintext(payload.len())))
}

/// Appends the alert that rustls has for the peer after a fault.
///
/// It may not be asked for more than that: it would come upon the same fault again.
fn farewell<C: Unbuffered>(connection: &mut C, given: &mut [u8], reply: &mut Vec<u8>) {
    while connection.wants_write() {
        let Ok(ConnectionState::EncodeTlsData(data)) = connection.process(given).state else {
            return;
        };
        if encode(data, reply).is_err() {
            return;
        }
    }
}

fn write<C: Unbuffered>(
    connection: &mut C,
    given: &mut Vec<u8>,
    outgoing: Outgoing<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    loop {
        let UnbufferedStatus { discard, state } = connection.process(given);
        let is_written = match state? {
            // An answer to the peer's key update goes first.
            ConnectionState::EncodeTlsData(data) => encode(data, out).map(|()| false),
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                Ok(false)
            }
            ConnectionState::WriteTraffic(mut traffic) => append(out, |room| match outgoing {
                Outgoing::Plaintext(plaintext) => traffic.encrypt(plaintext, room),
                Outgoing::CloseNotify => traffic.queue_close_notify(room),
            })
            .map(|()| true),
            _ => Err(Fault::Unwritable),
        }?;
        given.drain(..discard);
        if is_written {
            return Ok(());
        }
    }
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, out: &mut Vec<u8>) -> Result<(), Fault> {
    append(out, |room| data.encode(room))
}

/// Appends to `out` what `write` writes, in as much room as it turns out to need.
fn append<E: Into<Shortage>>(
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), Fault> {
    let start = out.len();
    // What has no room at all says how much it needs.
    let room = match write(&mut []).map_err(Into::into) {
        Ok(_nothing) => return Ok(()),
        Err(Shortage::Of(InsufficientSizeError { required_size })) => required_size,
        Err(Shortage::Hopeless) => return Err(Fault::Unwritable),
    };
    out.resize(start + room, 0);
    let (_, space) = out.split_at_mut(start);
    let written = write(space).map_err(|_| Fault::Unwritable)?;
    out.truncate(start + written);
    Ok(())
}

/// Why rustls did not write.
enum Shortage {
    /// Too little room.
    Of(InsufficientSizeError),
    /// More room would not help.
    Hopeless,
}

impl From<EncodeError> for Shortage {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(size) => Self::Of(size),
            EncodeError::AlreadyEncoded => Self::Hopeless,
        }
    }
}

impl From<EncryptError> for Shortage {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(size) => Self::Of(size),
            EncryptError::EncryptExhausted => Self::Hopeless,
        }
    }
}
