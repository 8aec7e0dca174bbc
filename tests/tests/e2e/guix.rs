//! Guix: what its views answer, and what real clients make of that.

mod pipelined;
mod views;
