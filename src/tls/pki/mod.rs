//! Certificates: making, signing and reading them, and the development certificates made of that.
//!
//! ```text
//!   NewKey + names --> request (PKCS #10) --> Authority::sign --> certificate --> Description
//!                                              |                                    |
//!                                              `-- verify: believed by clients? <---'
//! ```
//!
//! [`files`] and [`mod@development`] write to disk; all else is from bytes to bytes. The time is an
//! argument everywhere; keys and serial numbers are drawn by the cryptographic library.
//!
//! Invariant: what an [`Authority`] hands out has been verified as its user's peer will do it.

mod authority;
mod description;
pub mod development;
pub mod files;
mod key;
mod life;
mod name;
mod refusal;
mod request;
mod revocation;
mod text;
pub mod verify;

use std::time::Duration;

pub use self::authority::{Authority, Purpose};
pub use self::description::{Description, Standing, is_signed_by};
pub use self::development::{Development, development};
pub use self::key::{KeyKind, NewKey, PublicKey};
pub use self::life::{DAYS_MAX, Life};
pub use self::name::Name;
pub use self::refusal::{PkiError, Refusal};
pub use self::request::{NAMES_MAX, Request};
pub use self::revocation::CrlUrl;
pub use self::text::date;

/// What ends sooner than this is to be replaced.
pub(super) const RENEWAL: Duration = Duration::from_secs(30 * DAY.as_secs());
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
