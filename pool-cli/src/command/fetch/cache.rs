//! Makes a binary cache.

use std::fs;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use schema::cache_info::CacheInfo;
use schema::compression::Compression;
use schema::hash::FileHash;
use schema::narinfo::{Delivery, nix};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::receive;
use crate::judge::{Allowed, Judge};
use crate::output::Output;
use crate::source::Sources;

/// How a cache of our making packs its NARs.
const LEVEL: i32 = 3;

/// Makes a cache of all of them.
pub(super) async fn make_cache(
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
    let about = || format!("writing {}", path.display());
    finish(&file).with_context(about)?;
    file.persist(path).with_context(about)?;
    Ok(())
}

/// Others may read a file whose bytes are on the disk.
pub(super) fn finish(file: &NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()
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
