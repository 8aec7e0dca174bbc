//! `pool ledger verify`: what a receipt proves, without asking anybody.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use schema::attestation::Entry;
use schema::tlog::cosignature::Cosignature;
use schema::tlog::policy::Policy;
use schema::tlog::receipt::{MAX_RECEIPT_LEN, Receipt};
use serde_json::{Value, json};

use super::read_policy;
use crate::cli::Verify;
use crate::exit::{Exit, Failure};
use crate::output::{Output, time};
use crate::store::in_any_store;

/// Verifies a receipt. No, when it does not prove what it should.
pub(super) fn run(verify: &Verify, output: &Output) -> Result<Exit> {
    let no = |why: String| Failure::no(format!("{}: {why}", verify.receipt.display()));
    let policy = match &verify.policy {
        Some(file) => read_policy(file)?,
        None => no_witnesses()?,
    };
    let receipt = Receipt::parse(&read(&verify.receipt)?).map_err(|why| no(why.to_string()))?;
    let bytes =
        receipt.extra().ok_or_else(|| no("it has no entry in its extra data".to_owned()))?;
    let checkpoint =
        receipt.verify(bytes, &verify.key, &policy).map_err(|why| no(why.to_string()))?;
    let entry = Entry::parse(bytes).map_err(|why| no(why.to_string()))?;
    if let Some(path) = &verify.path {
        let path = in_any_store(path)?;
        if path.key() != entry.path_key {
            return Err(no(format!("it is about another path than {path}")).into());
        }
    }
    let witnesses = policy.check(&checkpoint).map_err(|why| no(why.to_string()))?;
    let proven =
        Proven { index: receipt.index(), size: checkpoint.size(), entry: &entry, witnesses };
    output.result(&proven.json(), || proven.text());
    Ok(Exit::Yes)
}

/// For those who know no witnesses.
pub(super) fn no_witnesses() -> Result<Policy> {
    Policy::parse(b"quorum none\n").context("reading a policy without witnesses")
}

/// What a receipt has proved.
struct Proven<'r> {
    index: u64,
    size: u64,
    entry: &'r Entry,
    witnesses: Vec<Cosignature<'r>>,
}

impl Proven<'_> {
    fn json(&self) -> Value {
        let witness =
            |it: &Cosignature<'_>| json!({ "name": it.witness.name().as_str(), "time": it.time });
        json!({
            "index": self.index,
            "size": self.size,
            "logged_at": self.entry.logged_at,
            "key_id": self.entry.key_id,
            "nar_hash": self.entry.subject,
            "claim": self.entry.claim,
            "path_key": self.entry.path_key,
            "witnesses": self.witnesses.iter().map(witness).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let entry = self.entry;
        let mut out = format!(
            "entry      {} of {}, logged at {}\nsigner     {} (key id)\nNAR        {}\nclaim      {}\n",
            self.index,
            self.size,
            time(entry.logged_at),
            entry.key_id,
            entry.subject,
            entry.claim
        );
        for witness in &self.witnesses {
            let _ =
                writeln!(out, "witness    {} at {}", witness.witness.name(), time(witness.time));
        }
        if self.witnesses.is_empty() {
            out.push_str("witness    none that is known: --policy FILE names them\n");
        }
        out
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let about = || format!("reading {}", path.display());
    let mut file = Vec::new();
    // One byte more than can be, so that what is too long is noticed.
    let most = MAX_RECEIPT_LEN as u64 + 1;
    File::open(path).with_context(about)?.take(most).read_to_end(&mut file).with_context(about)?;
    Ok(file)
}
