//! Word of news: a pool says when its ledger has grown, so that nobody has to ask all the time.

use std::time::Duration;

use anyhow::Result;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::select_all;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Source;
use crate::credentials::Access;
use crate::output::Output;
use crate::remote::{Patience, Remote};

/// Without any word, a pool is asked so often.
const ASK_ANYWAY: Duration = Duration::from_secs(30);
/// While NARs are wanted that no source has yet.
const ASK_FOR_NARS: Duration = Duration::from_secs(3);
/// A connection on which nothing comes for so long, not even a sign of life, is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// Between attempts to listen; doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// Logs of one source that are listened to.
const MAX_LOGS: usize = 32;

/// Who listens.
pub(super) struct News {
    word: Receiver<()>,
}

impl News {
    /// What comes of listening to each source, which the second part does.
    pub(super) fn of(
        sources: &[Source],
        output: &'static Output,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (tell, word) = mpsc::channel(1);
        let listening = sources.iter().map(|it| listen(it.access.clone(), tell.clone(), output));
        let listening: Vec<_> = listening.collect();
        (Self { word }, async { drop(join_all(listening).await) })
    }

    /// Waits until there is word, or it is time to ask anyway. Several words are one.
    pub(super) async fn wait(&mut self, for_nars: bool) {
        let at_last = Instant::now() + if for_nars { ASK_FOR_NARS } else { ASK_ANYWAY };
        tokio::select! {
            _ = self.word.recv() => {}
            () = sleep_until(at_last) => {}
        }
    }
}

/// Listens to a pool for as long as anybody wants to know.
async fn listen(access: Access, tell: Sender<()>, output: &'static Output) {
    let mut pause = FIRST_PAUSE;
    while !tell.is_closed() {
        // Whoever asks then says what is wrong.
        let heard = hear(&access, &tell, output).await;
        let _ = tell.try_send(());
        pause = if heard.is_ok() { FIRST_PAUSE } else { (pause * 2).min(LAST_PAUSE) };
        sleep(pause).await;
    }
}

/// Passes on every word about one of the pool's logs, until the connection ends or there are other logs
/// to hear of. Fails when nothing came about.
async fn hear(access: &Access, tell: &Sender<()>, output: &'static Output) -> Result<()> {
    let remote = Remote::new(access, Patience::None, output)?;
    let logs = addresses(&remote).await?;
    let mut streams = Vec::new();
    for log in &logs {
        let events = remote.events(log).await.map_err(|trouble| trouble.into_error())?;
        streams.push(events.bytes_stream());
    }
    // What happened before is news, too.
    let _ = tell.try_send(());
    let mut words = select_all(streams);
    // A pool that goes away ends all of them.
    while let Ok(Some(Ok(piece))) = timeout(SILENCE, words.next()).await {
        // A line that begins with a colon is a sign of life, and no more.
        if !piece.starts_with(b":") {
            let _ = tell.try_send(());
        } else if addresses(&remote).await? != logs {
            break;
        }
    }
    Ok(())
}

/// Where the pool serves logs, its own and those that it mirrors by now.
async fn addresses(remote: &Remote<'_>) -> Result<Vec<String>> {
    let ledgers = remote.ledgers().await?.ledgers;
    let logs = ledgers.into_iter().flat_map(|ledger| ledger.logs);
    let shown = logs.filter(|log| log.size.is_some());
    Ok(shown.map(|log| log.address).take(MAX_LOGS).collect())
}
