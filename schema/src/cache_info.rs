//! `nix-cache-info`, by which a cache introduces itself.
//!
//! Source: Nix `src/libstore/binary-cache-store.cc`, `BinaryCacheStore::init`.

use std::fmt::Write;

use thiserror::Error;

use crate::store_path::{StoreDir, StorePathError};

/// Why a text is not a `nix-cache-info`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CacheInfoError {
    /// A line without `: `, or with a control character.
    #[error("line {0} is not of the form Key: value, in plain text")]
    Line(usize),
    /// No `StoreDir` line, or a malformed one.
    #[error("StoreDir: {0}")]
    StoreDir(StorePathError),
    /// A priority or flag that is no small number.
    #[error("{0} is not a number")]
    Number(&'static str),
}

/// What a cache says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInfo {
    /// The store its paths live in. Nix refuses a cache of another store.
    pub store_dir: StoreDir,
    /// Whether asking for thousands of narinfos is welcome.
    pub want_mass_query: bool,
    /// Lower is asked first; cache.nixos.org is 40.
    pub priority: u32,
    /// Where a batch of narinfos may be asked for, relative to the cache's address.
    pub batch: Option<String>,
}

impl CacheInfo {
    /// The text a client reads.
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = format!(
            "StoreDir: {}\nWantMassQuery: {}\nPriority: {}\n",
            self.store_dir,
            u8::from(self.want_mass_query),
            self.priority
        );
        if let Some(batch) = &self.batch {
            let _ = writeln!(out, "GetNarInfosV1: {batch}");
        }
        out
    }

    /// Reads what another cache says. Unknown keys are passed over.
    ///
    /// # Errors
    /// A missing or malformed `StoreDir`, or a value of the wrong type.
    pub fn parse(text: &str) -> Result<Self, CacheInfoError> {
        let mut info =
            Self { store_dir: StoreDir::nix(), want_mass_query: false, priority: 50, batch: None };
        let mut store_dir = None;
        for (at, line) in text.split_terminator('\n').enumerate() {
            let plain = !line.bytes().any(|byte| byte.is_ascii_control());
            let pair = line.split_once(": ").filter(|_| plain);
            let (key, value) = pair.ok_or(CacheInfoError::Line(at + 1))?;
            match key {
                "StoreDir" => store_dir = Some(value.parse().map_err(CacheInfoError::StoreDir)?),
                "WantMassQuery" => info.want_mass_query = value == "1",
                "Priority" => {
                    info.priority =
                        value.parse().map_err(|_| CacheInfoError::Number("Priority"))?;
                }
                "GetNarInfosV1" => info.batch = Some(value.to_owned()),
                _ => {}
            }
        }
        info.store_dir = store_dir.ok_or(CacheInfoError::StoreDir(StorePathError::StoreDir))?;
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_it_prints() {
        let info = CacheInfo {
            store_dir: StoreDir::guix(),
            want_mass_query: true,
            priority: 30,
            batch: Some("/get-narinfos-v1".to_owned()),
        };
        assert_eq!(CacheInfo::parse(&info.print()), Ok(info.clone()));
        assert!(info.print().starts_with("StoreDir: /gnu/store\nWantMassQuery: 1\nPriority: 30\n"));
        assert!(CacheInfo::parse("Priority: 40\n").is_err());
        assert!(CacheInfo::parse("StoreDir: /nix/store\nPriority: x\n").is_err());
        assert!(CacheInfo::parse("StoreDir: /nix/store\r\n").is_err());
    }
}
