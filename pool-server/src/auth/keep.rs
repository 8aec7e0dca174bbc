//! The file in which tokens are kept, shared by a running server and `pool-server token`.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::secret::random;
use super::{Scopes, Secret, Token};
use crate::config::Quota;
use crate::durable;
use crate::rejected::{Error, Failure, Rejected};

/// Where, in the data directory, the text of the first token is.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";
/// Where, in the data directory, all tokens are, without their texts.
pub const TOKENS_FILE: &str = "tokens.json";
const LOCK_FILE: &str = "tokens.lock";
/// The longest label, in characters.
const MAX_LABEL_LEN: usize = 100;

/// Every token of a pool. Two processes may use one directory.
#[derive(Debug)]
pub struct Tokens {
    dir: PathBuf,
    last_read: RwLock<Snapshot>,
}

#[derive(Debug, Clone)]
struct Snapshot {
    stamp: Stamp,
    tokens: Arc<[Token]>,
}

/// By what a file is known to be the one read last. A change is a new file, renamed into place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    tokens: Vec<Token>,
}

impl Tokens {
    /// Whether this directory has tokens; if not, opening it makes the first one.
    #[must_use]
    pub fn exist_in(dir: &Path) -> bool {
        dir.join(TOKENS_FILE).exists()
    }

    /// Opens the tokens of a data directory. If there are none, makes one that allows everything
    /// and writes its text to [`ADMIN_TOKEN_FILE`].
    ///
    /// # Errors
    /// When a file cannot be read or written, or is damaged.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        if !Self::exist_in(dir) {
            let _lock = lock(dir)?;
            if !Self::exist_in(dir) {
                create_first(dir)?;
            }
        }
        Ok(Self { dir: dir.to_owned(), last_read: RwLock::new(read(dir)?) })
    }

    /// Every token ever made, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn current(&self) -> Result<Arc<[Token]>, Error> {
        let path = self.dir.join(TOKENS_FILE);
        let stamp = Stamp::of(&fs::metadata(&path).map_err(Error::file("read", &path))?);
        let last = self.last_read.read().unwrap_or_else(PoisonError::into_inner);
        if last.stamp == stamp {
            return Ok(last.tokens.clone());
        }
        drop(last);
        let fresh = read(&self.dir)?;
        *self.last_read.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        Ok(fresh.tokens)
    }

    /// Makes a token. Its text is kept nowhere.
    ///
    /// # Errors
    /// Theirs for a label that is empty, too long or not printable; ours when the file cannot be
    /// written.
    pub fn create(
        &self,
        label: &str,
        scopes: Scopes,
        expires_at: Option<u64>,
        now: u64,
    ) -> Result<(Secret, Token), Failure> {
        self.create_limited(label, scopes, Quota::default(), expires_at, now)
    }

    /// As [`create`](Self::create), with limits.
    ///
    /// # Errors
    /// The same.
    pub fn create_limited(
        &self,
        label: &str,
        scopes: Scopes,
        limits: Quota,
        expires_at: Option<u64>,
        now: u64,
    ) -> Result<(Secret, Token), Failure> {
        let printable = !label.trim().is_empty() && !label.chars().any(char::is_control);
        if !printable || label.chars().count() > MAX_LABEL_LEN {
            let detail = format!("a label has 1 to {MAX_LABEL_LEN} printable characters");
            return Err(Rejected::unprocessable("bad_label", detail).into());
        }
        let (secret, token) = make(label, scopes, expires_at, now)?;
        let token = Token { limits, ..token };
        let made = token.clone();
        change(&self.dir, |tokens| {
            tokens.push(token);
            Ok(())
        })?;
        Ok((secret, made))
    }

    /// Takes all power from a token, for ever.
    ///
    /// # Errors
    /// Theirs when there is no such token; ours when the file cannot be written.
    pub fn revoke(&self, id: &str, now: u64) -> Result<(), Failure> {
        change(&self.dir, |tokens| {
            let token = tokens.iter_mut().find(|token| token.id == id).ok_or_else(|| {
                Rejected::not_found("token_unknown", format!("no token has the id {id:?}"))
                    .hint("`pool-server token list` shows them")
            })?;
            token.revoked_at.get_or_insert(now);
            Ok(())
        })
    }
}

/// The text first: without the file of tokens it opens nothing, and the next start makes both.
fn create_first(dir: &Path) -> Result<(), Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (secret, token) = make("first admin", Scopes::all(), None, now)?;
    let text = format!("{}\n", secret.reveal());
    durable::replace(&dir.join(ADMIN_TOKEN_FILE), text.as_bytes(), durable::SECRET)?;
    write(dir, vec![token])
}

fn make(
    label: &str,
    scopes: Scopes,
    expires_at: Option<u64>,
    now: u64,
) -> Result<(Secret, Token), Error> {
    let secret = Secret::generate()?;
    let id = random::<5>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = Token {
        id,
        label: label.to_owned(),
        scopes,
        created_at: now,
        expires_at,
        revoked_at: None,
        limits: Quota::default(),
        hash: secret.hash(),
    };
    Ok((secret, token))
}

fn change(
    dir: &Path,
    apply: impl FnOnce(&mut Vec<Token>) -> Result<(), Rejected>,
) -> Result<(), Failure> {
    let _lock = lock(dir)?;
    let mut tokens = read(dir)?.tokens.to_vec();
    apply(&mut tokens)?;
    Ok(write(dir, tokens)?)
}

/// Held until dropped. A file of its own, because the one it guards is replaced.
fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK_FILE);
    let open = || -> io::Result<File> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(durable::SECRET)
            .open(&path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(Error::file("lock", &path))
}

fn read(dir: &Path) -> Result<Snapshot, Error> {
    let path = dir.join(TOKENS_FILE);
    let open = || -> io::Result<(Stamp, String)> {
        // The stamp is that of the file read, whatever is renamed into its place meanwhile.
        let mut file = File::open(&path)?;
        let stamp = Stamp::of(&file.metadata()?);
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok((stamp, text))
    };
    let (stamp, text) = open().map_err(Error::file("read", &path))?;
    let content: Content = serde_json::from_str(&text)
        .map_err(|why| Error::Damaged(format!("{}: {why}", path.display())))?;
    Ok(Snapshot { stamp, tokens: content.tokens.into() })
}

fn write(dir: &Path, tokens: Vec<Token>) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(&Content { tokens })
        .map_err(|why| Error::Damaged(why.to_string()))?;
    durable::replace(&dir.join(TOKENS_FILE), text.as_bytes(), durable::SECRET)
}
