//! `pool attest`: signs what others may have pushed.

use std::time::Instant;

use anyhow::Result;
use schema::api::{AttestItem, AttestRequest};
use schema::claim::Claim;
use schema::key::SecretKey;
use schema::store_path::BaseName;
use serde_json::json;

use crate::cli::{Attest, Global};
use crate::command::push::plan::{Plan, preflight};
use crate::credentials::Access;
use crate::exit::Exit;
use crate::key_file;
use crate::output::{Output, bytes, plural};
use crate::remote::{Attested, Patience, Remote};
use crate::store::{PathInfo, Store};

/// Signs the closure of the paths.
pub(super) async fn run(attest: Attest, global: &Global, output: &Output) -> Result<Exit> {
    let start = Instant::now();
    let remote = Remote::new(&Access::find(global)?, Patience::Some, output)?;
    let key = key_file::secret_known_to(&remote, &attest.source.key).await?;
    let store = Store::open(&attest.source.store, &attest.paths)?;
    let tops = attest.paths.iter().map(|path| store.resolve(path)).collect::<Result<Vec<_>>>()?;
    let plan = Plan::new(&store, &tops)?;
    preflight(&remote, &key, &attest.source.key, &store, &plan).await?;
    let attested = remote.attest(sign(&key, &plan.closure)).await?;
    let lacking = remote.missing(&plan.nar_hashes()).await?.len();

    let seconds = start.elapsed().as_secs_f64();
    let (paths, sent) = (plan.closure.len(), remote.bytes_sent());
    let value = json!({
        "paths": paths,
        "attestations_new": attested.new,
        "attestations_known": attested.known,
        "nars_missing": lacking,
        "bytes_sent": sent,
        "seconds": seconds,
    });
    output.result(&value, || {
        let (paths, sent) = (plural(paths, "path"), bytes(sent));
        let (server, name, Attested { new, known }) = (remote.server(), key.name(), attested);
        format!(
            "attested {paths} to {server} as {name}: {new} new, {known} known; {sent} sent in \
             {seconds:.1} s"
        )
    });
    if lacking > 0 {
        let lacking = plural(lacking, "NAR");
        output.note(&format!(
            "the pool lacks {lacking}: such paths are served once somebody pushes it"
        ));
    }
    Ok(Exit::Yes)
}

/// What `key` says of each path of `closure`.
pub(super) fn sign(key: &SecretKey, closure: &[PathInfo]) -> AttestRequest {
    let item = |info: &PathInfo| AttestItem {
        deriver: info.deriver.clone(),
        ca: info.ca.clone(),
        ..item(key, &info.claim, info.deriver.as_ref())
    };
    AttestRequest { attestations: closure.iter().map(item).collect() }
}

/// A claim in the words of `key`, signed with it. Guix names the deriver, too.
pub(super) fn item(key: &SecretKey, claim: &Claim, deriver: Option<&BaseName>) -> AttestItem {
    let claim = claim.in_dialect(key.public().dialect(), deriver);
    AttestItem::new(&claim, key.sign(claim.signed_bytes().as_bytes()))
}
