//! Writes one stream of all, for `guix archive --import` or `nix-store --import`.

use std::fs;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use schema::export::Trailer;
use schema::guix::ecdsa::EcdsaSecret;
use schema::policy::Policy;
use schema::store_path::StoreDir;
use tempfile::NamedTempFile;

use super::cache::finish;
use super::order::in_order;
use super::{Fetched, receive};
use crate::archive::Writer;
use crate::cli::Fetch;
use crate::exit::Failure;
use crate::judge::{Allowed, Judge, Root};
use crate::key_file;
use crate::output::Output;
use crate::source::Sources;

/// Where the stream goes, and who signs it.
pub(super) struct Export {
    to: PathBuf,
    key: Option<EcdsaSecret>,
}

impl Export {
    /// Finds out before anything is fetched whether the stream can be written, and of any use.
    pub(super) fn new(fetch: &Fetch, policy: &Policy) -> Result<Self> {
        let is_guix = *policy.store_dir() == StoreDir::guix();
        let key = match &fetch.key {
            Some(file) if is_guix => Some(key_file::guix_secret(file)?),
            Some(_) => {
                let message = "--key is for Guix: Nix looks at no signatures in a stream";
                return Err(Failure::could_not_tell(message).hint("leave it out").into());
            }
            None if is_guix => {
                let hint = "--key FILE signs it: a secret key of Guix's, such as `pool key generate \
                            NAME --guix` makes, that the other machine knows by `guix archive \
                            --authorize`";
                let message = "Guix takes no archive that nobody signed";
                return Err(Failure::could_not_tell(message).hint(hint).into());
            }
            None => None,
        };
        let to = fetch.to.clone();
        if to == Path::new("-") {
            if io::stdout().is_terminal() {
                let message = "an archive is not for a terminal";
                let hint = "name a file with --to, or pass it on: | guix archive --import";
                return Err(Failure::could_not_tell(message).hint(hint).into());
            }
        } else if to.exists() {
            let message = format!("{} is there already", to.display());
            return Err(Failure::could_not_tell(message).hint("name a new file").into());
        }
        Ok(Self { to, key })
    }

    /// Writes all that `roots` lead to.
    pub(super) async fn write(
        self,
        judge: &Judge,
        roots: &[Root],
        allowed: &[Arc<Allowed>],
        sources: &Sources,
        output: &Output,
    ) -> Result<Fetched> {
        let paths = allowed.iter().map(|it| it.claim.path());
        let tops = paths.filter(|path| roots.iter().any(|root| root.is(path))).cloned();
        let ordered = in_order(allowed, tops)?;
        if self.to == Path::new("-") {
            let out = Writer::new(BufWriter::new(output.stream()), self.key);
            stream(judge, &ordered, sources, &std::env::temp_dir(), out, output).await?;
        } else {
            let about = || format!("writing {}", self.to.display());
            let dir = self.to.parent().filter(|it| !it.as_os_str().is_empty());
            let dir = dir.unwrap_or(Path::new("."));
            fs::create_dir_all(dir).with_context(about)?;
            // What is there under its name is there whole.
            let out = BufWriter::new(NamedTempFile::new_in(dir).with_context(about)?);
            let out = Writer::new(out, self.key);
            let out = stream(judge, &ordered, sources, dir, out, output).await?;
            let out = out.into_inner().map_err(io::IntoInnerError::into_error);
            let file = out.with_context(about)?;
            finish(&file).with_context(about)?;
            // What came there meanwhile is somebody else's.
            file.persist_noclobber(&self.to).with_context(about)?;
        }
        Ok(Fetched::of(&ordered))
    }
}

/// Each NAR is received whole, into a file in `dir`, and is right, before any of it is written.
async fn stream<W: Write>(
    judge: &Judge,
    ordered: &[Arc<Allowed>],
    sources: &Sources,
    dir: &Path,
    mut out: Writer<W>,
    output: &Output,
) -> Result<W> {
    for it in ordered {
        let path = it.claim.path();
        let file = receive(it, sources, dir).await?;
        let trailer = Trailer::of(&it.claim, judge.deriver(&it.claim));
        let mut nar = BufReader::new(file.reopen()?);
        out.item(&mut nar, &trailer).with_context(|| format!("writing {path} to the archive"))?;
        output.note(&path.to_string());
    }
    out.finish().context("writing the end of the archive")
}
