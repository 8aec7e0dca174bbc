//! Adding to the map.

use rocksdb::WriteBatch;
use schema::attestation::Entry;
use schema::hash::{MapHash, MapKey};
use schema::verifiable_map::{ListChain, NotAscending};

use super::row::{self, Leaf, List, Node, Row};
use super::{BUCKET, CHUNK, LEVELS, Rows, SHORT};
use crate::rejected::Error;

/// An index to be added to the list of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Added {
    pub(super) key: MapKey,
    pub(super) index: u64,
}

impl Added {
    /// What entries from `size` on add, by keys and then by indices.
    pub(super) fn of(size: u64, entries: &[Entry]) -> Vec<Self> {
        let mut added: Vec<Self> = (size..)
            .zip(entries)
            .flat_map(|(index, entry)| MapKey::all_of(entry).map(|key| Self { key, index }))
            .collect();
        added.sort_unstable();
        added
    }
}

/// What a subtree becomes, and the writes that make it so.
pub(super) struct Growth<'i> {
    rows: Rows<'i>,
    writes: WriteBatch,
}

impl<'i> Growth<'i> {
    pub(super) fn new(rows: Rows<'i>) -> Self {
        Self { rows, writes: WriteBatch::default() }
    }

    pub(super) fn into_writes(self) -> WriteBatch {
        self.writes
    }

    /// What the subtree at `depth` becomes with what is added, all of which belongs there.
    pub(super) fn grow(
        &mut self,
        node: Node,
        depth: usize,
        added: &[Added],
    ) -> Result<Node, Error> {
        let Some(Added { key, .. }) = added.first() else { return Ok(node) };
        match node {
            Node::Empty => {
                let leaves = self.extended(Vec::new(), added)?;
                self.plant(&leaves, depth)
            }
            Node::Fork(halves) => {
                let [left, right] = *halves;
                let middle = added.partition_point(|added| !added.key.turns_right(depth));
                let left = self.grow(left, depth + 1, &added[..middle])?;
                let right = self.grow(right, depth + 1, &added[middle..])?;
                Ok(Node::Fork(Box::new([left, right])))
            }
            Node::Below(_) => match self.rows.node(key, depth)? {
                Row::Page(top) => {
                    let top = self.grow(top, depth, added)?;
                    Ok(self.page(key, depth, &top))
                }
                Row::Bucket(leaves) => {
                    let leaves = self.extended(leaves, added)?;
                    if leaves.len() > BUCKET {
                        self.writes.delete_cf(self.rows.nodes, row::address(key, depth));
                    }
                    self.plant(&leaves, depth)
                }
            },
        }
    }

    /// Makes the rows of a subtree with these keys and no others.
    fn plant(&mut self, leaves: &[Leaf], depth: usize) -> Result<Node, Error> {
        let Some(Leaf { key, .. }) = leaves.first() else { return Ok(Node::Empty) };
        if leaves.len() <= BUCKET {
            let address = row::address(key, depth);
            self.writes.put_cf(self.rows.nodes, address, row::write_bucket(leaves));
            return Ok(Node::Below(hash_of(leaves, depth).map_err(out_of_order)?));
        }
        let (left, right) = halves(leaves, depth);
        let halves = [self.plant(left, depth + 1)?, self.plant(right, depth + 1)?];
        let fork = Node::Fork(Box::new(halves));
        Ok(if depth.is_multiple_of(LEVELS) { self.page(key, depth, &fork) } else { fork })
    }

    fn page(&mut self, key: &MapKey, depth: usize, top: &Node) -> Node {
        self.writes.put_cf(self.rows.nodes, row::address(key, depth), row::write_page(top));
        Node::Below(top.hash())
    }

    fn extended(&mut self, mut leaves: Vec<Leaf>, added: &[Added]) -> Result<Vec<Leaf>, Error> {
        for of_key in added.chunk_by(|one, other| one.key == other.key) {
            let key = of_key[0].key;
            let at = leaves.binary_search_by_key(&key, |leaf| leaf.key).unwrap_or_else(|at| {
                leaves.insert(at, Leaf { key, list: List::Short(Vec::new()) });
                at
            });
            let fresh = of_key.iter().map(|added| added.index).collect();
            self.extend(&key, &mut leaves[at].list, fresh)?;
        }
        Ok(leaves)
    }

    fn extend(&mut self, key: &MapKey, list: &mut List, fresh: Vec<u64>) -> Result<(), Error> {
        match list {
            List::Short(indices) => {
                indices.extend(fresh);
                if indices.len() > SHORT {
                    let all = std::mem::take(indices);
                    *list = List::Long(self.lengthened(key, ListChain::EMPTY, &all)?);
                }
            }
            List::Long(chain) => *chain = self.lengthened(key, *chain, &fresh)?,
        }
        Ok(())
    }

    /// Writes indices that follow those of `chain` to chunks.
    fn lengthened(
        &mut self,
        key: &MapKey,
        mut chain: ListChain,
        fresh: &[u64],
    ) -> Result<ListChain, Error> {
        let mut chunk = match chain.len() % CHUNK {
            0 => Vec::new(),
            begun => self.rows.chunk(key, chain.len() / CHUNK, begun)?,
        };
        for index in fresh {
            let number = chain.len() / CHUNK;
            chain.push(*index).map_err(out_of_order)?;
            chunk.push(*index);
            if chain.len().is_multiple_of(CHUNK) {
                self.put_chunk(key, number, &chunk);
                chunk.clear();
            }
        }
        if !chunk.is_empty() {
            self.put_chunk(key, chain.len() / CHUNK, &chunk);
        }
        Ok(chain)
    }

    fn put_chunk(&mut self, key: &MapKey, number: u64, indices: &[u64]) {
        let address = row::chunk_address(key, number);
        self.writes.put_cf(self.rows.chunks, address, row::write_chunk(indices));
    }
}

/// What lies left and right of the fork at `depth`.
pub(super) fn halves(leaves: &[Leaf], depth: usize) -> (&[Leaf], &[Leaf]) {
    leaves.split_at(leaves.partition_point(|leaf| !leaf.key.turns_right(depth)))
}

/// The hash of the subtree at `depth` that has these keys.
pub(super) fn hash_of(leaves: &[Leaf], depth: usize) -> Result<MapHash, NotAscending> {
    match leaves {
        [] => Ok(MapHash::EMPTY),
        [Leaf { key, list }] => Ok(MapHash::leaf(key, &list.hash()?)),
        _ => {
            let (left, right) = halves(leaves, depth);
            Ok(MapHash::interior(&hash_of(left, depth + 1)?, &hash_of(right, depth + 1)?))
        }
    }
}

pub(super) fn out_of_order(error: NotAscending) -> Error {
    Error::Damaged(format!("a list of the map in the index: {error}"))
}
