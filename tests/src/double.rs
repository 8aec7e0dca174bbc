//! Pools that lie: in memory, with keys of their own, so that whatever they say is properly signed;
//! and over HTTP, in front of a real pool that does not lie.

mod ledger;
mod map;
mod proxied;
mod serving;
mod upstream;

pub use ledger::Ledger;
pub use proxied::{Double, Lie};
pub use upstream::{Given, Shown, Upstream};
