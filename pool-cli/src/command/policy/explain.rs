//! `pool policy explain`: what a policy makes of paths, and why.

use std::collections::HashSet;
use std::fmt::Write;

use anyhow::Result;
use schema::decide::{Decision, Reached, VoteStanding};
use schema::store_path::StorePath;
use serde_json::{Value, json};

use crate::cli::{Explain, Global};
use crate::exit::Exit;
use crate::judge::{Judge, Judged, Root};
use crate::output::{Output, plural, time};

use super::root;

/// Explains. No, unless everything is allowed.
pub(super) async fn run(
    explain: Explain,
    global: &Global,
    output: &'static Output,
) -> Result<Exit> {
    let roots = explain.paths.iter().map(|path| root(path)).collect::<Result<Vec<_>>>()?;
    let judge = Judge::of(&explain.file, &explain.judging, global, output)?;
    let judged = judge.judge(roots.clone()).await;
    for pool in judge.status() {
        if let Some(trouble) = pool.trouble {
            output.warn(&format!("{}: {trouble}", pool.url));
        }
    }
    let seen: Vec<StorePath> = roots.iter().flat_map(|root| of_root(root, &judged)).collect();
    let allowed = |path: &StorePath| {
        judged.closure.of(path).is_some_and(|reached| reached.outcome.claim().is_some())
    };
    let is_whole = roots.iter().all(|root| of_root(root, &judged).iter().any(allowed));
    output.result(&value(&judged, is_whole), || text(&judged, &seen, &roots));
    Ok(if is_whole { Exit::Yes } else { Exit::No })
}

fn of_root(root: &Root, judged: &Judged) -> Vec<StorePath> {
    match root {
        Root::Path(path) => vec![path.clone()],
        Root::Part(_) => {
            let reached = judged.closure.reached().iter().map(|reached| &reached.path);
            reached.filter(|path| root.is(path)).cloned().collect()
        }
    }
}

fn value(judged: &Judged, is_whole: bool) -> Value {
    let path = |reached: &Reached| {
        json!({
            "path": reached.path,
            "outcome": reached.outcome,
            "culprits": reached.culprits,
            "decision": judged.decisions.get(&reached.path),
        })
    };
    let paths: Vec<Value> = judged.closure.reached().iter().map(path).collect();
    json!({ "allowed": is_whole, "paths": paths })
}

/// The roots as trees. What was told of once is not told of again, and of what is allowed below the
/// roots only how many there are.
fn text(judged: &Judged, seen: &[StorePath], roots: &[Root]) -> String {
    let mut out = String::new();
    for root in roots {
        if let Root::Part(part) = root
            && of_root(root, judged).is_empty()
        {
            let _ = writeln!(out, "{part}: unknown: nobody attested a path with this hash part");
        }
    }
    let mut told = HashSet::new();
    for path in seen {
        branch(&mut out, judged, path, 0, &mut told);
    }
    let all = judged.closure.reached().len();
    let allowed = judged.closure.reached().iter().filter(|it| it.outcome.claim().is_some()).count();
    let _ = writeln!(out, "{allowed} of {} allowed", plural(all, "path"));
    out
}

/// A path, and below it what it refers to that is not allowed.
fn branch(
    out: &mut String,
    judged: &Judged,
    path: &StorePath,
    depth: usize,
    told: &mut HashSet<StorePath>,
) {
    let indent = "  ".repeat(depth);
    let Some(decision) = judged.decisions.get(path) else { return };
    let reached = judged.closure.of(path);
    let outcome = reached.map_or(decision.outcome(), |reached| &reached.outcome);
    let _ = writeln!(out, "{indent}{path}");
    let _ = writeln!(out, "{indent}  {} ({})", outcome.verdict(), outcome.code());
    if !told.insert(path.clone()) {
        return;
    }
    reasons(out, decision, &format!("{indent}  "));
    let claim = decision.outcome().claim();
    for base in claim.map_or(&[][..], |claim| claim.references()) {
        let below = StorePath::new(path.dir().clone(), base.clone());
        let refused = judged.closure.of(&below).is_some_and(|it| it.outcome.claim().is_none());
        // As deep as a screen is wide; the culprits are named above.
        if refused && depth < 16 {
            branch(out, judged, &below, depth + 1, told);
        }
    }
}

fn reasons(out: &mut String, decision: &Decision, indent: &str) {
    let rule = decision.rule().map_or("default".to_owned(), |rule| format!("rule {rule}"));
    let require = decision.require().unwrap_or("nothing: it denies");
    let _ = writeln!(out, "{indent}{rule} asks for {require}: {}", decision.reason());
    for vote in decision.account() {
        let who = match &vote.principal {
            Some(principal) => principal.to_string(),
            None => format!("key {}…", &vote.key_id.to_string()[..12]),
        };
        let counted = match vote.standing {
            VoteStanding::Counted => "counted".to_owned(),
            other => format!("not counted: {}", other.as_str()),
        };
        let _ = writeln!(
            out,
            "{indent}- {who} for claim {}… (entry {} of {}, {}): {counted}",
            &vote.claim.to_string()[..12],
            vote.index,
            vote.ledger,
            time(vote.logged_at)
        );
    }
    for ledger in decision.ledgers() {
        if let Some(unheard) = &ledger.unheard {
            let _ = writeln!(out, "{indent}- ledger {}: {unheard}", ledger.ledger);
        }
    }
}
