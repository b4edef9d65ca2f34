//! What every connection of a run says to open.

use std::sync::Arc;

use clap::ValueEnum;
use corecast::ws;
use corecast::ws::deflate::Parameters;
use corecast::ws::handshake::ClientHandshake;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::sessions::Sessions;

/// No context is kept, so that one inflater serves all connections.
const OFFER: Parameters = Parameters {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: None,
    client_max_window_bits: None,
};

/// What every connection of a run says to open.
#[derive(Debug)]
pub struct Greeting {
    /// How to speak TLS, and whom the server must prove to be.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Which of them come back to a session, if some do.
    pub sessions: Option<Sessions>,
    /// The Host header.
    pub authority: String,
    /// Path and query, for each part of the cast.
    pub paths: Vec<String>,
    /// Subprotocols to offer.
    pub subprotocols: Vec<String>,
    /// Whether to offer that the server deflates, each message by itself, and to insist on it.
    pub deflate: bool,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// How frames are masked.
    pub mask: Mask,
    /// What a server may send.
    pub limits: ws::Limits,
}

/// With what frames are masked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Mask {
    /// With another key each, that nobody can guess (RFC 6455 §10.3)
    #[default]
    Random,
    /// With zeros, which leave them as they are: for looking at them on the wire
    Zero,
}

impl Greeting {
    pub(super) fn handshake(&self, part: usize, nonce: [u8; 16]) -> ClientHandshake {
        let path = self.paths.get(part).map_or("/", String::as_str);
        let subprotocols: Vec<_> = self.subprotocols.iter().map(String::as_str).collect();
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let handshake = ClientHandshake::new(nonce, &self.authority, path, &subprotocols, &headers);
        if self.deflate { handshake.offering_deflate(OFFER) } else { handshake }
    }
}
