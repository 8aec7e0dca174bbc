//! Listings, as JSON and as ingest makes them.

use proptest::prelude::*;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::listing::{Listing, Node};

use super::tree::{Tree, ingested, tree};

fn agree(node: &Node, tree: &Tree, nar: &[u8]) -> bool {
    match (node, tree) {
        (
            Node::Regular { size, executable, nar_offset },
            Tree::File { executable: may, contents },
        ) => {
            let start = nar_offset.and_then(|offset| usize::try_from(offset).ok());
            let found = start.and_then(|start| nar.get(start..)).unwrap_or_default();
            *size == contents.len() as u64 && executable == may && found.starts_with(contents)
        }
        (Node::Symlink { target }, Tree::Symlink { target: told }) => target == told,
        (Node::Directory { entries }, Tree::Directory(files)) => {
            entries.keys().eq(files.keys())
                && entries.values().zip(files.values()).all(|(node, tree)| agree(node, tree, nar))
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_listing_is_the_tree_and_its_json_leads_back(tree in tree(prop::collection::vec(any::<u8>(), 0..200))) {
        let nar = tree.to_nar();
        let verified = ingested(&nar, Compression::None);
        prop_assert_eq!(verified.nar_hash(), NarHash::of(&nar));
        let json = verified.into_findings().1.expect("the listing is short");
        let listing: Listing = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(listing.version, 1);
        prop_assert!(agree(&listing.root, &tree, &nar));
        prop_assert_eq!(serde_json::to_vec(&listing).unwrap(), json);
    }
}
