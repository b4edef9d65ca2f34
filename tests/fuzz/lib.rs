//! The bodies of the fuzz targets, with what of `tests` they need. See `tests/fuzz/bodies`.
#![allow(dead_code)] // some of it is for tests only

#[path = "bodies/mod.rs"]
mod bodies;
#[path = "../../src/ws/deflate/reference.rs"]
mod rfc1951;
#[path = "../support/rfc6455.rs"]
mod rfc6455;
#[path = "../support/rfc9112.rs"]
mod rfc9112;
#[path = "../sim/main.rs"]
mod sim;
#[path = "../support/tls.rs"]
mod tls;
#[path = "../support/verdicts.rs"]
mod verdicts;

pub use bodies::*;
pub use sim::ops as sim_ops;
