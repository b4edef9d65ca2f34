//! What the planning of machines is computed with: small numerics, pure, each held against
//! published values.

pub mod least_squares;
pub mod search;
pub mod student;
pub mod usl;
