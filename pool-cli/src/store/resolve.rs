//! From what a user types to the store path it means.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use schema::store_path::{BaseName, StoreDir, StorePath};

use crate::exit::Failure;

/// As many as Linux follows.
const MAX_SYMLINKS: usize = 40;

/// The path in the store `dir` that `path` is, lies in, or is a symlink to. `files` is where the
/// store's files really lie, if elsewhere.
///
/// Only as much of a path is looked at as is needed: a link into the store of another root dangles.
pub(crate) fn in_store(path: &Path, dir: &StoreDir, files: Option<&Path>) -> Result<StorePath> {
    if let Some(base) = path.to_str().and_then(|text| text.parse::<BaseName>().ok()) {
        return Ok(StorePath::new(dir.clone(), base));
    }
    let mut places = vec![Path::new(dir.as_str())];
    places.extend(files);
    let base = follow(path, &places)?;
    let base = base.parse().with_context(|| format!("{} is not a store path", path.display()))?;
    Ok(StorePath::new(dir.clone(), base))
}

/// The same where the store is not known: in Nix's, in Guix's, or spelled out in full.
pub(crate) fn in_any_store(path: &Path) -> Result<StorePath> {
    let nix = in_store(path, &StoreDir::nix(), None);
    if nix.is_ok() {
        return nix;
    }
    let spelled = path.to_str().and_then(|text| text.parse().ok());
    in_store(path, &StoreDir::guix(), None).ok().or(spelled).map_or(nix, Ok)
}

fn follow(path: &Path, places: &[&Path]) -> Result<String> {
    let mut full = std::path::absolute(path).context("asking for the current directory")?;
    for _ in 0..MAX_SYMLINKS {
        match step(&full, places) {
            Step::Found(base) => return Ok(base),
            Step::Link(target) => full = target,
            Step::End => return Err(not_in_store(path, places).into()),
        }
    }
    bail!("{}: too many levels of symbolic links", path.display())
}

fn not_in_store(path: &Path, places: &[&Path]) -> Failure {
    let missing = fs::symlink_metadata(path).is_err();
    let why = if missing { "there is no such file, and it" } else { "it" };
    let store = places[0].display();
    Failure::could_not_tell(format!("{}: {why} is not in the store {store}", path.display()))
        .hint(format!("name a path in {store}, or a symlink to one such as ./result"))
}

enum Step {
    Found(String),
    Link(PathBuf),
    End,
}

fn step(full: &Path, places: &[&Path]) -> Step {
    if let Some(base) = first_inside(full, places) {
        return Step::Found(base);
    }
    let mut at = PathBuf::new();
    let mut rest = full.components();
    while let Some(component) = rest.next() {
        if component == Component::ParentDir {
            at.pop();
            continue;
        }
        at.push(component);
        if let Ok(target) = fs::read_link(&at) {
            at.pop();
            return Step::Link(at.join(target).join(rest.as_path()));
        }
    }
    first_inside(&at, places).map_or(Step::End, Step::Found)
}

/// The first name below one of `places`, unless dots could lead out again.
fn first_inside(path: &Path, places: &[&Path]) -> Option<String> {
    if path.components().any(|component| component == Component::ParentDir) {
        return None;
    }
    let inside = places.iter().find_map(|place| path.strip_prefix(place).ok())?;
    Some(inside.components().next()?.as_os_str().to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const BASE: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12";

    fn nix(path: &Path, files: Option<&Path>) -> Result<String> {
        in_store(path, &StoreDir::nix(), files).map(|path| path.base().to_string())
    }

    #[test]
    fn paths_and_what_is_inside_them() {
        for text in [
            BASE.to_owned(),
            format!("/nix/store/{BASE}"),
            format!("/nix/store/{BASE}/"),
            format!("/nix/store/{BASE}/bin/hello"),
            format!("/nix/../nix/store/{BASE}"),
            format!("/nix/store/{}/../{BASE}", BASE.replace('h', "g")),
        ] {
            assert_eq!(nix(Path::new(&text), None).unwrap(), BASE, "{text}");
        }
        for text in ["/nix/store", "/nix/store/.links", "/etc", "/no/such/thing", "/gnu/store/x"] {
            assert!(nix(Path::new(text), None).is_err(), "{text}");
        }
    }

    #[test]
    fn links_are_followed_until_the_store_begins() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let files = dir.join("root/nix/store");
        fs::create_dir_all(files.join(BASE)).unwrap();
        // Dangles on this machine, as links into a chroot store do.
        symlink(format!("/nix/store/{BASE}"), dir.join("result")).unwrap();
        symlink("result", dir.join("again")).unwrap();
        symlink(&dir, dir.join("here")).unwrap();
        symlink("loop", dir.join("loop")).unwrap();
        for path in ["result", "again", "here/again", "here/result/bin/hello"] {
            assert_eq!(nix(&dir.join(path), None).unwrap(), BASE, "{path}");
        }
        let real = files.join(BASE).join("bin");
        assert!(nix(&real, None).is_err());
        assert_eq!(nix(&real, Some(&files)).unwrap(), BASE);
        assert!(format!("{:#}", nix(&dir.join("loop"), None).unwrap_err()).contains("too many"));
    }

    #[test]
    fn any_store_will_do_for_a_question() {
        for store in ["/nix/store", "/gnu/store", "/home/me/store"] {
            let path = in_any_store(Path::new(&format!("{store}/{BASE}"))).unwrap();
            assert_eq!(path.dir().as_str(), store);
        }
        assert!(in_any_store(Path::new("/etc/passwd")).is_err());
    }
}
