//! What a listener offers to whoever connects to it.

use std::sync::Arc;

use crate::tls::ServerConfig;

/// What a listener offers to whoever connects to it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// What carries the bytes.
    pub transport: Transport,
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
        Self { transport: Transport::Plain }
    }

    /// HTTP and WebSocket through TLS.
    pub const fn tls(config: Arc<ServerConfig>) -> Self {
        Self { transport: Transport::Tls(config) }
    }
}
