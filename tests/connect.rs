//! `corecast connect` as its users meet it: against our own server, against servers that are wrong
//! in one thing each, and against the servers of others.

#![allow(clippy::disallowed_methods)] // threads and clocks of a test are its own
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that panics has failed

#[path = "support/authority.rs"]
#[allow(dead_code)] // what only other tests let an authority do
mod authority;
#[path = "support/client.rs"]
#[allow(dead_code)] // of the strangers' clients only their patience is of use here
mod client;
#[path = "support/program.rs"]
#[allow(dead_code)] // what only other tests ask a program
mod program;

#[path = "connect/http.rs"]
mod http;
#[path = "connect/peer.rs"]
mod peer;
#[path = "connect/strangers.rs"]
mod strangers;
#[path = "connect/stream.rs"]
mod stream;
#[path = "connect/trust.rs"]
mod trust;
#[path = "connect/websocket.rs"]
mod websocket;
