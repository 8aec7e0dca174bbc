//! NARs that are brought when somebody asks the mirror for them.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Buf, BytesMut};
use futures_util::stream::{FuturesUnordered, StreamExt};
use schema::hash::NarHash;
use tokio::time::{sleep, timeout};

use crate::cli::{self, Global};
use crate::command::push::default_jobs;
use crate::credentials::{Access, trimmed};
use crate::exit::Failure;
use crate::output::Output;
use crate::remote::{Patience, Remote};
use crate::source::{Pace, Upstream};

/// Without a sign of life for so long, a connection is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// Between attempts to listen.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest line of an event, in bytes.
const MAX_LINE: usize = 4096;

/// Brings to the mirror what its clients wait for.
pub(super) struct Puller {
    target: Remote<'static>,
    sources: Vec<(Remote<'static>, Arc<Upstream>)>,
    jobs: usize,
    output: &'static Output,
}

impl Puller {
    pub(super) fn new(
        carry: &cli::Carry,
        global: &Global,
        output: &'static Output,
    ) -> Result<Self> {
        let to = Access::find_at(carry.to.as_deref().or(global.server.as_deref()), global)?;
        let source = |url: &String| {
            let access = Access::find_kept(&trimmed(url), global)?;
            let upstream = Upstream::of_pool(&access, Pace::default(), output)?;
            anyhow::Ok((Remote::new(&access, Patience::None, output)?, upstream))
        };
        Ok(Self {
            target: Remote::new(&to, Patience::None, output)?,
            sources: carry.from.iter().map(source).collect::<Result<_>>()?,
            jobs: carry.jobs.map_or_else(default_jobs, usize::from),
            output,
        })
    }

    /// Listens and brings, until somebody stops it.
    pub(super) async fn run(self) -> Infallible {
        let mut told = None;
        loop {
            if let Err(error) = self.listen().await {
                let line = format!("cannot hear what clients of the mirror wait for: {error:#}");
                // Said once for each reason: it is tried again all the time.
                if told.as_ref() != Some(&line) {
                    self.output.warn(&line);
                    told = Some(line);
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn listen(&self) -> Result<()> {
        let response = self.target.wishes().await.map_err(|trouble| trouble.into_error())?;
        let (mut pieces, mut lines) = (response.bytes_stream(), BytesMut::new());
        let (mut bringing, mut under_way) = (FuturesUnordered::new(), HashSet::new());
        loop {
            tokio::select! {
                piece = timeout(SILENCE, pieces.next()), if bringing.len() < self.jobs => {
                    let Some(piece) = piece.context("silence")? else { bail!("it ended") };
                    lines.extend_from_slice(&piece?);
                    while let Some(wish) = next_wish(&mut lines) {
                        // Whoever else waits for it is told when it is there.
                        if under_way.insert(wish) {
                            bringing.push(self.bring(wish));
                        }
                    }
                    if lines.len() > MAX_LINE {
                        bail!("it says what no mirror says");
                    }
                }
                Some((nar_hash, brought)) = bringing.next() => {
                    under_way.remove(&nar_hash);
                    if let Err(error) = brought {
                        self.output.warn(&format!("the NAR {} is not brought: {error:#}", nar_hash.to_nix32()));
                    }
                }
            }
        }
    }

    async fn bring(&self, nar_hash: NarHash) -> (NarHash, Result<()>) {
        let mut failed = Failure::could_not_tell("no source has it").into();
        for (remote, upstream) in &self.sources {
            match self.bring_from(remote, upstream, nar_hash).await {
                Ok(true) => return (nar_hash, Ok(())),
                Ok(false) => {}
                Err(error) => failed = error,
            }
        }
        (nar_hash, Err(failed))
    }

    async fn bring_from(
        &self,
        remote: &Remote<'static>,
        upstream: &Arc<Upstream>,
        nar_hash: NarHash,
    ) -> Result<bool> {
        let Some(nar) = remote.find_nars(&[nar_hash]).await?.pop() else { return Ok(false) };
        let download = upstream.download_file(&nar).await?;
        let sent = self.target.stream_nar(nar_hash, nar.compression, download.pieces(drop)).await;
        sent.map(|_| true).map_err(|trouble| trouble.into_error())
    }
}

/// The next event that is whole and is a wish; others are passed over.
fn next_wish(lines: &mut BytesMut) -> Option<NarHash> {
    loop {
        let end = lines.iter().position(|byte| *byte == b'\n')?;
        let line = lines.split_to(end);
        lines.advance(1);
        let text = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix("data:"));
        if let Some(wish) = text.and_then(|text| NarHash::from_nix32(text.trim()).ok()) {
            return Some(wish);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_whatever_stands_between_and_however_they_come() {
        let (one, other) = (NarHash::of(b"1"), NarHash::of(b"2"));
        let text = format!(
            ": alive\n\nevent: wish\ndata: {}\n\ndata: nonsense\ndata:{}\n\n",
            one.to_nix32(),
            other.to_nix32()
        );
        for cut in 0..text.len() {
            let mut lines = BytesMut::from(&text.as_bytes()[..cut]);
            let mut wishes = Vec::new();
            wishes.extend(std::iter::from_fn(|| next_wish(&mut lines)));
            lines.extend_from_slice(&text.as_bytes()[cut..]);
            wishes.extend(std::iter::from_fn(|| next_wish(&mut lines)));
            assert_eq!(wishes, [one, other], "{cut}");
        }
    }
}
