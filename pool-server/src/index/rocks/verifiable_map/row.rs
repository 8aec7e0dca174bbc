//! How the rows of the map are laid out.
//!
//! Numbers are LEB128, and indices the differences between neighbours, the first as it is.

use schema::hash::{ListHash, MapHash, MapKey};
use schema::verifiable_map::{ListChain, NotAscending};

use super::{LEVELS, SHORT};

const BUCKET_ROW: u8 = 1;
const PAGE_ROW: u8 = 2;

const EMPTY: u8 = 0;
const BELOW: u8 = 1;
const FORK: u8 = 2;

/// What lies under one address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// By ascending keys.
    Bucket(Vec<Leaf>),
    /// The top of a subtree: always a fork.
    Page(Node),
}

/// A key and its list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) key: MapKey,
    pub(super) list: List,
}

/// A node of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// There is no key below.
    Empty,
    /// A row of its own, of which this is the hash.
    Below(MapHash),
    /// Left and right.
    Fork(Box<[Node; 2]>),
}

/// The list of a key, as far as the bucket has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum List {
    /// All of it.
    Short(Vec<u64>),
    /// The indices are in chunks.
    Long(ListChain),
}

impl Row {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let mut reader = Reader(rest);
        let row = match *tag {
            BUCKET_ROW => {
                let len = reader.byte()?;
                let mut leaves = Vec::with_capacity(usize::from(len));
                for _ in 0..len {
                    let key = MapKey::from_bytes(reader.hash()?);
                    leaves.push(Leaf { key, list: reader.list()? });
                }
                Self::Bucket(leaves)
            }
            PAGE_ROW => Self::Page(reader.node(LEVELS)?),
            _ => return None,
        };
        reader.0.is_empty().then_some(row)
    }
}

pub(super) fn write_bucket(leaves: &[Leaf]) -> Vec<u8> {
    let mut out = Vec::with_capacity(leaves.len() * 40 + 2);
    out.push(BUCKET_ROW);
    // A bucket has at most BUCKET keys.
    out.push(u8::try_from(leaves.len()).unwrap_or(u8::MAX));
    for Leaf { key, list } in leaves {
        out.extend_from_slice(key.as_bytes());
        match list {
            List::Short(indices) => {
                put_number(&mut out, indices.len() as u64);
                put_indices(&mut out, indices);
            }
            List::Long(chain) => {
                put_number(&mut out, chain.len());
                put_number(&mut out, chain.last().unwrap_or_default());
                out.extend_from_slice(chain.hash().as_bytes());
            }
        }
    }
    out
}

pub(super) fn write_page(top: &Node) -> Vec<u8> {
    let mut out = vec![PAGE_ROW];
    top.write(&mut out);
    out
}

pub(super) fn write_chunk(indices: &[u64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(indices.len() * 2);
    put_indices(&mut out, indices);
    out
}

pub(super) fn read_chunk(bytes: &[u8]) -> Option<Vec<u64>> {
    let mut reader = Reader(bytes);
    let mut indices = Vec::with_capacity(bytes.len());
    while !reader.0.is_empty() {
        indices.push(reader.index(indices.last().copied())?);
    }
    Some(indices)
}

/// Of the row of the subtree at `depth` that `key` is in.
pub(super) fn address(key: &MapKey, depth: usize) -> Vec<u8> {
    // A subtree of more than one bucket's keys ends before the last bit, far below 255.
    let mut address = vec![u8::try_from(depth).unwrap_or(u8::MAX)];
    address.extend_from_slice(&key.as_bytes()[..depth.div_ceil(8)]);
    if let (1.., Some(last)) = (depth % 8, address.last_mut()) {
        *last &= 0xff << (8 - depth % 8);
    }
    address
}

pub(super) fn chunk_address(key: &MapKey, number: u64) -> [u8; 40] {
    let mut address = [0; 40];
    address[..32].copy_from_slice(key.as_bytes());
    address[32..].copy_from_slice(&number.to_be_bytes());
    address
}

impl Node {
    /// The node of a subtree with this hash, which has a row unless it is empty.
    pub(super) fn with_row(hash: MapHash) -> Self {
        if hash == MapHash::EMPTY { Self::Empty } else { Self::Below(hash) }
    }

    pub(super) fn hash(&self) -> MapHash {
        match self {
            Self::Empty => MapHash::EMPTY,
            Self::Below(hash) => *hash,
            Self::Fork(halves) => MapHash::interior(&halves[0].hash(), &halves[1].hash()),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => out.push(EMPTY),
            Self::Below(hash) => {
                out.push(BELOW);
                out.extend_from_slice(hash.as_bytes());
            }
            Self::Fork(halves) => {
                out.push(FORK);
                halves.iter().for_each(|half| half.write(out));
            }
        }
    }
}

impl List {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Short(indices) => indices.len() as u64,
            Self::Long(chain) => chain.len(),
        }
    }

    pub(super) fn hash(&self) -> Result<ListHash, NotAscending> {
        match self {
            Self::Short(indices) => ListChain::of(indices).map(|chain| chain.hash()),
            Self::Long(chain) => Ok(chain.hash()),
        }
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_indices(out: &mut Vec<u8>, indices: &[u64]) {
    let mut before = 0;
    for index in indices {
        put_number(out, index - before);
        before = *index;
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn hash(&mut self) -> Option<[u8; 32]> {
        let (hash, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*hash)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn index(&mut self, before: Option<u64>) -> Option<u64> {
        before.unwrap_or(0).checked_add(self.number()?)
    }

    fn list(&mut self) -> Option<List> {
        let len = self.number()?;
        if len > SHORT as u64 {
            let last = self.number()?;
            let hash = ListHash::from_bytes(self.hash()?);
            return Some(List::Long(ListChain::resume(len, last, hash)));
        }
        let mut indices = Vec::with_capacity(len as usize);
        for _ in 0..len {
            indices.push(self.index(indices.last().copied())?);
        }
        Some(List::Short(indices))
    }

    /// A node with at most so many levels below it.
    fn node(&mut self, levels: usize) -> Option<Node> {
        match self.byte()? {
            EMPTY => Some(Node::Empty),
            BELOW => Some(Node::Below(MapHash::from_bytes(self.hash()?))),
            FORK => {
                let below = levels.checked_sub(1)?;
                Some(Node::Fork(Box::new([self.node(below)?, self.node(below)?])))
            }
            _ => None,
        }
    }
}
