//! Narinfos, each served only once its NAR is promised.

use schema::api::{BatchLine, Refused, RefusedCode};
use schema::claim::Dialect;
use schema::store_path::{BaseName, HashPart};

use super::Pool;
use super::lease::Named;
use crate::assemble::view::View;
use crate::assemble::{self, Shown};
use crate::index::{AttestationRecord, PathRecord};
use crate::place::{Place, at};
use crate::rejected::Error;
use crate::roll::Roll;

/// How often an answer is put together anew because a NAR that it names has just gone.
const TRIES: usize = 8;

/// One line of a batch.
pub struct Line {
    /// What is told.
    pub line: BatchLine,
    /// What the path refers to, if its narinfo is told.
    pub references: Vec<HashPart>,
    /// What the narinfo names.
    pub(super) file: Option<Named>,
}

impl Pool {
    /// The narinfo that a view shows, or why it shows none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn narinfo(
        &self,
        view: &View,
        dialect: Dialect,
        hash_part: &HashPart,
    ) -> Result<Result<String, Refused>, Error> {
        let line = self.narinfos(view, dialect, &[*hash_part]).await?.pop();
        let text = line.map_or_else(|| Err(silent(hash_part)), |it| text(it.line));
        match &text {
            Ok(_) => self.metrics.narinfos_served.increment(1),
            Err(refused) => self.metrics.narinfo_refused(refused.code),
        }
        Ok(text)
    }

    /// The lines of a batch, in the order asked.
    ///
    /// # Errors
    /// As [`narinfo`](Self::narinfo).
    pub async fn narinfos(
        &self,
        view: &View,
        dialect: Dialect,
        hash_parts: &[HashPart],
    ) -> Result<Vec<Line>, Error> {
        let line = |hash_part: &HashPart| self.line(view, dialect, *hash_part);
        let mut lines = hash_parts.iter().map(line).collect::<Result<Vec<_>, _>>()?;
        let mut open: Vec<usize> = (0..lines.len()).collect();
        for _ in 0..TRIES {
            open.retain(|at| lines[*at].file.is_some());
            let named: Vec<Named> = open.iter().filter_map(|at| lines[*at].file).collect();
            at(Place::Assembled).await;
            let promised = self.lease(&named, self.config.lease_of(view)).await?;
            let mut promised = promised.into_iter();
            open.retain(|_| !promised.next().unwrap_or_default());
            if open.is_empty() {
                return Ok(lines);
            }
            for at in &open {
                lines[*at] = self.line(view, dialect, hash_parts[*at])?;
            }
        }
        open.retain(|at| lines[*at].file.is_some());
        open.iter().for_each(|at| lines[*at] = restless(hash_parts[*at]));
        Ok(lines)
    }

    /// Why a view shows no narinfo, if it shows none.
    ///
    /// # Errors
    /// As [`narinfo`](Self::narinfo).
    pub fn refused(
        &self,
        view: &View,
        dialect: Dialect,
        hash_part: &HashPart,
    ) -> Result<Option<Refused>, Error> {
        Ok(text(self.line(view, dialect, *hash_part)?.line).err())
    }

    /// A line that must not be told before what it names is promised.
    pub(super) fn line(
        &self,
        view: &View,
        dialect: Dialect,
        hash_part: HashPart,
    ) -> Result<Line, Error> {
        for _ in 0..TRIES {
            if let Some(line) = self.try_line(view, dialect, hash_part)? {
                return Ok(line);
            }
        }
        Ok(restless(hash_part))
    }

    /// Nothing, if the NAR has come while it was told why it is missing.
    fn try_line(
        &self,
        view: &View,
        dialect: Dialect,
        hash_part: HashPart,
    ) -> Result<Option<Line>, Error> {
        let roll = self.roll();
        let record = self.record_of(&hash_part)?;
        let shown = self.shown_by(view, dialect, &hash_part, record.as_ref(), &roll)?;
        let shown = match shown {
            Err(refused) if refused.code == RefusedCode::NoNar => {
                match self.saying_why(refused, &hash_part, record.as_ref())? {
                    Some(refused) => Err(refused),
                    None => return Ok(None),
                }
            }
            shown => shown,
        };
        let answer = shown.and_then(|shown| {
            let claim = shown.claim();
            let references = claim.references().iter().map(BaseName::hash_part).collect();
            let file = (claim.nar_hash(), shown.file().file_hash);
            Ok((self.printed(&shown, view, dialect, &roll)?, references, file))
        });
        Ok(Some(match answer {
            Ok((text, references, file)) => {
                let line = BatchLine { hash_part, narinfo: Some(text), refused: None };
                Line { line, references, file: Some(file) }
            }
            Err(refused) => untold(hash_part, refused),
        }))
    }

    fn printed(
        &self,
        shown: &Shown<'_>,
        view: &View,
        dialect: Dialect,
        roll: &Roll,
    ) -> Result<String, Refused> {
        let nar_url = self.config.nar_url.as_ref();
        if dialect == Dialect::Nix {
            return Ok(assemble::narinfo(shown, roll, nar_url));
        }
        if let View::Policy(name) = view {
            let rank = |word: &AttestationRecord| self.principal_of(name, word, roll);
            return assemble::guix_narinfo(shown, roll, nar_url, rank);
        }
        let panel = self.panel(view, roll)?;
        assemble::guix_narinfo(shown, roll, nar_url, |word| panel.rank(word, roll))
    }

    /// What a view shows of a path, or why it shows nothing.
    pub(super) fn shown_by<'r>(
        &self,
        view: &View,
        dialect: Dialect,
        hash_part: &HashPart,
        record: Option<&'r PathRecord>,
        roll: &Roll,
    ) -> Result<Result<Shown<'r>, Refused>, Error> {
        let store_dir = self.store_dir(dialect);
        if let View::Policy(name) = view {
            let allowed = self.allowed(name, hash_part)?;
            let claimed = |id| assemble::claimed(hash_part, record, &store_dir, &id);
            return Ok(allowed.and_then(claimed));
        }
        let shown = self
            .panel(view, roll)
            .and_then(|panel| assemble::shown(hash_part, record, (&store_dir, &panel), roll));
        Ok(shown)
    }
}

fn text(line: BatchLine) -> Result<String, Refused> {
    let hash_part = line.hash_part;
    line.narinfo.ok_or_else(|| line.refused.unwrap_or_else(|| silent(&hash_part)))
}

fn untold(hash_part: HashPart, refused: Refused) -> Line {
    let line = BatchLine { hash_part, narinfo: None, refused: Some(refused) };
    Line { line, references: Vec::new(), file: None }
}

/// Neither a narinfo nor a reason, which no line of a batch is.
fn silent(hash_part: &HashPart) -> Refused {
    Refused { code: RefusedCode::NeverSeen, detail: format!("nothing is said of {hash_part}") }
}

fn restless(hash_part: HashPart) -> Line {
    let detail = format!("the NAR of {hash_part} comes and goes; ask again");
    untold(hash_part, Refused { code: RefusedCode::Collected, detail })
}
