//! What the end-to-end tests stand on: servers on ports the kernel picks, the `pool` command,
//! stock Nix clients, and NARs made on the spot. Whatever is missing fails the test.

pub mod cli;
pub mod client;
pub mod deadline;
pub mod disk;
pub mod double;
pub mod faults;
pub mod foreign;
pub mod front;
pub mod guix;
pub mod lab;
pub mod log_copy;
pub mod mirror;
pub mod nar;
pub mod net;
pub mod nix;
pub mod program;
pub mod proxy;
pub mod random;
pub mod relay;
pub mod run;
pub mod server;
pub mod wire;
pub mod witness;
