//! A binary cache in a directory, as `nix copy --to file://…` makes it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use schema::cache_info::CacheInfo;
use schema::claim::Claim;
use schema::narinfo::NarInfo;
use schema::store_path::{StoreDir, StorePath};

use super::PathInfo;
use crate::decode::decode;
use crate::exit::Failure;

/// The directory, and which store it speaks of.
#[derive(Debug)]
pub(crate) struct BinaryCache {
    cache: PathBuf,
    dir: StoreDir,
}

impl BinaryCache {
    /// Reads `nix-cache-info`.
    pub(super) fn open(cache: &Path) -> Result<Self> {
        let file = cache.join("nix-cache-info");
        let about = || format!("opening the binary cache {}", cache.display());
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string());
        let info = CacheInfo::parse(&text.with_context(about)?).with_context(about)?;
        Ok(Self { cache: cache.to_owned(), dir: info.store_dir })
    }

    /// The store of its paths.
    pub(super) fn dir(&self) -> &StoreDir {
        &self.dir
    }

    /// Whether there is a narinfo for `path`.
    pub(super) fn holds(&self, path: &StorePath) -> bool {
        self.narinfo_file(path).exists()
    }

    /// What the narinfo says of `path`.
    pub(super) fn path_info(&self, path: &StorePath) -> Result<PathInfo> {
        let info = self.narinfo(path)?;
        if info.claim.path() != path {
            bail!(
                "{} is about {}, not {path}",
                self.narinfo_file(path).display(),
                info.claim.path()
            );
        }
        Ok(PathInfo {
            claim: info.claim,
            deriver: info.deriver,
            ca: info.content_address.map(|address| address.to_string()),
        })
    }

    /// Unpacks the NAR.
    pub(super) fn dump(&self, claim: &Claim, out: &mut dyn Write) -> Result<()> {
        let delivery = self.narinfo(claim.path())?.delivery;
        let url = Path::new(&delivery.url);
        if !url.components().all(|part| matches!(part, Component::Normal(_))) {
            bail!("its NAR is not in the cache's directory but at {}", delivery.url);
        }
        let path = self.cache.join(url);
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        let mut nar = decode(delivery.compression, io::BufReader::new(file))?;
        io::copy(&mut nar, out).with_context(|| path.display().to_string())?;
        Ok(())
    }

    fn narinfo(&self, path: &StorePath) -> Result<NarInfo> {
        let file = self.narinfo_file(path);
        match fs::read(&file) {
            Ok(text) => NarInfo::parse_nix(&text).with_context(|| file.display().to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::no(format!(
                "{path} is not in the binary cache {}",
                self.cache.display()
            ))
            .hint("`nix copy --to file://…` puts the whole closure there")
            .into()),
            Err(error) => Err(error).with_context(|| file.display().to_string()),
        }
    }

    fn narinfo_file(&self, path: &StorePath) -> PathBuf {
        self.cache.join(format!("{}.narinfo", path.base().hash_part()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress;
    use crate::store::{Location, Store};

    const TOP: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-top";
    const LEAF: &str = "3n58xw4373jp0ljirf06d8077j15pc4j-leaf";

    fn cache(url: &str, compression: &str) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
        for (base, references) in [(TOP, LEAF), (LEAF, "")] {
            let narinfo = format!(
                "StorePath: /nix/store/{base}\nURL: {url}\nCompression: {compression}\n\
                 NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\n\
                 NarSize: 4\nReferences: {references}\nDeriver: {LEAF}.drv\n"
            );
            fs::write(dir.path().join(format!("{}.narinfo", &base[..32])), narinfo).unwrap();
        }
        let store = Store::open(&Location::BinaryCache(dir.path().to_owned()), &[]).unwrap();
        (dir, store)
    }

    fn path(base: &str) -> StorePath {
        format!("/nix/store/{base}").parse().unwrap()
    }

    fn dumped(store: &Store) -> Result<Vec<u8>> {
        let claim = store.closure(&[path(LEAF)]).unwrap().remove(0).claim;
        let mut nar = Vec::new();
        store.dump(&claim, &mut nar).map(|()| nar)
    }

    #[test]
    fn closures_are_found_and_what_is_missing_is_named() {
        let (dir, store) = cache("nar/x.nar", "none");
        let closure = store.closure(&[path(TOP)]).unwrap();
        assert_eq!(closure.len(), 2);
        assert_eq!(closure[1].deriver.as_ref().unwrap().name(), "leaf.drv");
        assert!(store.holds(&path(LEAF)).unwrap());
        fs::remove_file(dir.path().join(format!("{}.narinfo", &LEAF[..32]))).unwrap();
        assert!(!store.holds(&path(LEAF)).unwrap());
        let error = format!("{:#}", store.closure(&[path(TOP)]).unwrap_err());
        assert!(error.contains(LEAF), "{error}");
    }

    #[test]
    fn nars_are_unpacked_but_never_from_elsewhere() {
        let (dir, store) = cache("nar/x.nar.zst", "zstd");
        fs::create_dir(dir.path().join("nar")).unwrap();
        let packed = compress::Compressor::new(compress::Method::Zstd(1)).unwrap().pack(b"nar!");
        fs::write(dir.path().join("nar/x.nar.zst"), packed.unwrap()).unwrap();
        assert_eq!(dumped(&store).unwrap(), b"nar!");
        for (url, compression, word) in [
            ("../secret", "none", "not in the cache"),
            ("http://elsewhere/x.nar", "none", "elsewhere"),
            ("nar/gone.nar", "none", "gone.nar"),
            ("nar/x.nar.zst", "br", "x.nar.zst"),
        ] {
            let (other, store) = cache(url, compression);
            fs::create_dir(other.path().join("nar")).unwrap();
            fs::write(other.path().join("nar/x.nar.zst"), b"").unwrap();
            let error = format!("{:#}", dumped(&store).unwrap_err());
            assert!(error.contains(word) && error.contains(LEAF), "{error}");
        }
    }
}
