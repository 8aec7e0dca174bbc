//! `pool-server fsck`: looking through a pool, by its server where one runs.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use pool_server::blobs::Blobs;
use pool_server::config::Config;
use pool_server::control::{self, Heard, Request};
use pool_server::fsck::{self, Done, Finding, Options, Parts, Summary};
use pool_server::index::Index;
use pool_server::ledger::inspection;
use pool_server::ledger::sequencer::Sequencer;
use pool_server::log;
use serde_json::json;
use tokio::runtime::Runtime;

use super::cli::FsckArguments;
use super::{check_pool, say, warn};

/// Something was wrong, even if it is not any more.
const FOUND: u8 = 1;
/// It could not be looked through.
const FAILED: u8 = 2;

/// Looks through the pool, and prints what is wrong.
pub(super) fn run(config: &Config, arguments: &FsckArguments) -> ExitCode {
    look_through(config, arguments).unwrap_or_else(|error| {
        warn(&format!("error: {error}"));
        ExitCode::from(FAILED)
    })
}

fn look_through(config: &Config, arguments: &FsckArguments) -> Result<ExitCode, Box<dyn Error>> {
    check_pool(config)?;
    let FsckArguments { deep, repair, rate, json } = *arguments;
    let options = Options { deep, repair, rate };
    let mut unsaid = None;
    let mut found = |it: &Finding| {
        let text = if json { json!({ "finding": it }).to_string() } else { line(it) };
        unsaid = unsaid.take().or_else(|| say(&format!("{text}\n")).err());
    };
    let by_server = control::ask(&config.data, &Request::Fsck(options), |heard| match heard {
        Heard::Found(finding) => found(&finding),
        Heard::Progress(text) => warn(&text),
    })?;
    let summary = by_server.map_or_else(|| offline(config, options, &mut found), Ok)?;
    if let Some(error) = unsaid {
        return Err(error.into());
    }
    let text = if json { json!({ "summary": summary }).to_string() } else { told(&summary) };
    say(&format!("{text}\n"))?;
    Ok(if summary.found == 0 { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

/// No server runs, which holding the index proves.
fn offline(
    config: &Config,
    options: Options,
    found: &mut dyn FnMut(&Finding),
) -> Result<Summary, Box<dyn Error>> {
    log::start(config);
    let index = Arc::new(Index::open_unread(&config.data.join("index"))?);
    let blobs = Blobs::open(&config.data.join("blobs"))?;
    let runtime = Runtime::new()?;
    let sequencer = if options.repair { sequencer(&index, config) } else { None };
    let parts = Parts {
        config,
        index: &index,
        blobs: &blobs,
        sequencer: sequencer.as_ref(),
        runtime: runtime.handle(),
    };
    let summary = fsck::run(parts, options, &Arc::default(), found);
    if let Some(sequencer) = sequencer {
        runtime.block_on(sequencer.stop());
    }
    Ok(summary?)
}

/// None where the ledger cannot be written: then there is worse to be repaired.
fn sequencer(index: &Arc<Index>, config: &Config) -> Option<Sequencer> {
    inspection::sequencer(index, config)
        .inspect_err(|error| {
            warn(&format!("only tiles are repaired: {error}\nhint: after that, run it again"))
        })
        .ok()
}

fn line(finding: &Finding) -> String {
    let Finding { kind, subject, detail, done } = finding;
    let kind = json!(kind);
    let kind = kind.as_str().unwrap_or_default();
    let done = match done {
        Done::Left => "",
        Done::Mended => " (mended)",
        Done::Withdrawn => " (withdrawn)",
        Done::Removed => " (removed)",
    };
    format!("{kind} {subject}: {detail}{done}")
}

fn told(summary: &Summary) -> String {
    let Summary { paths, nars, nars_read, entries, found, repaired, .. } = summary;
    let mut text = format!("{paths} paths, {nars} NARs, {entries} entries");
    if *nars_read > 0 {
        text += &format!("; {nars_read} NARs read, {} MiB", summary.bytes >> 20);
    }
    if let Some(after) = &summary.resumed_after {
        text += &format!(", after {} where the last one was stopped", after.to_nix32());
    }
    text += &match found {
        0 => "; nothing is wrong".to_owned(),
        found => format!("; {found} things are wrong, and {repaired} of them repaired"),
    };
    if !summary.waiting.is_empty() {
        text += &format!("; {} damaged NARs wait to be brought again", summary.waiting.len());
    }
    text
}
