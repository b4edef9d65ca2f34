//! The whole house from outside: real sockets, real processes, and clients that are not ours.
//!
//! What concerns connections runs the server of the library with the push service; what concerns
//! the process runs the program. Nothing sleeps: whoever waits, waits in a read that is bounded.

#![allow(clippy::disallowed_methods)] // threads and clocks of a test are its own
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that panics has failed

#[path = "support/authority.rs"]
mod authority;
#[path = "support/client.rs"]
mod client;
#[path = "support/house.rs"]
mod house;
#[path = "support/program.rs"]
mod program;

#[path = "e2e/broadcast.rs"]
mod broadcast;
#[path = "e2e/certificates.rs"]
mod certificates;
#[path = "e2e/drain.rs"]
mod drain;
#[path = "e2e/echo.rs"]
mod echo;
#[path = "e2e/files.rs"]
mod files;
#[path = "e2e/panics.rs"]
mod panics;
#[path = "e2e/slow.rs"]
mod slow;
#[path = "e2e/strangers.rs"]
mod strangers;
#[path = "e2e/stream.rs"]
mod stream;
#[path = "e2e/suites.rs"]
mod suites;
