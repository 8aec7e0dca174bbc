//! `pool import --archive`: what `guix archive --export` or `nix-store --export` wrote.

mod intake;
mod send;

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use schema::api::{AttestItem, AttestRequest, Info, KeyStanding, Signer};
use schema::claim::Dialect;
use schema::guix::ecdsa::EcdsaKey;
use schema::hash::KeyId;
use schema::key::SecretKey;
use schema::store_path::StoreDir;
use serde::Serialize;
use tokio::task::spawn_blocking;

use self::intake::{Intake, Taken};
use self::send::send;
use crate::archive::Item;
use crate::cli::{Archive, Global};
use crate::command::attest::item;
use crate::command::push::plan::known_signer;
use crate::compress::Method;
use crate::credentials::Access;
use crate::exit::{Exit, Failure};
use crate::key_file;
use crate::output::{Output, bytes, plural};
use crate::remote::{Patience, Remote};

/// Attestations that wait to be sent together.
const TOGETHER: usize = 1000;

/// Sends what the archive holds, up to the first item that is not to be had.
pub(super) async fn run(
    file: &Path,
    archive: &Archive,
    global: &Global,
    output: &Output,
) -> Result<Exit> {
    let start = Instant::now();
    let remote = Remote::new(&Access::find(global)?, Patience::Some, output)?;
    let mut import = Import::new(&remote, archive, output).await?;
    let intake = Intake::open(file, archive.compression, import.info.max_nar_size)?;
    let taken = import.take_all(intake).await;
    // Whatever stopped it, what came before that is vouched for.
    let attested = import.attest().await;
    let summary = Summary {
        bytes_sent: remote.bytes_sent(),
        seconds: start.elapsed().as_secs_f64(),
        ..import.summary
    };
    if let Err(error) = taken {
        if let Err(error) = attested {
            output.warn(&format!("attesting what came before: {error:#}"));
        } else if summary.paths > 0 {
            output.note(&format!("what came before is kept: {}", plural(summary.paths, "path")));
        }
        return Err(error);
    }
    attested?;
    output.result(&summary, || summary.text(&remote, import.key.as_ref()));
    if import.key.is_none() {
        output.note(
            "nothing was attested: the signatures in an archive are over other bytes than those of a \
             claim. Whoever built it can `pool attest` it, or you vouch for it: --key FILE",
        );
    }
    Ok(Exit::Yes)
}

/// An import under way.
struct Import<'a> {
    remote: &'a Remote<'a>,
    info: Info,
    signers: HashMap<KeyId, Signer>,
    key: Option<SecretKey>,
    method: Method,
    output: &'a Output,
    /// What is to be attested yet.
    waiting: Vec<AttestItem>,
    summary: Summary,
}

/// What came of an import.
#[derive(Debug, Clone, Default, Serialize)]
struct Summary {
    paths: usize,
    nars_sent: usize,
    nars_known: usize,
    attestations_new: usize,
    attestations_known: usize,
    bytes_sent: u64,
    seconds: f64,
}

impl<'a> Import<'a> {
    /// Finds out before anything is sent what would be refused after it.
    async fn new(remote: &'a Remote<'a>, archive: &Archive, output: &'a Output) -> Result<Self> {
        let info = remote.info().await?;
        let key = match &archive.key {
            Some(file) => {
                let key = key_file::secret_known_to(remote, file).await?;
                known_signer(remote, &key, file).await?;
                Some(key)
            }
            None => None,
        };
        let signers = remote.signers().await?.into_iter();
        let signers = signers.map(|signer| (signer.key_id, signer)).collect();
        let (method, waiting, summary) = (archive.compression, Vec::new(), Summary::default());
        Ok(Self { remote, info, signers, key, method, output, waiting, summary })
    }

    async fn take_all(&mut self, mut intake: Intake) -> Result<()> {
        loop {
            let (back, taken) = spawn_blocking(move || {
                let taken = intake.next();
                (intake, taken)
            })
            .await
            .context("reading the archive")?;
            intake = back;
            let Some(taken) = taken? else { return Ok(()) };
            self.take(taken).await?;
        }
    }

    async fn take(&mut self, Taken { item: read, packed }: Taken) -> Result<()> {
        self.check(&read)
            .with_context(|| format!("item {}: {}", read.number, read.claim.path()))?;
        let (claim, deriver) = (&read.claim, read.deriver);
        if send(self.remote, claim, self.method.compression(), packed).await? {
            self.summary.nars_sent += 1;
        } else {
            self.summary.nars_known += 1;
        }
        self.summary.paths += 1;
        self.output.note(&claim.path().to_string());
        if let Some(key) = &self.key {
            let signed = item(key, claim, deriver.as_ref());
            self.waiting.push(AttestItem { deriver, ..signed });
        }
        if self.waiting.len() >= TOGETHER { self.attest().await } else { Ok(()) }
    }

    /// Whether an item is to be had here, and on whose word.
    fn check(&self, item: &Item) -> Result<()> {
        let dir = item.claim.path().dir();
        if *dir != self.info.store_dir && *dir != StoreDir::guix() {
            let message = format!("the pool serves {}", self.info.store_dir);
            return Err(Failure::no(message).hint("choose another pool with --server").into());
        }
        let dialect = self.key.as_ref().map(|key| key.public().dialect());
        if dialect == Some(Dialect::Guix) && *dir != StoreDir::guix() {
            let message = format!("--key is a key of Guix's, and {dir} is no store of Guix's");
            return Err(Failure::no(message).hint("sign with a key of Nix's").into());
        }
        match &item.signer {
            Some(signer) => self.check_signer(signer),
            // Guix signs all that it exports: somebody took that off.
            None if *dir == StoreDir::guix() => {
                Err(Failure::no("nobody signed it, and Guix signs all that it exports")
                    .hint("have it exported anew: guix archive --export")
                    .into())
            }
            None if self.key.is_some() => Ok(()),
            None => Err(Failure::no("nobody signed it")
                .hint("with --key FILE you vouch for the archive yourself")
                .into()),
        }
    }

    fn check_signer(&self, key: &EcdsaKey) -> Result<()> {
        let server = self.remote.server();
        match self.signers.get(&key.id()) {
            None => {
                let digits = key.as_bytes().iter().map(|byte| format!("{byte:02X}"));
                let digits: String = digits.collect();
                Err(Failure::no(format!("{server} does not know the key that signed it: {digits}"))
                    .hint("`pool signer enrol NAME=signing-key.pub` makes it known")
                    .into())
            }
            // The archive does not tell whether it was signed before the key was stolen.
            Some(signer) if signer.standing == KeyStanding::Compromised => {
                let message = format!("{} signed it, and that key was stolen", signer.name);
                Err(Failure::no(message).hint("have it built or exported anew").into())
            }
            Some(_) => Ok(()),
        }
    }

    async fn attest(&mut self) -> Result<()> {
        let attestations = std::mem::take(&mut self.waiting);
        let attested = self.remote.attest(AttestRequest { attestations }).await?;
        self.summary.attestations_new += attested.new;
        self.summary.attestations_known += attested.known;
        Ok(())
    }
}

impl Summary {
    fn text(&self, remote: &Remote<'_>, key: Option<&SecretKey>) -> String {
        let by = key.map_or_else(String::new, |key| format!(" as {}", key.name()));
        format!(
            "imported {} to {}{by}\n\
             NARs          {} sent, {} already there\n\
             attestations  {} new, {} known\n\
             sent          {} ({} bytes) in request bodies, in {:.1} s\n",
            plural(self.paths, "path"),
            remote.server(),
            self.nars_sent,
            self.nars_known,
            self.attestations_new,
            self.attestations_known,
            bytes(self.bytes_sent),
            self.bytes_sent,
            self.seconds,
        )
    }
}
