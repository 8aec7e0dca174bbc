//! What shows that a key has a list, or that it has none.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use super::{ListChain, MAX_DEPTH};
use crate::hash::{ListHash, MapHash, MapKey};

/// Why a proof does not show what it should: nothing is known of the key then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MapProofError {
    /// More steps than a key has bits.
    #[error("{0} steps, but a key has {MAX_DEPTH} bits")]
    TooDeep(usize),
    /// The map has a list of this key that is another, or is longer or shorter.
    #[error("the map has another list of this key")]
    OtherList,
    /// There should be a list, but by the proof there is none.
    #[error("the map has no list of this key")]
    Absent,
    /// The leaf at the end is not on the way to the key.
    #[error("the leaf at the end of the path belongs elsewhere")]
    Elsewhere,
    /// The path goes on below where there is but one key.
    #[error("the path is longer than it can be")]
    Detour,
    /// The hashes do not lead to the root.
    #[error("the proof is of another map, key or list")]
    OtherRoot,
}

/// The way from the root of a map towards a key, and what stands at its end. It says nothing
/// until it is [verified](Self::verify).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MapProof {
    /// What lies beside the path, from the root down: at each step the hash of the subtree that is
    /// not taken. As many as there are steps, at most [`MAX_DEPTH`].
    pub siblings: Vec<MapHash>,
    /// The only key below the end of the path, which may be another than the one looked for.
    /// Left out when there is none at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<MapLeaf>,
}

/// A key that is alone in its subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MapLeaf {
    /// The key.
    pub key: MapKey,
    /// What its list hashes to.
    pub list: ListHash,
}

impl MapProof {
    /// That a map without any key has nothing under any.
    #[must_use]
    pub fn of_empty_map() -> Self {
        Self { siblings: Vec::new(), leaf: None }
    }

    /// Checks that the map with this root has for `key` exactly this list; with an empty list,
    /// that it has none.
    ///
    /// # Errors
    /// When the proof does not show it.
    pub fn verify(
        &self,
        root: &MapHash,
        key: &MapKey,
        list: &ListChain,
    ) -> Result<(), MapProofError> {
        if self.siblings.len() > MAX_DEPTH {
            return Err(MapProofError::TooDeep(self.siblings.len()));
        }
        self.ends_with(key, list)?;
        // A subtree of which one half is empty and the other has no more than one key is not
        // split: an honest path ends there.
        if self.siblings.last() == Some(&MapHash::EMPTY) {
            return Err(MapProofError::Detour);
        }
        if self.root_along(key) == *root { Ok(()) } else { Err(MapProofError::OtherRoot) }
    }

    /// Whether what stands at the end says that the key has this list.
    fn ends_with(&self, key: &MapKey, list: &ListChain) -> Result<(), MapProofError> {
        match &self.leaf {
            Some(leaf) if leaf.key == *key => {
                let same = !list.is_empty() && leaf.list == list.hash();
                if same { Ok(()) } else { Err(MapProofError::OtherList) }
            }
            Some(leaf) if leaf.key.shared_depth(key) < self.siblings.len() => {
                Err(MapProofError::Elsewhere)
            }
            Some(_) | None if list.is_empty() => Ok(()),
            Some(_) | None => Err(MapProofError::Absent),
        }
    }

    fn root_along(&self, key: &MapKey) -> MapHash {
        let end =
            self.leaf.as_ref().map_or(MapHash::EMPTY, |leaf| MapHash::leaf(&leaf.key, &leaf.list));
        let steps = self.siblings.iter().enumerate().rev();
        steps.fold(end, |below, (depth, sibling)| {
            if key.turns_right(depth) {
                MapHash::interior(sibling, &below)
            } else {
                MapHash::interior(&below, sibling)
            }
        })
    }
}
