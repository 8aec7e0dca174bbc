//! Comparing two NARs file by file, without unpacking them: both are read once, side by side.

use std::cmp::Ordering;

use anyhow::Result;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::walk::{Kind, Node, Walk};

/// The most differences that are told of one pair.
const MAX_TOLD: usize = 1000;
/// The most bytes of a name or target that are told.
const MAX_TEXT: usize = 4096;

/// What two NARs do not have in common.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Differences {
    /// In the order of the NARs; the first 1000.
    pub(crate) differences: Vec<Difference>,
    /// How many there are in all.
    pub(crate) total: u64,
}

/// One of them.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// Where, below the store path; empty for the store path itself. What is not UTF-8, or would
    /// upset a terminal, is escaped.
    pub(crate) path: String,
    /// What.
    #[serde(flatten)]
    pub(crate) what: What,
}

/// How a file differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
pub(crate) enum What {
    /// The second NAR has nothing there. Of a directory, what lies in it is not told.
    OnlyInFirst { kind: &'static str },
    /// The first NAR has nothing there.
    OnlyInSecond { kind: &'static str },
    /// They are things of different kinds.
    Type { first: &'static str, second: &'static str },
    /// Only one may be executed.
    Executable { first: bool, second: bool },
    /// The symlinks lead elsewhere.
    Target { first: String, second: String },
    /// They hold other bytes, from `offset` on.
    Contents { first: Contents, second: Contents, offset: u64 },
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Contents {
    /// In bytes.
    pub(crate) size: u64,
    /// In hex digits.
    pub(crate) sha256: String,
}

/// Compares two NARs, to the end of both.
pub(crate) fn diff(first: Walk, second: Walk) -> Result<Differences> {
    let mut diff = Diff { first, second, covered: None, found: Differences::default() };
    while diff.step()? {}
    Ok(diff.found)
}

struct Diff {
    first: Walk,
    second: Walk,
    /// What lies in here is not told any more.
    covered: Option<Vec<u8>>,
    found: Differences,
}

impl Diff {
    /// Goes past the next node, or past the same node of both.
    fn step(&mut self) -> Result<bool> {
        let order = match (self.first.node()?, self.second.node()?) {
            (None, None) => return Ok(false),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(first), Some(second)) => first.path.cmp(&second.path),
        };
        let first = if order.is_le() { self.first.take_node()? } else { None };
        let second = if order.is_ge() { self.second.take_node()? } else { None };
        match (first, second) {
            (Some(first), Some(second)) => self.compare(&first, &second)?,
            (Some(node), None) => self.only(&node, What::OnlyInFirst { kind: node.kind.name() }),
            (None, Some(node)) => self.only(&node, What::OnlyInSecond { kind: node.kind.name() }),
            (None, None) => return Ok(false),
        }
        Ok(true)
    }

    fn only(&mut self, node: &Node, what: What) {
        if self.covered.as_ref().is_some_and(|covered| is_in(&node.path, covered)) {
            return;
        }
        self.covered = (node.kind == Kind::Directory).then(|| node.path.clone());
        self.tell(node, what);
    }

    fn compare(&mut self, first: &Node, second: &Node) -> Result<()> {
        use Kind::{Directory, Regular, Symlink};
        match (&first.kind, &second.kind) {
            (Directory, Directory) => {}
            (Symlink(one), Symlink(other)) => {
                if one != other {
                    self.tell(first, What::Target { first: shown(one), second: shown(other) });
                }
            }
            (Regular { executable: one }, Regular { executable: other }) => {
                if one != other {
                    self.tell(first, What::Executable { first: *one, second: *other });
                }
                if let Some(what) = self.contents()? {
                    self.tell(first, what);
                }
            }
            (one, other) => {
                self.covered = Some(first.path.clone());
                self.tell(first, What::Type { first: one.name(), second: other.name() });
            }
        }
        Ok(())
    }

    /// How the contents of the two nodes that were taken differ.
    fn contents(&mut self) -> Result<Option<What>> {
        let (mut first, mut apart) = (Running::default(), None);
        loop {
            let pieces = (self.first.piece()?, self.second.piece()?);
            if pieces == (None, None) {
                break;
            }
            let pieces = (pieces.0.unwrap_or_default(), pieces.1.unwrap_or_default());
            // One hash will do as long as both are the same.
            if apart.is_none() && pieces.0 != pieces.1 {
                let same = pieces.0.iter().zip(&pieces.1).take_while(|(one, other)| one == other);
                apart = Some((first.clone(), first.size + same.count() as u64));
            }
            first.update(&pieces.0);
            if let Some((second, _)) = &mut apart {
                second.update(&pieces.1);
            }
        }
        Ok(apart.map(|(second, offset)| What::Contents {
            first: first.finish(),
            second: second.finish(),
            offset,
        }))
    }

    fn tell(&mut self, node: &Node, what: What) {
        self.found.total += 1;
        if self.found.differences.len() < MAX_TOLD {
            let names: Vec<String> = node.path.split(|byte| *byte == 0).map(shown).collect();
            self.found.differences.push(Difference { path: names.join("/"), what });
        }
    }
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Symlink(_) => "symlink",
            Self::Regular { .. } => "file",
        }
    }
}

/// The hash of what has been read of a file.
#[derive(Clone, Default)]
struct Running {
    hasher: Sha256,
    size: u64,
}

impl Running {
    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn finish(self) -> Contents {
        let digest = self.hasher.finalize();
        Contents {
            size: self.size,
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

fn is_in(path: &[u8], directory: &[u8]) -> bool {
    let rest = path.strip_prefix(directory);
    rest.is_some_and(|rest| directory.is_empty() || rest.first() == Some(&0))
}

/// Names and targets are no longer than this on any file system, though they may be in a NAR.
fn shown(bytes: &[u8]) -> String {
    let (bytes, rest) = bytes.split_at(bytes.len().min(MAX_TEXT));
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    };
    if rest.is_empty() { text } else { text + "…" }
}

#[cfg(test)]
mod tests;
