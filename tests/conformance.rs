//! What RFC 6455 and RFC 9112 demand and the Autobahn suite does not ask: handshakes, frames, and
//! whether two machines (ours with ours, ours with a stranger's) understand each other.
//!
//! No sockets and no time: everything is bytes in memory, cut in every way that matters.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // in a test, a panic is the report

#[path = "conformance/differential.rs"]
mod differential;
#[path = "conformance/frames.rs"]
mod frames;
#[path = "conformance/hardening.rs"]
mod hardening;
#[path = "conformance/pair.rs"]
mod pair;
#[path = "conformance/requests.rs"]
mod requests;
#[path = "support/rfc6455.rs"]
mod rfc6455;
#[path = "support/rfc9112.rs"]
mod rfc9112;
#[path = "conformance/stranger.rs"]
mod stranger;
#[path = "conformance/upgrades.rs"]
mod upgrades;
#[path = "support/verdicts.rs"]
mod verdicts;
