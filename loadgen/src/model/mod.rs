//! What the planning of machines is computed with: small numerics, pure, each held against
//! published values.

pub mod student;
