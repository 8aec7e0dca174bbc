//! What Guix signs, and how it spells that.

pub mod acl;
pub mod ecdsa;
pub mod key_file;
pub mod signature;
