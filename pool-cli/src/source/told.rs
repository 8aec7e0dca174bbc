//! What a source says of a path, in Nix's words or in Guix's.

use schema::claim::Claim;
use schema::compression::Compression;
use schema::narinfo::guix::{GuixNarInfo, SignatureLine, is_readable};
use schema::narinfo::{Delivery, NarInfo};
use schema::signature::NamedSignature;
use schema::store_path::{BaseName, HashPart, StoreDir};

use super::Fault;

/// What a narinfo says. Nothing of it has been verified, but that it is about the path asked for.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// What is claimed, in the words that were signed.
    pub(crate) claim: Claim,
    /// The derivation it was built from.
    pub(crate) deriver: Option<BaseName>,
    /// Its content address.
    pub(crate) content_address: Option<String>,
    /// Who is said to have signed.
    pub(crate) signatures: Signatures,
    /// Where the NAR is, in the best of the compressions it is offered in.
    pub(crate) delivery: Delivery,
}

/// Signatures that nobody has verified yet.
#[derive(Debug, Clone)]
pub(crate) enum Signatures {
    /// Each by the name of its key.
    Nix(Vec<NamedSignature>),
    /// One, with its key in it.
    Guix(Option<SignatureLine>),
}

impl Told {
    /// Reads the narinfo that a source with this store directory has for this path.
    pub(super) fn read(text: &[u8], dir: &StoreDir, part: HashPart) -> Result<Self, Fault> {
        let told = if *dir == StoreDir::guix() { Self::guix(text) } else { Self::nix(text) }?;
        let path = told.claim.path();
        // Else a source could have us take one path for another.
        if path.dir() != dir || path.base().hash_part() != part {
            let why = format!("its narinfo of {dir}/{part} is about {path}");
            return Err(Fault::Malformed(why));
        }
        Ok(told)
    }

    fn nix(text: &[u8]) -> Result<Self, Fault> {
        let narinfo = NarInfo::parse_nix(text).map_err(|why| malformed(&why))?;
        Ok(Self {
            claim: narinfo.claim,
            deriver: narinfo.deriver,
            content_address: narinfo.content_address.map(|address| address.to_string()),
            signatures: Signatures::Nix(narinfo.signatures),
            delivery: narinfo.delivery,
        })
    }

    fn guix(text: &[u8]) -> Result<Self, Fault> {
        let narinfo = GuixNarInfo::parse(text).map_err(|why| malformed(&why))?;
        Ok(Self {
            claim: narinfo.claim,
            deriver: narinfo.deriver,
            content_address: None,
            signatures: Signatures::Guix(narinfo.signature),
            delivery: best(narinfo.deliveries)
                .ok_or_else(|| malformed(&"no URL of a NAR that Guix can unpack"))?,
        })
    }

    /// The size of the NAR's file, if it is told or follows from what is told, in bytes.
    pub(crate) fn file_size(&self) -> Option<u64> {
        match self.delivery.compression {
            Compression::None => Some(self.claim.nar_size()),
            _ => self.delivery.file_size,
        }
    }
}

fn malformed(why: &dyn std::fmt::Display) -> Fault {
    Fault::Malformed(format!("its narinfo: {why}"))
}

/// The smallest; by what its format usually comes to, unless the size of each is told.
fn best(deliveries: Vec<Delivery>) -> Option<Delivery> {
    let sized = deliveries.iter().all(|it| it.file_size.is_some());
    // Whoever gets it from the pool is a Guix, too.
    let readable = deliveries.into_iter().filter(|it| is_readable(it.compression));
    readable.min_by_key(|it| (it.file_size.filter(|_| sized), usual_size(it.compression)))
}

/// In no unit: only which is smaller.
fn usual_size(compression: Compression) -> u8 {
    match compression {
        Compression::Lzip => 0,
        Compression::Xz => 1,
        Compression::Brotli => 2,
        Compression::Zstd => 3,
        Compression::Bzip2 => 4,
        Compression::Gzip => 5,
        Compression::None => 6,
    }
}
