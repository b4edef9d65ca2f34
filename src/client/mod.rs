//! The other side: a small client of our own, for people at a terminal and for tests.
//!
//! ```text
//!   Url --Connection::open--> Connection --+-- relay       bytes in both directions
//!    (name, TCP, TLS)                      +-- Asker       HTTP: a request, an answer
//!                                          +-- WebSocket   messages
//! ```
//!
//! It does one thing at a time and waits for it: one thread, one `poll` for the socket and whatever
//! else is waited for (standard input, a signal), no runtime. What is understood of bytes is
//! understood by the same code that the server uses.
//!
//! Invariant: every wait has an end, but for those that a person ends.

mod codec;
mod connection;
mod exchange;
mod failure;
mod relay;
mod url;
mod wait;
mod websocket;

pub use connection::{BACKLOG_BYTES_MAX, Connection, Dialer, Turn};
pub use exchange::{Asker, Question};
pub use failure::{Awaited, Failure, Layer, said};
pub use relay::relay;
pub use url::{Scheme, Url};
pub use wait::deadline;
pub use websocket::{Heard, Offer, WebSocket};
