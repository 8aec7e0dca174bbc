//! What Guix signs, and how it spells that.

pub mod ecdsa;
pub mod signature;
