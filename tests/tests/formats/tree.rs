//! Trees of files, and their NARs as the crate `nix-archive` writes them.

use std::collections::BTreeMap;

use nix_archive::nar::Encoder;
use pool_server::ingest::{Declared, Limits, VerifiedNar, check};
use proptest::prelude::*;
use schema::compression::Compression;

/// What a NAR holds.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    File { executable: bool, contents: Vec<u8> },
    Symlink { target: String },
    Directory(BTreeMap<String, Tree>),
}

impl Tree {
    pub(super) fn to_nar(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new()).expect("memory takes what is written");
        self.encode(&mut encoder, None).expect("the tree is well formed");
        encoder.finish().expect("the tree is whole")
    }

    fn encode(
        &self,
        encoder: &mut Encoder<Vec<u8>>,
        name: Option<&[u8]>,
    ) -> Result<(), nix_archive::nar::Error> {
        match self {
            Self::File { executable, contents } => encoder.regular(name, *executable, contents),
            Self::Symlink { target } => encoder.symlink(name, target.as_bytes()),
            Self::Directory(entries) => {
                encoder.start_directory(name)?;
                for (name, tree) in entries {
                    tree.encode(encoder, Some(name.as_bytes()))?;
                }
                encoder.end_directory()
            }
        }
    }
}

/// Trees whose files hold what `contents` makes.
pub(super) fn tree(
    contents: impl Strategy<Value = Vec<u8>> + Clone + 'static,
) -> impl Strategy<Value = Tree> {
    let file = (any::<bool>(), contents)
        .prop_map(|(executable, contents)| Tree::File { executable, contents });
    let symlink = "[^\\x00]{1,40}".prop_map(|target| Tree::Symlink { target });
    let leaf = prop_oneof![3 => file, 1 => symlink];
    let name = "[^/\\x00]{1,12}".prop_filter("names", |name| name != "." && name != "..");
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop::collection::btree_map(name.clone(), inner, 0..5).prop_map(Tree::Directory)
    })
}

/// What ingest makes of this file.
pub(super) fn ingested(file: &[u8], compression: Compression) -> VerifiedNar {
    let limits = Limits {
        nar_size: 64 << 20,
        file_size: 64 << 20,
        decoder_memory: 64 << 20,
        listing_size: 1 << 20,
    };
    let declared = Declared { compression: Some(compression), ..Declared::default() };
    check(file, &declared, &limits).expect("the NAR is well formed")
}
