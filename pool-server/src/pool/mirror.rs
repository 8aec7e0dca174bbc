//! What is asked of a mirror, and what is brought to one.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use schema::api::{
    ClaimTexts, ElsewhereRequest, LedgerReport, Ledgers, LogEdge, LogReport, MAX_CLAIM_TEXTS,
    MAX_NARS, MirrorRequest, NarElsewhere, NarFound, WantedNars,
};
use schema::base_url::BaseUrl;
use schema::claim::Claim;
use schema::hash::{NarHash, OriginHash};
use schema::tlog::mirror::{AddEntries, MAX_PACKAGE_LEN, Package, packages};
use schema::tlog::note::NoteName;

use super::Pool;
use crate::index::{ElsewhereRecord, FileRecord, LogId};
use crate::ledger::mirror::{Checked, Mirror, Unmirrored, Upload, Uploaded};
use crate::ledger::shown::Shown;
use crate::patience::linger;
use crate::quota::Account;
use crate::rejected::{Error, Failure, Rejected};

/// How a body ends that does not come whole.
const CUT: [&str; 3] = ["body_truncated", "encoding_corrupt", "request_stalled"];
/// NARs on a page of those that are wanted.
const PAGE: usize = 10_000;

impl Pool {
    /// The mirror that the pool is.
    #[must_use]
    pub fn mirror(&self) -> &Arc<Mirror> {
        self.ledger.mirror()
    }

    /// Every ledger that the pool holds.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ledgers(&self) -> Result<Ledgers, Error> {
        let mut ledgers = vec![self.own_ledger()?];
        ledgers.extend(self.mirror().reports());
        Ok(Ledgers { ledgers, wanted: !self.index.wanted(None, 1)?.is_empty() })
    }

    /// The right edge of what is here of a mirrored log.
    ///
    /// # Errors
    /// A log that is not mirrored.
    pub fn mirror_edge(&self, origin: &OriginHash) -> Result<LogEdge, Rejected> {
        let edge = self.mirror().edge(origin).ok_or_else(|| not_mirrored(origin))?;
        Ok(LogEdge { size: edge.size(), levels: edge.levels().to_vec() })
    }

    /// A mirrored log as its readers see it.
    ///
    /// # Errors
    /// A log that is not mirrored, or of which nothing is whole yet.
    pub fn mirror_shown(&self, origin: &OriginHash) -> Result<Shown, Rejected> {
        self.mirror().shown(origin).ok_or_else(|| not_mirrored(origin))
    }

    /// Begins to mirror a ledger, unless it is mirrored. Answers with whether that is new.
    ///
    /// # Errors
    /// An origin that is this pool's own, or that another key has here.
    pub async fn mirror_ledger(self: &Arc<Self>, request: MirrorRequest) -> Result<bool, Failure> {
        let origin: NoteName = request.origin.parse().map_err(|why| {
            Rejected::unprocessable("ledger_malformed", format!("{}: {why}", request.origin))
        })?;
        let pool = Arc::clone(self);
        // To its end, even when whoever asked has gone: what is written is to be held.
        let registering = tokio::spawn(async move {
            let sequencer = pool.ledger.sequencer();
            pool.mirror().register(&origin, request.public_key, sequencer).await
        });
        registering.await.map_err(|error| Error::Index(format!("mirroring stopped: {error}")))?
    }

    /// Takes a checkpoint of another's log, or, with `fork`, the proof that it has forked.
    ///
    /// # Errors
    /// Why not.
    pub async fn mirror_checkpoint(
        self: &Arc<Self>,
        body: Bytes,
        source: Option<String>,
        fork: bool,
    ) -> Result<(), Unmirrored> {
        source.as_deref().map_or(Ok(()), check_source).map_err(Unmirrored::Rejected)?;
        self.ledger.sequencer().check_open().map_err(Unmirrored::Rejected)?;
        let mirror = Arc::clone(self.mirror());
        let taken = tokio::task::spawn_blocking(move || {
            if fork {
                mirror.add_fork(&body, source.as_deref())
            } else {
                mirror.add_checkpoint(&body, source.as_deref())
            }
        });
        taken.await.map_err(|error| Error::Index(format!("mirroring stopped: {error}")))?
    }

    /// Takes entries of another's log as they come.
    ///
    /// # Errors
    /// Entries that are not those of a checkpoint that was brought before; those before the first such
    /// package are kept.
    pub async fn mirror_entries(
        self: &Arc<Self>,
        pieces: impl Stream<Item = Result<Bytes, Rejected>>,
        by: &Account,
    ) -> Result<Uploaded, Unmirrored> {
        // As many at a time as there may be uploads.
        let _slot = self.slot(by).await?;
        // What has ended may be looked at once more.
        let pieces = Box::pin(pieces.fuse());
        let mut incoming = Incoming { pieces, buffer: BytesMut::new() };
        let uploaded = match self.takes_words() {
            Ok(()) => self.mirror_upload(&mut incoming).await,
            Err(error) => Err(error.into()),
        };
        if uploaded.is_err() {
            linger(incoming.pieces).await;
        }
        uploaded
    }

    async fn mirror_upload(
        self: &Arc<Self>,
        incoming: &mut Incoming<impl Stream<Item = Result<Bytes, Rejected>>>,
    ) -> Result<Uploaded, Unmirrored> {
        let head = incoming.next(AddEntries::parse).await?;
        let head = head.ok_or_else(|| Unmirrored::Malformed("the head is cut off".to_owned()))?;
        let upload = self.mirror().begin(&head)?;
        let taken = self.mirror_packages(&upload, &head, incoming).await?;
        if taken == 0 && head.upload_start() != head.upload_end() {
            return Err(Unmirrored::Malformed("there is no whole package".to_owned()));
        }
        let mirror = Arc::clone(self.mirror());
        let finished = tokio::task::spawn_blocking(move || mirror.finish(&upload));
        finished.await.map_err(|error| Error::Index(format!("mirroring stopped: {error}")))?
    }

    /// Takes packages for as long as they come. While one is being made durable the next is checked.
    /// Answers with how many there were.
    async fn mirror_packages(
        self: &Arc<Self>,
        upload: &Upload,
        head: &AddEntries,
        incoming: &mut Incoming<impl Stream<Item = Result<Bytes, Rejected>>>,
    ) -> Result<usize, Unmirrored> {
        let (mut taken, mut checked) = (0, None);
        for range in packages(head.upload_start(), head.upload_end()) {
            let package = match incoming.next(|bytes| Package::parse(range, bytes)).await {
                Ok(Some(package)) => package,
                Ok(None) => break,
                // What came whole is kept; the sender goes on from there.
                Err(Unmirrored::Rejected(cut)) if taken > 0 && CUT.contains(&cut.code) => break,
                Err(error) => {
                    self.mirror_keep(upload, checked).await?;
                    return Err(error);
                }
            };
            let checking = self.mirror().check(upload, range, package, self.roll());
            let (kept, next) = tokio::join!(self.mirror_keep(upload, checked.take()), checking);
            kept?;
            checked = Some(next?);
            taken += 1;
        }
        self.mirror_keep(upload, checked).await?;
        Ok(taken)
    }

    async fn mirror_keep(
        &self,
        upload: &Upload,
        checked: Option<Checked>,
    ) -> Result<(), Unmirrored> {
        match checked {
            Some(checked) => self.mirror().keep(upload, checked, self.ledger.sequencer()).await,
            None => Ok(()),
        }
    }

    /// Keeps what entries of mirrored ledgers are about. Answers with how many are new.
    ///
    /// # Errors
    /// Texts that are no claims, or not what an entry says.
    pub async fn mirror_claims(&self, request: ClaimTexts) -> Result<usize, Failure> {
        if request.texts.len() > MAX_CLAIM_TEXTS {
            let detail =
                format!("{} claims; at most {MAX_CLAIM_TEXTS} are allowed", request.texts.len());
            return Err(Rejected::too_large("too_many_claims", detail).into());
        }
        self.takes_words()?;
        let parse = |(at, text): (usize, &String)| {
            Claim::parse(text.as_bytes()).map_err(|why| {
                Rejected::unprocessable("claim_malformed", format!("claim {at}: {why}"))
            })
        };
        let claims: Result<Vec<_>, _> = request.texts.iter().enumerate().map(parse).collect();
        self.ledger.sequencer().mirror_claims(claims?).await
    }

    /// Which of these NARs are here, and in which files. They are promised as to whoever reads a
    /// narinfo: a mirror has its own readers.
    ///
    /// # Errors
    /// Too many, or a failing database.
    pub async fn find_nars(&self, nar_hashes: &[NarHash]) -> Result<Vec<NarFound>, Failure> {
        check_count(nar_hashes.len())?;
        let files = self.lease_nars(nar_hashes, self.config.lease).await?;
        let found = nar_hashes.iter().zip(files);
        Ok(found.filter_map(|(nar_hash, file)| Some(nar_found(*nar_hash, &file?))).collect())
    }

    /// Remembers where NARs are that are not here. Answers with how many of them are not.
    ///
    /// # Errors
    /// Too many, or a failing database.
    pub async fn elsewhere(&self, request: ElsewhereRequest) -> Result<usize, Failure> {
        check_count(request.nars.len())?;
        self.takes_words()?;
        let mut nars = Vec::with_capacity(request.nars.len());
        for NarElsewhere { nar_hash, source, file, wanted } in request.nars {
            check_source(&source)?;
            let file = file.map(|file| FileRecord {
                compression: file.compression,
                file_hash: file.file_hash,
                file_size: file.file_size,
            });
            nars.push((nar_hash, ElsewhereRecord { source, file, wanted }));
        }
        self.ledger.sequencer().elsewhere(nars).await
    }

    /// NARs that are to come here, after this one in the order of their hashes.
    ///
    /// # Errors
    /// When the database fails.
    pub fn wanted(&self, after: Option<NarHash>) -> Result<WantedNars, Error> {
        let mut rows = self.index.wanted(after.as_ref(), PAGE + 1)?;
        let more = rows.len() > PAGE;
        rows.truncate(PAGE);
        let nars = rows.into_iter().map(|(nar_hash, known)| NarElsewhere {
            nar_hash,
            source: known.source,
            file: known.file.map(|file| nar_found(nar_hash, &file)),
            wanted: known.wanted,
        });
        Ok(WantedNars { nars: nars.collect(), more })
    }

    fn own_ledger(&self) -> Result<LedgerReport, Error> {
        let identity = self.ledger.identity();
        let report = |log: LogId| {
            let published = self.shown(log).published();
            Ok(LogReport {
                log: log.to_string(),
                key: identity.log_key(log)?.to_string(),
                address: format!("/ledger/{log}"),
                size: Some(published.size()),
                next: published.size(),
                pending: published.size(),
                pending_root: *published.checkpoint.root(),
                heard_at: 0,
                sources: Vec::new(),
                fork: None,
            })
        };
        let logs = LogId::ALL.map(report).into_iter().collect::<Result<_, Error>>()?;
        let (origin, public_key) = (identity.origin().to_owned(), identity.public_key());
        Ok(LedgerReport { origin, public_key, own: true, logs })
    }
}

fn not_mirrored(origin: &OriginHash) -> Rejected {
    let detail = format!("no log whose origin has the hash {origin} is mirrored here");
    Rejected::not_found("no_such_log", detail).hint("/api/v1/ledgers lists those that are")
}

fn nar_found(nar_hash: NarHash, file: &FileRecord) -> NarFound {
    let &FileRecord { compression, file_hash, file_size } = file;
    NarFound { nar_hash, compression, file_hash, file_size }
}

pub(super) fn check_count(count: usize) -> Result<(), Rejected> {
    if count <= MAX_NARS {
        return Ok(());
    }
    let detail = format!("{count} NARs; at most {MAX_NARS} are allowed");
    Err(Rejected::too_large("too_many_nars", detail))
}

/// It is shown to people and, as the beginning of an address, to package managers.
fn check_source(source: &str) -> Result<(), Rejected> {
    match source.parse::<BaseUrl>() {
        Ok(address) if address.as_str() == source => Ok(()),
        Ok(address) => Err(no_source(source, &format!("write it as {address}"))),
        Err(why) => Err(no_source(source, &why.to_string())),
    }
}

fn no_source(source: &str, why: &str) -> Rejected {
    let source: String = source.chars().take(80).collect();
    Rejected::bad_request("source_malformed", format!("{source:?} is no address of a pool: {why}"))
}

/// A body that is read piece by piece.
struct Incoming<S> {
    pieces: std::pin::Pin<Box<S>>,
    buffer: BytesMut,
}

impl<S: Stream<Item = Result<Bytes, Rejected>>> Incoming<S> {
    /// The next thing that `parse` finds whole; none at the end of the body.
    async fn next<T, E: std::fmt::Display>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, E>,
    ) -> Result<Option<T>, Unmirrored> {
        loop {
            let parsed = parse(&self.buffer);
            let parsed = parsed.map_err(|error| Unmirrored::Malformed(error.to_string()))?;
            if let Some((value, len)) = parsed {
                let _ = self.buffer.split_to(len);
                return Ok(Some(value));
            }
            match self.pieces.next().await {
                Some(_) if self.buffer.len() > MAX_PACKAGE_LEN => {
                    return Err(Unmirrored::Malformed("longer than any package".to_owned()));
                }
                Some(piece) => {
                    self.buffer.extend_from_slice(&piece.map_err(Unmirrored::Rejected)?);
                }
                None => return Ok(None),
            }
        }
    }
}
