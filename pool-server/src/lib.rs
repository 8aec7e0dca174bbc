//! A narpool server: keeps NARs, and the attestations of whoever signs for them, and shows them
//! to package managers.

pub mod assemble;
pub mod auth;
mod background;
pub mod backup;
pub mod blobs;
pub mod clock;
pub mod config;
pub mod control;
mod durable;
pub mod fair;
pub mod fsck;
pub mod gc;
pub mod http;
pub mod index;
pub mod ingest;
pub mod ledger;
pub mod log;
pub mod metrics;
mod patience;
mod place;
pub mod pool;
pub mod quota;
pub mod reindex;
pub mod rejected;
pub mod roll;
pub mod scrub;
pub mod serve;
