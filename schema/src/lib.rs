//! Formats and pure rules of a narpool: what a store path, a claim, a signature or a ledger
//! entry *is*, and how each is spelled on the wire.
//!
//! Nothing here does I/O, reads a clock or knows of HTTP. Every type is made by parsing, and a
//! value that exists is well formed: no later stage needs to look twice.
#![deny(missing_docs)]

pub mod api;
pub mod attestation;
pub mod base32;
pub mod base_url;
pub mod cache_info;
pub mod claim;
pub mod compression;
pub mod content_address;
pub mod debug_info;
pub mod decide;
pub mod enrolment;
pub mod evidence;
pub mod export;
pub mod guix;
pub mod hash;
pub mod key;
pub mod key_event;
pub mod listing;
pub mod name_pattern;
pub mod nar_batch;
pub mod narinfo;
pub mod policy;
pub mod realisation;
pub mod sexp;
pub mod signature;
pub mod signers;
pub mod statement;
pub mod store_path;
pub mod tlog;
pub mod verifiable_map;
mod wire_text;
