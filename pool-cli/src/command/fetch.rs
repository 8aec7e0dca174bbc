//! `pool fetch`: takes what a policy allows out of a pool, for hosts without a package manager.

use std::fs;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use schema::cache_info::CacheInfo;
use schema::compression::Compression;
use schema::hash::FileHash;
use schema::narinfo::{Delivery, nix};
use schema::store_path::StorePath;
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::cli::{Fetch, Global};
use crate::command::policy::root;
use crate::credentials::{Access, trimmed};
use crate::exit::{Exit, Failure};
use crate::judge::{Allowed, Judge, Refusal, Root};
use crate::nar;
use crate::output::{Output, bytes, plural};
use crate::source::{Nar, Pace, Sources, Wanted};

/// How a cache of our making packs its NARs.
const LEVEL: i32 = 3;

/// Fetches. No, when the policy does not allow all of it.
pub(super) async fn run(fetch: Fetch, global: &Global, output: &'static Output) -> Result<Exit> {
    let roots = fetch.paths.iter().map(|path| root(path)).collect::<Result<Vec<_>>>()?;
    let judge = Judge::of(&fetch.policy, &fetch.judging, global, output)?;
    let allowed = allowed(&judge, &roots).await?;
    let pools = Access::find_each(&fetch.judging.pools, global)?;
    let cache = |url: &String| Access {
        server: trimmed(url),
        token: None,
        ca_file: global.ca_file.clone(),
    };
    let caches: Vec<Access> = fetch.caches.iter().map(cache).collect();
    let sources = Sources::new(&pools, &caches, Pace::default(), output)?;
    if fetch.cache {
        make_cache(&judge, &allowed, &sources, &fetch.to, output).await?;
    } else {
        unpack(&allowed, &sources, &fetch.to).await?;
    }
    let fetched = if fetch.cache { allowed.len() } else { 1 };
    let total: u64 = allowed.iter().take(fetched).map(|it| it.claim.nar_size()).sum();
    let value = json!({ "paths": fetched, "nar_bytes": total, "to": fetch.to });
    output.result(&value, || {
        let (paths, to) = (plural(fetched, "path"), fetch.to.display());
        format!("{paths} fetched to {to}: {} of NARs", bytes(total))
    });
    Ok(Exit::Yes)
}

/// The claims of the closure, what was asked for first.
async fn allowed(judge: &Judge, roots: &[Root]) -> Result<Vec<Arc<Allowed>>> {
    let judged = judge.judge(roots.to_vec()).await;
    let mut all = Vec::new();
    for root in roots {
        let of_root = judged.closure.reached().iter().filter(|it| root.is(&it.path));
        match of_root.filter(|it| it.outcome.claim().is_some()).count() {
            1 => {}
            0 => return Err(refused(&judge.why(&judged, root)).into()),
            _ => {
                let hint = "name the whole store path";
                let message = "ambiguous: two paths with this hash part are allowed";
                return Err(Failure::no(message).hint(hint).into());
            }
        }
    }
    for reached in judged.closure.reached() {
        all.extend(judge.allowed(&reached.path, &reached.outcome));
    }
    Ok(all)
}

fn refused(refusal: &Refusal) -> Failure {
    Failure::no(format!("{}: {}", refusal.code, refusal.detail)).maybe_hint(refusal.hint.clone())
}

/// Unpacks the first of them.
async fn unpack(allowed: &[Arc<Allowed>], sources: &Sources, to: &Path) -> Result<()> {
    if to.exists() {
        return Err(Failure::could_not_tell(format!("{} is there already", to.display()))
            .hint("name a directory that is to be made")
            .into());
    }
    let first = allowed.first().context("nothing was asked for")?;
    let parent = to.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    let file = receive(first, sources, parent).await?;
    // Beside it, so that what is there under its name is there whole.
    let staging = tempfile::tempdir_in(parent)?;
    let whole = staging.path().join("whole");
    let claim = &first.claim;
    nar::unpack(BufReader::new(file.reopen()?), claim.nar_hash(), claim.nar_size(), &whole)
        .with_context(|| format!("unpacking {}", first.claim.path()))?;
    fs::rename(&whole, to).with_context(|| format!("making {}", to.display()))
}

async fn make_cache(
    judge: &Judge,
    allowed: &[Arc<Allowed>],
    sources: &Sources,
    to: &Path,
    output: &Output,
) -> Result<()> {
    fs::create_dir_all(to.join("nar")).with_context(|| format!("making {}", to.display()))?;
    let info = CacheInfo {
        store_dir: judge.policy().store_dir().clone(),
        want_mass_query: true,
        priority: 40,
        batch: None,
    };
    fs::write(to.join("nix-cache-info"), info.print())?;
    // What is referred to comes first, so that a cache that is cut short holds closures.
    for it in allowed.iter().rev() {
        let file = receive(it, sources, to).await?;
        let delivery = pack(&file, to, &it.claim.nar_hash().to_nix32())?;
        let signatures = judge.signatures(&it.claim);
        let signatures = signatures.iter().map(|(name, signature)| (name, signature));
        let text =
            nix::print(&it.claim, &delivery, (None, it.content_address.as_ref()), signatures);
        let name = format!("{}.narinfo", it.claim.path().base().hash_part());
        write_whole(&to.join(name), text.as_bytes(), to)?;
        output.note(&format!("{}", it.claim.path()));
    }
    Ok(())
}

/// A NAR, unpacked, whole and right.
async fn receive(allowed: &Allowed, sources: &Sources, dir: &Path) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(dir)?;
    let undelivered = |path: &StorePath, asked: &[String]| {
        Failure::could_not_tell(format!("nobody gives the NAR of {path}: {}", asked.join("; ")))
    };
    let path = allowed.claim.path();
    let found = Nar::find(Wanted::of(&allowed.claim), None, sources.of(allowed)).await;
    let mut nar = found.map_err(|why| undelivered(path, &why.asked))?;
    while let Some(piece) = nar.next().await {
        file.write_all(&piece.map_err(|why| undelivered(path, &why.asked))?)?;
    }
    if !nar.is_whole() {
        return Err(undelivered(path, &["it broke off".to_owned()]).into());
    }
    Ok(file)
}

/// Packs a NAR into the cache.
fn pack(nar: &NamedTempFile, to: &Path, hash: &str) -> Result<Delivery> {
    let url = format!("nar/{hash}.nar.zst");
    let packed = NamedTempFile::new_in(to.join("nar"))?;
    let mut out = Hashed { out: BufWriter::new(packed), hash: Sha256::new(), len: 0 };
    zstd::stream::copy_encode(BufReader::new(nar.reopen()?), &mut out, LEVEL)?;
    let (hash, len) = (FileHash::from_bytes(out.hash.finalize().into()), out.len);
    let packed = out.out.into_inner().map_err(io::IntoInnerError::into_error)?;
    publish(packed, &to.join(&url))?;
    Ok(Delivery {
        url,
        compression: Compression::Zstd,
        file_hash: Some(hash),
        file_size: Some(len),
    })
}

fn write_whole(path: &Path, bytes: &[u8], dir: &Path) -> Result<()> {
    let mut file = NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    publish(file, path)
}

fn publish(file: NamedTempFile, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let about = || format!("writing {}", path.display());
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).with_context(about)?;
    file.as_file().sync_all().with_context(about)?;
    file.persist(path).with_context(about)?;
    Ok(())
}

/// Notes hash and length of what is written.
struct Hashed<W> {
    out: W,
    hash: Sha256,
    len: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
