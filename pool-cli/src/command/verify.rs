//! `pool verify`: whether what lies in a store is what a policy allows.

use anyhow::Result;
use schema::claim::Claim;
use schema::store_path::StorePath;
use serde::Serialize;

use crate::cli::{Global, VerifyStore};
use crate::exit::Exit;
use crate::judge::{Judge, Judged, Root};
use crate::nar::Meter;
use crate::output::{Output, Progress, plural};
use crate::store::{PathInfo, Store};

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    paths: usize,
    allowed: usize,
    refused: Vec<Refused>,
}

/// A path that is not as the policy allows.
#[derive(Debug, Serialize)]
struct Refused {
    path: StorePath,
    code: &'static str,
    reason: String,
}

/// Verifies a closure. No, when something in it is not allowed.
pub(super) async fn run(
    verify: VerifyStore,
    global: &Global,
    output: &'static Output,
) -> Result<Exit> {
    let store = Store::open(&verify.store, &verify.paths)?;
    let tops = verify.paths.iter().map(|path| store.resolve(path)).collect::<Result<Vec<_>>>()?;
    let closure = store.closure(&tops)?;
    let judge = Judge::of(&verify.policy, &verify.judging, global, output)?;
    let roots = closure.iter().map(|info| Root::Path(info.claim.path().clone())).collect();
    let judged = judge.judge(roots).await;
    let total = closure.iter().map(|info| info.claim.nar_size()).sum();
    let progress = verify.deep.then(|| output.progress(closure.len(), total));
    let mut refused = Vec::new();
    for info in &closure {
        let differs = |(code, reason)| Refused { path: info.claim.path().clone(), code, reason };
        let found = compare(info, &judged)
            .or_else(|| progress.as_ref().and_then(|it| read_again(&store, &info.claim, it)));
        refused.extend(found.map(differs));
    }
    drop(progress);
    let report = Report { paths: closure.len(), allowed: closure.len() - refused.len(), refused };
    output.result(&report, || text(&report, verify.deep));
    // Somebody who was not heard can have made any of these paths unknown, but not damaged one.
    let unheard = report.refused.iter().all(|refused| refused.code == "unheard");
    Ok(match (report.refused.is_empty(), unheard) {
        (true, _) => Exit::Yes,
        (false, true) => Exit::CouldNotTell,
        (false, false) => Exit::No,
    })
}

/// What is wrong with a path as the store's database has it.
fn compare(info: &PathInfo, judged: &Judged) -> Option<(&'static str, String)> {
    let path = info.claim.path();
    let decision = judged.decisions.get(path);
    let Some(allowed) = decision.and_then(|decision| decision.outcome().claim()) else {
        let code = decision.map_or("unheard", |decision| decision.outcome().code());
        return Some((code, decision.map_or_else(String::new, |decision| decision.reason())));
    };
    if **allowed == info.claim {
        return None;
    }
    let what = if allowed.nar_hash() != info.claim.nar_hash() {
        format!("the NAR here is {}, and {} is allowed", info.claim.nar_hash(), allowed.nar_hash())
    } else if allowed.nar_size() != info.claim.nar_size() {
        "the NAR here is said to have another size than is allowed".to_owned()
    } else {
        "it refers to other paths than is allowed".to_owned()
    };
    Some(("differs", what))
}

/// What is wrong with a path's files, whatever the database says.
fn read_again(
    store: &Store,
    claim: &Claim,
    progress: &Progress<'_>,
) -> Option<(&'static str, String)> {
    let mut meter = Meter::default();
    let read = store.dump(claim, &mut meter);
    progress.advance(claim.nar_size());
    progress.nars_done(1);
    if let Err(error) = read {
        return Some(("unreadable", format!("{error:#}")));
    }
    let (hash, size) = meter.finish();
    let same = hash == claim.nar_hash() && size == claim.nar_size();
    let reason = || format!("its files have the NAR {hash}, and should have {}", claim.nar_hash());
    (!same).then(|| ("damaged", reason()))
}

fn text(report: &Report, deep: bool) -> String {
    let mut out = String::new();
    for Refused { path, reason, .. } in &report.refused {
        out.push_str(&format!("{path}\n  {reason}\n"));
    }
    let how = if deep { ", and its files are what they should be" } else { "" };
    let (allowed, paths) = (report.allowed, plural(report.paths, "path"));
    out.push_str(&format!("the policy allows {allowed} of {paths}"));
    if report.refused.is_empty() {
        out.push_str(how);
    }
    out
}
