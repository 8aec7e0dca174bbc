//! Small damage to well-formed bytes.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One byte replaced, added or removed.
#[derive(Debug, Clone)]
pub(super) struct Mutation {
    at: Index,
    byte: u8,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Replace,
    Insert,
    Remove,
}

impl Mutation {
    /// The damaged bytes, which differ from `bytes` unless the replacement is what stood there.
    pub(super) fn of(&self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        let at = self.at.index(bytes.len());
        match self.kind {
            Kind::Replace => damaged[at] = self.byte,
            Kind::Insert => damaged.insert(at, self.byte),
            Kind::Remove => drop(damaged.remove(at)),
        }
        damaged
    }
}

/// Any of them; bytes that mean something in some format come more often.
pub(super) fn mutation() -> impl Strategy<Value = Mutation> {
    let telling = select(&b"\0\n\r\t %+,-./0:;=?AZaez\x7f\x80\xff"[..]);
    let kind = select(&[Kind::Replace, Kind::Insert, Kind::Remove][..]);
    (any::<Index>(), prop_oneof![any::<u8>(), telling], kind)
        .prop_map(|(at, byte, kind)| Mutation { at, byte, kind })
}
