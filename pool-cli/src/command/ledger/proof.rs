//! `pool ledger proof`: a receipt that shows offline that a signer attested a path.

use std::fs;

use anyhow::{Context, Result};
use schema::api::AttestationReport;
use schema::attestation::Entry;
use schema::key::KeyName;
use schema::store_path::StorePath;
use schema::tlog::bundle;
use schema::tlog::receipt::Receipt;
use schema::tlog::tile::{BundleAddress, FULL_WIDTH, TileAddress};
use serde_json::json;

use super::audit::{Pinned, pinned};
use super::verify::no_witnesses;
use crate::cli::Proof;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::remote::Remote;
use crate::store::in_any_store;
use crate::user_dirs;

/// Takes the receipt, and verifies it before anybody relies on it.
pub(super) async fn run(proof: Proof, remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let path = in_any_store(&proof.path)?;
    let found = find(&path, &proof.signer, remote).await?;
    let file = remote.receipt(found.index).await?;
    let wrong = |why: String| {
        Failure::no(format!("the pool's proof of entry {} proves nothing: {why}", found.index))
    };
    let receipt = Receipt::parse(&file).map_err(|why| wrong(why.to_string()))?;
    let bytes = entry(found.index, receipt.checkpoint().checkpoint().size(), remote).await?;
    let shown = Pinned::of(&remote.info().await?)?;
    let known = pinned(&user_dirs::state().join("ledger"), &shown.origin)?.unwrap_or(shown);
    receipt
        .verify(&bytes, &known.attestations, &no_witnesses()?)
        .map_err(|why| wrong(why.to_string()))?;
    let entry = Entry::parse(&bytes).map_err(|why| wrong(why.to_string()))?;
    if receipt.index() != found.index
        || entry.path_key != path.key()
        || entry.key_id != found.key_id
    {
        return Err(wrong("it is of another entry".to_owned()).into());
    }
    let text = receipt.with_extra(&bytes).map_err(|why| wrong(why.to_string()))?.to_string();
    match &proof.out {
        None => output.raw(text.as_bytes()),
        Some(out) => {
            fs::write(out, &text).with_context(|| format!("writing {}", out.display()))?;
            let key = known.attestations.to_string();
            let value = json!({ "index": found.index, "key": key, "out": out });
            output.result(&value, || {
                format!(
                    "{} proves that {} attested {path} in entry {}\nverify it with --key {key}",
                    out.display(),
                    proof.signer,
                    found.index
                )
            });
        }
    }
    Ok(Exit::Yes)
}

/// The newest attestation of a path by a signer.
async fn find(
    path: &StorePath,
    signer: &KeyName,
    remote: &Remote<'_>,
) -> Result<AttestationReport> {
    let hash_part = path.base().hash_part();
    let report = remote.path_report(hash_part).await?;
    let claims = report.map(|report| report.claims).unwrap_or_default();
    let of_path = claims.into_iter().filter(|claim| claim.store_path == *path);
    let by_signer = of_path.flat_map(|claim| claim.attestations).filter(|it| it.signer == *signer);
    let newest = by_signer.max_by_key(|attestation| attestation.index);
    let never = || {
        Failure::no(format!("{} knows of no attestation of {path} by {signer}", remote.server()))
    };
    Ok(newest.ok_or_else(never)?)
}

/// The bytes of an entry of the log of `size` entries.
async fn entry(index: u64, size: u64, remote: &Remote<'_>) -> Result<Vec<u8>> {
    let width = u64::from(FULL_WIDTH);
    let tile = TileAddress::in_tree(0, index / width, size);
    let tile = tile.with_context(|| format!("a log of {size} entries has none at {index}"))?;
    let path = BundleAddress::new(tile.index(), tile.width())?.path();
    let file = remote.log_file("attestations", &format!("tile/{path}")).await?;
    let entries = bundle::parse(&file).with_context(|| format!("reading {path}"))?;
    let at = usize::try_from(index % width)?;
    let entry = entries.get(at).with_context(|| format!("{path} has no entry {at}"))?;
    Ok(entry.to_vec())
}
