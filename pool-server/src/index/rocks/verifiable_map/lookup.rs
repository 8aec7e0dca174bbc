//! Looking things up in the map, with proofs.

use schema::hash::{MapHash, MapKey};
use schema::verifiable_map::{MapLeaf, MapProof};

use super::growth::{halves, hash_of, out_of_order};
use super::row::{Leaf, List, Node, Row};
use super::{CHUNK, Listed, Rows};
use crate::rejected::Error;

impl Rows<'_> {
    pub(super) fn listed(
        &self,
        key: &MapKey,
        from: u64,
        limit: usize,
    ) -> Result<Option<Listed>, Error> {
        let Some(state) = self.state()? else { return Ok(None) };
        let (proof, list) = self.path(key, Node::with_row(state.leaf.map))?;
        let len = list.as_ref().map_or(0, List::len);
        let indices = match list {
            None => Vec::new(),
            Some(List::Short(indices)) => {
                let skipped = usize::try_from(from).unwrap_or(usize::MAX);
                indices.into_iter().skip(skipped).take(limit).collect()
            }
            Some(List::Long(_)) => {
                let to = from.saturating_add(limit as u64).min(len);
                self.indices(key, from, to, len)?
            }
        };
        Ok(Some(Listed { state, len, indices, proof }))
    }

    /// The proof, and the list where there is one.
    pub(super) fn path(&self, key: &MapKey, root: Node) -> Result<(MapProof, Option<List>), Error> {
        let mut siblings = Vec::new();
        let mut node = root;
        loop {
            node = match node {
                Node::Empty => return Ok((MapProof { siblings, leaf: None }, None)),
                Node::Fork(halves) => {
                    let right = key.turns_right(siblings.len());
                    let [left, other] = *halves;
                    let (taken, beside) = if right { (other, left) } else { (left, other) };
                    siblings.push(beside.hash());
                    taken
                }
                Node::Below(_) => match self.node(key, siblings.len())? {
                    Row::Page(top) => top,
                    Row::Bucket(leaves) => return path_in(leaves, key, siblings),
                },
            };
        }
    }

    /// Those at positions `from` to `to` of a list of `len`.
    fn indices(&self, key: &MapKey, from: u64, to: u64, len: u64) -> Result<Vec<u64>, Error> {
        let mut indices = Vec::new();
        let mut at = from;
        while at < to {
            let first = at - at % CHUNK;
            let chunk = self.chunk(key, first / CHUNK, CHUNK.min(len - first))?;
            let wanted = chunk.into_iter().skip((at - first) as usize);
            indices.extend(wanted.take((to - at) as usize));
            at = first + CHUNK;
        }
        Ok(indices)
    }
}

/// The rest of a path, from where it enters a bucket.
fn path_in(
    mut leaves: Vec<Leaf>,
    key: &MapKey,
    mut siblings: Vec<MapHash>,
) -> Result<(MapProof, Option<List>), Error> {
    while leaves.len() > 1 {
        let depth = siblings.len();
        let right = leaves.split_off(halves(&leaves, depth).0.len());
        let (taken, beside) =
            if key.turns_right(depth) { (right, leaves) } else { (leaves, right) };
        siblings.push(hash_of(&beside, depth + 1).map_err(out_of_order)?);
        leaves = taken;
    }
    let Some(Leaf { key: found, list }) = leaves.pop() else {
        return Ok((MapProof { siblings, leaf: None }, None));
    };
    let leaf = Some(MapLeaf { key: found, list: list.hash().map_err(out_of_order)? });
    Ok((MapProof { siblings, leaf }, (found == *key).then_some(list)))
}
