//! What a listener offers to whoever connects to it.

use std::sync::Arc;

use crate::tls::ServerConfig;
use crate::ws::deflate::Takeover;

/// What a listener offers to whoever connects to it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// What carries the bytes.
    pub transport: Transport,
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

impl Listener {
    /// HTTP and WebSocket on bare TCP.
    pub const fn plain() -> Self {
        Self { transport: Transport::Plain, deflate: None }
    }

    /// HTTP and WebSocket through TLS.
    pub const fn tls(config: Arc<ServerConfig>) -> Self {
        Self { transport: Transport::Tls(config), deflate: None }
    }

    /// The same, with permessage-deflate (RFC 7692) for clients that offer it.
    pub const fn with_deflate(mut self, deflate: Option<Takeover>) -> Self {
        self.deflate = deflate;
        self
    }
}
