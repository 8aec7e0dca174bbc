//! Reading a trailer as it comes: how long it is shows only on the way.

use std::str::from_utf8;

use super::{ExportError, Field, MAGIC, NUMBER_LEN, SIGNED, Trailer, UNSIGNED, padding};
use crate::claim::MAX_REFERENCES;
use crate::guix::signature::GuixSignature;
use crate::store_path::{BaseName, StorePath};

/// Reads a trailer and its seal. It [wants](Self::wants) so many bytes, [takes](Self::take) them, and
/// then wants others, until it wants none. It never wants more than one string has.
#[derive(Debug, Default)]
pub struct TrailerReader {
    next: Next,
    path: Option<StorePath>,
    /// How many are still to come.
    references_left: usize,
    references: Vec<BaseName>,
    deriver: Option<BaseName>,
    signature: Option<GuixSignature>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Magic,
    Len(Field),
    String(Field, usize),
    Count,
    Seal,
    Nothing,
}

impl TrailerReader {
    /// How many bytes come next; none at the end.
    #[must_use]
    pub fn wants(&self) -> usize {
        match self.next {
            Next::Magic | Next::Len(_) | Next::Count | Next::Seal => NUMBER_LEN,
            Next::String(_, len) => len + padding(len),
            Next::Nothing => 0,
        }
    }

    /// Takes as many bytes as it wants.
    ///
    /// # Errors
    /// Bytes that no trailer has there, or not as many.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        if bytes.len() != self.wants() {
            return Err(ExportError::Truncated);
        }
        self.next = match self.next {
            Next::Magic if bytes == MAGIC => Next::Len(Field::Path),
            Next::Magic => return Err(ExportError::Magic),
            Next::Len(field) => self.len(field, number(bytes)?)?,
            Next::String(field, len) => {
                let (string, padding) = bytes.split_at(len);
                if padding.iter().any(|byte| *byte != 0) {
                    return Err(ExportError::Padding(field.what()));
                }
                self.string(field, string)?
            }
            Next::Count => {
                let count = number(bytes)?;
                let allowed = usize::try_from(count).ok().filter(|it| *it <= MAX_REFERENCES);
                self.references_left = allowed.ok_or(ExportError::TooManyReferences(count))?;
                self.after_references()
            }
            Next::Seal => match number(bytes)? {
                UNSIGNED => Next::Nothing,
                SIGNED => Next::Len(Field::Signature),
                other => return Err(ExportError::Seal(other)),
            },
            Next::Nothing => Next::Nothing,
        };
        Ok(())
    }

    /// What was read.
    ///
    /// # Errors
    /// [`ExportError::Truncated`], while it wants anything.
    pub fn finish(self) -> Result<(Trailer, Option<GuixSignature>), ExportError> {
        let Self { next: Next::Nothing, path: Some(path), references, deriver, signature, .. } =
            self
        else {
            return Err(ExportError::Truncated);
        };
        Ok((Trailer { path, references, deriver }, signature))
    }

    fn len(&mut self, field: Field, len: u64) -> Result<Next, ExportError> {
        let allowed = usize::try_from(len).ok().filter(|it| *it <= field.max());
        match allowed {
            // Nothing of it comes, so that it is taken at once.
            Some(0) => self.string(field, b""),
            Some(len) => Ok(Next::String(field, len)),
            None => Err(ExportError::TooLong { what: field.what(), len, max: field.max() }),
        }
    }

    fn string(&mut self, field: Field, bytes: &[u8]) -> Result<Next, ExportError> {
        match field {
            Field::Path => {
                let text = from_utf8(bytes).map_err(|_| ExportError::Text(field.what()))?;
                let path = text.parse();
                let what = field.what();
                self.path = Some(path.map_err(|source| ExportError::Path { what, source })?);
                Ok(Next::Count)
            }
            Field::Reference => {
                self.references.push(self.sibling(field, bytes)?);
                self.references_left -= 1;
                Ok(self.after_references())
            }
            Field::Deriver => {
                // Where there is none, there is an empty string.
                let deriver = (!bytes.is_empty()).then(|| self.sibling(field, bytes));
                self.deriver = deriver.transpose()?;
                Ok(Next::Seal)
            }
            Field::Signature => {
                self.signature = Some(GuixSignature::parse(bytes)?);
                Ok(Next::Nothing)
            }
        }
    }

    fn after_references(&self) -> Next {
        Next::Len(if self.references_left > 0 { Field::Reference } else { Field::Deriver })
    }

    /// The base name of a path in the same store.
    fn sibling(&self, field: Field, bytes: &[u8]) -> Result<BaseName, ExportError> {
        let path = self.path.as_ref().ok_or(ExportError::Truncated)?;
        let text = from_utf8(bytes).map_err(|_| ExportError::Text(field.what()))?;
        let sibling = StorePath::parse_in(path.dir(), text);
        let sibling = sibling.map_err(|source| ExportError::Path { what: field.what(), source })?;
        Ok(sibling.base().clone())
    }
}

fn number(bytes: &[u8]) -> Result<u64, ExportError> {
    bytes.try_into().map(u64::from_le_bytes).map_err(|_| ExportError::Truncated)
}
