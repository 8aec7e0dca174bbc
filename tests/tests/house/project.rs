//! The project as its rules look at it: files, and what is code in them.

use std::fs;
use std::path::{Path, PathBuf};

use super::paths;

/// Files that hold text.
const TEXTS: [&str; 8] = ["rs", "md", "toml", "json", "nix", "yml", "yaml", "lua"];

pub(super) struct Project {
    pub(super) root: PathBuf,
    pub(super) files: Vec<File>,
}

/// One file with text in it.
pub(super) struct File {
    /// From the top of the project.
    pub(super) name: String,
    pub(super) text: String,
}

impl Project {
    pub(super) fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        collect(root, root, &mut files);
        assert!(files.len() > 50, "the project is not at {}", root.display());
        Self { root: root.to_owned(), files }
    }

    /// The Rust files under a directory.
    pub(super) fn sources<'p>(&'p self, directory: &'p str) -> impl Iterator<Item = &'p File> {
        let inside =
            move |file: &&File| file.name.starts_with(directory) && file.name.ends_with(".rs");
        self.files.iter().filter(inside)
    }
}

impl File {
    /// The code that is shipped: no comments, no words in quotes, no tests.
    pub(super) fn code(&self) -> String {
        if self.name.ends_with("/tests.rs") { String::new() } else { paths::code(self.shipped()) }
    }

    /// The text up to its tests, which stand last.
    pub(super) fn shipped(&self) -> &str {
        self.text.split("#[cfg(test)]").next().unwrap_or_default()
    }

    /// The module that a file under `SOMETHING/src/` is, such as `index::rocks`.
    pub(super) fn module(&self) -> String {
        let inner = self.name.split_once("/src/").map_or("", |(_, inner)| inner);
        inner.trim_end_matches(".rs").replace('/', "::")
    }
}

/// Whether `module` is `home` or lies in it.
pub(super) fn is_in(module: &str, home: &str) -> bool {
    module.strip_prefix(home).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<File>) {
    let entries = fs::read_dir(directory).expect("the project can be listed");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    for path in paths {
        let name =
            path.strip_prefix(root).expect("it lies in the project").to_string_lossy().into_owned();
        let own = !["target", ".git", "narpool-data"].contains(&name.as_str())
            && name != "tests/fuzz/target";
        if path.is_dir() && own {
            collect(root, &path, files);
        } else if path.is_file() && is_text(&path) {
            files.push(File { text: fs::read_to_string(&path).expect("texts are UTF-8"), name });
        }
    }
}

/// Scripts have no extension, but say so in their first line.
fn is_text(path: &Path) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) => TEXTS.contains(&extension),
        None => fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"#!")),
    }
}
