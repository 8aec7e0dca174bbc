//! Commands that look after a data directory: where they work, and what they print.

use std::error::Error;
use std::path::{Path, absolute};
use std::sync::Arc;

use pool_server::backup::{self, Manifest, Parts, Wanted, Wish};
use pool_server::blobs::Blobs;
use pool_server::config::Config;
use pool_server::control::{self, Heard, Request};
use pool_server::index::Index;
use pool_server::ledger::continuing::{self, Outcome, Way};
use pool_server::ledger::identity::{Identity, KEY_FILE};
use pool_server::ledger::restored::Continued;
use pool_server::reindex::{How, Reindexed, reindex};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::cli::{
    BackupArguments, ContinueArguments, ReindexArguments, RestoreArguments, UpkeepCommand,
};
use crate::{say, warn};

pub(crate) fn run(config: &Config, command: UpkeepCommand) -> Result<(), Box<dyn Error>> {
    match command {
        UpkeepCommand::Backup(arguments) => make_backup(config, &arguments),
        UpkeepCommand::Restore(arguments) => restore(config, arguments),
        UpkeepCommand::Continue(arguments) => go_on(config, &arguments),
        UpkeepCommand::Reindex(arguments) => make_index(config, &arguments),
    }
}

fn make_backup(config: &Config, arguments: &BackupArguments) -> Result<(), Box<dyn Error>> {
    let wish = Wish { dir: absolute(&arguments.dir)?, nars: !arguments.no_nars };
    let request = Request::Backup(wish.clone());
    let by_server = control::ask::<Manifest>(&config.data, &request, |heard| {
        if let Heard::Progress(text) = heard {
            warn(&text);
        }
    })?;
    let made = by_server.map_or_else(|| offline(config, &wish), Ok)?;
    if arguments.json {
        return print_json(&made);
    }
    let Manifest { nars, nar_bytes, missing, with_nars, sizes, .. } = &made;
    let kept = if *with_nars { "with" } else { "without their files:" };
    say(&format!(
        "{}: {} attestations, {kept} {nars} NARs ({} MiB)\n",
        wish.dir.display(),
        sizes.attestations,
        *nar_bytes >> 20
    ))?;
    if *missing > 0 {
        warn(&format!(
            "warning: the files of {missing} NARs are gone or of another size than they were\nhint: \
             `pool-server fsck` names them"
        ));
    }
    Ok(())
}

/// No server runs, which holding the index proves.
fn offline(config: &Config, wish: &Wish) -> Result<Manifest, Box<dyn Error>> {
    let data = &config.data;
    require_pool(data)?;
    let index = Index::open(&data.join("index"))?;
    let blobs = Blobs::open(&data.join("blobs"))?;
    let identity = Identity::open(data, config.origin.as_ref())?;
    let parts = Parts { data, index: &index, blobs: &blobs, identity: &identity };
    Ok(backup::take(&parts, wish, &mut told)?)
}

fn restore(config: &Config, arguments: RestoreArguments) -> Result<(), Box<dyn Error>> {
    let RestoreArguments { dir, nars_from, json } = arguments;
    let wanted = Wanted { backup: dir, data: config.data.clone(), nars_from };
    let outcome = backup::restore(&wanted, &mut told)?;
    if json {
        return print_json(&outcome);
    }
    say(&format!(
        "{}: {} attestations, {} NARs; {} NARs are not here\n",
        config.data.display(),
        outcome.manifest.sizes.attestations,
        outcome.nars,
        outcome.absent
    ))?;
    warn(
        "It serves what it has, and signs nothing until it is told how its ledger continues: see \
         `pool-server continue --help`",
    );
    Ok(())
}

fn go_on(config: &Config, arguments: &ContinueArguments) -> Result<(), Box<dyn Error>> {
    require_pool(&config.data)?;
    let index = Arc::new(Index::open_to_fill(&config.data.join("index"))?);
    let way = arguments.way.mirror.as_deref().map_or(Way::AcceptLoss, Way::Mirror);
    let going = continuing::go_on(config, &index, way, !arguments.without_witnesses);
    let Outcome { continued: Continued { sizes, .. }, lost_claims } =
        Runtime::new()?.block_on(going)?;
    say(&format!(
        "it goes on after {} key events and {} attestations, once its server is started\n",
        sizes.keys, sizes.attestations
    ))?;
    if lost_claims > 0 {
        warn(&format!("warning: the mirror does not know what {lost_claims} attestations say"));
    }
    Ok(())
}

fn make_index(config: &Config, arguments: &ReindexArguments) -> Result<(), Box<dyn Error>> {
    require_pool(&config.data)?;
    let how = How { trust_nars: arguments.trust_nars };
    let made = reindex(config, how, &mut |text| warn(&text))?;
    if arguments.json {
        return print_json(&made);
    }
    let Reindexed { replayed, nars, incomplete } = &made;
    let read = if how.trust_nars { String::new() } else { format!(", {} NARs", nars.whole) };
    say(&format!("{} attestations{read}\n", replayed.sizes.attestations))?;
    for name in &nars.damaged {
        warn(&format!("warning: blobs/{name} is damaged, and not in the index any more"));
    }
    if replayed.lost_claims > 0 {
        warn(&format!(
            "warning: what {} attestations say is gone\nhint: restore a backup",
            replayed.lost_claims
        ));
    }
    for family in incomplete {
        warn(&format!(
            "warning: of {family}, which follows from nothing else, not all could be read"
        ));
    }
    Ok(())
}

fn require_pool(data: &Path) -> Result<(), String> {
    if data.join(KEY_FILE).exists() && data.join("index").exists() {
        return Ok(());
    }
    Err(format!("no pool is in {}\nhint: name its directory with --data", data.display()))
}

fn told(text: String) -> bool {
    warn(&text);
    true
}

fn print_json(value: &impl Serialize) -> Result<(), Box<dyn Error>> {
    Ok(say(&format!("{}\n", serde_json::to_string_pretty(value)?))?)
}
