//! TLS at a client's end of the wire: the very `Tls` that its worker has at the other.
//!
//! Its keys and nonces come from the system and are different in every run. What a history depends
//! on are lengths, and those repeat: the key of the certificate signs in 64 bytes always, its
//! serial number is fixed. So a trace tells of plaintext and of how much arrived, and not of which
//! sealed bytes.

use std::mem;
use std::sync::{Arc, LazyLock};

use corecast::base::Input;
use corecast::tls::config::{self, Identity, Trust};
use corecast::tls::{ClientConfig, Opened, SCRATCH_BYTES_MIN, ServerConfig, Tls};
use rustls::pki_types::{PrivateKeyDer, ServerName};

use super::hear::Violation;

/// What every worker's second listener proves itself with.
pub static SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = rcgen::CertificateParams::new(["sim".to_owned()]).unwrap();
    params.serial_number = Some(rcgen::SerialNumber::from(1));
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    config::server_config(Identity { chain: vec![certificate.der().clone()], key }).unwrap()
});

/// Names are not the matter here.
static CLIENT: LazyLock<Arc<ClientConfig>> =
    LazyLock::new(|| config::client_config(Trust::Anyone).unwrap());

/// One client's TLS.
pub struct Secure {
    tls: Tls,
    /// What it wanted to say before it could, and whether a message ends with each.
    waiting: Vec<(Vec<u8>, bool)>,
}

/// What came of bytes that arrived.
#[derive(Default)]
pub struct Unsealed {
    pub plaintext: Vec<u8>,
    /// What is to be sent for them, and whether a message ends with each.
    pub sealed: Vec<(Vec<u8>, bool)>,
}

impl Secure {
    /// A client about to shake hands, and its first flight.
    pub fn new() -> (Self, Vec<u8>) {
        let tls = Tls::client(&CLIENT, ServerName::try_from("sim").unwrap()).unwrap();
        let mut secure = Self { tls, waiting: Vec::new() };
        let unsealed = secure.unseal(&[]).expect("nothing has arrived that could be wrong");
        let flight = unsealed.sealed.into_iter().flat_map(|(bytes, _)| bytes);
        (secure, flight.collect())
    }

    /// The records that say `bytes`, or nothing yet.
    pub fn seal(&mut self, bytes: &[u8], whole: bool) -> Vec<u8> {
        let mut sealed = Vec::new();
        if self.tls.is_handshaking() {
            self.waiting.push((bytes.to_vec(), whole));
        } else {
            // Who has been told of a fault can say nothing more, and need not.
            let _ = self.tls.seal(bytes, &mut sealed);
        }
        sealed
    }

    /// Takes bytes that arrived.
    pub fn unseal(&mut self, bytes: &[u8]) -> Result<Unsealed, Violation> {
        let mut scratch = vec![0; SCRATCH_BYTES_MIN + bytes.len()];
        let kept = self.tls.restore(&mut scratch);
        let len = kept + bytes.len();
        scratch[kept..len].copy_from_slice(bytes);
        let mut input = Input::new(&mut scratch[..len]);
        let (mut unsealed, mut reply) = (Unsealed::default(), Vec::new());
        loop {
            match self.tls.open(&mut input, &mut reply) {
                Ok(Opened::Plaintext(bytes)) => unsealed.plaintext.extend_from_slice(bytes),
                Ok(Opened::Established(_)) => {}
                Ok(Opened::Wanting | Opened::Closed) => break,
                Err(fault) => return Err(format!("TLS failed: {fault}")),
            }
        }
        if !reply.is_empty() {
            unsealed.sealed.push((reply, true));
        }
        if !self.is_handshaking() {
            for (bytes, whole) in mem::take(&mut self.waiting) {
                unsealed.sealed.push((self.seal(&bytes, whole), whole));
            }
        }
        Ok(unsealed)
    }

    pub const fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }
}
