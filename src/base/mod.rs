//! Nouns without a domain: bytes, events, keys, time. Imports nothing of ours.

pub mod bucket;
pub mod bytes;
pub mod event;
pub mod map;
pub mod paged;
pub mod rng;
pub mod slab;
pub mod time;
pub mod wheel;

pub use bytes::{Input, Shared};
pub use event::{Handler, Origin, Readiness, Request, Stream, Wake};
pub use map::{Map, Seed, Set};
pub use paged::Paged;
pub use rng::Rng;
pub use slab::{Key, Slab};
pub use time::{Clock, Tick};
pub use wheel::Wheel;
