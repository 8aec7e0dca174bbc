//! Guix: what its views answer, and what real clients make of that.

mod lab;
mod pipelined;
mod views;
