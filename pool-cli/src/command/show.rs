//! `pool show`: what a pool knows, and who says so.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use schema::api::{ClaimReport, NarReport, PathReport, ScanReport};
use schema::claim::Dialect;
use schema::hash::NarHash;
use schema::store_path::HashPart;

use crate::exit::{Exit, Failure};
use crate::output::{Output, bytes, plural, time};
use crate::remote::Remote;
use crate::store::in_any_store;

/// Shows a path or a NAR. No, when the pool never saw it.
pub(super) async fn run(subject: &Path, remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let never = || Failure::no(format!("{} never saw {}", remote.server(), subject.display()));
    match Subject::read(subject)? {
        Subject::Path(hash_part) => {
            let report = remote.path_report(hash_part).await?.ok_or_else(never)?;
            output.result(&report, || path_text(&report));
        }
        Subject::Nar(hash) => {
            let report = remote.nar_report(hash).await?.ok_or_else(never)?;
            output.result(&report, || nar_text(&report));
        }
    }
    Ok(Exit::Yes)
}

#[derive(Debug, PartialEq, Eq)]
enum Subject {
    Path(HashPart),
    Nar(NarHash),
}

impl Subject {
    fn read(subject: &Path) -> Result<Self> {
        if let Some(text) = subject.to_str() {
            if let Ok(hash_part) = text.parse() {
                return Ok(Self::Path(hash_part));
            }
            if let Ok(hash) = text.parse().or_else(|_| NarHash::from_nix32(text)) {
                return Ok(Self::Nar(hash));
            }
        }
        Ok(Self::Path(in_any_store(subject)?.base().hash_part()))
    }
}

fn path_text(report: &PathReport) -> String {
    let mut out = String::new();
    for (at, claim) in report.claims.iter().enumerate() {
        if at == 0 || claim.store_path != report.claims[at - 1].store_path {
            let _ = writeln!(out, "{}", claim.store_path);
        }
        let number = (report.claims.len() > 1).then_some(at + 1);
        claim_text(&mut out, claim, number);
    }
    if report.disagreement {
        let _ = writeln!(
            out,
            "SIGNERS DISAGREE: {} about this path; each signer's view serves its own",
            plural(different(&report.claims), "different claim")
        );
    }
    if let Some(refused) = &report.refused {
        let _ = writeln!(out, "not served by default: {}", refused.detail);
    }
    out
}

/// How many of the claims say different things, whatever the words.
fn different(claims: &[ClaimReport]) -> usize {
    let said =
        |it: &ClaimReport| (it.store_path.clone(), it.nar_hash, it.nar_size, it.references.clone());
    claims.iter().map(said).collect::<HashSet<_>>().len()
}

fn claim_text(out: &mut String, claim: &ClaimReport, number: Option<usize>) {
    let number = number.map(|number| format!(" {number}")).unwrap_or_default();
    let words = match claim.dialect {
        Dialect::Nix => "",
        Dialect::Guix => ", in Guix's words",
    };
    let _ = writeln!(out, "  claim{number}       {}{words}", claim.claim);
    let _ = writeln!(out, "    NAR         {} ({})", claim.nar_hash, bytes(claim.nar_size));
    let _ = match &claim.file {
        Some(file) => {
            writeln!(out, "    kept as     {} ({})", file.compression, bytes(file.file_size))
        }
        None => writeln!(out, "    kept as     nothing: the pool does not have this NAR"),
    };
    for reference in &claim.references {
        let _ = writeln!(out, "    refers to   {reference}");
    }
    if let Some(deriver) = &claim.deriver {
        let _ = writeln!(out, "    built from  {deriver}");
    }
    scan_text(out, claim.scan.as_ref());
    for attestation in &claim.attestations {
        let _ = writeln!(
            out,
            "    signed by   {} (entry {}, {})",
            attestation.signer,
            attestation.index,
            time(attestation.logged_at)
        );
    }
}

fn scan_text(out: &mut String, scan: Option<&ScanReport>) {
    let Some(scan) = scan else { return };
    for base in &scan.not_found {
        let _ =
            writeln!(out, "    note        claims to refer to {base}, which the NAR does not hold");
    }
    for hash_part in &scan.not_claimed {
        let _ = writeln!(out, "    note        the NAR holds {hash_part}, which is not claimed");
    }
}

fn nar_text(report: &NarReport) -> String {
    let mut out = format!("{}\n", report.nar_hash);
    if let Some(size) = report.nar_size {
        let _ = writeln!(out, "  size     {}", bytes(size));
    }
    let _ = match &report.file {
        Some(file) => writeln!(out, "  kept as  {} ({})", file.compression, bytes(file.file_size)),
        None => writeln!(out, "  kept as  nothing: the pool does not have this NAR"),
    };
    for path in &report.paths {
        let _ = writeln!(out, "  NAR of   {path}");
    }
    out
}

#[cfg(test)]
mod tests;
