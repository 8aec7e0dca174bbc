//! NARs that are packed whole: one at a time, or many small ones into one body.

use anyhow::Result;
use bytes::Bytes;
use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::nar_batch::{MAX_RECORDS, Record};

use super::workers::Worker;
use crate::compress::FRAME;
use crate::nar::{Bounded, mismatch};
use crate::store::Store;

/// The largest NAR that shares a request with others.
const SMALL: u64 = 256 << 10;
/// NAR bytes in one batch; packed they are far from the longest body there may be.
const BATCH: u64 = 4 << 20;

/// One upload.
#[derive(Debug)]
pub(super) enum Unit {
    /// A NAR of more than one frame, sent while it is dumped.
    Stream(Claim),
    /// A NAR of one frame.
    Whole(Claim),
    /// Small ones.
    Batch(Vec<Claim>),
}

/// Divides NARs into uploads, the largest first, so that none of them is left over at the end.
pub(super) fn units(mut claims: Vec<Claim>) -> Vec<Unit> {
    claims.sort_by_key(|claim| std::cmp::Reverse(claim.nar_size()));
    let small = claims.partition_point(|claim| claim.nar_size() > SMALL);
    let small = claims.split_off(small);
    let single = |claim: Claim| {
        if claim.nar_size() > FRAME as u64 { Unit::Stream(claim) } else { Unit::Whole(claim) }
    };
    let mut units: Vec<Unit> = claims.into_iter().map(single).collect();
    let mut batch = Vec::new();
    let mut size = 0;
    for claim in small {
        if size + claim.nar_size() > BATCH || batch.len() == MAX_RECORDS {
            units.push(Unit::Batch(std::mem::take(&mut batch)));
            size = 0;
        }
        size += claim.nar_size();
        batch.push(claim);
    }
    if !batch.is_empty() {
        units.push(Unit::Batch(batch));
    }
    units
}

/// Packs one NAR.
pub(super) fn pack(worker: &mut Worker, store: &Store, claim: &Claim) -> Result<Bytes> {
    read(store, claim, &mut worker.nar)?;
    worker.compressor.pack(&worker.nar)
}

/// Packs many, as the body of a batch.
pub(super) fn pack_all(
    worker: &mut Worker,
    store: &Store,
    claims: &[Claim],
    compression: Compression,
) -> Result<Bytes> {
    let mut body = Vec::new();
    for claim in claims {
        read(store, claim, &mut worker.nar)?;
        let file = worker.compressor.packed(&worker.nar)?;
        Record { nar_hash: claim.nar_hash(), compression, file }.encode_to(&mut body)?;
    }
    Ok(body.into())
}

/// Reads a NAR into `nar` and makes sure that it is the one `claim` speaks of.
fn read(store: &Store, claim: &Claim, nar: &mut Vec<u8>) -> Result<()> {
    let size = usize::try_from(claim.nar_size())?;
    let mut out = Bounded::new(nar, size);
    if let Err(error) = store.dump(claim, &mut out) {
        return Err(if out.overflowed() { store.mismatch(claim) } else { error });
    }
    let hash = NarHash::of(nar);
    if nar.len() == size && hash == claim.nar_hash() {
        Ok(())
    } else {
        Err(mismatch(claim, (hash, nar.len() as u64)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(size: u64) -> Claim {
        let path = "/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-x".parse().unwrap();
        Claim::new(path, NarHash::of(&size.to_be_bytes()), size, Vec::new()).unwrap()
    }

    #[test]
    fn large_ones_stream_and_small_ones_share() {
        let sizes = [112, FRAME as u64 + 1, SMALL, FRAME as u64, SMALL + 1];
        let units = units(sizes.map(claim).to_vec());
        assert!(matches!(&units[0], Unit::Stream(claim) if claim.nar_size() > FRAME as u64));
        assert!(matches!(&units[1], Unit::Whole(claim) if claim.nar_size() == FRAME as u64));
        assert!(matches!(&units[2], Unit::Whole(claim) if claim.nar_size() == SMALL + 1));
        assert!(matches!(&units[3], Unit::Batch(claims) if claims.len() == 2));
        assert_eq!(units.len(), 4);
    }

    #[test]
    fn batches_are_bounded_in_number_and_size_and_lose_nothing() {
        for (count, size) in [(3000, 112), (40, SMALL), (1024, 500)] {
            let units = units(vec![claim(size); count]);
            let mut total = 0;
            for unit in units {
                let Unit::Batch(claims) = unit else { panic!("{unit:?}") };
                assert!(claims.len() <= MAX_RECORDS && claims.len() as u64 * size <= BATCH);
                total += claims.len();
            }
            assert_eq!(total, count);
        }
    }
}
