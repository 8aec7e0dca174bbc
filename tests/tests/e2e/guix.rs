//! Guix: what its views answer, and what real clients make of that.

mod archived;
mod gathered;
mod lab;
mod pipelined;
mod proxied;
mod pushed;
mod scene;
mod told;
mod views;
