//! What the proxy shows of a path: the claim that the policy allows, in a narinfo of our own making.

use std::iter;

use schema::compression::Compression;
use schema::hash::{FileHash, NarHash};
use schema::narinfo::{Delivery, guix, nix};
use schema::store_path::HashPart;

use super::host_key::HostKey;
use crate::judge::Allowed;

/// Where the proxy serves the NAR of a path: `<hash part>-<NAR hash>.nar`, under `nar/`.
///
/// The path is part of it, so that the judge can be asked again when the NAR is: package managers
/// remember narinfos for a month, over restarts of the proxy, and over changes of its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NarName {
    pub(super) path: HashPart,
    pub(super) hash: NarHash,
}

impl NarName {
    /// There is one spelling.
    pub(super) fn parse(file: &str) -> Option<Self> {
        let (path, hash) = file.strip_suffix(".nar")?.split_once('-')?;
        Some(Self { path: path.parse().ok()?, hash: NarHash::from_nix32(hash).ok()? })
    }

    fn print(&self) -> String {
        format!("{}-{}.nar", self.path, self.hash.to_nix32())
    }
}

/// The narinfo of a path that is allowed, signed with the host's key. The NAR is served unpacked:
/// it has to be unpacked to be checked, and loopback is wide.
pub(super) fn print(allowed: &Allowed, key: &HostKey) -> String {
    let claim = &allowed.claim;
    let name = NarName { path: claim.path().base().hash_part(), hash: claim.nar_hash() };
    let delivery = Delivery {
        url: format!("nar/{}", name.print()),
        compression: Compression::None,
        file_hash: Some(FileHash::from_bytes(*claim.nar_hash().as_bytes())),
        file_size: Some(claim.nar_size()),
    };
    let (claim, signature) = key.sign(claim);
    match key.public().guix() {
        Some(key) => {
            let signed_by = (signature.name(), key, signature.signature());
            guix::print(&claim, None, Some(signed_by), &delivery)
        }
        None => {
            let signatures = iter::once((signature.name(), signature.signature()));
            nix::print(&claim, &delivery, (None, allowed.content_address.as_ref()), signatures)
        }
    }
}
