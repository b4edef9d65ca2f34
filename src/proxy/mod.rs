//! Who is at the other end of a proxy, pure: what a proxy says of its client, and which proxies are
//! believed.
//!
//! A proxy connects in the name of its client, so that the address of the socket is the proxy's. It
//! tells the client's in front of the connection ([`Preamble`], whatever is spoken then) or in the
//! head of each request ([`client_of`]).
//!
//! Invariant: nothing that a proxy says counts unless its own address is in a [`Network`] that is
//! trusted; everybody else could say it, too.

mod forwarded;
mod network;
mod preamble;

pub use forwarded::client_of;
pub use network::Network;
pub use preamble::{Announced, Fault, PREAMBLE_BYTES_MAX, Preamble};
