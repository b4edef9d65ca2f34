//! Replays what the fuzzers have found: for each target the inputs, small and few, that reach all
//! of the code that was ever reached.
//!
//! The targets themselves are in `tests/fuzz`, a package of its own; `tests/fuzz/run` runs them.
//! That of the simulation is replayed by `tests/sim`.

// In a test, a panic is the report; certificates are made for the real time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]
#![allow(unreachable_pub)] // the targets are also a library of their own

#[path = "fuzz/bodies/mod.rs"]
mod bodies;
#[path = "support/corpus.rs"]
mod corpus;
#[path = "../src/ws/deflate/reference.rs"]
mod rfc1951;
#[path = "support/rfc6455.rs"]
mod rfc6455;
#[path = "support/rfc9112.rs"]
mod rfc9112;
#[allow(dead_code)] // the strangers in it are for other tests
#[path = "support/tls.rs"]
mod tls;
#[path = "support/verdicts.rs"]
mod verdicts;

use corpus::replay;

#[test]
fn close_payloads_are_replayed() {
    replay("close_payload", bodies::close_payload::run);
}

#[test]
fn config_files_are_replayed() {
    replay("config_file", bodies::config_file::run);
}

#[test]
fn deflate_params_are_replayed() {
    replay("deflate_params", bodies::deflate_params::run);
}

#[test]
fn frame_headers_are_replayed() {
    replay("frame_header", bodies::frame_header::run);
}

#[test]
fn frame_streams_are_replayed() {
    replay("frame_stream", bodies::frame_stream::run);
}

#[test]
fn http_heads_are_replayed() {
    replay("http_head", bodies::http_head::run);
}

#[test]
fn inflating_is_replayed() {
    replay("inflate", bodies::inflate::run);
}

#[test]
fn what_proxies_say_is_replayed() {
    replay("proxy_preamble", bodies::proxy_preamble::run);
    replay("forwarded_for", bodies::forwarded_for::run);
}

#[test]
fn tls_records_are_replayed() {
    replay("tls_records", bodies::tls_records::run);
}

#[test]
fn unmasking_is_replayed() {
    replay("unmask", bodies::unmask::run);
}

#[test]
fn upgrades_are_replayed() {
    replay("upgrade", bodies::upgrade::run);
}

#[test]
fn texts_are_replayed() {
    replay("utf8", bodies::utf8::run);
}
