//! The file listing of a NAR, `<hash>.ls`.
//!
//! Source: Nix `src/libutil/nar-accessor.cc`, `listNar`, version 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The whole listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Always 1.
    pub version: u8,
    /// The NAR's only top node.
    pub root: Node,
}

/// A file, symlink or directory of the NAR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Node {
    /// A directory.
    Directory {
        /// Its entries by name.
        entries: BTreeMap<String, Node>,
    },
    /// A file.
    Regular {
        /// Bytes of contents.
        size: u64,
        /// Whether it may be executed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        executable: bool,
        /// Offset of the contents in the uncompressed NAR.
        #[serde(rename = "narOffset", default, skip_serializing_if = "Option::is_none")]
        nar_offset: Option<u64>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points.
        target: String,
    },
}
