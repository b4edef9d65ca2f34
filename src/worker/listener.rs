//! What a listener offers to whoever connects to it.

use std::sync::Arc;

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
        Self { transport: Transport::Plain, speech: Speech::Http, deflate: None }
    }

    /// HTTP and WebSocket through TLS.
    pub const fn tls(config: Arc<ServerConfig>) -> Self {
        Self { transport: Transport::Tls(config), speech: Speech::Http, deflate: None }
    }

    /// The same, with permessage-deflate (RFC 7692) for clients that offer it.
    pub const fn with_deflate(mut self, deflate: Option<Takeover>) -> Self {
        self.deflate = deflate;
        self
    }

    /// The same with other words in it.
    pub const fn with_speech(mut self, speech: Speech) -> Self {
        self.speech = speech;
        self
    }
}
