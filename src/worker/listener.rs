//! What a listener offers to whoever connects to it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::proxy::Network;
use crate::session::{Peer, Session};
use crate::tls::ServerConfig;
use crate::ws::deflate::Takeover;

/// What a listener offers to whoever connects to it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// What carries the bytes.
    pub transport: Transport,
    /// What they mean.
    pub speech: Speech,
    /// Whether messages may be deflated for clients that offer it, and how (RFC 7692).
    pub deflate: Option<Takeover>,
    /// Whether a proxy says of each connection whose it is, before anything else (the PROXY
    /// protocol). Who is not one of `proxies` is refused then.
    pub is_announced: bool,
    /// The proxies that are believed when they name their clients.
    pub proxies: Vec<Network>,
}

/// What carries the bytes of a listener's connections.
#[derive(Clone, Debug)]
pub enum Transport {
    /// TCP, and nothing on it.
    Plain,
    /// TLS, as the configuration says.
    Tls(Arc<ServerConfig>),
}

/// What the bytes of a listener's connections mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Speech {
    /// Requests of HTTP, and the WebSocket that one of them may ask for.
    Http,
    /// Whatever the service makes of them ([`Service::connected`]).
    ///
    /// [`Service::connected`]: super::Service::connected
    Stream,
}

impl Listener {
    /// HTTP and WebSocket on bare TCP.
    pub const fn plain() -> Self {
        Self::new(Transport::Plain)
    }

    /// HTTP and WebSocket through TLS.
    pub const fn tls(config: Arc<ServerConfig>) -> Self {
        Self::new(Transport::Tls(config))
    }

    /// The same, with permessage-deflate (RFC 7692) for clients that offer it.
    pub const fn with_deflate(mut self, deflate: Option<Takeover>) -> Self {
        self.deflate = deflate;
        self
    }

    /// The same, behind `proxies` that are believed; `is_announced` if they speak the PROXY
    /// protocol.
    pub fn behind(mut self, proxies: Vec<Network>, is_announced: bool) -> Self {
        self.proxies = proxies;
        self.is_announced = is_announced;
        self
    }

    /// Whether the proxy at `address` is believed.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(address))
    }

    /// What a connection of `peer` is as soon as that is known.
    pub(super) fn session(&self, peer: Peer) -> Session {
        match self.speech {
            Speech::Http => Session::new(peer),
            Speech::Stream => Session::Arriving(Box::new(peer)),
        }
    }

    const fn new(transport: Transport) -> Self {
        Self {
            transport,
            speech: Speech::Http,
            deflate: None,
            is_announced: false,
            proxies: Vec::new(),
        }
    }

    /// The same with other words in it.
    pub const fn with_speech(mut self, speech: Speech) -> Self {
        self.speech = speech;
        self
    }
}
