//! corecast: a push server that holds very many long-lived TLS and WebSocket connections on few
//! cores.

pub mod base;
pub mod config;
pub mod http;
pub mod hub;
pub mod reactor;
pub mod tls;
pub mod worker;
pub mod ws;
