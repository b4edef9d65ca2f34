//! HTTP/1.1, as much of it as a push server needs, without a socket.
//!
//! ```text
//!   bytes -> Gather -> whole head -> RequestHead -> Reader adds the body -> (head, body)
//!   Response -> bytes
//!   Request -> bytes -> Gather -> ResponseHead -> BodyReader -> content    our own client
//! ```
//!
//! Invariant: what leaves this module is unambiguous. A message about whose end two parsers could
//! disagree (RFC 9112 §11.2) is refused, never repaired.

mod body;
mod client;
mod head;
mod origin;
pub mod query;
mod reader;
mod refusal;
mod request;
mod response;

pub use body::BodyReader;
pub use client::{Request, ResponseFault, ResponseHead, ResponseReader, is_token};
pub use origin::{Origin, OriginPattern, Origins};
pub use reader::{Heard, Limits, Reader};
pub use refusal::Refusal;
pub use request::{Method, RequestHead};
pub(crate) use response::field;
pub use response::{Response, Status};
