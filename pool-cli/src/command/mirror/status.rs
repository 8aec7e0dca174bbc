//! `pool mirror status`: what a pool mirrors, how far, and what is wrong with it.

use anyhow::Result;
use schema::api::{LedgerReport, LogReport};
use schema::tlog::checkpoint::UnverifiedCheckpoint;

use crate::cli::Global;
use crate::credentials::Access;
use crate::exit::Exit;
use crate::output::{Output, time};
use crate::remote::{Patience, Remote};

/// Shows it. No, when a log has forked or a source went back.
pub(super) async fn run(global: &Global, output: &'static Output) -> Result<Exit> {
    let remote = Remote::new(&Access::find(global)?, Patience::None, output)?;
    let held = remote.ledgers().await?;
    let mirrored: Vec<&LedgerReport> = held.ledgers.iter().filter(|it| !it.own).collect();
    output.result(&mirrored, || text(&mirrored, held.wanted));
    let logs = mirrored.iter().flat_map(|ledger| &ledger.logs);
    let is_wrong = |log: &LogReport| {
        log.fork.is_some() || log.sources.iter().any(|it| it.rolled_back_to.is_some())
    };
    Ok(if logs.into_iter().any(is_wrong) { Exit::No } else { Exit::Yes })
}

fn text(mirrored: &[&LedgerReport], wanted: bool) -> String {
    if mirrored.is_empty() {
        return "nothing is mirrored here".to_owned();
    }
    let mut lines = Vec::new();
    for ledger in mirrored {
        lines.push(format!("{}  {}", ledger.origin, ledger.public_key));
        for log in &ledger.logs {
            lines.extend(of_log(log));
        }
    }
    lines.push(if wanted {
        "some of the NARs that are wanted are not here yet".to_owned()
    } else {
        "every NAR that is wanted is here".to_owned()
    });
    lines.join("\n")
}

fn of_log(log: &LogReport) -> Vec<String> {
    let heard = match log.heard_at {
        0 => "not heard of since the pool started".to_owned(),
        at => format!("heard of at {}", time(at)),
    };
    let size = log.size.unwrap_or(0);
    let lag = match log.pending.saturating_sub(size) {
        0 => String::new(),
        lag => format!(", {lag} more are known"),
    };
    let mut lines = vec![format!("  {}: {size} entries{lag}, {heard}", log.log)];
    if let Some(fork) = &log.fork {
        let (source, first) = (&fork.source, fork.size);
        let met = time(fork.met_at);
        lines.push(format!("    forked: {source} showed other first {first} entries at {met}"));
        lines.push(
            "    it is not followed any more; the two checkpoints, both signed by the log:".into(),
        );
        let notes = fork.mirrored.lines().chain(fork.other.lines());
        lines.extend(notes.map(|line| format!("      {line}").trim_end().to_owned()));
    }
    for source in &log.sources {
        let Some(back) = &source.rolled_back_to else { continue };
        let (before, now) = (size_of(&source.largest), size_of(back));
        let address = &source.source;
        lines.push(format!("    {address} went back from {before} to {now} entries"));
    }
    lines
}

fn size_of(note: &str) -> u64 {
    let checkpoint = UnverifiedCheckpoint::parse(note.as_bytes());
    checkpoint.map_or(0, |checkpoint| checkpoint.checkpoint().size())
}
