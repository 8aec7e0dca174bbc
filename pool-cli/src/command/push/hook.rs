//! `pool push --post-build-hook`, and pushes that wait for the pool.

use std::path::PathBuf;

use anyhow::Result;

use super::Pusher;
use crate::cli::{Global, Push};
use crate::exit::{self, Exit};
use crate::output::{Output, plural};
use crate::queue::{Entry, Queue, Settings, Waiting};
use crate::remote::Patience;
use crate::store::Location;
use crate::user_dirs;

/// Pushes what was just built. Whatever happens, the build goes on.
pub(super) async fn run(push: Push, global: &Global, output: &Output) -> Exit {
    if let Err(error) = queue_and_send(push, global, output).await {
        output.warn(&format!("not pushed: {error:#}; the build goes on"));
        if let Some(hint) = exit::hint(&error) {
            output.note(&format!("hint: {hint}"));
        }
    }
    Exit::Yes
}

async fn queue_and_send(push: Push, global: &Global, output: &Output) -> Result<()> {
    // Nobody should wait for a build because a pool is down: it is tried once.
    let pusher = Pusher::new(&push, global, Patience::None, output)?;
    let out_paths = std::env::var("OUT_PATHS").unwrap_or_default();
    let mut paths: Vec<PathBuf> = out_paths.split_whitespace().map(PathBuf::from).collect();
    paths.extend(push.paths);
    if !paths.is_empty() {
        let (_, tops) = pusher.find(&paths)?;
        let paths = tops.iter().map(ToString::to_string).collect();
        queue().add(&Waiting { settings: settings(&pusher)?, paths })?;
    }
    send_waiting(&pusher).await;
    Ok(())
}

/// Pushes what waits for the pool and is of the same kind. Problems are only told.
pub(super) async fn send_waiting(pusher: &Pusher<'_>) {
    if let Err(error) = send_all(pusher).await {
        pusher.output.warn(&format!("{error:#}; what waits is sent later"));
        if let Some(hint) = exit::hint(&error) {
            pusher.output.note(&format!("hint: {hint}"));
        }
    }
}

async fn send_all(pusher: &Pusher<'_>) -> Result<()> {
    let queue = queue();
    let Some(_lock) = queue.lock()? else { return Ok(()) };
    for entry in queue.entries(&settings(pusher)?)? {
        match send(pusher, &entry).await {
            Ok(()) => entry.remove()?,
            Err(error) if exit::lasts(&error) => {
                let aside = entry.set_aside()?;
                pusher.output.warn(&format!("{error:#}; set aside as {}", aside.display()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn send(pusher: &Pusher<'_>, entry: &Entry) -> Result<()> {
    let paths: Vec<PathBuf> = entry.waiting.paths.iter().map(PathBuf::from).collect();
    let (store, mut tops) = pusher.find(&paths)?;
    let wanted = tops.len();
    let mut held = Vec::new();
    for top in tops.drain(..) {
        if store.holds(&top)? {
            held.push(top);
        }
    }
    if held.len() < wanted {
        let gone = plural(wanted - held.len(), "waiting path");
        pusher.output.warn(&format!("{gone} left the store before being pushed"));
    }
    if !held.is_empty() {
        let summary = pusher.push(store, &held).await?;
        pusher.output.note(summary.text(pusher).trim_end());
    }
    Ok(())
}

fn queue() -> Queue {
    Queue::new(user_dirs::state().join("queue"))
}

/// Spelled so that they mean the same in any other directory.
fn settings(pusher: &Pusher<'_>) -> Result<Settings> {
    let absolute = |path| Ok::<_, std::io::Error>(std::path::absolute(path)?.display().to_string());
    let store = match &pusher.location {
        Location::Root(root) => absolute(root)?,
        Location::BinaryCache(cache) => format!("file://{}", absolute(cache)?),
    };
    let server = pusher.remote.server().to_owned();
    Ok(Settings { server, key: pusher.key_file.clone(), store })
}
